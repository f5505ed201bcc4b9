#pragma once

#include "aws/front/context.h"
#include "aws/front/service.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/function_name.h"
#include "services/lambda/mapping_pollers.h"
#include "services/lambda/mapping_store.h"
#include "services/message_queues.h"
#include "services/service_deps.h"

#include "gen/lambda/operations.gen.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// The operations on event source mappings, and all that works them. Sources are SQS queues; others
// are told apart and refused.
class EventSourceMappings final {
  public:
    struct Functions {
        // What the caller's FunctionName means.
        std::function<Result<FunctionReference>(
            const aws::RequestContext&, const std::string& name)>
            parse;
        // The time-out of a function in seconds.
        //   errors  ResourceNotFoundException
        std::function<Task<Result<int32_t>>(FunctionReference)> timeout_of;
        MappingWorld::Call call;
    };

    EventSourceMappings(
        const ServiceDeps& deps,
        MessageQueues& queues,
        ConcurrencyLimits& concurrency,
        Functions functions);

    void AddTo(aws::OperationTable& table);

    Task<void> Start() { return pollers_.Start(); }

    Task<void> BeginStop() { return pollers_.BeginStop(); }

    Task<void> Stop() { return pollers_.Stop(); }

    Task<Result<model::CreateEventSourceMapping::Output>> Create(
        aws::RequestContext& context, model::CreateEventSourceMapping::Input input);
    Task<Result<model::UpdateEventSourceMapping::Output>> Update(
        aws::RequestContext& context, model::UpdateEventSourceMapping::Input input);
    Task<Result<model::GetEventSourceMapping::Output>> Get(
        aws::RequestContext& context, model::GetEventSourceMapping::Input input);
    Task<Result<model::DeleteEventSourceMapping::Output>> Delete(
        aws::RequestContext& context, model::DeleteEventSourceMapping::Input input);
    Task<Result<model::ListEventSourceMappings::Output>> List(
        aws::RequestContext& context, model::ListEventSourceMappings::Input input);

    // Whether an ARN names a mapping, rather than a function.
    static bool IsMapping(std::string_view arn);
    // The three tag operations, for mappings.
    //   errors  ResourceNotFoundException
    using Tags = std::map<std::string, std::string>;
    Task<Result<Tags>> ListTags(const aws::RequestContext& context, std::string arn);
    Task<Status> ChangeTags(
        const aws::RequestContext& context,
        std::string arn,
        Tags added,
        std::vector<std::string> removed);

  private:
    // The queue of an ARN, when this caller may have it as a source.
    Task<Result<MessageQueues::Facts>> FindQueue(
        const aws::RequestContext& context, std::string arn);

    const ServiceDeps deps_;
    MessageQueues& queues_;
    const Functions functions_;
    MappingStore store_;
    MappingPollers pollers_;
};

}  // namespace hearth::lambda
