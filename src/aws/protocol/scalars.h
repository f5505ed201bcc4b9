#pragma once

#include "aws/model/descriptor.h"
#include "base/result.h"

#include <string>
#include <string_view>

// Values that stand as text in headers, paths, query strings and form parameters.
namespace hearth::aws::protocol {

// `out` is the value of a scalar shape. Blobs are base64.
//   errors  a plain Malformed, without the protocol's code
Status ParseScalar(
    const model::Shape& shape, model::TimestampFormat timestamps, std::string_view text, void* out);

std::string FormatScalar(
    const model::Shape& shape, model::TimestampFormat timestamps, const void* value);

}  // namespace hearth::aws::protocol
