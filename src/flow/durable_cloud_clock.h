#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "storage/kv.h"

#include <atomic>
#include <chrono>
#include <memory>

namespace hearth::flow {

// The cloud's time: the wall clock plus an offset that is kept in the store and never decreases.
// The offset is zero except where a test advanced it, so everything that retention, schedules and
// visibility decide can be made to happen now.
//
// Now() never goes back while the process runs, also when somebody sets the machine's clock back.
class DurableCloudClock final : public CloudClock {
  public:
    // Reads the offset. `kv` and `wall` must outlive the clock.
    static Task<Result<std::unique_ptr<DurableCloudClock>>> Load(
        storage::Kv& kv, const WallClock& wall);

    // From any thread.
    time_point Now() const override;

    duration offset() const { return duration(offset_ms_.load()); }

    // Moves Now() to `when`; durable before it returns. Nothing happens when `when` has passed. One
    // call at a time.
    Task<Status> AdvanceTo(time_point when);

  private:
    DurableCloudClock(storage::Kv& kv, const WallClock& wall) : kv_(kv), wall_(wall) {}

    storage::Kv& kv_;
    const WallClock& wall_;
    std::atomic<int64_t> offset_ms_{0};
    mutable std::atomic<int64_t> latest_ms_{0};
};

}  // namespace hearth::flow
