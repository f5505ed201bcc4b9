#include "codec/crypto/crypto.h"
#include "services/s3/byte_range.h"
#include "services/s3/checksums.h"
#include "services/s3/conditionals.h"
#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/names.h"
#include "services/s3/object_headers.h"
#include "services/s3/read_request.h"
#include "services/s3/s3_service.h"
#include "services/s3/storage_places.h"

#include "gen/s3/types.gen.h"

#include <utility>

// UploadPartCopy: a part whose bytes are those of an object, or a range of it.
namespace hearth::s3 {
namespace {

constexpr int kReadAttemptsMax = 10;

// The conditions on the source, and its range.
Result<storage::OpenOptions> WhatToCopy(
    const model::UploadPartCopy::Input& input,
    const ObjectRecord& object,
    const std::optional<CustomerKeyOfRequest>& key) {
    HEARTH_RETURN_IF_ERROR(DecideCopySource(
        {.if_match = input.copy_source_if_match,
         .if_none_match = input.copy_source_if_none_match,
         .if_modified_since = input.copy_source_if_modified_since,
         .if_unmodified_since = input.copy_source_if_unmodified_since},
        object));
    HEARTH_RETURN_IF_ERROR(CheckReadKey(object, key));
    storage::OpenOptions open;
    open.length = object.size;
    if (input.copy_source_range) {
        HEARTH_TRY(
            const ByteRange range, ParseCopySourceRange(*input.copy_source_range, object.size));
        open.offset = range.offset;
        open.length = range.length;
    }
    if (*open.length > kPutBytesMax) {
        return errors::InvalidRequest(
            "The specified copy source is larger than the maximum allowable size for a copy "
            "source: 5368709120");
    }
    if (key) {
        open.customer_key = key->key;
    }
    return open;
}

}  // namespace

Task<Result<model::UploadPartCopy::Output>> S3Service::UploadPartCopy(
    aws::RequestContext& context, model::UploadPartCopy::Input input) {
    HEARTH_CO_TRY(const CopySource source, ParseCopySource(input.copy_source.value_or("")));
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(const auto customer_key, ReadCustomerKeyOf(input));
    HEARTH_CO_TRY(
        const auto source_key,
        ReadCustomerKey(
            {input.copy_source_sse_customer_algorithm,
             input.copy_source_sse_customer_key,
             input.copy_source_sse_customer_key_md5}));
    HEARTH_CO_TRY(
        const PartTarget target,
        co_await FindPartTarget(
            std::move(bucket),
            input.key.value_or(""),
            input.upload_id.value_or(""),
            input.part_number.value_or(0),
            customer_key));
    HEARTH_CO_TRY(
        const BucketHandle from,
        co_await SourceBucket(source.bucket, input.expected_source_bucket_owner));
    const auto wanted = ParseChecksumName(target.upload.object.checksum_algorithm);
    UploadChecks checks;
    checks.also = wanted;
    ObjectRecord object;
    std::optional<storage::FinishedBody> finished;
    for (int attempt = 1; !finished; ++attempt) {
        HEARTH_CO_TRY(
            S3Store::Located found,
            co_await store_.FindObject(from->record, source.key, source.version_id));
        object = std::move(found.record);
        HEARTH_CO_TRY(storage::OpenOptions open, WhatToCopy(input, object, source_key));
        if (IsArchived(object, deps_.cloud_clock.Now())) {
            co_return errors::InvalidObjectState(object.storage_class, object.tier);
        }
        auto copied = co_await CopyBytes(
            from->record,
            object,
            std::move(open),
            checks.Hashes(),
            customer_key,
            PlaceOf(target.upload.object.storage_class));
        if (copied.ok()) {
            co_await lifecycle_.Accessed(from->record, object);
            finished.emplace(*std::move(copied));
        } else if (
            // Overwritten between its record and its bytes.
            copied.error().code() != storage::kBodyGone || attempt == kReadAttemptsMax) {
            co_return std::move(copied).error();
        }
    }
    const storage::BodyDigests& digests = finished->digests();
    PartRecord part;
    const std::string unique = store_.Unique();
    part.etag = customer_key ? codec::Hex({reinterpret_cast<const uint8_t*>(unique.data()), 16})
                             : codec::Hex(*digests.md5);
    part.modified = context.now;
    model::UploadPartCopy::Output output;
    output.copy_source_version_id = ShownVersionId(from->record, object);
    ShowEncryption(output, EncryptionOf(finished->body()), target.upload.object.customer_key_md5);
    auto& result = output.copy_part_result.emplace();
    result.e_tag = QuotedEtag(part.etag);
    result.last_modified = context.now;
    if (wanted) {
        const std::string value = ChecksumValue(*wanted, digests);
        part.checksums[target.upload.object.checksum_algorithm] = value;
        if (target.upload.checksum_asked) {
            ShowChecksum(result, target.upload.object.checksum_algorithm, {}, value);
        }
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await StorePart(target, std::move(part), *std::move(finished)));
    co_return output;
}

}  // namespace hearth::s3
