#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/protocol.h"
#include "codec/json/json.h"

// Bodies of JSON, shared by json 1.0, json 1.1 and rest-json.
namespace hearth::aws::protocol {

// Members that stand in the body; others are left alone. Unknown members are passed over, null
// means that the member is not set.
Status DecodeJsonBody(
    const model::Service& service, const model::Shape& shape, std::string_view body, void* out);
Status DecodeJsonStructure(
    const model::Service& service, const model::Shape& shape, codec::Json& json, void* out);

// An object of the body's members.
void EncodeJsonStructure(const model::Shape& shape, const void* value, codec::JsonWriter& writer);

Answer EncodeJsonResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id);

}  // namespace hearth::aws::protocol
