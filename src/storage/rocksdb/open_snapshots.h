#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <set>

namespace hearth::storage {

// Which states open transactions read from, counted in the committer's batches. The committer keeps
// what it needs to check the oldest of them and nothing more.
class OpenSnapshots final {
  public:
    using Handle = std::multiset<uint64_t>::iterator;

    // Call before taking the engine's snapshot: that one may be newer than the number says, which
    // at worst makes a conflict where none was.
    Handle Open() {
        const std::lock_guard lock(mutex_);
        return open_.insert(visible_);
    }

    void Close(Handle handle) {
        const std::lock_guard lock(mutex_);
        open_.erase(handle);
    }

    // Batch `batch` can be read from now on.
    void Publish(uint64_t batch) {
        const std::lock_guard lock(mutex_);
        visible_ = batch;
    }

    // No snapshot older than this is open or will be.
    uint64_t Oldest() const {
        const std::lock_guard lock(mutex_);
        return open_.empty() ? visible_ : *open_.begin();
    }

  private:
    mutable std::mutex mutex_;
    std::multiset<uint64_t> open_;
    uint64_t visible_ = 0;
};

}  // namespace hearth::storage
