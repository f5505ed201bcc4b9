#include "aws/protocol/rest_xml_errors.h"

#include "aws/protocol/rest_xml.h"

#include <fmt/format.h>

namespace hearth::aws::protocol::errors {

Error MalformedXml(std::source_location where) {
    return Error(
        Error::Kind::kInvalid,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        400,
        where);
}

Error InvalidUri(std::source_location where) {
    return Error(
        Error::Kind::kInvalid, "InvalidURI", "Couldn't parse the specified URI.", 400, where);
}

Error InvalidArgument(
    std::string message,
    std::string_view name,
    std::string_view value,
    std::source_location where) {
    return Error(Error::Kind::kInvalid, "InvalidArgument", std::move(message), 400, where)
        .WithField("ArgumentName", std::string(name))
        .WithField("ArgumentValue", std::string(value));
}

Error InvalidRequest(std::string message, std::source_location where) {
    return Error(Error::Kind::kInvalid, "InvalidRequest", std::move(message), 400, where);
}

Error MethodNotAllowed(
    std::string_view method, std::string_view resource_type, std::source_location where) {
    return Error(
               Error::Kind::kInvalid,
               "MethodNotAllowed",
               "The specified method is not allowed against this resource.",
               405,
               where)
        .WithField("Method", std::string(method))
        .WithField("ResourceType", std::string(resource_type));
}

Error MissingRequestBody(std::source_location where) {
    return Error(
        Error::Kind::kInvalid, "MissingRequestBodyError", "Request Body is empty", 400, where);
}

Error KeyTooLong(size_t bytes, std::source_location where) {
    return Error(Error::Kind::kInvalid, "KeyTooLongError", "Your key is too long", 400, where)
        .WithField("Size", fmt::to_string(bytes))
        .WithField("MaxSizeAllowed", fmt::to_string(kObjectKeyBytesMax));
}

Error InvalidStorageClass(std::string_view storage_class, std::source_location where) {
    return Error(
               Error::Kind::kInvalid,
               "InvalidStorageClass",
               "The storage class you specified is not valid",
               400,
               where)
        .WithField("StorageClassRequested", std::string(storage_class));
}

}  // namespace hearth::aws::protocol::errors
