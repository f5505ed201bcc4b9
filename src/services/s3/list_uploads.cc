#include "services/s3/errors.h"
#include "services/s3/list_requests.h"
#include "services/s3/s3_service.h"

#include "gen/s3/types.gen.h"

#include <utility>

// ListMultipartUploads: uploads in progress, by key, then by when they were begun.
// Source: S3 API Reference; tests/conformance/s3_listing.
namespace hearth::s3 {

Task<Result<model::ListMultipartUploads::Output>> S3Service::ListMultipartUploads(
    aws::RequestContext& context, model::ListMultipartUploads::Input input) {
    HEARTH_CO_TRY(const ListLimit limit, ReadLimit(input.max_uploads, "max-uploads"));
    HEARTH_CO_TRY(const KeyEncoding encoding, KeyEncoding::Read(input.encoding_type));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.key_marker, "key-marker"));
    HEARTH_CO_RETURN_IF_ERROR(CheckNoNul(input.prefix, "prefix"));
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string prefix = input.prefix.value_or("");
    const std::string delimiter = input.delimiter.value_or("");
    const std::string key_marker = input.key_marker.value_or("");
    // Without a key marker AWS passes over the other one.
    const std::string id_marker =
        key_marker.empty() ? std::string() : input.upload_id_marker.value_or("");
    ListPosition from = AfterMarker(key_marker, prefix, delimiter);
    if (!id_marker.empty()) {
        if (!UploadStore::IsId(id_marker)) {
            co_return errors::InvalidArgument(
                "Invalid uploadId marker", "upload-id-marker", id_marker);
        }
        from = AfterEntry(key_marker, id_marker);
    }
    const auto entries = uploads_.Entries(bucket->record);
    HEARTH_CO_TRY(
        Listing listing,
        co_await List(
            *entries,
            {.prefix = prefix,
             .delimiter = delimiter,
             .entries_max = limit.entries_max,
             .from = std::move(from)}));
    model::ListMultipartUploads::Output output;
    output.bucket = bucket->record.name;
    output.key_marker = encoding.Show(std::string_view(key_marker));
    output.upload_id_marker = id_marker;
    output.prefix = encoding.Show(std::string_view(prefix));
    if (!delimiter.empty()) {
        output.delimiter = encoding.Show(std::string_view(delimiter));
    }
    output.max_uploads = limit.asked;
    output.encoding_type = input.encoding_type;
    output.is_truncated = listing.truncated;
    if (listing.truncated) {
        output.next_key_marker = encoding.Show(std::string_view(listing.last_key));
        output.next_upload_id_marker = listing.last_within;
    }
    output.uploads.emplace();
    for (ListEntry& entry : listing.entries) {
        HEARTH_CO_TRY(
            const UploadRecord record,
            UploadRecord::Decode(std::move(entry.key), std::move(entry.within), entry.value));
        auto& upload = output.uploads->emplace_back();
        upload.key = encoding.Show(std::string_view(record.key));
        upload.upload_id = record.id;
        upload.initiated = record.initiated;
        upload.storage_class = record.object.storage_class;
        upload.owner = ShowOwner(bucket->record.account);
        upload.initiator = ShowInitiator(record);
        if (record.checksum_asked) {
            upload.checksum_algorithm = record.object.checksum_algorithm;
            upload.checksum_type = record.object.checksum_type;
        }
    }
    output.common_prefixes = encoding.Show(listing.common_prefixes);
    co_return output;
}

}  // namespace hearth::s3
