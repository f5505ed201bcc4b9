#include "services/sqs/queue_errors.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs::queue_errors {

Error QueueDoesNotExist() {
    return Error(
        Error::Kind::kNotFound, "QueueDoesNotExist", "The specified queue does not exist.", 400);
}

Error QueueNameExists(const std::string& name) {
    return Error(
        Error::Kind::kConflict,
        "QueueNameExists",
        fmt::format("A queue named {} already exists with other attributes.", name),
        400);
}

Error QueueDeletedRecently() {
    return Error(
        Error::Kind::kConflict,
        "QueueDeletedRecently",
        "You must wait 60 seconds after deleting a queue before you can create another with the "
        "same name.",
        400);
}

Error PurgeQueueInProgress(const std::string& name) {
    return Error(
        Error::Kind::kConflict,
        "PurgeQueueInProgress",
        fmt::format("Only one PurgeQueue operation on {} is allowed every 60 seconds.", name),
        403);
}

Error ReceiptHandleIsInvalid(const std::string& handle) {
    return Error(
        Error::Kind::kInvalid,
        "ReceiptHandleIsInvalid",
        fmt::format("The input receipt handle \"{}\" is not a valid receipt handle.", handle),
        404);
}

Error MessageNotInflight() {
    return Error(
        Error::Kind::kConflict,
        "MessageNotInflight",
        "The specified message isn't in flight.",
        400);
}

Error OverLimit(const std::string& message) {
    return Error(Error::Kind::kThrottled, "OverLimit", message, 403);
}

Error InvalidParameterValue(std::string message) {
    return Error(Error::Kind::kInvalid, "InvalidParameterValue", std::move(message), 400);
}

Error ResourceNotFound(std::string message) {
    return Error(Error::Kind::kNotFound, "ResourceNotFoundException", std::move(message), 404);
}

}  // namespace hearth::sqs::queue_errors
