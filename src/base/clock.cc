#include "base/clock.h"

#include <ctime>

namespace hearth {
namespace {

int64_t ReadNs(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct SystemMonotonicClock final : MonotonicClock {
    time_point Now() const override {
        return time_point(std::chrono::nanoseconds(ReadNs(CLOCK_MONOTONIC)));
    }
};

struct SystemWallClock final : WallClock {
    time_point Now() const override {
        return time_point(std::chrono::milliseconds(ReadNs(CLOCK_REALTIME) / 1'000'000));
    }
};

}  // namespace

std::shared_ptr<MonotonicClock> MonotonicClock::System() {
    return std::make_shared<SystemMonotonicClock>();
}

std::shared_ptr<WallClock> WallClock::System() {
    return std::make_shared<SystemWallClock>();
}

}  // namespace hearth
