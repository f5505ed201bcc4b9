#pragma once

#include "rt/task.h"
#include "storage/optimistic/transaction_buffer.h"
#include "storage/rocksdb/open_snapshots.h"
#include "storage/rocksdb/recent_writes.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <rocksdb/db.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace hearth::storage {

// The one thread that writes: see rocksdb_kv.h. A commit holds references into the frame of the
// transaction that waits for it, so that frame must not be destroyed meanwhile.
class Committer final {
  public:
    // `db` and `snapshots` outlive the committer.
    // `on_room_again`: see RocksDbOptions.
    Committer(
        rocksdb::DB& db, OpenSnapshots& snapshots, bool sync, std::function<void()> on_room_again);
    // Ends after everything queued is answered.
    ~Committer();

    Committer(const Committer&) = delete;
    Committer& operator=(const Committer&) = delete;

    // Resumes on the caller's executor. `attempt` counts earlier conflicts of the same transaction:
    // in a batch the most often refused goes first.
    // Errors: kConflict; Unknown when the log could not be written; kUnavailable after that.
    Task<Status> Commit(
        const optimistic::ReadSet& reads,
        const optimistic::WriteSet& writes,
        uint64_t snapshot,
        int attempt);

    RocksDbStatistics Statistics() const;

  private:
    struct Waiting;

    void Run();
    void CommitBatch(std::vector<Waiting*>& batch);
    void WakeAll(std::vector<Waiting*>& batch);
    // Whether writing goes on after a failure: the disk was full and is not any more.
    bool Resumed();
    bool HasRoom() const;

    rocksdb::DB& db_;
    OpenSnapshots& snapshots_;
    const bool sync_;
    const std::function<void()> on_room_again_;

    // Of the committer thread alone.
    RecentWrites recent_;
    uint64_t last_batch_ = 0;
    std::string failure_;
    // The failure was a lack of room, and when to see again whether there is some.
    bool full_ = false;
    std::chrono::steady_clock::time_point look_again_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Waiting*> queue_;
    bool stopping_ = false;

    std::atomic<uint64_t> commits_{0};
    std::atomic<uint64_t> conflicts_{0};
    std::atomic<uint64_t> batches_{0};
    std::atomic<uint64_t> written_bytes_{0};

    std::thread thread_;
};

}  // namespace hearth::storage
