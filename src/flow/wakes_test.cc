#include "flow/wakes.h"

#include "flow/due_times.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace hearth::flow {
namespace {

using std::chrono::seconds;

TEST(Wakes, AHintReachesWhoListensToItsKey) {
    rt::Loops loops(2);
    Wakes wakes(loops);
    std::atomic<int> heard{0};
    std::atomic<int> others{0};
    auto test = [&]() -> Task<void> {
        rt::Event event;
        const auto mine = wakes.Listen("a", [&] {
            ++heard;
            event.Set();
        });
        const auto other = wakes.Listen("b", [&] { ++others; });
        wakes.Publish("a");
        // Never from inside of Publish.
        EXPECT_EQ(heard, 0);
        co_await event.Wait();
        EXPECT_EQ(heard, 1);
        // Hints that come before the listener ran are one.
        event.Reset();
        wakes.Publish("a");
        wakes.Publish("a");
        wakes.Publish("a");
        co_await event.Wait();
        co_await rt::Yield();
        EXPECT_EQ(heard, 2);
    };
    rt::BlockOn(loops, 1, test);
    wakes.Publish("a");
    EXPECT_EQ(others, 0);
}

TEST(Wakes, AListenerMayEndItselfAndIsNotCalledAgain) {
    rt::Loops loops(1);
    Wakes wakes(loops);
    int heard = 0;
    auto test = [&]() -> Task<void> {
        std::unique_ptr<Wakes::Watch> watch;
        watch = wakes.Listen("a", [&] {
            ++heard;
            watch.reset();
        });
        wakes.Publish("a");
        co_await rt::Yield();
        co_await rt::Yield();
        wakes.Publish("a");
        co_await rt::Yield();
        EXPECT_EQ(heard, 1);
        // On its way when the watch ends.
        watch = wakes.Listen("a", [&] { ++heard; });
        wakes.Publish("a");
        watch.reset();
        co_await rt::Yield();
        EXPECT_EQ(heard, 1);
    };
    rt::BlockOn(loops, 0, test);
}

// After the last hint the listener runs once more, so nothing published before it is overlooked.
TEST(Wakes, NoHintOfManyThreadsIsOverlooked) {
    rt::Loops loops(2);
    Wakes wakes(loops);
    std::atomic<int> written{0};
    std::atomic<int> seen{0};
    std::unique_ptr<Wakes::Watch> watch;
    rt::Event all;
    auto listen = [&]() -> Task<void> {
        watch = wakes.Listen("key", [&] {
            seen = written.load();
            if (seen == 4'000) {
                all.Set();
            }
        });
        co_return;
    };
    rt::BlockOn(loops, 0, listen);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int j = 0; j < 1'000; ++j) {
                ++written;
                wakes.Publish("key");
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    auto wait = [&]() -> Task<void> {
        co_await all.Wait();
        watch.reset();
    };
    rt::BlockOn(loops, 0, wait);
    EXPECT_EQ(seen, 4'000);
}

TEST(DueTimes, DeadlinesAreCalledInOrderOnceForEachSet) {
    // One loop: then nothing here suspends, and the timer of the machine cannot come between.
    rt::Loops loops(1);
    testing::FakeCloudClock clock;
    DueTimes due_times(clock, loops);
    EXPECT_EQ(due_times.NextDue(), std::nullopt);
    auto test = [&]() -> Task<void> {
        std::string called;
        const auto a = due_times.Make([&] { called += 'a'; });
        const auto b = due_times.Make([&] { called += 'b'; });
        std::unique_ptr<DueTimes::Entry> again;
        again = due_times.Make([&] {
            called += 'c';
            again->Set(clock.Now());
        });
        a->Set(clock.Now() + seconds(20));
        b->Set(clock.Now() + seconds(10));
        EXPECT_EQ(due_times.NextDue(), clock.Now() + seconds(10));
        clock.Advance(seconds(10));
        EXPECT_EQ(co_await due_times.RunDue(), 1u);
        clock.Advance(seconds(10));
        EXPECT_EQ(co_await due_times.RunDue(), 1u);
        EXPECT_EQ(co_await due_times.RunDue(), 0u);
        EXPECT_EQ(called, "ba");
        // One that sets itself to the present does not hold up the others.
        again->Set(clock.Now());
        a->Set(clock.Now());
        EXPECT_EQ(co_await due_times.RunDue(), 2u);
        EXPECT_EQ(called, "baca");
        again->Set(std::nullopt);
        b->Set(clock.Now() + seconds(1));
        b->Set(std::nullopt);
        EXPECT_EQ(due_times.NextDue(), std::nullopt);
    };
    rt::BlockOn(loops, 0, test);
}

TEST(DueTimes, AnEntryMayEndItselfAndOthers) {
    rt::Loops loops(1);
    testing::FakeCloudClock clock;
    DueTimes due_times(clock, loops);
    auto test = [&]() -> Task<void> {
        int called = 0;
        std::unique_ptr<DueTimes::Entry> first;
        std::unique_ptr<DueTimes::Entry> second;
        first = due_times.Make([&] {
            ++called;
            first.reset();
            second.reset();
        });
        second = due_times.Make([&] { ++called; });
        first->Set(clock.Now());
        second->Set(clock.Now());
        EXPECT_EQ(co_await due_times.RunDue(), 1u);
        EXPECT_EQ(called, 1);
    };
    rt::BlockOn(loops, 0, test);
    EXPECT_EQ(due_times.NextDue(), std::nullopt);
}

TEST(DueTimes, TheTimerOfTheMachineCallsThem) {
    rt::Loops loops(2);
    testing::FakeCloudClock clock;
    DueTimes due_times(clock, loops);
    auto test = [&]() -> Task<void> {
        rt::Event event;
        const auto entry = due_times.Make([&] { event.Set(); });
        entry->Set(clock.Now());
        co_await event.Wait();
        event.Reset();
        // As if the machine's clock was set: told of it, it looks again.
        entry->Set(clock.Now() + seconds(100));
        clock.Advance(seconds(100));
        due_times.ClockMoved();
        co_await event.Wait();
    };
    rt::BlockOn(loops, 1, test);
}

}  // namespace
}  // namespace hearth::flow
