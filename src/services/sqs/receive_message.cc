#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/message_checks.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hearth::sqs {
namespace {

constexpr std::array<std::string_view, 9> kSystemAttributes = {
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn"};

// Which system attributes the receiver wants.
struct SystemNames {
    bool all = false;
    std::vector<std::string> names;

    Status Add(std::optional<std::vector<std::string>> more) {
        for (std::string& name : more.value_or(std::vector<std::string>())) {
            if (name == "All") {
                all = true;
            } else if (std::ranges::find(kSystemAttributes, name) != kSystemAttributes.end()) {
                names.push_back(std::move(name));
            } else {
                return errors::InvalidAttributeName(
                    fmt::format("Unknown Attribute {}.", name.substr(0, 256)));
            }
        }
        return {};
    }

    bool Want(const std::string& name) const {
        return all || std::ranges::find(names, name) != names.end();
    }
};

// "All" and ".*" want every attribute, "bar.*" those that begin with "bar".
bool Wants(const std::vector<std::string>& patterns, std::string_view name) {
    return std::ranges::any_of(patterns, [&](std::string_view pattern) {
        if (pattern == "All" || pattern == name) {
            return true;
        }
        return pattern.ends_with(".*") && name.starts_with(pattern.substr(0, pattern.size() - 2));
    });
}

Status CheckRange(
    std::string_view parameter,
    const std::optional<int32_t>& value,
    int32_t min,
    int32_t max,
    std::string_view reason) {
    if (value && (*value < min || *value > max)) {
        return errors::InvalidValueOf(parameter, fmt::to_string(*value), reason);
    }
    return {};
}

Status CheckRequest(const model::ReceiveMessage::Input& input) {
    HEARTH_RETURN_IF_ERROR(CheckRange(
        "MaxNumberOfMessages",
        input.max_number_of_messages,
        1,
        kReceiveMax,
        "Must be between 1 and 10, if provided."));
    HEARTH_RETURN_IF_ERROR(CheckRange(
        "WaitTimeSeconds",
        input.wait_time_seconds,
        0,
        kWaitMax_s,
        "Must be >= 0 and <= 20, if provided."));
    return CheckRange(
        "VisibilityTimeout",
        input.visibility_timeout,
        0,
        kVisibilityMax_s,
        "Must be between 0 and 43200, if provided.");
}

model::Message Show(
    MessageQueues::Message message,
    const SystemNames& system_names,
    const std::vector<std::string>& patterns) {
    model::Message shown;
    shown.message_id = std::move(message.message_id);
    shown.receipt_handle = std::move(message.receipt_handle);
    shown.md5_of_body = std::move(message.body_md5);
    shown.body = std::move(message.body);
    if (system_names.all) {
        shown.attributes = std::move(message.system_attributes);
    } else if (!system_names.names.empty()) {
        auto& some = shown.attributes.emplace();
        for (auto& [name, value] : message.system_attributes) {
            if (system_names.Want(name)) {
                some.emplace_hint(some.end(), name, std::move(value));
            }
        }
    }
    if (shown.attributes && shown.attributes->empty()) {
        shown.attributes.reset();
    }
    if (message.attributes.empty() || patterns.empty()) {
        return shown;
    }
    const size_t all = message.attributes.size();
    std::erase_if(
        message.attributes, [&](const auto& item) { return !Wants(patterns, item.first); });
    if (message.attributes.empty()) {
        return shown;
    }
    // The sum is of what is shown, so that the receiver can compare it.
    shown.md5_of_message_attributes = message.attributes.size() == all
                                          ? std::move(message.attributes_md5)
                                          : AttributesMd5(message.attributes);
    auto& attributes = shown.message_attributes.emplace();
    for (auto& [name, value] : message.attributes) {
        model::MessageAttributeValue& item = attributes[name];
        (value.is_binary() ? item.binary_value : item.string_value) = std::move(value.value);
        item.data_type = std::move(value.data_type);
    }
    return shown;
}

}  // namespace

Task<Result<model::ReceiveMessage::Output>> SqsService::ReceiveMessage(
    aws::RequestContext& context, model::ReceiveMessage::Input input) {
    HEARTH_CO_TRY(
        const Found found, co_await FindQueue(context, input.queue_url, "ReceiveMessage"));
    HEARTH_CO_RETURN_IF_ERROR(CheckRequest(input));
    SystemNames system_names;
    HEARTH_CO_RETURN_IF_ERROR(system_names.Add(std::move(input.attribute_names)));
    HEARTH_CO_RETURN_IF_ERROR(system_names.Add(std::move(input.message_system_attribute_names)));
    const auto patterns =
        std::move(input.message_attribute_names).value_or(std::vector<std::string>());

    ReceiveRequest request;
    request.max = input.max_number_of_messages.value_or(1);
    if (input.visibility_timeout) {
        request.visibility = std::chrono::seconds(*input.visibility_timeout);
    }
    request.wait = input.wait_time_seconds ? std::chrono::seconds(*input.wait_time_seconds)
                                           : found.record->settings.receive_wait;
    if (input.receive_request_attempt_id && found.record->settings.fifo) {
        HEARTH_CO_RETURN_IF_ERROR(
            CheckToken("ReceiveRequestAttemptId", *input.receive_request_attempt_id));
        request.attempt_id = *std::move(input.receive_request_attempt_id);
    }
    HEARTH_CO_TRY(auto received, co_await engine_->Receive(found.address, std::move(request)));

    model::ReceiveMessage::Output output;
    if (!received.empty()) {
        auto& messages = output.messages.emplace();
        messages.reserve(received.size());
        for (MessageQueues::Message& message : received) {
            messages.push_back(Show(std::move(message), system_names, patterns));
        }
    }
    co_return output;
}

}  // namespace hearth::sqs
