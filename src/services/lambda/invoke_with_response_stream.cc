#include "aws/protocol/event_stream.h"
#include "codec/base64/base64.h"
#include "codec/event_stream/event_stream.h"
#include "http/message.h"
#include "services/lambda/invoke_request.h"
#include "services/lambda/lambda_service.h"

#include "gen/lambda/operations.gen.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace hearth::lambda {

namespace {

// The body of the answer: the function's bytes as they come, and how it ended.
Task<Status> WriteEvents(
    http::BodyWriter& writer, std::shared_ptr<StreamedInvocation> stream, bool log_tail) {
    const aws::model::Shape& shape =
        *model::InvokeWithResponseStream::Descriptor().output->Payload()->shape;
    // The head goes out with the answer's beginning, not with its first bytes.
    HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write({}));
    model::InvokeWithResponseStreamResponseEvent event;
    while (true) {
        HEARTH_CO_TRY(std::string bytes, co_await stream->Read());
        if (bytes.empty()) {
            break;
        }
        event.payload_chunk.emplace().payload = std::move(bytes);
        const std::string message = aws::protocol::EncodeEvent(shape, &event);
        HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write(message));
    }
    event.payload_chunk.reset();
    const StreamEnd& end = stream->end();
    auto& complete = event.invoke_complete.emplace();
    if (!end.error_code.empty()) {
        complete.error_code = end.error_code;
    }
    if (!end.error_details.empty()) {
        complete.error_details = end.error_details;
    }
    if (log_tail) {
        complete.log_result = codec::Base64Encode(end.log_tail);
    }
    co_return co_await writer.Write(aws::protocol::EncodeEvent(shape, &event));
}

}  // namespace

Task<Result<model::InvokeWithResponseStream::Output>> LambdaService::InvokeWithResponseStream(
    aws::RequestContext& context, model::InvokeWithResponseStream::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    HEARTH_CO_TRY(PreparedCall call, co_await PrepareCall(reference));
    HEARTH_CO_TRY(
        InvokeRequest request,
        MakeInvokeRequest(
            context,
            {.payload = std::move(input.payload),
             .client_context = std::move(input.client_context),
             .log_type = std::move(input.log_type),
             .tenant_id = std::move(input.tenant_id)}));

    model::InvokeWithResponseStream::Output output;
    if (input.invocation_type == "DryRun") {
        context.response_status = 204;
        co_return output;
    }
    if (!invoker_) {
        co_return hearth::errors::Unavailable("there is nothing to run functions with");
    }
    request.invoked_function_arn = std::move(call.resolved.invoked_arn);
    request.snapshot = std::move(call.snapshot);
    HEARTH_CO_RETURN_IF_ERROR(co_await CheckRecursion(context, reference, request));
    const bool log_tail = request.log_tail;
    output.executed_version = call.resolved.function->version;
    auto begun =
        co_await invoker_->InvokeStreaming(std::move(call.resolved.function), std::move(request));
    if (!begun.ok()) {
        co_return Refused(context, std::move(begun).error());
    }
    std::unique_ptr<StreamedInvocation> started = *std::move(begun);
    context.response_status = 200;
    // Shared because a std::function is copied; the code stays until the answer has flowed.
    context.response_stream = [stream = std::shared_ptr<StreamedInvocation>(std::move(started)),
                               code = std::move(call.code),
                               log_tail](http::BodyWriter& writer) {
        return WriteEvents(writer, stream, log_tail);
    };
    co_return output;
}

}  // namespace hearth::lambda
