#include "base/random.h"
#include "codec/crypto/digest_stream.h"
#include "codec/crypto/master_key.h"
#include "os/fd.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/memory/memory_kv.h"
#include "storage/objects/object_bodies.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

// Bodies against what the machine gives at all: MD5 alone, and a file written and synced. Run with
// --benchmark_filter; the directory is $TMPDIR or /tmp: name a real disk.
namespace hearth::storage {
namespace {

constexpr size_t kLarge = size_t{256} << 20;

class Scratch final {
  public:
    Scratch() {
        const char* const base = ::getenv("TMPDIR");
        path_ = std::string(base != nullptr ? base : "/tmp") + "/hearth-bench-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) {
            std::abort();
        }
        ObjectBodiesOptions options;
        options.directory = path_ + "/objects";
        encrypted_ = *OpenObjectBodies(*kv_, key_, *random_, options);
        options.directory = path_ + "/plain";
        options.encrypt = false;
        plain_ = *OpenObjectBodies(*kv_, key_, *random_, options);
    }

    ~Scratch() {
        encrypted_.reset();
        plain_.reset();
        kv_.reset();
        std::filesystem::remove_all(path_);
    }

    const std::string& path() const { return path_; }

    ObjectBodies& bodies(bool encrypted) { return encrypted ? *encrypted_ : *plain_; }

    Kv& kv() { return *kv_; }

  private:
    std::string path_;
    std::shared_ptr<Random> random_ = Random::System();
    const codec::MasterKey key_{std::array<uint8_t, 32>{1}};
    std::unique_ptr<Kv> kv_ = MakeMemoryKv();
    std::unique_ptr<ObjectBodies> encrypted_;
    std::unique_ptr<ObjectBodies> plain_;
};

void Md5Reference(benchmark::State& state) {
    const std::string bytes(size_t{1} << 20, 'x');
    for (auto _ : state) {
        codec::DigestStream md5(codec::DigestKind::kMd5);
        for (size_t i = 0; i < kLarge; i += bytes.size()) {
            md5.Update(bytes);
        }
        benchmark::DoNotOptimize(md5.Finish());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLarge));
}

void WriteReference(benchmark::State& state) {
    Scratch scratch;
    const std::string bytes(size_t{1} << 20, 'x');
    for (auto _ : state) {
        const std::string path = scratch.path() + "/reference";
        {
            const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            for (size_t i = 0; i < kLarge; i += bytes.size()) {
                if (::write(file.get(), bytes.data(), bytes.size()) < 0) {
                    state.SkipWithError("the disk does not take it");
                }
            }
            if (::fdatasync(file.get()) != 0) {
                state.SkipWithError("the disk does not take it");
            }
        }
        state.PauseTiming();
        ::unlink(path.c_str());
        state.ResumeTiming();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLarge));
}

Task<StoredBody> Put(ObjectBodies& bodies, size_t size) {
    auto sink = *co_await bodies.Create(
        {.expected_length = size, .hashes = {.md5 = true, .crc64nvme = true}});
    while (sink->bytes_written() < size) {
        const std::span<char> space = *co_await sink->Space();
        sink->Filled(std::min(space.size(), size - sink->bytes_written()));
    }
    FinishedBody finished = *co_await sink->Finish();
    finished.Keep();
    co_return finished.body();
}

Task<uint64_t> Get(ObjectBodies& bodies, const StoredBody& body) {
    auto source = *co_await bodies.Open({body}, {});
    uint64_t total = 0;
    while (true) {
        const std::string_view bytes = *co_await source->Next();
        if (bytes.empty()) {
            co_return total;
        }
        total += bytes.size();
    }
}

void PutLarge(benchmark::State& state) {
    Scratch scratch;
    ObjectBodies& bodies = scratch.bodies(state.range(0) != 0);
    for (auto _ : state) {
        const StoredBody body = rt::RunTask(Put(bodies, kLarge));
        state.PauseTiming();
        for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.path())) {
            if (entry.is_regular_file() && entry.file_size() > kLarge) {
                std::filesystem::remove(entry.path());
            }
        }
        state.ResumeTiming();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLarge));
}

void GetLarge(benchmark::State& state) {
    Scratch scratch;
    ObjectBodies& bodies = scratch.bodies(state.range(0) != 0);
    const StoredBody body = rt::RunTask(Put(bodies, kLarge));
    for (auto _ : state) {
        if (rt::RunTask(Get(bodies, body)) != kLarge) {
            std::abort();
        }
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLarge));
}

// One body of so many bytes after the other, inline or as files, without a store.
void PutSmall(benchmark::State& state) {
    Scratch scratch;
    for (auto _ : state) {
        rt::RunTask(Put(scratch.bodies(true), static_cast<size_t>(state.range(0))));
    }
    state.SetItemsProcessed(state.iterations());
}

// As PutSmall, 32 at once and committed as S3 would: where inline begins to cost more than a file.
Task<void> PutAndCommit(
    ObjectBodies& bodies, Kv& kv, size_t size, bool as_file, int writer, int count) {
    const std::string bytes(size, 'x');
    for (int i = 0; i < count; ++i) {
        auto sink = *co_await bodies.Create(
            {.expected_length = size, .hashes = {.md5 = true}, .always_file = as_file});
        if (!(co_await sink->Write(bytes)).ok()) {
            std::abort();
        }
        FinishedBody finished = *co_await sink->Finish();
        auto commit = [&](Transaction& transaction) -> Task<Status> {
            bodies.Refer(transaction, finished.body(), "key");
            const std::string name = std::to_string(writer) + "/" + std::to_string(i);
            transaction.Put("o" + name, finished.body().Encode() + std::string(300, 'r'));
            if (finished.body().is_inline()) {
                transaction.Put("i" + name, finished.body().inline_bytes);
            }
            co_return Status();
        };
        if (!(co_await kv.Transact(commit)).ok()) {
            std::abort();
        }
        finished.Keep();
    }
}

void Commit32(benchmark::State& state) {
    Scratch scratch;
    const auto kv = *OpenRocksDb(scratch.path() + "/kv");
    const auto size = static_cast<size_t>(state.range(0));
    constexpr int kEach = 20;
    const codec::MasterKey key{std::array<uint8_t, 32>{1}};
    const auto random = Random::System();
    ObjectBodiesOptions options;
    options.directory = scratch.path() + "/committed";
    options.inline_bytes_max = size_t{64} << 10;
    const auto bodies = *OpenObjectBodies(*kv, key, *random, options);
    for (auto _ : state) {
        auto all = [&]() -> Task<void> {
            rt::TaskGroup group;
            for (int writer = 0; writer < 32; ++writer) {
                group.Spawn(PutAndCommit(*bodies, *kv, size, state.range(1) != 0, writer, kEach));
            }
            co_await group.Join();
        };
        rt::RunTask(all());
    }
    state.SetItemsProcessed(state.iterations() * 32 * kEach);
}

BENCHMARK(Md5Reference)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(WriteReference)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(PutLarge)
    ->ArgName("encrypted")
    ->Arg(1)
    ->Arg(0)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);
BENCHMARK(GetLarge)
    ->ArgName("encrypted")
    ->Arg(1)
    ->Arg(0)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(PutSmall)->Arg(1'024)->Arg(16'384)->Arg(20'000)->Arg(1 << 20)->UseRealTime();
BENCHMARK(Commit32)
    ->ArgNames({"size", "file"})
    ->ArgsProduct({{1'024, 4'096, 16'384, 32'768, 65'536}, {0, 1}})
    ->UseRealTime();

}  // namespace
}  // namespace hearth::storage
