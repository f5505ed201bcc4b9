#include "vmm/virtio/vsock_muxer.h"

#include "base/log.h"
#include "vmm/virtio/guest_log.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

constexpr int kBacklog = 128;
constexpr std::size_t kEventsPerRound = 64;

// "CONNECT 4294967295\n" and some patience with blanks.
constexpr std::size_t kHandshakeBytesMax = 32;

Result<sockaddr_un> Address(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return errors::Malformed("'" + path + "' is too long for a socket's path, or empty");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Asked for at the start: a system call filter may forbid it later.
int DescriptorsMax() {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur > static_cast<rlim_t>(std::numeric_limits<int>::max())) {
        return std::numeric_limits<int>::max();
    }
    return static_cast<int>(limit.rlim_cur) - VsockMuxer::kDescriptorsReserved;
}

// The port in "CONNECT <port>", in any case and with any blanks.
std::optional<std::uint32_t> ParseConnect(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    constexpr std::string_view kWord = "connect";
    const auto skip_blanks = [&] {
        text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    };
    skip_blanks();
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    const bool is_connect =
        std::ranges::equal(word, kWord, {}, [](unsigned char c) { return std::tolower(c); });
    if (!is_connect) {
        return std::nullopt;
    }
    text.remove_prefix(word.size());
    skip_blanks();
    std::uint32_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || (end != text.data() + text.size() && !kBlanks.contains(*end))) {
        return std::nullopt;
    }
    return port;
}

}  // namespace

VsockMuxer::VsockMuxer(
    std::uint64_t guest_cid,
    std::string uds_path,
    VsockMetrics& metrics,
    std::shared_ptr<MonotonicClock> clock,
    os::Fd epoll,
    os::Fd listener,
    TimerFd timer)
    : guest_cid_(guest_cid),
      uds_path_(std::move(uds_path)),
      metrics_(metrics),
      clock_(std::move(clock)),
      epoll_(std::move(epoll)),
      listener_(std::move(listener)),
      timer_(std::move(timer)),
      descriptors_max_(DescriptorsMax()) {}

VsockMuxer::~VsockMuxer() {
    ::unlink(uds_path_.c_str());
}

Result<std::unique_ptr<VsockMuxer>> VsockMuxer::Create(
    std::uint64_t guest_cid,
    std::string uds_path,
    VsockMetrics& metrics,
    std::shared_ptr<MonotonicClock> clock) {
    HEARTH_TRY(const sockaddr_un address, Address(uds_path));
    os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!listener.valid()) {
        return errors::System("socket", errno);
    }
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener.get(), kBacklog) != 0) {
        return errors::System("cannot listen at " + uds_path, errno);
    }
    os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    HEARTH_TRY(TimerFd timer, TimerFd::Create());
    for (const int fd : {listener.get(), timer.fd()}) {
        epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
            ::unlink(uds_path.c_str());
            return errors::System("epoll", errno);
        }
    }
    return std::unique_ptr<VsockMuxer>(new VsockMuxer(
        guest_cid,
        std::move(uds_path),
        metrics,
        std::move(clock),
        std::move(epoll),
        std::move(listener),
        std::move(timer)));
}

void VsockMuxer::OnEvents() {
    std::array<epoll_event, kEventsPerRound> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    if (count < 0 && errno != EINTR) {
        Add(metrics_.muxer_event_fails);
    }
    for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_.get()) {
            Accept();
        } else if (fd == timer_.fd()) {
            timer_.Drain();
        } else if (handshakes_.contains(fd)) {
            ContinueHandshake(fd);
        } else if (const auto key = keys_.find(fd); key != keys_.end()) {
            VsockConnection& connection = connections_.at(key->second);
            connection.OnSocket(events[static_cast<std::size_t>(i)].events);
            Settle(connection);
        }
    }
    if (timer_due_ && clock_->Now() >= *timer_due_) {
        Expire();
    }
}

void VsockMuxer::Accept() {
    os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            log::Warn("vsock: {}", errors::System("accept", errno).message());
            WatchListener(false);
        }
        return;
    }
    if (IsFull(socket)) {
        WarnAboutGuest("vsock: {} connections are the limit", connections_.size());
        return;
    }
    const int fd = socket.get();
    epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        Add(metrics_.muxer_event_fails);
        return;
    }
    handshakes_.emplace(fd, Handshake{.socket = std::move(socket), .text = {}});
}

bool VsockMuxer::IsFull(const os::Fd& socket) const {
    // The kernel gives out the lowest free number, so a high one says how many are taken.
    return connections_.size() + handshakes_.size() >= kConnectionsMax ||
           socket.get() >= descriptors_max_;
}

void VsockMuxer::WatchListener(bool watch) {
    if (is_listener_watched_ != watch) {
        epoll_event event = {
            .events = watch ? std::uint32_t{EPOLLIN} : 0, .data = {.fd = listener_.get()}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
        is_listener_watched_ = watch;
    }
}

void VsockMuxer::ContinueHandshake(int fd) {
    Handshake& handshake = handshakes_.at(fd);
    // One byte at a time: what follows the line is data for the guest.
    while (!handshake.text.ends_with('\n')) {
        char byte = 0;
        const ssize_t got = ::recv(fd, &byte, 1, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0 || handshake.text.size() == kHandshakeBytesMax) {
            handshakes_.erase(fd);
            WatchListener(true);
            return;
        }
        handshake.text.push_back(byte);
    }
    const auto port = ParseConnect(handshake.text);
    os::Fd socket = std::move(handshake.socket);
    handshakes_.erase(fd);
    if (!port) {
        socket.Close();
        WatchListener(true);
        return;
    }
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    const VsockKey key = {.host_port = NextHostPort(*port), .guest_port = *port};
    host_ports_.insert(key.host_port);
    StartConnection(VsockConnection::FromHost(key, guest_cid_, std::move(socket), metrics_));
}

std::uint32_t VsockMuxer::NextHostPort(std::uint32_t guest_port) {
    do {
        ++last_host_port_;
        if (last_host_port_ == 2 * kFirstHostPort) {
            last_host_port_ = kFirstHostPort;
        }
        // A guest may itself have connected to a port of this range.
    } while (host_ports_.contains(last_host_port_) ||
             connections_.contains({.host_port = last_host_port_, .guest_port = guest_port}));
    return last_host_port_;
}

void VsockMuxer::StartConnection(VsockConnection connection) {
    const VsockKey key = connection.key();
    keys_.insert_or_assign(connection.socket(), key);
    const auto [place, is_new] = connections_.emplace(key, std::move(connection));
    static_cast<void>(is_new);
    Add(metrics_.conns_added);
    Settle(place->second);
}

void VsockMuxer::Settle(VsockConnection& connection) {
    buffered_bytes_ += connection.buffered_bytes() - connection.counted_bytes;
    if (buffered_bytes_ > kBufferedBytesMax &&
        connection.buffered_bytes() > connection.counted_bytes) {
        WarnAboutGuest("vsock: {} bytes wait for sockets of the host", buffered_bytes_);
        buffered_bytes_ -= connection.buffered_bytes();
        connection.Kill();
    }
    connection.counted_bytes = connection.buffered_bytes();
    if (connection.has_pending() && !connection.is_listed) {
        connection.is_listed = true;
        listed_.push_back(connection.key());
    }
    const std::uint32_t wanted = connection.wanted_events();
    if (wanted != connection.watched_events) {
        // A socket of which nothing is wanted is not watched at all, or its hang-up would be
        // reported for ever.
        const int operation = wanted == 0                      ? EPOLL_CTL_DEL
                              : connection.watched_events == 0 ? EPOLL_CTL_ADD
                                                               : EPOLL_CTL_MOD;
        epoll_event event = {.events = wanted, .data = {.fd = connection.socket()}};
        if (::epoll_ctl(epoll_.get(), operation, connection.socket(), &event) != 0) {
            Add(metrics_.conn_event_fails);
        }
        connection.watched_events = wanted;
    }
    const auto deadline = connection.deadline();
    if (deadline && (!timer_due_ || *deadline < *timer_due_)) {
        timer_due_ = deadline;
        timer_.Arm(*deadline - clock_->Now());
    }
}

void VsockMuxer::Expire() {
    const auto now = clock_->Now();
    timer_due_.reset();
    for (auto& [key, connection] : connections_) {
        if (connection.deadline() && *connection.deadline() <= now) {
            Add(metrics_.conns_killed);
            connection.Kill();
        }
        Settle(connection);
    }
}

void VsockMuxer::Remove(const VsockKey& key) {
    const auto found = connections_.find(key);
    if (found == connections_.end()) {
        return;
    }
    if (found->second.is_listed) {
        std::erase(listed_, key);
    }
    buffered_bytes_ -= found->second.counted_bytes;
    keys_.erase(found->second.socket());
    host_ports_.erase(key.host_port);
    connections_.erase(found);
    WatchListener(true);
    Add(metrics_.conns_removed);
}

void VsockMuxer::Reset() {
    listed_.clear();
    resets_.clear();
    keys_.clear();
    host_ports_.clear();
    Add(metrics_.conns_removed, connections_.size());
    connections_.clear();
    buffered_bytes_ = 0;
    handshakes_.clear();
    WatchListener(true);
    timer_due_.reset();
    timer_.Disarm();
}

void VsockMuxer::OweReset(std::uint32_t host_port, std::uint32_t guest_port) {
    // A guest that does not take its packets has no claim to more of them.
    if (resets_.size() < kResetsMax) {
        resets_.push_back({.host_port = host_port, .guest_port = guest_port});
    }
}

void VsockMuxer::FromGuest(const Chain& chain) {
    VsockHeader header;
    if (!chain.Read(0, std::as_writable_bytes(std::span(&header, 1))) ||
        header.bytes > VsockConnection::kPacketBytesMax ||
        header.bytes > chain.readable_bytes - kVsockHeaderBytes) {
        Add(metrics_.tx_queue_event_fails);
        WarnAboutGuest("vsock: a malformed packet of {} bytes", chain.readable_bytes);
        return;
    }
    if (header.source_cid != guest_cid_ || header.destination_cid != kVsockHostCid) {
        WarnAboutGuest(
            "vsock: a packet from {} to {} is dropped",
            std::uint64_t{header.source_cid},
            std::uint64_t{header.destination_cid});
        return;
    }
    const VsockKey key = {.host_port = header.destination_port, .guest_port = header.source_port};
    if (header.type != kVsockStream) {
        return OweReset(key.host_port, key.guest_port);
    }
    const auto found = connections_.find(key);
    if (found == connections_.end()) {
        if (header.operation == kVsockRequest) {
            AcceptGuest(header);
        } else if (header.operation != kVsockReset) {
            OweReset(key.host_port, key.guest_port);
        }
        return;
    }
    if (header.operation == kVsockReset) {
        return Remove(key);
    }
    VsockConnection& connection = found->second;
    const VsockConnection::State before = connection.state();
    connection.Receive(header, chain, clock_->Now());
    if (before == VsockConnection::State::kHostAsked &&
        connection.state() == VsockConnection::State::kEstablished) {
        const std::string line = fmt::format("OK {}\n", key.host_port);
        const ssize_t sent =
            ::send(connection.socket(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent != static_cast<ssize_t>(line.size())) {
            connection.Kill();
        }
    }
    Settle(connection);
}

void VsockMuxer::AcceptGuest(const VsockHeader& header) {
    const VsockKey key = {.host_port = header.destination_port, .guest_port = header.source_port};
    const auto address = Address(fmt::format("{}_{}", uds_path_, key.host_port));
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!address.ok() || !socket.valid() || IsFull(socket) ||
        ::connect(
            socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(sockaddr_un)) != 0) {
        return OweReset(key.host_port, key.guest_port);
    }
    StartConnection(
        VsockConnection::FromGuest(key, guest_cid_, std::move(socket), header, metrics_));
}

std::uint32_t VsockMuxer::ToGuest(const Chain& chain) {
    VsockHeader header;
    const auto write = [&] {
        static_cast<void>(chain.Write(0, std::as_bytes(std::span(&header, 1))));
        return static_cast<std::uint32_t>(kVsockHeaderBytes + header.bytes);
    };
    if (!resets_.empty()) {
        header.source_cid = kVsockHostCid;
        header.destination_cid = guest_cid_;
        header.source_port = resets_.front().host_port;
        header.destination_port = resets_.front().guest_port;
        header.type = kVsockStream;
        header.operation = kVsockReset;
        resets_.pop_front();
        Add(metrics_.rx_packets_count);
        return write();
    }
    // Each of them once: one that has something but no room for it in this buffer stays listed.
    for (std::size_t turns = listed_.size(); turns > 0; --turns) {
        const VsockKey key = listed_.front();
        listed_.pop_front();
        VsockConnection& connection = connections_.at(key);
        connection.is_listed = false;
        const bool has_packet = connection.Send(header, chain, clock_->Now());
        if (has_packet && header.operation == kVsockReset) {
            Remove(key);
        } else {
            Settle(connection);
        }
        if (has_packet) {
            return write();
        }
    }
    return 0;
}

}  // namespace hearth::vmm::virtio
