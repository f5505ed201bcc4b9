#include "services/s3/checksums.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/list_requests.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/s3_service.h"

#include "gen/s3/types.gen.h"

#include <algorithm>
#include <utility>

// ListParts: what of an upload is there, by number.
namespace hearth::s3 {

Task<Result<model::ListParts::Output>> S3Service::ListParts(
    aws::RequestContext& context, model::ListParts::Input input) {
    HEARTH_CO_TRY(const ListLimit limit, ReadLimit(input.max_parts, "max-parts"));
    const int32_t marker = input.part_number_marker.value_or(0);
    if (marker < 0) {
        co_return errors::InvalidArgument(
            "Argument part-number-marker must be an integer between 0 and 2147483647",
            "part-number-marker",
            std::to_string(marker));
    }
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or("");
    const std::string id = input.upload_id.value_or("");
    HEARTH_CO_TRY(const auto upload, co_await uploads_.Find(bucket->record, key, id));
    if (!upload) {
        co_return errors::NoSuchUpload(id);
    }
    std::vector<PartRecord> parts;
    if (marker < kPartsMax) {
        // One more than is shown tells whether something follows.
        HEARTH_CO_TRY(
            parts,
            co_await uploads_.PartsAfter(
                bucket->record, upload->parts_id, marker, limit.entries_max + 1));
    }
    const bool truncated = limit.entries_max > 0 && parts.size() > limit.entries_max;
    parts.resize(std::min(parts.size(), limit.entries_max));
    model::ListParts::Output output;
    output.bucket = bucket->record.name;
    output.key = key;
    output.upload_id = id;
    output.part_number_marker = marker;
    output.next_part_number_marker = parts.empty() ? marker : parts.back().number;
    output.max_parts = limit.asked;
    output.is_truncated = truncated;
    output.initiator = ShowInitiator(*upload);
    output.owner = ShowOwner(bucket->record.account);
    output.storage_class = upload->object.storage_class;
    if (upload->checksum_asked) {
        output.checksum_algorithm = upload->object.checksum_algorithm;
        output.checksum_type = upload->object.checksum_type;
    }
    output.parts.emplace();
    for (const PartRecord& part : parts) {
        auto& shown = output.parts->emplace_back();
        shown.part_number = part.number;
        shown.last_modified = part.modified;
        shown.e_tag = '"' + part.etag + '"';
        shown.size = static_cast<int64_t>(part.size);
        if (upload->checksum_asked) {
            const auto checksum = part.checksums.find(upload->object.checksum_algorithm);
            if (checksum != part.checksums.end()) {
                ShowChecksum(
                    shown, upload->object.checksum_algorithm, std::string_view(), checksum->second);
            }
        }
    }
    co_return output;
}

}  // namespace hearth::s3
