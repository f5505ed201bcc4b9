#pragma once

#include "base/error.h"

#include <cstdint>
#include <string_view>

// Failures of reading a request. The gateway gives them the shape of the service's protocol.
namespace hearth::http::errors {

inline constexpr std::string_view kBodyTooLarge = "BodyTooLarge";
inline constexpr std::string_view kBodyTooSlow = "BodyTooSlow";
inline constexpr std::string_view kBodyMalformed = "BodyMalformed";
inline constexpr std::string_view kConnectionLost = "ConnectionLost";

// 413.
Error BodyTooLarge(uint64_t bytes_max);
// 408: nothing came for the server's body_timeout.
Error BodyTooSlow();
// 400: broken chunks.
Error BodyMalformed(std::string_view why);
// The client is gone; whatever is answered, nobody reads it.
Error ConnectionLost();

}  // namespace hearth::http::errors
