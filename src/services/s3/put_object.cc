#include "services/s3/errors.h"
#include "services/s3/lifecycle_headers.h"
#include "services/s3/names.h"
#include "services/s3/object_acl.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"
#include "services/s3/storage_places.h"

namespace hearth::s3 {

void S3Service::AddObjectOperations() {
    operations_.Add<model::PutObject>(this, &S3Service::PutObject);
    operations_.Add<model::GetObject>(this, &S3Service::GetObject);
    operations_.Add<model::HeadObject>(this, &S3Service::HeadObject);
    operations_.Add<model::GetObjectAttributes>(this, &S3Service::GetObjectAttributes);
    operations_.Add<model::DeleteObject>(this, &S3Service::DeleteObject);
    operations_.Add<model::DeleteObjects>(this, &S3Service::DeleteObjects);
    operations_.Add<model::CopyObject>(this, &S3Service::CopyObject);
}

Task<Result<model::PutObject::Output>> S3Service::PutObject(
    aws::RequestContext& context, model::PutObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or(std::string());
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(key));
    if (input.write_offset_bytes) {
        co_return errors::NotImplemented(
            "Objects of general purpose buckets cannot be appended to.",
            "x-amz-write-offset-bytes");
    }
    const WriteConditions conditions{
        .if_match = input.if_match, .if_none_match = input.if_none_match};
    HEARTH_CO_RETURN_IF_ERROR(CheckWriteConditions(conditions));
    HEARTH_CO_TRY(
        auto request, ReadNewObject(input, *bucket, context.now, deps_.cloud_clock.Now()));
    auto& [record, customer_key] = request;
    HEARTH_CO_TRY(record.acl, AclOfRequest(input, context, *bucket, key));
    record.owner = context.account == bucket->record.account ? "" : context.account.text();
    HEARTH_CO_TRY(const UploadChecks checks, ReadUploadChecks(context));
    if (bucket->record.object_lock && !record.retention.mode.empty() && !checks.content_md5 &&
        !checks.chosen && input.object_lock_mode) {
        co_return errors::InvalidRequest(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with "
            "Object Lock parameters");
    }
    if (conditions.any()) {
        // Spares the client an upload that must fail; the commit decides.
        HEARTH_CO_TRY(const auto current, co_await store_.FindCurrent(bucket->record, key));
        HEARTH_CO_RETURN_IF_ERROR(
            DecideWrite(conditions, key, current && current->current ? &current->record : nullptr));
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await lifecycle_.BeforeWrite(bucket->record, record.storage_class));
    HEARTH_CO_TRY(
        Received received,
        co_await Receive(context, input.body, checks, customer_key, PlaceOf(record.storage_class)));
    const std::string inline_bytes = KeepBody(received.body, record);
    FinishRecord(record, received.body, checks.algorithm, std::move(received.checksum));
    const bool by_form = context.signed_by == aws::RequestContext::SignedBy::kForm;
    const NotificationEvent event =
        by_form ? NotificationEvent::kCreatedPost : NotificationEvent::kCreatedPut;
    HEARTH_CO_TRY(
        const ObjectRecord written,
        co_await Commit(
            *bucket,
            std::move(record),
            &inline_bytes,
            &received.body,
            conditions,
            {.cause = &context, .event = event}));
    model::PutObject::Output output;
    output.e_tag = QuotedEtag(written.etag);
    output.version_id = ShownVersionId(bucket->record, written);
    output.expiration = ExpirationOf(*bucket, written);
    ShowChecksum(output, written.checksum_algorithm, written.checksum_type, written.checksum);
    ShowEncryption(output, written.encryption, written.customer_key_md5);
    co_return output;
}

}  // namespace hearth::s3
