#include "services/lambda/errors.h"

#include <fmt/format.h>

namespace hearth::lambda::errors {
namespace {

// Lambda's errors carry a member Type: who is at fault.
Error Make(
    Error::Kind kind, std::string code, std::string message, int status, source_location where) {
    return Error(kind, std::move(code), std::move(message), status, where)
        .WithField("Type", status < 500 ? "User" : "Service");
}

}  // namespace

Error InvalidParameterValue(std::string message, source_location where) {
    return Make(
        Error::Kind::kInvalid, "InvalidParameterValueException", std::move(message), 400, where);
}

Error Validation(
    std::string_view value,
    std::string_view member,
    std::string_view constraint,
    source_location where) {
    return Error(
        Error::Kind::kInvalid,
        "ValidationException",
        fmt::format(
            "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: {}",
            value,
            member,
            constraint),
        400,
        where);
}

Error ResourceNotFound(std::string message, source_location where) {
    return Make(
        Error::Kind::kNotFound, "ResourceNotFoundException", std::move(message), 404, where);
}

Error FunctionNotFound(std::string_view arn, source_location where) {
    return ResourceNotFound(fmt::format("Function not found: {}", arn), where);
}

Error AliasNotFound(std::string_view arn, source_location where) {
    return ResourceNotFound(fmt::format("Cannot find alias arn: {}", arn), where);
}

Error ResourceConflict(std::string message, source_location where) {
    return Make(
        Error::Kind::kConflict, "ResourceConflictException", std::move(message), 409, where);
}

Error RevisionMismatch(source_location where) {
    return Make(
        Error::Kind::kConflict,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id",
        412,
        where);
}

Error RequestEntityTooLarge(std::string message, source_location where) {
    return Error(
        Error::Kind::kInvalid, "RequestEntityTooLargeException", std::move(message), 413, where);
}

Error InvalidRequestContent(std::string message, source_location where) {
    return Make(
        Error::Kind::kInvalid, "InvalidRequestContentException", std::move(message), 400, where);
}

Error AccessDenied(std::string message, source_location where) {
    return Error(Error::Kind::kDenied, "AccessDeniedException", std::move(message), 403, where);
}

Error CodeSigningConfigNotFound(std::string_view arn, source_location where) {
    return Make(
        Error::Kind::kNotFound,
        "CodeSigningConfigNotFoundException",
        fmt::format(
            "The code signing configuration cannot be found. Check that the provided "
            "configuration is not deleted: {}.",
            arn),
        404,
        where);
}

Error ProvisionedConcurrencyNotFound(source_location where) {
    return Make(
        Error::Kind::kNotFound,
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
        404,
        where);
}

Error SnapStartNotReady(source_location where) {
    return Make(
        Error::Kind::kConflict,
        "SnapStartNotReadyException",
        "Lambda is initializing your function. It will be ready to invoke once your function state "
        "becomes ACTIVE.",
        409,
        where);
}

Error SnapStartFailed(source_location where) {
    return Make(
        Error::Kind::kInvalid,
        "SnapStartException",
        "The afterRestore() runtime hook encountered an error. For more information, check the "
        "Amazon CloudWatch logs.",
        400,
        where);
}

Error SnapStartTimedOut(source_location where) {
    return Make(
        Error::Kind::kInvalid,
        "SnapStartTimeoutException",
        "Lambda couldn't restore the snapshot within the timeout limit.",
        408,
        where);
}

Error NotSupported(std::string_view what, source_location where) {
    return InvalidParameterValue(fmt::format("Hearth does not support {} yet.", what), where);
}

}  // namespace hearth::lambda::errors
