#include "codec/base64/base64.h"
#include "services/lambda/errors.h"
#include "services/lambda/json_check.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {
namespace {

// X-Amz-Client-Context: base64 of a JSON object.
Result<std::string> DecodeClientContext(const std::optional<std::string>& header) {
    if (!header || header->empty()) {
        return std::string();
    }
    auto decoded = codec::Base64Decode(*header);
    if (!decoded.ok() || decoded->size() > limits::kClientContextBytesMax ||
        !CheckJson(*decoded).ok || decoded->find('{') != decoded->find_first_not_of(" \t\r\n")) {
        return errors::InvalidRequestContent(
            "Client context must be a valid Base64-encoded JSON object.");
    }
    return decoded;
}

}  // namespace

Task<Result<model::Invoke::Output>> LambdaService::Invoke(
    aws::RequestContext& context, model::Invoke::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    ResolvedFunction resolved;
    // Keeps the code there until the call ends, also when the function changes or goes meanwhile.
    std::shared_ptr<const CodeDirectory> code;
    while (!code) {
        HEARTH_CO_TRY(resolved, co_await store_.Resolve(reference));
        auto opened = co_await code_.Open(resolved.function->code_id);
        if (opened.ok()) {
            code = *std::move(opened);
        } else if (opened.error().kind() != Error::Kind::kNotFound) {
            co_return std::move(opened).error();
        } else {
            // Dropped since we resolved: by now the function is another one, or gone.
            HEARTH_CO_TRY(const ResolvedFunction again, co_await store_.Resolve(reference));
            if (again.function->code_id == resolved.function->code_id) {
                co_return hearth::errors::Internal(
                    fmt::format("the code of {} is missing", resolved.invoked_arn));
            }
        }
    }

    InvokeRequest request;
    if (input.payload) {
        request.payload = *std::move(input.payload);
    }
    if (request.payload.size() > limits::kInvokePayloadBytesMax) {
        co_return errors::RequestEntityTooLarge(fmt::format(
            "Request must be smaller than {} bytes for the InvokeFunction operation",
            limits::kInvokePayloadBytesMax));
    }
    if (!request.payload.empty()) {
        const JsonCheck check = CheckJson(request.payload);
        if (!check.ok) {
            co_return errors::InvalidRequestContent(
                "Could not parse request body into json: Could not parse payload into json: " +
                check.problem);
        }
    }
    HEARTH_CO_TRY(request.client_context, DecodeClientContext(input.client_context));
    if (input.durable_execution_name) {
        co_return errors::NotSupported("durable executions");
    }
    if (input.tenant_id) {
        co_return errors::InvalidParameterValue(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID "
            "from your request and try again.");
    }

    model::Invoke::Output output;
    const std::string type = input.invocation_type.value_or("RequestResponse");
    if (type == "DryRun") {
        context.response_status = 204;
        co_return output;
    }
    if (type == "Event") {
        co_return errors::NotSupported("asynchronous invocation (InvocationType Event)");
    }
    if (!invoker_) {
        co_return hearth::errors::Unavailable("there is nothing to run functions with");
    }
    if (HotReload::IsHot(*resolved.function)) {
        HEARTH_CO_TRY(HotReload::Current current, co_await hot_reload_.Look(resolved.function));
        resolved.function = std::move(current.function);
        if (current.changed) {
            co_await Retire(
                KeyOf(reference), resolved.function->version, resolved.function->revision);
        }
    }
    request.request_id = context.request_id;
    request.invoked_function_arn = std::move(resolved.invoked_arn);
    if (const std::string* trace = context.Header("x-amzn-trace-id")) {
        request.trace_header = *trace;
    }
    request.log_tail = input.log_type && *input.log_type == "Tail";
    const bool log_tail = request.log_tail;
    const std::string version = resolved.function->version;
    HEARTH_CO_TRY(
        InvokeResult result,
        co_await invoker_->Invoke(std::move(resolved.function), std::move(request)));
    context.response_status = 200;
    output.payload = std::move(result.payload);
    output.executed_version = version;
    if (!result.function_error.empty()) {
        output.function_error = std::move(result.function_error);
    }
    if (log_tail) {
        output.log_result = codec::Base64Encode(result.log_tail);
    }
    co_return output;
}

}  // namespace hearth::lambda
