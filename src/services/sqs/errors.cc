#include "services/sqs/errors.h"

#include "services/sqs/limits.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs::errors {
namespace {

Error Invalid(const char* code, std::string message, int status = 400) {
    return Error(Error::Kind::kInvalid, code, std::move(message), status);
}

}  // namespace

Error MissingParameter(std::string_view name) {
    return Invalid(
        "MissingParameter", fmt::format("The request must contain the parameter {}.", name));
}

Error InvalidValueOf(std::string_view parameter, std::string_view value, std::string_view reason) {
    return Invalid(
        "InvalidParameterValue",
        fmt::format("Value {} for parameter {} is invalid. Reason: {}", value, parameter, reason));
}

Error InvalidAttributeName(std::string message) {
    return Invalid("InvalidAttributeName", std::move(message));
}

Error InvalidAttributeValue(std::string message) {
    return Invalid("InvalidAttributeValue", std::move(message));
}

Error InvalidMessageContents() {
    return Invalid(
        "InvalidMessageContents",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
        "#xE000 to #xFFFD | #x10000 to #x10FFFF");
}

Error InvalidAddress(std::string_view url) {
    return Invalid(
        "InvalidAddress",
        fmt::format("The address {} is not valid for this endpoint.", url.substr(0, 1024)),
        404);
}

Error UnsupportedOperation(std::string message) {
    return Invalid("UnsupportedOperation", std::move(message));
}

Error AccessDenied(std::string_view url) {
    return Error(
        Error::Kind::kDenied,
        "AccessDeniedException",
        fmt::format("Access to the resource {} is denied.", url.substr(0, 1024)),
        403);
}

Error QueueDiffers(std::string_view attribute) {
    return Error(
        Error::Kind::kConflict,
        "QueueNameExists",
        fmt::format(
            "A queue already exists with the same name and a different value for attribute {}",
            attribute),
        400);
}

Error EmptyBatch(std::string_view entry_type) {
    return Invalid(
        "EmptyBatchRequest",
        fmt::format("There should be at least one {} in the request.", entry_type));
}

Error TooManyEntries(size_t entries) {
    return Invalid(
        "TooManyEntriesInBatchRequest",
        fmt::format(
            "Maximum number of entries per request are {}. You have sent {}.",
            kBatchEntriesMax,
            entries));
}

Error EntryIdsNotDistinct(std::string_view id) {
    return Invalid("BatchEntryIdsNotDistinct", fmt::format("Id {} repeated.", id));
}

Error InvalidEntryId() {
    return Invalid(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It "
        "can be at most 80 letters long.");
}

Error BatchTooLong(size_t bytes) {
    return Invalid(
        "BatchRequestTooLong",
        fmt::format(
            "Batch requests cannot be longer than {} bytes. You have sent {} bytes.",
            kMessageBytesMax,
            bytes));
}

Error NotImplemented(std::string_view what) {
    return Error(
        Error::Kind::kUnimplemented,
        "NotImplementedException",
        fmt::format("Hearth does not have {} of SQS.", what),
        501);
}

}  // namespace hearth::sqs::errors
