#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What S3 stores, and its bytes (storage/records/record_codec.h: numbered fields; unknown ones are
// passed over). Times are milliseconds since 1970.
namespace hearth::s3 {

inline constexpr std::string_view kNullVersionId = "null";

enum class Versioning : uint8_t { kNever, kEnabled, kSuspended };

// A bucket. Names are global, so the record stands above accounts.
struct BucketRecord {
    std::string name;
    // Of this life of the bucket: one made again under the name has another id, and no keys of the
    // old one can show.
    int64_t id = 0;
    AccountId account;
    Region region;
    WallClock::time_point created;
    Versioning versioning = Versioning::kNever;
    bool object_lock = false;

    std::string Encode() const;
    static Result<BucketRecord> Decode(std::string_view bytes);
};

enum class Encryption : uint8_t {
    kNone,      // --encrypt-at-rest off
    kS3,        // SSE-S3
    kCustomer,  // SSE-C
};

// Object lock: what protects one version.
struct Retention {
    // "GOVERNANCE", "COMPLIANCE", or empty: none.
    std::string mode;
    WallClock::time_point until;
};

// One version of an object, or a delete marker: everything but the bytes.
struct ObjectRecord {
    std::string key;  // not encoded: it is in the storage key
    // "null", or 32 characters that name `sequence` (version_id.h).
    std::string version_id{kNullVersionId};
    // Greater than that of every older version of the key; microseconds since 1970 where those are.
    int64_t sequence = 0;
    bool delete_marker = false;

    uint64_t size = 0;
    std::string etag;  // without quotes
    // LastModified, and the cloud clock at that moment: ages are by the cloud's.
    WallClock::time_point modified;
    int64_t modified_cloud_ms = 0;
    // Who wrote it; empty: the bucket's account.
    std::string owner;

    std::vector<std::pair<std::string, std::string>> metadata;  // without "x-amz-meta-"
    std::optional<std::string> content_type;
    std::optional<std::string> cache_control;
    std::optional<std::string> content_disposition;
    std::optional<std::string> content_encoding;
    std::optional<std::string> content_language;
    std::optional<std::string> expires;
    std::optional<std::string> website_redirect;
    std::string storage_class = "STANDARD";
    std::map<std::string, std::string> tags;
    // The encoding of acl.h; empty: private.
    std::string acl;

    Encryption encryption = Encryption::kNone;
    std::string customer_key_md5;  // base64

    // "CRC64NVME" ..., or empty; then "FULL_OBJECT" or "COMPOSITE" and the value as it is sent.
    std::string checksum_algorithm;
    std::string checksum_type;
    std::string checksum;

    Retention retention;
    bool legal_hold = false;
    // Somebody has switched it, so that "OFF" is told instead of nothing.
    bool legal_hold_known = false;

    // The bytes: storage::objects::StoredBody, encoded. An inline body's bytes are in
    // `inline_bytes` when they are few (kBytesInRecordMax): one key to write instead of two, or of
    // three in an overwrite. Else they are apart (keys::Inline) so that listings stay short. Empty
    // for markers and for objects in parts.
    std::string body;
    bool body_inline = false;
    std::string inline_bytes;
    // Sixteen random bytes; names what belongs to this version alone (the inline body).
    std::string unique;

    // Multipart: parts are kept below keys::Part(parts_id, number) in order of number; empty: none.
    std::string parts_id;
    int32_t parts_count = 0;
    // Where the parts' bytes lie: a storage::BodyTier; a single body says it itself.
    int32_t parts_place = 0;

    // RestoreObject: when the copy of an archived object ends; ongoing while it is made.
    std::optional<WallClock::time_point> restored_until;
    bool restore_ongoing = false;
    // The copy, a StoredBody of all bytes; empty where they can be read in the archive, too.
    std::string restored_body;
    // Intelligent-Tiering: when it was read last, to the day; 0: never.
    int64_t accessed_cloud_ms = 0;
    // Intelligent-Tiering and lifecycle: where the body is now when that is not the class's own
    // first place ("INFREQUENT", "ARCHIVE_INSTANT", "ARCHIVE", "DEEP_ARCHIVE").
    std::string tier;

    std::string Encode() const;
    static Result<ObjectRecord> Decode(std::string key, std::string_view bytes);
};

// A part of a multipart upload, and of the object that came of it.
struct PartRecord {
    int32_t number = 0;  // not encoded: it is in the storage key
    uint64_t size = 0;
    std::string etag;
    WallClock::time_point modified;
    // By algorithm ("CRC32"): values as they are sent.
    std::map<std::string, std::string> checksums;
    std::string body;  // StoredBody, encoded
    bool body_inline = false;
    std::string unique;

    std::string Encode() const;
    static Result<PartRecord> Decode(int32_t number, std::string_view bytes);
};

}  // namespace hearth::s3
