#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

// Three clocks, three types, so that they cannot be mixed up.
//   MonotonicClock  timeouts and durations
//   WallClock       signatures, Date, STS expiry, log timestamps
//   CloudClock      wall + a durable, never decreasing offset: retention, schedules, visibility,
//   retries
// Each comes in through a constructor; tests pass testing/fake_clock.h.
namespace hearth {

struct MonotonicClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MonotonicClock>;
    static constexpr bool is_steady = true;

    virtual ~MonotonicClock() = default;
    virtual time_point Now() const = 0;

    // The machine's CLOCK_MONOTONIC.
    static std::shared_ptr<MonotonicClock> System();
};

struct WallClock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<WallClock, duration>;
    static constexpr bool is_steady = false;

    virtual ~WallClock() = default;
    virtual time_point Now() const = 0;

    static std::shared_ptr<WallClock> System();
};

struct CloudClock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<CloudClock, duration>;
    static constexpr bool is_steady = false;

    virtual ~CloudClock() = default;
    virtual time_point Now() const = 0;
};

// Milliseconds since 1970-01-01T00:00:00Z.
template <class Clock>
int64_t UnixMs(std::chrono::time_point<Clock, std::chrono::milliseconds> t) {
    return t.time_since_epoch().count();
}

}  // namespace hearth
