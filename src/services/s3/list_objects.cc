#include "services/s3/errors.h"
#include "services/s3/list_ranges.h"
#include "services/s3/list_requests.h"
#include "services/s3/s3_service.h"

#include "gen/s3/types.gen.h"

#include <utility>

// ListObjects and its second version: the current objects, in the order of their keys' bytes.
// Source: S3 API Reference; tests/conformance/s3_listing.
namespace hearth::s3 {
namespace {

bool WantsRestoreStatus(const std::optional<std::vector<std::string>>& attributes) {
    return attributes &&
           std::find(attributes->begin(), attributes->end(), "RestoreStatus") != attributes->end();
}

struct Shown {
    bool owner = false;
    bool restore_status = false;
};

Result<model::Object> ShowObject(
    const BucketRecord& bucket, ListEntry entry, const KeyEncoding& encoding, Shown shown) {
    HEARTH_TRY(const ObjectRecord record, ObjectRecord::Decode(std::move(entry.key), entry.value));
    model::Object object;
    object.key = encoding.Show(std::string_view(record.key));
    object.last_modified = record.modified;
    object.e_tag = '"' + record.etag + '"';
    object.size = static_cast<int64_t>(record.size);
    object.storage_class = record.storage_class;
    if (!record.checksum_algorithm.empty()) {
        object.checksum_algorithm.emplace().push_back(record.checksum_algorithm);
        object.checksum_type = record.checksum_type;
    }
    if (shown.owner) {
        object.owner = ShowOwner(record.owner.empty() ? bucket.account : AccountId(record.owner));
    }
    if (shown.restore_status && (record.restore_ongoing || record.restored_until)) {
        auto& status = object.restore_status.emplace();
        status.is_restore_in_progress = record.restore_ongoing;
        status.restore_expiry_date = record.restored_until;
    }
    return object;
}

Result<std::vector<model::Object>> ShowObjects(
    const BucketRecord& bucket,
    std::vector<ListEntry> entries,
    const KeyEncoding& encoding,
    Shown shown) {
    std::vector<model::Object> objects;
    objects.reserve(entries.size());
    for (ListEntry& entry : entries) {
        HEARTH_TRY(auto object, ShowObject(bucket, std::move(entry), encoding, shown));
        objects.push_back(std::move(object));
    }
    return objects;
}

}  // namespace

void S3Service::AddListOperations() {
    operations_.Add<model::ListObjects>(this, &S3Service::ListObjects);
    operations_.Add<model::ListObjectsV2>(this, &S3Service::ListObjectsV2);
    operations_.Add<model::ListObjectVersions>(this, &S3Service::ListObjectVersions);
    operations_.Add<model::ListMultipartUploads>(this, &S3Service::ListMultipartUploads);
}

Task<Result<model::ListObjects::Output>> S3Service::ListObjects(
    aws::RequestContext& context, model::ListObjects::Input input) {
    HEARTH_CO_TRY(const ListLimit limit, ReadLimit(input.max_keys, "maxKeys"));
    HEARTH_CO_TRY(const KeyEncoding encoding, KeyEncoding::Read(input.encoding_type));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.prefix, "prefix"));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.marker, "marker"));
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string prefix = input.prefix.value_or("");
    const std::string delimiter = input.delimiter.value_or("");
    const std::string marker = input.marker.value_or("");
    const auto entries = CurrentEntries(store_.kv(), bucket->record);
    HEARTH_CO_TRY(
        Listing listing,
        co_await List(
            *entries,
            {.prefix = prefix,
             .delimiter = delimiter,
             .entries_max = limit.entries_max,
             .from = AfterMarker(marker, prefix, delimiter)}));
    model::ListObjects::Output output;
    output.name = bucket->record.name;
    output.prefix = encoding.Show(std::string_view(prefix));
    output.marker = encoding.Show(std::string_view(marker));
    output.max_keys = limit.asked;
    output.encoding_type = input.encoding_type;
    output.is_truncated = listing.truncated;
    if (!delimiter.empty()) {
        output.delimiter = encoding.Show(std::string_view(delimiter));
        // Without a delimiter the last key is the next marker, and AWS leaves it out.
        if (listing.truncated) {
            output.next_marker = encoding.Show(std::string_view(listing.last_key));
        }
    }
    HEARTH_CO_TRY(
        output.contents,
        ShowObjects(
            bucket->record,
            std::move(listing.entries),
            encoding,
            {.owner = true,
             .restore_status = WantsRestoreStatus(input.optional_object_attributes)}));
    output.common_prefixes = encoding.Show(listing.common_prefixes);
    co_return output;
}

Task<Result<model::ListObjectsV2::Output>> S3Service::ListObjectsV2(
    aws::RequestContext& context, model::ListObjectsV2::Input input) {
    HEARTH_CO_TRY(const ListLimit limit, ReadLimit(input.max_keys, "maxKeys"));
    HEARTH_CO_TRY(const KeyEncoding encoding, KeyEncoding::Read(input.encoding_type));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.prefix, "prefix"));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.start_after, "start-after"));
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string prefix = input.prefix.value_or("");
    const std::string delimiter = input.delimiter.value_or("");
    std::string marker = input.start_after.value_or("");
    if (input.continuation_token) {
        Result<std::string> read = DecodeContinuationToken(*input.continuation_token);
        if (!read.ok()) {
            co_return errors::InvalidArgument(
                "The continuation token provided is incorrect",
                "continuation-token",
                *input.continuation_token);
        }
        marker = *std::move(read);
    }
    const auto entries = CurrentEntries(store_.kv(), bucket->record);
    HEARTH_CO_TRY(
        Listing listing,
        co_await List(
            *entries,
            {.prefix = prefix,
             .delimiter = delimiter,
             .entries_max = limit.entries_max,
             .from = AfterMarker(marker, prefix, delimiter)}));
    model::ListObjectsV2::Output output;
    output.name = bucket->record.name;
    output.prefix = encoding.Show(std::string_view(prefix));
    output.max_keys = limit.asked;
    output.encoding_type = input.encoding_type;
    output.start_after = encoding.Show(input.start_after);
    output.continuation_token = input.continuation_token;
    output.key_count =
        static_cast<int32_t>(listing.entries.size() + listing.common_prefixes.size());
    output.is_truncated = listing.truncated;
    if (!delimiter.empty()) {
        output.delimiter = encoding.Show(std::string_view(delimiter));
    }
    if (listing.truncated) {
        output.next_continuation_token = EncodeContinuationToken(listing.last_key);
    }
    HEARTH_CO_TRY(
        output.contents,
        ShowObjects(
            bucket->record,
            std::move(listing.entries),
            encoding,
            {.owner = input.fetch_owner.value_or(false),
             .restore_status = WantsRestoreStatus(input.optional_object_attributes)}));
    output.common_prefixes = encoding.Show(listing.common_prefixes);
    co_return output;
}

}  // namespace hearth::s3
