#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hearth::aws {

// The payload of an operation that takes it as it comes (PutObject, UploadPart): the gateway has
// verified the head and reads nothing; the operation pulls. What the client promised about the
// bytes in its signature is checked on the way, so an operation makes nothing of them visible
// before Read has returned 0.
//
// Checked here: length, the payload's SHA-256 where it was signed, the signatures of chunks and of
// trailers. Not checked here: Content-MD5 and x-amz-checksum-*, from headers or trailers; the
// operation has these hashes of its own pass over the bytes.
//
// Lives as long as the request's context. On the connection's loop.
class RequestBody {
  public:
    virtual ~RequestBody() = default;

    // Of the payload itself, without the frames of chunks: x-amz-decoded-content-length or
    // Content-Length. nullopt: the client does not say (never so for S3's operations).
    virtual std::optional<uint64_t> Length() const = 0;

    // Up to into.size() bytes (not 0). 0 at the end, and only then all promises were kept.
    //   errors  as the service words them: XAmzContentSHA256Mismatch, SignatureDoesNotMatch,
    //           IncompleteBody, RequestTimeout, InvalidChunkSizeError, MalformedTrailerError.
    //           After one, Read is not called again.
    virtual Task<Result<size_t>> Read(std::span<char> into) = 0;

    // Headers that came behind the body, names in lower case: x-amz-checksum-*. After Read has
    // returned 0.
    virtual const std::vector<std::pair<std::string, std::string>>& trailers() const = 0;
};

}  // namespace hearth::aws
