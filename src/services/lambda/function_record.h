#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::codec {
class SealingKey;
}

namespace hearth::lambda {

inline constexpr std::string_view kLatest = "$LATEST";

// A layer version as a function uses it. The code is named here, too: the function keeps it when
// the layer version is deleted. Without a code_blob it is one that this Hearth does not have, taken
// and shown with --lenient.
struct LayerUse {
    std::string arn;  // of the version
    std::string code_blob;
    std::string code_sha256;
    int64_t code_size = 0;      // of the zip, as the API shows it
    int64_t unzipped_size = 0;  // of its files

    bool operator==(const LayerUse&) const = default;
};

// Everything that one version of a function is, as kept in storage: its code's identity and its
// configuration. "$LATEST" changes; a published version never does. Tags and the number of the next
// version belong to the whole function (FunctionHead, function_store.h).
//
// In memory the environment variables are plain; in storage they are sealed under the master key.
struct FunctionRecord {
    AccountId account;
    Region region;
    std::string name;
    std::string version;  // "$LATEST", "1", "2", ...

    // What the API shows as RevisionId: changes with every change, also with a publication.
    std::string revision_id;
    // Changes with each change of code or configuration alone: execution environments of another
    // one must not serve. Never reused, not even by a function deleted and created anew.
    std::string environment_revision;

    std::string description;
    std::string runtime;  // "python3.12"
    std::string handler;  // empty for provided.* when the caller gave none
    std::string role;     // ARN
    int32_t memory_mb = 128;
    int32_t timeout_s = 3;
    int32_t ephemeral_storage_mb = 512;
    std::string architecture = "x86_64";
    std::string package_type = "Zip";

    // The zip as uploaded: its blob's id (also the name of the unpacked directory, code_store.h),
    // its SHA-256 in base64 as CodeSha256 shows it, and its size.
    std::string code_blob;
    std::string code_sha256;
    int64_t code_size = 0;
    // Of its files; 0 for code that an older Hearth took in.
    int64_t code_unzipped_size = 0;
    // In the order given, which is the order of mounting: files of later ones win.
    std::vector<LayerUse> layers;
    // Absolute directory of the machine that is mounted instead of unpacked code (bucket
    // `hot-reload`); empty for ordinary functions.
    std::string hot_reload_directory;

    // Absent when the caller never gave an Environment; AWS then leaves the member out.
    std::optional<std::map<std::string, std::string>> environment;

    std::string tracing_mode = "PassThrough";

    // DeadLetterConfig: ARN of a queue; empty: none. All versions follow that of $LATEST.
    std::string dead_letter_target;

    // SnapStart ApplyOn PublishedVersions.
    bool snap_start = false;

    std::string log_format = "Text";                   // or "JSON"
    std::string log_group;                             // "/aws/lambda/<name>" unless given
    std::optional<std::string> application_log_level;  // JSON only, as the next
    std::optional<std::string> system_log_level;

    // When the version moves to another build of its runtime (runtime_management.cc). No setting of
    // the function itself: changing it changes no RevisionId.
    std::string update_runtime_on = "Auto";  // or "FunctionUpdate", "Manual"
    std::string runtime_version_arn;         // with Manual alone

    // Settings accepted with --lenient alone; shown again, never honoured. Their encoding:
    // settings.cc.
    std::map<std::string, std::string> ignored;

    WallClock::time_point last_modified;

    // arn:aws:lambda:<region>:<account>:function:<name>, without a version.
    std::string Arn() const;
    // With ":<version>", also for $LATEST.
    std::string QualifiedArn() const;
};

// The text that names `record` wherever its code and configuration matter and nothing else: equal
// for two records whose publication would give the same version.
std::string Fingerprint(const FunctionRecord& record);

// Stored form; the environment variables are sealed, bound to QualifiedArn().
std::string EncodeRecord(const FunctionRecord& record, const codec::SealingKey& key);
// Account, region, name and version come from the storage key.
Result<FunctionRecord> DecodeRecord(
    std::string_view bytes,
    const codec::SealingKey& key,
    AccountId account,
    Region region,
    std::string name,
    std::string version);

}  // namespace hearth::lambda
