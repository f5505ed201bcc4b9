#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// AWS Signature Version 4 in the Authorization header, both sides. The signature covers method,
// path, query, the named headers and the body exactly as received: nothing is decoded before the
// check. Source: "Create a signed AWS API request" in the IAM User Guide, 2025; order of the checks
// and their texts as AWS's own services answer them.
namespace hearth::aws {

// Further than this from our clock, a request is too old or too new.
inline constexpr std::chrono::minutes kSignatureSkewMax{5};
inline constexpr size_t kSignedHeadersMax = 128;

// What is signed. Views into the caller's buffers.
struct SignedParts {
    std::string_view method;
    std::string_view path;   // percent-encoded as received
    std::string_view query;  // likewise, without the '?'
    // Names in lower case, values without the white space around them.
    std::span<const std::pair<std::string, std::string>> headers;
    std::string_view body;
};

// What can be wrong with a signature; each protocol has its own code for it (auth/errors.h).
struct SignatureProblem {
    enum class Kind {
        kMissing,         // there is no signature at all
        kIncomplete,      // the header cannot be read
        kDoesNotMatch,    // wrong signature, time or scope
        kUnknownKey,      // the key id or session token is none of ours
        kExpiredSession,  // a session that has ended
    };

    Kind kind;
    std::string message;
};

// A read Authorization header. Views into the request's headers.
struct Authorization {
    std::string_view access_key_id;
    // The scope: 20260131, us-east-1, lambda, aws4_request.
    std::string_view scope_date;
    std::string_view region;
    std::string_view service;
    std::string_view terminator;
    // "20260131/us-east-1/lambda/aws4_request"
    std::string_view scope;
    std::string_view signed_headers;
    std::string_view signature;
    std::string_view session_token;
    // "20260131T100000Z", whichever header it came from.
    std::string time_text;
    WallClock::time_point time;
};

// Who the header says it is from, without looking at the rest: the credential scope's parts, or
// nullopt where there are none. For routing.
struct CredentialScope {
    std::string_view access_key_id;
    std::string_view region;
    std::string_view service;
};

std::optional<CredentialScope> PeekScope(std::string_view authorization_header);

// Reads the header; nothing is verified.
std::expected<Authorization, SignatureProblem> ParseAuthorization(const SignedParts& request);

// The part that needs no secret: time and scope. `service` is the signing name of the service that
// the request was routed to.
std::optional<SignatureProblem> CheckTimeAndScope(
    const Authorization& authorization, std::string_view service, WallClock::time_point now);

// nullopt: the signature was made with `secret` over this request.
std::optional<SignatureProblem> CheckSignature(
    const SignedParts& request, const Authorization& authorization, std::string_view secret);

// The text whose hash is signed.
std::string CanonicalRequest(const SignedParts& request, std::string_view signed_headers);

// The client's side, for the CLI and tests: headers to add to a request. `request.headers` must
// hold "host"; all of them are signed.
struct SigningKey {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;  // empty: none
};

std::vector<std::pair<std::string, std::string>> SignRequest(
    const SignedParts& request,
    const SigningKey& key,
    std::string_view region,
    std::string_view service,
    WallClock::time_point now);

}  // namespace hearth::aws
