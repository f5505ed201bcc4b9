#include "aws/protocol/protocol.h"

#include "aws/protocol/errors.h"
#include "aws/protocol/json.h"
#include "aws/protocol/query.h"
#include "aws/protocol/rest_json.h"
#include "aws/protocol/rest_xml.h"

namespace hearth::aws::protocol {
namespace {

using model::Protocol;

Result<Match> FindTargetOperation(const model::Service& service, const RequestParts& request) {
    const std::string_view target = request.Header("x-amz-target");
    const size_t dot = target.rfind('.');
    const std::string_view name =
        dot == std::string_view::npos ? std::string_view() : target.substr(dot + 1);
    const model::Operation* operation = nullptr;
    if (dot != std::string_view::npos && target.substr(0, dot) == service.target_prefix) {
        operation = service.FindOperation(name);
    }
    if (operation == nullptr) {
        return errors::UnknownOperation(service, name);
    }
    return Match{.operation = operation};
}

Status DecodeBody(
    const model::Service& service, const Match& match, const RequestParts& request, void* input) {
    switch (service.protocol) {
        case Protocol::kQuery:
            return DecodeQuery(service, *match.operation->input, request, input);
        case Protocol::kRestJson:
            return DecodeRestJson(service, match, request, input);
        case Protocol::kRestXml:
            return DecodeRestXml(service, match, request, input);
        case Protocol::kJson10:
        case Protocol::kJson11:
            break;
    }
    return DecodeJsonBody(service, *match.operation->input, request.body, input);
}

}  // namespace

std::string_view RequestParts::Header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) {
            return value;
        }
    }
    return {};
}

Result<Match> FindOperation(const model::Service& service, const RequestParts& request) {
    switch (service.protocol) {
        case Protocol::kQuery: {
            HEARTH_TRY(const model::Operation* operation, FindQueryOperation(service, request));
            return Match{.operation = operation};
        }
        case Protocol::kRestJson:
            return FindRestOperation(service, request);
        case Protocol::kRestXml:
            return FindRestXmlOperation(service, request);
        case Protocol::kJson10:
        case Protocol::kJson11:
            break;
    }
    return FindTargetOperation(service, request);
}

Status DecodeRequest(
    const model::Service& service, const Match& match, const RequestParts& request, void* input) {
    CHECK_REQUEST(!match.operation->known_only(), "{} was not generated", match.operation->name);
    HEARTH_RETURN_IF_ERROR(DecodeBody(service, match, request, input));
    return ValidateInput(service, *match.operation->input, input);
}

Answer EncodeResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id,
    std::optional<int> status) {
    Answer answer;
    switch (service.protocol) {
        case Protocol::kQuery:
            answer = EncodeQueryResponse(service, operation, output, request_id);
            break;
        case Protocol::kRestJson:
            answer = EncodeRestJsonResponse(service, operation, output, request_id);
            break;
        case Protocol::kRestXml:
            answer = EncodeRestXmlResponse(service, operation, output, request_id);
            break;
        case Protocol::kJson10:
        case Protocol::kJson11:
            answer = EncodeJsonResponse(service, operation, output, request_id);
            break;
    }
    if (status.has_value()) {
        answer.status = *status;
    }
    return answer;
}

}  // namespace hearth::aws::protocol
