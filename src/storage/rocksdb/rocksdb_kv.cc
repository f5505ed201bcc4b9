#include "storage/rocksdb/rocksdb_kv.h"

#include "base/log.h"
#include "os/fd.h"
#include "rt/blocking_pool.h"
#include "rt/timer.h"
#include "storage/optimistic/transaction_buffer.h"
#include "storage/rocksdb/committer.h"
#include "storage/rocksdb/open_snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <random>
#include <thread>

namespace hearth::storage {
namespace {

using optimistic::PageBuilder;
using optimistic::TransactionBuffer;

constexpr std::chrono::seconds kTransactionAgeMax{5};

// Small on purpose: an idle cloud is a few megabytes, and the log that a start after a kill has to
// replay is bounded. Measured by kv_bench.
constexpr size_t kMemtableBytes = 8 * 1024 * 1024;
constexpr size_t kMemtableArenaBytes = 64 * 1024;
constexpr uint64_t kLogBytesMax = 32 * 1024 * 1024;
constexpr size_t kBlockCacheBytes = 8 * 1024 * 1024;
// Well below the 1,024 descriptors that a process gets by default; the rest is for connections.
constexpr int kOpenFilesMax = 128;
constexpr int kBackgroundJobsMax = 2;
// A table in which so many of so many neighbours are deletions is compacted soon.
constexpr size_t kDeletionWindow = 2'000;
constexpr size_t kDeletionsInWindow = 1'000;

Error ReadError(const rocksdb::Status& status) {
    return errors::Internal(fmt::format("store: {}", status.ToString()));
}

// RocksDB's own log file would grow and wake the disk; what matters goes to ours.
class EngineLogger final : public rocksdb::Logger {
  public:
    EngineLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

    using rocksdb::Logger::Logv;

    void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
        if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) {
            return;
        }
        char line[512];
        vsnprintf(line, sizeof(line), format, arguments);
        if (std::string_view(line).find("DB::Open() failed") != std::string_view::npos) {
            // OpenRocksDb waits, and says itself what is wrong.
            log::Debug("storage: {}", line);
        } else if (level >= rocksdb::InfoLogLevel::ERROR_LEVEL) {
            log::Error("storage: {}", line);
        } else {
            log::Warn("storage: {}", line);
        }
    }

    void Logv(const char*, va_list) override {}
};

rocksdb::Options EngineOptions(const RocksDbOptions& ours) {
    rocksdb::Options options;
    if (ours.env != nullptr) {
        options.env = ours.env;
    }
    options.create_if_missing = true;
    options.info_log = std::make_shared<EngineLogger>();
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;

    options.write_buffer_size = ours.memtable_bytes > 0 ? ours.memtable_bytes : kMemtableBytes;
    options.max_write_buffer_number = 4;
    options.arena_block_size = kMemtableArenaBytes;
    options.max_total_wal_size = kLogBytesMax / 2;
    // A start replays the log into memory and goes on; writing tables can wait.
    options.avoid_flush_during_recovery = true;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;

    options.compression = rocksdb::kLZ4Compression;
    options.target_file_size_base = 8 * 1024 * 1024;
    options.max_bytes_for_level_base = 32 * 1024 * 1024;
    options.level_compaction_dynamic_level_bytes = true;
    options.max_open_files = kOpenFilesMax;
    options.max_file_opening_threads = 1;
    options.table_cache_numshardbits = 2;
    options.skip_stats_update_on_db_open = true;
    options.max_background_jobs = kBackgroundJobsMax;
    options.max_manifest_file_size = 4 * 1024 * 1024;
    options.keep_log_file_num = 1;
    // Where much was deleted the room comes back without waiting for as much to be written.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(
            kDeletionWindow, kDeletionsInWindow, /*deletion_ratio=*/0));

    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes, /*num_shard_bits=*/2);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.format_version = 5;
    // What was just written is read next. Otherwise a flush takes it from memory, and the first to
    // ask for each block goes to the blocking pool: a quarter of small overwrites did.
    table.prepopulate_block_cache =
        rocksdb::BlockBasedTableOptions::PrepopulateBlockCache::kFlushOnly;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

// What RocksDB says when the answer is neither in a memtable nor in the cache.
bool WouldBlock(const rocksdb::Status& status) {
    return status.IsIncomplete();
}

rocksdb::Status ReadPointNow(
    rocksdb::DB& db,
    const rocksdb::ReadOptions& options,
    std::string_view key,
    std::optional<std::string>& value) {
    std::string found;
    rocksdb::Status status = db.Get(options, db.DefaultColumnFamily(), key, &found);
    if (status.ok()) {
        value = std::move(found);
    } else if (status.IsNotFound()) {
        value.reset();
        status = rocksdb::Status::OK();
    }
    return status;
}

rocksdb::Status ReadPageNow(
    rocksdb::DB& db, rocksdb::ReadOptions options, const RangeRequest& request, RangePage& page) {
    const rocksdb::Slice begin(request.begin);
    const rocksdb::Slice end(request.end);
    options.iterate_lower_bound = &begin;
    options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
    PageBuilder builder(request);
    request.reverse ? it->SeekToLast() : it->SeekToFirst();
    while (it->Valid()) {
        if (builder.Full()) {
            page = builder.Take(builder.NextAfterLast());
            return rocksdb::Status::OK();
        }
        builder.Add(it->key().ToString(), it->value().ToString());
        request.reverse ? it->Prev() : it->Next();
    }
    page = builder.Take(std::nullopt);
    return it->status();
}

// Runs `read` (read options -> Status) on this loop as far as memory has the answer, else on the
// pool.
template <class Read>
Task<rocksdb::Status> ReadWithoutBlocking(
    rt::BlockingPool* pool, rocksdb::ReadOptions options, Read read) {
    if (pool == nullptr) {
        co_return read(options);
    }
    options.read_tier = rocksdb::kBlockCacheTier;
    rocksdb::Status status = read(options);
    if (WouldBlock(status)) {
        options.read_tier = rocksdb::kReadAllTier;
        auto work = [&] { return read(options); };
        status = co_await pool->Run(work);
    }
    co_return status;
}

// One coroutine and not two: most requests wait for several of these, and most find the answer in
// memory.
Task<Result<std::optional<std::string>>> ReadPoint(
    rocksdb::DB& db, rt::BlockingPool* pool, rocksdb::ReadOptions options, std::string_view key) {
    std::optional<std::string> value;
    if (pool != nullptr) {
        options.read_tier = rocksdb::kBlockCacheTier;
    }
    rocksdb::Status status = ReadPointNow(db, options, key, value);
    if (pool != nullptr && WouldBlock(status)) {
        options.read_tier = rocksdb::kReadAllTier;
        auto work = [&] { return ReadPointNow(db, options, key, value); };
        status = co_await pool->Run(work);
    }
    if (!status.ok()) {
        co_return ReadError(status);
    }
    co_return value;
}

Task<Result<RangePage>> ReadPage(
    rocksdb::DB& db,
    rt::BlockingPool* pool,
    rocksdb::ReadOptions options,
    const RangeRequest& request) {
    RangePage page;
    const auto read = [&](const rocksdb::ReadOptions& with) {
        return ReadPageNow(db, with, request, page);
    };
    const rocksdb::Status status = co_await ReadWithoutBlocking(pool, options, read);
    if (!status.ok()) {
        co_return ReadError(status);
    }
    co_return page;
}

// Taken with the first read; a transaction that only writes needs none.
class EngineSnapshot final : public optimistic::Snapshot {
  public:
    EngineSnapshot(rocksdb::DB& db, rt::BlockingPool* pool, OpenSnapshots& open)
        : db_(db), pool_(pool), open_(open) {}

    ~EngineSnapshot() override {
        if (handle_) {
            open_.Close(*handle_);
        }
    }

    EngineSnapshot(const EngineSnapshot&) = delete;
    EngineSnapshot& operator=(const EngineSnapshot&) = delete;

    // 0 before the first read, when there is nothing to check.
    uint64_t number() const { return handle_ ? (*handle_)->number : 0; }

    Task<Result<std::optional<std::string>>> Read(std::string_view key) override {
        Take();
        return ReadPoint(db_, pool_, options_, key);
    }

    Task<Result<RangePage>> ReadRange(const RangeRequest& request) override {
        Take();
        return ReadPage(db_, pool_, options_, request);
    }

  private:
    void Take() {
        if (!handle_) {
            handle_ = open_.Open();
            options_.snapshot = (*handle_)->engine;
        }
    }

    rocksdb::DB& db_;
    rt::BlockingPool* const pool_;
    OpenSnapshots& open_;
    rocksdb::ReadOptions options_;
    std::optional<OpenSnapshots::Handle> handle_;
};

// Contenders for one key spread over a growing window, so that some get through in each round.
Task<void> BackOff(int attempt) {
    thread_local std::minstd_rand random(std::random_device{}());
    constexpr std::chrono::microseconds kFirstWindow{100};
    constexpr int kDoublingsMax = 8;
    const auto window = kFirstWindow * (1 << std::min(attempt, kDoublingsMax));
    const auto wait = std::chrono::microseconds(random() % static_cast<uint32_t>(window.count()));
    co_await rt::Sleep(wait);
}

class EmbeddedKv final : public RocksDbKv {
  public:
    EmbeddedKv(std::unique_ptr<rocksdb::DB> db, RocksDbOptions options)
        : options_(std::move(options)), db_(std::move(db)), open_(*db_) {
        committer_.emplace(
            *db_, open_, options_.durability == Durability::kSync, options_.on_room_again);
    }

    ~EmbeddedKv() override {
        committer_.reset();
        rocksdb::FlushOptions flush;
        if (const rocksdb::Status status = db_->Flush(flush); !status.ok()) {
            log::Warn("storage: not flushed at the end: {}", status.ToString());
        }
        if (const rocksdb::Status status = db_->Close(); !status.ok()) {
            log::Warn("storage: not closed cleanly: {}", status.ToString());
        }
    }

    Task<Result<std::optional<std::string>>> Get(std::string_view key) override {
        if (Status fits = optimistic::CheckKey(key); !fits.ok()) {
            return Failed(std::move(fits).error());
        }
        return ReadPoint(*db_, options_.pool, rocksdb::ReadOptions(), key);
    }

    Task<Result<RangePage>> Range(RangeRequest request) override {
        HEARTH_CO_RETURN_IF_ERROR(optimistic::CheckRange(request));
        if (request.begin >= request.end) {
            co_return RangePage{};
        }
        co_return co_await ReadPage(*db_, options_.pool, rocksdb::ReadOptions(), request);
    }

    Task<Status> Transact(Body body) override {
        for (int attempt = 0; attempt <= kConflictRetriesMax; ++attempt) {
            if (attempt > 0) {
                co_await BackOff(attempt);
            }
            Status status = co_await Attempt(body, attempt);
            if (status.ok() || status.error().kind() != Error::Kind::kConflict ||
                status.error().code() != "Conflict") {
                co_return status;
            }
        }
        co_return optimistic::ConflictError();
    }

    RocksDbStatistics Statistics() const override { return committer_->Statistics(); }

  private:
    static Task<Result<std::optional<std::string>>> Failed(Error error) { co_return error; }

    Task<Status> Attempt(Body& body, int attempt) {
        EngineSnapshot snapshot(*db_, options_.pool, open_);
        TransactionBuffer transaction(snapshot);
        const auto begun = options_.clock->Now();
        HEARTH_CO_RETURN_IF_ERROR(co_await body(transaction));
        HEARTH_CO_RETURN_IF_ERROR(transaction.CheckLimits());
        if (transaction.writes().empty()) {
            // It saw one state, which is all that serialisable asks of a reader.
            co_return Status();
        }
        if (options_.clock->Now() - begun > kTransactionAgeMax) {
            co_return optimistic::ConflictError();
        }
        co_return co_await committer_->Commit(
            transaction.reads(), transaction.writes(), snapshot.number(), attempt);
    }

    const RocksDbOptions options_;
    std::unique_ptr<rocksdb::DB> db_;
    OpenSnapshots open_;
    std::optional<Committer> committer_;
};

// The engine syncs what is in its directory, not the directory's own name.
Status SyncParent(const std::string& path) {
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    if (parent.empty()) {
        parent = ".";
    }
    const os::Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid() || ::fsync(directory.get()) != 0) {
        return errors::System("syncing " + parent.string(), errno);
    }
    return Status();
}

}  // namespace

Result<std::unique_ptr<RocksDbKv>> OpenRocksDb(const std::string& path, RocksDbOptions options) {
    const rocksdb::Options engine = EngineOptions(options);
    // Otherwise the engine reports an error on the way to making it.
    if (const rocksdb::Status made = engine.env->CreateDirIfMissing(path); !made.ok()) {
        return errors::Internal(
            fmt::format("the store's directory {} cannot be made: {}", path, made.ToString()));
    }
    HEARTH_RETURN_IF_ERROR(SyncParent(path));
    const auto give_up = std::chrono::steady_clock::now() + options.lock_wait;
    while (true) {
        rocksdb::DB* raw = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(engine, path, &raw);
        if (status.ok()) {
            return std::unique_ptr<RocksDbKv>(std::make_unique<EmbeddedKv>(
                std::unique_ptr<rocksdb::DB>(raw), std::move(options)));
        }
        const bool held = status.IsIOError() && status.ToString().find("lock") != std::string::npos;
        if (!held) {
            return errors::Internal(
                fmt::format("the store in {} cannot be opened: {}", path, status.ToString()));
        }
        if (std::chrono::steady_clock::now() >= give_up) {
            return errors::Unavailable(
                fmt::format("the store in {} is held by another process", path));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace hearth::storage
