#pragma once

#include "base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

// What S3 answers to signatures and bodies that are not as they should be. It words them unlike all
// other services and says in further elements what it saw. Source: Amazon S3 API Reference, "Error
// responses" and "Authenticating requests", 2025, and answers of the service.
namespace hearth::aws::s3_errors {

// Also: no signature where one is needed.
Error AccessDenied(std::string message = "Access Denied");
Error InvalidArgument(std::string message, std::string_view name, std::string_view value);
Error InvalidRequest(std::string message);
Error AuthorizationHeaderMalformed(std::string_view what);
Error AuthorizationQueryParameters(std::string message);
Error InvalidAccessKeyId(std::string_view key_id);
Error InvalidToken(std::string_view token);
Error ExpiredToken(std::string_view token);

// The texts that were signed, so that a client's author can compare.
struct Mismatch {
    std::string_view key_id;
    std::string_view string_to_sign;
    std::string_view signature;
    // Empty: there is none (chunks).
    std::string_view canonical_request;
};

Error SignatureDoesNotMatch(const Mismatch& mismatch);

Error ContentSha256Mismatch(std::string_view stated, std::string_view computed);
Error MissingContentLength();
Error IncompleteBody();
Error MalformedChunks(std::string_view why);
Error ChunkTooSmall(int chunk, uint64_t bytes);
Error MalformedTrailer();
Error RequestTimeout();
Error EntityTooLarge(uint64_t proposed, uint64_t max);
// Of a body that is a document.
Error MaxMessageLengthExceeded(uint64_t max);
Error NotImplementedHeader(std::string_view header);
Error MethodNotAllowed(std::string_view method);

}  // namespace hearth::aws::s3_errors
