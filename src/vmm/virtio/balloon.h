#pragma once

#include "base/result.h"
#include "vmm/config/config.h"
#include "vmm/event/event_fd.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/metrics.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

// The balloon: memory the guest lends back to the host (virtio 1.2, section 5.5).
//
// The host sets a target; the guest inflates (gives pages, which are discarded) or deflates to it.
// With free page reporting the guest also names pages it does not use, without being asked.
namespace hearth::vmm::virtio {

struct BalloonOptions final {
    std::uint32_t amount_mib = 0;
    // The guest may take pages back when it would otherwise kill a process.
    bool deflate_on_oom = false;
    // Zero: no statistics, now and later.
    std::uint16_t stats_polling_interval_s = 0;
    bool free_page_reporting = false;
};

class BalloonDevice final : public Device {
  public:
    static constexpr std::uint16_t kQueueSize = 256;

    static Result<std::shared_ptr<BalloonDevice>> Create(const BalloonOptions& options);

    // PATCH /balloon; the guest is told. Takes the device's mutex, as do the next ones.
    //   errors    kInvalid: more pages than 32 bits count; kConflict: not active.
    Status UpdateAmount(std::uint32_t amount_mib);

    // PATCH /balloon/statistics. Statistics cannot be switched on or off once the guest runs.
    Status UpdateStatisticsInterval(std::uint16_t seconds);

    // GET /balloon/statistics; nothing when statistics are off.
    std::optional<BalloonStatistics> statistics();

    // As set now.
    BalloonOptions options();

    const BalloonMetrics& metrics() const { return metrics_; }

    std::uint32_t type() const override { return kDeviceBalloon; }

    std::uint64_t features() const override { return features_; }

    std::span<const std::uint16_t> queue_sizes() const override;
    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override;
    void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) override;
    std::vector<EventSource> event_sources() override;
    void Kick(std::uint16_t queue) override;
    void Reset() override;

  private:
    BalloonDevice(const BalloonOptions& options, TimerFd timer);

    Status Started() override;

    // Takes the queue's next request into chain_; false when there is none, it was a bad one, or
    // the turn is over. `done` counts the turn's requests.
    bool Next(unsigned& done, std::uint16_t queue);

    void Inflate();
    void Deflate();
    void TakeStatistics();
    void AskForStatistics();
    void TakeReports();
    void DiscardPages(std::vector<std::uint32_t>& frames);

    BalloonOptions options_;
    std::uint64_t features_ = kCommonFeatures;
    TimerFd timer_;
    std::uint32_t target_pages_ = 0;
    std::uint32_t actual_pages_ = 0;
    BalloonStatistics latest_;
    // The guest's statistics buffer, kept until new statistics are wanted.
    std::optional<std::uint16_t> statistics_head_;
    std::vector<std::uint16_t> queue_sizes_;
    // Queue numbers; those absent do not exist.
    std::optional<std::uint16_t> statistics_queue_;
    std::optional<std::uint16_t> reporting_queue_;
    BalloonMetrics metrics_;
    Chain chain_;
};

}  // namespace hearth::vmm::virtio
