// What receivers do with a receipt handle: delete the message, or change how long it stays hidden.
#include "base/check.h"
#include "services/sqs/batches.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {
namespace {

Status CheckVisibility(const std::optional<int32_t>& timeout_s) {
    if (!timeout_s) {
        return errors::MissingParameter("VisibilityTimeout");
    }
    if (*timeout_s < 0 || *timeout_s > kVisibilityMax_s) {
        return errors::InvalidValueOf(
            "VisibilityTimeout",
            fmt::to_string(*timeout_s),
            fmt::format("VisibilityTimeout must be an integer between 0 and {}", kVisibilityMax_s));
    }
    return {};
}

Status CheckHandle(const std::optional<std::string>& handle) {
    return handle && !handle->empty() ? Status()
                                      : Status(errors::MissingParameter("ReceiptHandle"));
}

// Puts the results of the entries that were tried, and those that failed before, in their places.
//   statuses  one for each of `ids`
template <class Output>
void FillBatch(
    Output& output,
    std::vector<std::string> ids,
    const std::vector<Status>& statuses,
    std::vector<model::BatchResultErrorEntry> failed) {
    auto& successful = output.successful.emplace();
    for (size_t i = 0; i < ids.size(); ++i) {
        if (statuses[i].ok()) {
            successful.emplace_back().id = std::move(ids[i]);
        } else {
            failed.push_back(FailedEntry(std::move(ids[i]), statuses[i].error()));
        }
    }
    if (!failed.empty()) {
        output.failed = std::move(failed);
    }
}

}  // namespace

Task<Result<model::DeleteMessage::Output>> SqsService::DeleteMessage(
    aws::RequestContext& context, model::DeleteMessage::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, input.queue_url, "DeleteMessage"));
    HEARTH_CO_RETURN_IF_ERROR(CheckHandle(input.receipt_handle));
    std::vector<std::string> handles;
    handles.push_back(*std::move(input.receipt_handle));
    HEARTH_CO_TRY(
        const auto statuses, co_await engine_->DeleteMessages(found.address, std::move(handles)));
    CHECK_REQUEST(statuses.size() == 1, "{} answers for one handle", statuses.size());
    HEARTH_CO_RETURN_IF_ERROR(statuses.front());
    co_return model::DeleteMessage::Output();
}

Task<Result<model::DeleteMessageBatch::Output>> SqsService::DeleteMessageBatch(
    aws::RequestContext& context, model::DeleteMessageBatch::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindQueue(context, input.queue_url, "DeleteMessage"));
    HEARTH_CO_RETURN_IF_ERROR(CheckBatch(input.entries, "DeleteMessageBatchRequestEntry"));
    std::vector<std::string> ids;
    std::vector<std::string> handles;
    std::vector<model::BatchResultErrorEntry> failed;
    for (auto& entry : *input.entries) {
        if (const Status checked = CheckHandle(entry.receipt_handle); !checked.ok()) {
            failed.push_back(FailedEntry(*std::move(entry.id), checked.error()));
            continue;
        }
        ids.push_back(*std::move(entry.id));
        handles.push_back(*std::move(entry.receipt_handle));
    }
    std::vector<Status> statuses;
    if (!handles.empty()) {
        HEARTH_CO_TRY(
            statuses, co_await engine_->DeleteMessages(found.address, std::move(handles)));
    }
    CHECK_REQUEST(statuses.size() == ids.size(), "{} answers", statuses.size());
    model::DeleteMessageBatch::Output output;
    FillBatch(output, std::move(ids), statuses, std::move(failed));
    co_return output;
}

Task<Result<model::ChangeMessageVisibility::Output>> SqsService::ChangeMessageVisibility(
    aws::RequestContext& context, model::ChangeMessageVisibility::Input input) {
    HEARTH_CO_TRY(
        const Found found, co_await FindQueue(context, input.queue_url, "ChangeMessageVisibility"));
    HEARTH_CO_RETURN_IF_ERROR(CheckHandle(input.receipt_handle));
    HEARTH_CO_RETURN_IF_ERROR(CheckVisibility(input.visibility_timeout));
    std::vector<QueueEngine::VisibilityChange> changes;
    changes.push_back(
        {.handle = *std::move(input.receipt_handle),
         .timeout = std::chrono::seconds(*input.visibility_timeout)});
    HEARTH_CO_TRY(
        const auto statuses, co_await engine_->ChangeVisibility(found.address, std::move(changes)));
    CHECK_REQUEST(statuses.size() == 1, "{} answers for one handle", statuses.size());
    HEARTH_CO_RETURN_IF_ERROR(statuses.front());
    co_return model::ChangeMessageVisibility::Output();
}

Task<Result<model::ChangeMessageVisibilityBatch::Output>> SqsService::ChangeMessageVisibilityBatch(
    aws::RequestContext& context, model::ChangeMessageVisibilityBatch::Input input) {
    HEARTH_CO_TRY(
        const Found found, co_await FindQueue(context, input.queue_url, "ChangeMessageVisibility"));
    HEARTH_CO_RETURN_IF_ERROR(
        CheckBatch(input.entries, "ChangeMessageVisibilityBatchRequestEntry"));
    std::vector<std::string> ids;
    std::vector<QueueEngine::VisibilityChange> changes;
    std::vector<model::BatchResultErrorEntry> failed;
    for (auto& entry : *input.entries) {
        Status checked = CheckHandle(entry.receipt_handle);
        if (checked.ok()) {
            checked = CheckVisibility(entry.visibility_timeout);
        }
        if (!checked.ok()) {
            failed.push_back(FailedEntry(*std::move(entry.id), checked.error()));
            continue;
        }
        ids.push_back(*std::move(entry.id));
        changes.push_back(
            {.handle = *std::move(entry.receipt_handle),
             .timeout = std::chrono::seconds(*entry.visibility_timeout)});
    }
    std::vector<Status> statuses;
    if (!changes.empty()) {
        HEARTH_CO_TRY(
            statuses, co_await engine_->ChangeVisibility(found.address, std::move(changes)));
    }
    CHECK_REQUEST(statuses.size() == ids.size(), "{} answers", statuses.size());
    model::ChangeMessageVisibilityBatch::Output output;
    FillBatch(output, std::move(ids), statuses, std::move(failed));
    co_return output;
}

}  // namespace hearth::sqs
