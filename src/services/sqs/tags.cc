#include "services/sqs/tags.h"

#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/message_checks.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hearth::sqs {
namespace {

size_t Characters(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool IsReserved(std::string_view key) {
    return key.size() >= 4 && key[3] == ':' && (key[0] | 0x20) == 'a' && (key[1] | 0x20) == 'w' &&
           (key[2] | 0x20) == 's';
}

}  // namespace

Status CheckTags(
    std::string_view queue_name,
    const std::map<std::string, std::string>& given,
    const std::map<std::string, std::string>& present) {
    size_t count = present.size();
    for (const auto& [key, value] : given) {
        if (key.empty() || Characters(key) > kTagKeyCharactersMax || !IsMessageText(key)) {
            return errors::InvalidParameterValue(fmt::format(
                "Tag keys must be between 1 and {} characters in length.", kTagKeyCharactersMax));
        }
        if (Characters(value) > kTagValueCharactersMax || !IsMessageText(value)) {
            return errors::InvalidParameterValue(fmt::format(
                "Tag values must be between 0 and {} characters in length.",
                kTagValueCharactersMax));
        }
        if (IsReserved(key)) {
            return errors::InvalidParameterValue("Tag keys beginning with 'aws:' are reserved.");
        }
        count += present.contains(key) ? 0 : 1;
    }
    if (count > kTagsMax) {
        return errors::InvalidParameterValue(
            fmt::format("Too many tags added for queue {}.", queue_name));
    }
    return {};
}

Task<Result<model::TagQueue::Output>> SqsService::TagQueue(
    aws::RequestContext& context, model::TagQueue::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    if (!input.tags || input.tags->empty()) {
        co_return errors::MissingParameter("Tags");
    }
    const auto change = [&name = found.address.name,
                         tags = std::move(*input.tags)](QueueRecord& record) -> Status {
        HEARTH_RETURN_IF_ERROR(CheckTags(name, tags, record.tags));
        for (const auto& [key, value] : tags) {
            record.tags[key] = value;
        }
        return {};
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Update(found.address, change));
    co_return model::TagQueue::Output();
}

Task<Result<model::UntagQueue::Output>> SqsService::UntagQueue(
    aws::RequestContext& context, model::UntagQueue::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    if (!input.tag_keys || input.tag_keys->empty()) {
        co_return errors::InvalidParameterValue("Tag keys can't be empty.");
    }
    const auto change = [keys = std::move(*input.tag_keys)](QueueRecord& record) -> Status {
        for (const std::string& key : keys) {
            record.tags.erase(key);
        }
        return {};
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Update(found.address, change));
    co_return model::UntagQueue::Output();
}

Task<Result<model::ListQueueTags::Output>> SqsService::ListQueueTags(
    aws::RequestContext& context, model::ListQueueTags::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    model::ListQueueTags::Output output;
    if (!found.record->tags.empty()) {
        output.tags = found.record->tags;
    }
    co_return output;
}

}  // namespace hearth::sqs
