#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_validation.h"
#include "services/s3/s3_keys.h"
#include "services/s3/value_or_empty.h"

namespace hearth::s3 {
namespace {

constexpr std::string_view kAllSizes = "all_storage_classes_128K";
// Of ids that S3 makes up.
constexpr size_t kRuleIdLength = 48;
constexpr std::string_view kVaries = "varies_by_storage_class";

}  // namespace

Task<Result<model::PutBucketLifecycleConfiguration::Output>>
ControlOperations::PutBucketLifecycleConfiguration(
    aws::RequestContext& context, model::PutBucketLifecycleConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.lifecycle_configuration || !input.lifecycle_configuration->rules) {
        co_return errors::MalformedXml();
    }
    const std::string minimum =
        input.transition_default_minimum_object_size.value_or(std::string(kAllSizes));
    if (minimum != kAllSizes && minimum != kVaries) {
        co_return errors::InvalidArgument(
            "Invalid transition default minimum object size",
            "x-amz-transition-default-minimum-object-size",
            minimum);
    }
    HEARTH_CO_RETURN_IF_ERROR(CheckLifecycle(*input.lifecycle_configuration->rules));
    for (model::LifecycleRule& rule : *input.lifecycle_configuration->rules) {
        if (!rule.id || rule.id->empty()) {
            rule.id = deps_.random.Text(
                kRuleIdLength, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
        }
    }
    const std::string record =
        EncodeSetting(model::PutBucketLifecycleConfiguration::Descriptor(), &input);
    CloudClock::time_point due;
    const S3Store::Change change = [&](storage::Transaction& transaction,
                                       BucketRecord& known) -> Task<Status> {
        transaction.Put(keys::Setting(known, setting::kLifecycle), record);
        transaction.Put(keys::Setting(known, setting::kLifecycleMinimum), minimum);
        HEARTH_CO_TRY(due, co_await lifecycle_.ScheduleIn(transaction, known));
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.ChangeBucket(bucket->record, change));
    lifecycle_.Arm(due);
    model::PutBucketLifecycleConfiguration::Output output;
    output.transition_default_minimum_object_size = minimum;
    co_return output;
}

Task<Result<model::GetBucketLifecycleConfiguration::Output>>
ControlOperations::GetBucketLifecycleConfiguration(
    aws::RequestContext& context, model::GetBucketLifecycleConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(
        auto put, Read<model::PutBucketLifecycleConfiguration>(*bucket, setting::kLifecycle));
    if (!put || !put->lifecycle_configuration) {
        co_return errors::NoSuchLifecycleConfiguration(bucket->record.name);
    }
    const std::string* minimum = bucket->Setting(setting::kLifecycleMinimum);
    model::GetBucketLifecycleConfiguration::Output output;
    output.rules = std::move(put->lifecycle_configuration->rules);
    output.transition_default_minimum_object_size =
        minimum != nullptr ? *minimum : std::string(kAllSizes);
    co_return output;
}

Task<Result<model::DeleteBucketLifecycle::Output>> ControlOperations::DeleteBucketLifecycle(
    aws::RequestContext& context, model::DeleteBucketLifecycle::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kLifecycle), std::nullopt));
    co_return model::DeleteBucketLifecycle::Output();
}

}  // namespace hearth::s3
