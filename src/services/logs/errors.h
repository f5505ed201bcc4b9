#pragma once

#include "base/error.h"

#include <source_location>
#include <string>

// CloudWatch Logs' own errors, with AWS's messages.
namespace hearth::logs::errors {

inline Error InvalidParameter(
    std::string message, std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kInvalid, "InvalidParameterException", std::move(message), 400, where);
}

inline Error NoSuchGroup(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kNotFound,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
        400,
        where);
}

inline Error NoSuchStream(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kNotFound,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
        400,
        where);
}

inline Error GroupExists(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kConflict,
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
        400,
        where);
}

inline Error StreamExists(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kConflict,
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
        400,
        where);
}

inline Error BadToken(std::source_location where = std::source_location::current()) {
    return InvalidParameter("The specified nextToken is invalid.", where);
}

inline Error Validation(
    std::string message, std::source_location where = std::source_location::current()) {
    return Error(Error::Kind::kInvalid, "ValidationException", std::move(message), 400, where);
}

}  // namespace hearth::logs::errors
