#include "services/lambda/mapping_poller.h"

#include "base/random.h"
#include "rt/loops.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/mapping_store.h"
#include "services/lambda/recursion.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kQueueArn = "arn:aws:sqs:us-east-1:000000000000:orders";
constexpr const char* kWakeKey = "sqs/000000000000/us-east-1/orders";

// Hands messages out in order, each once until it is given back.
class FakeQueues final : public MessageQueues {
  public:
    void Add(std::string id, std::string body) {
        Message message;
        message.message_id = id;
        message.receipt_handle = "handle-" + id;
        message.body = std::move(body);
        waiting_.push_back(std::move(message));
    }

    Task<Result<Facts>> Find(std::string) override {
        Facts facts;
        facts.visibility_timeout = visibility;
        facts.max_receive_count = max_receive_count;
        co_return facts;
    }

    Task<Result<std::vector<Message>>> Receive(std::string, ReceiveOptions options) override {
        ++receives;
        std::vector<Message> taken;
        while (!waiting_.empty() && taken.size() < static_cast<size_t>(options.max)) {
            in_flight_.emplace(waiting_.front().receipt_handle, waiting_.front());
            taken.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
        co_return taken;
    }

    Task<Status> Delete(std::string, std::vector<std::string> handles) override {
        for (const std::string& handle : handles) {
            deleted.push_back(handle);
            in_flight_.erase(handle);
        }
        co_return Status();
    }

    Task<Status> ChangeVisibility(
        std::string, std::vector<std::string> handles, seconds timeout) override {
        EXPECT_EQ(timeout, seconds(0));
        for (const std::string& handle : handles) {
            given_back.push_back(handle);
            waiting_.push_back(in_flight_.at(handle));
            in_flight_.erase(handle);
        }
        co_return Status();
    }

    size_t in_flight() const { return in_flight_.size(); }

    seconds visibility{30};
    std::optional<int> max_receive_count;
    int receives = 0;
    std::vector<std::string> deleted;
    std::vector<std::string> given_back;

  private:
    std::deque<Message> waiting_;
    std::map<std::string, Message> in_flight_;
};

class PollerTest : public ::testing::Test {
  protected:
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

    PollerTest() {
        record_.account = AccountId(kRootAccount);
        record_.region = Region(kDefaultRegion);
        record_.id = "11111111-2222-3333-4444-555555555555";
        record_.source_arn = kQueueArn;
        record_.function_name = "worker";
        answer_ = [](const std::string&) -> Result<InvokeResult> { return InvokeResult(); };
    }

    ~PollerTest() override {
        Run([this]() -> Task<void> {
            poller_->Stop();
            release_.Set();
            co_await world_->tasks.Join();
            poller_.reset();
            world_.reset();
        });
    }

    // Begins to poll and waits until nothing moves any more.
    void Start() {
        Run([this]() -> Task<void> {
            world_.reset(new MappingWorld{
                .queues = queues_,
                .wakes = wakes_,
                .due_times = due_times_,
                .clock = clock_,
                .random = *random_,
                .call =
                    [this](const MappingRecord&, std::string payload, std::string) {
                        return Call(std::move(payload));
                    },
                .turns = MappingTurns(due_times_, clock_, nullptr),
                .activity = {},
                .tasks = {}});
            poller_ = std::make_shared<MappingPoller>(*world_, record_);
            poller_->Start();
            co_await Settle();
        });
    }

    Task<Result<InvokeResult>> Call(std::string payload) {
        ++calls_;
        running_ += 1;
        running_max_ = std::max(running_max_, running_);
        payloads_.push_back(payload);
        if (hold_) {
            co_await release_.Wait();
        }
        running_ -= 1;
        co_return answer_(payload);
    }

    static Task<void> Settle() {
        for (int i = 0; i < 200; ++i) {
            co_await rt::Yield();
        }
    }

    void Wake() {
        wakes_.Publish(kWakeKey);
        Run([] { return Settle(); });
    }

    void Advance(milliseconds by) {
        clock_.Advance(by);
        Run([this]() -> Task<void> {
            static_cast<void>(co_await due_times_.RunDue());
            co_await Settle();
        });
    }

    testing::FakeCloudClock clock_;
    rt::Loops loops_{1};
    flow::Wakes wakes_{loops_};
    flow::DueTimes due_times_{clock_, loops_};
    std::shared_ptr<Random> random_ = Random::Seeded(7);
    FakeQueues queues_;
    MappingRecord record_;
    std::unique_ptr<MappingWorld> world_;
    std::shared_ptr<MappingPoller> poller_;
    std::function<Result<InvokeResult>(const std::string&)> answer_;
    std::vector<std::string> payloads_;
    int calls_ = 0;
    int running_ = 0;
    int running_max_ = 0;
    bool hold_ = false;
    rt::Event release_;
};

InvokeResult Answer(std::string payload, std::string error = {}) {
    InvokeResult result;
    result.payload = std::move(payload);
    result.function_error = std::move(error);
    return result;
}

TEST_F(PollerTest, ACallThatThrowsIsAFailureAndCostsNoPlace) {
    record_.concurrency_max = 2;
    record_.batch_size = 1;
    answer_ = [this](const std::string&) -> Result<InvokeResult> {
        if (calls_ <= 2) {
            throw std::runtime_error("a bug");
        }
        return InvokeResult();
    };
    queues_.Add("a", "1");
    queues_.Add("b", "2");
    queues_.Add("c", "3");
    Start();
    EXPECT_TRUE(poller_->last_result().starts_with("PROBLEM: ")) << poller_->last_result();
    Advance(std::chrono::minutes(2));
    Advance(std::chrono::minutes(2));
    EXPECT_EQ(queues_.deleted, std::vector<std::string>{"handle-c"});
}

TEST_F(PollerTest, WhatIsThereAtTheStartAndWhatComesLater) {
    queues_.Add("a", "1");
    Start();
    EXPECT_EQ(queues_.deleted, std::vector<std::string>{"handle-a"});
    const int receives = queues_.receives;
    // Nothing happens by itself.
    Advance(std::chrono::hours(24));
    EXPECT_EQ(queues_.receives, receives);
    EXPECT_FALSE(due_times_.NextDue().has_value());
    queues_.Add("b", "2");
    queues_.Add("c", "3");
    Wake();
    EXPECT_EQ(calls_, 2);
    EXPECT_EQ(queues_.deleted.size(), 3u);
    EXPECT_EQ(poller_->last_result(), "OK");
}

TEST_F(PollerTest, FiltersDropWhatDoesNotMatch) {
    record_.filters = {R"({"body": {"kind": ["order"]}})"};
    queues_.Add("a", R"({"kind": "order"})");
    queues_.Add("b", R"({"kind": "other"})");
    queues_.Add("c", "kind order");
    answer_ = [](const std::string&) { return Answer("", "Unhandled"); };
    Start();
    ASSERT_EQ(calls_, 1);
    EXPECT_NE(payloads_[0].find("handle-a"), std::string::npos);
    EXPECT_EQ(payloads_[0].find("handle-b"), std::string::npos);
    EXPECT_EQ(queues_.deleted, (std::vector<std::string>{"handle-b", "handle-c"}));
    // What failed stays in flight until its visibility ends.
    EXPECT_EQ(queues_.in_flight(), 1u);
}

TEST_F(PollerTest, PartialFailures) {
    record_.report_batch_item_failures = true;
    queues_.Add("a", "1");
    queues_.Add("b", "2");
    answer_ = [](const std::string&) {
        return Answer(R"({"batchItemFailures": [{"itemIdentifier": "a"}]})");
    };
    Start();
    EXPECT_EQ(queues_.deleted, std::vector<std::string>{"handle-b"});
    EXPECT_EQ(queues_.in_flight(), 1u);
}

TEST_F(PollerTest, AWindowGathers) {
    record_.batch_size = 3;
    record_.batch_window = seconds(20);
    queues_.Add("a", "1");
    Start();
    EXPECT_EQ(calls_, 0);
    Advance(seconds(10));
    queues_.Add("b", "2");
    Wake();
    EXPECT_EQ(calls_, 0);
    Advance(seconds(10));
    ASSERT_EQ(calls_, 1);
    EXPECT_NE(payloads_[0].find("handle-b"), std::string::npos);
    // A full batch does not wait.
    for (const char* id : {"c", "d", "e", "f"}) {
        queues_.Add(id, "x");
    }
    Wake();
    EXPECT_EQ(calls_, 2);
    EXPECT_EQ(queues_.deleted.size(), 5u);
    EXPECT_EQ(queues_.in_flight(), 1u);
    Run([this]() -> Task<void> {
        poller_->Stop();
        co_await Settle();
    });
    EXPECT_EQ(queues_.given_back, std::vector<std::string>{"handle-f"});
}

TEST_F(PollerTest, ScalesByFiveHundredths) {
    record_.batch_size = 1;
    hold_ = true;
    for (int i = 0; i < 2'000; ++i) {
        queues_.Add(std::to_string(i), "x");
    }
    Start();
    EXPECT_EQ(running_, 5);
    Advance(milliseconds(200));
    EXPECT_EQ(running_, 6);
    for (int i = 0; i < 60; ++i) {
        Advance(seconds(1));
    }
    EXPECT_EQ(running_, 5 + 301);
    hold_ = false;
    Run([this]() -> Task<void> {
        release_.Set();
        for (int i = 0; i < 100; ++i) {
            co_await Settle();
        }
    });
    EXPECT_EQ(queues_.deleted.size(), 2'000u);
    EXPECT_FALSE(due_times_.NextDue().has_value());
}

TEST_F(PollerTest, MaximumConcurrency) {
    record_.batch_size = 1;
    record_.concurrency_max = 2;
    hold_ = true;
    for (int i = 0; i < 10; ++i) {
        queues_.Add(std::to_string(i), "x");
    }
    Start();
    Advance(std::chrono::hours(1));
    EXPECT_EQ(running_, 2);
    // No more is taken from the queue than may run.
    EXPECT_EQ(queues_.in_flight(), 2u);
}

TEST_F(PollerTest, ThrottledBatchesTryAgainUntilTheyWouldComeBack) {
    int refuse = 3;
    answer_ = [&refuse](const std::string&) -> Result<InvokeResult> {
        if (refuse > 0) {
            --refuse;
            return TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded");
        }
        return InvokeResult();
    };
    queues_.Add("a", "1");
    Start();
    // Once more, now that it would be told of room.
    EXPECT_EQ(calls_, 2);
    queues_.Add("b", "2");
    Wake();
    // What would only wait is left in the queue.
    EXPECT_EQ(queues_.in_flight(), 1u);
    for (int i = 0; i < 5; ++i) {
        Advance(seconds(1));
    }
    EXPECT_EQ(queues_.deleted, (std::vector<std::string>{"handle-a", "handle-b"}));

    refuse = 1'000;
    queues_.Add("c", "3");
    Wake();
    for (int i = 0; i < 40; ++i) {
        Advance(seconds(1));
    }
    EXPECT_EQ(queues_.in_flight(), 1u);
    EXPECT_LT(refuse, 1'000);
    // It gave up, so that the message is not worked on twice.
    EXPECT_FALSE(due_times_.NextDue().has_value());
}

TEST_F(PollerTest, WhatIsThrottledGoesBackWhenTheMappingStops) {
    answer_ = [](const std::string&) -> Result<InvokeResult> {
        return TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded");
    };
    queues_.Add("a", "1");
    Start();
    EXPECT_TRUE(due_times_.NextDue().has_value());
    Run([this]() -> Task<void> {
        poller_->Stop();
        co_await world_->tasks.Join();
    });
    EXPECT_EQ(queues_.given_back, std::vector<std::string>{"handle-a"});
    EXPECT_FALSE(due_times_.NextDue().has_value());
}

TEST_F(PollerTest, LoopsEnd) {
    answer_ = [](const std::string&) -> Result<InvokeResult> { return RecursiveInvocation(); };
    queues_.Add("a", "1");
    Start();
    EXPECT_EQ(queues_.deleted, std::vector<std::string>{"handle-a"});
    // The function goes on with what else there is.
    queues_.max_receive_count = 3;
    queues_.Add("b", "2");
    Wake();
    EXPECT_EQ(calls_, 2);
    EXPECT_EQ(queues_.in_flight(), 1u);
}

TEST_F(PollerTest, OtherErrorsPause) {
    bool broken = true;
    answer_ = [&broken](const std::string&) -> Result<InvokeResult> {
        if (broken) {
            return errors::Unavailable("no environment");
        }
        return InvokeResult();
    };
    queues_.Add("a", "1");
    Start();
    EXPECT_EQ(calls_, 1);
    EXPECT_EQ(poller_->last_result(), "PROBLEM: no environment");
    queues_.Add("b", "2");
    Wake();
    EXPECT_EQ(calls_, 1);
    broken = false;
    Advance(seconds(60));
    EXPECT_EQ(queues_.deleted, std::vector<std::string>{"handle-b"});
}

TEST_F(PollerTest, PayloadsStaySmall) {
    record_.batch_size = 10;
    const std::string body(1 << 20, '"');  // twice as long as JSON
    for (int i = 0; i < 5; ++i) {
        queues_.Add(std::to_string(i), body);
    }
    Start();
    EXPECT_EQ(calls_, 3);
    for (const std::string& payload : payloads_) {
        EXPECT_LE(payload.size(), size_t{6} << 20);
    }
    EXPECT_EQ(queues_.deleted.size(), 5u);
}

TEST_F(PollerTest, FifoDoesNotOvertake) {
    record_.fifo = true;
    hold_ = true;
    const std::string body(1 << 20, '"');
    for (int i = 0; i < 4; ++i) {
        queues_.Add(std::to_string(i), body);
    }
    Start();
    EXPECT_GE(queues_.given_back.size(), 1u);
}

TEST(QueueWakeKey, IsTheQueues) {
    EXPECT_EQ(QueueWakeKey(kQueueArn), kWakeKey);
    EXPECT_EQ(QueueWakeKey("nonsense"), "");
}

TEST(MappingScale, GrowsShrinksAndHasItsEnds) {
    MappingRecord record;
    MappingScale scale(record);
    const CloudClock::time_point start{std::chrono::hours(1)};
    EXPECT_EQ(scale.Allowed(start), 5);
    EXPECT_FALSE(scale.NextGrowth(start).has_value());
    scale.Saturated(start);
    EXPECT_EQ(scale.NextGrowth(start), start + milliseconds(200));
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(1)), 305);
    EXPECT_EQ(scale.Allowed(start + std::chrono::hours(24 * 365)), 1'250);
    EXPECT_FALSE(scale.NextGrowth(start + std::chrono::hours(5)).has_value());
    scale.Failed(start + std::chrono::minutes(1));
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(1)), 152);
    // Nothing grows while it fails, and a single batch is left at the end.
    scale.Saturated(start + std::chrono::minutes(1));
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(9)), 152);
    for (int i = 0; i < 10; ++i) {
        scale.Failed(start + std::chrono::minutes(9));
    }
    scale.Drained();
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(9)), 1);
    scale.Succeeded();
    scale.Saturated(start + std::chrono::minutes(9));
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(10)), 301);
    scale.Drained();
    EXPECT_EQ(scale.Allowed(start + std::chrono::minutes(11)), 5);

    record.concurrency_max = 2;
    EXPECT_EQ(MappingScale(record).Allowed(start), 2);
    record.concurrency_max.reset();
    record.provisioned = ProvisionedPollers{.min = 3, .max = 4};
    MappingScale provisioned(record);
    EXPECT_EQ(provisioned.Allowed(start), 30);
    provisioned.Saturated(start);
    EXPECT_EQ(provisioned.Allowed(start + std::chrono::minutes(1)), 40);
}

TEST(BatchAnswer, SuccessAndFailureAsDocumented) {
    const std::set<std::string, std::less<>> ids{"a", "b"};
    for (const char* all_well :
         {"",
          "null",
          "{}",
          R"({"batchItemFailures": []})",
          R"({"batchItemFailures": null})",
          R"({"statusCode": 200})"}) {
        const BatchOutcome outcome = ReadBatchAnswer(all_well, ids);
        EXPECT_FALSE(outcome.all_failed) << all_well;
        EXPECT_TRUE(outcome.failed.empty()) << all_well;
    }
    for (const char* all_bad :
         {"{",
          "\"done\"",
          R"({"batchItemFailures": 1})",
          R"({"batchItemFailures": [1]})",
          R"({"batchItemFailures": [{"itemIdentifier": ""}]})",
          R"({"batchItemFailures": [{"itemIdentifier": null}]})",
          R"({"batchItemFailures": [{"itemId": "a"}]})",
          R"({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "z"}]})"}) {
        EXPECT_TRUE(ReadBatchAnswer(all_bad, ids).all_failed) << all_bad;
    }
    EXPECT_EQ(
        ReadBatchAnswer(R"({"batchItemFailures": [{"itemIdentifier": "a"}]})", ids).failed,
        (std::set<std::string, std::less<>>{"a"}));
}

TEST(MappingEvent, IsAsAwsShowsIt) {
    MessageQueues::Message message;
    message.message_id = "059f36b4";
    message.receipt_handle = "AQEB";
    message.body = "Test \"message\".";
    message.body_md5 = "e4e6";
    message.system_attributes = {{"ApproximateReceiveCount", "1"}, {"SenderId", "AIDA"}};
    message.attributes = {
        {"b", {.data_type = "Binary", .value = std::string("\x01\x02", 2)}},
        {"n", {.data_type = "Number", .value = "7"}}};
    message.attributes_md5 = "00cc";
    const std::vector<std::string> records{MakeQueueRecord(message, kQueueArn, "us-east-1")};
    EXPECT_EQ(
        MakeQueueEvent(records),
        R"({"Records":[{"messageId":"059f36b4","receiptHandle":"AQEB","body":"Test \"message\".",)"
        R"("attributes":{"ApproximateReceiveCount":"1","SenderId":"AIDA"},"messageAttributes":{)"
        R"("b":{"binaryValue":"AQI=","stringListValues":[],"binaryListValues":[],)"
        R"("dataType":"Binary"},"n":{"stringValue":"7","stringListValues":[],)"
        R"("binaryListValues":[],"dataType":"Number"}},"md5OfMessageAttributes":"00cc",)"
        R"("md5OfBody":"e4e6","eventSource":"aws:sqs",)"
        R"("eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:orders",)"
        R"("awsRegion":"us-east-1"}]})");
}

TEST(MappingFilters, BodiesAreTextOrJson) {
    const auto match = [](const char* pattern, const char* body) {
        const auto filters = MappingFilters::Compile({pattern});
        EXPECT_TRUE(filters.ok());
        MessageQueues::Message message;
        message.body = body;
        return filters->Match(MakeQueueRecord(message, kQueueArn, "us-east-1"));
    };
    // The table in "Properly filtering Amazon SQS messages".
    EXPECT_TRUE(match(R"({"body": ["hello"]})", "hello"));
    EXPECT_FALSE(match(R"({"body": {"a": [1]}})", "hello"));
    EXPECT_FALSE(match(R"({"body": ["hello"]})", R"({"a": 1})"));
    EXPECT_TRUE(match(R"({"body": {"a": [1]}})", R"({"a": 1})"));
    EXPECT_TRUE(match(R"({"awsRegion": ["us-east-1"]})", "hello"));
    EXPECT_TRUE(match(R"({"awsRegion": ["us-east-1"]})", R"({"a": 1})"));
    EXPECT_FALSE(match(R"({"awsRegion": ["us-east-2"]})", "hello"));
    EXPECT_TRUE(match(R"({"body": ["12"]})", "12"));
}

TEST(MappingStore, OnePairOneMapping) {
    const auto kv = storage::MakeMemoryKv({.seed = 7, .conflict_per_mille = 200});
    MappingStore store(*kv);
    rt::Loops loops(1);
    rt::BlockOn(loops, 0, [&]() -> Task<void> {
        MappingRecord record;
        record.account = AccountId(kRootAccount);
        record.region = Region(kDefaultRegion);
        record.id = "a";
        record.source_arn = kQueueArn;
        record.function_name = "f";
        record.fifo = true;
        record.enabled = false;
        record.batch_size = 7;
        record.batch_window = seconds(3);
        record.filters = {"{}", "x"};
        record.report_batch_item_failures = true;
        record.concurrency_max = 12;
        record.provisioned = ProvisionedPollers{.min = 4, .max = 9};
        record.metrics = std::vector<std::string>{"EventCount"};
        record.tags = {{"k", "v"}};
        record.modified = WallClock::time_point(milliseconds(123'456));
        EXPECT_TRUE((co_await store.Create(record)).ok());
        const auto found = co_await store.Find(record.account, record.region, "a");
        EXPECT_TRUE(found.ok() && *found && **found == record);

        MappingRecord other = record;
        other.id = "b";
        const Status refused = co_await store.Create(other);
        EXPECT_FALSE(refused.ok());
        if (!refused.ok()) {
            EXPECT_EQ(
                refused.error().message(),
                "An event source mapping with SQS arn (\" "
                "arn:aws:sqs:us-east-1:000000000000:orders \") and function (\" f \") already "
                "exists. Please update or delete the existing mapping with UUID a");
        }
        const MappingStore::Change rename = [](MappingRecord& changed) {
            changed.function_name = "g";
            return Status();
        };
        EXPECT_TRUE((co_await store.Update(record.account, record.region, "a", rename)).ok());
        EXPECT_TRUE((co_await store.Create(other)).ok());
        const auto page = co_await store.List(record.account, record.region, "", 1);
        EXPECT_TRUE(page.ok() && page->mappings.size() == 1 && page->more);
        int seen = 0;
        EXPECT_TRUE((co_await store.ForEach([&seen](MappingRecord) { ++seen; })).ok());
        EXPECT_EQ(seen, 2);
        EXPECT_TRUE((co_await store.Delete(record.account, record.region, "a")).ok());
        EXPECT_FALSE((co_await store.Delete(record.account, record.region, "a")).ok());
    });
}

}  // namespace
}  // namespace hearth::lambda
