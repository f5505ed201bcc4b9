#include "services/sqs/sqs_service.h"

#include "aws/front/admin.h"
#include "services/sqs/access.h"
#include "services/sqs/addresses.h"
#include "services/sqs/errors.h"
#include "services/sqs/event_target.h"

#include <utility>

namespace hearth::sqs {

SqsService::SqsService(const ServiceDeps& deps)
    : lenient_(deps.options.lenient),
      engine_(QueueEngine::Make(
          {.kv = deps.kv,
           .loops = deps.loops,
           .clock = deps.cloud_clock,
           .monotonic_clock = deps.monotonic_clock,
           .random = deps.random,
           .master_key = deps.master_key,
           .wakes = deps.wakes,
           .due_times = deps.due_times})),
      events_(std::make_unique<SqsEventTarget>(*engine_, deps.wall_clock)) {
    deps.admin.OnStop([this] { engine_->EndWaits(); });
    operations_.Add<model::AddPermission>(this, &SqsService::AddPermission);
    operations_.Add<model::CancelMessageMoveTask>(this, &SqsService::CancelMessageMoveTask);
    operations_.Add<model::ChangeMessageVisibility>(this, &SqsService::ChangeMessageVisibility);
    operations_.Add<model::ChangeMessageVisibilityBatch>(
        this, &SqsService::ChangeMessageVisibilityBatch);
    operations_.Add<model::CreateQueue>(this, &SqsService::CreateQueue);
    operations_.Add<model::DeleteMessage>(this, &SqsService::DeleteMessage);
    operations_.Add<model::DeleteMessageBatch>(this, &SqsService::DeleteMessageBatch);
    operations_.Add<model::DeleteQueue>(this, &SqsService::DeleteQueue);
    operations_.Add<model::GetQueueAttributes>(this, &SqsService::GetQueueAttributes);
    operations_.Add<model::GetQueueUrl>(this, &SqsService::GetQueueUrl);
    operations_.Add<model::ListDeadLetterSourceQueues>(
        this, &SqsService::ListDeadLetterSourceQueues);
    operations_.Add<model::ListMessageMoveTasks>(this, &SqsService::ListMessageMoveTasks);
    operations_.Add<model::ListQueues>(this, &SqsService::ListQueues);
    operations_.Add<model::ListQueueTags>(this, &SqsService::ListQueueTags);
    operations_.Add<model::PurgeQueue>(this, &SqsService::PurgeQueue);
    operations_.Add<model::ReceiveMessage>(this, &SqsService::ReceiveMessage);
    operations_.Add<model::RemovePermission>(this, &SqsService::RemovePermission);
    operations_.Add<model::SendMessage>(this, &SqsService::SendMessage);
    operations_.Add<model::SendMessageBatch>(this, &SqsService::SendMessageBatch);
    operations_.Add<model::SetQueueAttributes>(this, &SqsService::SetQueueAttributes);
    operations_.Add<model::StartMessageMoveTask>(this, &SqsService::StartMessageMoveTask);
    operations_.Add<model::TagQueue>(this, &SqsService::TagQueue);
    operations_.Add<model::UntagQueue>(this, &SqsService::UntagQueue);
}

SqsService::~SqsService() = default;

const aws::model::Service& SqsService::Model() const {
    return model::Service();
}

EventTarget& SqsService::events() {
    return *events_;
}

Task<Result<SqsService::Found>> SqsService::FindQueue(
    const aws::RequestContext& context,
    const std::optional<std::string>& url,
    std::string_view action) {
    Found found;
    HEARTH_CO_TRY(found.address, ResolveQueueUrl(context, url));
    HEARTH_CO_TRY(found.record, co_await engine_->Find(found.address));
    if (found.address.account != context.account &&
        !PolicyLetsIn(context, found.address, *found.record, action)) {
        co_return errors::AccessDenied(url.value_or(QueueUrl(context, found.address)));
    }
    co_return found;
}

Task<Result<SqsService::Found>> SqsService::FindOwnQueue(
    const aws::RequestContext& context, const std::optional<std::string>& url) {
    Found found;
    HEARTH_CO_TRY(found.address, ResolveQueueUrl(context, url));
    if (found.address.account != context.account) {
        co_return errors::AccessDenied(url.value_or(QueueUrl(context, found.address)));
    }
    HEARTH_CO_TRY(found.record, co_await engine_->Find(found.address));
    co_return found;
}

}  // namespace hearth::sqs
