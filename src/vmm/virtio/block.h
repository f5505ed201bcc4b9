#pragma once

#include "base/result.h"
#include "vmm/virtio/block_engine.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/metrics.h"
#include "vmm/virtio/rate_limiter.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

// A disk backed by a file or block device of the host (virtio 1.2, section 5.2).
namespace hearth::vmm::virtio {

struct BlockOptions final {
    enum class Engine {
        kSync,   // pread and pwrite on the VMM thread
        kAsync,  // io_uring
    };
    enum class Cache {
        kUnsafe,     // flushes are not offered; data is as safe as the host's page cache
        kWriteback,  // a flush of the guest is an fsync of the host
    };

    std::string path;
    bool read_only = false;
    Engine engine = Engine::kSync;
    Cache cache = Cache::kUnsafe;
    RateLimiterOptions limits;
};

class BlockDevice final : public Device {
  public:
    static constexpr std::uint16_t kQueueSize = 256;
    static constexpr std::uint32_t kSectorBytes = 512;

    // Opens the file. What is behind its last whole sector is not shown to the guest.
    static Result<std::shared_ptr<BlockDevice>> Create(
        const BlockOptions& options,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    ~BlockDevice() override;

    // Replaces the backing file, as PATCH /drives does; the guest is told that the disk changed.
    // VMM thread. Takes the device's mutex, as does the next one.
    Status UpdatePath(const std::string& path);

    void UpdateLimits(const RateLimiterUpdate& update);

    // Waits for what is in flight and finishes it: the kernel knows no address of the guest then.
    // VMM thread; vCPUs stand still. Takes the mutex.
    void Drain();

    const BlockMetrics& metrics() const { return metrics_; }

    std::uint32_t type() const override { return kDeviceBlock; }

    std::uint64_t features() const override { return features_; }

    std::span<const std::uint16_t> queue_sizes() const override;
    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override;
    void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) override;
    std::vector<EventSource> event_sources() override;
    void Kick(std::uint16_t queue) override;

  private:
    BlockDevice(const BlockOptions& options, RateLimiter limiter);

    struct Request;

    Status Started() override;
    void Quiesce() override;

    Status Open(const std::string& path);
    void FillConfig();
    void ProcessQueue();
    // False when the queue must wait (limits, or the engine is full).
    bool Process(const Chain& chain);
    void Finish(std::uint16_t head, const Request& request, std::int64_t result);
    void FinishAll();

    BlockOptions options_;
    std::uint64_t features_ = 0;
    std::uint64_t sectors_ = 0;
    std::array<std::byte, 20> id_{};
    std::array<std::byte, 24> config_{};
    std::unique_ptr<BlockEngine> engine_;
    // The engine's descriptor.
    int file_ = -1;
    RateLimiter limiter_;
    BlockMetrics metrics_;
    // The engine had no room; its next completion continues the queue.
    bool is_engine_full_ = false;
    // Kept, so that a busy disk does not allocate.
    Chain chain_;
    std::vector<std::span<std::byte>> data_;
    std::vector<BlockEngine::Completion> completions_;
    // By head descriptor, of which each is in flight at most once.
    std::vector<Request> requests_;
};

}  // namespace hearth::vmm::virtio
