#include "services/lambda/mapping_turns.h"

#include "base/random.h"
#include "flow/wakes.h"
#include "rt/loops.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/mapping_poller.h"
#include "testing/fake_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MappingTurnsTest : public ::testing::Test {
  protected:
    static MappingTurns::Function Named(const char* name) {
        return {AccountId(kRootAccount), Region(kDefaultRegion), name};
    }

    testing::FakeCloudClock clock_;
    rt::Loops loops_{1};
    flow::DueTimes due_times_{clock_, loops_};
};

TEST_F(MappingTurnsTest, MappingsTakeTurnsWhateverEachHasWaiting) {
    rt::BlockOn(loops_, 0, [this]() -> Task<void> {
        RoomWatches::Tell tell;
        MappingTurns turns(
            due_times_, clock_, [&tell](const auto&, const auto&, const auto&, auto told) {
                tell = std::move(told);
                return nullptr;
            });
        const auto room = [&tell] { tell(RoomWatches::Clock::now()); };
        using Turn = MappingTurns::Turn;
        EXPECT_FALSE(turns.Busy(Named("f")));
        auto a1 = std::make_unique<Turn>(turns, Named("f"), "a");
        // What happened before the line formed nobody has told.
        EXPECT_TRUE(a1->called());
        EXPECT_FALSE(turns.Busy(Named("f")));
        a1->Refused();
        EXPECT_FALSE(a1->called());
        EXPECT_TRUE(turns.Busy(Named("f")));
        EXPECT_FALSE(turns.Busy(Named("g")));
        auto a2 = std::make_unique<Turn>(turns, Named("f"), "a");
        auto a3 = std::make_unique<Turn>(turns, Named("f"), "a");
        auto b1 = std::make_unique<Turn>(turns, Named("f"), "b");
        auto c1 = std::make_unique<Turn>(turns, Named("f"), "c");
        auto b2 = std::make_unique<Turn>(turns, Named("f"), "b");
        EXPECT_FALSE(a1->called() || a2->called() || a3->called() || b1->called());
        room();
        EXPECT_TRUE(a1->called());
        // Refused again it keeps its place.
        a1->Refused();
        room();
        EXPECT_TRUE(a1->called());
        EXPECT_FALSE(b1->called());
        room();
        EXPECT_TRUE(b1->called());
        // Who has nothing to do passes it on.
        b1.reset();
        EXPECT_TRUE(c1->called());
        c1->Used();
        c1.reset();
        EXPECT_FALSE(a2->called() || b2->called());
        room();
        EXPECT_TRUE(a2->called());
        // Who comes now is of this round, and stands behind those who are there.
        auto d1 = std::make_unique<Turn>(turns, Named("f"), "d");
        room();
        EXPECT_TRUE(b2->called());
        room();
        EXPECT_TRUE(d1->called());
        EXPECT_FALSE(a3->called());
        room();
        EXPECT_TRUE(a3->called());
        // Everybody tries; who is refused then has not heard of this.
        room();
        d1->Refused();
        EXPECT_TRUE(d1->called());
        co_return;
    });
}

TEST_F(MappingTurnsTest, OneOfALineTriesNowAndThen) {
    rt::BlockOn(loops_, 0, [this]() -> Task<void> {
        MappingTurns turns(due_times_, clock_, nullptr);
        MappingTurns::Turn first(turns, Named("f"), "a");
        const MappingTurns::Turn second(turns, Named("f"), "b");
        first.Refused();
        clock_.Advance(milliseconds(100));
        EXPECT_EQ(co_await due_times_.RunDue(), 1u);
        EXPECT_TRUE(first.called());
        EXPECT_FALSE(second.called());
        first.Refused();
        clock_.Advance(milliseconds(199));
        EXPECT_EQ(co_await due_times_.RunDue(), 0u);
        clock_.Advance(milliseconds(1));
        EXPECT_EQ(co_await due_times_.RunDue(), 1u);
        EXPECT_TRUE(first.called());
        EXPECT_FALSE(second.called());
    });
    EXPECT_FALSE(due_times_.NextDue().has_value());
}

int SoakCount(int otherwise) {
    const char* const count = std::getenv("HEARTH_SOAK_COUNT");
    return count == nullptr ? otherwise : std::atoi(count);
}

uint64_t SoakSeed() {
    const char* const seed = std::getenv("HEARTH_SEED");
    return seed == nullptr ? std::random_device()() : std::strtoull(seed, nullptr, 10);
}

// Queues by ARN, each with some messages.
class ManyFakeQueues final : public MessageQueues {
  public:
    void Add(const std::string& arn, const std::string& id) {
        Message message;
        message.message_id = id;
        message.receipt_handle = id;
        waiting_[arn].push_back(std::move(message));
    }

    Task<Result<Facts>> Find(std::string) override {
        Facts facts;
        facts.visibility_timeout = seconds(30);
        co_return facts;
    }

    Task<Result<std::vector<Message>>> Receive(std::string arn, ReceiveOptions options) override {
        // Another loop is asked.
        co_await rt::Yield();
        std::vector<Message> taken;
        auto& waiting = waiting_[arn];
        while (!waiting.empty() && taken.size() < static_cast<size_t>(options.max)) {
            ++received[waiting.front().message_id];
            taken.push_back(std::move(waiting.front()));
            waiting.pop_front();
        }
        co_return taken;
    }

    Task<Status> Delete(std::string, std::vector<std::string> handles) override {
        co_await rt::Yield();
        deleted += handles.size();
        co_return Status();
    }

    Task<Status> ChangeVisibility(std::string, std::vector<std::string>, seconds) override {
        ADD_FAILURE() << "nothing is to go back";
        co_return Status();
    }

    std::map<std::string, int> received;
    size_t deleted = 0;

  private:
    std::map<std::string, std::deque<Message>> waiting_;
};

struct Crowd {
    int queues = 0;
    int messages = 5;
    int reserve = 2;
    // Held to the calls of a second, too.
    bool counted = false;
};

// Every queue has a backlog and feeds one function; checks order and receipts.
void Serve(const Crowd& crowd, uint64_t seed) {
    SCOPED_TRACE(fmt::format("HEARTH_SEED={}", seed));
    testing::FakeCloudClock clock;
    rt::Loops loops(1);
    flow::Wakes wakes(loops);
    flow::DueTimes due_times(clock, loops);
    const auto random = Random::Seeded(seed);
    ManyFakeQueues queues;
    const AccountId account(kRootAccount);
    const Region region(kDefaultRegion);
    ConcurrencyLimits limits(
        1'000, [&crowd](AccountId, Region) -> Task<Result<ConcurrencyLimits::Reserves>> {
            co_return ConcurrencyLimits::Reserves{{"shared", crowd.reserve}};
        });
    FunctionConcurrency function(limits, limits.Of(account, region), "shared");
    std::vector<std::string> order;
    int running = 0;
    int refused = 0;
    const auto call =
        [&](const MappingRecord& mapping, std::string, std::string) -> Task<Result<InvokeResult>> {
        uint8_t turns = 0;
        random->Fill({&turns, 1});
        // Deciding which version runs.
        co_await rt::Yield();
        {
            const auto place = function.Enter(RateLimit::Clock::now(), crowd.counted);
            if (!place.ok()) {
                ++refused;
                co_return place.error();
            }
            order.push_back(mapping.id);
            ++running;
            EXPECT_LE(running, crowd.reserve);
            for (int i = 0; i < turns % 16; ++i) {
                co_await rt::Yield();
            }
            --running;
        }
        co_return InvokeResult();
    };
    const size_t all = static_cast<size_t>(crowd.queues) * static_cast<size_t>(crowd.messages);
    rt::BlockOn(loops, 0, [&]() -> Task<void> {
        EXPECT_TRUE((co_await limits.Load(account, region)).ok());
        MappingWorld world{
            .queues = queues,
            .wakes = wakes,
            .due_times = due_times,
            .clock = clock,
            .random = *random,
            .call = call,
            .turns = MappingTurns(
                due_times,
                clock,
                [&](const AccountId&,
                    const Region&,
                    const std::string& name,
                    RoomWatches::Tell tell) {
                    return limits.Of(account, region).watches.Add(loops, name, std::move(tell));
                }),
            .activity = {},
            .tasks = {}};
        std::vector<std::shared_ptr<MappingPoller>> pollers;
        for (int i = 0; i < crowd.queues; ++i) {
            MappingRecord record;
            record.account = account;
            record.region = region;
            record.id = std::to_string(i);
            record.source_arn = fmt::format("arn:aws:sqs:us-east-1:{}:q{}", account.text(), i);
            record.function_name = "shared";
            record.batch_size = 1;
            for (int j = 0; j < crowd.messages; ++j) {
                queues.Add(record.source_arn, fmt::format("{}-{}", i, j));
            }
            pollers.push_back(std::make_shared<MappingPoller>(world, std::move(record)));
            pollers.back()->Start();
        }
        // The clock stands still, so nobody is called but by who made room.
        while (queues.deleted < all) {
            co_await rt::Yield();
        }
        for (const auto& poller : pollers) {
            poller->Stop();
        }
        co_await world.tasks.Join();
        pollers.clear();
    });
    EXPECT_EQ(order.size(), all);
    for (const auto& [message, count] : queues.received) {
        EXPECT_EQ(count, 1) << message;
    }
    // However many have come before: each has had its first call before any has had a third, but
    // for those that found the function free or took messages before there was a line.
    std::map<std::string, int> had;
    size_t last_first = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        if (++had[order[i]] == 1) {
            last_first = i;
        }
    }
    EXPECT_LT(last_first, static_cast<size_t>(2 * crowd.queues));
    // Nobody tries without being called.
    EXPECT_LE(static_cast<size_t>(refused), all / 2 + static_cast<size_t>(10 * crowd.queues));
    ::testing::Test::RecordProperty("last_first", static_cast<int>(last_first));
    ::testing::Test::RecordProperty("refused", refused);
    fmt::print(
        "{} queues: all had a call after {} of {}; {} were refused; seed {}\n",
        crowd.queues,
        last_first + 1,
        all,
        refused,
        seed);
}

TEST(ManyQueues, AreServedInTurns) {
    Serve({.queues = SoakCount(50)}, SoakSeed());
}

TEST(ManyQueues, AreServedInTurnsWhenCallsOfASecondAreTheLimit) {
    Serve({.queues = 15, .messages = 2, .reserve = 1, .counted = true}, SoakSeed());
}

}  // namespace
}  // namespace hearth::lambda
