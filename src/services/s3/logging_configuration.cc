#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

namespace hearth::s3 {

Task<Result<model::PutBucketLogging::Output>> ControlOperations::PutBucketLogging(
    aws::RequestContext& context, model::PutBucketLogging::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.bucket_logging_status) {
        co_return errors::MalformedXml();
    }
    std::optional<std::string> record;
    if (input.bucket_logging_status->logging_enabled) {
        const model::LoggingEnabled& logging = *input.bucket_logging_status->logging_enabled;
        if (!logging.target_bucket || !logging.target_prefix) {
            co_return errors::MalformedXml();
        }
        const auto target = co_await store_.FindBucket(*logging.target_bucket);
        if (!target.ok() && target.error().code() != "NoSuchBucket") {
            co_return target.error();
        }
        if (!target.ok()) {
            co_return errors::InvalidTargetBucketForLogging(
                "The target bucket for logging does not exist", *logging.target_bucket);
        }
        if ((*target)->record.account != bucket->record.account) {
            co_return errors::InvalidTargetBucketForLogging(
                "The owner for the bucket to be logged and the target bucket must be the same.",
                *logging.target_bucket);
        }
        if ((*target)->record.region != bucket->record.region) {
            co_return Error(
                Error::Kind::kDenied,
                "CrossLocationLoggingProhibitted",
                "Cross S3 location logging not allowed. ",
                403)
                .WithField("TargetBucketLocation", (*target)->record.region.text());
        }
        if (!ValueOrEmpty(logging.target_grants).empty() && !(*target)->compiled.acls_enabled()) {
            co_return errors::InvalidTargetBucketForLogging(
                "Target grants cannot be used: the target bucket has Object Ownership set to "
                "bucket owner enforced.",
                *logging.target_bucket);
        }
        record = EncodeSetting(model::PutBucketLogging::Descriptor(), &input);
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kLogging), std::move(record)));
    co_return model::PutBucketLogging::Output();
}

Task<Result<model::GetBucketLogging::Output>> ControlOperations::GetBucketLogging(
    aws::RequestContext& context, model::GetBucketLogging::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto put, Read<model::PutBucketLogging>(*bucket, setting::kLogging));
    model::GetBucketLogging::Output output;
    if (put && put->bucket_logging_status) {
        output.logging_enabled = std::move(put->bucket_logging_status->logging_enabled);
    }
    co_return output;
}

}  // namespace hearth::s3
