#include "services/s3/errors.h"
#include "services/s3/list_ranges.h"
#include "services/s3/list_requests.h"
#include "services/s3/s3_service.h"
#include "services/s3/version_id.h"

#include "gen/s3/types.gen.h"

#include <utility>

// ListObjectVersions: every version and delete marker, by key, each key's newest first.
// Source: S3 API Reference; tests/conformance/s3_listing.
namespace hearth::s3 {

Task<Result<model::ListObjectVersions::Output>> S3Service::ListObjectVersions(
    aws::RequestContext& context, model::ListObjectVersions::Input input) {
    HEARTH_CO_TRY(const ListLimit limit, ReadLimit(input.max_keys, "maxKeys"));
    const std::string key_marker = input.key_marker.value_or("");
    std::optional<int64_t> marker_sequence;
    if (input.version_id_marker) {
        const std::string& version_id = *input.version_id_marker;
        if (version_id.empty()) {
            co_return errors::InvalidArgument(
                "A version-id marker cannot be empty.", "version-id-marker", "");
        }
        if (key_marker.empty()) {
            co_return errors::InvalidArgument(
                "A version-id marker cannot be specified without a key marker.",
                "version-id-marker",
                version_id);
        }
        if (version_id != kNullVersionId) {
            marker_sequence = SequenceOfVersionId(version_id);
            if (!marker_sequence) {
                co_return errors::InvalidArgument(
                    "Invalid version id specified", "version-id-marker", version_id);
            }
        }
    }
    HEARTH_CO_TRY(const KeyEncoding encoding, KeyEncoding::Read(input.encoding_type));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.key_marker, "key-marker"));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.prefix, "prefix"));
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (input.version_id_marker && !marker_sequence) {
        // The null version has no sequence in its id. Where it is gone, the key's other versions
        // cannot be told from those already listed: go on with the next key.
        HEARTH_CO_TRY(
            const auto null_version,
            co_await store_.FindVersion(bucket->record, key_marker, kNullVersionId));
        if (null_version) {
            marker_sequence = null_version->record.sequence;
        }
    }
    const std::string prefix = input.prefix.value_or("");
    const std::string delimiter = input.delimiter.value_or("");
    ListPosition from = marker_sequence ? AfterEntry(key_marker, WithinOfSequence(*marker_sequence))
                                        : AfterMarker(key_marker, prefix, delimiter);
    const auto entries = VersionEntries(store_.kv(), bucket->record);
    HEARTH_CO_TRY(
        Listing listing,
        co_await List(
            *entries,
            {.prefix = prefix,
             .delimiter = delimiter,
             .entries_max = limit.entries_max,
             .from = std::move(from)}));
    model::ListObjectVersions::Output output;
    output.name = bucket->record.name;
    output.prefix = encoding.Show(std::string_view(prefix));
    output.key_marker = encoding.Show(std::string_view(key_marker));
    output.version_id_marker = input.version_id_marker.value_or("");
    output.max_keys = limit.asked;
    output.encoding_type = input.encoding_type;
    output.is_truncated = listing.truncated;
    if (!delimiter.empty()) {
        output.delimiter = encoding.Show(std::string_view(delimiter));
    }
    output.versions.emplace();
    // The first of a key is its newest, except of the one that an earlier page began.
    std::string previous_key = marker_sequence ? key_marker : std::string();
    bool any_previous = marker_sequence.has_value();
    std::string last_version_id;
    for (ListEntry& entry : listing.entries) {
        HEARTH_CO_TRY(
            const ObjectRecord record, ObjectRecord::Decode(std::move(entry.key), entry.value));
        const bool latest = !any_previous || record.key != previous_key;
        previous_key = record.key;
        any_previous = true;
        last_version_id = record.version_id;
        const AccountId owner =
            record.owner.empty() ? bucket->record.account : AccountId(record.owner);
        if (record.delete_marker) {
            auto& marker = output.versions->emplace_back().delete_marker.emplace();
            marker.owner = ShowOwner(owner);
            marker.key = encoding.Show(std::string_view(record.key));
            marker.version_id = record.version_id;
            marker.is_latest = latest;
            marker.last_modified = record.modified;
            continue;
        }
        auto& version = output.versions->emplace_back().version.emplace();
        version.e_tag = '"' + record.etag + '"';
        if (!record.checksum_algorithm.empty()) {
            version.checksum_algorithm.emplace().push_back(record.checksum_algorithm);
            version.checksum_type = record.checksum_type;
        }
        version.size = static_cast<int64_t>(record.size);
        version.storage_class = record.storage_class;
        version.key = encoding.Show(std::string_view(record.key));
        version.version_id = record.version_id;
        version.is_latest = latest;
        version.last_modified = record.modified;
        version.owner = ShowOwner(owner);
    }
    if (listing.truncated) {
        output.next_key_marker = encoding.Show(std::string_view(listing.last_key));
        if (!listing.last_within.empty()) {
            output.next_version_id_marker = last_version_id;
        }
    }
    output.common_prefixes = encoding.Show(listing.common_prefixes);
    co_return output;
}

}  // namespace hearth::s3
