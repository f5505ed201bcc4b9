#include "flow/clock_advance.h"
#include "flow/durable_cloud_clock.h"
#include "flow/schedule.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

namespace hearth::flow {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr milliseconds kLimit = std::chrono::seconds(60);

// A cloud's time and timers on a real loop, over a store that outlives them.
class FlowTest : public ::testing::Test {
  protected:
    FlowTest() { Open(); }

    ~FlowTest() override { Close(); }

    // Runs `task` (a callable returning one) on the loop.
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(*loops_, 0, std::move(function));
    }

    void Open() {
        loops_ = std::make_unique<rt::Loops>(2);
        auto clock = Run([this] { return DurableCloudClock::Load(*kv_, wall_); });
        CHECK(clock.ok());
        clock_ = *std::move(clock);
        schedule_ = std::make_unique<Schedule>(*kv_, *clock_, *loops_, Schedule::Options{});
        schedule_->Register("note", [this](const DueTimer& timer) -> Task<Status> {
            seen_.push_back(timer.key + "@" + std::to_string(UnixMs(timer.due) - start_ms_));
            if (on_fire_) {
                co_return co_await on_fire_(timer);
            }
            co_return Status();
        });
    }

    void Start() {
        ASSERT_TRUE(Run([this] { return schedule_->Start(); }).ok());
    }

    void Close() {
        if (schedule_) {
            Run([this] { return schedule_->Stop(); });
        }
        schedule_.reset();
        loops_.reset();
    }

    CloudClock::time_point At(milliseconds after_start) {
        return CloudClock::time_point(milliseconds(start_ms_) + after_start);
    }

    void Put(std::string key, milliseconds after_start) {
        const DueTimer timer{.kind = "note", .key = key, .due = At(after_start), .payload = "p"};
        ASSERT_TRUE(Run([&] { return schedule_->PutAlone(timer); }).ok());
    }

    AdvanceReport Advance(milliseconds by) {
        ClockAdvance advance(*clock_, *schedule_);
        auto report = Run([&] { return advance.Advance(by); });
        EXPECT_TRUE(report.ok());
        return *std::move(report);
    }

    Status Settle() {
        return Run([this] { return schedule_->Settle(nullptr, kLimit); });
    }

    testing::FakeWallClock wall_;
    const int64_t start_ms_ = UnixMs<WallClock>(wall_.Now());
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    std::unique_ptr<rt::Loops> loops_;
    std::unique_ptr<DurableCloudClock> clock_;
    std::unique_ptr<Schedule> schedule_;
    // Written on the loop, read while nothing runs there.
    std::vector<std::string> seen_;
    std::function<Task<Status>(const DueTimer&)> on_fire_;
};

using Seen = std::vector<std::string>;

TEST_F(FlowTest, TheClockKeepsItsOffsetAndNeverGoesBack) {
    wall_.Advance(milliseconds(5));
    EXPECT_EQ(clock_->Now(), At(milliseconds(5)));
    ASSERT_TRUE(Run([&] { return clock_->AdvanceTo(At(hours(24))); }).ok());
    EXPECT_EQ(clock_->Now(), At(hours(24)));
    wall_.Advance(-milliseconds(3));
    EXPECT_EQ(clock_->Now(), At(hours(24)));
    wall_.Advance(milliseconds(3));
    Close();
    Open();
    EXPECT_EQ(clock_->Now(), At(hours(24)));
    ASSERT_TRUE(Run([&] { return clock_->AdvanceTo(At(hours(1))); }).ok());
    EXPECT_EQ(clock_->Now(), At(hours(24)));
}

TEST_F(FlowTest, TimersFireInDueOrderWhenTimeComes) {
    Start();
    Put("late", hours(2));
    Put("early", hours(1));
    EXPECT_TRUE(Settle().ok());
    EXPECT_EQ(seen_, Seen{});
    EXPECT_EQ(Advance(milliseconds(hours(1)) - milliseconds(1)).fired_count, 0u);
    EXPECT_EQ(Advance(milliseconds(1)).fired_count, 1u);
    EXPECT_EQ(seen_, (Seen{"early@3600000"}));
    const AdvanceReport report = Advance(hours(24 * 90));
    EXPECT_EQ(report.now, At(hours(1 + 24 * 90)));
    ASSERT_EQ(report.fired.size(), 1u);
    EXPECT_EQ(report.fired.front().key, "late");
    EXPECT_EQ(report.fired.front().payload, "p");
    EXPECT_EQ(seen_, (Seen{"early@3600000", "late@7200000"}));
    EXPECT_EQ(Run([this] { return schedule_->NextDue(); }).value(), std::nullopt);
}

TEST_F(FlowTest, WhatIsDueNowFiresByItself) {
    Start();
    rt::Event fired;
    on_fire_ = [&](const DueTimer&) -> Task<Status> {
        fired.Set();
        co_return Status();
    };
    Put("now", milliseconds(0));
    Run([&] { return fired.Wait(); });
    Put("soon", milliseconds(20));
    // The fake wall clock stands still, so only the clock's move makes it due.
    wall_.Advance(milliseconds(20));
    schedule_->ClockMoved();
    EXPECT_TRUE(Settle().ok());
    EXPECT_EQ(seen_, (Seen{"now@0", "soon@20"}));
}

TEST_F(FlowTest, TimersSurviveARestart) {
    Start();
    Put("a", hours(1));
    Close();
    Open();
    EXPECT_EQ(seen_, Seen{});
    wall_.Advance(hours(2));
    Start();
    EXPECT_TRUE(Settle().ok());
    EXPECT_EQ(seen_, (Seen{"a@3600000"}));
}

TEST_F(FlowTest, PutReplacesAndCancelTakesAway) {
    Start();
    Put("a", hours(1));
    Put("a", hours(3));
    Put("b", hours(1));
    const storage::Kv::Body cancel = [&](storage::Transaction& t) -> Task<Status> {
        co_return co_await schedule_->Cancel(t, "note", "b");
    };
    ASSERT_TRUE(Run([&] { return kv_->Transact(cancel); }).ok());
    ASSERT_TRUE(Run([&] { return kv_->Transact(cancel); }).ok());
    Advance(hours(24));
    EXPECT_EQ(seen_, (Seen{"a@10800000"}));
}

TEST_F(FlowTest, AFailedHandlerIsCalledAgainWithPauses) {
    Start();
    int failures = 3;
    on_fire_ = [&](const DueTimer&) -> Task<Status> {
        if (failures-- > 0) {
            co_return errors::Unavailable("not yet");
        }
        co_return Status();
    };
    Put("a", hours(1));
    Advance(hours(2));
    EXPECT_EQ(seen_, (Seen{"a@3600000", "a@3601000", "a@3603000", "a@3607000"}));
}

TEST_F(FlowTest, AHandlerThatThrowsIsCalledAgain) {
    Start();
    bool thrown = false;
    on_fire_ = [&](const DueTimer&) -> Task<Status> {
        if (!std::exchange(thrown, true)) {
            throw std::runtime_error("a bug");
        }
        co_return Status();
    };
    Put("a", hours(1));
    Advance(hours(2));
    EXPECT_EQ(seen_, (Seen{"a@3600000", "a@3601000"}));
}

TEST_F(FlowTest, AHandlerMayPutItsTimerAnew) {
    Start();
    on_fire_ = [&](const DueTimer& timer) -> Task<Status> {
        DueTimer next = timer;
        next.due += hours(24);
        co_return co_await schedule_->PutAlone(next);
    };
    Put("daily", hours(1));
    const AdvanceReport report = Advance(hours(24 * 30));
    EXPECT_EQ(report.fired_count, 30u);
    EXPECT_EQ(seen_.back(), "daily@" + std::to_string(milliseconds(hours(1 + 24 * 29)).count()));
}

TEST_F(FlowTest, AnUnknownKindWaitsForItsHandler) {
    Start();
    const DueTimer timer{.kind = "future", .key = "k", .due = At(hours(1)), .payload = ""};
    ASSERT_TRUE(Run([&] { return schedule_->PutAlone(timer); }).ok());
    Advance(hours(1) + milliseconds(1));
    EXPECT_TRUE(Run([this] { return schedule_->NextDue(); }).value().has_value());
}

TEST_F(FlowTest, ManyTimersOfOneMomentAllFire) {
    Start();
    for (int i = 0; i < 300; ++i) {
        Put(fmt::format("{:03}", i), hours(1));
    }
    EXPECT_EQ(Advance(hours(1)).fired_count, 300u);
    std::sort(seen_.begin(), seen_.end());
    EXPECT_EQ(std::unique(seen_.begin(), seen_.end()) - seen_.begin(), 300);
}

// The store loses answers and conflicts at random; every timer still fires at least once.
TEST_F(FlowTest, AFaultyStoreLosesNoTimer) {
    Close();
    kv_ = storage::MakeMemoryKv({.seed = 7, .conflict_per_mille = 200});
    Open();
    Start();
    for (int i = 0; i < 50; ++i) {
        Put(fmt::format("{:03}", i), hours(1 + i % 3));
    }
    Advance(hours(24));
    std::set<std::string> once(seen_.begin(), seen_.end());
    EXPECT_EQ(once.size(), 50u);
}

TEST(Duration, IsReadAsPeopleWriteIt) {
    EXPECT_EQ(*ParseDuration("90d"), hours(24 * 90));
    EXPECT_EQ(*ParseDuration("1d12h"), hours(36));
    EXPECT_EQ(*ParseDuration("250ms"), milliseconds(250));
    EXPECT_EQ(*ParseDuration("5m10s"), milliseconds(310'000));
    for (const std::string_view bad :
         {"", "d", "5", "-5d", "5x", "5 d", "d5", "99999999999999999999d", "1000000000w"}) {
        EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
    }
}

}  // namespace
}  // namespace hearth::flow
