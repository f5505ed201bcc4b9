#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/protocol.h"

// JSON bodies, with the operation in method and path, and members in path, query and headers.
namespace hearth::aws::protocol {

Result<Match> FindRestOperation(const model::Service& service, const RequestParts& request);

Status DecodeRestJson(
    const model::Service& service, const Match& match, const RequestParts& request, void* input);

Answer EncodeRestJsonResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id);

}  // namespace hearth::aws::protocol
