#pragma once

#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>

#include <cstdint>
#include <list>
#include <mutex>
#include <utility>

namespace hearth::storage {

// Which states open transactions read from, counted in the committer's batches. The committer keeps
// what it needs to check the oldest of them and nothing more.
//
// Transactions that begin between two writes share the engine's snapshot: making and releasing one
// takes the engine's own lock, which the writing thread wants, too.
class OpenSnapshots final {
  public:
    struct Snapshot {
        uint64_t number;
        const rocksdb::Snapshot* engine;
        int users;
    };

    using Handle = std::list<Snapshot>::iterator;

    explicit OpenSnapshots(rocksdb::DB& db) : db_(db) {}

    // Of what can be read now. The number is taken before the engine's snapshot, which may thus be
    // newer than it says; at worst that makes a conflict where none was.
    Handle Open() {
        const std::lock_guard lock(mutex_);
        if (!open_.empty()) {
            Snapshot& newest = open_.back();
            // The engine lets a batch be read a moment before it is published.
            if (newest.number == visible_ &&
                newest.engine->GetSequenceNumber() == db_.GetLatestSequenceNumber()) {
                ++newest.users;
                return std::prev(open_.end());
            }
        }
        open_.push_back({.number = visible_, .engine = db_.GetSnapshot(), .users = 1});
        return std::prev(open_.end());
    }

    void Close(Handle handle) {
        const rocksdb::Snapshot* engine = nullptr;
        {
            const std::lock_guard lock(mutex_);
            if (--handle->users > 0) {
                return;
            }
            engine = handle->engine;
            open_.erase(handle);
        }
        db_.ReleaseSnapshot(engine);
    }

    // Batch `batch` can be read from now on.
    void Publish(uint64_t batch) {
        const std::lock_guard lock(mutex_);
        visible_ = batch;
    }

    // No snapshot older than this is open or will be.
    uint64_t Oldest() const {
        const std::lock_guard lock(mutex_);
        return open_.empty() ? visible_ : open_.front().number;
    }

  private:
    rocksdb::DB& db_;
    mutable std::mutex mutex_;
    // Oldest first.
    std::list<Snapshot> open_;
    uint64_t visible_ = 0;
};

}  // namespace hearth::storage
