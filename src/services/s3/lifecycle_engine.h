#pragma once

#include "base/clock.h"
#include "rt/task.h"
#include "services/s3/body_moves.h"
#include "services/s3/lifecycle_rules.h"
#include "services/s3/notifications.h"
#include "services/s3/part_removal.h"
#include "services/s3/s3_store.h"
#include "services/s3/upload_store.h"
#include "services/service_deps.h"
#include "storage/kv.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::flow {
struct DueTimer;
}

namespace hearth::s3 {

// Does to objects what the lifecycle configurations of their buckets say, and moves those of
// INTELLIGENT_TIERING between its tiers. A bucket with either has one durable timer, due at every
// midnight UTC of the cloud's clock, as AWS runs its rules once a day; a run walks the bucket's
// versions and uploads page by page and decides on each with LifecycleRules.
//
// Guarantee: nothing is done that the rules did not say of the object as it is at that moment: the
// transaction of each action reads the version and decides again. Bytes are moved by BodyMoves;
// what lies elsewhere than its class says (it was read in the infrequent tier, a move failed) is
// brought there by the next run. What object lock protects stays. A run that is cut short goes on
// where it is still due, at the latest next day.
class LifecycleEngine final {
  public:
    // All must outlive it. Registers its timers, so before the schedule starts.
    LifecycleEngine(
        const ServiceDeps& deps,
        S3Store& store,
        UploadStore& uploads,
        PartRemoval& part_removal,
        BodyMoves& moves,
        Notifications& notifications);

    // In the transaction that puts a configuration; then Arm with what it returned.
    Task<Result<CloudClock::time_point>> ScheduleIn(
        storage::Transaction& transaction, const BucketRecord& bucket);
    void Arm(CloudClock::time_point due);

    // Before a version is written: those of INTELLIGENT_TIERING need a run each day, too.
    Task<Status> BeforeWrite(const BucketRecord& bucket, std::string_view storage_class);
    // When a version's bytes were asked for: in INTELLIGENT_TIERING that counts, and brings it back
    // to the first tier. At most one small write a day for each version. A failure is logged.
    Task<void> Accessed(const BucketRecord& bucket, const ObjectRecord& record);

    // A run that is under way ends at its next page.
    void Stop() { stopping_ = true; }

  private:
    struct Run;
    struct Removal;

    Task<Status> Fire(const flow::DueTimer& timer);
    Task<Status> WalkCurrent(const Run& run);
    Task<Status> WalkVersions(const Run& run);
    Task<Status> WalkUploads(const Run& run);
    // `object` as decided upon; its record is read again.
    Task<Status> Act(const Run& run, const LifecycleObject& object, const ObjectRecord& record);
    // What waits to be expired or removed goes together, some at a time, in one transaction.
    Task<Status> ExpireDue(const Run& run);
    Task<Status> Expire(const Run& run, std::vector<ObjectRecord> records);
    Task<Status> RemoveDue(const Run& run);
    Task<Status> Remove(const Run& run, std::vector<Removal> removals);
    Task<Status> RemoveIn(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        const Run& run,
        const Removal& removal,
        std::vector<ObjectRecord>& displaced,
        Announcement& announcement);
    Task<Status> Move(const Run& run, const LifecycleObject& object, const ObjectRecord& record);
    Task<Status> MoveTier(const Run& run, const ObjectRecord& record);
    Task<Status> MoveBytes(const Run& run, const ObjectRecord& record);
    // BodyMoves::Move, of which the bucket tells.
    Task<Status> MoveAndTell(
        const Run& run,
        const ObjectRecord& record,
        storage::BodyTier place,
        BodyMoves::Change change,
        NotificationEvent event);
    Task<Status> Abort(const Run& run, const std::string& key, const std::string& upload_id);

    ServiceDeps deps_;
    S3Store& store_;
    UploadStore& uploads_;
    PartRemoval& part_removal_;
    BodyMoves& moves_;
    Notifications& notifications_;
    std::atomic<bool> stopping_ = false;
    // Held for moments. The buckets whose timer was put by this process for tiers' sake.
    std::mutex mutex_;
    std::set<int64_t> tiered_;
};

}  // namespace hearth::s3
