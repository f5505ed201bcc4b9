#include "services/s3/notifications.h"

#include "base/random.h"
#include "codec/json/json.h"
#include "flow/courier.h"
#include "flow/due_times.h"
#include "rt/loops.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

namespace hearth::s3 {
namespace {

constexpr char kQueue[] = "arn:aws:sqs:us-east-1:000000000000:q";

// A queue as buckets see it.
class FakeTarget final : public EventTarget {
  public:
    Task<Status> Check(Origin, std::string) override { co_return Status(); }

    Task<Status> Send(Origin origin, std::string target_arn, Event event) override {
        const std::lock_guard lock(mutex_);
        EXPECT_EQ(origin.service_principal, "s3.amazonaws.com");
        EXPECT_EQ(origin.source_arn, "arn:aws:s3:::told");
        EXPECT_EQ(target_arn, kQueue);
        ++calls_;
        if (error_) {
            co_return *error_;
        }
        const auto json = codec::ParseJson(event.body);
        EXPECT_TRUE(json.ok());
        const codec::Json* object =
            json->Find("Records")->AsArray()->front().Find("s3")->Find("object");
        const std::string& key = *object->FindString("key");
        const std::string& sequencer = *object->FindString("sequencer");
        sequencers_[key].insert(sequencer);
        co_return Status();
    }

    void Answer(std::optional<Error> error) {
        const std::lock_guard lock(mutex_);
        error_ = std::move(error);
    }

    // By key; one that came twice counts once.
    std::map<std::string, std::set<std::string>> sequencers() {
        const std::lock_guard lock(mutex_);
        return sequencers_;
    }

    int calls() {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

  private:
    std::mutex mutex_;
    std::optional<Error> error_;
    std::map<std::string, std::set<std::string>> sequencers_;
    int calls_ = 0;
};

class NotificationsTest : public ::testing::Test {
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
        notifications_ = std::make_unique<Notifications>(Notifications::Deps{
            .courier = *courier_,
            .targets = target_,
            .wall_clock = wall_,
            .cloud_clock = clock_,
            .random = *random_});
        ASSERT_TRUE(Run([this] { return courier_->Start(); }).ok());
        started_ = true;
        bucket_.record.name = "told";
        bucket_.record.account = AccountId("000000000000");
        bucket_.record.region = Region("us-east-1");
        bucket_.compiled.notifications =
            std::make_shared<const NotificationRules>(std::vector<NotificationRule>{
                {.id = "rule",
                 .destination_arn = kQueue,
                 .events = *ParseNotificationEvents("s3:ObjectCreated:*"),
                 .prefix = {},
                 .suffix = {}}});
    }

    ~NotificationsTest() override {
        if (started_) {
            Run([this] { return courier_->Stop(); });
        }
    }

    // A change as operations make it: the object's key is read and written in the transaction.
    Status Change(std::string key, NotificationEvent event = NotificationEvent::kCreatedPut) {
        Announcement announcement = notifications_->Announce(bucket_, nullptr);
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            announcement.Begin();
            HEARTH_CO_TRY(const auto before, co_await transaction.Get(key));
            transaction.Put(key, before.value_or("") + "x");
            ObjectRecord object;
            object.key = key;
            co_return announcement.Add(transaction, event, object);
        };
        const Status status = Run([&] { return kv_->Transact(body); });
        announcement.End(status);
        return status;
    }

    void Settle() {
        const Status settled = Run([this] { return courier_->Settle(std::chrono::minutes(1)); });
        EXPECT_TRUE(settled.ok()) << settled.error().message();
    }

    void Advance(CloudClock::duration by) {
        clock_.Advance(by);
        due_times_->ClockMoved();
        Settle();
    }

    rt::Loops loops_{1};
    testing::FakeCloudClock clock_;
    testing::FakeWallClock wall_;
    std::shared_ptr<Random> random_ = Random::Seeded(7);
    FakeTarget target_;
    BucketState bucket_;
    std::unique_ptr<storage::Kv> kv_;
    std::unique_ptr<flow::DueTimes> due_times_;
    std::unique_ptr<flow::Courier> courier_;
    std::unique_ptr<Notifications> notifications_;
    bool started_ = false;
};

TEST_F(NotificationsTest, WhatNobodyAskedForIsNotTold) {
    Open();
    ASSERT_TRUE(Change("a", NotificationEvent::kAclPut).ok());
    ASSERT_TRUE(Change("b").ok());
    Settle();
    const auto told = target_.sequencers();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told.count("b"), 1U);
}

TEST_F(NotificationsTest, SequencersGrowThoughTheClockStands) {
    Open();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(Change("a").ok());
    }
    Settle();
    EXPECT_EQ(target_.sequencers()["a"].size(), 50U);
}

// A queue that is gone for an hour loses nothing, and is not asked all the time.
TEST_F(NotificationsTest, EventsWaitForTheirDestination) {
    Open();
    target_.Answer(Error(Error::Kind::kNotFound, "", "no such queue", 404));
    for (const char* key : {"a", "b", "c"}) {
        ASSERT_TRUE(Change(key).ok());
    }
    Settle();
    for (int minute = 0; minute < 60; ++minute) {
        Advance(std::chrono::minutes(1));
    }
    EXPECT_LT(target_.calls(), 150);
    EXPECT_TRUE(target_.sequencers().empty());
    target_.Answer(std::nullopt);
    Advance(std::chrono::minutes(6));
    EXPECT_EQ(target_.sequencers().size(), 3U);
}

TEST_F(NotificationsTest, AfterADayTheyAreGivenUp) {
    Open();
    target_.Answer(Error(Error::Kind::kNotFound, "", "no such queue", 404));
    ASSERT_TRUE(Change("a").ok());
    Settle();
    Advance(std::chrono::hours(25));
    target_.Answer(std::nullopt);
    Advance(std::chrono::hours(1));
    EXPECT_TRUE(target_.sequencers().empty());
}

// Whatever the store answers: each change that was made is told, and no other.
TEST_F(NotificationsTest, EveryCommittedChangeIsToldOverAFaultyStore) {
    Open({.seed = 5, .conflict_per_mille = 200, .unknown_per_mille = 100});
    std::set<std::string> made;
    std::set<std::string> open;
    for (int i = 0; i < 300; ++i) {
        const std::string key = std::to_string(i);
        const Status status = Change(key);
        if (status.ok()) {
            made.insert(key);
        } else if (status.error().code() == "Unknown") {
            open.insert(key);
        }
    }
    EXPECT_GT(made.size(), 150U);
    const auto all_told = [&] {
        const auto told = target_.sequencers();
        return std::all_of(
            made.begin(), made.end(), [&](const std::string& key) { return told.contains(key); });
    };
    for (int i = 0; i < 200 && !all_told(); ++i) {
        Advance(std::chrono::minutes(5));
    }
    EXPECT_TRUE(all_told());
    for (const auto& [key, sequencers] : target_.sequencers()) {
        EXPECT_TRUE(made.contains(key) || open.contains(key)) << key;
        // A delivery may come twice; it is the same event.
        EXPECT_EQ(sequencers.size(), 1U) << key;
        if (open.contains(key)) {
            const auto there = Run([&] { return kv_->Get(key); });
            EXPECT_TRUE(there.ok() && there->has_value()) << key;
        }
    }
}

}  // namespace
}  // namespace hearth::s3
