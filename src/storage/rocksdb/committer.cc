#include "storage/rocksdb/committer.h"

#include "base/log.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pthread.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

namespace hearth::storage {
namespace {

namespace asio = boost::asio;

// A start writes a new log, a list of tables and its options before it is ready.
constexpr uint64_t kRoomBytes = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds kLookForRoomEvery{200};
// Bounds the memory of one batch and how long its first transaction waits for its last.
constexpr size_t kBatchBytesMax = 8 * 1024 * 1024;
constexpr size_t kBatchTransactionsMax = 4'096;

}  // namespace

struct Committer::Waiting {
    const optimistic::ReadSet& reads;
    const optimistic::WriteSet& writes;
    uint64_t snapshot;
    int attempt;
    asio::any_io_executor executor;
    std::move_only_function<void()> wake;
    Status result;
    // True once the committer has let go of the loop. A loop may end as soon as its last coroutine
    // has, while the post that woke it is still returning on the committer's thread.
    std::shared_ptr<std::atomic<bool>> posted;
};

Committer::Committer(
    rocksdb::DB& db, OpenSnapshots& snapshots, bool sync, std::function<void()> on_room_again)
    : db_(db), snapshots_(snapshots), sync_(sync), on_room_again_(std::move(on_room_again)) {
    thread_ = std::thread([this] { Run(); });
    pthread_setname_np(thread_.native_handle(), "committer");
}

Committer::~Committer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

Task<Status> Committer::Commit(
    const optimistic::ReadSet& reads,
    const optimistic::WriteSet& writes,
    uint64_t snapshot,
    int attempt) {
    Waiting waiting{
        .reads = reads,
        .writes = writes,
        .snapshot = snapshot,
        .attempt = attempt,
        .executor = co_await asio::this_coro::executor,
        .wake = {},
        .result = {},
        .posted = {}};
    // Nothing listens for cancellation here: a transaction on its way cannot be called back, so a
    // cancelled coroutine gets its answer first. Asio is used directly because rt would post each
    // wake-up of a batch by itself.
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [this, &waiting](auto handler) {
            waiting.wake = std::move(handler);
            {
                const std::lock_guard lock(mutex_);
                queue_.push_back(&waiting);
            }
            changed_.notify_one();
        },
        asio::use_awaitable);
    waiting.posted->wait(false);
    co_return std::move(waiting.result);
}

RocksDbStatistics Committer::Statistics() const {
    return {
        .commits = commits_.load(std::memory_order_relaxed),
        .conflicts = conflicts_.load(std::memory_order_relaxed),
        .batches = batches_.load(std::memory_order_relaxed),
        .written_bytes = written_bytes_.load(std::memory_order_relaxed)};
}

void Committer::Run() {
    std::vector<Waiting*> gathered;
    std::vector<Waiting*> batch;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) {
                return;
            }
            gathered.swap(queue_);
        }
        // Whoever was refused before goes first, so that nobody loses for ever on a busy key.
        std::sort(gathered.begin(), gathered.end(), [](const Waiting* a, const Waiting* b) {
            return a->attempt > b->attempt;
        });
        for (size_t from = 0; from < gathered.size();) {
            size_t bytes = 0;
            batch.clear();
            while (from < gathered.size() && batch.size() < kBatchTransactionsMax &&
                   bytes < kBatchBytesMax) {
                for (const auto& [key, value] : gathered[from]->writes) {
                    bytes += key.size() + (value ? value->size() : 0);
                }
                batch.push_back(gathered[from++]);
            }
            CommitBatch(batch);
            WakeAll(batch);
        }
        gathered.clear();
    }
}

void Committer::CommitBatch(std::vector<Waiting*>& batch) {
    if (!failure_.empty() && !Resumed()) {
        for (Waiting* waiting : batch) {
            const std::string text = fmt::format(
                "the store takes no writes until {}: {}",
                full_ ? "there is room on the disk" : "it is restarted",
                failure_);
            // By this code the protocols tell a client what is the matter: it is who can help.
            waiting->result = full_ ? Error(Error::Kind::kUnavailable, "NoRoom", text, 503)
                                    : errors::Unavailable(text);
        }
        return;
    }
    const uint64_t number = last_batch_ + 1;
    rocksdb::WriteBatch writes;
    uint64_t committed = 0;
    for (Waiting* waiting : batch) {
        if (recent_.ChangedSince(waiting->reads, waiting->snapshot)) {
            waiting->result = optimistic::ConflictError();
            conflicts_.fetch_add(1, std::memory_order_relaxed);
            continue;
        }
        for (const auto& [key, value] : waiting->writes) {
            // These fail only for lack of memory, which ends the process anyway.
            const rocksdb::Status added = value ? writes.Put(key, *value) : writes.Delete(key);
            CHECK(added.ok(), "{}", added.ToString());
        }
        recent_.Add(waiting->writes, number);
        ++committed;
    }
    if (committed == 0) {
        return;
    }
    last_batch_ = number;
    rocksdb::WriteOptions options;
    options.sync = sync_;
    const rocksdb::Status written = db_.Write(options, &writes);
    if (!written.ok()) {
        failure_ = written.ToString();
        full_ = written.IsNoSpace();
        look_again_ = {};
        log::Error(
            "storage: the log could not be written ({}); no write is accepted until {}",
            failure_,
            full_ ? "there is room on the disk" : "a restart");
        for (Waiting* waiting : batch) {
            if (waiting->result.ok()) {
                waiting->result = optimistic::UnknownError(failure_);
            }
        }
        return;
    }
    snapshots_.Publish(number);
    recent_.Forget(snapshots_.Oldest());
    commits_.fetch_add(committed, std::memory_order_relaxed);
    batches_.fetch_add(1, std::memory_order_relaxed);
    written_bytes_.fetch_add(writes.GetDataSize(), std::memory_order_relaxed);
}

// What had reached the log of a batch that failed is not in memory, and the engine goes on with
// what memory has: it writes that to tables and begins a new log. So readers go on seeing what they
// saw, and so does the next start.
bool Committer::Resumed() {
    const auto now = std::chrono::steady_clock::now();
    if (!full_ || now < look_again_) {
        return false;
    }
    look_again_ = now + kLookForRoomEvery;
    if (on_room_again_) {
        // Resume is not for this: Debian's engine is built with its assertions, and one of them
        // ends the process when a log that could not be synced is left for a new one.
        if (HasRoom()) {
            on_room_again_();
        }
        return false;
    }
    if (!db_.Resume().ok()) {
        return false;
    }
    // Who begins now has seen all there is of that batch: nothing. Else its keys were changed for
    // ever behind everybody's back.
    snapshots_.Publish(last_batch_);
    log::Info("storage: there is room on the disk again");
    failure_.clear();
    full_ = false;
    return true;
}

bool Committer::HasRoom() const {
    uint64_t free_bytes = 0;
    return db_.GetEnv()->GetFreeSpace(db_.GetName(), &free_bytes).ok() && free_bytes >= kRoomBytes;
}

// One post per loop: a wake-up costs the loop a system call, whoever comes along with it is free.
void Committer::WakeAll(std::vector<Waiting*>& batch) {
    struct Group {
        asio::any_io_executor executor;
        std::vector<std::move_only_function<void()>> wakes;
        std::shared_ptr<std::atomic<bool>> posted = std::make_shared<std::atomic<bool>>(false);
    };

    std::vector<Group> groups;
    for (Waiting* waiting : batch) {
        auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& candidate) {
            return candidate.executor == waiting->executor;
        });
        if (group == groups.end()) {
            group = groups.insert(groups.end(), Group{.executor = waiting->executor, .wakes = {}});
        }
        waiting->posted = group->posted;
        group->wakes.push_back(std::move(waiting->wake));
    }
    for (Group& group : groups) {
        asio::post(group.executor, [wakes = std::move(group.wakes)]() mutable {
            for (auto& wake : wakes) {
                wake();
            }
        });
        group.posted->store(true);
        group.posted->notify_all();
    }
}

}  // namespace hearth::storage
