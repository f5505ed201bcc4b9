#include "aws/auth/s3_errors.h"
#include "aws/auth/s3_signature.h"
#include "aws/front/cross_origin.h"
#include "aws/front/gateway_walk.h"
#include "aws/front/limits.h"
#include "aws/front/s3_body.h"
#include "aws/protocol/rest_xml_integrity.h"

#include <algorithm>
#include <memory>
#include <optional>

// The gateway's walk for S3, steps 3 to 5. It differs from all others: the bucket may stand in the
// Host header, the head is verified before any byte of the body is read, bodies flow to the
// operations that store them, and pages of other origins are let in by rules of the bucket.
namespace hearth::aws {
namespace {

// Memory that an upload on its way may hold: here, in the operation and in what stores it.
constexpr uint64_t kFlowingBytesHeld = 512 * 1024;
// Of a document, while it is read.
constexpr size_t kPieceBytes = 64 * 1024;

ServiceApi* Find(const Dispatcher& dispatcher, const model::Service* service) {
    for (ServiceApi* api : dispatcher.services()) {
        if (&api->Model() == service) {
            return api;
        }
    }
    return nullptr;
}

// The frame around the payload is no encoding of the object.
void RemoveChunkedEncoding(std::vector<std::pair<std::string, std::string>>& headers) {
    const auto header =
        std::ranges::find(headers, "content-encoding", &std::pair<std::string, std::string>::first);
    if (header == headers.end()) {
        return;
    }
    std::string kept;
    std::string_view rest = header->second;
    while (!rest.empty()) {
        const size_t comma = rest.find(',');
        std::string_view coding = rest.substr(0, comma);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        while (coding.starts_with(' ')) {
            coding.remove_prefix(1);
        }
        while (coding.ends_with(' ')) {
            coding.remove_suffix(1);
        }
        if (!coding.empty() && !http::EqualsIgnoringCase(coding, "aws-chunked")) {
            kept += kept.empty() ? "" : ",";
            kept += coding;
        }
    }
    if (kept.empty()) {
        headers.erase(header);
    } else {
        header->second = std::move(kept);
    }
}

// S3's request ids are sixteen digits.
std::string ShortId(std::string_view uuid) {
    std::string id;
    for (const char c : uuid) {
        if (c != '-' && id.size() < 16) {
            id += c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
        }
    }
    return id;
}

// For the answer 405: what would have been taken where the request went.
std::string AllowedMethods(const model::Service& service, protocol::RequestParts parts) {
    std::string allowed;
    for (const std::string_view method : {"HEAD", "GET", "PUT", "POST", "DELETE"}) {
        parts.method = method;
        if (protocol::FindOperation(service, parts).ok()) {
            allowed += allowed.empty() ? "" : ", ";
            allowed += method;
        }
    }
    return allowed;
}

Task<Result<std::string>> ReadDocument(RequestBody& body, uint64_t bytes_max) {
    std::string text;
    std::vector<char> piece(
        std::min<uint64_t>(kPieceBytes, body.Length().value_or(kPieceBytes)) + 1);
    for (;;) {
        HEARTH_CO_TRY(const size_t read, co_await body.Read(piece));
        if (read == 0) {
            co_return text;
        }
        if (text.size() + read > bytes_max) {
            co_return s3_errors::MaxMessageLengthExceeded(bytes_max);
        }
        text.append(piece.data(), read);
    }
}

}  // namespace

Task<http::Response> Gateway::HandleS3(
    http::Request& request, const DoorIdentity* door, Room& room, Walk& walk) {
    walk.request_id = ShortId(walk.request_id);
    const std::string path = Router::PathOfS3(walk.parts);
    const std::string origin(walk.parts.Header("origin"));
    CrossOriginRules* const rules =
        origin.empty() ? nullptr : Find(parts_.dispatcher, walk.service)->CrossOrigin();

    // 3a. A browser asks before it calls. Nothing of it is signed.
    if (request.method == "OPTIONS") {
        const std::string_view method = walk.parts.Header("access-control-request-method");
        if (origin.empty() || method.empty()) {
            co_return walk.Fail(Error(
                Error::Kind::kInvalid,
                "BadRequest",
                origin.empty() ? "Insufficient information. Origin request header needed."
                               : "Invalid Access-Control-Request-Method: null",
                400));
        }
        std::optional<CrossOriginRules::Headers> headers;
        if (rules != nullptr) {
            auto answer = co_await rules->Ask(
                {.path = path,
                 .origin = origin,
                 .method = method,
                 .request_headers = walk.parts.Header("access-control-request-headers"),
                 .preflight = true});
            if (!answer.ok()) {
                co_return walk.Fail(answer.error());
            }
            headers = *std::move(answer);
        }
        if (!headers) {
            co_return walk.Fail(Error(
                Error::Kind::kDenied,
                "AccessForbidden",
                "CORSResponse: This CORS request is not allowed. This is usually because the "
                "evalution of Origin, request method / Access-Control-Request-Method or "
                "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
                403));
        }
        http::Response response;
        response.headers = *std::move(headers);
        response.headers.emplace_back("x-amz-request-id", walk.request_id);
        co_return response;
    }

    std::optional<CrossOriginRules::Headers> allowed;
    if (rules != nullptr) {
        auto answer = co_await rules->Ask(
            {.path = path,
             .origin = origin,
             .method = request.method,
             .request_headers = {},
             .preflight = false});
        if (answer.ok()) {
            allowed = *std::move(answer);
        }
    }
    // What the walk has of the path is as received, for the signature.
    // A POST to a bucket without a sub-resource is a browser's form.
    const bool is_form = request.method == "POST" && walk.parts.query.empty() && path.size() > 1 &&
                         path.find('/', 1) == std::string::npos;
    http::Response response =
        is_form ? co_await HandleS3Form(request, door, room, walk, path, allowed.has_value())
                : co_await AnswerS3(request, door, room, walk, path, allowed.has_value());
    // It pointed into what ends here.
    walk.parts = {};
    if (allowed) {
        for (auto& header : *allowed) {
            response.headers.push_back(std::move(header));
        }
    }
    co_return response;
}

Task<http::Response> Gateway::AnswerS3(
    http::Request& request,
    const DoorIdentity* door,
    Room& room,
    Walk& walk,
    const std::string& path,
    bool origin_is_allowed) {
    // 3. Which operation, by the path in its one form.
    protocol::RequestParts routed = walk.parts;
    routed.path = path;
    std::optional<Error> route_error;
    protocol::Match match;
    if (auto found = protocol::FindOperation(*walk.service, routed); found.ok()) {
        match = *std::move(found);
        walk.operation = match.operation;
    } else {
        route_error = std::move(found).error();
    }

    // 4. Verify the head's signature, over the bytes as received.
    const SignedParts signed_parts{
        .method = walk.parts.method,
        .path = walk.parts.path,
        .query = walk.parts.query,
        .headers = walk.headers,
        .body = {}};
    auto signature = S3Signature::Read(signed_parts, path);
    if (!signature.ok()) {
        co_return walk.Fail(signature.error());
    }
    S3Body::Options body_options;
    Authenticator::Identity identity;
    auto signed_by = RequestContext::SignedBy::kNothing;
    if (S3Signature* claimed = signature->has_value() ? &**signature : nullptr) {
        auto found =
            co_await parts_.authenticator.IdentifyBy(*claimed, walk.service->signing_name, door);
        if (!found.ok()) {
            co_return walk.Fail(found.error());
        }
        identity = *std::move(found);
        if (auto expired = claimed->CheckExpiry(parts_.wall_clock.Now())) {
            co_return walk.Fail(*expired);
        }
        signed_by = claimed->presigned() ? RequestContext::SignedBy::kQuery
                                         : RequestContext::SignedBy::kHeader;
        body_options.payload = claimed->payload();
        body_options.signing = claimed->chunk_signing();
    } else {
        if (parts_.authenticator.enforce()) {
            co_return walk.Fail(s3_errors::AccessDenied());
        }
        identity = parts_.authenticator.Unsigned(door);
        if (const std::string_view stated = walk.parts.Header("x-amz-content-sha256");
            !stated.empty()) {
            auto payload = S3Payload::Parse(stated);
            if (!payload.ok()) {
                co_return walk.Fail(payload.error());
            }
            body_options.payload = *std::move(payload);
        }
    }
    walk.caller_arn = identity.caller.arn;
    const std::string_view origin = walk.parts.Header("origin");
    if (!origin.empty() && !origin_is_allowed && !identity.caller.verified &&
        !MayCallUnsigned(origin)) {
        co_return walk.Fail(s3_errors::AccessDenied(ForeignPage().message()));
    }
    if (route_error) {
        http::Response response = walk.Fail(*route_error);
        if (route_error->http_status() == 405) {
            response.headers.emplace_back("allow", AllowedMethods(*walk.service, routed));
        }
        co_return response;
    }
    const OperationTable::Entry* entry = parts_.dispatcher.Find(*walk.service, *walk.operation);
    if (entry == nullptr) {
        co_return walk.Fail(protocol::NotImplemented(*walk.service, *walk.operation));
    }

    // 5. The body: opened for the operations that pull it, else read, under its limit and within
    //    the memory for all bodies.
    const bool flows = walk.operation->StreamingInput() != nullptr;
    const bool chunked = body_options.payload.chunked();
    body_options.needs_length = flows;
    body_options.bytes_max = flows ? kObjectBytesMax : BodyBytesMax(*walk.service, walk.operation);
    const uint64_t bytes_max = body_options.bytes_max;
    auto body = S3Body::Open(*request.body, walk.headers, std::move(body_options));
    if (!body.ok()) {
        co_return walk.Fail(body.error());
    }
    const uint64_t length = (*body)->Length().value_or(bytes_max);
    if (!room.AddBodyBytes(flows ? std::min(length, kFlowingBytesHeld) : length)) {
        refused_.Add();
        co_return walk.Fail(
            Error(Error::Kind::kThrottled, "SlowDown", "Please reduce your request rate.", 503));
    }
    if (chunked) {
        RemoveChunkedEncoding(walk.headers);
    }
    walk.parts.headers = walk.headers;
    walk.parts.path = path;
    if (!flows) {
        auto document = co_await ReadDocument(**body, bytes_max);
        if (!document.ok()) {
            co_return walk.Fail(document.error());
        }
        walk.body = *std::move(document);
        walk.parts.body = walk.body;
        // What headers promise is compared by the protocol, which knows whether they are members.
        if (auto kept = protocol::CheckTrailers((*body)->trailers(), walk.body); !kept.ok()) {
            co_return walk.Fail(kept.error());
        }
    }
    co_return co_await Perform(
        {.request = request,
         .door = door,
         .room = room,
         .walk = walk,
         .match = match,
         .entry = *entry,
         .identity = identity,
         .body = flows ? body->get() : nullptr,
         .signed_by = signed_by});
}

}  // namespace hearth::aws
