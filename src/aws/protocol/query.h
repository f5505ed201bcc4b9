#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/protocol.h"

// Form parameters in, XML out: Action=CreateRole&Tags.member.1.Key=a.
namespace hearth::aws::protocol {

Result<const model::Operation*> FindQueryOperation(
    const model::Service& service, const RequestParts& request);

Status DecodeQuery(
    const model::Service& service,
    const model::Shape& shape,
    const RequestParts& request,
    void* out);

Answer EncodeQueryResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id);

}  // namespace hearth::aws::protocol
