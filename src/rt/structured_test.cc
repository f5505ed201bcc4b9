// TaskGroup, WithTimeout, BlockingPool, FdWatch: children end before their parent goes on.
#include "os/fd.h"
#include "rt/blocking_pool.h"
#include "rt/event.h"
#include "rt/fd_watch.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "rt/timeout.h"
#include "rt/timer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

namespace hearth::rt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(TaskGroup, JoinWaitsForAll) {
    RunTask([]() -> Task<void> {
        int done = 0;
        TaskGroup group;
        for (int i = 0; i < 10; ++i) {
            group.Spawn([&done, i]() -> Task<void> {
                for (int turn = 0; turn < i; ++turn) {
                    co_await Yield();
                }
                ++done;
            });
        }
        co_await group.Join();
        EXPECT_EQ(done, 10);
        co_await group.Join();
    }());
}

TEST(TaskGroup, CancelUnwindsTheChildrenAtTheirWaits) {
    RunTask([]() -> Task<void> {
        struct Unwound {
            int& count;

            ~Unwound() { ++count; }
        };

        int unwound = 0;
        Event never;
        TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            const Unwound guard{unwound};
            co_await never.Wait();
            ADD_FAILURE() << "the wait was cancelled";
        });
        group.Spawn([&]() -> Task<void> {
            const Unwound guard{unwound};
            co_await Sleep(seconds(3600));
            ADD_FAILURE() << "the sleep was cancelled";
        });
        co_await Yield();
        co_await Yield();
        group.Cancel();
        co_await group.Join();
        EXPECT_EQ(unwound, 2);
        EXPECT_EQ(never.waiters(), 0u);
    }());
}

TEST(TaskGroup, JoinRethrowsTheFirstExceptionAfterAllHaveEnded) {
    RunTask([]() -> Task<void> {
        bool slow_done = false;
        TaskGroup group;
        group.Spawn([]() -> Task<void> {
            co_await Yield();
            throw std::runtime_error("as intended");
        });
        group.Spawn([&]() -> Task<void> {
            co_await Sleep(milliseconds(2));
            slow_done = true;
        });
        bool threw = false;
        try {
            co_await group.Join();
        } catch (const std::runtime_error&) {
            threw = true;
        }
        EXPECT_TRUE(threw);
        EXPECT_TRUE(slow_done);
    }());
}

TEST(TaskGroup, ACancelledJoinerCancelsAndStillWaits) {
    RunTask([]() -> Task<void> {
        int ended = 0;
        TaskGroup outer;
        outer.Spawn([&]() -> Task<void> {
            co_await WithTaskGroup([&](TaskGroup& inner) -> Task<void> {
                for (int i = 0; i < 3; ++i) {
                    inner.Spawn([&]() -> Task<void> {
                        try {
                            co_await Sleep(seconds(3600));
                        } catch (...) {
                            ++ended;
                            throw;
                        }
                    });
                }
                co_return;
            });
        });
        co_await Sleep(milliseconds(1));
        outer.Cancel();
        co_await outer.Join();
        EXPECT_EQ(ended, 3);
    }());
}

TEST(TaskGroup, WithTaskGroupJoinsWhenTheBodyThrows) {
    RunTask([]() -> Task<void> {
        bool child_ended = false;
        bool threw = false;
        try {
            co_await WithTaskGroup([&](TaskGroup& group) -> Task<int> {
                group.Spawn([&]() -> Task<void> {
                    try {
                        co_await Sleep(seconds(3600));
                    } catch (...) {
                        child_ended = true;
                    }
                });
                co_await Sleep(milliseconds(1));
                throw std::runtime_error("as intended");
            });
        } catch (const std::runtime_error&) {
            threw = true;
        }
        EXPECT_TRUE(threw);
        EXPECT_TRUE(child_ended);
    }());
}

TEST(WithTimeout, GivesTheValueInTime) {
    RunTask([]() -> Task<void> {
        auto task = []() -> Task<int> {
            co_await Yield();
            co_return 5;
        };
        EXPECT_EQ(co_await WithTimeout(task(), seconds(600)), 5);
    }());
}

TEST(WithTimeout, CancelsAndWaitsForTheEnd) {
    RunTask([]() -> Task<void> {
        bool unwound = false;
        auto task = [](bool* flag) -> Task<int> {
            struct Mark {
                bool* flag;

                ~Mark() { *flag = true; }
            } mark{flag};

            Event never;
            co_await never.Wait();
            co_return 1;
        };
        EXPECT_EQ(co_await WithTimeout(task(&unwound), milliseconds(1)), std::nullopt);
        EXPECT_TRUE(unwound);
        EXPECT_FALSE(co_await WithTimeout(Sleep(seconds(3600)), milliseconds(1)));
        EXPECT_TRUE(co_await WithTimeout(Sleep(milliseconds(0)), seconds(600)));
        // The caller itself is not cancelled.
        co_await Sleep(milliseconds(0));
    }());
}

TEST(WithTimeout, ReachesAcrossRunOn) {
    Loops loops(2);
    BlockOn(loops, 0, [&]() -> Task<void> {
        auto task = [](Loops* all) -> Task<int> {
            co_return co_await RunOn(*all, 1, []() -> Task<int> {
                co_await Sleep(seconds(3600));
                co_return 1;
            });
        };
        EXPECT_EQ(co_await WithTimeout(task(&loops), milliseconds(2)), std::nullopt);
    });
}

TEST(WithTimeout, PassesExceptionsOn) {
    RunTask([]() -> Task<void> {
        auto task = []() -> Task<int> {
            co_await Yield();
            throw std::runtime_error("as intended");
        };
        bool threw = false;
        try {
            (void)co_await WithTimeout(task(), seconds(600));
        } catch (const std::runtime_error&) {
            threw = true;
        }
        EXPECT_TRUE(threw);
    }());
}

TEST(BlockingPool, RunsElsewhereAndComesBack) {
    BlockingPool pool({.threads_max = 2});
    EXPECT_EQ(pool.threads(), 0);
    RunTask([](BlockingPool* used) -> Task<void> {
        const auto here = std::this_thread::get_id();
        std::string text = "captured";
        const auto [there, seen] =
            co_await used->Run([&] { return std::pair(std::this_thread::get_id(), text); });
        EXPECT_NE(there, here);
        EXPECT_EQ(std::this_thread::get_id(), here);
        EXPECT_EQ(seen, "captured");
        bool threw = false;
        try {
            co_await used->Run([] { throw std::runtime_error("as intended"); });
        } catch (const std::runtime_error&) {
            threw = true;
        }
        EXPECT_TRUE(threw);
    }(&pool));
    EXPECT_LE(pool.threads(), 2);
}

TEST(BlockingPool, NeverMoreThreadsThanAllowed) {
    constexpr int kThreads = 3;
    BlockingPool pool({.threads_max = kThreads});
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    RunTask([](BlockingPool* used, std::atomic<int>* now, std::atomic<int>* high) -> Task<void> {
        TaskGroup group;
        for (int i = 0; i < 200; ++i) {
            group.Spawn([=]() -> Task<void> {
                co_await used->Run([=] {
                    const int count = ++*now;
                    int seen = *high;
                    while (seen < count && !high->compare_exchange_weak(seen, count)) {
                    }
                    std::this_thread::yield();
                    --*now;
                });
            });
        }
        co_await group.Join();
    }(&pool, &running, &most));
    EXPECT_GE(most, 1);
    EXPECT_LE(most, kThreads);
}

TEST(BlockingPool, WhatWorkHoldsMayPostWhenItGoes) {
    std::atomic<bool> ran = false;
    {
        BlockingPool pool({.threads_max = 1});
        std::shared_ptr<void> last(nullptr, [&](void*) { pool.Post([&ran] { ran = true; }); });
        pool.Post([held = std::move(last)] {});
        while (!ran) {
            std::this_thread::yield();
        }
    }
    EXPECT_TRUE(ran);
}

TEST(BlockingPool, IdleThreadsEnd) {
    BlockingPool pool({.threads_max = 4, .idle_timeout = milliseconds(1)});
    RunTask([](BlockingPool* used) -> Task<void> { co_await used->Run([] {}); }(&pool));
    const auto deadline = std::chrono::steady_clock::now() + seconds(60);
    while (pool.threads() > 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    EXPECT_EQ(pool.threads(), 0);
    RunTask([](BlockingPool* used) -> Task<void> { co_await used->Run([] {}); }(&pool));
}

TEST(BlockingPool, CancellationWaitsForTheFunction) {
    BlockingPool pool({.threads_max = 1});
    RunTask([](BlockingPool* used) -> Task<void> {
        std::latch release(1);
        bool finished = false;
        TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            co_await used->Run([&] {
                release.wait();
                finished = true;
            });
        });
        co_await Sleep(milliseconds(1));
        group.Cancel();
        co_await Yield();
        EXPECT_EQ(group.size(), 1u);
        release.count_down();
        co_await group.Join();
        EXPECT_TRUE(finished);
    }(&pool));
}

TEST(BlockingPool, DestructorRunsWhatIsQueued) {
    std::atomic<int> ran = 0;
    {
        BlockingPool pool({.threads_max = 1});
        for (int i = 0; i < 100; ++i) {
            pool.Post([&] { ++ran; });
        }
    }
    EXPECT_EQ(ran, 100);
}

TEST(FdWatch, SeesDataEndAndCancel) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    os::Fd reader(ends[0]);
    os::Fd writer(ends[1]);
    RunTask([](int in, os::Fd* out) -> Task<void> {
        auto watch = FdWatch::Make(in);
        EXPECT_TRUE(watch.ok());
        EXPECT_EQ(::write(out->get(), "x", 1), 1);
        EXPECT_TRUE((co_await watch->Readable()).ok());
        char byte = 0;
        EXPECT_EQ(::read(in, &byte, 1), 1);

        TaskGroup group;
        bool cancelled = false;
        group.Spawn([&]() -> Task<void> { cancelled = !(co_await watch->Readable()).ok(); });
        co_await Yield();
        co_await Yield();
        watch->Cancel();
        co_await group.Join();
        EXPECT_TRUE(cancelled);

        out->Close();
        EXPECT_TRUE((co_await watch->Readable()).ok());
        EXPECT_EQ(::read(in, &byte, 1), 0);
    }(reader.get(), &writer));
    // The watch closed nothing.
    EXPECT_NE(::fcntl(reader.get(), F_GETFD), -1);
}

TEST(FdWatch, RefusesWhatCannotBePolled) {
    const os::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    RunTask([](int fd) -> Task<void> {
        EXPECT_FALSE(FdWatch::Make(fd).ok());
        co_return;
    }(file.get()));
}

}  // namespace
}  // namespace hearth::rt
