#pragma once

#include "rt/task.h"
#include "services/s3/part_removal.h"
#include "services/s3/records.h"
#include "services/s3/s3_store.h"
#include "storage/objects/object_bodies.h"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace hearth::s3 {

// Moves the bytes of versions between the places of storage classes, and makes the copies that
// RestoreObject asks for. A version is copied first, whole and durable; then one transaction makes
// its record refer to the copy and gives up what it had. So a crash leaves either, never a mix, and
// what nobody refers to is removed by the next start. Readers of the old bytes finish with them.
//
// The parts of a multipart upload are copied into a table of their own, which is noted for removal
// until the record has it.
// Safe on any loop.
class BodyMoves final {
  public:
    // All must outlive it.
    BodyMoves(S3Store& store, storage::ObjectBodies& bodies, PartRemoval& part_removal)
        : store_(store), bodies_(bodies), part_removal_(part_removal) {}

    // Judges the version as it is in the transaction, and changes it.
    using Change = std::function<Status(ObjectRecord&)>;
    // Writes along with the change, see S3Store::UpdateObject.
    using Within = S3Store::Within;

    // Changes `record` and brings its bytes to `place`; where they need not go or cannot
    // (storage_places.h), only the record changes.
    //   errors  kBodyGone (storage) and NoSuchKey, NoSuchVersion: the version is not any more what
    //           `record` says, read it again; kDiskFull, kBodyDamaged; those of `change`
    Task<Status> Move(
        BucketRecord bucket,
        ObjectRecord record,
        storage::BodyTier place,
        Change change,
        Within within = nullptr);
    // Changes `record` and gives it a copy of its bytes that can be read at once, in place of one
    // it had.
    Task<Status> Restore(
        BucketRecord bucket, ObjectRecord record, Change change, Within within = nullptr);
    // Changes `record`; one that is not restored any more loses its copy.
    Task<Status> Update(
        BucketRecord bucket, ObjectRecord record, Change change, Within within = nullptr);

    // What is under way ends, with kUnavailable.
    void Stop() { stopping_ = true; }

  private:
    // What a version gets.
    struct Moved {
        std::optional<storage::StoredBody> body;
        std::optional<std::string> parts_id;
        std::optional<storage::BodyTier> parts_place;
        std::optional<storage::StoredBody> restored;
    };

    Task<Status> Commit(
        const BucketRecord& bucket,
        const ObjectRecord& seen,
        const Change& change,
        const Within& within,
        const Moved& moved,
        storage::FinishedBody* finished);
    Task<Result<storage::FinishedBody>> Copy(
        std::vector<storage::StoredBody> bodies, storage::BodyTier place);
    Task<Status> CopyParts(
        const BucketRecord& bucket,
        const ObjectRecord& record,
        storage::BodyTier place,
        const std::string& parts_id);
    Task<Status> CopyPart(
        const BucketRecord& bucket,
        PartRecord part,
        storage::BodyTier place,
        const std::string& parts_id);
    // With the bytes of small parts.
    Task<Result<std::vector<storage::StoredBody>>> BodiesOf(
        const BucketRecord& bucket, const ObjectRecord& record);

    S3Store& store_;
    storage::ObjectBodies& bodies_;
    PartRemoval& part_removal_;
    std::atomic<bool> stopping_ = false;
};

}  // namespace hearth::s3
