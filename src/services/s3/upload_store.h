#pragma once

#include "base/random.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/s3/listing.h"
#include "services/s3/records.h"
#include "storage/kv.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::s3 {

// A multipart upload in progress.
struct UploadRecord {
    std::string key;  // not encoded: it is in the storage key
    std::string id;   // likewise
    WallClock::time_point initiated;
    int64_t initiated_cloud_ms = 0;
    // The ARN of who began it.
    std::string initiator;
    // Names its parts below keys::Part, before and after it becomes an object.
    std::string parts_id;
    // What the object will be: headers, metadata, tags, encryption, checksum_algorithm and
    // checksum_type. Neither bytes nor version.
    ObjectRecord object;
    // The client asked for the check sum; otherwise each part may have another one.
    bool checksum_asked = false;

    std::string Encode() const;
    static Result<UploadRecord> Decode(std::string key, std::string id, std::string_view bytes);
};

// What an upload became, so that a CompleteMultipartUpload that is sent again (its answer was lost)
// is answered as the first one. Kept for a day.
struct CompletedUpload {
    std::string key;
    // Of the list of parts that was sent.
    std::string parts_digest;
    std::string etag;
    std::string version_id;
    std::string checksum_algorithm;
    std::string checksum_type;
    std::string checksum;
    Encryption encryption = Encryption::kNone;

    std::string Encode() const;
    static Result<CompletedUpload> Decode(std::string_view bytes);
};

// Uploads on the store. Below B = (account, region, "s3"), <id> the bucket's, <key> as in
// s3_keys.h:
//   B "u" <id> <key> upload id     UploadRecord
//   B "m" <id> upload id           CompletedUpload
// Parts are PartRecords (keys::Part) under the upload's parts_id. An upload id begins with its
// time, so the uploads of one key are listed in the order they were begun, as on AWS. Safe on any
// loop. Functions that take a Transaction may run again.
class UploadStore final {
  public:
    UploadStore(storage::Kv& kv, Random& random) : kv_(kv), random_(random) {}

    // 48 hexadecimal digits: 8 bytes of time in microseconds, 16 that nobody guesses.
    std::string NewId(WallClock::time_point now);
    static bool IsId(std::string_view id);
    static std::string PartsIdOf(std::string_view upload_id);
    // Of an item of "u".
    static Result<UploadRecord> Read(
        const BucketRecord& bucket, std::string_view storage_key, std::string_view value);

    // Empty: no such upload.
    Task<Result<std::optional<UploadRecord>>> Find(
        const BucketRecord& bucket, std::string key, std::string id);
    Task<Result<std::optional<UploadRecord>>> Find(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string key,
        std::string id);
    static void Put(
        storage::Transaction& transaction, const BucketRecord& bucket, const UploadRecord& upload);
    static void Delete(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view key,
        std::string_view id);

    // Every upload of the bucket in the order of ListMultipartUploads; `within` is the upload id.
    // Lives as long as the store and `bucket`.
    std::unique_ptr<OrderedEntries> Entries(const BucketRecord& bucket);

    Task<Result<std::optional<PartRecord>>> FindPart(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view parts_id,
        int32_t number);
    // All parts, in order of number; at most 10,000.
    Task<Result<std::vector<PartRecord>>> Parts(
        storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id);
    // Parts with a number above `after`, at most `limit`.
    Task<Result<std::vector<PartRecord>>> PartsAfter(
        const BucketRecord& bucket, std::string_view parts_id, int32_t after, size_t limit);

    Task<Result<std::optional<CompletedUpload>>> FindCompleted(
        const BucketRecord& bucket, std::string_view id);
    static void PutCompleted(
        storage::Transaction& transaction,
        const BucketRecord& bucket,
        std::string_view id,
        const CompletedUpload& completed);
    // Forgets some of those begun before `now` minus a day.
    Task<Status> ForgetCompleted(const BucketRecord& bucket, WallClock::time_point now);

  private:
    storage::Kv& kv_;
    Random& random_;
};

}  // namespace hearth::s3
