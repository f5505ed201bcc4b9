#include "services/logs/log_store.h"

#include "flow/clock_advance.h"
#include "flow/durable_cloud_clock.h"
#include "rt/loops.h"
#include "services/logs/limits.h"
#include "services/logs/log_reader.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace hearth::logs {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// A logs store with its timers running on a real loop, over a store in memory.
class LogStoreTest : public ::testing::Test {
  protected:
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

    LogStoreTest() {
        auto clock = Run([this] { return flow::DurableCloudClock::Load(*kv_, wall_); });
        clock_ = *std::move(clock);
        schedule_ =
            std::make_unique<flow::Schedule>(*kv_, *clock_, loops_, flow::Schedule::Options{});
        store_ = std::make_unique<LogStore>(LogStore::Deps{
            .kv = *kv_,
            .schedule = *schedule_,
            .wall_clock = wall_,
            .cloud_clock = *clock_,
            .random = *random_});
        EXPECT_TRUE(Run([this] { return schedule_->Start(); }).ok());
    }

    ~LogStoreTest() override {
        Run([this] { return schedule_->Stop(); });
    }

    int64_t NowMs() { return UnixMs<WallClock>(wall_.Now()); }

    void Append(const std::string& stream, std::vector<LogStore::NewEvent> events) {
        const Status status =
            Run([&] { return store_->Append(group_, stream, std::move(events), true); });
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    void Advance(milliseconds by) {
        flow::ClockAdvance advance(*clock_, *schedule_);
        const auto report = Run([&] { return advance.Advance(by); });
        ASSERT_TRUE(report.ok()) << report.error().message();
    }

    void Settle() {
        ASSERT_TRUE(Run([&] { return schedule_->Settle(nullptr, std::chrono::seconds(60)); }).ok());
    }

    GroupRecord Group() {
        auto record = Run([&] { return store_->FindGroup(group_); });
        EXPECT_TRUE(record.ok());
        return *std::move(record);
    }

    StreamRecord Stream(const std::string& name) {
        const GroupRecord record = Group();
        auto stream = Run([&] { return store_->FindStream(group_, record, name); });
        EXPECT_TRUE(stream.ok());
        return *std::move(stream);
    }

    // Messages of the whole group, by pages of `page` events.
    std::vector<std::string> ReadAll(size_t page) {
        const GroupRecord record = Group();
        const GroupRange range{
            .group = group_,
            .group_record = record,
            .wants_stream = nullptr,
            .wants_event = nullptr,
            .events_max = page,
            .bytes_max = kAnswerBytesMax};
        std::vector<std::string> messages;
        std::optional<Position> after;
        do {
            auto got = Run([&] { return ReadGroup(*store_, range, after); });
            EXPECT_TRUE(got.ok());
            for (const GroupEvent& event : got->events) {
                messages.push_back(event.event.message);
            }
            after = got->reached;
        } while (after);
        return messages;
    }

    size_t StoredKeys() {
        auto page = Run([&] {
            return kv_->Range(
                {.begin = storage::keys::Key(group_.account, group_.region).Children().begin,
                 .end = storage::keys::Key(group_.account, group_.region).Children().end,
                 .limit = 100'000});
        });
        return page->items.size();
    }

    const GroupName group_{AccountId("111111111111"), Region("us-east-1"), "/aws/lambda/f"};
    testing::FakeWallClock wall_;
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    rt::Loops loops_{1};
    std::unique_ptr<flow::DurableCloudClock> clock_;
    std::unique_ptr<flow::Schedule> schedule_;
    std::unique_ptr<LogStore> store_;
};

using Messages = std::vector<std::string>;

TEST_F(LogStoreTest, AppendMakesGroupAndStream) {
    Append("s", {{NowMs(), "one"}, {NowMs(), "two"}});
    Append("s", {{NowMs() - 5, "earlier"}});
    EXPECT_EQ(ReadAll(10), (Messages{"earlier", "one", "two"}));
    EXPECT_EQ(ReadAll(1), (Messages{"earlier", "one", "two"}));
    const StreamRecord stream = Stream("s");
    EXPECT_EQ(stream.events, 3);
    EXPECT_EQ(stream.first_event_ms, NowMs() - 5);
    EXPECT_EQ(stream.last_event_ms, NowMs());
}

TEST_F(LogStoreTest, WithoutCreateWhatIsMissingIsAnError) {
    const std::string stream = "s";
    const auto append = [&] {
        return Run([&] { return store_->Append(group_, stream, {{NowMs(), "x"}}, false); });
    };
    EXPECT_EQ(append().error().message(), "The specified log group does not exist.");
    ASSERT_TRUE(Run([&] { return store_->CreateGroup(group_, {}); }).ok());
    EXPECT_EQ(append().error().message(), "The specified log stream does not exist.");
    ASSERT_TRUE(Run([&] { return store_->CreateStream(group_, "s"); }).ok());
    EXPECT_TRUE(append().ok());
    EXPECT_FALSE(Run([&] { return store_->CreateGroup(group_, {}); }).ok());
    EXPECT_FALSE(Run([&] { return store_->CreateStream(group_, "s"); }).ok());
}

// A full day in one batch and 1 MiB of events: more than one chunk, more than one transaction.
TEST_F(LogStoreTest, LongAndLargeBatchesComeBackWhole) {
    std::vector<LogStore::NewEvent> events;
    Messages expected;
    for (int minute = 0; minute < 24 * 60; minute += 2) {
        expected.push_back(fmt::format("{:04}{}", minute, std::string(1'000, 'x')));
        events.push_back({NowMs() + minute * 60'000, expected.back()});
    }
    Append("s", events);
    EXPECT_EQ(ReadAll(10'000), expected);
    EXPECT_EQ(ReadAll(7), expected);
}

TEST_F(LogStoreTest, DeletingLeavesNothingAndNothingOldComesBack) {
    Append("s", {{NowMs(), "old"}});
    Append("t", {{NowMs(), "other"}});
    ASSERT_TRUE(Run([&] { return store_->DeleteStream(group_, "s"); }).ok());
    Append("s", {{NowMs(), "new"}});
    Messages messages = ReadAll(10);
    std::ranges::sort(messages);
    EXPECT_EQ(messages, (Messages{"new", "other"}));
    Settle();
    EXPECT_EQ(StoredKeys(), 1u + 2 * 3);
    ASSERT_TRUE(Run([&] { return store_->DeleteGroup(group_); }).ok());
    Append("s", {{NowMs(), "again"}});
    EXPECT_EQ(ReadAll(10), (Messages{"again"}));
    ASSERT_TRUE(Run([&] { return store_->DeleteGroup(group_); }).ok());
    Settle();
    EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(LogStoreTest, RetentionHidesAtOnceAndDeletes) {
    const auto keep = [&](int64_t days) {
        const LogStore::ChangeGroup change = [days](GroupRecord& record) {
            record.retention_days = days;
            return Status();
        };
        ASSERT_TRUE(Run([&] { return store_->UpdateGroup(group_, change); }).ok());
    };
    Append("s", {{NowMs() - milliseconds(hours(30)).count(), "old"}, {NowMs(), "new"}});
    EXPECT_EQ(ReadAll(10), (Messages{"old", "new"}));
    keep(1);
    EXPECT_EQ(ReadAll(10), (Messages{"new"}));
    Settle();
    // Group, stream, and the newer chunk with its entry.
    EXPECT_EQ(StoredKeys(), 4u);
    Advance(hours(23));
    EXPECT_EQ(ReadAll(10), (Messages{"new"}));
    Advance(hours(2));
    EXPECT_EQ(ReadAll(10), (Messages{}));
    EXPECT_EQ(StoredKeys(), 2u);
    // Written after the clock was moved: young by the cloud's time, whatever its timestamp says.
    Append("s", {{NowMs(), "later"}});
    EXPECT_EQ(ReadAll(10), (Messages{"later"}));
    Advance(hours(20));
    EXPECT_EQ(ReadAll(10), (Messages{"later"}));
    Advance(hours(30));
    EXPECT_EQ(StoredKeys(), 2u);
    keep(0);
    Append("s", {{NowMs(), "kept"}});
    Advance(hours(24 * 3'650));
    EXPECT_EQ(ReadAll(10), (Messages{"kept"}));
}

// Random batches, late ones included, against a sorted list that cannot be wrong; every page size
// and direction gives the same events once each.
TEST_F(LogStoreTest, AllWaysOfReadingAgree) {
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);

    struct Known {
        int64_t timestamp_ms;
        std::string stream;
        int64_t number;
        std::string message;
    };

    std::vector<Known> all;
    std::map<std::string, int64_t> numbers;
    for (int batch = 0; batch < 60; ++batch) {
        const std::string stream = fmt::format("s{}", random() % 3);
        int64_t at = NowMs() + static_cast<int64_t>(random() % 200'000);
        std::vector<LogStore::NewEvent> events;
        for (size_t n = 1 + random() % 6; n > 0; --n) {
            events.push_back({at, fmt::format("m{}", all.size())});
            all.push_back({at, stream, numbers[stream]++, events.back().message});
            at += static_cast<int64_t>(random() % 3 == 0 ? random() % 90'000 : random() % 3);
        }
        Append(stream, std::move(events));
    }
    const GroupRecord record = Group();
    std::map<std::string, std::string> ids;
    for (const auto& [stream, count] : numbers) {
        ids[stream] = Stream(stream).id;
    }
    std::ranges::sort(all, {}, [&](const Known& known) {
        return std::tuple(known.timestamp_ms, ids[known.stream], known.number);
    });
    Messages expected;
    for (const Known& known : all) {
        expected.push_back(known.message);
    }
    for (const size_t page : {1u, 2u, 7u, 1'000u}) {
        EXPECT_EQ(ReadAll(page), expected) << page;
    }
    for (const auto& [name, count] : numbers) {
        const StreamRecord stream = Stream(name);
        const int64_t begin_ms = NowMs() + static_cast<int64_t>(random() % 100'000);
        const int64_t end_ms = begin_ms + static_cast<int64_t>(random() % 200'000);
        Messages in_stream;
        for (const Known& known : all) {
            if (known.stream == name && known.timestamp_ms >= begin_ms &&
                known.timestamp_ms < end_ms) {
                in_stream.push_back(known.message);
            }
        }
        for (const size_t page : {1u, 3u, 1'000u}) {
            const StreamRange range{
                .group = group_,
                .group_record = record,
                .stream = stream,
                .begin_ms = begin_ms,
                .end_ms = end_ms,
                .events_max = page,
                .bytes_max = kAnswerBytesMax};
            Messages forward;
            std::optional<Position> place;
            while (true) {
                auto events = *Run([&] { return ReadForward(*store_, range, place); });
                if (events.empty()) {
                    break;
                }
                for (const Event& event : events) {
                    forward.push_back(event.message);
                }
                place = Position{events.back().timestamp_ms, "", events.back().sequence};
            }
            EXPECT_EQ(forward, in_stream) << page;
            Messages backward;
            place.reset();
            while (true) {
                auto events = *Run([&] { return ReadBackward(*store_, range, place); });
                if (events.empty()) {
                    break;
                }
                Messages part;
                for (const Event& event : events) {
                    part.push_back(event.message);
                }
                backward.insert(backward.begin(), part.begin(), part.end());
                place = Position{events.front().timestamp_ms, "", events.front().sequence};
            }
            EXPECT_EQ(backward, in_stream) << page;
        }
    }
}

TEST(LogRecords, ComeBackAsTheyWere) {
    GroupRecord group{
        .id = "id",
        .created_ms = 5,
        .retention_days = 7,
        .log_class = "INFREQUENT_ACCESS",
        .deletion_protection = true,
        .tags = {{"a", "1"}, {std::string("\0b", 2), ""}}};
    const auto group_back = DecodeGroup(Encode(group));
    ASSERT_TRUE(group_back.ok());
    EXPECT_EQ(group_back->tags, group.tags);
    EXPECT_TRUE(group_back->deletion_protection);
    Chunk chunk{.ingestion_ms = 99, .cloud_offset_ms = 3, .events = {}};
    chunk.events.push_back({.timestamp_ms = 10, .sequence = 4, .message = "x"});
    chunk.events.push_back({.timestamp_ms = 12, .sequence = 5, .message = std::string(300, 'y')});
    const std::string bytes = Encode(chunk);
    const auto chunk_back = DecodeChunk(bytes);
    ASSERT_TRUE(chunk_back.ok());
    ASSERT_EQ(chunk_back->events.size(), 2u);
    EXPECT_EQ(chunk_back->events[1].timestamp_ms, 12);
    EXPECT_EQ(chunk_back->events[1].sequence, 5);
    EXPECT_EQ(chunk_back->events[1].message, chunk.events[1].message);
    for (size_t length = 0; length < bytes.size(); ++length) {
        // Damaged values are errors or shorter lists, never a crash.
        const auto cut = DecodeChunk(std::string_view(bytes).substr(0, length));
        EXPECT_TRUE(!cut.ok() || cut->events.size() < 2);
    }
}

}  // namespace
}  // namespace hearth::logs
