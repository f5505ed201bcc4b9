#include "vmm/virtio/vsock_connection.h"

#include "vmm/virtio/guest_log.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

// As many buffers as are handed to one system call; a packet in more pieces takes several packets.
constexpr std::size_t kVectorsMax = 64;

// Up to `bytes` bytes of the buffers, from byte `at` on.
std::size_t Slice(
    const std::vector<std::span<std::byte>>& buffers,
    std::uint64_t at,
    std::size_t bytes,
    std::array<iovec, kVectorsMax>& into) {
    std::size_t count = 0;
    for (const std::span<std::byte>& buffer : buffers) {
        if (bytes == 0 || count == into.size()) {
            break;
        }
        if (at >= buffer.size()) {
            at -= buffer.size();
            continue;
        }
        const std::size_t piece = std::min<std::size_t>(buffer.size() - at, bytes);
        into[count++] = {buffer.data() + at, piece};
        bytes -= piece;
        at = 0;
    }
    return count;
}

}  // namespace

VsockConnection VsockConnection::FromGuest(
    VsockKey key,
    std::uint64_t guest_cid,
    os::Fd socket,
    const VsockHeader& request,
    VsockMetrics& metrics) {
    VsockConnection connection(key, guest_cid, std::move(socket), State::kGuestAsked, metrics);
    connection.guest_buffer_ = request.buffer_bytes;
    connection.guest_forwarded_ = request.forwarded;
    connection.pending_ = kPendingResponse;
    return connection;
}

VsockConnection VsockConnection::FromHost(
    VsockKey key, std::uint64_t guest_cid, os::Fd socket, VsockMetrics& metrics) {
    VsockConnection connection(key, guest_cid, std::move(socket), State::kHostAsked, metrics);
    connection.pending_ = kPendingRequest;
    return connection;
}

bool VsockConnection::Take(Pending pending) {
    const bool had = (pending_ & pending) != 0;
    pending_ &= ~unsigned{pending};
    return had;
}

void VsockConnection::Kill() {
    state_ = State::kKilled;
    pending_ = kPendingReset;
    deadline_.reset();
    DropBuffer();
}

void VsockConnection::DropBuffer() {
    // The memory goes too: most connections never need it.
    std::string().swap(buffer_);
    written_ = 0;
}

std::uint32_t VsockConnection::guest_credit() const {
    const std::uint32_t in_flight = sent_ - guest_forwarded_;
    return in_flight >= guest_buffer_ ? 0 : guest_buffer_ - in_flight;
}

std::uint32_t VsockConnection::wanted_events() const {
    std::uint32_t events = 0;
    if (written_ < buffer_.size()) {
        events |= EPOLLOUT;
    }
    // Readable data is waited for until it is known to be there; then the guest's buffers or its
    // credit are what is missing, and watching would only spin.
    if (state_ == State::kEstablished && host_sends_ && guest_receives_ && guest_credit() > 0 &&
        (pending_ & kPendingData) == 0) {
        events |= EPOLLIN;
    }
    return events;
}

void VsockConnection::FillHeader(VsockHeader& header) const {
    header = {};
    header.source_cid = kVsockHostCid;
    header.destination_cid = guest_cid_;
    header.source_port = key_.host_port;
    header.destination_port = key_.guest_port;
    header.type = kVsockStream;
    header.buffer_bytes = kBufferBytes;
    header.forwarded = forwarded_;
}

bool VsockConnection::Send(
    VsockHeader& header, const Chain& chain, MonotonicClock::time_point now) {
    FillHeader(header);
    if (Take(kPendingReset)) {
        header.operation = kVsockReset;
        state_ = State::kKilled;
    } else if (Take(kPendingResponse)) {
        header.operation = kVsockResponse;
        state_ = State::kEstablished;
    } else if (Take(kPendingRequest)) {
        header.operation = kVsockRequest;
        deadline_ = now + kPatience;
    } else if (Take(kPendingData) && SendData(header, chain, now)) {
        // SendData said what.
    } else if (Take(kPendingCredit)) {
        header.operation = kVsockCreditUpdate;
    } else {
        return false;
    }
    // Each header carries the credit, so an update that was due is done with it.
    Take(kPendingCredit);
    forwarded_told_ = forwarded_;
    Add(metrics_->rx_packets_count);
    return true;
}

bool VsockConnection::SendData(
    VsockHeader& header, const Chain& chain, MonotonicClock::time_point now) {
    if (state_ != State::kEstablished || !host_sends_ || !guest_receives_) {
        return false;
    }
    const std::uint32_t credit = guest_credit();
    if (credit == 0) {
        header.operation = kVsockCreditRequest;
        return true;
    }
    const std::size_t room =
        std::min<std::size_t>({chain.writable_bytes - kVsockHeaderBytes, credit, kPacketBytesMax});
    if (room == 0) {
        // A buffer for a bare header: the data waits for a better one.
        pending_ |= kPendingData;
        return false;
    }
    std::array<iovec, kVectorsMax> vectors;
    const std::size_t count = Slice(chain.writable, kVsockHeaderBytes, room, vectors);
    ssize_t bytes = 0;
    do {
        bytes = ::readv(socket_.get(), vectors.data(), static_cast<int>(count));
    } while (bytes < 0 && errno == EINTR);
    if (bytes > 0) {
        header.operation = kVsockData;
        header.bytes = static_cast<std::uint32_t>(bytes);
        sent_ += header.bytes;
        Add(metrics_->rx_bytes_count, header.bytes);
        // Perhaps there is more; the next read will tell.
        pending_ |= kPendingData;
        return true;
    }
    if (bytes < 0 && errno == EAGAIN) {
        return false;
    }
    if (bytes < 0) {
        Add(metrics_->rx_read_fails);
        header.operation = kVsockReset;
        state_ = State::kKilled;
        return true;
    }
    // The host sends no more. A socket that only shut down its sending side still listens.
    pollfd poll_fd = {.fd = socket_.get(), .events = 0, .revents = 0};
    const bool is_closed = ::poll(&poll_fd, 1, 0) < 0 || (poll_fd.revents & POLLHUP) != 0;
    header.operation = kVsockShutdown;
    header.flags = is_closed ? kVsockNoReceive | kVsockNoSend : kVsockNoSend;
    host_sends_ = false;
    if (is_closed) {
        state_ = State::kClosing;
        deadline_ = now + kPatience;
        DropBuffer();
    } else if (!guest_sends_ && buffer_.empty()) {
        pending_ |= kPendingReset;
    }
    return true;
}

void VsockConnection::Receive(
    const VsockHeader& header, const Chain& chain, MonotonicClock::time_point now) {
    guest_buffer_ = header.buffer_bytes;
    guest_forwarded_ = header.forwarded;
    Add(metrics_->tx_packets_count);
    switch (header.operation) {
        case kVsockResponse:
            if (state_ == State::kHostAsked && (pending_ & kPendingRequest) == 0) {
                state_ = State::kEstablished;
                deadline_.reset();
                return;
            }
            break;
        case kVsockData:
            if (state_ == State::kEstablished && guest_sends_) {
                return ReceiveData(header, chain);
            }
            break;
        case kVsockShutdown:
            if (state_ == State::kEstablished) {
                return ReceiveShutdown(header.flags, now);
            }
            break;
        case kVsockCreditUpdate:
            return;
        case kVsockCreditRequest:
            if (state_ == State::kEstablished || state_ == State::kGuestAsked) {
                pending_ |= kPendingCredit;
                return;
            }
            break;
        default:
            break;
    }
    WarnAboutGuest(
        "vsock: operation {} of {} bytes in state {} is dropped",
        static_cast<unsigned>(header.operation),
        std::uint32_t{header.bytes},
        static_cast<int>(state_));
}

void VsockConnection::ReceiveData(const VsockHeader& header, const Chain& chain) {
    std::size_t bytes = header.bytes;
    std::size_t done = 0;
    if (buffer_.empty()) {
        std::array<iovec, kVectorsMax> vectors;
        msghdr message = {};
        message.msg_iov = vectors.data();
        message.msg_iovlen = Slice(chain.readable, kVsockHeaderBytes, bytes, vectors);
        ssize_t sent = 0;
        if (bytes > 0) {
            do {
                sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            } while (sent < 0 && errno == EINTR);
        }
        if (sent < 0 && errno != EAGAIN) {
            Add(metrics_->tx_write_fails);
            return Kill();
        }
        done = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
        forwarded_ += static_cast<std::uint32_t>(done);
        Add(metrics_->tx_bytes_count, done);
        bytes -= done;
    }
    if (bytes > kBufferBytes - (buffer_.size() - written_)) {
        WarnAboutGuest("vsock: the guest sends more than it has credit for");
        return Kill();
    }
    if (bytes > 0) {
        buffer_.erase(0, std::exchange(written_, 0));
        const std::size_t before = buffer_.size();
        buffer_.resize(before + bytes);
        static_cast<void>(chain.Read(
            kVsockHeaderBytes + done, std::as_writable_bytes(std::span(buffer_).subspan(before))));
    }
    TellCreditIfNeeded();
}

void VsockConnection::ReceiveShutdown(std::uint32_t flags, MonotonicClock::time_point now) {
    guest_receives_ = guest_receives_ && (flags & kVsockNoReceive) == 0;
    guest_sends_ = guest_sends_ && (flags & kVsockNoSend) == 0;
    if (guest_sends_) {
        return;
    }
    if (buffer_.empty()) {
        FinishWriting();
    } else if (!guest_receives_) {
        // The host has this long to read what is left.
        deadline_ = now + kPatience;
    }
}

void VsockConnection::FinishWriting() {
    if (!guest_receives_ || !host_sends_) {
        // Both directions are done.
        pending_ |= kPendingReset;
    } else {
        ::shutdown(socket_.get(), SHUT_WR);
    }
}

void VsockConnection::FlushBuffer() {
    while (written_ < buffer_.size()) {
        const ssize_t sent = ::send(
            socket_.get(),
            buffer_.data() + written_,
            buffer_.size() - written_,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0) {
            Add(metrics_->tx_flush_fails);
            return Kill();
        }
        written_ += static_cast<std::size_t>(sent);
        forwarded_ += static_cast<std::uint32_t>(sent);
        Add(metrics_->tx_bytes_count, static_cast<std::uint64_t>(sent));
    }
    if (written_ == buffer_.size()) {
        DropBuffer();
        if (!guest_sends_) {
            FinishWriting();
        }
    }
    TellCreditIfNeeded();
}

void VsockConnection::TellCreditIfNeeded() {
    if (forwarded_ - forwarded_told_ > kBufferBytes - kCreditThreshold) {
        pending_ |= kPendingCredit;
    }
}

void VsockConnection::OnSocket(std::uint32_t events) {
    if (state_ == State::kKilled) {
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        FlushBuffer();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && state_ == State::kEstablished &&
        host_sends_) {
        pending_ |= kPendingData;
    }
}

}  // namespace hearth::vmm::virtio
