#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/object_lock.h"
#include "services/s3/value_or_empty.h"

// Object lock: the bucket's rule, and what protects single versions.
namespace hearth::s3 {
namespace {

constexpr int32_t kDaysMax = 36'500;
constexpr int32_t kYearsMax = 100;

Status CheckLockConfiguration(const std::optional<model::ObjectLockConfiguration>& configuration) {
    if (!configuration || configuration->object_lock_enabled != "Enabled") {
        return errors::MalformedXml();
    }
    if (!configuration->rule) {
        return Status();
    }
    if (!configuration->rule->default_retention) {
        return errors::MalformedXml();
    }
    const model::DefaultRetention& retention = *configuration->rule->default_retention;
    if ((retention.mode != kGovernance && retention.mode != kCompliance) ||
        retention.days.has_value() == retention.years.has_value()) {
        return errors::MalformedXml();
    }
    const int32_t length = retention.days.value_or(retention.years.value_or(0));
    if (length <= 0) {
        return errors::InvalidArgument(
            "Default retention period must be a positive integer value.",
            retention.days ? "Days" : "Years",
            std::to_string(length));
    }
    if (length > (retention.days ? kDaysMax : kYearsMax)) {
        return errors::InvalidArgument(
            "Default retention period too large.",
            retention.days ? "Days" : "Years",
            std::to_string(length));
    }
    return Status();
}

}  // namespace

Task<Result<model::PutObjectLockConfiguration::Output>>
ControlOperations::PutObjectLockConfiguration(
    aws::RequestContext& context, model::PutObjectLockConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(CheckLockConfiguration(input.object_lock_configuration));
    const auto check = [](BucketRecord& record) -> Status {
        if (record.versioning != Versioning::kEnabled) {
            return errors::InvalidBucketState(
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration");
        }
        record.object_lock = true;
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kObjectLock),
        EncodeSetting(model::PutObjectLockConfiguration::Descriptor(), &input),
        check));
    co_return model::PutObjectLockConfiguration::Output();
}

Task<Result<model::GetObjectLockConfiguration::Output>>
ControlOperations::GetObjectLockConfiguration(
    aws::RequestContext& context, model::GetObjectLockConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!bucket->record.object_lock) {
        co_return errors::ObjectLockConfigurationNotFound(bucket->record.name);
    }
    HEARTH_CO_TRY(auto put, Read<model::PutObjectLockConfiguration>(*bucket, setting::kObjectLock));
    model::GetObjectLockConfiguration::Output output;
    if (put && put->object_lock_configuration) {
        output.object_lock_configuration = std::move(put->object_lock_configuration);
    } else {
        output.object_lock_configuration.emplace();
        output.object_lock_configuration->object_lock_enabled = "Enabled";
    }
    co_return output;
}

Task<Result<model::PutObjectRetention::Output>> ControlOperations::PutObjectRetention(
    aws::RequestContext& context, model::PutObjectRetention::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!bucket->record.object_lock) {
        co_return errors::MissingObjectLock();
    }
    Retention wanted;
    if (input.retention) {
        const model::ObjectLockRetention& retention = *input.retention;
        // Both take a retention away when they are left out.
        if (retention.mode.has_value() != retention.retain_until_date.has_value() ||
            (retention.mode && *retention.mode != kGovernance && *retention.mode != kCompliance)) {
            co_return errors::MalformedXml();
        }
        if (retention.mode) {
            wanted = {*retention.mode, *retention.retain_until_date};
        }
    }
    const bool bypass = input.bypass_governance_retention.value_or(false);
    const CloudClock::time_point now = deps_.cloud_clock.Now();
    const auto change = [&](ObjectRecord& record) -> Status {
        HEARTH_RETURN_IF_ERROR(MayChangeRetention(record.retention, wanted, bypass, now));
        record.retention = wanted;
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateObject(
        bucket->record,
        ValueOrEmpty(input.key),
        input.version_id,
        change,
        &context.response_headers));
    co_return model::PutObjectRetention::Output();
}

Task<Result<model::GetObjectRetention::Output>> ControlOperations::GetObjectRetention(
    aws::RequestContext& context, model::GetObjectRetention::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!bucket->record.object_lock) {
        co_return errors::MissingObjectLock();
    }
    const std::string key = ValueOrEmpty(input.key);
    HEARTH_CO_TRY(
        const auto found,
        co_await store_.FindObject(
            bucket->record, key, input.version_id, &context.response_headers));
    if (found.record.retention.mode.empty()) {
        co_return errors::NoSuchObjectLockConfiguration();
    }
    model::GetObjectRetention::Output output;
    output.retention.emplace();
    output.retention->mode = found.record.retention.mode;
    output.retention->retain_until_date = found.record.retention.until;
    co_return output;
}

Task<Result<model::PutObjectLegalHold::Output>> ControlOperations::PutObjectLegalHold(
    aws::RequestContext& context, model::PutObjectLegalHold::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!bucket->record.object_lock) {
        co_return errors::MissingObjectLock();
    }
    if (!input.legal_hold ||
        (input.legal_hold->status != "ON" && input.legal_hold->status != "OFF")) {
        co_return errors::MalformedXml();
    }
    const bool hold = input.legal_hold->status == "ON";
    const auto change = [hold](ObjectRecord& record) -> Status {
        record.legal_hold = hold;
        record.legal_hold_known = true;
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateObject(
        bucket->record,
        ValueOrEmpty(input.key),
        input.version_id,
        change,
        &context.response_headers));
    co_return model::PutObjectLegalHold::Output();
}

Task<Result<model::GetObjectLegalHold::Output>> ControlOperations::GetObjectLegalHold(
    aws::RequestContext& context, model::GetObjectLegalHold::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!bucket->record.object_lock) {
        co_return errors::MissingObjectLock();
    }
    const std::string key = ValueOrEmpty(input.key);
    HEARTH_CO_TRY(
        const auto found,
        co_await store_.FindObject(
            bucket->record, key, input.version_id, &context.response_headers));
    if (!found.record.legal_hold && !found.record.legal_hold_known) {
        co_return errors::NoSuchObjectLockConfiguration();
    }
    model::GetObjectLegalHold::Output output;
    output.legal_hold.emplace();
    output.legal_hold->status = found.record.legal_hold ? "ON" : "OFF";
    co_return output;
}

}  // namespace hearth::s3
