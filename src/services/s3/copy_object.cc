#include "codec/crypto/crypto.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_headers.h"
#include "services/s3/limits.h"
#include "services/s3/names.h"
#include "services/s3/object_acl.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"
#include "services/s3/storage_places.h"

namespace hearth::s3 {
namespace {

// A source that is overwritten while it is opened is read anew.
constexpr int kReadAttemptsMax = 10;

// A version that goes away each time it is looked at is nothing a client has a name for.
Error AfterLastAttempt(Error error) {
    return error.code() == storage::kBodyGone ? errors::InternalError() : std::move(error);
}

// COPY unless it says REPLACE.
Result<bool> Replaces(const std::optional<std::string>& directive, std::string_view what) {
    if (!directive || *directive == "COPY") {
        return false;
    }
    if (*directive == "REPLACE") {
        return true;
    }
    return errors::InvalidArgument(
        "Unknown " + std::string(what) + " directive.",
        "x-amz-" + std::string(what) + "-directive",
        *directive);
}

ReadConditions SourceConditions(const model::CopyObject::Input& input) {
    return {
        .if_match = input.copy_source_if_match,
        .if_none_match = input.copy_source_if_none_match,
        .if_modified_since = input.copy_source_if_modified_since,
        .if_unmodified_since = input.copy_source_if_unmodified_since};
}

// An object copied onto itself must become another one in some way.
bool ChangesNothing(
    const model::CopyObject::Input& input,
    const CopySource& source,
    bool replace_metadata,
    const ObjectRecord& source_record) {
    const bool same =
        input.bucket == source.bucket && input.key == source.key && !source.version_id;
    const bool other_class =
        input.storage_class && *input.storage_class != source_record.storage_class;
    const bool other_redirect = input.website_redirect_location.has_value();
    const bool other_encryption =
        input.server_side_encryption.has_value() || input.sse_customer_algorithm.has_value();
    return same && !replace_metadata && !other_class && !other_redirect && !other_encryption;
}

}  // namespace

Task<Result<S3Service::CopySourceObject>> S3Service::FindCopySource(
    aws::RequestContext&,
    const std::optional<std::string>& header,
    const std::optional<std::string>& expected_owner,
    const ReadConditions& conditions,
    const std::optional<CustomerKeyOfRequest>& key) {
    CopySourceObject found;
    HEARTH_CO_TRY(found.source, ParseCopySource(header.value_or(std::string())));
    HEARTH_CO_TRY(found.bucket, co_await SourceBucket(found.source.bucket, expected_owner));
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(found.source.key));
    auto located =
        co_await store_.FindObject(found.bucket->record, found.source.key, found.source.version_id);
    if (!located.ok() && located.error().code() == "MethodNotAllowed") {
        co_return errors::InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by version "
            "id.");
    }
    HEARTH_CO_RETURN_IF_ERROR(located);
    found.record = std::move(located->record);
    HEARTH_CO_RETURN_IF_ERROR(DecideCopySource(conditions, found.record));
    HEARTH_CO_RETURN_IF_ERROR(CheckReadKey(found.record, key));
    if (IsArchived(found.record, deps_.cloud_clock.Now())) {
        co_return Error(
            Error::Kind::kDenied,
            "ObjectNotInActiveTierError",
            "The source object of the COPY action is not in the active tier and is only stored in "
            "Amazon S3 Glacier.",
            403);
    }
    co_await lifecycle_.Accessed(found.bucket->record, found.record);
    co_return found;
}

Task<Result<storage::FinishedBody>> S3Service::CopyBytes(
    const CopySourceObject& from, storage::OpenOptions range, storage::BodyOptions to) {
    const uint64_t length = range.length.value_or(from.record.size - range.offset);
    HEARTH_CO_TRY(
        const std::unique_ptr<storage::BodySource> source,
        co_await OpenObject(from.bucket->record, from.record, std::move(range)));
    to.expected_length = length;
    auto created = co_await bodies_->Create(std::move(to));
    if (!created.ok()) {
        co_return TranslateBodyError(std::move(created).error());
    }
    while (true) {
        HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
        if (bytes.empty()) {
            break;
        }
        if (auto written = co_await (*created)->Write(bytes); !written.ok()) {
            co_return TranslateBodyError(std::move(written).error());
        }
    }
    auto finished = co_await (*created)->Finish();
    if (!finished.ok()) {
        co_return TranslateBodyError(std::move(finished).error());
    }
    co_return *std::move(finished);
}

Task<Result<model::CopyObject::Output>> S3Service::CopyObject(
    aws::RequestContext& context, model::CopyObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or(std::string());
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(key));
    HEARTH_CO_TRY(const bool replace_metadata, Replaces(input.metadata_directive, "metadata"));
    HEARTH_CO_TRY(const bool replace_tags, Replaces(input.tagging_directive, "tagging"));
    const WriteConditions conditions{
        .if_match = input.if_match, .if_none_match = input.if_none_match};
    HEARTH_CO_RETURN_IF_ERROR(CheckWriteConditions(conditions));
    HEARTH_CO_TRY(
        const auto source_key,
        ReadCustomerKey(
            {input.copy_source_sse_customer_algorithm,
             input.copy_source_sse_customer_key,
             input.copy_source_sse_customer_key_md5}));
    std::optional<ChecksumAlgorithm> algorithm;
    if (input.checksum_algorithm) {
        algorithm = ParseChecksumName(*input.checksum_algorithm);
        if (!algorithm) {
            co_return errors::InvalidRequest(
                "Value for x-amz-checksum-algorithm header is invalid.");
        }
    }
    for (int attempt = 1;; ++attempt) {
        HEARTH_CO_TRY(
            const CopySourceObject from,
            co_await FindCopySource(
                context,
                input.copy_source,
                input.expected_source_bucket_owner,
                SourceConditions(input),
                source_key));
        if (from.record.size > kCopyBytesMax) {
            co_return errors::InvalidRequest(
                "The specified copy source is larger than the maximum allowable size for a copy "
                "source: 5368709120");
        }
        if (ChangesNothing(input, from.source, replace_metadata, from.record)) {
            co_return errors::InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata, storage class, website redirect location "
                "or encryption attributes.");
        }
        ObjectRecord record;
        record.key = key;
        record.modified = context.now;
        record.modified_cloud_ms = UnixMs(deps_.cloud_clock.Now());
        record.owner = context.account == bucket->record.account ? "" : context.account.text();
        if (replace_metadata) {
            HEARTH_CO_RETURN_IF_ERROR(ReadContentHeaders(input, record));
        } else {
            CopyContentHeaders(from.record, record);
        }
        if (replace_tags) {
            if (input.tagging) {
                HEARTH_CO_TRY(record.tags, ParseTaggingHeader(*input.tagging));
            }
        } else {
            record.tags = from.record.tags;
        }
        HEARTH_CO_TRY(
            const auto customer_key,
            ReadOwnHeaders(input, *bucket, deps_.cloud_clock.Now(), record));
        HEARTH_CO_TRY(record.acl, AclOfRequest(input, context, *bucket, key));

        const ChecksumAlgorithm used =
            algorithm.value_or(ParseChecksumName(from.record.checksum_algorithm)
                                   .value_or(ChecksumAlgorithm::kCrc64Nvme));
        storage::OpenOptions range;
        if (source_key) {
            range.customer_key = source_key->key;
        }
        storage::BodyOptions to;
        if (customer_key) {
            to.customer_key = customer_key->key;
        }
        to.hashes.md5 = true;
        to.tier = PlaceOf(record.storage_class);
        AskFor(to.hashes, used);
        HEARTH_CO_RETURN_IF_ERROR(
            co_await lifecycle_.BeforeWrite(bucket->record, record.storage_class));
        auto copied = co_await CopyBytes(from, std::move(range), std::move(to));
        if (!copied.ok() && copied.error().code() == storage::kBodyGone &&
            attempt < kReadAttemptsMax) {
            continue;
        }
        if (!copied.ok()) {
            co_return AfterLastAttempt(std::move(copied).error());
        }
        const std::string inline_bytes = KeepBody(*copied, record);
        FinishRecord(record, *copied, used, ChecksumValue(used, copied->digests()));
        HEARTH_CO_TRY(
            const ObjectRecord written,
            co_await Commit(
                *bucket,
                std::move(record),
                &inline_bytes,
                &*copied,
                conditions,
                {.cause = &context, .event = NotificationEvent::kCreatedCopy}));
        model::CopyObject::Output output;
        auto& result = output.copy_object_result.emplace();
        result.e_tag = QuotedEtag(written.etag);
        result.last_modified = written.modified;
        ShowChecksum(result, written.checksum_algorithm, written.checksum_type, written.checksum);
        output.copy_source_version_id = ShownVersionId(from.bucket->record, from.record);
        output.version_id = ShownVersionId(bucket->record, written);
        output.expiration = ExpirationOf(*bucket, written);
        ShowEncryption(output, written.encryption, written.customer_key_md5);
        co_return output;
    }
}

}  // namespace hearth::s3
