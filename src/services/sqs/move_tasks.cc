#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {
namespace {

// The queue of an ARN in the caller's account and region.
Result<QueueAddress> OwnQueue(
    const aws::RequestContext& context,
    const std::optional<std::string>& arn,
    std::string_view parameter) {
    if (!arn || arn->empty()) {
        return errors::MissingParameter(parameter);
    }
    auto queue = QueueAddress::FromArn(*arn);
    if (!queue.ok() || queue->account != context.account || queue->region != context.region) {
        return errors::ResourceNotFound(fmt::format(
            "The resource that you specified for the {} parameter doesn't exist.", parameter));
    }
    return queue;
}

}  // namespace

Task<Result<model::StartMessageMoveTask::Output>> SqsService::StartMessageMoveTask(
    aws::RequestContext& context, model::StartMessageMoveTask::Input input) {
    HEARTH_CO_TRY(const QueueAddress source, OwnQueue(context, input.source_arn, "SourceArn"));
    if (input.max_number_of_messages_per_second &&
        (*input.max_number_of_messages_per_second < 1 ||
         *input.max_number_of_messages_per_second > kMoveRateMax)) {
        co_return errors::InvalidValueOf(
            "MaxNumberOfMessagesPerSecond",
            fmt::to_string(*input.max_number_of_messages_per_second),
            fmt::format("Value must be between 1 and {}.", kMoveRateMax));
    }
    const auto missing = [](std::string_view parameter) {
        return errors::ResourceNotFound(fmt::format(
            "The resource that you specified for the {} parameter doesn't exist.", parameter));
    };
    const auto source_record = co_await engine_->Find(source);
    if (!source_record.ok()) {
        co_return source_record.error().kind() == Error::Kind::kNotFound ? missing("SourceArn")
                                                                         : source_record.error();
    }
    std::string destination_arn;
    if (input.destination_arn && !input.destination_arn->empty()) {
        HEARTH_CO_TRY(
            const QueueAddress destination,
            OwnQueue(context, input.destination_arn, "DestinationArn"));
        if (destination == source) {
            co_return errors::InvalidParameterValue(
                "Source queue arn and destination queue arn cannot be the same.");
        }
        const auto record = co_await engine_->Find(destination);
        if (!record.ok()) {
            co_return record.error().kind() == Error::Kind::kNotFound ? missing("DestinationArn")
                                                                      : record.error();
        }
        if ((*record)->settings.fifo != (*source_record)->settings.fifo) {
            co_return errors::InvalidParameterValue(
                "Source queue and destination queue must be of the same type.");
        }
        destination_arn = *std::move(input.destination_arn);
    }
    HEARTH_CO_TRY(const auto sources, co_await engine_->ListDeadLetterSources(source, "", 1));
    if (sources.names.empty()) {
        co_return errors::InvalidParameterValue(
            "Source queue must be configured as a Dead Letter Queue.");
    }
    std::optional<int> rate;
    if (input.max_number_of_messages_per_second) {
        rate = *input.max_number_of_messages_per_second;
    }
    model::StartMessageMoveTask::Output output;
    HEARTH_CO_TRY(
        output.task_handle,
        co_await engine_->StartMoveTask(source, std::move(destination_arn), rate));
    co_return output;
}

Task<Result<model::CancelMessageMoveTask::Output>> SqsService::CancelMessageMoveTask(
    aws::RequestContext& context, model::CancelMessageMoveTask::Input input) {
    if (!input.task_handle || input.task_handle->empty()) {
        co_return errors::MissingParameter("TaskHandle");
    }
    model::CancelMessageMoveTask::Output output;
    HEARTH_CO_TRY(
        output.approximate_number_of_messages_moved,
        co_await engine_->CancelMoveTask(
            context.account, context.region, *std::move(input.task_handle)));
    co_return output;
}

Task<Result<model::ListMessageMoveTasks::Output>> SqsService::ListMessageMoveTasks(
    aws::RequestContext& context, model::ListMessageMoveTasks::Input input) {
    HEARTH_CO_TRY(const QueueAddress source, OwnQueue(context, input.source_arn, "SourceArn"));
    const int32_t limit = input.max_results.value_or(1);
    if (limit < 1 || limit > kMoveTasksListMax) {
        co_return errors::InvalidValueOf(
            "MaxResults",
            fmt::to_string(limit),
            fmt::format("Value must be between 1 and {}.", kMoveTasksListMax));
    }
    const auto record = co_await engine_->Find(source);
    if (!record.ok()) {
        if (record.error().kind() != Error::Kind::kNotFound) {
            co_return record.error();
        }
        co_return errors::ResourceNotFound(
            "The resource that you specified for the SourceArn parameter doesn't exist.");
    }
    HEARTH_CO_TRY(auto tasks, co_await engine_->ListMoveTasks(source, static_cast<size_t>(limit)));
    model::ListMessageMoveTasks::Output output;
    auto& results = output.results.emplace();
    for (MoveTask& task : tasks) {
        auto& shown = results.emplace_back();
        // Only what can still be cancelled has a handle.
        if (task.status == "RUNNING") {
            shown.task_handle = std::move(task.handle);
        }
        shown.status = std::move(task.status);
        shown.source_arn = std::move(task.source_arn);
        if (!task.destination_arn.empty()) {
            shown.destination_arn = std::move(task.destination_arn);
        }
        if (task.rate) {
            shown.max_number_of_messages_per_second = *task.rate;
        }
        shown.approximate_number_of_messages_moved = task.moved;
        shown.approximate_number_of_messages_to_move = task.to_move;
        if (!task.failure_reason.empty()) {
            shown.failure_reason = std::move(task.failure_reason);
        }
        shown.started_timestamp =
            std::chrono::duration_cast<std::chrono::milliseconds>(task.started.time_since_epoch())
                .count();
    }
    co_return output;
}

}  // namespace hearth::sqs
