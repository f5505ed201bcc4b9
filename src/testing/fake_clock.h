#pragma once

#include "base/clock.h"

#include <atomic>
#include <chrono>

namespace hearth::testing {

// Clocks that move when a test says so. Safe to read and move from any thread.
template <class Clock>
class FakeClock final : public Clock {
  public:
    using typename Clock::duration;
    using typename Clock::time_point;

    explicit FakeClock(time_point now = time_point(std::chrono::hours(24 * 365 * 50)))
        : now_(now.time_since_epoch().count()) {}

    time_point Now() const override { return time_point(duration(now_.load())); }

    void Set(time_point now) { now_.store(now.time_since_epoch().count()); }

    void Advance(duration by) { now_.fetch_add(by.count()); }

  private:
    std::atomic<typename duration::rep> now_;
};

using FakeMonotonicClock = FakeClock<MonotonicClock>;
using FakeWallClock = FakeClock<WallClock>;
using FakeCloudClock = FakeClock<CloudClock>;

}  // namespace hearth::testing
