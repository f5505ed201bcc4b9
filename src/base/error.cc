#include "base/error.h"

#include <cstring>

namespace hearth::errors {

Error Internal(std::string message, std::source_location where) {
    return Error(Error::Kind::kInternal, "", std::move(message), 500, where);
}

Error Unavailable(std::string message, std::source_location where) {
    return Error(Error::Kind::kUnavailable, "", std::move(message), 503, where);
}

Error System(std::string what, int error_number, std::source_location where) {
    char buffer[128];
    const char* text = strerror_r(error_number, buffer, sizeof buffer);
    return Error(Error::Kind::kInternal, "", std::move(what) + ": " + text, 500, where);
}

Error Malformed(std::string message, std::source_location where) {
    return Error(Error::Kind::kInvalid, "", std::move(message), 400, where);
}

}  // namespace hearth::errors
