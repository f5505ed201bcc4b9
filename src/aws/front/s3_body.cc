#include "aws/front/s3_body.h"

#include "aws/auth/s3_errors.h"
#include "http/errors.h"

#include <algorithm>
#include <charconv>

namespace hearth::aws {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kTrailersMax = 8;

std::string_view Find(const S3Body::Headers& headers, std::string_view name) {
    for (const auto& [header, value] : headers) {
        if (header == name) {
            return value;
        }
    }
    return {};
}

std::optional<uint64_t> ParseLength(std::string_view text) {
    uint64_t length = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
    if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
        return std::nullopt;
    }
    return length;
}

std::vector<std::string> SplitNames(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        std::string_view name = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        while (name.starts_with(' ')) {
            name.remove_prefix(1);
        }
        while (name.ends_with(' ')) {
            name.remove_suffix(1);
        }
        if (!name.empty()) {
            names.push_back(http::LowerCase(name));
        }
    }
    return names;
}

// The connection's trouble in S3's words.
Error ReadError(const Error& error) {
    return error.http_status() == 408 ? s3_errors::RequestTimeout() : s3_errors::IncompleteBody();
}

}  // namespace

S3Body::S3Body(http::BodyReader& body, S3Payload payload)
    : body_(body), payload_(std::move(payload)) {
    if (payload_.kind == S3Payload::Kind::kHashed) {
        hash_.emplace();
    }
}

Result<std::unique_ptr<S3Body>> S3Body::Open(
    http::BodyReader& body, const Headers& headers, Options options) {
    const std::optional<uint64_t> received = body.Length();
    std::unique_ptr<S3Body> made(new S3Body(body, std::move(options.payload)));
    const S3Payload& payload = made->payload_;
    if (payload.chunked()) {
        made->length_ = ParseLength(Find(headers, "x-amz-decoded-content-length"));
        if (!made->length_) {
            return s3_errors::MissingContentLength();
        }
    } else {
        made->length_ = received;
        if (options.needs_length) {
            if (!received) {
                return s3_errors::NotImplementedHeader("Transfer-Encoding");
            }
            if (*received == 0 && Find(headers, "content-length").empty()) {
                return s3_errors::MissingContentLength();
            }
        }
    }
    if (made->length_.value_or(0) > options.bytes_max) {
        return options.needs_length ? s3_errors::EntityTooLarge(*made->length_, options.bytes_max)
                                    : s3_errors::MaxMessageLengthExceeded(options.bytes_max);
    }
    if (payload.chunked()) {
        AwsChunkedDecoder::Options decoding;
        decoding.signatures = payload.kind != S3Payload::Kind::kUnsignedChunksTrailers;
        if (decoding.signatures) {
            decoding.signing = std::move(options.signing);
        }
        decoding.trailers = payload.kind != S3Payload::Kind::kSignedChunks;
        if (decoding.trailers) {
            decoding.announced_trailers = SplitNames(Find(headers, "x-amz-trailer"));
            if (decoding.announced_trailers.size() > kTrailersMax) {
                return s3_errors::MalformedTrailer();
            }
        }
        decoding.decoded_bytes = *made->length_;
        made->decoder_ = std::make_unique<AwsChunkedDecoder>(std::move(decoding));
    }
    return made;
}

Task<Result<size_t>> S3Body::Read(std::span<char> into) {
    return decoder_ ? ReadChunked(into) : ReadPlain(into);
}

Task<Result<size_t>> S3Body::ReadPlain(std::span<char> into) {
    const auto read = co_await body_.Read(into);
    if (!read.ok()) {
        co_return ReadError(read.error());
    }
    if (*read > 0) {
        if (hash_) {
            hash_->Update({into.data(), *read});
        }
    } else if (hash_ && !checked_) {
        checked_ = true;
        if (const std::string computed = codec::Hex(hash_->Finish()); computed != payload_.sha256) {
            co_return s3_errors::ContentSha256Mismatch(payload_.sha256, computed);
        }
    }
    co_return *read;
}

Task<Result<size_t>> S3Body::ReadChunked(std::span<char> into) {
    while (true) {
        if (buffer_at_ < buffer_end_) {
            const auto step =
                decoder_->Decode({buffer_.data() + buffer_at_, buffer_end_ - buffer_at_}, into);
            buffer_at_ += step.consumed;
            if (decoder_->error()) {
                co_return *decoder_->error();
            }
            if (step.produced > 0) {
                co_return step.produced;
            }
            continue;
        }
        // In the middle of a chunk the bytes go where they shall stay.
        const uint64_t ahead = decoder_->PayloadBytesAhead();
        const bool direct = ahead >= kBufferBytes / 2;
        if (!direct && buffer_.empty()) {
            buffer_.resize(kBufferBytes);
        }
        const std::span<char> target =
            direct ? into.first(std::min<uint64_t>(into.size(), ahead)) : std::span(buffer_);
        const auto read = co_await body_.Read(target);
        if (!read.ok()) {
            co_return ReadError(read.error());
        }
        if (*read == 0) {
            decoder_->Finish();
            if (decoder_->error()) {
                co_return *decoder_->error();
            }
            co_return size_t{0};
        }
        if (direct) {
            decoder_->Take({into.data(), *read});
            co_return *read;
        }
        buffer_at_ = 0;
        buffer_end_ = *read;
    }
}

}  // namespace hearth::aws
