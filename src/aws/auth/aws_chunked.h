#pragma once

#include "base/error.h"
#include "codec/crypto/crypto.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// S3's own encoding of uploads, "aws-chunked": chunks of stated size, each signed or none, and
// trailers behind the last one. It stands inside the HTTP body, however that is framed.
//
//     10000;chunk-signature=ad80c730…e4648b CRLF <65,536 bytes> CRLF
//     0;chunk-signature=b6c6ea8a…bac3d9 CRLF
//     x-amz-checksum-crc32c:sOO8/Q== CRLF
//     x-amz-trailer-signature:63bddb24…0843f CRLF CRLF
//
// Source: Amazon S3 API Reference, "Signature calculations for the Authorization header:
// transferring payload in multiple chunks", and the page on trailing headers, 2025.
namespace hearth::aws {

// A chunk smaller than this must be the last.
inline constexpr uint64_t kChunkBytesMin = 8192;

// With what the chunks of a request are signed: each signature covers the one before.
struct ChunkSigning {
    codec::Sha256Digest key{};
    std::string time_text;  // "20130524T000000Z"
    std::string scope;      // "20130524/us-east-1/s3/aws4_request"
    std::string seed;       // the signature of the request's head
    std::string key_id;     // for errors
};

// Takes such a body apart in pieces of any size, strictly: every byte is accounted for.
class AwsChunkedDecoder final {
  public:
    struct Options {
        // Each chunk has a signature; it is checked where `signing` is given.
        bool signatures = false;
        std::optional<ChunkSigning> signing;
        bool trailers = false;
        // Names that may and must come, in lower case.
        std::vector<std::string> announced_trailers;
        uint64_t decoded_bytes = 0;
    };

    explicit AwsChunkedDecoder(Options options) : options_(std::move(options)) {}

    struct Step {
        size_t consumed = 0;
        size_t produced = 0;
    };

    // Decodes from `in` into `out` until either is used up or it fails.
    Step Decode(std::string_view in, std::span<char> out);

    // So much of the input is payload and nothing else: a caller may receive it where it shall stay
    // and then call Take instead of Decode.
    uint64_t PayloadBytesAhead() const { return state_ == State::kData ? chunk_left_ : 0; }

    void Take(std::string_view payload);

    // The body around it has ended: all must be there.
    void Finish();

    const std::optional<Error>& error() const { return error_; }

    // After Finish.
    const std::vector<std::pair<std::string, std::string>>& trailers() const { return trailers_; }

  private:
    enum class State { kHeader, kData, kDataEnd, kTail, kDone };

    void Fail(Error error);
    void BeginChunk();
    void EndChunk();
    void ReadTrailers();
    // The signature that `kind` ("PAYLOAD") should have over a text with this hash, for errors too.
    bool CheckSignature(std::string_view kind, std::string_view hashes, std::string_view given);

    Options options_;
    State state_ = State::kHeader;
    // A chunk's header line, or what follows the last chunk.
    std::string line_;
    uint64_t chunk_left_ = 0;
    uint64_t chunk_bytes_ = 0;
    uint64_t decoded_ = 0;
    int chunks_ = 0;
    int line_ends_seen_ = 0;
    std::string chunk_signature_;
    std::optional<codec::Sha256Stream> hash_;
    std::vector<std::pair<std::string, std::string>> trailers_;
    std::optional<Error> error_;
};

}  // namespace hearth::aws
