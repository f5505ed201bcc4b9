#include "codec/base64/base64.h"
#include "services/sqs/addresses.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {
namespace {

// Where a page begins, and how long it is.
struct PageRequest {
    std::string after;
    size_t limit = kListMax;
    // Without MaxResults no token is given: the answer ends at 1,000.
    bool paged = false;
};

// A token is the last name of the page before.
Result<PageRequest> ReadPage(
    const std::optional<int32_t>& max_results, const std::optional<std::string>& token) {
    PageRequest page;
    if (max_results) {
        if (*max_results < 1 || *max_results > kListMax) {
            return errors::InvalidValueOf(
                "MaxResults",
                fmt::to_string(*max_results),
                fmt::format("MaxResults must be an integer between 1 and {}", kListMax));
        }
        page.limit = static_cast<size_t>(*max_results);
        page.paged = true;
    }
    if (token && !token->empty()) {
        auto after = codec::Base64Decode(*token);
        if (!after.ok() || after->size() > kQueueNameMax) {
            return errors::InvalidParameterValue("Invalid or expired next token.");
        }
        page.after = *std::move(after);
    }
    return page;
}

std::vector<std::string> UrlsOf(
    const aws::RequestContext& context, const std::vector<std::string>& names) {
    std::vector<std::string> urls;
    urls.reserve(names.size());
    for (const std::string& name : names) {
        urls.push_back(QueueUrl(context, {context.account, context.region, name}));
    }
    return urls;
}

}  // namespace

Task<Result<model::DeleteQueue::Output>> SqsService::DeleteQueue(
    aws::RequestContext& context, model::DeleteQueue::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Delete(found.address));
    co_return model::DeleteQueue::Output();
}

Task<Result<model::PurgeQueue::Output>> SqsService::PurgeQueue(
    aws::RequestContext& context, model::PurgeQueue::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, input.queue_url, "PurgeQueue"));
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Purge(found.address));
    co_return model::PurgeQueue::Output();
}

Task<Result<model::GetQueueUrl::Output>> SqsService::GetQueueUrl(
    aws::RequestContext& context, model::GetQueueUrl::Input input) {
    if (!input.queue_name) {
        co_return errors::InvalidParameterValue(
            "Value for parameter QueueName is invalid. Reason: Must specify a queue name.");
    }
    QueueAddress queue{context.account, context.region, *input.queue_name};
    if (input.queue_owner_aws_account_id && !input.queue_owner_aws_account_id->empty()) {
        queue.account = AccountId(*input.queue_owner_aws_account_id);
    }
    // Names that cannot be are no keys to look for.
    if (!CheckQueueName(queue.name, queue.name.ends_with(".fifo")).ok() ||
        queue.account.text().size() != context.account.text().size()) {
        co_return errors::QueueDoesNotExist();
    }
    model::GetQueueUrl::Output output;
    output.queue_url = QueueUrl(context, queue);
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, output.queue_url, "GetQueueUrl"));
    co_return output;
}

Task<Result<model::ListQueues::Output>> SqsService::ListQueues(
    aws::RequestContext& context, model::ListQueues::Input input) {
    HEARTH_CO_TRY(const PageRequest page, ReadPage(input.max_results, input.next_token));
    const std::string prefix = input.queue_name_prefix.value_or("");
    model::ListQueues::Output output;
    // No name is that long, and no key may be.
    if (prefix.size() > kQueueNameMax) {
        co_return output;
    }
    HEARTH_CO_TRY(
        const auto found,
        co_await engine_->List(context.account, context.region, prefix, page.after, page.limit));
    if (!found.names.empty()) {
        output.queue_urls = UrlsOf(context, found.names);
    }
    if (found.next && page.paged) {
        output.next_token = codec::Base64Encode(*found.next);
    }
    co_return output;
}

Task<Result<model::ListDeadLetterSourceQueues::Output>> SqsService::ListDeadLetterSourceQueues(
    aws::RequestContext& context, model::ListDeadLetterSourceQueues::Input input) {
    HEARTH_CO_TRY(
        const Found found,
        co_await FindQueue(context, input.queue_url, "ListDeadLetterSourceQueues"));
    HEARTH_CO_TRY(const PageRequest page, ReadPage(input.max_results, input.next_token));
    HEARTH_CO_TRY(
        const auto sources,
        co_await engine_->ListDeadLetterSources(found.address, page.after, page.limit));
    model::ListDeadLetterSourceQueues::Output output;
    output.queue_urls = UrlsOf(context, sources.names);
    if (sources.next && page.paged) {
        output.next_token = codec::Base64Encode(*sources.next);
    }
    co_return output;
}

}  // namespace hearth::sqs
