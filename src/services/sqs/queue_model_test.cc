#include "base/random.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "flow/due_times.h"
#include "flow/wakes.h"
#include "rt/loops.h"
#include "services/sqs/queue_engine.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

// Random operations, clock jumps, restarts and lost answers, against a model that knows nothing of
// how queues are kept. A seed says everything: the same one gives the same run.
//   --gtest_filter='*' with HEARTH_QUEUE_SEED=123 runs that seed alone.
namespace hearth::sqs {
namespace {

using namespace std::chrono_literals;
using Messages = std::vector<MessageQueues::Message>;

// What is known of a message. "Maybe" is what an error left open.
struct Known {
    std::string group;
    bool maybe_sent = false;
    bool deleted = false;
    bool maybe_deleted = false;
    // Not receivable before, for certain.
    int64_t hidden_until_ms = 0;
    // An answer was lost that may have hidden it.
    int64_t maybe_hidden_until_ms = 0;
    // FIFO: in the order of sending.
    int64_t order = 0;
    std::string handle;
    int receives = 0;
};

class Simulation final {
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

  public:
    Simulation(uint64_t seed, bool fifo, uint32_t faults_per_mille, const QueueEngine::Sizes& sizes)
        : random_(seed),
          fifo_(fifo),
          faulty_(faults_per_mille > 0),
          sizes_(sizes),
          queue_{AccountId("000000000000"), Region("us-east-1"), fifo ? "q.fifo" : "q"},
          ids_(Random::Seeded(seed)),
          kv_(storage::MakeMemoryKv(
              {.seed = seed,
               .conflict_per_mille = faults_per_mille,
               .unknown_per_mille = faults_per_mille})) {
        Begin();
        QueueSettings settings;
        settings.fifo = fifo;
        settings.visibility = 30s;
        while (!Run([&] { return engine_->Find(queue_); }).ok()) {
            static_cast<void>(Run([&] { return engine_->Create(queue_, settings, {}, {}); }).ok());
        }
    }

    ~Simulation() { End(); }

    void Go(int steps) {
        for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
            Step();
        }
        Drain();
    }

  private:
    void Begin() {
        wakes_.emplace(loops_);
        due_times_.emplace(clock_, loops_);
        engine_ = QueueEngine::Make(
            {.kv = *kv_,
             .loops = loops_,
             .clock = clock_,
             .monotonic_clock = monotonic_clock_,
             .random = *ids_,
             .master_key = master_key_,
             .wakes = *wakes_,
             .due_times = *due_times_,
             .sizes = sizes_});
        ASSERT_TRUE(Run([&] { return engine_->Start(); }).ok());
    }

    void End() {
        Run([&] { return engine_->Stop(); });
        engine_.reset();
        due_times_.reset();
        wakes_.reset();
    }

    int64_t NowMs() const { return UnixMs(clock_.Now()); }

    int Pick(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }

    void Step() {
        switch (Pick(20)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
            case 5:
                return Send();
            case 6:
            case 7:
            case 8:
            case 9:
            case 10:
            case 11:
                return Receive();
            case 12:
            case 13:
            case 14:
                return Delete();
            case 15:
                return Change();
            case 16:
            case 17:
                return clock_.Advance(std::chrono::milliseconds(Pick(8'000)));
            case 18:
                return clock_.Advance(std::chrono::seconds(Pick(60)));
            default:
                if (Pick(5) == 0) {
                    End();
                    Begin();
                }
        }
    }

    void Send() {
        std::vector<OutgoingMessage> messages;
        std::vector<Known> known;
        std::vector<std::string> bodies;
        const int count = 1 + Pick(10);
        for (int i = 0; i < count; ++i) {
            OutgoingMessage message;
            message.body = std::to_string(++sent_);
            message.body_md5 = codec::Md5Hex(message.body);
            Known one;
            one.order = sent_;
            if (fifo_ || Pick(3) == 0) {
                one.group = std::string(1, static_cast<char>('a' + Pick(5)));
                message.group_id = one.group;
            }
            if (fifo_) {
                message.deduplication_id = message.body;
            } else if (Pick(5) == 0) {
                const int delay_s = Pick(20);
                message.delay = std::chrono::seconds(delay_s);
                one.hidden_until_ms = NowMs() + delay_s * 1'000;
            }
            bodies.push_back(message.body);
            known.push_back(one);
            messages.push_back(std::move(message));
        }
        const auto sent = Run([&] { return engine_->Send(queue_, messages); });
        if (!sent.ok()) {
            ASSERT_TRUE(faulty_) << sent.error().message();
        } else {
            ASSERT_EQ(sent->size(), messages.size());
        }
        for (size_t i = 0; i < known.size(); ++i) {
            known[i].maybe_sent = !sent.ok();
            messages_.emplace(bodies[i], known[i]);
        }
    }

    void Receive() {
        ReceiveRequest request;
        request.max = 1 + Pick(10);
        const int hide_s = Pick(4) == 0 ? 0 : 1 + Pick(40);
        request.visibility = std::chrono::seconds(hide_s);
        const Result<Messages> got = Run([&] { return engine_->Receive(queue_, request); });
        const int64_t until_ms = NowMs() + hide_s * 1'000;
        if (!got.ok()) {
            ASSERT_TRUE(faulty_) << got.error().message();
            for (auto& [body, known] : messages_) {
                known.maybe_hidden_until_ms = std::max(known.maybe_hidden_until_ms, until_ms);
            }
            return;
        }
        Check(*got);
        for (const auto& message : *got) {
            Known& known = messages_.at(message.body);
            known.hidden_until_ms = until_ms;
            known.handle = message.receipt_handle;
        }
    }

    void Check(const Messages& got) {
        const int64_t now_ms = NowMs();
        std::map<std::string, int64_t> last_of_group;
        for (const auto& message : got) {
            const auto found = messages_.find(message.body);
            ASSERT_NE(found, messages_.end()) << "nobody sent " << message.body;
            Known& known = found->second;
            ASSERT_FALSE(known.deleted) << message.body << " was deleted and came back";
            ASSERT_LE(known.hidden_until_ms, now_ms) << message.body << " was still hidden";
            // It is there, whatever was said about it.
            known.maybe_sent = false;
            known.maybe_deleted = false;
            ++known.receives;
            ASSERT_GE(
                std::stoi(message.system_attributes.at("ApproximateReceiveCount")), known.receives);
            if (!fifo_) {
                continue;
            }
            int64_t& last = last_of_group[known.group];
            ASSERT_LT(last, known.order) << "the group " << known.group << " is out of order";
            for (const auto& [body, other] : messages_) {
                if (other.group != known.group || other.deleted || other.maybe_deleted ||
                    other.maybe_sent) {
                    continue;
                }
                // Whoever is before it is in the same answer.
                if (other.order < known.order && other.order > last) {
                    FAIL() << message.body << " came before " << body << " of its group";
                }
                ASSERT_LE(other.hidden_until_ms, now_ms)
                    << message.body << " came while " << body << " of its group was in flight";
            }
            last = known.order;
        }
    }

    std::optional<std::string> AnyWithHandle() {
        std::vector<std::string> bodies;
        for (const auto& [body, known] : messages_) {
            if (!known.handle.empty() && !known.deleted) {
                bodies.push_back(body);
            }
        }
        if (bodies.empty()) {
            return std::nullopt;
        }
        return bodies[static_cast<size_t>(Pick(static_cast<int>(bodies.size())))];
    }

    void Delete() {
        const std::optional<std::string> body = AnyWithHandle();
        if (!body) {
            return;
        }
        Known& known = messages_.at(*body);
        const auto results = Run([&] { return engine_->DeleteMessages(queue_, {known.handle}); });
        if (!results.ok()) {
            ASSERT_TRUE(faulty_) << results.error().message();
            known.maybe_deleted = true;
            return;
        }
        if (results->front().ok()) {
            // With a handle that an error may have outdated, a standard queue may say so and keep
            // the message.
            if (!fifo_ && known.maybe_hidden_until_ms > 0) {
                known.maybe_deleted = true;
            } else {
                known.deleted = true;
            }
            return;
        }
        ASSERT_TRUE(fifo_) << results->front().error().message();
        // The last handle, in time: nobody else may have got the message.
        ASSERT_TRUE(known.hidden_until_ms <= NowMs() || known.maybe_hidden_until_ms > 0)
            << results->front().error().message();
    }

    void Change() {
        const std::optional<std::string> body = AnyWithHandle();
        if (!body) {
            return;
        }
        Known& known = messages_.at(*body);
        const int hide_s = Pick(3) == 0 ? 0 : Pick(60);
        const auto results = Run([&] {
            return engine_->ChangeVisibility(
                queue_, {{known.handle, std::chrono::seconds(hide_s)}});
        });
        if (!results.ok()) {
            ASSERT_TRUE(faulty_) << results.error().message();
            known.hidden_until_ms = 0;
            known.maybe_hidden_until_ms = NowMs() + hide_s * 1'000;
        } else if (results->front().ok()) {
            known.hidden_until_ms = NowMs() + hide_s * 1'000;
        }
    }

    // Everything that was acknowledged and not deleted is there, once.
    void Drain() {
        if (::testing::Test::HasFailure()) {
            return;
        }
        clock_.Advance(100s);
        int errors = 0;
        while (errors < 1'000) {
            ReceiveRequest request;
            request.max = 10;
            request.visibility = 3'600s;
            const Result<Messages> got = Run([&] { return engine_->Receive(queue_, request); });
            if (!got.ok()) {
                ASSERT_TRUE(faulty_) << got.error().message();
                ++errors;
                for (auto& [body, known] : messages_) {
                    known.maybe_hidden_until_ms = NowMs() + 3'600'000;
                }
                clock_.Advance(3'600s);
                for (auto& [body, known] : messages_) {
                    known.hidden_until_ms = std::min(known.hidden_until_ms, NowMs());
                }
                continue;
            }
            if (got->empty()) {
                break;
            }
            Check(*got);
            if (::testing::Test::HasFailure()) {
                return;
            }
            for (const auto& message : *got) {
                Known& known = messages_.at(message.body);
                known.hidden_until_ms = NowMs() + 3'600'000;
                known.handle = message.receipt_handle;
                while (true) {
                    const auto deleted =
                        Run([&] { return engine_->DeleteMessages(queue_, {known.handle}); });
                    if (deleted.ok()) {
                        ASSERT_TRUE(deleted->front().ok()) << deleted->front().error().message();
                        break;
                    }
                    ASSERT_TRUE(faulty_) << deleted.error().message();
                }
                known.deleted = true;
            }
        }
        for (const auto& [body, known] : messages_) {
            ASSERT_TRUE(known.deleted || known.maybe_deleted || known.maybe_sent)
                << body << " was lost";
        }
        const auto counts = Run([&] { return engine_->Counts(queue_); });
        ASSERT_TRUE(counts.ok() || faulty_);
        if (counts.ok()) {
            EXPECT_EQ(counts->visible, 0);
            EXPECT_EQ(counts->in_flight, 0);
            EXPECT_EQ(counts->delayed, 0);
        }
    }

    std::mt19937_64 random_;
    const bool fifo_;
    const bool faulty_;
    const QueueEngine::Sizes sizes_;
    const QueueAddress queue_;
    testing::FakeCloudClock clock_;
    testing::FakeMonotonicClock monotonic_clock_;
    std::shared_ptr<hearth::Random> ids_;
    codec::MasterKey master_key_{std::array<uint8_t, 32>{9}};
    std::unique_ptr<storage::Kv> kv_;
    rt::Loops loops_{1};
    std::optional<flow::Wakes> wakes_;
    std::optional<flow::DueTimes> due_times_;
    std::unique_ptr<QueueEngine> engine_;
    std::map<std::string, Known> messages_;
    int64_t sent_ = 0;
};

void RunSeeds(
    bool fifo,
    uint32_t faults_per_mille,
    uint64_t seeds = 25,
    const QueueEngine::Sizes& sizes = QueueEngine::Sizes()) {
    uint64_t first = 1;
    uint64_t last = seeds;
    if (const char* const only = ::getenv("HEARTH_QUEUE_SEED")) {
        first = last = std::stoull(only);
    }
    for (uint64_t seed = first; seed <= last; ++seed) {
        SCOPED_TRACE("HEARTH_QUEUE_SEED=" + std::to_string(seed));
        Simulation(seed, fifo, faults_per_mille, sizes).Go(300);
        if (::testing::Test::HasFailure()) {
            return;
        }
    }
}

// Nearly nothing fits into memory.
QueueEngine::Sizes SmallSizes() {
    QueueEngine::Sizes sizes;
    sizes.lanes_max = 3;
    sizes.lanes_per_walk = 2;
    sizes.read_ahead = 3;
    sizes.read_ahead_of_many = 2;
    sizes.many_lanes = 2;
    sizes.window_max = 3;
    sizes.places_max = 4;
    sizes.places_page = 2;
    sizes.garbage_page = 3;
    return sizes;
}

TEST(QueueModel, StandardQueuesKeepTheirPromises) {
    RunSeeds(false, 0);
}

TEST(QueueModel, StandardQueuesKeepThemWhenAnswersAreLost) {
    RunSeeds(false, 20);
}

TEST(QueueModel, FifoQueuesKeepTheirPromises) {
    RunSeeds(true, 0);
}

TEST(QueueModel, FifoQueuesKeepThemWhenAnswersAreLost) {
    RunSeeds(true, 20);
}

TEST(QueueModel, StandardQueuesKeepThemWithNearlyNothingInMemory) {
    RunSeeds(false, 0, 8, SmallSizes());
    RunSeeds(false, 20, 8, SmallSizes());
}

TEST(QueueModel, FifoQueuesKeepThemWithNearlyNothingInMemory) {
    RunSeeds(true, 0, 8, SmallSizes());
    RunSeeds(true, 20, 8, SmallSizes());
}

}  // namespace
}  // namespace hearth::sqs
