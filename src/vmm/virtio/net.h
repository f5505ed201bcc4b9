#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/config/config.h"
#include "vmm/event/event_fd.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/metrics.h"
#include "vmm/virtio/rate_limiter.h"

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

// A network card whose other end is a tap interface of the host (virtio 1.2, section 5.1).
//
// Offloads pass through: the guest and the host's kernel exchange large unchecksummed frames, each
// behind a virtio_net_hdr, which is copied but never interpreted here.
namespace hearth::vmm::virtio {

// Somebody who answers frames of the guest before the tap sees them (the metadata service).
// Called with the device's mutex held, on the VMM thread.
class FrameDetour {
  public:
    virtual ~FrameDetour() = default;

    // An Ethernet frame of the guest, without virtio header. True: taken; false: for the tap.
    virtual bool Take(std::span<const std::byte> frame) = 0;

    // The next frame for the guest; empty when there is none now.
    virtual std::vector<std::byte> Next() = 0;

    // When Next may have something without another frame of the guest: nanoseconds of the
    // monotonic clock, or nothing.
    virtual std::optional<std::uint64_t> NextDeadline() const { return std::nullopt; }
};

struct NetOptions final {
    // An interface of this process's network namespace; made when it is not there and the process
    // may.
    std::string tap;
    std::optional<MacAddress> mac;
    std::optional<std::uint16_t> mtu;
    RateLimiterOptions rx_limits;
    RateLimiterOptions tx_limits;
    std::shared_ptr<FrameDetour> detour;
};

class NetDevice final : public Device {
  public:
    static constexpr std::uint16_t kQueueSize = 256;
    static constexpr std::uint16_t kRx = 0;
    static constexpr std::uint16_t kTx = 1;
    // 64 KiB of an offloaded segment, its headers and the virtio_net_hdr_v1.
    static constexpr std::size_t kFrameBytesMax = 65562;
    static constexpr std::size_t kHeaderBytes = 12;

    static Result<std::shared_ptr<NetDevice>> Create(
        const NetOptions& options,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    // With a tap that is open already, or anything in tests that keeps frames apart (a socketpair
    // of datagrams).
    static Result<std::shared_ptr<NetDevice>> CreateWithTap(
        const NetOptions& options,
        os::Fd tap,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    // PATCH /network-interfaces. Takes the device's mutex, as do the next ones.
    void UpdateLimits(const RateLimiterUpdate& rx, const RateLimiterUpdate& tx);

    void SetDetour(std::shared_ptr<FrameDetour> detour);

    const NetMetrics& metrics() const { return metrics_; }

    std::uint32_t type() const override { return kDeviceNet; }

    std::uint64_t features() const override { return features_; }

    std::span<const std::uint16_t> queue_sizes() const override;
    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override;
    void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) override;
    std::vector<EventSource> event_sources() override;
    void Kick(std::uint16_t queue) override;

  private:
    NetDevice(
        const NetOptions& options,
        os::Fd tap,
        RateLimiter rx_limiter,
        RateLimiter tx_limiter,
        TimerFd detour_timer);

    Status Started() override;

    void SetOffloads();
    void ProcessRx();
    void ProcessTx();
    // One frame (virtio header first) into the receive queue; false when there is no room for it.
    bool Deliver(std::span<const std::byte> frame);
    // Reads the next frame for the guest into rx_frame_; false when there is none.
    bool RefillFrame();
    // Sends the frame in chain_; true when the detour took it.
    bool Transmit();
    void CountSpoofing(std::span<const std::byte> frame);
    void ArmDetour();

    NetOptions options_;
    os::Fd tap_;
    std::uint64_t features_ = 0;
    std::array<std::byte, 12> config_{};
    RateLimiter rx_limiter_;
    RateLimiter tx_limiter_;
    TimerFd detour_timer_;
    NetMetrics metrics_;
    Chain chain_;
    std::vector<std::byte> tx_frame_;
    std::vector<iovec> vectors_;
    // A frame that was read and could not be delivered yet.
    std::vector<std::byte> rx_frame_;
    std::size_t rx_frame_bytes_ = 0;
};

}  // namespace hearth::vmm::virtio
