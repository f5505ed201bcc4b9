#include "base/check.h"
#include "codec/crypto/crypto.h"
#include "services/lineage.h"
#include "services/sqs/attribute_values.h"
#include "services/sqs/batches.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/message_checks.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {
namespace {

// A message as the engine takes it, and what the answer says of it besides.
struct Prepared {
    OutgoingMessage message;
    std::string system_attributes_md5;
};

constexpr std::string_view kNotOfThisType =
    "The request include parameter that is not valid for this queue type.";

Status CheckFifo(
    const QueueSettings& settings,
    const std::optional<std::string>& group_id,
    const std::optional<std::string>& deduplication_id) {
    if (!group_id || group_id->empty()) {
        return errors::MissingParameter("MessageGroupId");
    }
    HEARTH_RETURN_IF_ERROR(CheckToken("MessageGroupId", *group_id));
    if (deduplication_id) {
        return CheckToken("MessageDeduplicationId", *deduplication_id);
    }
    if (!settings.content_based_deduplication) {
        return errors::InvalidParameterValue(
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly");
    }
    return {};
}

Status CheckStandard(
    const std::optional<std::string>& group_id,
    const std::optional<std::string>& deduplication_id) {
    if (deduplication_id) {
        return errors::InvalidValueOf(
            "MessageDeduplicationId", deduplication_id->substr(0, 256), kNotOfThisType);
    }
    return group_id ? CheckToken("MessageGroupId", *group_id) : Status();
}

Status CheckDelay(bool fifo, const std::optional<int32_t>& delay_s) {
    if (!delay_s) {
        return {};
    }
    if (*delay_s < 0 || *delay_s > kDelayMax_s) {
        return errors::InvalidValueOf(
            "DelaySeconds",
            fmt::to_string(*delay_s),
            fmt::format("DelaySeconds must be >= 0 and <= {}.", kDelayMax_s));
    }
    if (fifo && *delay_s != 0) {
        return errors::InvalidValueOf("DelaySeconds", fmt::to_string(*delay_s), kNotOfThisType);
    }
    return {};
}

// `Entry`: SendMessageRequest or an entry of a batch, which have the same members.
template <class Entry>
Result<Prepared> Prepare(
    const aws::RequestContext& context, const QueueRecord& record, Entry& entry) {
    const QueueSettings& settings = record.settings;
    HEARTH_RETURN_IF_ERROR(CheckBody(entry.message_body));
    HEARTH_RETURN_IF_ERROR(CheckDelay(settings.fifo, entry.delay_seconds));
    HEARTH_RETURN_IF_ERROR(
        settings.fifo ? CheckFifo(settings, entry.message_group_id, entry.message_deduplication_id)
                      : CheckStandard(entry.message_group_id, entry.message_deduplication_id));
    Prepared prepared;
    OutgoingMessage& message = prepared.message;
    if (entry.message_attributes) {
        HEARTH_TRY(message.attributes, TakeAttributes(*std::move(entry.message_attributes)));
        message.attributes_md5 = AttributesMd5(message.attributes);
    }
    if (entry.message_system_attributes) {
        HEARTH_TRY(
            SystemAttributes system,
            TakeSystemAttributes(*std::move(entry.message_system_attributes)));
        message.trace_header = std::move(system.trace_header);
        prepared.system_attributes_md5 = std::move(system.md5);
    }
    if (!context.calling_function_arn.empty()) {
        // So that a function which calls itself through a queue is found.
        const std::string* trace = context.Header("x-amzn-trace-id");
        if (trace != nullptr && message.trace_header.empty()) {
            message.trace_header = *trace;
        }
        BeginLineage(message.trace_header, context.calling_function_arn);
    }
    const size_t bytes_max = MaximumMessageSize(record);
    if (entry.message_body->size() + BytesOf(message.attributes) > bytes_max) {
        return errors::InvalidParameterValue(fmt::format(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            bytes_max));
    }
    message.body = *std::move(entry.message_body);
    message.body_md5 = codec::Md5Hex(message.body);
    message.sender_id = context.caller.user_id;
    message.group_id = std::move(entry.message_group_id);
    message.deduplication_id = std::move(entry.message_deduplication_id);
    if (entry.delay_seconds && !settings.fifo) {
        message.delay = std::chrono::seconds(*entry.delay_seconds);
    }
    return prepared;
}

template <class Entry>
size_t BytesSent(const Entry& entry) {
    size_t bytes = entry.message_body ? entry.message_body->size() : 0;
    if (entry.message_attributes) {
        for (const auto& [name, value] : *entry.message_attributes) {
            bytes += name.size() + value.data_type.value_or("").size() +
                     (value.string_value ? value.string_value->size() : 0) +
                     (value.binary_value ? value.binary_value->size() : 0);
        }
    }
    return bytes;
}

// What the answer says of a message; kept apart because the engine takes the message itself.
struct CheckSums {
    std::string body;
    std::string attributes;
    std::string system_attributes;

    explicit CheckSums(const Prepared& prepared)
        : body(prepared.message.body_md5),
          attributes(prepared.message.attributes_md5),
          system_attributes(prepared.system_attributes_md5) {}
};

// `Answer`: SendMessageResult or a successful entry of a batch.
template <class Answer>
void Fill(Answer& answer, CheckSums sums, SentMessage sent) {
    answer.message_id = std::move(sent.message_id);
    answer.md5_of_message_body = std::move(sums.body);
    if (!sums.attributes.empty()) {
        answer.md5_of_message_attributes = std::move(sums.attributes);
    }
    if (!sums.system_attributes.empty()) {
        answer.md5_of_message_system_attributes = std::move(sums.system_attributes);
    }
    if (!sent.sequence_number.empty()) {
        answer.sequence_number = std::move(sent.sequence_number);
    }
}

}  // namespace

Task<Result<model::SendMessage::Output>> SqsService::SendMessage(
    aws::RequestContext& context, model::SendMessage::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, input.queue_url, "SendMessage"));
    HEARTH_CO_TRY(Prepared prepared, Prepare(context, *found.record, input));
    CheckSums sums(prepared);
    std::vector<OutgoingMessage> messages;
    messages.push_back(std::move(prepared.message));
    HEARTH_CO_TRY(auto sent, co_await engine_->Send(found.address, std::move(messages)));
    CHECK_REQUEST(sent.size() == 1, "{} answers for one message", sent.size());
    model::SendMessage::Output output;
    Fill(output, std::move(sums), std::move(sent.front()));
    co_return output;
}

Task<Result<model::SendMessageBatch::Output>> SqsService::SendMessageBatch(
    aws::RequestContext& context, model::SendMessageBatch::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, input.queue_url, "SendMessage"));
    HEARTH_CO_RETURN_IF_ERROR(CheckBatch(input.entries, "SendMessageBatchRequestEntry"));
    size_t bytes = 0;
    for (const auto& entry : *input.entries) {
        bytes += BytesSent(entry);
    }
    if (bytes > kMessageBytesMax) {
        co_return errors::BatchTooLong(bytes);
    }
    model::SendMessageBatch::Output output;
    std::vector<OutgoingMessage> messages;
    std::vector<std::pair<std::string, CheckSums>> sent_entries;
    auto& successful = output.successful.emplace();
    std::vector<model::BatchResultErrorEntry> failed;
    for (auto& entry : *input.entries) {
        auto prepared = Prepare(context, *found.record, entry);
        if (!prepared.ok()) {
            failed.push_back(FailedEntry(*std::move(entry.id), prepared.error()));
            continue;
        }
        sent_entries.emplace_back(*std::move(entry.id), CheckSums(*prepared));
        messages.push_back(std::move(prepared->message));
    }
    if (!messages.empty()) {
        HEARTH_CO_TRY(auto sent, co_await engine_->Send(found.address, std::move(messages)));
        CHECK_REQUEST(
            sent.size() == sent_entries.size(),
            "{} answers for {} messages",
            sent.size(),
            sent_entries.size());
        for (size_t i = 0; i < sent.size(); ++i) {
            auto& entry = successful.emplace_back();
            entry.id = std::move(sent_entries[i].first);
            Fill(entry, std::move(sent_entries[i].second), std::move(sent[i]));
        }
    }
    if (!failed.empty()) {
        output.failed = std::move(failed);
    }
    co_return output;
}

}  // namespace hearth::sqs
