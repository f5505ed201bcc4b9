#pragma once

#include "base/error.h"
#include "services/sqs/queue_errors.h"

#include <cstdint>
#include <string>
#include <string_view>

// What the API answers itself; what queues answer is in queue_errors.h. Codes are those of the JSON
// protocol; the model knows what the query protocol calls them.
namespace hearth::sqs::errors {

// One name for all errors of SQS, above the engine.
using namespace queue_errors;

Error MissingParameter(std::string_view name);
// "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: <reason>"
Error InvalidValueOf(std::string_view parameter, std::string_view value, std::string_view reason);
Error InvalidAttributeName(std::string message);
Error InvalidAttributeValue(std::string message);
Error InvalidMessageContents();
Error InvalidAddress(std::string_view url);
Error UnsupportedOperation(std::string message);
Error AccessDenied(std::string_view url);

// A queue of that name is there and differs in an attribute.
Error QueueDiffers(std::string_view attribute);

Error EmptyBatch(std::string_view entry_type);
Error TooManyEntries(size_t entries);
Error EntryIdsNotDistinct(std::string_view id);
Error InvalidEntryId();
Error BatchTooLong(size_t bytes);

// A setting that Hearth does not have.
Error NotImplemented(std::string_view what);

}  // namespace hearth::sqs::errors
