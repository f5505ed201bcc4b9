#include "base/random.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "flow/due_times.h"
#include "flow/wakes.h"
#include "rt/blocking_pool.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "services/sqs/queue_engine.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

// The engine over RocksDB, without HTTP: messages per second in batches of ten, by 32 callers, on a
// queue that has `backlog` messages already. The directory is $TMPDIR or /tmp: name a real disk.
//   queue_bench --benchmark_filter=Send
namespace hearth::sqs {
namespace {

constexpr int kCallers = 32;
constexpr int kBatch = 10;
constexpr size_t kBodyBytes = 256;

struct WallCloudClock final : CloudClock {
    time_point Now() const override {
        return std::chrono::time_point_cast<duration>(
            time_point(std::chrono::duration_cast<duration>(
                std::chrono::system_clock::now().time_since_epoch())));
    }
};

int64_t ResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    int64_t pages = 0;
    int64_t resident = 0;
    statm >> pages >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
}

class Bench final {
  public:
    Bench() : due_times_(clock_, loops_), wakes_(loops_) {
        const char* const base = ::getenv("TMPDIR");
        std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/hearth-bench-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
        auto kv = storage::OpenRocksDb(path_ + "/kv");
        if (!kv.ok()) {
            std::abort();
        }
        kv_ = *std::move(kv);
        engine_ = QueueEngine::Make(
            {.kv = *kv_,
             .loops = loops_,
             .clock = clock_,
             .monotonic_clock = *monotonic_clock_,
             .random = *random_,
             .master_key = master_key_,
             .wakes = wakes_,
             .due_times = due_times_});
        Run([&] { return engine_->Start(); });
        Run([&] { return engine_->Create(queue_, {}, {}, {}); });
    }

    ~Bench() {
        rt::BlockOn(loops_, 0, [&] { return engine_->Stop(); });
        engine_.reset();
        kv_.reset();
        std::filesystem::remove_all(path_);
    }

    void Send(int64_t messages) {
        left_ = messages / kBatch;
        Callers([this]() { return SendLoop(); });
    }

    void ReceiveAndDelete(int64_t messages) {
        left_ = messages / kBatch;
        Callers([this]() { return ReceiveLoop(); });
    }

    int64_t Count() {
        const auto counts = rt::BlockOn(loops_, 0, [&] { return engine_->Counts(queue_); });
        return counts.ok() ? counts->visible : -1;
    }

  private:
    template <class F>
    void Run(F function) {
        if (!rt::BlockOn(loops_, 0, std::move(function)).ok()) {
            std::abort();
        }
    }

    void Callers(std::function<Task<void>()> caller) {
        auto all = [&]() -> Task<void> {
            rt::TaskGroup group;
            for (int i = 0; i < kCallers; ++i) {
                group.Spawn(caller());
            }
            co_await group.Join();
        };
        rt::BlockOn(loops_, 0, all);
    }

    Task<void> SendLoop() {
        while (left_-- > 0) {
            std::vector<OutgoingMessage> messages(kBatch);
            for (OutgoingMessage& message : messages) {
                message.body = body_;
                message.body_md5 = md5_;
                message.sender_id = "000000000000";
            }
            const auto sent = co_await engine_->Send(queue_, std::move(messages));
            if (!sent.ok()) {
                std::abort();
            }
        }
    }

    Task<void> ReceiveLoop() {
        while (left_-- > 0) {
            ReceiveRequest request;
            request.max = kBatch;
            const auto got = co_await engine_->Receive(queue_, request);
            if (!got.ok()) {
                std::abort();
            }
            std::vector<std::string> handles;
            for (const auto& message : *got) {
                handles.push_back(message.receipt_handle);
            }
            if (!(co_await engine_->DeleteMessages(queue_, std::move(handles))).ok()) {
                std::abort();
            }
        }
    }

    const QueueAddress queue_{AccountId("000000000000"), Region("us-east-1"), "bench"};
    const std::string body_ = std::string(kBodyBytes, 'm');
    const std::string md5_ = codec::Md5Hex(body_);
    std::string path_;
    WallCloudClock clock_;
    std::shared_ptr<MonotonicClock> monotonic_clock_ = MonotonicClock::System();
    std::shared_ptr<hearth::Random> random_ = hearth::Random::System();
    codec::MasterKey master_key_{std::array<uint8_t, 32>{5}};
    rt::Loops loops_{1};
    flow::DueTimes due_times_;
    flow::Wakes wakes_;
    std::unique_ptr<storage::RocksDbKv> kv_;
    std::unique_ptr<QueueEngine> engine_;
    int64_t left_ = 0;
};

constexpr int64_t kRound = 20'000;

void Send(benchmark::State& state) {
    Bench bench;
    bench.Send(state.range(0));
    for (auto _ : state) {
        bench.Send(kRound);
    }
    state.SetItemsProcessed(state.iterations() * kRound);
    state.counters["resident_mb"] = static_cast<double>(ResidentBytes()) / 1e6;
}

void ReceiveAndDelete(benchmark::State& state) {
    Bench bench;
    bench.Send(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        bench.Send(kRound);
        state.ResumeTiming();
        bench.ReceiveAndDelete(kRound);
    }
    state.SetItemsProcessed(state.iterations() * kRound);
    state.counters["resident_mb"] = static_cast<double>(ResidentBytes()) / 1e6;
}

void Counts(benchmark::State& state) {
    Bench bench;
    bench.Send(state.range(0));
    for (auto _ : state) {
        if (bench.Count() < state.range(0)) {
            state.SkipWithError("messages are missing");
        }
    }
}

BENCHMARK(Send)->Arg(10)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(ReceiveAndDelete)->Arg(10)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Counts)->Arg(10)->UseRealTime();
BENCHMARK(Send)->Arg(10'000'000)->Iterations(10)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(ReceiveAndDelete)
    ->Arg(10'000'000)
    ->Iterations(10)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(Counts)->Arg(10'000'000)->Iterations(1'000)->UseRealTime();

}  // namespace
}  // namespace hearth::sqs
