// Event, Completion, Semaphore, Timer: who waits, who wakes, and what a deadline does.
#include "rt/completion.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/semaphore.h"
#include "rt/task_group.h"
#include "rt/timer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace hearth::rt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

TEST(Event, SetWakesAllWhoWait) {
    RunTask([]() -> Task<void> {
        Event event;
        int woken = 0;
        TaskGroup group;
        for (int i = 0; i < 3; ++i) {
            group.Spawn([&]() -> Task<void> {
                co_await event.Wait();
                ++woken;
            });
        }
        co_await Yield();
        co_await Yield();
        EXPECT_EQ(event.waiters(), 3u);
        EXPECT_EQ(woken, 0);
        event.Set();
        co_await group.Join();
        EXPECT_EQ(woken, 3);
        co_await event.Wait();  // Set: returns at once.
    }());
}

TEST(Event, WakeAllLeavesItUnset) {
    RunTask([]() -> Task<void> {
        Event event;
        TaskGroup group;
        group.Spawn([&]() -> Task<void> { co_await event.Wait(); });
        while (event.waiters() == 0) {
            co_await Yield();
        }
        event.WakeAll();
        co_await group.Join();
        EXPECT_FALSE(event.is_set());
    }());
}

TEST(Event, WaitForSaysWhichCameFirst) {
    RunTask([]() -> Task<void> {
        Event event;
        EXPECT_FALSE(co_await event.WaitFor(milliseconds(1)));
        EXPECT_FALSE(co_await event.WaitUntil(steady_clock::now() - seconds(1)));
        TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            co_await Yield();
            event.Set();
        });
        EXPECT_TRUE(co_await event.WaitFor(seconds(600)));
        EXPECT_TRUE(co_await event.WaitFor(milliseconds(0)));
        co_await group.Join();
    }());
}

TEST(Event, SetAndDeadlineInOneTurnAreSafe) {
    // The timer has fired and is queued while Set wakes the waiter: the late callback finds nobody.
    RunTask([]() -> Task<void> {
        for (int round = 0; round < 200; ++round) {
            Event event;
            TaskGroup group;
            group.Spawn([&]() -> Task<void> { (void)co_await event.WaitFor(milliseconds(0)); });
            co_await Yield();
            event.Set();
            co_await group.Join();
        }
    }());
}

TEST(Completion, SetBeforeAndAfterTheWait) {
    RunTask([]() -> Task<void> {
        Completion<std::string> early;
        EXPECT_TRUE(early.Set("early"));
        EXPECT_FALSE(early.Set("second"));
        EXPECT_EQ(co_await early.Wait(), "early");

        Completion<std::unique_ptr<int>> late;
        TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            co_await Yield();
            late.Set(std::make_unique<int>(5));
        });
        const auto value = co_await late.Wait();
        EXPECT_EQ(*value, 5);
        co_await group.Join();
    }());
}

TEST(Completion, WaitUntilMayBeRepeated) {
    RunTask([]() -> Task<void> {
        Completion<int> completion;
        EXPECT_EQ(co_await completion.WaitFor(milliseconds(1)), std::nullopt);
        completion.Set(3);
        EXPECT_EQ(co_await completion.WaitFor(milliseconds(0)), 3);
    }());
}

TEST(Completion, RaceOfSetterThreadsAgainstWaitersAndDeadlines) {
    constexpr int kRounds = 2000;
    RunTask([]() -> Task<void> {
        for (int round = 0; round < kRounds; ++round) {
            const auto completion = std::make_shared<Completion<int>>();
            std::thread setter([completion, round] { completion->Set(round); });
            if (round % 2 == 0) {
                EXPECT_EQ(co_await completion->Wait(), round);
            } else {
                const auto value = co_await completion->WaitFor(std::chrono::microseconds(20));
                if (value.has_value()) {
                    EXPECT_EQ(*value, round);
                } else {
                    EXPECT_EQ(co_await completion->Wait(), round);
                }
            }
            setter.join();
        }
    }());
}

TEST(Completion, InTheWaitersFrameWhenTheSetterIsDoneWithIt) {
    // The documented lifetime: the waiter frees it as soon as it has the value.
    constexpr int kRounds = 2000;
    RunTask([]() -> Task<void> {
        for (int round = 0; round < kRounds; ++round) {
            auto completion = std::make_unique<Completion<int>>();
            std::thread setter([pointer = completion.get()] { pointer->Set(1); });
            EXPECT_EQ(co_await completion->Wait(), 1);
            completion.reset();
            setter.join();
        }
    }());
}

TEST(Semaphore, FirstComeFirstServed) {
    RunTask([]() -> Task<void> {
        Semaphore semaphore(2);
        std::vector<int> order;
        TaskGroup group;
        for (int i = 0; i < 5; ++i) {
            group.Spawn([&semaphore, &order, i]() -> Task<void> {
                auto units = co_await semaphore.Take(i == 2 ? 2 : 1);
                order.push_back(i);
                co_await Yield();
            });
        }
        co_await group.Join();
        EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
        EXPECT_EQ(semaphore.available(), 2);
        EXPECT_FALSE(semaphore.TryTake(3));
    }());
}

TEST(Semaphore, CancelledWaiterLetsTheNextPass) {
    RunTask([]() -> Task<void> {
        Semaphore semaphore(1);
        TaskGroup big;
        TaskGroup small;
        bool got = false;
        big.Spawn([&]() -> Task<void> { (void)co_await semaphore.Take(2); });
        while (semaphore.waiters() == 0) {
            co_await Yield();
        }
        small.Spawn([&]() -> Task<void> {
            auto units = co_await semaphore.Take(1);
            got = true;
        });
        while (semaphore.waiters() < 2) {
            co_await Yield();
        }
        big.Cancel();
        co_await big.Join();
        co_await small.Join();
        EXPECT_TRUE(got);
        EXPECT_EQ(semaphore.available(), 1);
    }());
}

TEST(Timer, RearmingReplacesAndCancelSilences) {
    RunTask([]() -> Task<void> {
        int fired = 0;
        Event event;
        Timer timer([&] {
            ++fired;
            event.Set();
        });
        timer.ArmIn(milliseconds(0));
        timer.ArmIn(milliseconds(0));
        co_await event.Wait();
        EXPECT_EQ(fired, 1);
        EXPECT_FALSE(timer.armed());

        timer.ArmIn(milliseconds(0));
        timer.Cancel();
        co_await Sleep(milliseconds(2));
        EXPECT_EQ(fired, 1);
        {
            Timer gone([&] { ++fired; }), *pointer = &gone;
            pointer->ArmIn(milliseconds(0));
        }
        co_await Sleep(milliseconds(2));
        EXPECT_EQ(fired, 1);
    }());
}

TEST(Timer, MayRearmItselfFromItsCallback) {
    RunTask([]() -> Task<void> {
        int fired = 0;
        Event event;
        std::unique_ptr<Timer> timer;
        timer = std::make_unique<Timer>([&] {
            if (++fired == 3) {
                event.Set();
            } else {
                timer->ArmIn(milliseconds(0));
            }
        });
        timer->ArmIn(milliseconds(0));
        co_await event.Wait();
        EXPECT_EQ(fired, 3);
    }());
}

}  // namespace
}  // namespace hearth::rt
