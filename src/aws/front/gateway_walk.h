#pragma once

#include "aws/front/gateway.h"
#include "base/log.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

// What the files of the gateway share of a request on its way. Internal to aws/front.
namespace hearth::aws {

// Longer than any function may run, so the gateway never gives up before the service does.
inline constexpr std::chrono::minutes kRequestTimeMax{16};

inline http::Response ToResponse(protocol::Answer answer) {
    http::Response response;
    response.status = answer.status;
    response.headers = std::move(answer.headers);
    response.body = std::move(answer.body);
    return response;
}

inline Error TooMuchAtOnce() {
    return Error(
        Error::Kind::kUnavailable,
        "ServiceUnavailable",
        "Too many requests at once. Please try again.",
        503);
}

inline Error ForeignPage() {
    return Error(
        Error::Kind::kDenied,
        "AccessDeniedException",
        "A web page of another origin may call only with a verified signature.",
        403);
}

// What is known of a request on its way.
struct Gateway::Walk {
    std::string request_id;
    MonotonicClock::time_point began;
    protocol::Headers headers;
    protocol::RequestParts parts;
    std::string body;
    const model::Service* service = nullptr;
    const model::Operation* operation = nullptr;
    std::string caller_arn;
    // Of the answer, when it is an error.
    std::string error_code;

    http::Response Fail(const Error& error) {
        // Our own troubles; a refusal for lack of room is a metric, not a line per request.
        if (error.kind() == Error::Kind::kInternal ||
            (error.kind() == Error::Kind::kUnavailable && error.code().empty())) {
            log::Warn(
                "{} {} {}: {} ({}:{})",
                request_id,
                service == nullptr ? "-" : service->name,
                operation == nullptr ? "-" : operation->name,
                error.message(),
                error.where().file_name(),
                error.where().line());
        }
        error_code = error.code();
        return ToResponse(
            service == nullptr ? protocol::EncodeErrorWithoutService(error, request_id)
                               : protocol::EncodeError(*service, error, request_id));
    }
};

// A request's place among all requests, and among those of its door.
struct Gateway::Room {
    Admission::Place cloud;
    Admission::Place door;

    bool AddBodyBytes(uint64_t bytes) {
        return (!door || door.AddBodyBytes(bytes)) && cloud.AddBodyBytes(bytes);
    }
};

// What the last steps of a walk, from decoding to the answer, need of the first.
struct Gateway::Call {
    http::Request& request;
    const DoorIdentity* door;
    Room& room;
    Walk& walk;
    const protocol::Match& match;
    const OperationTable::Entry& entry;
    Authenticator::Identity& identity;
    // Of operations that pull it.
    RequestBody* body = nullptr;
    RequestContext::SignedBy signed_by = RequestContext::SignedBy::kNothing;
};

}  // namespace hearth::aws
