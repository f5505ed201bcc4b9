#pragma once

#include "aws/front/service.h"
#include "services/event_target.h"
#include "services/service_deps.h"
#include "services/sqs/queue_engine.h"

#include "gen/sqs/operations.gen.h"

#include <map>
#include <memory>
#include <string>

namespace hearth::sqs {

class SqsEventTarget;

// The Simple Queue Service's API over the queue engine: checks what comes in, in AWS's words, and
// puts what goes out into its shapes. Both wire protocols end here; neither is known here, except
// that a query request may name its queue by the path it came to.
// Stateless besides the engine; every method may run on any loop.
class SqsService final : public aws::ServiceApi {
  public:
    explicit SqsService(const ServiceDeps& deps);
    ~SqsService() override;

    const aws::model::Service& Model() const override;

    const aws::OperationTable& Operations() const override { return operations_; }

    Task<Status> Start() override { return engine_->Start(); }

    Task<void> Stop() override { return engine_->Stop(); }

    // For event source mappings; lives as long as the service.
    MessageQueues& queues() { return engine_->queues(); }

    // Where events of other services go that are sent to queues.
    EventTarget& events();

  private:
    using Record = std::shared_ptr<const QueueRecord>;

    struct Found {
        QueueAddress address;
        Record record;
    };

    // What an operation other than on one's own queues needs: the queue of a URL, and that the
    // caller may do `action` ("SendMessage") with it. Queues of other accounts are open to whom
    // their policy lets in, for the actions that policies can give away.
    Task<Result<Found>> FindQueue(
        const aws::RequestContext& context,
        const std::optional<std::string>& url,
        std::string_view action);
    // The same for operations that only the owner's account has.
    Task<Result<Found>> FindOwnQueue(
        const aws::RequestContext& context, const std::optional<std::string>& url);
    // That the queue a redrive policy names is there, of the same kind, and lets this one in.
    Task<Status> CheckRedrive(
        const QueueAddress& source,
        const QueueSettings& settings,
        const std::map<std::string, std::string>& given);
    // Refuses encryption with KMS, or, leniently, takes it out and says so.
    Status TakeOutUnsupported(
        aws::RequestContext& context, std::map<std::string, std::string>& attributes) const;

    Task<Result<model::AddPermission::Output>> AddPermission(
        aws::RequestContext& context, model::AddPermission::Input input);
    Task<Result<model::CancelMessageMoveTask::Output>> CancelMessageMoveTask(
        aws::RequestContext& context, model::CancelMessageMoveTask::Input input);
    Task<Result<model::ChangeMessageVisibility::Output>> ChangeMessageVisibility(
        aws::RequestContext& context, model::ChangeMessageVisibility::Input input);
    Task<Result<model::ChangeMessageVisibilityBatch::Output>> ChangeMessageVisibilityBatch(
        aws::RequestContext& context, model::ChangeMessageVisibilityBatch::Input input);
    Task<Result<model::CreateQueue::Output>> CreateQueue(
        aws::RequestContext& context, model::CreateQueue::Input input);
    Task<Result<model::DeleteMessage::Output>> DeleteMessage(
        aws::RequestContext& context, model::DeleteMessage::Input input);
    Task<Result<model::DeleteMessageBatch::Output>> DeleteMessageBatch(
        aws::RequestContext& context, model::DeleteMessageBatch::Input input);
    Task<Result<model::DeleteQueue::Output>> DeleteQueue(
        aws::RequestContext& context, model::DeleteQueue::Input input);
    Task<Result<model::GetQueueAttributes::Output>> GetQueueAttributes(
        aws::RequestContext& context, model::GetQueueAttributes::Input input);
    Task<Result<model::GetQueueUrl::Output>> GetQueueUrl(
        aws::RequestContext& context, model::GetQueueUrl::Input input);
    Task<Result<model::ListDeadLetterSourceQueues::Output>> ListDeadLetterSourceQueues(
        aws::RequestContext& context, model::ListDeadLetterSourceQueues::Input input);
    Task<Result<model::ListMessageMoveTasks::Output>> ListMessageMoveTasks(
        aws::RequestContext& context, model::ListMessageMoveTasks::Input input);
    Task<Result<model::ListQueues::Output>> ListQueues(
        aws::RequestContext& context, model::ListQueues::Input input);
    Task<Result<model::ListQueueTags::Output>> ListQueueTags(
        aws::RequestContext& context, model::ListQueueTags::Input input);
    Task<Result<model::PurgeQueue::Output>> PurgeQueue(
        aws::RequestContext& context, model::PurgeQueue::Input input);
    Task<Result<model::ReceiveMessage::Output>> ReceiveMessage(
        aws::RequestContext& context, model::ReceiveMessage::Input input);
    Task<Result<model::RemovePermission::Output>> RemovePermission(
        aws::RequestContext& context, model::RemovePermission::Input input);
    Task<Result<model::SendMessage::Output>> SendMessage(
        aws::RequestContext& context, model::SendMessage::Input input);
    Task<Result<model::SendMessageBatch::Output>> SendMessageBatch(
        aws::RequestContext& context, model::SendMessageBatch::Input input);
    Task<Result<model::SetQueueAttributes::Output>> SetQueueAttributes(
        aws::RequestContext& context, model::SetQueueAttributes::Input input);
    Task<Result<model::StartMessageMoveTask::Output>> StartMessageMoveTask(
        aws::RequestContext& context, model::StartMessageMoveTask::Input input);
    Task<Result<model::TagQueue::Output>> TagQueue(
        aws::RequestContext& context, model::TagQueue::Input input);
    Task<Result<model::UntagQueue::Output>> UntagQueue(
        aws::RequestContext& context, model::UntagQueue::Input input);

    const bool lenient_;
    std::unique_ptr<QueueEngine> engine_;
    std::unique_ptr<SqsEventTarget> events_;
    aws::OperationTable operations_;
};

}  // namespace hearth::sqs
