#pragma once

#include "base/result.h"
#include "services/s3/listing.h"
#include "services/s3/records.h"
#include "storage/kv.h"

#include <memory>
#include <string>
#include <string_view>

// What the listings walk (listing.h), over the tables of a bucket.
namespace hearth::s3 {

// Current objects, in "o": `within` is empty, the value an ObjectRecord. `kv` and `bucket` outlive
// it, here and below.
std::unique_ptr<OrderedEntries> CurrentEntries(storage::Kv& kv, const BucketRecord& bucket);

// All versions and delete markers, "o" and "v" as one: by key, the newest first. `within` is
// WithinOfSequence of the version.
std::unique_ptr<OrderedEntries> VersionEntries(storage::Kv& kv, const BucketRecord& bucket);
// Eight bytes that sort the newest first, as at the end of keys in "v".
std::string WithinOfSequence(int64_t sequence);

// Uploads in progress, in "u": `within` is the upload id, the value an UploadRecord.
std::unique_ptr<OrderedEntries> UploadEntries(storage::Kv& kv, const BucketRecord& bucket);

// Tables whose keys are `table`, an object key (each byte made one greater), 00 and a rest: where a
// position is in them. Bytes that no key has (F8 to FF, in a prefix or marker that is not UTF-8)
// come after all keys.
std::string BoundInTable(std::string_view table, const ListPosition& position);
// The end of the range of keys below `end`; of the whole table where that is empty.
std::string EndInTable(std::string_view table, std::string_view end);

struct KeyInTable {
    std::string key;
    // Into the storage key.
    std::string_view rest;
};

Result<KeyInTable> SplitInTable(std::string_view table, std::string_view storage_key);

}  // namespace hearth::s3
