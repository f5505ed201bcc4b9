#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

// RFC 4648 base64 with padding.
namespace hearth::codec {

std::string Base64Encode(std::string_view bytes);

// Strict: padding is there, no white space, no set bits behind the end. Error kInvalid otherwise.
Result<std::string> Base64Decode(std::string_view text);

}  // namespace hearth::codec
