#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

// What becomes of an asynchronous event after an attempt. Pure.
// Source: Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous
// invocation", read 2026-11.
namespace hearth::lambda {

// From a function's EventInvokeConfig, with AWS's defaults.
struct AsyncRules {
    int32_t retries_max = 2;
    std::chrono::seconds age_max{21'600};
};

enum class AsyncOutcome {
    kSucceeded,
    // The function's own error, or its runtime's.
    kFunctionFailed,
    // 429.
    kThrottled,
    // Reserved concurrency is 0: no attempt will ever be made.
    kStopped,
    // 500s.
    kSystemError,
    // A refusal that another attempt would meet again: the alias is gone, a recursive loop.
    kRefused,
    // Too old before it was tried (again).
    kAged,
};

struct AsyncAttempt {
    AsyncOutcome outcome = AsyncOutcome::kSucceeded;
    // Earlier attempts that ended in the function's error.
    int32_t failures = 0;
    // Earlier attempts in a row that ended in a system error.
    int32_t system_errors = 0;
    // Of the event, since it was accepted, now.
    std::chrono::milliseconds age{0};
};

struct AsyncStep {
    enum class Kind {
        kSucceeded,
        // The same event again after `after`.
        kRetry,
        // The function has no room: all its events wait.
        kHold,
        // To the failure destination and the dead-letter queue.
        kDrop,
    };

    Kind kind = Kind::kSucceeded;
    std::chrono::milliseconds after{0};
    // What the invocation record says: "Success", "RetriesExhausted", "EventAgeExceeded",
    // "ZeroReservedConcurrency".
    std::string_view condition;
};

AsyncStep NextAsyncStep(const AsyncAttempt& attempt, const AsyncRules& rules);

// 1 s, 2 s, 4 s ... 5 minutes; `earlier`: how often it was waited before.
std::chrono::milliseconds AsyncBackOff(int32_t earlier);

}  // namespace hearth::lambda
