#pragma once

#include "base/error.h"

#include <source_location>
#include <string>
#include <string_view>

// What S3's front answers before the service is asked.
// Source: S3 API Reference, "Error responses".
namespace hearth::aws::protocol::errors {

// The body is no XML, or not of the operation's schema.
Error MalformedXml(std::source_location where = std::source_location::current());

// A broken escape, or a path that is not UTF-8.
Error InvalidUri(std::source_location where = std::source_location::current());

// With the elements ArgumentName and ArgumentValue.
Error InvalidArgument(
    std::string message,
    std::string_view name,
    std::string_view value,
    std::source_location where = std::source_location::current());

Error InvalidRequest(
    std::string message, std::source_location where = std::source_location::current());

//   resource_type  "SERVICE", "BUCKET", "OBJECT", or the sub-resource in capitals
Error MethodNotAllowed(
    std::string_view method,
    std::string_view resource_type,
    std::source_location where = std::source_location::current());

Error MissingRequestBody(std::source_location where = std::source_location::current());

Error KeyTooLong(size_t bytes, std::source_location where = std::source_location::current());

Error InvalidStorageClass(
    std::string_view storage_class, std::source_location where = std::source_location::current());

}  // namespace hearth::aws::protocol::errors
