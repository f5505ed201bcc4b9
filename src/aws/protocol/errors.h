#pragma once

#include "aws/model/descriptor.h"
#include "base/error.h"

#include <source_location>
#include <string>
#include <string_view>

// What the protocols themselves answer, before a service is asked.
namespace hearth::aws::protocol::errors {

// The body is no value of the operation's shape: SerializationException, MalformedInput for query.
Error Serialization(
    const model::Service& service,
    std::string message,
    std::source_location where = std::source_location::current());

Error UnknownOperation(
    const model::Service& service,
    std::string_view operation,
    std::source_location where = std::source_location::current());

// A query request without Action.
Error MissingAction(std::source_location where = std::source_location::current());

Error Validation(
    const model::Service& service,
    std::string message,
    std::source_location where = std::source_location::current());

}  // namespace hearth::aws::protocol::errors
