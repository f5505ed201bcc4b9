#include "codec/base64/base64.h"
#include "services/lambda/errors.h"
#include "services/lambda/invoke_request.h"
#include "services/lambda/lambda_service.h"

#include "gen/lambda/types.gen.h"

#include <utility>

namespace hearth::lambda {

Task<Result<model::Invoke::Output>> LambdaService::Invoke(
    aws::RequestContext& context, model::Invoke::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    HEARTH_CO_TRY(
        InvokeRequest request,
        MakeInvokeRequest(
            context,
            {.payload = std::move(input.payload),
             .client_context = std::move(input.client_context),
             .log_type = std::move(input.log_type),
             .tenant_id = std::move(input.tenant_id)}));
    if (input.durable_execution_name) {
        co_return errors::NotSupported("durable executions");
    }

    model::Invoke::Output output;
    const std::string type = input.invocation_type.value_or("RequestResponse");
    if (type == "Event") {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await async_.Accept(reference, std::move(request), context.calling_function_arn));
        context.response_status = 202;
        co_return output;
    }
    HEARTH_CO_TRY(PreparedCall call, co_await PrepareCall(reference));
    ResolvedFunction& resolved = call.resolved;
    if (type == "DryRun") {
        context.response_status = 204;
        co_return output;
    }
    if (!invoker_) {
        co_return hearth::errors::Unavailable("there is nothing to run functions with");
    }
    request.invoked_function_arn = std::move(resolved.invoked_arn);
    request.snapshot = std::move(call.snapshot);
    HEARTH_CO_RETURN_IF_ERROR(co_await CheckRecursion(context, reference, request));
    const bool log_tail = request.log_tail;
    const std::string version = resolved.function->version;
    auto result = co_await invoker_->Invoke(std::move(resolved.function), std::move(request));
    if (!result.ok()) {
        co_return Refused(context, std::move(result).error());
    }
    context.response_status = 200;
    output.payload = std::move(result->payload);
    output.executed_version = version;
    if (!result->function_error.empty()) {
        output.function_error = std::move(result->function_error);
    }
    if (log_tail) {
        output.log_result = codec::Base64Encode(result->log_tail);
    }
    co_return output;
}

// As Invoke with InvocationType Event; deprecated, and still there.
Task<Result<model::InvokeAsync::Output>> LambdaService::InvokeAsync(
    aws::RequestContext& context, model::InvokeAsync::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    HEARTH_CO_TRY(
        InvokeRequest request,
        MakeInvokeRequest(context, {.payload = std::move(input.invoke_args)}));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await async_.Accept(reference, std::move(request), context.calling_function_arn));
    context.response_status = 202;
    model::InvokeAsync::Output output;
    output.status = 202;
    co_return output;
}

}  // namespace hearth::lambda
