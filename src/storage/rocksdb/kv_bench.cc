#include "os/fd.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/keys/key.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

// Commits per second against the bare disk: `LogReference` appends as much to a file and syncs it,
// as `dd conv=fdatasync` does. With one writer a commit costs one sync; with many, one sync is
// shared. Run with --benchmark_filter; the directory is $TMPDIR or /tmp: name a real disk.
namespace hearth::storage {
namespace {

constexpr size_t kValueBytes = 400;

class Scratch final {
  public:
    Scratch() {
        const char* const base = ::getenv("TMPDIR");
        std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/hearth-bench-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }

    ~Scratch() { std::filesystem::remove_all(path_); }

    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

void LogReference(benchmark::State& state) {
    const Scratch scratch;
    const os::Fd file(
        ::open((scratch.path() + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::string record(kValueBytes, 'x');
    for (auto _ : state) {
        if (::write(file.get(), record.data(), record.size()) < 0 || ::fdatasync(file.get()) != 0) {
            state.SkipWithError("the disk does not take it");
        }
    }
    state.SetItemsProcessed(state.iterations());
}

Task<void> Write(Kv& kv, int writer, int64_t& next, int64_t end) {
    const std::string value(kValueBytes, 'v');
    while (next < end) {
        const std::string key =
            keys::Key(AccountId("000000000000"), Region("us-east-1")).Add(writer).Add(next++);
        if (!(co_await kv.Put(key, value)).ok()) {
            std::abort();
        }
    }
}

void Commits(benchmark::State& state) {
    const Scratch scratch;
    RocksDbOptions options;
    options.durability = state.range(1) != 0 ? Durability::kSync : Durability::kRelaxed;
    auto kv = OpenRocksDb(scratch.path() + "/kv", options);
    const int64_t batch = state.range(0) * 50;
    int64_t next = 0;
    for (auto _ : state) {
        const int64_t end = next + batch;
        auto all = [&]() -> Task<void> {
            rt::TaskGroup group;
            for (int writer = 0; writer < state.range(0); ++writer) {
                group.Spawn(Write(**kv, writer, next, end));
            }
            co_await group.Join();
        };
        rt::RunTask(all());
    }
    state.SetItemsProcessed(state.iterations() * batch);
    const RocksDbStatistics statistics = (*kv)->Statistics();
    state.counters["per_sync"] =
        static_cast<double>(statistics.commits) / static_cast<double>(statistics.batches);
}

void PointReads(benchmark::State& state) {
    const Scratch scratch;
    auto kv = OpenRocksDb(scratch.path() + "/kv");
    const std::string key = keys::Key(AccountId("000000000000"), Region("us-east-1")).Add("name");
    if (!rt::RunTask((*kv)->Put(key, std::string(kValueBytes, 'v'))).ok()) {
        std::abort();
    }
    auto read = [&]() -> Task<void> {
        for (int i = 0; i < 1'000; ++i) {
            benchmark::DoNotOptimize(co_await (*kv)->Get(key));
        }
    };
    for (auto _ : state) {
        rt::RunTask(read());
    }
    state.SetItemsProcessed(state.iterations() * 1'000);
}

// Opening a store with 10,000 records of a function's size whose process was killed: all in the
// log.
void OpenAfterKill(benchmark::State& state) {
    const Scratch scratch;
    const std::string path = scratch.path() + "/kv";
    RocksDbOptions options;
    options.durability = Durability::kRelaxed;
    const pid_t writer = ::fork();
    if (writer == 0) {
        auto kv = OpenRocksDb(path, options);
        auto all = [&]() -> Task<void> {
            for (int i = 0; i < 10'000; ++i) {
                if (!(co_await (*kv)->Put(fmt::format("function{:06}", i), std::string(1'500, 'f')))
                         .ok()) {
                    std::abort();
                }
            }
        };
        rt::RunTask(all());
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(writer, nullptr, 0);
    int copy = 0;
    for (auto _ : state) {
        state.PauseTiming();
        const std::string copied = fmt::format("{}/copy{}", scratch.path(), copy++);
        std::filesystem::copy(path, copied, std::filesystem::copy_options::recursive);
        state.ResumeTiming();
        auto kv = OpenRocksDb(copied, options);
        state.PauseTiming();
        kv->reset();
        std::filesystem::remove_all(copied);
        state.ResumeTiming();
    }
}

BENCHMARK(OpenAfterKill)->Unit(benchmark::kMillisecond)->Iterations(20);
BENCHMARK(LogReference)->UseRealTime();
BENCHMARK(Commits)
    ->ArgNames({"writers", "sync"})
    ->Args({1, 1})
    ->Args({32, 1})
    ->Args({256, 1})
    ->Args({32, 0})
    ->UseRealTime();
BENCHMARK(PointReads);

}  // namespace
}  // namespace hearth::storage
