#pragma once

#include "aws/front/admin.h"
#include "aws/front/metrics.h"
#include "base/clock.h"
#include "base/result.h"
#include "rt/event.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/s3/s3_store.h"
#include "services/s3/scrub_records.h"
#include "storage/objects/object_bodies.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace hearth::rt {
class BlockingPool;
}

namespace hearth::s3 {

// Reads what is stored and compares it with what was promised: each version's bytes with the tags
// and check sums on the disk, and with the check sum or the entity tag of its record. What a
// customer's key seals is compared with the check sums on the disk only. What has lost shares on
// nine disks is mended.
//
// A pass over everything begins once in ServiceOptions::scrub_days of real time (disks do not age
// by the cloud's clock), reads at a gentle rate, and goes on after a restart where it was. Between
// passes one timer sleeps. POST /_hearth/s3/scrub runs one now, over the caller's account or a
// bucket of it, as fast as it goes, and answers with lines of JSON; GET tells what is known.
//
// Damage is logged, counted (hearth_s3_damaged_objects), and kept until a later look finds the
// version whole or gone.
class Scrub final {
  public:
    struct Deps {
        aws::Metrics& metrics;
        aws::AdminEndpoints& admin;
        WallClock& wall_clock;
        // Where large bodies are hashed.
        rt::BlockingPool& blocking_pool;
        // ServiceOptions::scrub_days
        int32_t days = 0;
    };

    // All must outlive it. Adds its endpoints, so before the gateway starts.
    Scrub(const Deps& deps, S3Store& store, storage::ObjectBodies& bodies);

    // On a loop; Stop on the same one.
    Task<Status> Start();
    Task<void> Stop();

    // One pass of the background from where `state` says to the end, saved as it goes.
    Task<Status> RunPass(ScrubState& state);

  private:
    struct Pace;
    struct Walk;
    struct Piece;

    Task<void> Live();
    Task<void> WaitUntil(int64_t wall_ms);

    // All versions of a bucket from `table` and `position` on.
    Task<Status> WalkBucket(
        const BucketRecord& bucket, std::string table, std::string position, Walk& walk);
    Task<Status> CheckVersion(const BucketRecord& bucket, const ObjectRecord& record, Walk& walk);
    // The parts of an upload in progress: `value` is what the store has of it.
    Task<Status> CheckUpload(
        const BucketRecord& bucket, std::string storage_key, std::string value, Walk& walk);
    Task<Status> Report(
        const BucketRecord& bucket,
        std::string_view damage_of,
        const DamageRecord& damage,
        Walk& walk);
    // What is wrong with it, if anything is. Any number of parts will do for a record that has
    // kPartsUnknown.
    Task<Result<std::optional<std::string>>> Look(
        const BucketRecord& bucket, const ObjectRecord& record, Walk& walk);
    static Result<Piece> RestoredCopy(const ObjectRecord& record);
    Task<Result<std::optional<std::string>>> LookAtPiece(Piece piece, Walk& walk);
    // Forgets damage that was found before `before_ms` and not since. Empty names: everything.
    Task<Status> Forget(std::string account, std::string bucket, int64_t before_ms);
    Task<Result<std::vector<DamageRecord>>> Damaged(std::string account, std::string bucket);
    Task<Status> CountDamage();

    Task<Result<aws::AdminAnswer>> Show(aws::AdminRequest request);
    Task<Result<aws::AdminAnswer>> RunNow(aws::AdminRequest request);
    Task<void> StreamRun(
        std::string account, std::optional<BucketRecord> only, aws::AdminStream& stream);

    const Deps deps_;
    S3Store& store_;
    storage::ObjectBodies& bodies_;
    aws::Gauge damaged_;
    aws::Counter objects_;
    aws::Counter bytes_;
    aws::Counter mended_;
    std::atomic<bool> stopping_ = false;
    // Of the loop of Start.
    rt::TaskGroup background_;
    rt::Event stop_;
};

}  // namespace hearth::s3
