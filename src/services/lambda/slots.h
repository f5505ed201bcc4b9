#pragma once

#include "aws/front/metrics.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json/json.h"
#include "rt/event.h"
#include "rt/semaphore.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/execution_environment.h"
#include "services/lambda/invoker.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hearth::lambda {

// What `hearth top` and operators see. Handles of the process's metrics; shared by all shards.
struct SlotMetrics {
    explicit SlotMetrics(aws::Metrics& metrics);

    aws::Counter hits;
    aws::Counter hits_frozen;
    aws::Counter hits_spare;
    aws::Counter misses_cold;
    aws::Counter misses_restored;
    aws::Counter throttles;
    aws::Counter errors;
    aws::Counter timeouts;
    aws::Gauge live;
    aws::Gauge busy;
    aws::Gauge spares;
    aws::Gauge spare_bytes;
    aws::Gauge templates;
    aws::Gauge template_bytes;
    // Seconds per phase.
    aws::Histogram prepare;
    aws::Histogram init;
    aws::Histogram restore;
    aws::Histogram invoke;
    // Of a restore: the host finds a prepared environment; the fork; namespaces, groups and rights;
    // descriptors; threads; the filter. And of a template: loading it.
    aws::Histogram sandbox;
    aws::Histogram clone;
    aws::Histogram join;
    aws::Histogram descriptors;
    aws::Histogram threads;
    aws::Histogram filter;
    aws::Histogram load;
};

// A cache of idle execution environments, one shard of it. The key is a function version and its
// revision; a hit is the environment used last, a miss makes one.
//
// Guarantees: an environment serves one call at a time; a call never runs in an environment of
// another revision; a call that was given to an environment is never given to a second one.
// Everything on one loop: the one chosen by hash of account, region and function name.
class Slots final {
  public:
    struct Options {
        EnvironmentLimits limits;
        // Starts that may compete for the processors; more of them only make each slower.
        int64_t cold_starts_max = 4;
        // The same of environments that go on from a snapshot, which are made in a fraction of the
        // time.
        int64_t restores_max = 4;
        // A start that takes longer waits for something else, not for a processor.
        std::chrono::nanoseconds cold_start_hold = std::chrono::milliseconds(500);
        // Free memory below which idle environments go before new ones come.
        uint64_t memory_reserve_bytes = 256ull << 20;
        std::chrono::nanoseconds stop_grace = std::chrono::seconds(1);
        // Images of the templates kept in memory, of this shard.
        uint64_t template_bytes_max = 1ull << 30;
        // Restored environments kept ready for each version that is called, while those of this
        // shard together hold no more memory than that.
        int32_t spares = 0;
        uint64_t spare_bytes_max = 256ull << 20;
        // A spare is made this long after one was taken: the call needs the processor itself.
        std::chrono::nanoseconds spare_delay = std::chrono::milliseconds(5);
        // Going on from a snapshot, after-restore hooks included; of an init that is to be saved.
        std::chrono::nanoseconds restore_max = std::chrono::seconds(10);
        std::chrono::nanoseconds snapshot_init_max = std::chrono::seconds(130);
    };

    Slots(
        const EnvironmentDeps& deps,
        const Options& options,
        ConcurrencyLimits& concurrency,
        SlotMetrics& metrics);
    ~Slots();

    Task<Result<InvokeResult>> Invoke(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request);
    // Runs the call in the background; its answer goes to request.stream.
    //   returns  when the answer has begun, or the call has failed before
    Task<Status> InvokeStreaming(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request);
    // As Invoker's.
    Task<Result<SnapshotOutcome>> SaveSnapshot(
        std::shared_ptr<const FunctionVersion> function, std::string image);

    void ForgetSnapshot(const std::string& image);

    // Puts away idle environments of a function (empty: of all), so that its next call makes one.
    // Returns when they are gone, with how many they were.
    struct Eviction {
        AccountId account;
        std::string name;
        bool spares = true;
        // All that snapshots hold in memory, too.
        bool templates = false;
    };

    Task<size_t> Evict(Eviction what);

    // As Invoker::Retire.
    void Retire(
        const AccountId& account,
        const Region& region,
        std::string_view name,
        std::string_view version,
        std::string_view keep_revision);
    // Ends when no call runs any more and all environments are gone. Calls that come later are
    // refused.
    Task<void> Stop();

    // One object per function version with environments, for GET /_hearth/slots.
    void Describe(codec::Json::Array& functions) const;

  private:
    struct Slot;
    struct Pool;
    struct Function;

    static uint64_t HeldBytes(const Slot& slot);
    Pool& PoolOf(const std::shared_ptr<const FunctionVersion>& function);
    Slot* TakeIdle(Pool& pool, bool ready_only);
    void GiveBack(Slot* slot);
    // Takes it out of the cache and stops it in the background.
    void Discard(Slot* slot);
    Task<void> StopSlot(std::unique_ptr<Slot> slot);
    void DropPoolIfUnused(Pool& pool);
    // Idle environments go until memory suffices: spares first, then those that hold much, are
    // unused for long, and cost little to make again.
    void MakeRoom(uint64_t bytes);
    // Whether there is memory for one more environment of this version, besides those that are
    // being made, if idle ones go; or nothing runs that could end and leave some.
    bool MemoryForAnother(const Pool& pool) const;
    Slot* Add(Pool& pool, std::string log_stream);

    Task<Result<InvokeResult>> InvokeInPool(Pool& pool, const InvokeRequest& request);
    void NoteRestore(Pool& pool, ExecutionEnvironment& environment, const RestoreOutcome& restore);
    // `slot` is set when one became idle while this call waited for its turn. `refused`: the
    // snapshot's template has just failed.
    Task<Result<InvokeResult>> InvokeCold(
        Pool& pool, const InvokeRequest& request, Slot*& slot, bool refused = false);
    // The environment was made from a snapshot and is prepared; `units` are its turn. Nothing: its
    // runtime never went on from there.
    Task<std::optional<Result<InvokeResult>>> InvokeRestored(
        Pool& pool, const InvokeRequest& request, Slot* slot, rt::Semaphore::Units& units);
    // `slot` was restored ahead. Nothing: it died before it got the call.
    Task<std::optional<Result<InvokeResult>>> InvokeSpare(
        Pool& pool, const InvokeRequest& request, Slot* slot);
    // The init failed once; it is repeated within the call, and its time counts.
    Task<Result<InvokeResult>> InvokeSuppressed(
        Pool& pool, const InvokeRequest& request, std::string log_stream);
    Task<void> RunStreamed(std::shared_ptr<const FunctionVersion> function, InvokeRequest request);
    // ---- slots_spares.cc ----
    Slot* TakeSpare(Pool& pool);
    void KeepSpare(Slot* slot);
    // Makes more in the background, if some are missing and a call could start from a snapshot.
    void WantSpares(Pool& pool, const InvokeRequest& request);
    Task<void> FillSpares(Pool& pool, SnapshotSource source);
    Task<bool> MakeSpare(Pool& pool, const SnapshotSource& source);
    // Whether one more fits; versions called longer ago give theirs up.
    bool RoomForSpare(const Pool& pool);
    // The template of a new snapshot is there before the first call.
    Task<void> LoadTemplate(std::shared_ptr<const FunctionVersion> function, SnapshotSource source);
    // Gauges.
    void CountTemplates();
    void CountRestore(const ExecutionEnvironment& environment);
    // What the caller gets, counted.
    Result<InvokeResult> Answer(InvokeOutcome outcome);

    const EnvironmentDeps& deps_;
    Options options_;
    ConcurrencyLimits& concurrency_;
    SlotMetrics& metrics_;
    std::unordered_map<std::string, std::unique_ptr<Pool>> pools_;
    // By "account/region/name"; there while a pool of the function is.
    std::unordered_map<std::string, std::unique_ptr<Function>> functions_;
    rt::Semaphore cold_starts_;
    rt::Semaphore restores_;
    SnapshotTemplates templates_;
    uint64_t spare_bytes_ = 0;
    size_t templates_counted_ = 0;
    uint64_t template_bytes_counted_ = 0;
    size_t running_ = 0;
    // Of those, calls that make an environment or wait for their turn to.
    size_t starting_ = 0;
    bool stopping_ = false;
    rt::Event changed_;
    rt::TaskGroup closing_;
    // Calls whose answers flow.
    rt::TaskGroup streaming_;
    // Spares and templates being made; each counts as running.
    rt::TaskGroup preparing_;
};

// MemAvailable of /proc/meminfo, bounded by nothing else; 0 when it cannot be read.
uint64_t AvailableMemoryBytes();

}  // namespace hearth::lambda
