#include "services/lambda/invoke_request.h"

#include "codec/base64/base64.h"
#include "services/lambda/errors.h"
#include "services/lambda/json_check.h"
#include "services/lambda/limits.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {

namespace {

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

Result<InvokeRequest> MakeInvokeRequest(const aws::RequestContext& context, InvokeFields fields) {
    InvokeRequest request;
    request.payload = std::move(fields.payload).value_or("");
    if (request.payload.size() > limits::kInvokePayloadBytesMax) {
        return errors::RequestEntityTooLarge(fmt::format(
            "Request must be smaller than {} bytes for the InvokeFunction operation",
            limits::kInvokePayloadBytesMax));
    }
    if (!request.payload.empty()) {
        const JsonCheck check = CheckJson(request.payload);
        if (!check.ok) {
            return errors::InvalidRequestContent(
                "Could not parse request body into json: Could not parse payload into json: " +
                check.problem);
        }
    }
    HEARTH_TRY(request.client_context, DecodeClientContext(fields.client_context));
    if (fields.tenant_id) {
        return errors::InvalidParameterValue(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID "
            "from your request and try again.");
    }
    request.request_id = context.request_id;
    if (const std::string* trace = context.Header("x-amzn-trace-id")) {
        request.trace_header = *trace;
    }
    request.log_tail = fields.log_type == "Tail";
    return request;
}

}  // namespace hearth::lambda
