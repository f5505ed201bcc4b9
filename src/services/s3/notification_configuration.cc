#include "base/random.h"
#include "codec/base64/base64.h"
#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

// The configuration of a bucket's notifications: checked as AWS does, compiled by
// notification_rules.cc. Queues and functions are sent to; topics and EventBridge, which Hearth
// does not have yet, are refused, or with --lenient kept and named as ignored.
// Source: S3 API Reference, "PutBucketNotificationConfiguration"; User Guide, "Configuring event
// notifications using object key name filtering"; 2026-11.
namespace hearth::s3 {
namespace {

constexpr size_t kNotificationsMax = 100;
constexpr size_t kFilterValueBytesMax = 1'024;
constexpr size_t kIdBytesMax = 255;
constexpr std::string_view kIgnoredHeader = "x-hearth-ignored";

std::string LowerCase(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

// Checks a filter and writes names as AWS tells them: "Prefix", "Suffix".
Status NormaliseFilter(std::optional<model::NotificationConfigurationFilter>& filter) {
    if (!filter || !filter->key || !filter->key->filter_rules) {
        return Status();
    }
    std::set<std::string> seen;
    for (model::FilterRule& rule : *filter->key->filter_rules) {
        if (!rule.name || !rule.value) {
            return errors::MalformedXml();
        }
        const std::string name = LowerCase(*rule.name);
        if (name != "prefix" && name != "suffix") {
            return errors::InvalidArgument(
                "filter rule name must be either prefix or suffix", "FilterRule.Name", *rule.name);
        }
        if (!seen.insert(name).second) {
            return errors::InvalidArgument(
                fmt::format("Cannot specify more than one {} rule in a filter.", name),
                "FilterRule.Name",
                name);
        }
        if (rule.value->size() > kFilterValueBytesMax) {
            return errors::InvalidArgument(
                "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
                "FilterRule.Value",
                *rule.value);
        }
        rule.name = name == "prefix" ? "Prefix" : "Suffix";
    }
    return Status();
}

// What all configurations of one Put share while they are checked.
struct Checked {
    const BucketRecord& bucket;
    Random& random;
    std::set<std::string> ids;
};

// One destination; `service` is what its ARN must be of, `member` how errors call it.
template <class Configuration>
Status CheckOne(
    Checked& checked,
    Configuration& configuration,
    const std::optional<std::string>& arn,
    std::string_view service,
    std::string_view member) {
    if (!arn || !configuration.events || configuration.events->empty()) {
        return errors::MalformedXml();
    }
    const std::string start = fmt::format("arn:aws:{}:", service);
    if (!arn->starts_with(start)) {
        return errors::InvalidArgument("The ARN could not be parsed", member, *arn);
    }
    const std::string_view rest = std::string_view(*arn).substr(start.size());
    const std::string_view region = rest.substr(0, rest.find(':'));
    if (region != checked.bucket.region.text()) {
        return errors::InvalidArgument(
            "The notification destination service region is not valid for the bucket location "
            "constraint",
            member,
            *arn);
    }
    for (const std::string& event : *configuration.events) {
        if (!ParseNotificationEvents(event)) {
            return errors::InvalidArgument(
                fmt::format("The event '{}' is not supported for notifications", event),
                "Event",
                event);
        }
    }
    HEARTH_RETURN_IF_ERROR(NormaliseFilter(configuration.filter));
    if (!configuration.id || configuration.id->empty()) {
        // As AWS: a UUID in base64.
        configuration.id = codec::Base64Encode(checked.random.Uuid());
    }
    // Each event carries it.
    if (configuration.id->size() > kIdBytesMax) {
        return errors::InvalidArgument(
            "ID length should not exceed allowed limit of 255", "Id", *configuration.id);
    }
    if (!checked.ids.insert(*configuration.id).second) {
        return errors::InvalidArgument(
            "Same ID used for multiple configurations. IDs must be unique",
            "Id",
            *configuration.id);
    }
    return Status();
}

Status CheckAll(Checked checked, model::NotificationConfiguration& wanted) {
    size_t count = 0;
    if (wanted.topic_configurations) {
        count += wanted.topic_configurations->size();
        for (auto& topic : *wanted.topic_configurations) {
            HEARTH_RETURN_IF_ERROR(CheckOne(checked, topic, topic.topic_arn, "sns", "Topic"));
        }
    }
    if (wanted.queue_configurations) {
        count += wanted.queue_configurations->size();
        for (auto& queue : *wanted.queue_configurations) {
            HEARTH_RETURN_IF_ERROR(CheckOne(checked, queue, queue.queue_arn, "sqs", "Queue"));
        }
    }
    if (wanted.lambda_function_configurations) {
        count += wanted.lambda_function_configurations->size();
        for (auto& function : *wanted.lambda_function_configurations) {
            HEARTH_RETURN_IF_ERROR(CheckOne(
                checked, function, function.lambda_function_arn, "lambda", "CloudFunction"));
        }
    }
    if (count > kNotificationsMax) {
        return errors::InvalidRequest(
            "The number of notification configurations must be no greater than 100");
    }
    return Status();
}

bool IsQueue(std::string_view arn) {
    return arn.starts_with("arn:aws:sqs:");
}

// AWS's words for what is wrong with a destination.
std::string WhyNot(const Error& error, const std::string& arn) {
    const bool queue = IsQueue(arn);
    switch (error.kind()) {
        case Error::Kind::kNotFound:
            return queue ? "The destination queue does not exist"
                         : "The destination Lambda does not exist";
        case Error::Kind::kDenied:
            return queue ? "Permissions on the destination queue do not allow S3 to publish "
                           "notifications from this bucket"
                         : fmt::format("Not authorized to invoke function [{}]", arn);
        default:
            return error.message();
    }
}

}  // namespace

Task<Status> ControlOperations::ValidateDestinations(
    const BucketState& bucket, const NotificationRules& rules, aws::RequestContext& context) {
    std::set<std::string> destinations;
    for (const NotificationRule& rule : rules.all()) {
        destinations.insert(rule.destination_arn);
    }
    Error refused(
        Error::Kind::kInvalid,
        "InvalidArgument",
        "Unable to validate the following destination configurations",
        400);
    int count = 0;
    const auto refuse = [&](const std::string& arn, const std::string& why) {
        ++count;
        // In place; it returns the error itself.
        static_cast<void>(std::move(refused)
                              .WithField(fmt::format("ArgumentName{}", count), arn)
                              .WithField(fmt::format("ArgumentValue{}", count), why));
    };
    for (const std::string& arn : destinations) {
        if (IsQueue(arn) && arn.ends_with(".fifo")) {
            refuse(arn, "FIFO SQS queues are not supported as destinations");
            continue;
        }
        const Status checked = co_await notifications_.Check(bucket.record, arn);
        if (!checked.ok()) {
            refuse(arn, WhyNot(checked.error(), arn));
        }
    }
    if (count > 0) {
        co_return refused;
    }
    for (const std::string& arn : destinations) {
        if (!IsQueue(arn)) {
            continue;
        }
        const Status sent = co_await notifications_.SendTest(bucket.record, arn, context);
        if (!sent.ok()) {
            refuse(arn, WhyNot(sent.error(), arn));
            co_return refused;
        }
    }
    co_return Status();
}

Task<Result<model::PutBucketNotificationConfiguration::Output>>
ControlOperations::PutBucketNotificationConfiguration(
    aws::RequestContext& context, model::PutBucketNotificationConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.notification_configuration) {
        co_return errors::MalformedXml();
    }
    model::NotificationConfiguration& wanted = *input.notification_configuration;
    const bool topics = !ValueOrEmpty(wanted.topic_configurations).empty();
    const bool event_bridge = wanted.event_bridge_configuration.has_value();
    HEARTH_CO_RETURN_IF_ERROR(
        CheckAll({.bucket = bucket->record, .random = deps_.random, .ids = {}}, wanted));
    if ((topics || event_bridge) && !deps_.options.lenient) {
        co_return errors::NotImplemented(
            fmt::format(
                "Notifications to {} are not implemented. With --lenient the configuration is kept "
                "and nothing is sent there.",
                topics ? "SNS topics" : "EventBridge"),
            topics ? "TopicConfiguration" : "EventBridgeConfiguration");
    }
    const NotificationRules rules = CompileNotifications(wanted);
    HEARTH_CO_RETURN_IF_ERROR(CheckOverlaps(rules.all()));
    if (!input.skip_destination_validation.value_or(false)) {
        HEARTH_CO_RETURN_IF_ERROR(co_await ValidateDestinations(*bucket, rules, context));
    }
    std::optional<std::string> record;
    if (!rules.all().empty() || topics || event_bridge) {
        record = EncodeSetting(model::PutBucketNotificationConfiguration::Descriptor(), &input);
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kNotification), std::move(record)));
    if (topics) {
        context.response_headers.emplace_back(kIgnoredHeader, "TopicConfiguration");
    }
    if (event_bridge) {
        context.response_headers.emplace_back(kIgnoredHeader, "EventBridgeConfiguration");
    }
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
