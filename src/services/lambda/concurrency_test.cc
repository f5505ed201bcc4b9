#include "services/lambda/concurrency.h"

#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace hearth::lambda {
namespace {

using hearth::testing::RunTask;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Place = FunctionConcurrency::Place;

class ConcurrencyTest : public ::testing::Test {
  protected:
    AccountConcurrency& Account() { return limits_.Of(account_, region_); }

    void Reserve(ConcurrencyLimits::Reserves reserves) {
        reserves_ = std::move(reserves);
        ASSERT_TRUE(RunTask(limits_.Load(account_, region_)).ok());
    }

    FunctionConcurrency& Function(std::string name) {
        return functions_.emplace_back(limits_, Account(), std::move(name));
    }

    // "" or the reason.
    std::string Enter(FunctionConcurrency& function) {
        auto place = function.Enter(now_);
        if (!place.ok()) {
            EXPECT_EQ(place.error().code(), "TooManyRequestsException");
            EXPECT_EQ(place.error().http_status(), 429);
            return place.error().fields().front().second;
        }
        places_.push_back(*std::move(place));
        return "";
    }

    AccountId account_{"123456789012"};
    Region region_{"us-east-1"};
    ConcurrencyLimits::Reserves reserves_;
    bool fails_ = false;
    ConcurrencyLimits limits_{
        200, [this](AccountId, Region) -> Task<Result<ConcurrencyLimits::Reserves>> {
            if (fails_) {
                co_return errors::Unavailable("the test wants it so");
            }
            co_return reserves_;
        }};
    RateLimit::Clock::time_point now_{std::chrono::hours(1)};
    // Places are given back to their functions, so they go first.
    std::deque<FunctionConcurrency> functions_;
    std::vector<Place> places_;
};

TEST(RateLimit, ABurstAndThenEvenly) {
    RateLimit limit;
    const auto rate = RateLimit::Per(10, seconds(1));
    RateLimit::Clock::time_point now{std::chrono::hours(1)};
    const auto take = [&] {
        int taken = 0;
        while (limit.Take(now, rate)) {
            ++taken;
        }
        return taken;
    };
    EXPECT_EQ(take(), 10);
    now += milliseconds(99);
    EXPECT_EQ(take(), 0);
    now += milliseconds(1);
    EXPECT_EQ(take(), 1);
    now += milliseconds(500);
    EXPECT_EQ(take(), 5);
    now += seconds(100);
    EXPECT_EQ(take(), 10);
}

TEST_F(ConcurrencyTest, FunctionsWithoutAReserveShareWhatIsLeft) {
    Reserve({{"own", 50}});
    auto& one = Function("one");
    auto& other = Function("other");
    for (int i = 0; i < 75; ++i) {
        ASSERT_EQ(Enter(one), "");
        ASSERT_EQ(Enter(other), "");
    }
    EXPECT_EQ(Enter(one), "ConcurrentInvocationLimitExceeded");
    EXPECT_EQ(Enter(other), "ConcurrentInvocationLimitExceeded");
    // The reserve is there all the same.
    auto& own = Function("own");
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ(Enter(own), "");
    }
    EXPECT_EQ(Enter(own), "ReservedFunctionConcurrentInvocationLimitExceeded");
    places_.clear();
    EXPECT_EQ(Account().running.load(), 0);
    EXPECT_EQ(Enter(one), "");
    EXPECT_EQ(Enter(own), "");
}

TEST_F(ConcurrencyTest, OtherAccountsAndRegionsHaveTheirOwn) {
    Reserve({});
    auto& here = Function("f");
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(Enter(here), "");
    }
    EXPECT_NE(Enter(here), "");
    AccountConcurrency& there = limits_.Of(account_, Region("eu-west-1"));
    auto& other = functions_.emplace_back(limits_, there, "f");
    EXPECT_EQ(Enter(other), "");
}

TEST_F(ConcurrencyTest, ACallGivesBackWhatItTookWhateverChangedMeanwhile) {
    Reserve({});
    auto& function = Function("f");
    ASSERT_EQ(Enter(function), "");
    EXPECT_EQ(Account().running.load(), 1);
    Reserve({{"f", 1}});
    // What runs on the shared part does not fill the reserve.
    ASSERT_EQ(Enter(function), "");
    EXPECT_EQ(Enter(function), "ReservedFunctionConcurrentInvocationLimitExceeded");
    Reserve({});
    ASSERT_EQ(Enter(function), "");
    EXPECT_EQ(Account().running.load(), 2);
    places_.clear();
    EXPECT_EQ(Account().running.load(), 0);
    Reserve({{"f", 1}});
    EXPECT_EQ(Enter(function), "");
    EXPECT_NE(Enter(function), "");
}

TEST_F(ConcurrencyTest, AReserveOfNoneStopsAFunction) {
    Reserve({{"f", 0}});
    auto& function = Function("f");
    EXPECT_EQ(Enter(function), "ReservedFunctionConcurrentInvocationLimitExceeded");
}

TEST_F(ConcurrencyTest, TenCallsASecondForEach) {
    Reserve({{"own", 3}});
    const auto flood = [&](FunctionConcurrency& function) {
        int entered = 0;
        for (;;) {
            const std::string reason = Enter(function);
            places_.clear();
            if (!reason.empty()) {
                return fmt::format("{} {}", entered, reason);
            }
            ++entered;
        }
    };
    auto& own = Function("own");
    EXPECT_EQ(flood(own), "30 ReservedFunctionInvocationRateLimitExceeded");
    auto& one = Function("one");
    auto& other = Function("other");
    EXPECT_EQ(flood(one), "2000 FunctionInvocationRateLimitExceeded");
    EXPECT_EQ(flood(other), "0 FunctionInvocationRateLimitExceeded");
    now_ += milliseconds(100);
    EXPECT_EQ(flood(own), "3 ReservedFunctionInvocationRateLimitExceeded");
    EXPECT_EQ(flood(other), "200 FunctionInvocationRateLimitExceeded");
}

TEST_F(ConcurrencyTest, AThousandEnvironmentsInTenSeconds) {
    Reserve({});
    auto& function = Function("f");
    const auto make = [&] {
        int made = 0;
        while (function.TakeEnvironment(now_).ok()) {
            ++made;
        }
        return made;
    };
    EXPECT_EQ(make(), 1000);
    now_ += seconds(1);
    EXPECT_EQ(make(), 100);
    // Each function has its own.
    auto& other = Function("g");
    EXPECT_TRUE(other.TakeEnvironment(now_).ok());
    now_ += seconds(10);
    EXPECT_EQ(make(), 1000);
}

TEST_F(ConcurrencyTest, AQuotaBelowWhatIsReservedLeavesNothing) {
    Reserve({{"own", 300}});
    auto& function = Function("f");
    EXPECT_EQ(Enter(function), "ConcurrentInvocationLimitExceeded");
}

TEST_F(ConcurrencyTest, AFailedReadChangesNothing) {
    auto& function = Function("f");
    fails_ = true;
    EXPECT_FALSE(RunTask(limits_.Load(account_, region_)).ok());
    EXPECT_FALSE(function.ready());
    fails_ = false;
    Reserve({{"f", 1}});
    EXPECT_TRUE(function.ready());
    fails_ = true;
    EXPECT_FALSE(RunTask(limits_.Load(account_, region_)).ok());
    EXPECT_EQ(Enter(function), "");
    EXPECT_EQ(Enter(function), "ReservedFunctionConcurrentInvocationLimitExceeded");
}

}  // namespace
}  // namespace hearth::lambda
