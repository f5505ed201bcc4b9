#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"

// What Hearth does not have, asked for by tools that look at everything a bucket can have: they are
// told that nothing is configured, and a configuration that would have to do something is refused.
namespace hearth::s3 {

Task<Result<model::PutBucketRequestPayment::Output>> ControlOperations::PutBucketRequestPayment(
    aws::RequestContext& context, model::PutBucketRequestPayment::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.request_payment_configuration ||
        (input.request_payment_configuration->payer != "BucketOwner" &&
         input.request_payment_configuration->payer != "Requester")) {
        co_return errors::MalformedXml();
    }
    if (input.request_payment_configuration->payer == "Requester") {
        co_return errors::NotImplemented("Requester Pays is not implemented.", "Payer");
    }
    co_return model::PutBucketRequestPayment::Output();
}

Task<Result<model::GetBucketRequestPayment::Output>> ControlOperations::GetBucketRequestPayment(
    aws::RequestContext& context, model::GetBucketRequestPayment::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::GetBucketRequestPayment::Output output;
    output.payer = "BucketOwner";
    co_return output;
}

Task<Result<model::PutBucketAccelerateConfiguration::Output>>
ControlOperations::PutBucketAccelerateConfiguration(
    aws::RequestContext& context, model::PutBucketAccelerateConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.accelerate_configuration ||
        (input.accelerate_configuration->status != "Enabled" &&
         input.accelerate_configuration->status != "Suspended")) {
        co_return errors::MalformedXml();
    }
    if (bucket->record.name.find('.') != std::string::npos) {
        co_return errors::InvalidRequest(
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their "
            "names");
    }
    if (input.accelerate_configuration->status == "Enabled") {
        if (!deps_.options.lenient) {
            co_return errors::NotImplemented(
                "Transfer Acceleration is not implemented. With --lenient it is kept and ignored.",
                "Status");
        }
        context.response_headers.emplace_back("x-hearth-ignored", "AccelerateConfiguration");
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kAccelerate),
        EncodeSetting(model::PutBucketAccelerateConfiguration::Descriptor(), &input)));
    co_return model::PutBucketAccelerateConfiguration::Output();
}

Task<Result<model::GetBucketAccelerateConfiguration::Output>>
ControlOperations::GetBucketAccelerateConfiguration(
    aws::RequestContext& context, model::GetBucketAccelerateConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(
        auto put, Read<model::PutBucketAccelerateConfiguration>(*bucket, setting::kAccelerate));
    model::GetBucketAccelerateConfiguration::Output output;
    if (put && put->accelerate_configuration) {
        output.status = std::move(put->accelerate_configuration->status);
    }
    co_return output;
}

Task<Result<model::GetBucketReplication::Output>> ControlOperations::GetBucketReplication(
    aws::RequestContext& context, model::GetBucketReplication::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    co_return errors::ReplicationConfigurationNotFound(bucket->record.name);
}

Task<Result<model::DeleteBucketReplication::Output>> ControlOperations::DeleteBucketReplication(
    aws::RequestContext& context, model::DeleteBucketReplication::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    co_return model::DeleteBucketReplication::Output();
}

Task<Result<model::ListBucketAnalyticsConfigurations::Output>>
ControlOperations::ListBucketAnalyticsConfigurations(
    aws::RequestContext& context, model::ListBucketAnalyticsConfigurations::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::ListBucketAnalyticsConfigurations::Output output;
    output.is_truncated = false;
    co_return output;
}

Task<Result<model::ListBucketInventoryConfigurations::Output>>
ControlOperations::ListBucketInventoryConfigurations(
    aws::RequestContext& context, model::ListBucketInventoryConfigurations::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::ListBucketInventoryConfigurations::Output output;
    output.is_truncated = false;
    co_return output;
}

Task<Result<model::ListBucketMetricsConfigurations::Output>>
ControlOperations::ListBucketMetricsConfigurations(
    aws::RequestContext& context, model::ListBucketMetricsConfigurations::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::ListBucketMetricsConfigurations::Output output;
    output.is_truncated = false;
    co_return output;
}

}  // namespace hearth::s3
