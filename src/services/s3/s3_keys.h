#pragma once

#include "services/s3/records.h"
#include "storage/keys/key.h"
#include "storage/kv.h"

#include <cstdint>
#include <string>
#include <string_view>

// Where S3's records are. Below B = (account, region, "s3"):
//   (above accounts, "s3", "bucket", name)         BucketRecord
//   (account, global, "s3", "bucket", name)        BucketRecord as it was made, for ListBuckets
//   B "o" <id> <key>                               ObjectRecord: the current version, never a
//   marker B "v" <id> <key> <sequence, newest first>      ObjectRecord: older versions, and all
//   markers B "n" <id> <key>                               sequence of the null version below "v"
//   B "i" <id> unique                              bytes of a small body
//   B "p" <id> parts id, number                    PartRecord
//   B "c" <id> kind                                a setting of the bucket (bucket_settings.h)
//   B "u" ..., "m" ...                             uploads (multipart's own)
// <id> is the bucket's, 8 bytes big-endian. <key> is the object key with each byte made one greater
// and a 00 at its end: UTF-8 has no byte above F4, so nothing is escaped, order is that of bytes, a
// key of 1,024 bytes fits, and FF ends every range.
// At most one of "o" and a newest "v" marker is the current state: an object is deleted (by a
// marker) exactly if "o" is absent and the newest "v" is a marker.
namespace hearth::s3::keys {

std::string Bucket(std::string_view name);
storage::keys::Key BucketsOf(const AccountId& account);

std::string Current(const BucketRecord& bucket, std::string_view key);
std::string Version(const BucketRecord& bucket, std::string_view key, int64_t sequence);
std::string NullVersion(const BucketRecord& bucket, std::string_view key);
std::string Inline(const BucketRecord& bucket, std::string_view unique);
std::string Part(const BucketRecord& bucket, std::string_view parts_id, int32_t number);
std::string Setting(const BucketRecord& bucket, std::string_view kind);

// Everything of one table ("o", "v" ...) of a bucket: the bytes all its keys begin with.
std::string Table(const BucketRecord& bucket, std::string_view table);
// [begin, end) of a table.
storage::RangeRequest All(const BucketRecord& bucket, std::string_view table);
// All object keys in "o" that begin with `prefix`.
storage::RangeRequest CurrentWithPrefix(const BucketRecord& bucket, std::string_view prefix);
// All versions in "v" of one key, newest first.
storage::RangeRequest VersionsOf(const BucketRecord& bucket, std::string_view key);
// Keys in "v" of all keys that begin with `prefix`.
storage::RangeRequest VersionsWithPrefix(const BucketRecord& bucket, std::string_view prefix);
storage::RangeRequest Parts(const BucketRecord& bucket, std::string_view parts_id);

// The object key's bytes as they stand in a storage key, without the end.
std::string Shifted(std::string_view key);

// The object key of a key of "o", "v" or "n"; and for "v" the sequence.
struct Parsed {
    std::string key;
    int64_t sequence = 0;
};

Result<Parsed> ParseCurrent(const BucketRecord& bucket, std::string_view storage_key);
Result<Parsed> ParseVersion(const BucketRecord& bucket, std::string_view storage_key);
Result<int32_t> ParsePart(std::string_view storage_key);

}  // namespace hearth::s3::keys
