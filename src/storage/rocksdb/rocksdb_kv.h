#pragma once

#include "base/clock.h"
#include "storage/kv.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace rocksdb {
class Env;
}

namespace hearth::rt {
class BlockingPool;
}

namespace hearth::storage {

enum class Durability {
    // A commit is acknowledged after the log is on the disk: it survives a power cut.
    kSync,
    // A commit is acknowledged after the kernel has it: it survives kill -9, not a power cut.
    kRelaxed,
};

struct RocksDbOptions {
    Durability durability = Durability::kSync;
    // How long to wait for a process that is just ending to let go of the store.
    std::chrono::milliseconds lock_wait{3'000};
    // Measures the 5 s that a transaction may take.
    std::shared_ptr<MonotonicClock> clock = MonotonicClock::System();
    // Where reads go that would wait for the disk; must outlive the store. Null: they block the
    // loop.
    rt::BlockingPool* pool = nullptr;
    // For tests that record or break the disk's work; must outlive the store.
    rocksdb::Env* env = nullptr;
    // The log once ran full, and there is room again: called by the writing thread with the next
    // write, which is refused. The engine cannot be trusted to go on with that log, so this ends
    // the process, to be started anew. Null: the engine is asked to go on all the same.
    std::function<void()> on_room_again;
    // For tests that want many flushes; 0: the usual size.
    size_t memtable_bytes = 0;
};

// Numbers since the store was opened; cheap to read from any thread.
struct RocksDbStatistics {
    uint64_t commits = 0;
    uint64_t conflicts = 0;
    // Writes to the log; commits / batches is how many share one sync.
    uint64_t batches = 0;
    uint64_t written_bytes = 0;
};

// The embedded engine. Reads run inline on the caller's loop where memory has the answer, else on
// the blocking pool. Commits go to one committer thread: it checks what each transaction read
// against what was committed since, gathers all that wait into one batch with one sync, and wakes
// their loops with one post each; meanwhile the next batch gathers.
//
// After a failed log write the store refuses commits (kUnavailable) until it is opened anew,
// because only a replay of the log tells what is in it; reads go on. Where the failure was a full
// disk, RocksDbOptions::on_room_again is called once there is room.
//
// Destroying it waits for commits under way and flushes, so the next start replays nothing. No
// Transact may be running then.
class RocksDbKv : public Kv {
  public:
    virtual RocksDbStatistics Statistics() const = 0;
};

// Opens or creates the store in the directory `path`, which is resolved as any path (relative: to
// the working directory). Error kUnavailable when another process holds it, kInternal when it is
// damaged.
Result<std::unique_ptr<RocksDbKv>> OpenRocksDb(
    const std::string& path, RocksDbOptions options = {});

}  // namespace hearth::storage
