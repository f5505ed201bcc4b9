#include "services/logs/subscriptions.h"

#include "base/random.h"
#include "codec/json/json.h"
#include "flow/courier.h"
#include "flow/due_times.h"
#include "flow/durable_cloud_clock.h"
#include "flow/schedule.h"
#include "rt/loops.h"
#include "services/logs/log_store.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>

namespace hearth::logs {
namespace {

constexpr char kFunction[] = "arn:aws:lambda:us-east-1:000000000000:function:f";

// A function as subscriptions see it.
class FakeTarget final : public EventTarget {
  public:
    Task<Status> Check(Origin, std::string) override { co_return Status(); }

    Task<Status> Send(Origin origin, std::string target_arn, Event event) override {
        const std::lock_guard lock(mutex_);
        EXPECT_EQ(origin.service_principal, "logs.amazonaws.com");
        EXPECT_EQ(target_arn, kFunction);
        if (failures_ > 0) {
            --failures_;
            co_return hearth::errors::Unavailable("not now");
        }
        bodies_.push_back(std::move(event.body));
        requests_.insert(std::move(event.request_id));
        co_return Status();
    }

    void FailNext(int count) {
        const std::lock_guard lock(mutex_);
        failures_ = count;
    }

    size_t calls() {
        const std::lock_guard lock(mutex_);
        return bodies_.size();
    }

    // Of the invocations; a delivery that comes twice has the same.
    std::set<std::string> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

  private:
    std::mutex mutex_;
    int failures_ = 0;
    std::vector<std::string> bodies_;
    std::set<std::string> requests_;
};

class SubscriptionsTest : public ::testing::Test {
  protected:
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

    void Open(storage::MemoryKvOptions faults = {}) {
        kv_ = storage::MakeMemoryKv(faults);
        due_times_ = std::make_unique<flow::DueTimes>(clock_, loops_);
        courier_ = std::make_unique<flow::Courier>(flow::Courier::Deps{
            .kv = *kv_,
            .clock = clock_,
            .due_times = *due_times_,
            .random = *random_,
            .loops = loops_});
        subscriptions_ = std::make_unique<Subscriptions>(Subscriptions::Deps{
            .courier = *courier_,
            .targets = target_,
            .cloud_clock = clock_,
            .monotonic_clock = monotonic_,
            .random = *random_});
        schedule_ =
            std::make_unique<flow::Schedule>(*kv_, clock_, loops_, flow::Schedule::Options{});
        store_ = std::make_unique<LogStore>(LogStore::Deps{
            .kv = *kv_,
            .schedule = *schedule_,
            .wall_clock = wall_,
            .cloud_clock = clock_,
            .random = *random_,
            .subscriptions = subscriptions_.get()});
        ASSERT_TRUE(Run([this] { return courier_->Start(); }).ok());
        started_ = true;
    }

    ~SubscriptionsTest() override {
        if (started_) {
            Run([this] { return courier_->Stop(); });
        }
    }

    Status Append(std::vector<std::string> messages) {
        std::vector<LogStore::NewEvent> events;
        for (std::string& message : messages) {
            events.push_back({UnixMs<WallClock>(wall_.Now()), std::move(message)});
        }
        return Run([&] { return store_->Append(group_, stream_, std::move(events), true); });
    }

    void Subscribe(std::string pattern) {
        const LogStore::ChangeFilters change = [&](SubscriptionFilters& filters) -> Status {
            filters.push_back(
                {.name = "f" + std::to_string(filters.size()),
                 .pattern = pattern,
                 .destination_arn = kFunction,
                 .distribution = "ByLogStream",
                 .created_ms = 1});
            return Status();
        };
        // Faults may refuse it.
        for (int attempt = 0; attempt < 100; ++attempt) {
            const Status done = Run([&] { return store_->UpdateFilters(group_, change); });
            if (done.ok()) {
                return;
            }
        }
        FAIL() << "no filter could be put";
    }

    void Settle() {
        const Status settled = Run([this] { return courier_->Settle(std::chrono::minutes(1)); });
        EXPECT_TRUE(settled.ok()) << settled.error().message();
    }

    rt::Loops loops_{1};
    testing::FakeCloudClock clock_;
    testing::FakeMonotonicClock monotonic_;
    testing::FakeWallClock wall_;
    std::shared_ptr<Random> random_ = Random::Seeded(7);
    FakeTarget target_;
    GroupName group_{AccountId("000000000000"), Region("us-east-1"), "/test/group"};
    std::string stream_ = "stream";
    std::unique_ptr<storage::Kv> kv_;
    std::unique_ptr<flow::DueTimes> due_times_;
    std::unique_ptr<flow::Courier> courier_;
    std::unique_ptr<Subscriptions> subscriptions_;
    std::unique_ptr<flow::Schedule> schedule_;
    std::unique_ptr<LogStore> store_;
    bool started_ = false;
};

TEST_F(SubscriptionsTest, RecordsComeBack) {
    const SubscriptionFilters filters = {
        {.name = "a",
         .pattern = "[x]",
         .destination_arn = "arn",
         .distribution = "Random",
         .created_ms = 12,
         .apply_on_transformed = true},
        {.name = "b"}};
    const auto back = DecodeSubscriptions(EncodeSubscriptions(filters));
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(back->size(), 2U);
    EXPECT_EQ((*back)[0].pattern, "[x]");
    EXPECT_EQ((*back)[0].created_ms, 12);
    EXPECT_TRUE((*back)[0].apply_on_transformed);
    EXPECT_EQ((*back)[1].name, "b");
    EXPECT_FALSE(DecodeSubscriptions("\x01\x02").ok());
}

TEST_F(SubscriptionsTest, OneCallForABatchThatMatches) {
    Open();
    ASSERT_TRUE(Append({"before"}).ok());
    Subscribe("ERROR");
    ASSERT_TRUE(Append({"ERROR 1", "fine", "ERROR 2"}).ok());
    ASSERT_TRUE(Append({"fine"}).ok());
    Settle();
    EXPECT_EQ(target_.calls(), 1U);
}

TEST_F(SubscriptionsTest, LargeBatchesAreSeveralCalls) {
    Open();
    ASSERT_TRUE(Append({"before"}).ok());
    Subscribe("");
    std::vector<std::string> messages(10, std::string(200'000, 'x'));
    ASSERT_TRUE(Append(std::move(messages)).ok());
    Settle();
    EXPECT_EQ(target_.calls(), 5U);
}

// A function that is not there holds up its events, and loses none.
TEST_F(SubscriptionsTest, WhatCannotBeDeliveredWaits) {
    Open();
    ASSERT_TRUE(Append({"before"}).ok());
    Subscribe("");
    target_.FailNext(3);
    ASSERT_TRUE(Append({"a"}).ok());
    for (int i = 0; i < 10 && target_.calls() == 0; ++i) {
        Settle();
        clock_.Advance(std::chrono::minutes(1));
        due_times_->ClockMoved();
    }
    Settle();
    EXPECT_EQ(target_.calls(), 1U);
}

// Whatever the store answers: what was kept is told, and what was refused is not.
TEST_F(SubscriptionsTest, EveryKeptBatchIsToldOverAFaultyStore) {
    Open({.seed = 11, .conflict_per_mille = 200, .unknown_per_mille = 100});
    while (!Append({"before"}).ok()) {
    }
    Subscribe("");
    size_t acknowledged = 0;
    size_t open = 0;
    for (int i = 0; i < 200; ++i) {
        const Status appended = Append({std::to_string(i)});
        if (appended.ok()) {
            ++acknowledged;
        } else if (appended.error().code() == "Unknown") {
            ++open;
        }
    }
    for (int i = 0; i < 100 && target_.requests().size() < acknowledged; ++i) {
        Settle();
        clock_.Advance(std::chrono::minutes(10));
        due_times_->ClockMoved();
    }
    EXPECT_GT(acknowledged, 100U);
    EXPECT_GE(target_.requests().size(), acknowledged);
    EXPECT_LE(target_.requests().size(), acknowledged + open);
}

}  // namespace
}  // namespace hearth::logs
