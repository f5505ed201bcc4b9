#include "services/s3/errors.h"
#include "services/s3/s3_service.h"

namespace hearth::s3 {

Task<Result<model::PutBucketVersioning::Output>> S3Service::PutBucketVersioning(
    aws::RequestContext& context, model::PutBucketVersioning::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.versioning_configuration || !input.versioning_configuration->status) {
        co_return Error(
            Error::Kind::kInvalid,
            "IllegalVersioningConfigurationException",
            "The Versioning element must be specified",
            400);
    }
    const model::VersioningConfiguration& asked = *input.versioning_configuration;
    if (asked.mfa_delete == "Enabled") {
        co_return errors::NotImplemented("Hearth does not have MFA delete.");
    }
    if (*asked.status != "Enabled" && *asked.status != "Suspended") {
        co_return errors::MalformedXml();
    }
    const bool enable = *asked.status == "Enabled";
    const S3Store::Change change =
        [enable](storage::Transaction&, BucketRecord& record) -> Task<Status> {
        if (!enable && record.object_lock) {
            co_return errors::InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state "
                "cannot be changed.");
        }
        record.versioning = enable ? Versioning::kEnabled : Versioning::kSuspended;
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.ChangeBucket(bucket->record, change));
    co_return model::PutBucketVersioning::Output();
}

Task<Result<model::GetBucketVersioning::Output>> S3Service::GetBucketVersioning(
    aws::RequestContext& context, model::GetBucketVersioning::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::GetBucketVersioning::Output output;
    switch (bucket->record.versioning) {
        case Versioning::kNever:
            break;
        case Versioning::kEnabled:
            output.status = "Enabled";
            break;
        case Versioning::kSuspended:
            output.status = "Suspended";
            break;
    }
    co_return output;
}

}  // namespace hearth::s3
