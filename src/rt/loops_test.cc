#include "rt/loops.h"

#include "rt/task_group.h"
#include "rt/timer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace hearth::rt {
namespace {

Task<int> Answer(int value) {
    co_await Yield();
    co_return value;
}

TEST(RunTask, GivesTheValueAndRethrows) {
    EXPECT_EQ(RunTask(Answer(42)), 42);
    EXPECT_THROW(
        RunTask([]() -> Task<void> {
            co_await Yield();
            throw std::runtime_error("as intended");
        }()),
        std::runtime_error);
    EXPECT_FALSE(OnALoop());
}

TEST(Loops, PostRunsOnTheNamedLoop) {
    Loops loops(3);
    for (int index = 0; index < loops.size(); ++index) {
        std::binary_semaphore done(0);
        int seen = -1;
        loops.Post(index, [&] {
            seen = CurrentIndex();
            done.release();
        });
        done.acquire();
        EXPECT_EQ(seen, index);
    }
    EXPECT_EQ(CurrentIndex(), -1);
}

TEST(RunOn, GoesToTheOtherLoopAndComesBack) {
    Loops loops(2);
    const std::string answer = BlockOn(loops, 0, [&]() -> Task<std::string> {
        EXPECT_EQ(CurrentIndex(), 0);
        std::string local = "there ";
        // The callable captures and dies only after its task.
        auto there = co_await RunOn(loops, 1, [&local]() -> Task<std::string> {
            EXPECT_EQ(CurrentIndex(), 1);
            co_await Yield();
            EXPECT_EQ(CurrentIndex(), 1);
            co_return local + "and back";
        });
        EXPECT_EQ(CurrentIndex(), 0);
        co_return there;
    });
    EXPECT_EQ(answer, "there and back");
}

TEST(RunOn, OnTheSameLoopCallsAtOnce) {
    Loops loops(1);
    BlockOn(loops, 0, [&]() -> Task<void> {
        bool ran = false;
        co_await RunOn(loops, 0, [&]() -> Task<void> {
            ran = true;
            co_return;
        });
        EXPECT_TRUE(ran);
    });
}

TEST(RunOn, BringsExceptionsBack) {
    Loops loops(2);
    EXPECT_THROW(
        BlockOn(
            loops,
            0,
            [&]() -> Task<void> {
                co_await RunOn(loops, 1, []() -> Task<int> {
                    co_await Yield();
                    throw std::runtime_error("as intended");
                });
            }),
        std::runtime_error);
}

TEST(RunOn, ManyHopsFromAllLoopsKeepTheirValues) {
    constexpr int kTasks = 40;
    constexpr int kHops = 100;
    Loops loops(4);
    std::atomic<int> sum = 0;
    std::vector<std::thread> starters;
    for (int loop = 0; loop < loops.size(); ++loop) {
        starters.emplace_back([&, loop] {
            BlockOn(loops, loop, [&, loop]() -> Task<void> {
                TaskGroup group;
                for (int task = 0; task < kTasks; ++task) {
                    group.Spawn([&, loop]() -> Task<void> {
                        for (int hop = 0; hop < kHops; ++hop) {
                            const int target = (loop + hop) % loops.size();
                            const int got = co_await RunOn(loops, target, [target]() -> Task<int> {
                                EXPECT_EQ(CurrentIndex(), target);
                                co_return 1;
                            });
                            EXPECT_EQ(CurrentIndex(), loop);
                            sum += got;
                        }
                    });
                }
                co_await group.Join();
            });
        });
    }
    for (auto& starter : starters) {
        starter.join();
    }
    EXPECT_EQ(sum, loops.size() * kTasks * kHops);
}

TEST(RunOn, MoveOnlyValues) {
    Loops loops(2);
    const auto value = BlockOn(loops, 0, [&]() -> Task<std::unique_ptr<int>> {
        return RunOn(
            loops, 1, []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); });
    });
    EXPECT_EQ(*value, 7);
}

}  // namespace
}  // namespace hearth::rt
