#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <fmt/format.h>

#include <algorithm>

// Notifications: nothing is sent yet. An empty configuration is what every bucket has; another one
// is refused, or with --lenient checked, kept and named as ignored.
namespace hearth::s3 {
namespace {

constexpr size_t kNotificationsMax = 100;

// Of one destination; `arn` is where to, `service` what it must be of.
Status CheckDestination(
    const std::optional<std::string>& arn,
    std::string_view service,
    const std::optional<std::vector<std::string>>& events,
    const std::optional<model::NotificationConfigurationFilter>& filter) {
    if (!arn || !events || events->empty()) {
        return errors::MalformedXml();
    }
    if (!arn->starts_with(fmt::format("arn:aws:{}:", service))) {
        return errors::InvalidArgument("The ARN could not be parsed", "Arn", *arn);
    }
    for (const std::string& event : *events) {
        if (!event.starts_with("s3:")) {
            return errors::InvalidArgument(
                fmt::format("The event '{}' is not supported for notifications", event),
                "Event",
                event);
        }
    }
    if (filter && filter->key) {
        for (const model::FilterRule& rule : ValueOrEmpty(filter->key->filter_rules)) {
            std::string name = ValueOrEmpty(rule.name);
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
            if (name != "prefix" && name != "suffix") {
                return errors::InvalidArgument(
                    "filter rule name must be either prefix or suffix",
                    "FilterRule.Name",
                    ValueOrEmpty(rule.name));
            }
        }
    }
    return Status();
}

}  // namespace

Task<Result<model::PutBucketNotificationConfiguration::Output>>
ControlOperations::PutBucketNotificationConfiguration(
    aws::RequestContext& context, model::PutBucketNotificationConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.notification_configuration) {
        co_return errors::MalformedXml();
    }
    model::NotificationConfiguration& wanted = *input.notification_configuration;
    const auto topics = ValueOrEmpty(wanted.topic_configurations);
    const auto queues = ValueOrEmpty(wanted.queue_configurations);
    const auto functions = ValueOrEmpty(wanted.lambda_function_configurations);
    const size_t count = topics.size() + queues.size() + functions.size();
    std::optional<std::string> record;
    if (count > 0 || wanted.event_bridge_configuration) {
        if (!deps_.options.lenient) {
            co_return errors::NotImplemented(
                "Notifications of buckets are not implemented. With --lenient the configuration is "
                "kept and nothing is sent.",
                "NotificationConfiguration");
        }
        if (count > kNotificationsMax) {
            co_return errors::InvalidRequest(
                "The number of notification configurations must be no greater than 100");
        }
        for (const auto& topic : topics) {
            HEARTH_CO_RETURN_IF_ERROR(
                CheckDestination(topic.topic_arn, "sns", topic.events, topic.filter));
        }
        for (const auto& queue : queues) {
            HEARTH_CO_RETURN_IF_ERROR(
                CheckDestination(queue.queue_arn, "sqs", queue.events, queue.filter));
        }
        for (const auto& function : functions) {
            HEARTH_CO_RETURN_IF_ERROR(CheckDestination(
                function.lambda_function_arn, "lambda", function.events, function.filter));
        }
        record = EncodeSetting(model::PutBucketNotificationConfiguration::Descriptor(), &input);
        context.response_headers.emplace_back("x-hearth-ignored", "NotificationConfiguration");
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kNotification), std::move(record)));
    co_return model::PutBucketNotificationConfiguration::Output();
}

Task<Result<model::GetBucketNotificationConfiguration::Output>>
ControlOperations::GetBucketNotificationConfiguration(
    aws::RequestContext& context, model::GetBucketNotificationConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(
        auto put, Read<model::PutBucketNotificationConfiguration>(*bucket, setting::kNotification));
    model::GetBucketNotificationConfiguration::Output output;
    if (put && put->notification_configuration) {
        auto& kept = *put->notification_configuration;
        output.topic_configurations = std::move(kept.topic_configurations);
        output.queue_configurations = std::move(kept.queue_configurations);
        output.lambda_function_configurations = std::move(kept.lambda_function_configurations);
        output.event_bridge_configuration = std::move(kept.event_bridge_configuration);
    }
    co_return output;
}

}  // namespace hearth::s3
