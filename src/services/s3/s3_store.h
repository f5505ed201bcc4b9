#pragma once

#include "base/random.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/s3/bucket_cache.h"
#include "services/s3/part_removal.h"
#include "services/s3/records.h"
#include "services/s3/small_body_cache.h"
#include "storage/kv.h"
#include "storage/objects/object_bodies.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::s3 {

// S3's state on the store: buckets, and what versions a key has. Keys: s3_keys.h.
// Guarantees: a version is there from its transaction's commit and whole; what a call reads is the
// state after every call that was answered before it. Safe on any loop. Functions that take a
// Transaction are for the bodies of Kv::Transact; they may run again.
class S3Store final {
  public:
    S3Store(
        storage::Kv& kv, Random& random, storage::ObjectBodies& bodies, PartRemoval& part_removal)
        : kv_(kv), random_(random), bodies_(bodies), part_removal_(part_removal) {}

    storage::Kv& kv() { return kv_; }

    // --- Buckets ---

    // The bucket with its settings, from memory where it can. Errors: NoSuchBucket.
    Task<Result<BucketHandle>> FindBucket(std::string_view name);
    // The record as it is in the transaction. Errors: NoSuchBucket, also when `known` was deleted
    // and another made under its name.
    Task<Result<BucketRecord>> ReadBucket(
        storage::Transaction& transaction, const BucketRecord& known);
    // Errors: BucketAlreadyExists, BucketAlreadyOwnedByYou. `settings`: by kind, written with it.
    Task<Status> CreateBucket(
        const BucketRecord& bucket, const std::map<std::string, std::string>& settings);
    // Everything that changes a bucket's record or settings goes through here, so that memory never
    // has an older state than was answered. `change` gets the current record; it is written back.
    // Errors: NoSuchBucket, and what `change` returns.
    using Change = std::function<Task<Status>(storage::Transaction&, BucketRecord&)>;
    Task<Status> ChangeBucket(const BucketRecord& known, Change change);
    // Errors: NoSuchBucket, BucketNotEmpty. Uploads in progress do not keep a bucket: what they
    // left is cleared by the caller.
    Task<Status> DeleteBucket(const BucketRecord& known);
    // An account's buckets in order of name, as they were made: those that begin with `prefix` and
    // are behind `after`.
    Task<Result<std::vector<BucketRecord>>> Buckets(
        const AccountId& account, std::string prefix, std::string after, size_t limit);

    // --- Reading objects ---

    // A version and where it is: in "o" (current) or in "v".
    struct Located {
        ObjectRecord record;
        bool current = false;
    };

    // The state a plain GET sees: the current version, or the marker that hides the key; empty when
    // the key has no version at all.
    Task<Result<std::optional<Located>>> FindCurrent(
        const BucketRecord& bucket, std::string_view key);
    Task<Result<std::optional<Located>>> FindCurrent(
        storage::Transaction& transaction, const BucketRecord& bucket, std::string_view key);
    // One version by its id, "null" included; markers too. Errors: InvalidArgument for an id that
    // cannot be one.
    Task<Result<std::optional<Located>>> FindVersion(
        const BucketRecord& bucket, std::string_view key, std::string_view version_id);
    Task<Result<std::optional<Located>>> FindVersion(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view key,
        std::string_view version_id);
    // Either of the two; markers and absence become the errors that GET, HEAD and the sub-resources
    // answer: NoSuchKey, NoSuchVersion, MethodNotAllowed. The headers that go with them
    // (x-amz-delete-marker, x-amz-version-id ...) are added to `headers`, such as
    // context.response_headers.
    using Headers = std::vector<std::pair<std::string, std::string>>;
    Task<Result<Located>> FindObject(
        const BucketRecord& bucket,
        std::string_view key,
        const std::optional<std::string>& version_id,
        Headers* headers = nullptr);
    Task<Result<Located>> FindObject(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view key,
        const std::optional<std::string>& version_id,
        Headers* headers = nullptr);
    // Reads a version, lets `change` judge and alter it, writes it back: one transaction. What
    // `within` writes is part of it; it sees the changed version and may run again.
    using Within = std::function<Status(storage::Transaction&, const ObjectRecord&)>;
    Task<Result<ObjectRecord>> UpdateObject(
        const BucketRecord& bucket,
        std::string key,
        std::optional<std::string> version_id,
        std::function<Status(ObjectRecord&)> change,
        Headers* headers = nullptr,
        Within within = nullptr);
    // The bytes of an inline body: of an object, which may have them itself, or of a part.
    Task<Result<std::string>> InlineBody(const BucketRecord& bucket, const ObjectRecord& record);
    Task<Result<std::string>> InlineBody(const BucketRecord& bucket, std::string_view unique);

    // What inline bodies are to a client.
    SmallBodyCache& small_bodies() { return small_bodies_; }

    // Parts of an object in order of number, from `first_number` on, one page.
    struct PartPage {
        std::vector<PartRecord> parts;
        std::optional<std::string> next;
    };

    Task<Result<PartPage>> Parts(
        const BucketRecord& bucket, std::string_view parts_id, std::optional<std::string> from);

    // --- Writing objects ---

    // What a write did. `displaced` are versions that are gone with this transaction, with their
    // claims to bodies: hand them to Release after the commit, which gives the room back.
    struct Written {
        ObjectRecord record;
        std::vector<ObjectRecord> displaced;
    };

    // Makes `record` the key's current version: assigns sequence and version id as the bucket's
    // versioning says (`bucket` as ReadBucket returned it in this transaction). `check` sees the
    // current version (null: none, or a marker) first. Few `inline_bytes` go into the record, else
    // below record.unique.
    using Check = std::function<Status(const ObjectRecord* current)>;
    Task<Result<Written>> Put(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        ObjectRecord record,
        const std::string* inline_bytes,
        const Check& check);
    // DELETE without a version id: the object goes, or a marker comes. The marker (or an empty
    // record with delete_marker false when nothing was made) is in Written::record. `marker` brings
    // times and `unique`.
    Task<Result<Written>> Delete(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        ObjectRecord marker,
        const Check& check);
    // DELETE of one version; the newest that is left becomes the current one. Written::record is
    // what was deleted; empty optional when there was none.
    Task<Result<std::optional<Written>>> DeleteVersion(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view key,
        std::string_view version_id,
        const Check& check);
    // Writes a changed record where Find found it.
    static void Store(
        storage::Transaction& transaction, const BucketRecord& bucket, const Located& located);

    // After the commit of a transaction that displaced versions.
    Task<void> Release(const BucketRecord& bucket, std::vector<ObjectRecord> displaced);

    // Sixteen random bytes for ObjectRecord::unique and the like.
    std::string Unique();

  private:
    // Gives up what a version holds, in the transaction that takes its record away.
    void Displace(
        storage::Transaction& transaction, const BucketRecord& bucket, const ObjectRecord& record);
    // The null version below "v", if there is one, goes.
    Task<Status> DisplaceOldNull(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view key,
        std::vector<ObjectRecord>& displaced);

    storage::Kv& kv_;
    Random& random_;
    storage::ObjectBodies& bodies_;
    PartRemoval& part_removal_;
    BucketCache cache_;
    SmallBodyCache small_bodies_;
};

}  // namespace hearth::s3
