#include "services/sqs/addresses.h"
#include "services/sqs/attribute_values.h"
#include "services/sqs/errors.h"
#include "services/sqs/sqs_service.h"
#include "services/sqs/tags.h"

#include <utility>

namespace hearth::sqs {
namespace {

constexpr std::string_view kKmsAttributes[] = {"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"};

// The first attribute of `given` whose value differs from the queue's; empty when none does.
Result<std::string> FirstDifference(
    const QueueAddress& queue,
    const QueueRecord& is,
    const QueueRecord& wanted,
    const std::map<std::string, std::string>& given) {
    for (const auto& [name, value] : given) {
        HEARTH_TRY(const auto has, ShowAttributes(queue, is, {name}, nullptr));
        HEARTH_TRY(const auto would_have, ShowAttributes(queue, wanted, {name}, nullptr));
        if (has != would_have) {
            return name;
        }
    }
    // A plain queue's name cannot be a FIFO queue's, so their kinds never differ here.
    return std::string();
}

}  // namespace

Status SqsService::TakeOutUnsupported(
    aws::RequestContext& context, std::map<std::string, std::string>& attributes) const {
    if (attributes.contains("Policy") && !attributes.at("Policy").empty()) {
        context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    }
    if (!lenient_) {
        return {};
    }
    for (const std::string_view name : kKmsAttributes) {
        const auto found = attributes.find(std::string(name));
        if (found != attributes.end() && !found->second.empty()) {
            context.response_headers.emplace_back("x-hearth-ignored", std::string(name));
            attributes.erase(found);
        }
    }
    return {};
}

Task<Status> SqsService::CheckRedrive(
    const QueueAddress& source,
    const QueueSettings& settings,
    const std::map<std::string, std::string>& given) {
    const auto text = given.find("RedrivePolicy");
    if (text == given.end() || !settings.redrive) {
        co_return Status();
    }
    const auto bad = [&](std::string_view reason) {
        return errors::InvalidValueOf("RedrivePolicy", text->second, reason);
    };
    const auto target = QueueAddress::FromArn(settings.redrive->dead_letter_arn);
    if (!target.ok() || target->account != source.account || target->region != source.region) {
        co_return bad("Dead-letter target owner should be same as the source.");
    }
    if (target->name.ends_with(".fifo") != settings.fifo) {
        co_return bad("Dead-letter queue must be same type of queue as the source.");
    }
    const auto record = co_await engine_->Find(*target);
    if (!record.ok()) {
        if (record.error().kind() == Error::Kind::kNotFound) {
            co_return bad("Dead letter target does not exist.");
        }
        co_return record.error();
    }
    if (!AllowsRedriveFrom(**record, source.Arn())) {
        co_return bad(
            "The redrive allow policy of the dead-letter target does not permit the source "
            "queue.");
    }
    co_return Status();
}

Task<Result<model::CreateQueue::Output>> SqsService::CreateQueue(
    aws::RequestContext& context, model::CreateQueue::Input input) {
    if (!input.queue_name) {
        co_return errors::MissingParameter("QueueName");
    }
    auto attributes = std::move(input.attributes).value_or(std::map<std::string, std::string>());
    auto tags = std::move(input.tags).value_or(std::map<std::string, std::string>());
    HEARTH_CO_RETURN_IF_ERROR(TakeOutUnsupported(context, attributes));
    HEARTH_CO_RETURN_IF_ERROR(CheckQueueName(*input.queue_name, AsksForFifo(attributes)));
    const QueueAddress queue{context.account, context.region, *input.queue_name};
    QueueRecord wanted;
    HEARTH_CO_RETURN_IF_ERROR(ApplyAttributes(attributes, true, wanted));
    HEARTH_CO_RETURN_IF_ERROR(CheckTags(queue.name, tags, {}));
    model::CreateQueue::Output output;
    output.queue_url = QueueUrl(context, queue);

    // Somebody else may make or delete the queue between the look and the creation.
    constexpr int kAttemptsMax = 3;
    for (int attempt = 0;; ++attempt) {
        const auto existing = co_await engine_->Find(queue);
        if (existing.ok()) {
            HEARTH_CO_TRY(
                const std::string differs, FirstDifference(queue, **existing, wanted, attributes));
            if (!differs.empty()) {
                co_return errors::QueueDiffers(differs);
            }
            co_return output;
        }
        if (existing.error().kind() != Error::Kind::kNotFound) {
            co_return existing.error();
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await CheckRedrive(queue, wanted.settings, attributes));
        const Status created =
            co_await engine_->Create(queue, wanted.settings, wanted.attributes, tags);
        if (created.ok()) {
            co_return output;
        }
        if (created.error().code() != "QueueNameExists" || attempt + 1 == kAttemptsMax) {
            co_return created.error();
        }
    }
}

}  // namespace hearth::sqs
