#include "services/lambda/async_decision.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using Kind = AsyncStep::Kind;

AsyncStep After(AsyncOutcome outcome, int32_t failures, milliseconds age, AsyncRules rules = {}) {
    return NextAsyncStep({.outcome = outcome, .failures = failures, .age = age}, rules);
}

TEST(AsyncDecision, AFunctionsErrorIsRetriedAfterOneMinuteAndThenAfterTwo) {
    const AsyncStep first = After(AsyncOutcome::kFunctionFailed, 0, seconds(1));
    EXPECT_EQ(first.kind, Kind::kRetry);
    EXPECT_EQ(first.after, minutes(1));
    const AsyncStep second = After(AsyncOutcome::kFunctionFailed, 1, seconds(62));
    EXPECT_EQ(second.kind, Kind::kRetry);
    EXPECT_EQ(second.after, minutes(2));
    const AsyncStep third = After(AsyncOutcome::kFunctionFailed, 2, seconds(185));
    EXPECT_EQ(third.kind, Kind::kDrop);
    EXPECT_EQ(third.condition, "RetriesExhausted");
}

TEST(AsyncDecision, WithoutRetriesTheFirstErrorIsTheLast) {
    const AsyncStep step = After(AsyncOutcome::kFunctionFailed, 0, seconds(0), {.retries_max = 0});
    EXPECT_EQ(step.kind, Kind::kDrop);
    EXPECT_EQ(step.condition, "RetriesExhausted");
}

TEST(AsyncDecision, ARetryThatWouldComeTooLateIsNotWaitedFor) {
    const AsyncRules rules{.age_max = seconds(60)};
    const AsyncStep late = After(AsyncOutcome::kFunctionFailed, 0, milliseconds(1), rules);
    EXPECT_EQ(late.kind, Kind::kDrop);
    EXPECT_EQ(late.condition, "EventAgeExceeded");
    const AsyncStep just = After(AsyncOutcome::kFunctionFailed, 0, milliseconds(0), rules);
    EXPECT_EQ(just.kind, Kind::kRetry);
}

TEST(AsyncDecision, ThrottlesHoldTheFunctionsEventsAndUseUpNoRetry) {
    const AsyncStep step = After(AsyncOutcome::kThrottled, 2, seconds(5), {.retries_max = 0});
    EXPECT_EQ(step.kind, Kind::kHold);
    EXPECT_EQ(step.after, seconds(1));
    EXPECT_EQ(After(AsyncOutcome::kThrottled, 0, hours(6)).condition, "EventAgeExceeded");
    EXPECT_EQ(After(AsyncOutcome::kThrottled, 0, hours(6)).kind, Kind::kDrop);
}

TEST(AsyncDecision, SystemErrorsBackOffFromASecondToFiveMinutes) {
    milliseconds age{0};
    int32_t times = 0;
    for (int64_t expected : {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}) {
        const AsyncStep step = NextAsyncStep(
            {.outcome = AsyncOutcome::kSystemError, .system_errors = times, .age = age}, {});
        EXPECT_EQ(step.kind, Kind::kRetry);
        EXPECT_EQ(step.after, seconds(expected)) << times;
        age += step.after;
        ++times;
    }
    EXPECT_EQ(AsyncBackOff(1'000'000), seconds(300));
    EXPECT_EQ(AsyncBackOff(-1), seconds(1));
}

TEST(AsyncDecision, ABackOffEndsWhenTheEventIsTooOld) {
    const AsyncStep step = NextAsyncStep(
        {.outcome = AsyncOutcome::kSystemError, .system_errors = 8, .age = seconds(50)},
        {.age_max = seconds(60)});
    EXPECT_EQ(step.kind, Kind::kRetry);
    EXPECT_EQ(step.after, seconds(10));
}

TEST(AsyncDecision, WhatCanNeverRunIsDroppedAtOnce) {
    const AsyncStep stopped = After(AsyncOutcome::kStopped, 0, seconds(0));
    EXPECT_EQ(stopped.kind, Kind::kDrop);
    EXPECT_EQ(stopped.condition, "ZeroReservedConcurrency");
    EXPECT_EQ(After(AsyncOutcome::kRefused, 0, seconds(0)).kind, Kind::kDrop);
    EXPECT_EQ(After(AsyncOutcome::kAged, 1, seconds(0)).condition, "EventAgeExceeded");
}

TEST(AsyncDecision, SuccessIsReportedAsSuch) {
    const AsyncStep step = After(AsyncOutcome::kSucceeded, 1, seconds(70));
    EXPECT_EQ(step.kind, Kind::kSucceeded);
    EXPECT_EQ(step.condition, "Success");
}

}  // namespace
}  // namespace hearth::lambda
