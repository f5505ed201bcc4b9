#include "aws/auth/s3_errors.h"

#include <fmt/format.h>

namespace hearth::aws::s3_errors {
namespace {

using Kind = Error::Kind;

// What is repeated to the client of its own words.
constexpr size_t kRepeatedBytesMax = 1024;

std::string Some(std::string_view text) {
    return std::string(text.substr(0, kRepeatedBytesMax));
}

std::string AsHex(std::string_view text) {
    std::string out;
    out.reserve(text.size() * 3);
    for (const char c : text) {
        fmt::format_to(std::back_inserter(out), "{:02x} ", static_cast<uint8_t>(c));
    }
    out.resize(out.empty() ? 0 : out.size() - 1);
    return out;
}

}  // namespace

Error AccessDenied(std::string message) {
    return {Kind::kDenied, "AccessDenied", std::move(message), 403};
}

Error InvalidArgument(std::string message, std::string_view name, std::string_view value) {
    return Error(Kind::kInvalid, "InvalidArgument", std::move(message), 400)
        .WithField("ArgumentName", std::string(name))
        .WithField("ArgumentValue", Some(value));
}

Error InvalidRequest(std::string message) {
    return {Kind::kInvalid, "InvalidRequest", std::move(message), 400};
}

Error AuthorizationHeaderMalformed(std::string_view what) {
    return {
        Kind::kInvalid,
        "AuthorizationHeaderMalformed",
        fmt::format("The authorization header is malformed; {}", what),
        400};
}

Error AuthorizationQueryParameters(std::string message) {
    return {Kind::kInvalid, "AuthorizationQueryParametersError", std::move(message), 400};
}

Error InvalidAccessKeyId(std::string_view key_id) {
    return Error(
               Kind::kDenied,
               "InvalidAccessKeyId",
               "The AWS Access Key Id you provided does not exist in our records.",
               403)
        .WithField("AWSAccessKeyId", Some(key_id));
}

Error InvalidToken(std::string_view token) {
    return Error(
               Kind::kDenied,
               "InvalidToken",
               "The provided token is malformed or otherwise invalid.",
               400)
        .WithField("Token-0", Some(token));
}

Error ExpiredToken(std::string_view token) {
    return Error(Kind::kDenied, "ExpiredToken", "The provided token has expired.", 400)
        .WithField("Token-0", Some(token));
}

Error SignatureDoesNotMatch(const Mismatch& mismatch) {
    Error error =
        Error(
            Kind::kDenied,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your key and signing method.",
            403)
            .WithField("AWSAccessKeyId", Some(mismatch.key_id))
            .WithField("StringToSign", std::string(mismatch.string_to_sign))
            .WithField("SignatureProvided", Some(mismatch.signature))
            .WithField("StringToSignBytes", AsHex(mismatch.string_to_sign));
    if (mismatch.canonical_request.empty()) {
        return error;
    }
    return std::move(error)
        .WithField("CanonicalRequest", std::string(mismatch.canonical_request))
        .WithField("CanonicalRequestBytes", AsHex(mismatch.canonical_request));
}

Error ContentSha256Mismatch(std::string_view stated, std::string_view computed) {
    return Error(
               Kind::kInvalid,
               "XAmzContentSHA256Mismatch",
               "The provided 'x-amz-content-sha256' header does not match what was computed.",
               400)
        .WithField("ClientComputedContentSHA256", std::string(stated))
        .WithField("S3ComputedContentSHA256", std::string(computed));
}

Error MissingContentLength() {
    return {
        Kind::kInvalid,
        "MissingContentLength",
        "You must provide the Content-Length HTTP header.",
        411};
}

Error IncompleteBody() {
    return {Kind::kInvalid, "IncompleteBody", "The request body terminated unexpectedly", 400};
}

Error MalformedChunks(std::string_view why) {
    return InvalidRequest(fmt::format("The body is not encoded as aws-chunked: {}", why));
}

Error ChunkTooSmall(int chunk, uint64_t bytes) {
    return Error(
               Kind::kInvalid,
               "InvalidChunkSizeError",
               "Only the last chunk is allowed to have a size less than 8192 bytes",
               403)
        .WithField("Chunk", std::to_string(chunk))
        .WithField("BadChunkSize", std::to_string(bytes));
}

Error MalformedTrailer() {
    return {
        Kind::kInvalid,
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our "
        "published schema.",
        400};
}

Error RequestTimeout() {
    return {
        Kind::kInvalid,
        "RequestTimeout",
        "Your socket connection to the server was not read from or written to within the timeout "
        "period. Idle connections will be closed.",
        400};
}

Error EntityTooLarge(uint64_t proposed, uint64_t max) {
    return Error(
               Kind::kInvalid,
               "EntityTooLarge",
               "Your proposed upload exceeds the maximum allowed size",
               400)
        .WithField("ProposedSize", std::to_string(proposed))
        .WithField("MaxSizeAllowed", std::to_string(max));
}

Error MaxMessageLengthExceeded(uint64_t max) {
    return Error(Kind::kInvalid, "MaxMessageLengthExceeded", "Your request was too big.", 400)
        .WithField("MaxMessageLengthBytes", std::to_string(max));
}

Error NotImplementedHeader(std::string_view header) {
    return Error(
               Kind::kUnimplemented,
               "NotImplemented",
               "A header you provided implies functionality that is not implemented",
               501)
        .WithField("Header", std::string(header));
}

Error MethodNotAllowed(std::string_view method) {
    return Error(
               Kind::kInvalid,
               "MethodNotAllowed",
               "The specified method is not allowed against this resource.",
               405)
        .WithField("Method", Some(method));
}

}  // namespace hearth::aws::s3_errors
