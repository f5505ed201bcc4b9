#include "services/sqs/queue_engine.h"

#include "base/random.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "flow/due_times.h"
#include "flow/wakes.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hearth::sqs {
namespace {

using namespace std::chrono_literals;
using Messages = std::vector<MessageQueues::Message>;

// An engine over a store that outlives it. Restart ends it without a word to its queues and makes
// another one over the same store.
class QueueEngineTest : public ::testing::Test {
  protected:
    QueueEngineTest() { Begin(); }

    ~QueueEngineTest() override { End(); }

    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

    void Begin() {
        wakes_.emplace(loops_);
        due_times_.emplace(clock_, loops_);
        engine_ = QueueEngine::Make(
            {.kv = *kv_,
             .loops = loops_,
             .clock = clock_,
             .monotonic_clock = monotonic_clock_,
             .random = *random_,
             .master_key = master_key_,
             .wakes = *wakes_,
             .due_times = *due_times_,
             .sizes = sizes_});
        ASSERT_TRUE(Run([&] { return engine_->Start(); }).ok());
    }

    void End() {
        rt::BlockOn(loops_, 0, [&] { return engine_->Stop(); });
        engine_.reset();
        due_times_.reset();
        wakes_.reset();
    }

    void Restart() {
        End();
        Begin();
    }

    static QueueAddress Queue(std::string name) {
        return {AccountId("000000000000"), Region("us-east-1"), std::move(name)};
    }

    void Create(const std::string& name, QueueSettings settings = {}) {
        settings.fifo = name.ends_with(".fifo");
        const QueueAddress queue = Queue(name);
        const Status made = Run([&] { return engine_->Create(queue, settings, {}, {}); });
        ASSERT_TRUE(made.ok()) << made.error().message();
    }

    static OutgoingMessage Text(std::string body) {
        OutgoingMessage message;
        message.body_md5 = codec::Md5Hex(body);
        message.body = std::move(body);
        message.sender_id = "AIDA";
        return message;
    }

    static OutgoingMessage InGroup(std::string group, std::string body, std::string id = "") {
        OutgoingMessage message = Text(std::move(body));
        message.group_id = std::move(group);
        if (!id.empty()) {
            message.deduplication_id = std::move(id);
        }
        return message;
    }

    std::vector<SentMessage> Send(const std::string& name, std::vector<OutgoingMessage> messages) {
        const QueueAddress queue = Queue(name);
        Result<std::vector<SentMessage>> sent =
            Run([&] { return engine_->Send(queue, std::move(messages)); });
        EXPECT_TRUE(sent.ok()) << sent.error().message();
        return sent.ok() ? *sent : std::vector<SentMessage>();
    }

    void SendTexts(const std::string& name, int count, int first = 0) {
        while (count > 0) {
            std::vector<OutgoingMessage> messages;
            for (int i = 0; i < std::min(count, 10); ++i) {
                messages.push_back(Text(std::to_string(first++)));
            }
            count -= static_cast<int>(messages.size());
            Send(name, std::move(messages));
        }
    }

    Result<Messages> TryReceive(const std::string& name, ReceiveRequest request) {
        const QueueAddress queue = Queue(name);
        return Run([&] { return engine_->Receive(queue, request); });
    }

    Messages Receive(
        const std::string& name, int max = 10, std::optional<std::chrono::seconds> hide = {}) {
        ReceiveRequest request;
        request.max = max;
        request.visibility = hide;
        Result<Messages> messages = TryReceive(name, request);
        EXPECT_TRUE(messages.ok()) << messages.error().message();
        return messages.ok() ? *messages : Messages();
    }

    static std::vector<std::string> Bodies(const Messages& messages) {
        std::vector<std::string> bodies;
        for (const auto& message : messages) {
            bodies.push_back(message.body);
        }
        return bodies;
    }

    Status Delete(const std::string& name, const std::string& handle) {
        const QueueAddress queue = Queue(name);
        Result<std::vector<Status>> deleted =
            Run([&] { return engine_->DeleteMessages(queue, {handle}); });
        EXPECT_TRUE(deleted.ok()) << deleted.error().message();
        return deleted->front();
    }

    Status Change(const std::string& name, const std::string& handle, std::chrono::seconds to) {
        const QueueAddress queue = Queue(name);
        Result<std::vector<Status>> changed =
            Run([&] { return engine_->ChangeVisibility(queue, {{handle, to}}); });
        EXPECT_TRUE(changed.ok()) << changed.error().message();
        return changed->front();
    }

    std::array<int64_t, 3> Counts(const std::string& name) {
        const QueueAddress queue = Queue(name);
        const Result<QueueCounts> counts = Run([&] { return engine_->Counts(queue); });
        EXPECT_TRUE(counts.ok());
        return {counts->visible, counts->in_flight, counts->delayed};
    }

    // A move tells its source last; each question lets it go on.
    std::array<int64_t, 3> CountsAfterMoves(const std::string& name) {
        std::array<int64_t, 3> counts = Counts(name);
        while (counts[1] > 0) {
            counts = Counts(name);
        }
        return counts;
    }

    // Receives `batch` at a time until nothing comes, and deletes it when `forget`.
    std::vector<std::string> DrainInBatches(const std::string& name, int batch, bool forget) {
        std::vector<std::string> bodies;
        while (true) {
            const Messages got = Receive(name, batch, 3'600s);
            if (got.empty()) {
                return bodies;
            }
            for (const auto& message : got) {
                bodies.push_back(message.body);
                if (forget) {
                    EXPECT_TRUE(Delete(name, message.receipt_handle).ok());
                }
            }
        }
    }

    // Each once, in any order.
    static std::multiset<std::string> Numbers(int from, int to) {
        std::multiset<std::string> numbers;
        for (int i = from; i < to; ++i) {
            numbers.insert(std::to_string(i));
        }
        return numbers;
    }

    static std::multiset<std::string> AsSet(const std::vector<std::string>& bodies) {
        return {bodies.begin(), bodies.end()};
    }

    size_t StoredKeys() {
        storage::RangeRequest all;
        all.begin = std::string(1, '\x00');
        all.end = std::string(1, '\xff');
        all.limit = 100'000;
        const Result<storage::RangePage> page = Run([&] { return kv_->Range(all); });
        EXPECT_TRUE(page.ok() && !page->next);
        return page.ok() ? page->items.size() : 0;
    }

    using C = std::array<int64_t, 3>;

    testing::FakeCloudClock clock_;
    testing::FakeMonotonicClock monotonic_clock_;
    std::shared_ptr<hearth::Random> random_ = hearth::Random::Seeded(7);
    codec::MasterKey master_key_{std::array<uint8_t, 32>{1, 2, 3}};
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    QueueEngine::Sizes sizes_;
    rt::Loops loops_{2};
    std::optional<flow::Wakes> wakes_;
    std::optional<flow::DueTimes> due_times_;
    std::unique_ptr<QueueEngine> engine_;
};

TEST_F(QueueEngineTest, MessagesAreReceivedInOrderWithTheirFactsAndDeletedForGood) {
    Create("q");
    OutgoingMessage message = Text("hello");
    message.attributes["n"] = {"Number", "1"};
    message.attributes["b"] = {"Binary", std::string("\0\x01", 2)};
    message.attributes_md5 = "abc";
    message.trace_header = "Root=1";
    const auto sent = Send("q", {message, Text("second")});
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_TRUE(sent[0].sequence_number.empty());
    EXPECT_EQ(Counts("q"), (C{2, 0, 0}));
    const Messages got = Receive("q");
    ASSERT_EQ(Bodies(got), (std::vector<std::string>{"hello", "second"}));
    EXPECT_EQ(got[0].message_id, sent[0].message_id);
    EXPECT_EQ(got[0].body_md5, codec::Md5Hex("hello"));
    EXPECT_EQ(got[0].attributes, message.attributes);
    EXPECT_EQ(got[0].attributes_md5, "abc");
    EXPECT_EQ(got[0].system_attributes.at("AWSTraceHeader"), "Root=1");
    EXPECT_EQ(got[0].system_attributes.at("SenderId"), "AIDA");
    EXPECT_EQ(got[0].system_attributes.at("ApproximateReceiveCount"), "1");
    EXPECT_EQ(Counts("q"), (C{0, 2, 0}));
    EXPECT_TRUE(Receive("q").empty());
    EXPECT_TRUE(Delete("q", got[0].receipt_handle).ok());
    EXPECT_TRUE(Delete("q", got[0].receipt_handle).ok());
    EXPECT_EQ(Counts("q"), (C{0, 1, 0}));
    clock_.Advance(30s);
    EXPECT_EQ(Bodies(Receive("q")), std::vector<std::string>{"second"});
}

TEST_F(QueueEngineTest, WhatDoesNotExistSaysSo) {
    const Result<Messages> none = TryReceive("nothing", {});
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code(), "QueueDoesNotExist");
    Create("q");
    const QueueAddress queue = Queue("q");
    EXPECT_EQ(
        Run([&] { return engine_->Create(queue, {}, {}, {}); }).error().code(), "QueueNameExists");
    EXPECT_TRUE(Run([&] { return engine_->Delete(queue); }).ok());
    EXPECT_FALSE(Run([&] { return engine_->Find(queue); }).ok());
    EXPECT_EQ(
        Run([&] { return engine_->Create(queue, {}, {}, {}); }).error().code(),
        "QueueDeletedRecently");
    clock_.Advance(60s);
    EXPECT_TRUE(Run([&] { return engine_->Create(queue, {}, {}, {}); }).ok());
    EXPECT_EQ(Delete("q", "rubbish").error().code(), "ReceiptHandleIsInvalid");
}

TEST_F(QueueEngineTest, VisibilityReceiveCountAndHandlesSurviveARestart) {
    Create("q");
    SendTexts("q", 3);
    const Messages got = Receive("q", 2);
    ASSERT_EQ(got.size(), 2u);
    Restart();
    EXPECT_EQ(Counts("q"), (C{1, 2, 0}));
    EXPECT_EQ(Bodies(Receive("q")), std::vector<std::string>{"2"});
    EXPECT_TRUE(Delete("q", got[0].receipt_handle).ok());
    EXPECT_TRUE(Change("q", got[1].receipt_handle, 0s).ok());
    Restart();
    const Messages again = Receive("q");
    ASSERT_EQ(Bodies(again), std::vector<std::string>{"1"});
    EXPECT_EQ(again[0].system_attributes.at("ApproximateReceiveCount"), "2");
    EXPECT_EQ(Change("q", got[1].receipt_handle, 5s).error().code(), "InvalidParameterValue");
}

TEST_F(QueueEngineTest, ALateDeletionStillCountsUnlessSomebodyElseHasTheMessage) {
    Create("q");
    SendTexts("q", 2);
    const Messages got = Receive("q");
    ASSERT_TRUE(Change("q", got[0].receipt_handle, 100s).ok());
    clock_.Advance(200s);
    Restart();
    // Its place is another one than the handle says.
    EXPECT_TRUE(Delete("q", got[0].receipt_handle).ok());
    EXPECT_EQ(Counts("q"), (C{1, 0, 0}));
    const Messages later = Receive("q");
    ASSERT_EQ(Bodies(later), std::vector<std::string>{"1"});
    EXPECT_TRUE(Delete("q", got[1].receipt_handle).ok());
    EXPECT_EQ(Counts("q"), (C{0, 1, 0}));
    EXPECT_TRUE(Delete("q", later[0].receipt_handle).ok());
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
}

TEST_F(QueueEngineTest, VisibilityEndsTwelveHoursAfterTheReceipt) {
    Create("q");
    SendTexts("q", 1);
    const Messages got = Receive("q");
    EXPECT_TRUE(Change("q", got[0].receipt_handle, 43'200s).ok());
    clock_.Advance(1s);
    EXPECT_EQ(Change("q", got[0].receipt_handle, 43'200s).error().code(), "InvalidParameterValue");
    EXPECT_TRUE(Change("q", got[0].receipt_handle, 43'199s).ok());
    clock_.Advance(43'199s);
    EXPECT_EQ(Change("q", got[0].receipt_handle, 1s).error().code(), "MessageNotInflight");
}

TEST_F(QueueEngineTest, DelaysOfQueueAndMessageHoldAcrossARestart) {
    Create("q", {.delay = 10s});
    OutgoingMessage now = Text("now");
    now.delay = 0s;
    OutgoingMessage late = Text("late");
    late.delay = 900s;
    Send("q", {Text("ten"), now, late});
    EXPECT_EQ(Counts("q"), (C{1, 0, 2}));
    EXPECT_EQ(Bodies(Receive("q")), std::vector<std::string>{"now"});
    Restart();
    EXPECT_EQ(Counts("q"), (C{0, 1, 2}));
    clock_.Advance(10s);
    EXPECT_EQ(Counts("q"), (C{1, 1, 1}));
    const Messages ten = Receive("q");
    EXPECT_EQ(Bodies(ten), std::vector<std::string>{"ten"});
    EXPECT_TRUE(Delete("q", ten[0].receipt_handle).ok());
    clock_.Advance(890s);
    Restart();
    EXPECT_EQ(Counts("q"), (C{2, 0, 0}));
    EXPECT_EQ(Receive("q").size(), 2u);
}

TEST_F(QueueEngineTest, AWaitingReceiverGetsWhatIsSentAndWhatBecomesVisible) {
    Create("q");
    const QueueAddress queue = Queue("q");
    const auto wait_for_one = [&] {
        ReceiveRequest request;
        request.wait = 20s;
        return engine_->Receive(queue, request);
    };
    auto both = [&]() -> Task<std::string> {
        rt::TaskGroup group;
        std::string body;
        group.Spawn([&]() -> Task<void> {
            const Result<Messages> got = co_await wait_for_one();
            body = got.ok() && !got->empty() ? got->front().body : "nothing";
        });
        co_await rt::Yield();
        const auto sent = co_await engine_->Send(queue, {Text("x")});
        EXPECT_TRUE(sent.ok());
        co_await group.Join();
        co_return body;
    };
    EXPECT_EQ(Run(both), "x");
    auto visible_again = [&]() -> Task<std::string> {
        rt::TaskGroup group;
        std::string body;
        group.Spawn([&]() -> Task<void> {
            const Result<Messages> got = co_await wait_for_one();
            body = got.ok() && !got->empty() ? got->front().body : "nothing";
        });
        co_await rt::Yield();
        // Makes sure the receiver waits.
        EXPECT_TRUE((co_await engine_->Counts(queue)).ok());
        clock_.Advance(30s);
        due_times_->ClockMoved();
        co_await group.Join();
        co_return body;
    };
    EXPECT_EQ(Run(visible_again), "x");
}

TEST_F(QueueEngineTest, AReceiverThatWentAwayTakesNothing) {
    Create("q");
    const QueueAddress queue = Queue("q");
    auto leave = [&]() -> Task<void> {
        rt::TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            ReceiveRequest request;
            request.wait = 20s;
            static_cast<void>((co_await engine_->Receive(queue, request)).ok());
        });
        co_await rt::Yield();
        EXPECT_TRUE((co_await engine_->Counts(queue)).ok());
        group.Cancel();
        try {
            co_await group.Join();
        } catch (const std::exception&) {
            // That it was cancelled.
        }
    };
    Run(leave);
    SendTexts("q", 1);
    const Messages got = Receive("q");
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].system_attributes.at("ApproximateReceiveCount"), "1");
}

TEST_F(QueueEngineTest, AMessageReceivedTooOftenMovesToTheDeadLetterQueue) {
    Create("dead");
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 2}});
    SendTexts("q", 2);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(Receive("q").size(), 2u);
        clock_.Advance(30s);
    }
    EXPECT_TRUE(Receive("q").empty());
    Messages dead;
    // The move follows at once; the receiver over there waits for it.
    while (dead.size() < 2) {
        ReceiveRequest request;
        request.max = 10;
        request.wait = 20s;
        const Result<Messages> some = TryReceive("dead", request);
        ASSERT_TRUE(some.ok());
        ASSERT_FALSE(some->empty());
        dead.insert(dead.end(), some->begin(), some->end());
    }
    EXPECT_EQ(Bodies(dead), (std::vector<std::string>{"0", "1"}));
    EXPECT_EQ(dead[0].system_attributes.at("DeadLetterQueueSourceArn"), Queue("q").Arn());
    EXPECT_EQ(dead[0].system_attributes.at("ApproximateReceiveCount"), "3");
    EXPECT_EQ(CountsAfterMoves("q"), (C{0, 0, 0}));
    Restart();
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
    EXPECT_EQ(Counts("dead"), (C{0, 2, 0}));
}

TEST_F(QueueEngineTest, WithoutItsDeadLetterQueueAMessageGoesOnBeingDelivered) {
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 1}});
    SendTexts("q", 1);
    EXPECT_EQ(Receive("q").size(), 1u);
    clock_.Advance(30s);
    ReceiveRequest request;
    request.wait = 20s;
    const Result<Messages> again = TryReceive("q", request);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->size(), 1u);
}

TEST_F(QueueEngineTest, AFifoGroupIsInOrderAndBlockedByWhatIsInFlight) {
    Create("f.fifo");
    Send("f.fifo", {InGroup("a", "a1", "1"), InGroup("a", "a2", "2"), InGroup("b", "b1", "3")});
    Send("f.fifo", {InGroup("a", "a3", "4")});
    const Messages first = Receive("f.fifo", 2);
    ASSERT_EQ(Bodies(first), (std::vector<std::string>{"a1", "a2"}));
    const Messages second = Receive("f.fifo");
    ASSERT_EQ(Bodies(second), std::vector<std::string>{"b1"});
    EXPECT_TRUE(Receive("f.fifo").empty());
    EXPECT_TRUE(Delete("f.fifo", first[0].receipt_handle).ok());
    EXPECT_TRUE(Receive("f.fifo").empty());
    EXPECT_TRUE(Change("f.fifo", first[1].receipt_handle, 0s).ok());
    const Messages again = Receive("f.fifo");
    EXPECT_EQ(Bodies(again), (std::vector<std::string>{"a2", "a3"}));
    EXPECT_LT(
        first[0].system_attributes.at("SequenceNumber"),
        again[0].system_attributes.at("SequenceNumber"));
    EXPECT_EQ(first[0].system_attributes.at("SequenceNumber").size(), 20u);
    Restart();
    EXPECT_TRUE(Receive("f.fifo").empty());
    clock_.Advance(30s);
    EXPECT_EQ(Delete("f.fifo", again[0].receipt_handle).error().code(), "InvalidParameterValue");
    EXPECT_EQ(Bodies(Receive("f.fifo", 1)), std::vector<std::string>{"a2"});
    EXPECT_EQ(Bodies(Receive("f.fifo", 1)), std::vector<std::string>{"b1"});
}

TEST_F(QueueEngineTest, DuplicatesWithinFiveMinutesAreOneMessage) {
    Create("f.fifo");
    Create("g.fifo", {.deduplication_by_group = true});
    const auto first = Send("f.fifo", {InGroup("a", "x", "1"), InGroup("b", "y", "1")});
    EXPECT_EQ(first[0].message_id, first[1].message_id);
    EXPECT_EQ(first[0].sequence_number, first[1].sequence_number);
    Restart();
    clock_.Advance(299s);
    EXPECT_EQ(Send("f.fifo", {InGroup("a", "x", "1")})[0].message_id, first[0].message_id);
    EXPECT_EQ(Counts("f.fifo"), (C{1, 0, 0}));
    clock_.Advance(1s);
    EXPECT_NE(Send("f.fifo", {InGroup("a", "x", "1")})[0].message_id, first[0].message_id);
    EXPECT_EQ(Counts("f.fifo"), (C{2, 0, 0}));
    Send("g.fifo", {InGroup("a", "x", "1"), InGroup("b", "y", "1"), InGroup("a", "z", "1")});
    EXPECT_EQ(Counts("g.fifo"), (C{2, 0, 0}));
    // By content.
    Send("f.fifo", {InGroup("a", "same"), InGroup("a", "same")});
    EXPECT_EQ(Counts("f.fifo"), (C{3, 0, 0}));
}

TEST_F(QueueEngineTest, AFifoQueuesDelayHoldsBackItsGroups) {
    Create("f.fifo", {.delay = 5s});
    Send("f.fifo", {InGroup("a", "1", "1")});
    EXPECT_EQ(Counts("f.fifo"), (C{0, 0, 1}));
    EXPECT_TRUE(Receive("f.fifo").empty());
    clock_.Advance(5s);
    EXPECT_EQ(Receive("f.fifo").size(), 1u);
    EXPECT_EQ(Counts("f.fifo"), (C{0, 1, 0}));
}

TEST_F(QueueEngineTest, AnAttemptThatIsMadeAgainGetsTheSameMessages) {
    Create("f.fifo");
    Send("f.fifo", {InGroup("a", "1", "1"), InGroup("b", "2", "2")});
    ReceiveRequest request;
    request.attempt_id = "try";
    const Result<Messages> first = TryReceive("f.fifo", request);
    const Result<Messages> second = TryReceive("f.fifo", request);
    ASSERT_TRUE(first.ok() && second.ok());
    ASSERT_EQ(second->size(), 1u);
    EXPECT_EQ((*first)[0].receipt_handle, (*second)[0].receipt_handle);
    EXPECT_TRUE(Delete("f.fifo", (*first)[0].receipt_handle).ok());
    EXPECT_EQ(Bodies(*TryReceive("f.fifo", request)), std::vector<std::string>{"2"});
}

TEST_F(QueueEngineTest, OfTooManyAttemptsTheOldestIsForgotten) {
    constexpr int kAttempts = 1'001;
    Create("f.fifo");
    for (int i = 0; i < kAttempts; ++i) {
        Send("f.fifo", {InGroup(std::to_string(i), "m", std::to_string(i))});
    }
    // The names go down while the time goes on.
    const auto again = [this](int number) {
        ReceiveRequest request;
        request.attempt_id = fmt::format("{:05}", kAttempts - number);
        return TryReceive("f.fifo", request);
    };
    std::vector<std::string> handles;
    for (int i = 0; i < kAttempts; ++i) {
        const Result<Messages> got = again(i);
        ASSERT_TRUE(got.ok());
        ASSERT_EQ(got->size(), 1u);
        handles.push_back((*got)[0].receipt_handle);
    }
    for (const int number : {1, kAttempts / 2, kAttempts - 1}) {
        const Result<Messages> got = again(number);
        ASSERT_TRUE(got.ok() && got->size() == 1u) << number;
        EXPECT_EQ((*got)[0].receipt_handle, handles[static_cast<size_t>(number)]);
    }
    EXPECT_TRUE(again(0)->empty());
}

TEST_F(QueueEngineTest, AQuietGroupDoesNotWaitForANoisyOne) {
    Create("q");
    for (int i = 0; i < 500; ++i) {
        Send("q", {InGroup("noisy", "n")});
    }
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(Receive("q").size(), 10u);
    }
    Send("q", {InGroup("quiet", "q1"), InGroup("quiet", "q2")});
    EXPECT_EQ(Bodies(Receive("q", 2)), (std::vector<std::string>{"q1", "q2"}));
    Restart();
    Send("q", {InGroup("quiet", "q3")});
    EXPECT_EQ(Bodies(Receive("q", 1)), std::vector<std::string>{"q3"});
    EXPECT_EQ(Counts("q"), (C{460, 43, 0}));
}

TEST_F(QueueEngineTest, RetentionDeletesInEveryState) {
    Create("q", {.retention = 60s});
    SendTexts("q", 2);
    OutgoingMessage late = Text("late");
    late.delay = 50s;
    Send("q", {late});
    EXPECT_EQ(Receive("q", 1, 3'600s).size(), 1u);
    clock_.Advance(60s);
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
    EXPECT_TRUE(Receive("q").empty());
    SendTexts("q", 1);
    EXPECT_EQ(Receive("q").size(), 1u);
}

TEST_F(QueueEngineTest, APurgeIsAtOnceAndOnlyOnceAMinute) {
    Create("q");
    SendTexts("q", 25);
    const Messages got = Receive("q");
    const QueueAddress queue = Queue("q");
    EXPECT_TRUE(Run([&] { return engine_->Purge(queue); }).ok());
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
    EXPECT_TRUE(Receive("q").empty());
    EXPECT_TRUE(Delete("q", got[0].receipt_handle).ok());
    EXPECT_EQ(Run([&] { return engine_->Purge(queue); }).error().code(), "PurgeQueueInProgress");
    SendTexts("q", 1);
    Restart();
    EXPECT_EQ(Receive("q").size(), 1u);
}

TEST_F(QueueEngineTest, MessagesHiddenForNoTimeAreReceivedOnceInACall) {
    Create("q");
    SendTexts("q", 3);
    EXPECT_EQ(Receive("q", 10, 0s).size(), 3u);
    EXPECT_EQ(Counts("q"), (C{3, 0, 0}));
    EXPECT_EQ(Receive("q", 10, 0s).size(), 3u);
}

TEST_F(QueueEngineTest, ThousandsAreReceivedInOneCallAndCountedAcrossARestart) {
    Create("q");
    SendTexts("q", 5'000);
    Restart();
    const Messages got = Receive("q", 10'000);
    ASSERT_EQ(got.size(), 5'000u);
    EXPECT_EQ(got[4'999].body, "4999");
    std::vector<std::string> handles;
    for (size_t i = 0; i < 4'000; ++i) {
        handles.push_back(got[i].receipt_handle);
    }
    const QueueAddress queue = Queue("q");
    EXPECT_TRUE(Run([&] { return engine_->DeleteMessages(queue, handles); }).ok());
    Restart();
    EXPECT_EQ(Counts("q"), (C{0, 1'000, 0}));
    clock_.Advance(30s);
    const Messages back = Receive("q", 10'000);
    ASSERT_EQ(back.size(), 1'000u);
    EXPECT_EQ(back[0].body, "4000");
}

TEST_F(QueueEngineTest, AMoveTaskTakesDeadLettersBackWhereTheyCameFrom) {
    Create("dead");
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 1}});
    const QueueAddress dead = Queue("dead");
    const auto sources = Run([&] { return engine_->ListDeadLetterSources(dead, "", 10); });
    ASSERT_TRUE(sources.ok());
    EXPECT_EQ(sources->names, std::vector<std::string>{"q"});
    SendTexts("q", 3);
    EXPECT_EQ(Receive("q").size(), 3u);
    clock_.Advance(30s);
    ReceiveRequest request;
    request.wait = 20s;
    request.visibility = 0s;
    EXPECT_TRUE(Receive("q").empty());
    ASSERT_TRUE(TryReceive("dead", request).ok());
    const Result<std::string> handle =
        Run([&] { return engine_->StartMoveTask(dead, "", std::nullopt); });
    ASSERT_TRUE(handle.ok()) << handle.error().message();
    std::multiset<std::string> back;
    while (back.size() < 3) {
        request.visibility = 30s;
        const Result<Messages> some = TryReceive("q", request);
        ASSERT_TRUE(some.ok());
        ASSERT_FALSE(some->empty());
        for (const auto& message : *some) {
            back.insert(message.body);
            EXPECT_EQ(message.system_attributes.at("ApproximateReceiveCount"), "1");
        }
    }
    EXPECT_EQ(back, (std::multiset<std::string>{"0", "1", "2"}));
    const QueueAddress queue = Queue("q");
    EXPECT_EQ(
        Run([&] { return engine_->StartMoveTask(queue, "", std::nullopt); }).error().code(),
        "InvalidParameterValue");
}

TEST_F(QueueEngineTest, WakesTellOfArrivals) {
    Create("q");
    const QueueAddress queue = Queue("q");
    auto listen = [&]() -> Task<int> {
        rt::Event woken;
        const auto watch = wakes_->Listen(queue.WakeKey(), [&] { woken.Set(); });
        int wakes = 0;
        EXPECT_TRUE((co_await engine_->Send(queue, {Text("x")})).ok());
        wakes += co_await woken.WaitFor(30s) ? 1 : 0;
        ReceiveRequest request;
        EXPECT_TRUE((co_await engine_->Receive(queue, request)).ok());
        woken.Reset();
        clock_.Advance(30s);
        due_times_->ClockMoved();
        wakes += co_await woken.WaitFor(30s) ? 1 : 0;
        co_return wakes;
    };
    EXPECT_EQ(Run(listen), 2);
}

TEST_F(QueueEngineTest, WakesTellOfWhatIsLeftBehindDeadLetters) {
    Create("dead");
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 1}});
    // More than leave together.
    SendTexts("q", 250);
    ASSERT_EQ(Receive("q", 1'000, 10s).size(), 250u);
    const QueueAddress queue = Queue("q");
    // Looks only when it is told to.
    auto consume = [&]() -> Task<int64_t> {
        rt::Event woken;
        const auto watch = wakes_->Listen(queue.WakeKey(), [&] { woken.Set(); });
        clock_.Advance(10s);
        due_times_->ClockMoved();
        int64_t left = 250;
        while (left > 0 && co_await woken.WaitFor(30s)) {
            woken.Reset();
            const auto got = co_await engine_->Receive(queue, ReceiveRequest());
            EXPECT_TRUE(got.ok() && got->empty());
            const auto counts = co_await engine_->Counts(queue);
            left = counts.ok() ? counts->visible : -1;
        }
        co_return left;
    };
    EXPECT_EQ(Run(consume), 0);
}

TEST_F(QueueEngineTest, MoreReturnedMessagesThanAreInMemoryComeBack) {
    sizes_.places_max = 8;
    sizes_.places_page = 4;
    sizes_.read_ahead = 5;
    sizes_.window_max = 6;
    Restart();
    Create("q");
    SendTexts("q", 60);
    ASSERT_EQ(Receive("q", 100, 10s).size(), 60u);
    clock_.Advance(10s);
    SendTexts("q", 20, 60);
    EXPECT_EQ(Counts("q"), (C{80, 0, 0}));
    // Some of it before a restart, some afterwards, and nothing twice.
    std::vector<std::string> bodies;
    for (int i = 0; i < 4; ++i) {
        for (const auto& message : Receive("q", 7, 3'600s)) {
            bodies.push_back(message.body);
        }
    }
    EXPECT_EQ(bodies.size(), 28u);
    Restart();
    EXPECT_EQ(Counts("q"), (C{52, 28, 0}));
    for (const std::string& body : DrainInBatches("q", 7, false)) {
        bodies.push_back(body);
    }
    EXPECT_EQ(AsSet(bodies), Numbers(0, 80));
    EXPECT_EQ(Counts("q"), (C{0, 80, 0}));
}

TEST_F(QueueEngineTest, MoreDelayedMessagesThanAreInMemoryComeWhenTheyAreDue) {
    sizes_.places_max = 8;
    sizes_.places_page = 4;
    Restart();
    Create("q");
    // The last one sent is due first, so the window is pushed out by each.
    for (int i = 0; i < 40; ++i) {
        OutgoingMessage message = Text(std::to_string(i));
        message.delay = std::chrono::seconds(40 - i);
        Send("q", {message});
    }
    EXPECT_EQ(Counts("q"), (C{0, 0, 40}));
    clock_.Advance(10s);
    EXPECT_EQ(Counts("q"), (C{10, 0, 30}));
    EXPECT_EQ(AsSet(DrainInBatches("q", 3, true)), Numbers(30, 40));
    Restart();
    clock_.Advance(20s);
    EXPECT_EQ(AsSet(DrainInBatches("q", 3, true)), Numbers(10, 30));
    clock_.Advance(10s);
    EXPECT_EQ(AsSet(DrainInBatches("q", 3, true)), Numbers(0, 10));
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
}

TEST_F(QueueEngineTest, MoreGroupsThanAreInMemoryAllGetTheirTurn) {
    sizes_.lanes_max = 8;
    sizes_.lanes_per_walk = 3;
    sizes_.many_lanes = 4;
    sizes_.read_ahead_of_many = 2;
    sizes_.window_max = 2;
    Restart();
    constexpr int kGroups = 40;
    constexpr int kEach = 5;
    for (const std::string name : {"q", "q.fifo"}) {
        SCOPED_TRACE(name);
        Create(name);
        for (int i = 0; i < kEach; ++i) {
            for (int group = 0; group < kGroups; ++group) {
                const std::string body = std::to_string(i * kGroups + group);
                Send(name, {InGroup("g" + std::to_string(group), body, body)});
            }
        }
        EXPECT_EQ(Counts(name), (C{kGroups * kEach, 0, 0}));
        const std::vector<std::string> bodies = DrainInBatches(name, 10, true);
        EXPECT_EQ(AsSet(bodies), Numbers(0, kGroups * kEach));
        std::map<int, int> last;
        for (const std::string& body : bodies) {
            const int number = std::stoi(body);
            const auto [before, first] = last.try_emplace(number % kGroups, number);
            EXPECT_TRUE(first || before->second < number) << body << " is out of order";
            before->second = number;
        }
        EXPECT_EQ(Counts(name), (C{0, 0, 0}));
    }
}

TEST_F(QueueEngineTest, AsManyInFlightAsAllowedAndNoMore) {
    sizes_.in_flight_max = 10;
    Restart();
    Create("q");
    Create("q.fifo");
    SendTexts("q", 15);
    const Messages got = Receive("q", 20);
    ASSERT_EQ(got.size(), 10u);
    const Result<Messages> more = TryReceive("q", {});
    ASSERT_FALSE(more.ok());
    EXPECT_EQ(more.error().code(), "OverLimit");
    EXPECT_EQ(Counts("q"), (C{5, 10, 0}));
    EXPECT_TRUE(Delete("q", got[3].receipt_handle).ok());
    EXPECT_EQ(Bodies(Receive("q", 20)), std::vector<std::string>{"10"});
    for (int i = 0; i < 15; ++i) {
        const std::string body = std::to_string(i);
        Send("q.fifo", {InGroup(body, body, body)});
    }
    EXPECT_EQ(Receive("q.fifo", 20).size(), 10u);
    // FIFO queues say nothing about it.
    EXPECT_TRUE(Receive("q.fifo", 20).empty());
}

TEST_F(QueueEngineTest, IdleQueuesLeaveMemoryAndComeBack) {
    sizes_.shards_max = 4;
    Restart();
    constexpr int kQueues = 40;
    const auto name = [](int number) { return "q" + std::to_string(number); };
    for (int i = 0; i < kQueues; ++i) {
        Create(name(i));
        SendTexts(name(i), 3);
    }
    // Those with something in flight stay, and lose nothing by their many neighbours.
    const Messages held = Receive(name(0), 1, 60s);
    ASSERT_EQ(held.size(), 1u);
    for (int i = 1; i < kQueues; ++i) {
        EXPECT_EQ(Counts(name(i)), (C{3, 0, 0}));
        EXPECT_EQ(DrainInBatches(name(i), 2, true), (std::vector<std::string>{"0", "1", "2"}));
    }
    EXPECT_EQ(Counts(name(0)), (C{2, 1, 0}));
    EXPECT_TRUE(Delete(name(0), held[0].receipt_handle).ok());
    EXPECT_EQ(Bodies(Receive(name(0))), (std::vector<std::string>{"1", "2"}));
}

TEST_F(QueueEngineTest, WhatAPurgeLeavesIsTakenAwayInPagesAlsoAfterARestart) {
    sizes_.garbage_page = 10;
    Restart();
    Create("q");
    Send("q", {Text("to keep the keys of a queue in use")});
    const size_t keys_of_one = StoredKeys();
    SendTexts("q", 300);
    const QueueAddress queue = Queue("q");
    ASSERT_TRUE(Run([&] { return engine_->Purge(queue); }).ok());
    EXPECT_EQ(Counts("q"), (C{0, 0, 0}));
    Restart();
    Send("q", {Text("new")});
    // Each question lets the sweep go on.
    while (StoredKeys() > keys_of_one) {
        EXPECT_EQ(Counts("q"), (C{1, 0, 0}));
    }
    EXPECT_EQ(Bodies(Receive("q")), std::vector<std::string>{"new"});
}

TEST_F(QueueEngineTest, AMoveTaskThatIsCancelledLeavesTheRest) {
    Create("dead");
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 1}});
    Create("target");
    const QueueAddress dead = Queue("dead");
    SendTexts("dead", 5);
    const Result<std::string> handle =
        Run([&] { return engine_->StartMoveTask(dead, Queue("target").Arn(), 1); });
    ASSERT_TRUE(handle.ok()) << handle.error().message();
    EXPECT_EQ(
        Run([&] { return engine_->StartMoveTask(dead, "", 1); }).error().code(),
        "InvalidParameterValue");
    const auto task = [&] {
        const auto tasks = Run([&] { return engine_->ListMoveTasks(dead, 10); });
        EXPECT_TRUE(tasks.ok() && tasks->size() == 1);
        return tasks->front();
    };
    // One a second: it waits for the clock after the first.
    while (task().moved < 1) {
    }
    const Result<int64_t> moved =
        Run([&] { return engine_->CancelMoveTask(dead.account, dead.region, *handle); });
    ASSERT_TRUE(moved.ok());
    EXPECT_EQ(*moved, 1);
    EXPECT_EQ(task().status, "CANCELLING");
    // It may begin to wait only after the clock was moved.
    while (task().status != "CANCELLED") {
        clock_.Advance(1s);
        due_times_->ClockMoved();
    }
    EXPECT_EQ(task().moved, 1);
    EXPECT_EQ(
        Run([&] { return engine_->CancelMoveTask(dead.account, dead.region, *handle); })
            .error()
            .code(),
        "ResourceNotFoundException");
    EXPECT_EQ(CountsAfterMoves("dead"), (C{4, 0, 0}));
    EXPECT_EQ(Counts("target"), (C{1, 0, 0}));
}

TEST_F(QueueEngineTest, AMoveTaskEndsWithItsLastMessage) {
    Create("dead");
    Create("q", {.redrive = RedrivePolicy{Queue("dead").Arn(), 1}});
    Create("target");
    const QueueAddress dead = Queue("dead");
    SendTexts("dead", 1);
    ASSERT_TRUE(Run([&] { return engine_->StartMoveTask(dead, Queue("target").Arn(), 1); }).ok());
    // The clock stands still, so it cannot wait for its next second.
    std::string status = "RUNNING";
    while (status == "RUNNING") {
        const auto tasks = Run([&] { return engine_->ListMoveTasks(dead, 1); });
        ASSERT_TRUE(tasks.ok() && tasks->size() == 1u);
        status = tasks->front().status;
    }
    EXPECT_EQ(status, "COMPLETED");
    EXPECT_EQ(Counts("target"), (C{1, 0, 0}));
}

}  // namespace
}  // namespace hearth::sqs
