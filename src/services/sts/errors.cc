#include "services/sts/errors.h"

#include <fmt/format.h>

namespace hearth::sts::errors {

Error NotAuthorizedToAssume(
    std::string_view caller_arn, std::string_view role_arn, std::source_location where) {
    return Error(
        Error::Kind::kDenied,
        "AccessDenied",
        fmt::format(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            caller_arn,
            role_arn),
        403,
        where);
}

Error SessionCannotGetSession(std::source_location where) {
    return Error(
        Error::Kind::kDenied,
        "AccessDenied",
        "Cannot call GetSessionToken with session credentials",
        403,
        where);
}

Error Validation(std::string message, std::source_location where) {
    return Error(Error::Kind::kInvalid, "ValidationError", std::move(message), 400, where);
}

Error ParameterNotImplemented(std::string_view parameter, std::source_location where) {
    return Error(
        Error::Kind::kUnimplemented,
        "NotImplemented",
        fmt::format("Hearth does not have the parameter {} of STS.", parameter),
        501,
        where);
}

}  // namespace hearth::sts::errors
