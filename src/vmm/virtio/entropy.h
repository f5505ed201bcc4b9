#pragma once

#include "base/result.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/metrics.h"
#include "vmm/virtio/rate_limiter.h"

#include <memory>
#include <span>
#include <vector>

// Random bytes of the host for the guest (virtio 1.2, section 5.4).
namespace hearth::vmm::virtio {

struct EntropyOptions final {
    RateLimiterOptions limits;
};

class EntropyDevice final : public Device {
  public:
    static constexpr std::uint16_t kQueueSize = 256;
    // More than this is not given to one request; the guest asks again.
    static constexpr std::size_t kRequestBytesMax = 64 * 1024;

    static Result<std::shared_ptr<EntropyDevice>> Create(
        const EntropyOptions& options,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    const EntropyMetrics& metrics() const { return metrics_; }

    std::uint32_t type() const override { return kDeviceEntropy; }

    std::uint64_t features() const override { return kCommonFeatures; }

    std::span<const std::uint16_t> queue_sizes() const override;
    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override;
    std::vector<EventSource> event_sources() override;
    void Kick(std::uint16_t queue) override;

  private:
    explicit EntropyDevice(RateLimiter limiter) : limiter_(std::move(limiter)) {}

    void ProcessQueue();

    RateLimiter limiter_;
    EntropyMetrics metrics_;
    Chain chain_;
};

}  // namespace hearth::vmm::virtio
