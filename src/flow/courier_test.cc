#include "flow/courier.h"

#include "base/random.h"
#include "flow/clock_advance.h"
#include "flow/delivery_records.h"
#include "flow/due_times.h"
#include "flow/durable_cloud_clock.h"
#include "flow/schedule.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>

namespace hearth::flow {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds kLimit = minutes(2);

// Passes everything on until it is dead: from then on the store can be reached no more, as for a
// process that was killed. Counts reads.
class MortalKv final : public storage::Kv {
  public:
    explicit MortalKv(storage::Kv& kv) : kv_(kv) {}

    Task<Result<std::optional<std::string>>> Get(std::string_view key) override {
        if (Gone()) {
            co_return errors::Unavailable("dead");
        }
        reads_.fetch_add(1);
        co_return co_await kv_.Get(key);
    }

    Task<Result<storage::RangePage>> Range(storage::RangeRequest request) override {
        if (Gone()) {
            co_return errors::Unavailable("dead");
        }
        reads_.fetch_add(1);
        co_return co_await kv_.Range(std::move(request));
    }

    Task<Status> Transact(Body body) override {
        if (Gone()) {
            co_return errors::Unavailable("dead");
        }
        co_return co_await kv_.Transact(std::move(body));
    }

    // After so many more calls.
    void DieAfter(int64_t calls) { left_ = calls; }

    bool dead() const { return left_.load() <= 0; }

    int64_t reads() const { return reads_.load(); }

  private:
    bool Gone() { return left_.fetch_sub(1) <= 0; }

    storage::Kv& kv_;
    std::atomic<int64_t> left_{INT64_MAX};
    std::atomic<int64_t> reads_{0};
};

int NumberOf(const std::string& text) {
    return std::stoi(text);
}

struct Seen {
    std::string lane;
    std::string payload;
    int attempts;
    int64_t at_ms;
};

// A courier on real loops over a store that outlives it, by a clock that the test moves.
class CourierTest : public ::testing::Test {
  protected:
    ~CourierTest() override { Close(); }

    template <class F>
    auto Run(F function) {
        return rt::BlockOn(*loops_, 0, std::move(function));
    }

    // The default kind is "note"; its handler asks `on_delivery_`.
    void Open(int loop_count = 1) {
        loops_ = std::make_unique<rt::Loops>(loop_count);
        due_times_ = std::make_unique<DueTimes>(clock_, *loops_);
        mortal_ = std::make_unique<MortalKv>(*kv_);
        courier_ = std::make_unique<Courier>(
            Courier::Deps{
                .kv = *mortal_,
                .clock = clock_,
                .due_times = *due_times_,
                .random = *random_,
                .loops = *loops_},
            limits_);
        courier_->Register(
            "note", [this](const Delivery& delivery) { return Handle(delivery); }, options_);
    }

    void Start() {
        const Status status = Run([this] { return courier_->Start(); });
        ASSERT_TRUE(status.ok()) << status.error().message();
        running_ = true;
    }

    void OpenAndStart(int loop_count = 1) {
        Open(loop_count);
        Start();
    }

    void Close() {
        if (running_) {
            Run([this] { return courier_->Stop(); });
        }
        running_ = false;
        courier_.reset();
        mortal_.reset();
        due_times_.reset();
        loops_.reset();
    }

    void Restart(int loop_count = 1) {
        Close();
        // No process starts in the millisecond in which another one ended.
        clock_.Advance(milliseconds(1));
        OpenAndStart(loop_count);
    }

    Task<Result<Verdict>> Handle(const Delivery& delivery) {
        {
            const std::lock_guard lock(mutex_);
            seen_.push_back(
                {delivery.lane,
                 delivery.payload,
                 delivery.attempts,
                 UnixMs(clock_.Now()) - start_});
        }
        if (on_delivery_) {
            co_return co_await on_delivery_(delivery);
        }
        co_return Verdict::Done();
    }

    Delivery Make(std::string lane, std::string payload) {
        return courier_->Make("note", std::move(lane), std::move(payload));
    }

    void Send(const std::string& lane, const std::string& payload) {
        const Delivery delivery = Make(lane, payload);
        const Status status = Run([&] { return courier_->Send(delivery); });
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    // Puts them, in transactions of 400, and says so only when told to.
    void PutMany(const std::vector<Delivery>& deliveries, bool announce) {
        for (size_t begin = 0; begin < deliveries.size(); begin += 400) {
            const size_t end = std::min(deliveries.size(), begin + 400);
            const storage::Kv::Body body = [&](storage::Transaction& t) -> Task<Status> {
                for (size_t i = begin; i < end; ++i) {
                    HEARTH_CO_RETURN_IF_ERROR(courier_->Put(t, deliveries[i]));
                }
                co_return Status();
            };
            const Status status = Run([&] { return mortal_->Transact(body); });
            ASSERT_TRUE(status.ok()) << status.error().message();
            for (size_t i = begin; announce && i < end; ++i) {
                courier_->Committed(deliveries[i]);
            }
        }
    }

    void Settle() {
        const Status status = Run([this] { return courier_->Settle(kLimit); });
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    // From deadline to deadline.
    void Advance(milliseconds by) {
        const CloudClock::time_point target = clock_.Now() + by;
        Settle();
        while (true) {
            const auto next = due_times_->NextDue();
            if (!next || *next > target) {
                break;
            }
            clock_.Set(std::max(*next, clock_.Now()));
            Run([this] { return due_times_->RunDue(); });
            Settle();
        }
        clock_.Set(target);
    }

    std::vector<std::string> Payloads() {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> payloads;
        for (const Seen& seen : seen_) {
            payloads.push_back(seen.payload);
        }
        return payloads;
    }

    std::vector<int64_t> Times() {
        const std::lock_guard lock(mutex_);
        std::vector<int64_t> times;
        for (const Seen& seen : seen_) {
            times.push_back(seen.at_ms);
        }
        return times;
    }

    size_t StoredKeys() {
        auto count = [this]() -> Task<size_t> {
            storage::RangeRequest range{.begin = std::string(1, '\0'), .end = "\xff"};
            size_t keys = 0;
            while (true) {
                auto page = co_await kv_->Range(range);
                CHECK(page.ok());
                keys += page->items.size();
                if (!page->next) {
                    co_return keys;
                }
                range.begin = *page->next;
            }
        };
        return Run(count);
    }

    testing::FakeCloudClock clock_;
    const int64_t start_ = UnixMs(clock_.Now());
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    std::unique_ptr<rt::Loops> loops_;
    std::unique_ptr<DueTimes> due_times_;
    std::unique_ptr<MortalKv> mortal_;
    std::unique_ptr<Courier> courier_;
    Courier::Limits limits_;
    Courier::KindOptions options_;
    bool running_ = false;
    std::mutex mutex_;
    std::vector<Seen> seen_;
    std::function<Task<Result<Verdict>>(const Delivery&)> on_delivery_;
};

using Texts = std::vector<std::string>;

TEST_F(CourierTest, WhatIsSentArrivesWithoutAReadOfTheStore) {
    OpenAndStart();
    const int64_t reads = mortal_->reads();
    for (int i = 0; i < 20; ++i) {
        Send("lane", std::to_string(i));
    }
    Settle();
    EXPECT_EQ(seen_.size(), 20u);
    EXPECT_EQ(mortal_->reads(), reads);
    EXPECT_EQ(StoredKeys(), 0u);
    EXPECT_EQ(courier_->Counts()["note"].delivered, 20u);
}

TEST_F(CourierTest, WhatWasPutIsThereAfterARestart) {
    Open();
    PutMany({Make("a", "1"), Make("b", "2")}, false);
    Close();
    EXPECT_EQ(Payloads(), Texts{});
    OpenAndStart();
    Settle();
    Texts payloads = Payloads();
    std::ranges::sort(payloads);
    EXPECT_EQ(payloads, (Texts{"1", "2"}));
    Restart();
    Settle();
    EXPECT_EQ(seen_.size(), 2u);
}

TEST_F(CourierTest, AnErrorIsTriedAgainWithGrowingPauses) {
    OpenAndStart();
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        if (delivery.attempts < 2) {
            co_return errors::Unavailable("not yet");
        }
        if (delivery.attempts < 4) {
            throw std::runtime_error("a bug");
        }
        co_return Verdict::Done();
    };
    Send("lane", "x");
    Advance(hours(1));
    ASSERT_EQ(seen_.size(), 5u);
    const std::vector<int64_t> times = Times();
    for (size_t i = 1; i < times.size(); ++i) {
        const int64_t whole = 1'000 << (i - 1);
        EXPECT_GE(times[i] - times[i - 1], whole / 2);
        EXPECT_LE(times[i] - times[i - 1], whole);
    }
    EXPECT_EQ(courier_->Counts()["note"].failed, 4u);
    EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(CourierTest, ARetryKeepsItsTimeAndAttemptsOverARestart) {
    OpenAndStart();
    on_delivery_ = [](const Delivery& delivery) -> Task<Result<Verdict>> {
        if (delivery.attempts < 2) {
            co_return Verdict::Retry(minutes(1 + delivery.attempts));
        }
        co_return Verdict::Done();
    };
    Send("lane", "x");
    Settle();
    Restart();
    // A restart takes a millisecond here.
    Advance(minutes(1) - milliseconds(2));
    EXPECT_EQ(seen_.size(), 1u);
    Advance(milliseconds(1));
    EXPECT_EQ(seen_.size(), 2u);
    Restart();
    Advance(minutes(2));
    EXPECT_EQ(Times(), (std::vector<int64_t>{0, 60'000, 180'000}));
}

TEST_F(CourierTest, LargePayloadsLieApartAndMayBeReplaced) {
    limits_.loop_payload_bytes = 0;
    OpenAndStart();
    const std::string large(kDeliveryPayloadBytesMax, 'a');
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        switch (delivery.attempts) {
            case 0:
                co_return Verdict::Retry(seconds(1));
            case 1:
                co_return Verdict::Retry(seconds(1), std::string(200'000, 'b'));
            case 2:
                co_return Verdict::Retry(seconds(1), "small");
            case 3:
                co_return Verdict::Retry(seconds(1), std::string(300'000, 'c'));
            default:
                co_return Verdict::Done();
        }
    };
    Send("lane", large);
    Advance(hours(1));
    EXPECT_EQ(
        Payloads(),
        (Texts{large, large, std::string(200'000, 'b'), "small", std::string(300'000, 'c')}));
    EXPECT_EQ(StoredKeys(), 0u);
    Delivery too_large = Make("lane", large + "a");
    EXPECT_FALSE(Run([&] { return courier_->Send(too_large); }).ok());
}

TEST_F(CourierTest, ALaneRestsAndOthersGoOn) {
    OpenAndStart();
    bool down = true;
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        if (down && delivery.lane == "down") {
            co_return Verdict::Hold(hours(24));
        }
        co_return Verdict::Done();
    };
    Send("down", "1");
    Settle();
    for (int i = 0; i < 50; ++i) {
        Send("down", "more");
        Send("up", "x");
    }
    Settle();
    EXPECT_EQ(seen_.size(), 51u);
    auto lanes = Run([this] { return courier_->List("note", "", 10); });
    ASSERT_EQ(lanes.size(), 1u);
    EXPECT_EQ(lanes[0].pending, 51u);
    EXPECT_TRUE(lanes[0].pending_exact);
    EXPECT_EQ(lanes[0].held_until, clock_.Now() + hours(24));
    down = false;
    Advance(hours(24));
    EXPECT_EQ(seen_.size(), 102u);
    EXPECT_EQ(courier_->Counts()["note"].held, 1u);
    EXPECT_TRUE(Run([this] { return courier_->List("", "", 10); }).empty());
}

TEST_F(CourierTest, AnOrderedLaneWaitsForEachInTurn) {
    options_.ordered = true;
    limits_.lane_window = 8;
    OpenAndStart();
    on_delivery_ = [](const Delivery& delivery) -> Task<Result<Verdict>> {
        // Every third fails twice, which holds up those behind it.
        if (std::stoi(delivery.payload) % 3 == 0 && delivery.attempts < 2) {
            co_return Verdict::Retry(seconds(10));
        }
        co_return Verdict::Done();
    };
    for (int i = 0; i < 100; ++i) {
        Send("lane", std::to_string(i));
        if (i == 50) {
            Restart();
        }
    }
    Advance(hours(1));
    Texts done;
    for (const Seen& seen : seen_) {
        if (std::stoi(seen.payload) % 3 != 0 || seen.attempts == 2) {
            done.push_back(seen.payload);
        }
    }
    ASSERT_EQ(done.size(), 100u);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(done[static_cast<size_t>(i)], std::to_string(i));
    }
    EXPECT_EQ(StoredKeys(), 0u);
}

// One place for all: lanes of a loop take turns, and loops do.
TEST_F(CourierTest, OneLaneWithManyStarvesNobody) {
    options_.running_max = 1;
    limits_.lane_window = 32;
    for (const int loop_count : {1, 3}) {
        seen_.clear();
        Open(loop_count);
        std::vector<Delivery> many;
        for (int i = 0; i < 5'000; ++i) {
            many.push_back(Make("noisy", "n"));
        }
        PutMany(many, false);
        for (int i = 0; i < 8; ++i) {
            PutMany(
                {Make(fmt::format("quiet-{}", i), "q"), Make(fmt::format("quiet-{}", i), "q")},
                false);
        }
        on_delivery_ = [](const Delivery&) -> Task<Result<Verdict>> {
            co_await rt::Yield();
            co_return Verdict::Done();
        };
        Start();
        Settle();
        const Texts payloads = Payloads();
        ASSERT_EQ(payloads.size(), 5'016u);
        const auto last = std::find(payloads.rbegin(), payloads.rend(), "q");
        // Through long before the noisy one's backlog, though loops start one after the other.
        EXPECT_LT(payloads.rend() - last, 2'500) << loop_count;
        Close();
    }
}

TEST_F(CourierTest, AKindAndALaneRunNoMoreThanTheyMay) {
    options_.running_max = 5;
    options_.running_per_lane = 2;
    OpenAndStart(4);
    std::atomic<int> running{0};
    std::atomic<int> running_most{0};
    std::map<std::string, std::atomic<int>> by_lane;
    for (int i = 0; i < 16; ++i) {
        by_lane[std::to_string(i)] = 0;
    }
    std::atomic<bool> too_many{false};
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        const int now = running.fetch_add(1) + 1;
        running_most = std::max(running_most.load(), now);
        too_many = too_many || now > 5 || by_lane.at(delivery.lane).fetch_add(1) >= 2;
        co_await rt::Yield();
        co_await rt::Yield();
        by_lane.at(delivery.lane).fetch_sub(1);
        running.fetch_sub(1);
        co_return Verdict::Done();
    };
    std::vector<Delivery> many;
    for (int i = 0; i < 2'000; ++i) {
        many.push_back(Make(std::to_string(i % 16), "x"));
    }
    PutMany(many, true);
    Settle();
    EXPECT_EQ(seen_.size(), 2'000u);
    EXPECT_FALSE(too_many);
    EXPECT_GE(running_most, 2);
}

TEST_F(CourierTest, WhatFollowsIsThereWhenItsCauseIsGone) {
    Open();
    Texts followed;
    courier_->Register(
        "after",
        [&](const Delivery& delivery) -> Task<Result<Verdict>> {
            followed.push_back(delivery.payload);
            co_return Verdict::Done();
        },
        {});
    Start();
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        std::vector<Delivery> then;
        then.push_back(courier_->Make("after", "there", delivery.payload + "!"));
        then.push_back(courier_->Make("after", "there", std::string(100'000, 'l')));
        co_return Verdict::Done(std::move(then));
    };
    Send("lane", "x");
    Settle();
    EXPECT_EQ(followed, (Texts{"x!", std::string(100'000, 'l')}));
    EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(CourierTest, ADroppedLaneIsGoneWithWhatRuns) {
    OpenAndStart();
    auto gate = std::make_shared<rt::Event>();
    on_delivery_ = [gate](const Delivery& delivery) -> Task<Result<Verdict>> {
        if (delivery.lane == "kept") {
            co_return Verdict::Done();
        }
        co_await gate->Wait();
        co_return Verdict::Retry(seconds(1));
    };
    std::vector<Delivery> many;
    for (int i = 0; i < 2'000; ++i) {
        many.push_back(Make("lane", i % 7 == 0 ? std::string(5'000, 'l') : "s"));
    }
    PutMany(many, true);
    Send("kept", "k");
    auto drop = [&]() -> Task<Status> {
        const Status status = co_await courier_->DropLane("note", "lane");
        gate->Set();
        co_return status;
    };
    EXPECT_TRUE(Run(drop).ok());
    Advance(hours(1));
    EXPECT_EQ(seen_.size(), 1u + options_.running_per_lane);
    EXPECT_EQ(StoredKeys(), 0u);
    Send("lane", "new");
    Settle();
    EXPECT_EQ(Payloads().back(), "new");
}

TEST_F(CourierTest, ADropEndsWithTheDrainThoughTheStoreIsGone) {
    OpenAndStart();
    auto gate = std::make_shared<rt::Event>();
    on_delivery_ = [gate](const Delivery&) -> Task<Result<Verdict>> {
        co_await gate->Wait();
        co_return Verdict::Done();
    };
    Send("lane", "x");
    auto drop = [&]() -> Task<Status> {
        co_await rt::Yield();
        mortal_->DieAfter(0);
        gate->Set();
        Status status;
        rt::TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            // The end of the delivery cannot be written, and is waited for.
            for (int i = 0; i < 10; ++i) {
                co_await rt::Yield();
            }
            status = co_await courier_->DropLane("note", "lane");
        });
        for (int i = 0; i < 20; ++i) {
            co_await rt::Yield();
        }
        co_await courier_->Drain(milliseconds(0));
        co_await group.Join();
        co_return status;
    };
    EXPECT_FALSE(Run(drop).ok());
}

TEST_F(CourierTest, ARecordWithoutItsPayloadIsTakenAway) {
    OpenAndStart();
    const Delivery delivery = Make("lane", std::string(100'000, 'l'));
    PutMany({delivery}, false);
    const std::string key = DeliveryPayloadKey("note", "lane", delivery.id);
    ASSERT_TRUE(Run([&] { return kv_->Delete(key); }).ok());
    courier_->LookAgain("note", "lane");
    Settle();
    EXPECT_EQ(seen_.size(), 0u);
    EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(CourierTest, AHundredThousandWaitOnDisk) {
    limits_.lane_window = 64;
    OpenAndStart(2);
    constexpr size_t kCount = 100'000;
    std::vector<Delivery> many;
    for (size_t i = 0; i < kCount; ++i) {
        Delivery delivery = Make(i % 2 == 0 ? "a" : "b", std::to_string(i));
        delivery.due += seconds(1 + i % 5);
        many.push_back(std::move(delivery));
    }
    PutMany(many, true);
    Settle();
    EXPECT_LE(Run([this] { return courier_->CountInMemory(); }), 2 * 65u);
    const auto lanes = Run([this] { return courier_->List("", "", 10); });
    ASSERT_EQ(lanes.size(), 2u);
    EXPECT_EQ(lanes[0].pending, kCount / 2);
    EXPECT_TRUE(lanes[0].pending_exact);
    size_t in_memory_most = 0;
    for (int i = 0; i < 5; ++i) {
        Advance(seconds(1));
        in_memory_most =
            std::max(in_memory_most, Run([this] { return courier_->CountInMemory(); }));
    }
    EXPECT_LE(in_memory_most, 2 * 65u);
    Texts payloads = Payloads();
    std::ranges::sort(payloads);
    EXPECT_EQ(payloads.size(), kCount);
    EXPECT_EQ(std::ranges::unique(payloads).size(), 0u);
    EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(CourierTest, ADeliveryNobodyToldOfIsFoundWhenAsked) {
    OpenAndStart();
    PutMany({Make("lane", "silent")}, false);
    Settle();
    EXPECT_EQ(seen_.size(), 0u);
    courier_->LookAgain("note", "lane");
    Settle();
    EXPECT_EQ(Payloads(), (Texts{"silent"}));
}

TEST_F(CourierTest, AnAnnouncementThatComesLateIsNoSecondDelivery) {
    OpenAndStart();
    const Delivery delivery = Make("lane", "once");
    PutMany({delivery}, false);
    courier_->LookAgain("note", "lane");
    Settle();
    courier_->Committed(delivery);
    Settle();
    EXPECT_EQ(Payloads(), (Texts{"once"}));
    // The lane is forgotten again after a while.
    Advance(hours(1));
    EXPECT_EQ(due_times_->NextDue(), std::nullopt);
}

TEST_F(CourierTest, ItStopsWhileHandlersWait) {
    OpenAndStart();
    auto never = std::make_shared<rt::Event>();
    on_delivery_ = [never](const Delivery&) -> Task<Result<Verdict>> {
        co_await never->Wait();
        co_return Verdict::Done();
    };
    Send("lane", "x");
    Close();
    never.reset();
    on_delivery_ = nullptr;
    OpenAndStart();
    Settle();
    EXPECT_EQ(seen_.size(), 2u);
    EXPECT_EQ(StoredKeys(), 0u);
}

// `hearth clock advance` lives through deadlines and timers in their order.
TEST(ClockAdvanceOverAll, GoesFromDeadlineToDeadline) {
    testing::FakeWallClock wall;
    const std::unique_ptr<storage::Kv> kv = storage::MakeMemoryKv();
    rt::Loops loops(2);
    const auto random = Random::Seeded(3);
    auto loaded = rt::BlockOn(loops, 0, [&] { return DurableCloudClock::Load(*kv, wall); });
    ASSERT_TRUE(loaded.ok());
    DurableCloudClock& clock = **loaded;
    Schedule schedule(*kv, clock, loops, {});
    DueTimes due_times(clock, loops);
    Courier courier(
        {.kv = *kv, .clock = clock, .due_times = due_times, .random = *random, .loops = loops});
    const CloudClock::time_point start = clock.Now();
    std::vector<std::string> seen;
    std::mutex mutex;
    const auto note = [&](const std::string& what) {
        const std::lock_guard lock(mutex);
        seen.push_back(fmt::format("{}@{}", what, (clock.Now() - start) / minutes(1)));
    };
    courier.Register(
        "mail",
        [&](const Delivery& delivery) -> Task<Result<Verdict>> {
            note(delivery.payload);
            // Retried on its first two attempts; each time a day later.
            if (delivery.attempts < 2) {
                co_return Verdict::Retry(hours(24));
            }
            co_return Verdict::Done();
        },
        {});
    courier.Register(
        "never",
        [](const Delivery&) -> Task<Result<Verdict>> { co_return errors::Unavailable("x"); },
        {});
    schedule.Register("daily", [&](const DueTimer&) -> Task<Status> {
        note("timer");
        // What a timer causes is there before the next one fires.
        co_return co_await courier.Send(courier.Make("mail", "lane", "caused"));
    });
    auto test = [&]() -> Task<void> {
        CHECK((co_await courier.Start()).ok());
        CHECK((co_await schedule.Start()).ok());
        const DueTimer timer{.kind = "daily", .key = "k", .due = start + hours(36), .payload = ""};
        CHECK((co_await schedule.PutAlone(timer)).ok());
        CHECK((co_await courier.Send(courier.Make("mail", "lane", "sent"))).ok());
        CHECK((co_await courier.Send(courier.Make("never", "lane", ""))).ok());
        ClockAdvance advance(clock, schedule, &due_times, &courier);
        const auto report = co_await advance.Advance(hours(24 * 90));
        CHECK(report.ok(), "{}", report.error().message());
        EXPECT_EQ(report->fired_count, 1u);
        // The first one was tried before, or is tried as the first thing.
        EXPECT_GE(report->attempts.at("mail"), 5u);
        EXPECT_LE(report->attempts.at("mail"), 6u);
        // One hour at most between two attempts, half of that at least.
        EXPECT_GE(report->attempts.at("never"), 24u * 90);
        EXPECT_LE(report->attempts.at("never"), 2u * 24 * 90 + 20);
        EXPECT_EQ(report->now, start + hours(24 * 90));
        co_await schedule.Stop();
        co_await courier.Stop();
    };
    rt::BlockOn(loops, 0, test);
    EXPECT_EQ(
        seen,
        (Texts{
            "sent@0",
            "sent@1440",
            "timer@2160",
            "caused@2160",
            "sent@2880",
            "caused@3600",
            "caused@5040"}));
}

TEST_F(CourierTest, IdsGrow) {
    Open();
    std::string last;
    for (int i = 0; i < 1'000; ++i) {
        const std::string id = courier_->NewId();
        EXPECT_LT(last, id);
        last = id;
        if (i == 500) {
            clock_.Advance(milliseconds(1));
        }
    }
}

// The process dies at any moment, the store loses answers and conflicts at random: what was
// acknowledged and not done runs again, and an ordered lane never goes back behind what it has
// done.
class CourierCrash : public CourierTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(CourierCrash, NothingAcknowledgedIsLost) {
    const uint64_t seed = GetParam();
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 numbers(seed);
    kv_ = storage::MakeMemoryKv({.seed = seed, .conflict_per_mille = 50, .unknown_per_mille = 20});
    options_.ordered = seed % 2 == 0;
    limits_.lane_window = 6;
    limits_.store_pause = milliseconds(1);
    random_ = Random::Seeded(seed);
    const int loop_count = 1 + static_cast<int>(seed % 3);

    // By lane, and what handlers said Done to; under the mutex.
    std::map<std::string, std::set<int>> acknowledged;
    std::set<int> done;
    bool in_order = true;
    std::atomic<uint64_t> dice{seed};
    on_delivery_ = [&](const Delivery& delivery) -> Task<Result<Verdict>> {
        const uint64_t roll = dice.fetch_add(0x9e3779b97f4a7c15) >> 33;
        if (roll % 3 == 0) {
            co_await rt::Yield();
        }
        switch (roll % 11) {
            case 0:
                co_return errors::Unavailable("down");
            case 1:
                co_return Verdict::Retry(seconds(roll % 100));
            case 2:
                throw std::runtime_error("a bug");
            case 3:
                co_return Verdict::Hold(milliseconds(roll % 1'000));
            default:
                break;
        }
        const std::lock_guard lock(mutex_);
        if (options_.ordered) {
            // All that were acknowledged before this one was sent.
            const int number = NumberOf(delivery.payload);
            for (const int earlier : acknowledged[delivery.lane]) {
                in_order = in_order && (earlier >= number || done.contains(earlier));
            }
        }
        done.insert(NumberOf(delivery.payload));
        co_return Verdict::Done();
    };
    int next = 0;
    for (int life = 0; life < 6; ++life) {
        clock_.Advance(milliseconds(1));
        Open(loop_count);
        mortal_->DieAfter(static_cast<int64_t>(50 + numbers() % 300));
        if (!Run([this] { return courier_->Start(); }).ok()) {
            // It died, or the store did, before it began.
            Close();
            continue;
        }
        running_ = true;
        while (!mortal_->dead()) {
            const std::string lane = std::to_string(numbers() % 4);
            const int number = next++;
            Delivery delivery = Make(lane, std::to_string(number));
            if (numbers() % 4 == 0 && !options_.ordered) {
                delivery.due += seconds(numbers() % 20);
            }
            const Status status = Run([&] { return courier_->Send(delivery); });
            if (status.ok()) {
                const std::lock_guard lock(mutex_);
                acknowledged[lane].insert(number);
            }
            if (numbers() % 8 == 0) {
                clock_.Advance(seconds(numbers() % 60));
                Run([this] { return due_times_->RunDue(); });
            }
        }
        Close();
    }
    Restart(loop_count);
    Advance(hours(24));
    EXPECT_TRUE(in_order);
    size_t count = 0;
    for (const auto& [lane, numbers_of_lane] : acknowledged) {
        for (const int number : numbers_of_lane) {
            ++count;
            EXPECT_TRUE(done.contains(number)) << number;
        }
    }
    EXPECT_GT(count, 20u);
    EXPECT_EQ(StoredKeys(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CourierCrash, ::testing::Range<uint64_t>(1, 13));

}  // namespace
}  // namespace hearth::flow
