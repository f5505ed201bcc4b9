#pragma once

#include "aws/auth/aws_chunked.h"
#include "aws/auth/s3_signature.h"
#include "aws/front/request_body.h"
#include "codec/crypto/crypto.h"
#include "http/message.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hearth::aws {

// The body of a request to S3: the HTTP body without S3's chunks, and with its promises kept.
class S3Body final : public RequestBody {
  public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    struct Options {
        S3Payload payload;
        // For signed chunks: what they are signed with; nullopt when nobody knows the key.
        std::optional<ChunkSigning> signing;
        // Its length must be known before (uploads).
        bool needs_length = false;
        // Of the decoded body.
        uint64_t bytes_max = 0;
    };

    // `body` outlives it; of the request's headers it keeps nothing.
    //   errors  MissingContentLength, NotImplemented (chunks of HTTP alone), EntityTooLarge,
    //           MalformedTrailerError; nothing has been read then
    static Result<std::unique_ptr<S3Body>> Open(
        http::BodyReader& body, const Headers& headers, Options options);

    std::optional<uint64_t> Length() const override { return length_; }

    Task<Result<size_t>> Read(std::span<char> into) override;

    const Headers& trailers() const override { return decoder_ ? decoder_->trailers() : none_; }

  private:
    S3Body(http::BodyReader& body, S3Payload payload);

    Task<Result<size_t>> ReadPlain(std::span<char> into);
    Task<Result<size_t>> ReadChunked(std::span<char> into);

    http::BodyReader& body_;
    const S3Payload payload_;
    std::optional<uint64_t> length_;
    std::optional<codec::Sha256Stream> hash_;
    bool checked_ = false;
    std::unique_ptr<AwsChunkedDecoder> decoder_;
    // Received and not decoded yet.
    std::vector<char> buffer_;
    size_t buffer_at_ = 0;
    size_t buffer_end_ = 0;
    const Headers none_;
};

}  // namespace hearth::aws
