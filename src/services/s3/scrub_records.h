#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "services/s3/records.h"
#include "storage/keys/key.h"

#include <cstdint>
#include <string>
#include <string_view>

// What the scrub stores, above accounts:
//   ("s3", "scrub")                                ScrubState
//   ("s3", "damage", bucket id, version's unique)  DamageRecord
namespace hearth::s3 {

// What was looked at.
struct ScrubTotals {
    // Versions of objects, and their bytes.
    int64_t objects = 0;
    int64_t bytes = 0;
    // Bodies that had lost shares on some disks and have them again.
    int64_t mended = 0;
};

// The background's pass over all buckets, and how far it is.
struct ScrubState {
    int64_t begun_ms = 0;
    bool running = false;
    ScrubTotals totals;
    // Where a pass goes on: bucket, table ("o" or "v"), storage key. Empty: at the beginning.
    std::string bucket;
    std::string table;
    std::string position;
    // The last pass that reached its end; 0: none yet.
    int64_t finished_ms = 0;
    ScrubTotals finished;

    std::string Encode() const;
    static Result<ScrubState> Decode(std::string_view bytes);
};

// A version whose bytes are not what was stored.
struct DamageRecord {
    AccountId account;
    std::string bucket;
    std::string key;
    std::string version_id;
    // For people.
    std::string what;
    int64_t found_ms = 0;

    std::string Encode() const;
    static Result<DamageRecord> Decode(std::string_view bytes);
};

namespace keys {

storage::keys::Key Scrub();
storage::keys::Key Damages();
std::string Damage(const BucketRecord& bucket, std::string_view unique);

}  // namespace keys

}  // namespace hearth::s3
