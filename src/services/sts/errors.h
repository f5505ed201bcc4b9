#pragma once

#include "base/error.h"

#include <source_location>
#include <string>
#include <string_view>

namespace hearth::sts::errors {

Error NotAuthorizedToAssume(
    std::string_view caller_arn,
    std::string_view role_arn,
    std::source_location where = std::source_location::current());
// GetSessionToken of a session.
Error SessionCannotGetSession(std::source_location where = std::source_location::current());
Error Validation(std::string message, std::source_location where = std::source_location::current());
// A parameter that Hearth does not have.
Error ParameterNotImplemented(
    std::string_view parameter, std::source_location where = std::source_location::current());

}  // namespace hearth::sts::errors
