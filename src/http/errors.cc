#include "http/errors.h"

#include <fmt/format.h>

namespace hearth::http::errors {

Error BodyTooLarge(uint64_t bytes_max) {
    return Error(
        Error::Kind::kInvalid,
        std::string(kBodyTooLarge),
        fmt::format("Request must be smaller than {} bytes", bytes_max),
        413);
}

Error BodyTooSlow() {
    return Error(
        Error::Kind::kInvalid,
        std::string(kBodyTooSlow),
        "The request's body did not arrive in time",
        408);
}

Error BodyMalformed(std::string_view why) {
    return Error(
        Error::Kind::kInvalid,
        std::string(kBodyMalformed),
        fmt::format("The request's body is malformed: {}", why),
        400);
}

Error ConnectionLost() {
    return Error(
        Error::Kind::kUnavailable,
        std::string(kConnectionLost),
        "The client closed the connection",
        400);
}

}  // namespace hearth::http::errors
