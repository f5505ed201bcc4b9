#include "services/lambda/room_watch.h"

#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "services/lambda/concurrency.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

using Clock = RoomWatches::Clock;
using std::chrono::seconds;

class RoomWatchTest : public ::testing::Test {
  protected:
    // In a loop, with limits that have been read.
    template <class Body>
    void With(int32_t account_max, ConcurrencyLimits::Reserves reserves, Body body) {
        reserves_ = std::move(reserves);
        limits_ = std::make_unique<ConcurrencyLimits>(
            account_max, [this](AccountId, Region) -> Task<Result<ConcurrencyLimits::Reserves>> {
                co_return reserves_;
            });
        rt::BlockOn(loops_, 0, [&]() -> Task<void> {
            EXPECT_TRUE((co_await limits_->Load(account_, region_)).ok());
            co_await body();
            watches_.clear();
        });
    }

    AccountConcurrency& Account() { return limits_->Of(account_, region_); }

    FunctionConcurrency Function(const std::string& name) { return {*limits_, Account(), name}; }

    void Watch(const std::string& name) {
        watches_[name] = Account().watches.Add(loops_, name, [this, name](Clock::time_point when) {
            told_.push_back(name);
            when_ = when;
        });
    }

    // Who was told since, in order.
    Task<std::vector<std::string>> Told() {
        for (int i = 0; i < 5; ++i) {
            co_await rt::Yield();
        }
        co_return std::exchange(told_, {});
    }

    using Names = std::vector<std::string>;

    const AccountId account_{"123456789012"};
    const Region region_{"us-east-1"};
    rt::Loops loops_{1};
    ConcurrencyLimits::Reserves reserves_;
    std::unique_ptr<ConcurrencyLimits> limits_;
    std::map<std::string, std::unique_ptr<RoomWatches::Watch>> watches_;
    Names told_;
    Clock::time_point when_;
};

TEST_F(RoomWatchTest, TheEndOfACallIsRoomInItsReserve) {
    With(1'000, {{"f", 1}}, [this]() -> Task<void> {
        FunctionConcurrency function = Function("f");
        Watch("f");
        Watch("g");
        std::optional<FunctionConcurrency::Place> place;
        place.emplace(*function.Enter(Clock::now()));
        EXPECT_FALSE(function.Enter(Clock::now()).ok());
        EXPECT_EQ(co_await Told(), Names{});
        place.reset();
        EXPECT_EQ(co_await Told(), Names{"f"});
    });
}

TEST_F(RoomWatchTest, WhatAllShareIsOfferedInTurns) {
    With(1, {}, [this]() -> Task<void> {
        FunctionConcurrency busy = Function("busy");
        FunctionConcurrency first = Function("a");
        FunctionConcurrency second = Function("b");
        Watch("a");
        Watch("b");
        // Waits for nothing.
        Watch("c");
        const auto round = [&]() -> Task<Names> {
            {
                const auto place = busy.Enter(Clock::now(), false);
                EXPECT_TRUE(place.ok());
                EXPECT_FALSE(first.Enter(Clock::now(), false).ok());
                EXPECT_FALSE(second.Enter(Clock::now(), false).ok());
                EXPECT_EQ(co_await Told(), Names{});
            }
            co_return co_await Told();
        };
        EXPECT_EQ(co_await round(), Names{"a"});
        EXPECT_EQ(co_await round(), Names{"b"});
        EXPECT_EQ(co_await round(), Names{"a"});
        // Who does not need it passes it on.
        watches_["a"]->PassOn();
        EXPECT_EQ(co_await Told(), Names{"b"});
        watches_["b"]->PassOn();
        EXPECT_EQ(co_await Told(), Names{});
    });
}

// No hint is lost between threads: else this would wait for ever.
TEST(RoomWatch, FunctionsOnFourLoopsShareTwoPlaces) {
    constexpr int kLoops = 4;
    constexpr int kCalls = 500;
    rt::Loops loops(kLoops);
    const AccountId account("123456789012");
    const Region region("us-east-1");
    ConcurrencyLimits limits(2, [](AccountId, Region) -> Task<Result<ConcurrencyLimits::Reserves>> {
        co_return ConcurrencyLimits::Reserves{};
    });
    std::atomic<int> running = 0;
    std::atomic<int> done = 0;
    const auto work = [&](int number) -> Task<void> {
        AccountConcurrency& shared = limits.Of(account, region);
        const std::string name = fmt::format("f{}", number);
        FunctionConcurrency function(limits, shared, name);
        for (int call = 0; call < kCalls; ++call) {
            std::optional<FunctionConcurrency::Place> place;
            if (auto entered = function.Enter(Clock::now(), false); entered.ok()) {
                place.emplace(*std::move(entered));
            } else {
                rt::Event told;
                const auto watch =
                    shared.watches.Add(loops, name, [&told](Clock::time_point) { told.Set(); });
                for (;;) {
                    auto again = function.Enter(Clock::now(), false);
                    if (again.ok()) {
                        place.emplace(*std::move(again));
                        break;
                    }
                    co_await told.Wait();
                    told.Reset();
                }
            }
            EXPECT_LE(++running, 2);
            for (int i = 0; i < (call + number) % 4; ++i) {
                co_await rt::Yield();
            }
            --running;
            ++done;
        }
    };
    rt::BlockOn(loops, 0, [&]() -> Task<void> {
        EXPECT_TRUE((co_await limits.Load(account, region)).ok());
        rt::TaskGroup group;
        for (int i = 0; i < kLoops; ++i) {
            group.Spawn([&, i]() -> Task<void> {
                co_await rt::RunOn(loops, i, [&, i] { return work(i); });
            });
        }
        co_await group.Join();
    });
    EXPECT_EQ(done, kLoops * kCalls);
}

TEST_F(RoomWatchTest, CallsOfASecondComeBackAtATimeAndNotBefore) {
    With(1'000, {{"f", 1}}, [this]() -> Task<void> {
        FunctionConcurrency function = Function("f");
        Watch("f");
        const auto now = Clock::now();
        for (int i = 0; i < 10; ++i) {
            EXPECT_TRUE(function.Enter(now).ok());
        }
        static_cast<void>(co_await Told());
        EXPECT_FALSE(function.Enter(now).ok());
        EXPECT_EQ(co_await Told(), Names{"f"});
        EXPECT_EQ(when_, now + std::chrono::milliseconds(100));
        // One that is not counted comes and goes: no room for those that are.
        EXPECT_TRUE(function.Enter(now, false).ok());
        if (Clock::now() < when_) {
            EXPECT_EQ(co_await Told(), Names{});
        }
    });
}

TEST_F(RoomWatchTest, EverybodyIsToldOfAnotherReserve) {
    With(1'000, {{"f", 0}}, [this]() -> Task<void> {
        FunctionConcurrency function = Function("f");
        Watch("f");
        Watch("g");
        EXPECT_FALSE(function.Enter(Clock::now()).ok());
        reserves_ = {{"f", 2}};
        EXPECT_TRUE((co_await limits_->Load(account_, region_)).ok());
        EXPECT_EQ(co_await Told(), (Names{"f", "g"}));
        // There is room for another one besides this.
        const auto place = function.Enter(Clock::now());
        EXPECT_TRUE(place.ok());
        EXPECT_EQ(co_await Told(), Names{"f"});
        // Who stopped waiting hears nothing more, though it was on its way.
        Account().watches.Room("f");
        watches_.erase("f");
        EXPECT_EQ(co_await Told(), Names{});
    });
}

}  // namespace
}  // namespace hearth::lambda
