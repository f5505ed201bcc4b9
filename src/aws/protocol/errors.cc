#include "aws/protocol/errors.h"

#include "aws/protocol/protocol.h"
#include "aws/protocol/rest_xml.h"
#include "aws/protocol/rest_xml_errors.h"
#include "aws/protocol/xml.h"
#include "codec/json/json.h"

#include <fmt/format.h>

namespace hearth::aws::protocol {
namespace errors {

Error Serialization(
    const model::Service& service, std::string message, std::source_location where) {
    if (service.protocol == model::Protocol::kRestXml) {
        return MalformedXml(where);
    }
    const bool query = service.protocol == model::Protocol::kQuery;
    return Error(
        Error::Kind::kInvalid,
        query ? "MalformedInput" : "SerializationException",
        std::move(message),
        400,
        where);
}

Error UnknownOperation(
    const model::Service& service, std::string_view operation, std::source_location where) {
    switch (service.protocol) {
        case model::Protocol::kQuery:
            return Error(
                Error::Kind::kInvalid,
                "InvalidAction",
                fmt::format(
                    "Could not find operation {} for version {}", operation, service.api_version),
                400,
                where);
        case model::Protocol::kRestJson:
            return Error(
                Error::Kind::kNotFound,
                "UnknownOperationException",
                "The requested operation does not exist.",
                404,
                where);
        case model::Protocol::kRestXml:
            return MethodNotAllowed("", "OBJECT", where);
        case model::Protocol::kJson10:
        case model::Protocol::kJson11:
            break;
    }
    return Error(
        Error::Kind::kInvalid,
        "UnknownOperationException",
        fmt::format("The operation {} does not exist.", operation),
        400,
        where);
}

Error MissingAction(std::source_location where) {
    return Error(
        Error::Kind::kInvalid,
        "MissingAction",
        "The request must contain the parameter Action.",
        400,
        where);
}

Error Validation(const model::Service& service, std::string message, std::source_location where) {
    return Error(
        Error::Kind::kInvalid,
        std::string(service.validation_code),
        std::move(message),
        400,
        where);
}

}  // namespace errors

namespace {

struct WireError {
    std::string code;
    std::string message;
    int status;
};

// The store's words for a lost answer, which the client may try again, and for a full disk: no
// codes of AWS.
constexpr std::string_view kLost = "Unknown";
constexpr std::string_view kNoRoom = "NoRoom";
constexpr const char* kDiskIsFull =
    "There is no room on the disk of this cloud: nothing is written until there is, and what is "
    "there can be read.";

bool IsOfTheStore(const Error& error) {
    return error.kind() == Error::Kind::kUnavailable &&
           (error.code() == kLost || error.code() == kNoRoom);
}

// Kinds without an AWS code come from below the services. What happened there is for the log, not
// for the client, where it could say something about others.
WireError Translate(const Error& error, bool query) {
    if (!error.code().empty() && error.kind() != Error::Kind::kInternal && !IsOfTheStore(error)) {
        return {error.code(), error.message(), error.http_status()};
    }
    switch (error.kind()) {
        case Error::Kind::kInvalid:
            return {query ? "ValidationError" : "ValidationException", error.message(), 400};
        case Error::Kind::kNotFound:
            return {query ? "NoSuchEntity" : "ResourceNotFoundException", error.message(), 404};
        case Error::Kind::kDenied:
            return {query ? "AccessDenied" : "AccessDeniedException", error.message(), 403};
        case Error::Kind::kConflict:
            // A storage conflict that outlived its retries.
        case Error::Kind::kThrottled:
            return {query ? "Throttling" : "ThrottlingException", "Rate exceeded", 400};
        case Error::Kind::kUnavailable:
            return {
                query ? "ServiceUnavailable" : "ServiceUnavailableException",
                error.code() == kNoRoom
                    ? kDiskIsFull
                    : "Service is unable to process the request. Please try again.",
                503};
        case Error::Kind::kUnimplemented:
            return {query ? "NotImplemented" : "NotImplementedException", error.message(), 501};
        case Error::Kind::kInternal:
            break;
    }
    if (!error.code().empty()) {
        return {error.code(), error.message(), error.http_status()};
    }
    return {
        query ? "InternalFailure" : "InternalServiceException",
        "The request processing has failed because of an unknown error, exception or failure.",
        500};
}

// S3's names for the kinds that come without one. What is busy says SlowDown, at which every SDK
// waits and tries again.
WireError TranslateForS3(const Error& error) {
    if (!error.code().empty() && error.kind() != Error::Kind::kInternal && !IsOfTheStore(error)) {
        return {error.code(), error.message(), error.http_status()};
    }
    switch (error.kind()) {
        case Error::Kind::kInvalid:
            return {"InvalidRequest", error.message(), 400};
        case Error::Kind::kNotFound:
            return {"NoSuchKey", error.message(), 404};
        case Error::Kind::kDenied:
            return {"AccessDenied", "Access Denied", 403};
        case Error::Kind::kConflict:
        case Error::Kind::kThrottled:
            return {"SlowDown", "Please reduce your request rate.", 503};
        case Error::Kind::kUnavailable:
            return {
                "ServiceUnavailable",
                error.code() == kNoRoom ? kDiskIsFull : "Please reduce your request rate.",
                503};
        case Error::Kind::kUnimplemented:
            return {"NotImplemented", error.message(), 501};
        case Error::Kind::kInternal:
            break;
    }
    return {"InternalError", "We encountered an internal error. Please try again.", 500};
}

Answer EncodeRestXmlError(const Error& error, std::string_view request_id) {
    const WireError wire = TranslateForS3(error);
    const std::string host_id = HostId(request_id);
    Answer answer;
    answer.status = wire.status;
    answer.headers.emplace_back("x-amz-request-id", std::string(request_id));
    answer.headers.emplace_back("x-amz-id-2", host_id);
    // "Not Modified" never has a body.
    if (wire.status == 304) {
        return answer;
    }
    XmlWriter writer(XmlWriter::Controls::kReferenced);
    writer.Declaration();
    writer.Open("Error");
    writer.Text("Code", wire.code);
    writer.Text("Message", wire.message);
    for (const auto& [name, value] : error.fields()) {
        writer.Text(name, value);
    }
    writer.Text("RequestId", request_id);
    writer.Text("HostId", host_id);
    writer.Close("Error");
    answer.headers.emplace_back("content-type", "application/xml");
    answer.body = writer.Take();
    return answer;
}

Answer EncodeJsonError(
    const WireError& wire,
    const Error& error,
    model::Protocol protocol,
    const model::ErrorInfo* info,
    std::string_view request_id) {
    const bool rest = protocol == model::Protocol::kRestJson;
    Answer answer;
    answer.status = wire.status;
    codec::JsonWriter writer;
    writer.BeginObject();
    if (!rest) {
        writer.Key("__type");
        writer.String(info != nullptr && !info->json_type.empty() ? info->json_type : wire.code);
    }
    for (const auto& [name, value] : error.fields()) {
        writer.Key(name);
        writer.String(value);
    }
    writer.Key(info != nullptr ? info->message_member : "message");
    writer.String(wire.message);
    writer.EndObject();
    answer.body = writer.Take();
    answer.headers.emplace_back(
        "Content-Type",
        rest                                   ? "application/json"
        : protocol == model::Protocol::kJson10 ? "application/x-amz-json-1.0"
                                               : "application/x-amz-json-1.1");
    answer.headers.emplace_back("x-amzn-RequestId", std::string(request_id));
    // SQS has its codes in other places, where its clients look after this one.
    if (info == nullptr || info->json_type.empty()) {
        answer.headers.emplace_back("x-amzn-ErrorType", wire.code);
    }
    return answer;
}

Answer EncodeQueryError(
    const WireError& wire,
    const Error& error,
    std::string_view xml_namespace,
    std::string_view request_id) {
    XmlWriter writer;
    writer.Open("ErrorResponse", xml_namespace);
    writer.Open("Error");
    writer.Text("Type", wire.status < 500 ? "Sender" : "Receiver");
    writer.Text("Code", wire.code);
    writer.Text("Message", wire.message);
    for (const auto& [name, value] : error.fields()) {
        writer.Text(name, value);
    }
    writer.Close("Error");
    writer.Text("RequestId", request_id);
    writer.Close("ErrorResponse");
    Answer answer;
    answer.status = wire.status;
    answer.headers.emplace_back("Content-Type", "text/xml");
    answer.headers.emplace_back("x-amzn-RequestId", std::string(request_id));
    answer.body = writer.Take();
    return answer;
}

}  // namespace

Answer EncodeError(const model::Service& service, const Error& error, std::string_view request_id) {
    if (service.protocol == model::Protocol::kRestXml) {
        return EncodeRestXmlError(error, request_id);
    }
    const bool query = service.protocol == model::Protocol::kQuery;
    WireError wire = Translate(error, query);
    // Lambda's own names for two of them.
    if (service.protocol == model::Protocol::kRestJson && error.code().empty()) {
        if (error.kind() == Error::Kind::kInternal) {
            wire.code = "ServiceException";
        } else if (wire.code == "ThrottlingException") {
            wire.code = "TooManyRequestsException";
            wire.status = 429;
        }
    }
    const model::ErrorInfo* info = service.FindError(wire.code);
    if (query) {
        if (info != nullptr && !info->query_code.empty()) {
            wire.code = info->query_code;
            if (!info->query_message.empty()) {
                wire.message = info->query_message;
            }
        }
        return EncodeQueryError(wire, error, service.xml_namespace, request_id);
    }
    Answer answer = EncodeJsonError(wire, error, service.protocol, info, request_id);
    if (service.query_form != nullptr) {
        // What the same error is called in the older protocol; clients of both look at it first.
        answer.headers.emplace_back(
            "x-amzn-query-error",
            fmt::format(
                "{};{}",
                info != nullptr && !info->query_code.empty() ? info->query_code : wire.code,
                wire.status < 500 ? "Sender" : "Receiver"));
    }
    return answer;
}

Answer EncodeErrorWithoutService(const Error& error, std::string_view request_id) {
    return EncodeJsonError(
        Translate(error, false), error, model::Protocol::kJson11, nullptr, request_id);
}

Error NotImplemented(const model::Service& service, const model::Operation& operation) {
    return Error(
        Error::Kind::kUnimplemented,
        service.protocol == model::Protocol::kQuery || service.protocol == model::Protocol::kRestXml
            ? "NotImplemented"
            : "NotImplementedException",
        fmt::format(
            "Hearth does not have the operation {} of {}.", operation.name, service.service_id),
        501);
}

}  // namespace hearth::aws::protocol
