#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/names.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"

#include <algorithm>
#include <array>
#include <set>

namespace hearth::s3 {
namespace {

constexpr int32_t kAttributePartsMax = 1'000;

Result<std::set<std::string>> ReadAttributes(const std::optional<std::vector<std::string>>& asked) {
    static constexpr std::array<std::string_view, 5> kKnown = {
        "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"};
    std::set<std::string> attributes;
    for (const std::string& name : asked.value_or(std::vector<std::string>())) {
        if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
            return errors::InvalidArgument(
                "Invalid attribute name specified.", "x-amz-object-attributes", name);
        }
        attributes.insert(name);
    }
    if (attributes.empty()) {
        return errors::InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is "
            "either missing or empty");
    }
    return attributes;
}

}  // namespace

Task<Result<model::GetObjectAttributes::Output>> S3Service::GetObjectAttributes(
    aws::RequestContext& context, model::GetObjectAttributes::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or(std::string());
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(key));
    HEARTH_CO_TRY(const std::set<std::string> wanted, ReadAttributes(input.object_attributes));
    HEARTH_CO_TRY(const auto customer_key, ReadCustomerKeyOf(input));
    HEARTH_CO_TRY(
        const S3Store::Located located,
        co_await store_.FindObject(
            bucket->record, key, input.version_id, &context.response_headers));
    const ObjectRecord& record = located.record;
    HEARTH_CO_RETURN_IF_ERROR(CheckReadKey(record, customer_key));
    model::GetObjectAttributes::Output output;
    output.last_modified = record.modified;
    output.version_id = ShownVersionId(bucket->record, record);
    if (wanted.contains("ETag")) {
        output.e_tag = record.etag;
    }
    if (wanted.contains("StorageClass")) {
        output.storage_class = record.storage_class;
    }
    if (wanted.contains("ObjectSize")) {
        output.object_size = static_cast<int64_t>(record.size);
    }
    if (wanted.contains("Checksum") && !record.checksum.empty()) {
        ShowChecksum(
            output.checksum.emplace(),
            record.checksum_algorithm,
            record.checksum_type,
            record.checksum);
    }
    if (wanted.contains("ObjectParts") && !record.parts_id.empty()) {
        const int32_t after = std::max(input.part_number_marker.value_or(0), 0);
        const int32_t asked = input.max_parts.value_or(kAttributePartsMax);
        if (asked < 0) {
            co_return errors::InvalidArgument(
                "Argument maxParts must be an integer between 0 and 2147483647",
                "max-parts",
                std::to_string(asked));
        }
        const int32_t limit = std::min(asked, kAttributePartsMax);
        HEARTH_CO_TRY(
            const auto parts,
            co_await uploads_.PartsAfter(
                bucket->record, record.parts_id, after, static_cast<size_t>(limit) + 1));
        auto& shown = output.object_parts.emplace();
        shown.total_parts_count = record.parts_count;
        // Parts without a check sum of their own are not listed, as on AWS.
        const bool listed =
            !parts.empty() && parts.front().checksums.contains(record.checksum_algorithm);
        if (listed) {
            shown.part_number_marker = after;
            shown.max_parts = limit;
            shown.is_truncated = parts.size() > static_cast<size_t>(limit);
            auto& list = shown.parts.emplace();
            for (const PartRecord& part : parts) {
                if (list.size() == static_cast<size_t>(limit)) {
                    break;
                }
                auto& one = list.emplace_back();
                one.part_number = part.number;
                one.size = static_cast<int64_t>(part.size);
                if (const auto it = part.checksums.find(record.checksum_algorithm);
                    it != part.checksums.end()) {
                    ShowChecksum(one, record.checksum_algorithm, "", it->second);
                }
                shown.next_part_number_marker = part.number;
            }
        }
    }
    co_return output;
}

}  // namespace hearth::s3
