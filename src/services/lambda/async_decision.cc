#include "services/lambda/async_decision.h"

#include <algorithm>

namespace hearth::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kBackOffMax{300};

constexpr std::string_view kAgeExceeded = "EventAgeExceeded";

AsyncStep Drop(std::string_view condition) {
    return {.kind = AsyncStep::Kind::kDrop, .condition = condition};
}

}  // namespace

milliseconds AsyncBackOff(int32_t earlier) {
    const int32_t doublings = std::clamp(earlier, 0, 9);
    return std::min<milliseconds>(seconds(1) * (1 << doublings), kBackOffMax);
}

AsyncStep NextAsyncStep(const AsyncAttempt& attempt, const AsyncRules& rules) {
    const milliseconds left = rules.age_max - attempt.age;
    switch (attempt.outcome) {
        case AsyncOutcome::kSucceeded:
            return {.kind = AsyncStep::Kind::kSucceeded, .condition = "Success"};
        case AsyncOutcome::kStopped:
            return Drop("ZeroReservedConcurrency");
        case AsyncOutcome::kRefused:
            return Drop("RetriesExhausted");
        case AsyncOutcome::kAged:
            return Drop(kAgeExceeded);
        case AsyncOutcome::kFunctionFailed: {
            if (attempt.failures >= rules.retries_max) {
                return Drop("RetriesExhausted");
            }
            const milliseconds after = minutes(attempt.failures + 1);
            // AWS does not wait for an age that the retry cannot come before.
            if (after > left) {
                return Drop(kAgeExceeded);
            }
            return {.kind = AsyncStep::Kind::kRetry, .after = after};
        }
        case AsyncOutcome::kThrottled:
        case AsyncOutcome::kSystemError: {
            if (left <= milliseconds(0)) {
                return Drop(kAgeExceeded);
            }
            const bool throttled = attempt.outcome == AsyncOutcome::kThrottled;
            // One that ages out while it waits is dropped when it does, not minutes later.
            return {
                .kind = throttled ? AsyncStep::Kind::kHold : AsyncStep::Kind::kRetry,
                .after = std::min(AsyncBackOff(attempt.system_errors), left)};
        }
    }
    return Drop("RetriesExhausted");
}

}  // namespace hearth::lambda
