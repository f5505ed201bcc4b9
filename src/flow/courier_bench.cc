#include "base/random.h"
#include "flow/courier.h"
#include "flow/due_times.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>

// How long a delivery is on its way, and how many there are in a second, over the real store with
// its syncs. The directory is $TMPDIR or /tmp: name a real disk.
namespace hearth::flow {
namespace {

using Now = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLimit = std::chrono::minutes(30);

class SystemCloudClock final : public CloudClock {
  public:
    time_point Now() const override {
        return time_point(std::chrono::duration_cast<duration>(
            std::chrono::system_clock::now().time_since_epoch()));
    }
};

size_t ResidentMb() {
    std::ifstream statm("/proc/self/statm");
    size_t pages = 0;
    statm >> pages >> pages;
    return pages * 4 / 1'024;
}

// A courier over a store on disk; `on_delivery` runs in its handler.
class Bench final {
  public:
    explicit Bench(std::function<void(const Delivery&)> on_delivery)
        : on_delivery_(std::move(on_delivery)) {
        const char* const base = ::getenv("TMPDIR");
        path_ = std::string(base != nullptr ? base : "/tmp") + "/hearth-bench-XXXXXX";
        CHECK(::mkdtemp(path_.data()) != nullptr);
        auto opened = storage::OpenRocksDb(path_ + "/kv", {});
        CHECK(opened.ok());
        kv_ = *std::move(opened);
        Open();
    }

    ~Bench() {
        Close();
        kv_.reset();
        std::filesystem::remove_all(path_);
    }

    template <class F>
    auto Run(F function) {
        return rt::BlockOn(loops_, 0, std::move(function));
    }

    void Open() {
        due_times_.emplace(clock_, loops_);
        courier_.emplace(Courier::Deps{
            .kv = *kv_,
            .clock = clock_,
            .due_times = *due_times_,
            .random = *random_,
            .loops = loops_});
        courier_->Register(
            "note",
            [this](const Delivery& delivery) -> Task<Result<Verdict>> {
                on_delivery_(delivery);
                co_return Verdict::Done();
            },
            {.running_per_lane = 100, .running_max = 1'000});
    }

    void Start() {
        CHECK(Run([this] { return courier_->Start(); }).ok());
        started_ = true;
    }

    void Close() {
        if (started_) {
            Run([this] { return courier_->Stop(); });
        }
        started_ = false;
        courier_.reset();
        due_times_.reset();
    }

    void Settle() {
        CHECK(Run([this] { return courier_->Settle(kLimit); }).ok());
    }

    Task<void> SendOne(std::string lane) {
        const Status status =
            co_await courier_->Send(courier_->Make("note", std::move(lane), payload_));
        CHECK(status.ok());
    }

    // Without telling anybody, 300 in a transaction.
    Task<void> PutMany(size_t count, int lanes) {
        for (size_t begin = 0; begin < count; begin += 300) {
            std::vector<Delivery> deliveries;
            for (size_t i = begin; i < std::min(count, begin + 300); ++i) {
                deliveries.push_back(courier_->Make(
                    "note", fmt::format("lane-{}", i % static_cast<size_t>(lanes)), payload_));
            }
            const storage::Kv::Body body = [&](storage::Transaction& t) -> Task<Status> {
                for (const Delivery& delivery : deliveries) {
                    HEARTH_CO_RETURN_IF_ERROR(courier_->Put(t, delivery));
                }
                co_return Status();
            };
            CHECK((co_await kv_->Transact(body)).ok());
        }
    }

    Courier& courier() { return *courier_; }

    rt::Loops& loops() { return loops_; }

  private:
    std::function<void(const Delivery&)> on_delivery_;
    std::string path_;
    SystemCloudClock clock_;
    const std::shared_ptr<Random> random_ = Random::System();
    rt::Loops loops_{2};
    std::unique_ptr<storage::Kv> kv_;
    std::optional<DueTimes> due_times_;
    std::optional<Courier> courier_;
    bool started_ = false;
    const std::string payload_ = std::string(256, 'p');
};

// One at a time: how long until Send has returned, and from then until the handler runs.
void BM_OneDelivery(benchmark::State& state) {
    std::atomic<int64_t> handled_ns{0};
    Bench bench([&](const Delivery&) { handled_ns = Now::now().time_since_epoch().count(); });
    bench.Start();
    std::vector<double> sent_us;
    std::vector<double> handled_us;
    for (auto _ : state) {
        handled_ns = 0;
        const auto began = Now::now();
        bench.Run([&] { return bench.SendOne("lane"); });
        const auto sent = Now::now();
        while (handled_ns == 0) {
        }
        sent_us.push_back(std::chrono::duration<double, std::micro>(sent - began).count());
        handled_us.push_back(
            static_cast<double>(handled_ns - sent.time_since_epoch().count()) / 1'000);
    }
    const auto quantile = [](std::vector<double>& values, double share) {
        std::sort(values.begin(), values.end());
        return values[static_cast<size_t>(static_cast<double>(values.size() - 1) * share)];
    };
    state.counters["sent_p50_us"] = quantile(sent_us, 0.5);
    // Below zero: the handler ran before Send had returned to its caller's thread.
    state.counters["handled_after_p50_us"] = quantile(handled_us, 0.5);
    state.counters["handled_after_p99_us"] = quantile(handled_us, 0.99);
}

BENCHMARK(BM_OneDelivery)->Unit(benchmark::kMicrosecond)->UseRealTime();

// `senders` at once, each one after the other, until all is handled and removed.
void BM_Deliveries(benchmark::State& state) {
    constexpr int kEach = 500;
    std::atomic<size_t> handled{0};
    Bench bench([&](const Delivery&) { ++handled; });
    bench.Start();
    const int senders = static_cast<int>(state.range(0));
    for (auto _ : state) {
        auto all = [&]() -> Task<void> {
            rt::TaskGroup group;
            for (int i = 0; i < senders; ++i) {
                group.Spawn([&bench, i]() -> Task<void> {
                    for (int j = 0; j < kEach; ++j) {
                        co_await bench.SendOne(fmt::format("lane-{}", i));
                    }
                });
            }
            co_await group.Join();
        };
        bench.Run(all);
        bench.Settle();
    }
    state.SetItemsProcessed(static_cast<int64_t>(handled));
}

BENCHMARK(BM_Deliveries)->Arg(1)->Arg(32)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime();

// What an earlier process left: how long until the courier has found it, what it costs of memory,
// how fast it goes.
void BM_Backlog(benchmark::State& state) {
    const size_t count = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        std::atomic<size_t> handled{0};
        std::atomic<size_t> highest_mb{0};
        Bench bench([&](const Delivery&) {
            if (++handled % 4'096 == 0) {
                highest_mb = std::max(highest_mb.load(), ResidentMb());
            }
        });
        bench.Run([&] { return bench.PutMany(count, 100); });
        bench.Close();
        bench.Open();
        const size_t before_mb = ResidentMb();
        const auto began = Now::now();
        bench.Start();
        const auto started = Now::now();
        bench.Settle();
        const auto ended = Now::now();
        CHECK(handled == count);
        state.counters["start_ms"] =
            std::chrono::duration<double, std::milli>(started - began).count();
        state.counters["per_second"] =
            static_cast<double>(count) / std::chrono::duration<double>(ended - started).count();
        // Against before the start: with the store open and what was just written in its caches.
        state.counters["before_mb"] = static_cast<double>(before_mb);
        state.counters["highest_mb"] = static_cast<double>(highest_mb);
    }
}

BENCHMARK(BM_Backlog)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace hearth::flow
