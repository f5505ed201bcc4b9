#include "services/sqs/event_target.h"

#include "codec/crypto/crypto.h"
#include "services/sqs/access.h"
#include "services/sqs/attribute_values.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/message_checks.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {

Task<Result<SqsEventTarget::Target>> SqsEventTarget::Find(
    const Origin& origin, const std::string& target_arn) {
    Target target;
    HEARTH_CO_TRY(target.address, QueueAddress::FromArn(target_arn));
    HEARTH_CO_TRY(target.record, co_await engine_.Find(target.address));
    // In its own account a queue is open until policies are enforced.
    if (target.address.account != origin.account &&
        (origin.service_principal.empty() ||
         !PolicyLetsIn(origin, target.address, *target.record, clock_.Now()))) {
        co_return errors::AccessDenied(target_arn);
    }
    co_return target;
}

Task<Status> SqsEventTarget::Check(Origin origin, std::string target_arn) {
    HEARTH_CO_TRY(const Target target, co_await Find(origin, target_arn));
    co_return Status();
}

Task<Status> SqsEventTarget::Send(Origin origin, std::string target_arn, Event event) {
    HEARTH_CO_TRY(const Target target, co_await Find(origin, target_arn));
    OutgoingMessage message;
    for (auto& [name, attribute] : event.attributes) {
        // A function's error message may say anything; one character must not cost the message.
        message.attributes.emplace(
            name,
            MessageQueues::AttributeValue{
                .data_type = std::move(attribute.type),
                .value = AsMessageText(std::move(attribute.value))});
    }
    const size_t bytes = event.body.size() + BytesOf(message.attributes);
    if (bytes > MaximumMessageSize(*target.record)) {
        co_return errors::InvalidParameterValue(fmt::format(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            MaximumMessageSize(*target.record)));
    }
    HEARTH_CO_RETURN_IF_ERROR(CheckBody(event.body));
    const QueueSettings& settings = target.record->settings;
    if (settings.fifo) {
        if (!event.group_id) {
            co_return errors::MissingParameter("MessageGroupId");
        }
        if (!event.deduplication_id && !settings.content_based_deduplication) {
            co_return errors::InvalidParameterValue(
                "The queue should either have ContentBasedDeduplication enabled or "
                "MessageDeduplicationId provided explicitly");
        }
        message.deduplication_id = std::move(event.deduplication_id);
    }
    message.group_id = std::move(event.group_id);
    message.body = std::move(event.body);
    message.body_md5 = codec::Md5Hex(message.body);
    message.attributes_md5 = AttributesMd5(message.attributes);
    message.sender_id = origin.account.text();
    message.trace_header = std::move(event.trace_header);
    std::vector<OutgoingMessage> messages;
    messages.push_back(std::move(message));
    HEARTH_CO_TRY(auto sent, co_await engine_.Send(target.address, std::move(messages)));
    co_return Status();
}

}  // namespace hearth::sqs
