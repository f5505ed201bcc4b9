#include "services/lambda/lambda_service.h"
#include "services/lambda/mapping_operations.h"
#include "services/lambda/recursion.h"

#include "gen/lambda/types.gen.h"

#include <utility>

namespace hearth::lambda {

void LambdaService::UseQueues(MessageQueues& queues) {
    EventSourceMappings::Functions functions;
    functions.parse = [this](const aws::RequestContext& context, const std::string& name) {
        return Reference(context, name);
    };
    functions.timeout_of = [this](FunctionReference reference) -> Task<Result<int32_t>> {
        HEARTH_CO_TRY(const Found found, co_await Find(reference));
        co_return found.record->timeout_s;
    };
    functions.call =
        [this](const MappingRecord& mapping, std::string payload, std::string trace_header) {
            return CallForMapping(mapping, std::move(payload), std::move(trace_header));
        };
    mappings_ =
        std::make_unique<EventSourceMappings>(deps_, queues, concurrency_, std::move(functions));
    mappings_->AddTo(table_);
}

// Straight to the data plane: what a mapping sends needs no decoding, no signature and no policy,
// and an answer that nobody reads is not written down anywhere.
Task<Result<InvokeResult>> LambdaService::CallForMapping(
    const MappingRecord& mapping, std::string payload, std::string trace_header) {
    if (!invoker_) {
        co_return hearth::errors::Unavailable("there is nothing to run functions with");
    }
    const FunctionReference reference{
        mapping.account, mapping.region, mapping.function_name, mapping.qualifier};
    HEARTH_CO_TRY(PreparedCall call, co_await PrepareCall(reference));
    InvokeRequest request;
    request.request_id = deps_.random.Uuid();
    request.payload = std::move(payload);
    request.trace_header = std::move(trace_header);
    request.invoked_function_arn = std::move(call.resolved.invoked_arn);
    request.snapshot = std::move(call.snapshot);
    request.can_wait = true;
    // Who sent the message is in the header already; a queue calls nobody by itself.
    if (ExtendLineage(request.trace_header, request.invoked_function_arn, {}) >= kRecursionsMax) {
        HEARTH_CO_TRY(const auto head, co_await store_.FindHead(KeyOf(reference)));
        if (!head || head->recursive_loop != "Allow") {
            co_return RecursiveInvocation();
        }
    }
    co_return co_await invoker_->Invoke(std::move(call.resolved.function), std::move(request));
}

}  // namespace hearth::lambda
