#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace hearth::lambda {

// How fast an answer may flow on AWS: a burst, and then a steady rate; what was not used is saved
// up to the burst again. Times are given, so it needs no clock.
// Source: "Response streaming for Lambda functions", bandwidth limits; the sizes as AWS's public
// emulator has them.
class Bandwidth final {
  public:
    using time_point = std::chrono::steady_clock::time_point;

    static constexpr int64_t kBurstBytes = 6 << 20;
    static constexpr int64_t kBytesPerSecond = 2 << 20;

    explicit Bandwidth(time_point now) : filled_at_(now) {}

    // These bytes flow now; nothing more may before the time it returns.
    time_point Take(uint64_t bytes, time_point now) {
        const std::chrono::duration<double> passed = now - filled_at_;
        filled_at_ = now;
        available_ = std::min<double>(kBurstBytes, available_ + passed.count() * kBytesPerSecond) -
                     static_cast<double>(bytes);
        if (available_ >= 0) {
            return now;
        }
        return now + std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::duration<double>(-available_ / kBytesPerSecond));
    }

  private:
    double available_ = kBurstBytes;
    time_point filled_at_;
};

}  // namespace hearth::lambda
