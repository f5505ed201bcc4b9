#include "vmm/virtio/net.h"

#include "base/log.h"
#include "vmm/virtio/guest_log.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

constexpr std::array<std::uint16_t, 2> kQueueSizes = {NetDevice::kQueueSize, NetDevice::kQueueSize};

// Feature bits, virtio 1.2, section 5.1.3. "Host" is what the device does for the driver.
constexpr std::uint64_t kFeatureCsum = 1 << 0;
constexpr std::uint64_t kFeatureGuestCsum = 1 << 1;
constexpr std::uint64_t kFeatureMtu = 1 << 3;
constexpr std::uint64_t kFeatureMac = 1 << 5;
constexpr std::uint64_t kFeatureGuestTso4 = 1 << 7;
constexpr std::uint64_t kFeatureGuestTso6 = 1 << 8;
constexpr std::uint64_t kFeatureGuestUfo = 1 << 10;
constexpr std::uint64_t kFeatureHostTso4 = 1 << 11;
constexpr std::uint64_t kFeatureHostTso6 = 1 << 12;
constexpr std::uint64_t kFeatureHostUfo = 1 << 14;
constexpr std::uint64_t kFeatureMergeableBuffers = 1 << 15;

constexpr std::uint64_t kOffloads = kFeatureCsum | kFeatureGuestCsum | kFeatureGuestTso4 |
                                    kFeatureGuestTso6 | kFeatureGuestUfo | kFeatureHostTso4 |
                                    kFeatureHostTso6 | kFeatureHostUfo;

// Of virtio_net_hdr_v1: how many buffers the frame was put in.
constexpr std::size_t kBufferCountOffset = 10;
constexpr std::size_t kMtuOffset = 10;

constexpr std::size_t kEthernetHeaderBytes = 14;
constexpr std::size_t kSourceMacOffset = 6;

// As many buffers as one system call takes (UIO_MAXIOV).
constexpr std::size_t kBuffersMax = 1024;

constexpr std::uint16_t kMtuMin = 68;

Result<os::Fd> OpenTap(const std::string& name) {
    ifreq request = {};
    if (name.empty() || name.size() >= sizeof(request.ifr_name)) {
        return errors::Malformed("'" + name + "' is no name of an interface");
    }
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    os::Fd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!tap.valid()) {
        return errors::System("/dev/net/tun", errno);
    }
    if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
        return errors::System("tap " + name, errno);
    }
    const int header_bytes = static_cast<int>(NetDevice::kHeaderBytes);
    if (::ioctl(tap.get(), TUNSETVNETHDRSZ, &header_bytes) != 0) {
        return errors::System("header size of tap " + name, errno);
    }
    return tap;
}

std::uint64_t MonotonicNanoseconds() {
    return static_cast<std::uint64_t>(MonotonicClock::System()->Now().time_since_epoch().count());
}

}  // namespace

NetDevice::NetDevice(
    const NetOptions& options,
    os::Fd tap,
    RateLimiter rx_limiter,
    RateLimiter tx_limiter,
    TimerFd detour_timer)
    : options_(options),
      tap_(std::move(tap)),
      features_(kCommonFeatures | kOffloads | kFeatureMergeableBuffers),
      rx_limiter_(std::move(rx_limiter)),
      tx_limiter_(std::move(tx_limiter)),
      detour_timer_(std::move(detour_timer)) {
    if (options_.mac) {
        features_ |= kFeatureMac;
        std::memcpy(config_.data(), options_.mac->data(), options_.mac->size());
    }
    if (options_.mtu) {
        features_ |= kFeatureMtu;
        std::memcpy(config_.data() + kMtuOffset, &*options_.mtu, sizeof(*options_.mtu));
    }
}

Result<std::shared_ptr<NetDevice>> NetDevice::Create(
    const NetOptions& options, std::shared_ptr<MonotonicClock> clock) {
    HEARTH_TRY(os::Fd tap, OpenTap(options.tap));
    return CreateWithTap(options, std::move(tap), std::move(clock));
}

Result<std::shared_ptr<NetDevice>> NetDevice::CreateWithTap(
    const NetOptions& options, os::Fd tap, std::shared_ptr<MonotonicClock> clock) {
    if (options.mtu && *options.mtu < kMtuMin) {
        return errors::Malformed(fmt::format("an MTU of {} is below {}", *options.mtu, kMtuMin));
    }
    HEARTH_TRY(RateLimiter rx_limiter, RateLimiter::Create(options.rx_limits, clock));
    HEARTH_TRY(RateLimiter tx_limiter, RateLimiter::Create(options.tx_limits, clock));
    HEARTH_TRY(TimerFd timer, TimerFd::Create());
    return std::shared_ptr<NetDevice>(new NetDevice(
        options, std::move(tap), std::move(rx_limiter), std::move(tx_limiter), std::move(timer)));
}

void NetDevice::UpdateLimits(const RateLimiterUpdate& rx, const RateLimiterUpdate& tx) {
    const std::lock_guard lock(mutex());
    rx_limiter_.Update(rx);
    tx_limiter_.Update(tx);
}

void NetDevice::SetDetour(std::shared_ptr<FrameDetour> detour) {
    const std::lock_guard lock(mutex());
    options_.detour = std::move(detour);
}

std::span<const std::uint16_t> NetDevice::queue_sizes() const {
    return kQueueSizes;
}

void NetDevice::ReadConfig(std::uint64_t offset, std::span<std::byte> data) {
    CopyConfig(config_, offset, data);
}

void NetDevice::WriteConfig(std::uint64_t offset, std::span<const std::byte> data) {
    Add(metrics_.cfg_fails);
    WarnAboutGuest("net: the guest writes {} bytes of configuration at {}", data.size(), offset);
}

std::vector<EventSource> NetDevice::event_sources() {
    std::vector<EventSource> sources;
    // Edge-triggered: frames wait in the tap while the guest has no buffers, and nobody spins.
    sources.push_back({tap_.get(), EPOLLIN | EPOLLET, [this](std::uint32_t) {
                           Add(metrics_.rx_tap_event_count);
                           if (!active()) {
                               return;
                           }
                           if (rx_limiter_.blocked()) {
                               Add(metrics_.rx_rate_limiter_throttled);
                           } else {
                               ProcessRx();
                           }
                       }});
    sources.push_back({rx_limiter_.timer(), EPOLLIN, [this](std::uint32_t) {
                           Add(metrics_.rx_event_rate_limiter_count);
                           if (rx_limiter_.Unblock() && active()) {
                               ProcessRx();
                           }
                       }});
    sources.push_back({tx_limiter_.timer(), EPOLLIN, [this](std::uint32_t) {
                           Add(metrics_.tx_rate_limiter_event_count);
                           if (tx_limiter_.Unblock() && active()) {
                               ProcessTx();
                           }
                       }});
    sources.push_back({detour_timer_.fd(), EPOLLIN, [this](std::uint32_t) {
                           if (detour_timer_.Drain() > 0 && active() && !rx_limiter_.blocked()) {
                               ProcessRx();
                           }
                       }});
    return sources;
}

Status NetDevice::Started() {
    rx_frame_bytes_ = 0;
    if (rx_frame_.empty()) {
        rx_frame_.resize(kFrameBytesMax);
    }
    SetOffloads();
    return {};
}

void NetDevice::SetOffloads() {
    unsigned offloads = 0;
    offloads |= Accepted(kFeatureGuestCsum) ? unsigned{TUN_F_CSUM} : 0;
    offloads |= Accepted(kFeatureGuestTso4) ? unsigned{TUN_F_TSO4} : 0;
    offloads |= Accepted(kFeatureGuestTso6) ? unsigned{TUN_F_TSO6} : 0;
    offloads |= Accepted(kFeatureGuestUfo) ? unsigned{TUN_F_UFO} : 0;
    // What a test uses in place of a tap has no offloads (ENOTTY).
    if (::ioctl(tap_.get(), TUNSETOFFLOAD, offloads) != 0 && errno != ENOTTY) {
        log::Warn("net: {}", errors::System("offloads of " + options_.tap, errno).message());
    }
}

void NetDevice::Kick(std::uint16_t queue) {
    if (queue == kRx) {
        Add(metrics_.rx_queue_event_count);
        if (rx_limiter_.blocked()) {
            Add(metrics_.rx_rate_limiter_throttled);
        } else {
            ProcessRx();
        }
        return;
    }
    Add(metrics_.tx_queue_event_count);
    if (tx_limiter_.blocked()) {
        Add(metrics_.tx_rate_limiter_throttled);
    } else {
        ProcessTx();
    }
}

bool NetDevice::RefillFrame() {
    if (options_.detour != nullptr) {
        const std::vector<std::byte> frame = options_.detour->Next();
        if (!frame.empty() && frame.size() <= kFrameBytesMax - kHeaderBytes) {
            std::memset(rx_frame_.data(), 0, kHeaderBytes);
            std::memcpy(rx_frame_.data() + kHeaderBytes, frame.data(), frame.size());
            rx_frame_bytes_ = kHeaderBytes + frame.size();
            return true;
        }
    }
    while (true) {
        const ssize_t bytes = ::read(tap_.get(), rx_frame_.data(), rx_frame_.size());
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes < 0 && errno != EAGAIN) {
            Add(metrics_.tap_read_fails);
            WarnAboutGuest("net: {}", errors::System("read of " + options_.tap, errno).message());
        }
        if (bytes <= 0) {
            return false;
        }
        if (static_cast<std::size_t>(bytes) < kHeaderBytes) {
            Add(metrics_.rx_fails);
            continue;
        }
        rx_frame_bytes_ = static_cast<std::size_t>(bytes);
        return true;
    }
}

void NetDevice::ProcessRx() {
    unsigned done = 0;
    while (active() && queues_[kRx].open() && !IsTurnOver(done, kRx)) {
        if (rx_frame_bytes_ == 0 && !RefillFrame()) {
            break;
        }
        if (!Deliver(std::span(rx_frame_).first(rx_frame_bytes_))) {
            break;
        }
        rx_frame_bytes_ = 0;
    }
    Notify(kRx);
    ArmDetour();
}

bool NetDevice::Deliver(std::span<const std::byte> frame) {
    Queue& queue = queues_[kRx];
    const bool is_mergeable = Accepted(kFeatureMergeableBuffers);
    std::uint16_t count = 0;
    std::size_t done = 0;
    // Where the header's buffer count goes, once it is known: the header may be split.
    std::array<std::byte*, 2> count_bytes{};
    // Buffers looked at, useless ones too. A guest that fills the queue as fast as it is emptied
    // would else keep the VMM thread here for ever.
    unsigned tried = 0;
    while (done < frame.size()) {
        if (tried++ == queue.size()) {
            Add(metrics_.rx_fails);
            WarnAboutGuest("net: a frame of {} bytes has no room in a whole queue", frame.size());
            queue.UndoPops(count);
            return true;
        }
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.event_fails);
            Break(popped.error());
            return false;
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (more.ok() && *more) {
                continue;
            }
            queue.UndoPops(count);
            if (!more.ok()) {
                Break(more.error());
            }
            Add(metrics_.no_rx_avail_buffer);
            return false;
        }
        ++count;
        const std::size_t room =
            static_cast<std::size_t>(std::min<std::uint64_t>(chain_.writable_bytes, frame.size()));
        // The first buffer holds the header; a frame that is not merged is in one buffer.
        const bool is_usable =
            is_mergeable ? (count > 1 ? room > 0 : room >= kHeaderBytes) : room == frame.size();
        if (!is_usable) {
            Add(metrics_.rx_fails);
            if (count > 1) {
                // It cannot be taken out of the middle: the frame is lost, the buffers are not.
                WarnAboutGuest("net: a receive buffer without room");
                queue.UndoPops(count);
                return true;
            }
            queue.Push(chain_.head, 0);
            count = 0;
            if (!is_mergeable) {
                return true;
            }
            continue;
        }
        const std::size_t piece = std::min(room, frame.size() - done);
        static_cast<void>(chain_.Write(0, frame.subspan(done, piece)));
        if (count == 1) {
            for (std::size_t i = 0; i < count_bytes.size(); ++i) {
                count_bytes[i] = chain_.WritableByte(kBufferCountOffset + i);
            }
        }
        queue.Stage(
            static_cast<std::uint16_t>(count - 1), chain_.head, static_cast<std::uint32_t>(piece));
        done += piece;
    }
    if (!rx_limiter_.ConsumeOperation(frame.size())) {
        // The buffers are filled again, with the same frame, when the limiter lets it through.
        Add(metrics_.rx_rate_limiter_throttled);
        queue.UndoPops(count);
        return false;
    }
    *count_bytes[0] = static_cast<std::byte>(count & 0xff);
    *count_bytes[1] = static_cast<std::byte>(count >> 8);
    queue.Publish(count);
    Add(metrics_.rx_bytes_count, frame.size());
    Add(metrics_.rx_packets_count);
    Add(metrics_.rx_count);
    return true;
}

void NetDevice::ProcessTx() {
    Queue& queue = queues_[kTx];
    bool detoured = false;
    bool used_any = false;
    unsigned done = 0;
    while (!IsTurnOver(done, kTx)) {
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.event_fails);
            return Break(popped.error());
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (!more.ok()) {
                Add(metrics_.event_fails);
                return Break(more.error());
            }
            if (*more) {
                continue;
            }
            break;
        }
        const std::uint64_t bytes = chain_.readable_bytes;
        if (bytes < kHeaderBytes || bytes > kFrameBytesMax ||
            chain_.readable.size() > kBuffersMax) {
            Add(metrics_.tx_malformed_frames);
            queue.Push(chain_.head, 0);
            used_any = true;
            continue;
        }
        if (!tx_limiter_.ConsumeOperation(bytes)) {
            Add(metrics_.tx_rate_limiter_throttled);
            queue.UndoPop();
            break;
        }
        if (Transmit()) {
            // What the detour takes stays in the process and is not limited.
            tx_limiter_.Replenish(1, RateLimiter::Token::kOps);
            tx_limiter_.Replenish(bytes, RateLimiter::Token::kBytes);
            detoured = true;
        }
        queue.Push(chain_.head, 0);
        used_any = true;
    }
    if (!used_any) {
        Add(metrics_.no_tx_avail_buffer);
    }
    Notify(kTx);
    if (detoured && !rx_limiter_.blocked()) {
        ProcessRx();
    }
}

bool NetDevice::Transmit() {
    ssize_t written = -1;
    const std::uint64_t start_ns = MonotonicNanoseconds();
    if (options_.detour != nullptr) {
        // The decision and the frame must be of the same bytes, so the frame is copied.
        tx_frame_.resize(chain_.readable_bytes);
        static_cast<void>(chain_.Read(0, tx_frame_));
        if (options_.detour->Take(std::span<const std::byte>(tx_frame_).subspan(kHeaderBytes))) {
            return true;
        }
        CountSpoofing(tx_frame_);
        written = ::write(tap_.get(), tx_frame_.data(), tx_frame_.size());
    } else {
        std::array<std::byte, kHeaderBytes + kEthernetHeaderBytes> headers{};
        if (chain_.Read(0, headers)) {
            CountSpoofing(headers);
        }
        vectors_.clear();
        for (const std::span<std::byte>& buffer : chain_.readable) {
            vectors_.push_back({buffer.data(), buffer.size()});
        }
        written = ::writev(tap_.get(), vectors_.data(), static_cast<int>(vectors_.size()));
    }
    if (written < 0) {
        // The frame is lost, as on a wire; the guest's protocols know what to do.
        Add(metrics_.tap_write_fails);
        if (errno != EAGAIN) {
            WarnAboutGuest("net: {}", errors::System("write to " + options_.tap, errno).message());
        }
        return false;
    }
    metrics_.tap_write_agg.Record((MonotonicNanoseconds() - start_ns) / 1000);
    Add(metrics_.tx_bytes_count, chain_.readable_bytes);
    Add(metrics_.tx_packets_count);
    Add(metrics_.tx_count);
    return false;
}

void NetDevice::CountSpoofing(std::span<const std::byte> frame) {
    if (options_.mac && frame.size() >= kHeaderBytes + kEthernetHeaderBytes &&
        std::memcmp(
            frame.data() + kHeaderBytes + kSourceMacOffset,
            options_.mac->data(),
            options_.mac->size()) != 0) {
        Add(metrics_.tx_spoofed_mac_count);
    }
}

void NetDevice::ArmDetour() {
    if (options_.detour == nullptr) {
        return;
    }
    // While a frame waits for room or for the limiter, the next one is asked for behind it: a clock
    // would only ring again and again until the guest offers a buffer, which may be never.
    const bool may_ask =
        rx_frame_bytes_ == 0 && active() && queues_[kRx].open() && !rx_limiter_.blocked();
    const auto deadline = may_ask ? options_.detour->NextDeadline() : std::nullopt;
    if (!deadline) {
        detour_timer_.Disarm();
        return;
    }
    const std::uint64_t now = MonotonicNanoseconds();
    detour_timer_.Arm(
        std::chrono::nanoseconds(*deadline > now ? static_cast<std::int64_t>(*deadline - now) : 0));
}

}  // namespace hearth::vmm::virtio
