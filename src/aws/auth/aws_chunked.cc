#include "aws/auth/aws_chunked.h"

#include "aws/auth/canonical_request.h"
#include "aws/auth/s3_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace hearth::aws {
namespace {

// "ffffffffffffffff;chunk-signature=" and 64 digits.
constexpr size_t kHeaderBytesMax = 128;
// Check sums and their signature.
constexpr size_t kTailBytesMax = 8 * 1024;
constexpr size_t kSignatureBytes = 64;
constexpr std::string_view kSignatureField = ";chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";
constexpr std::string_view kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

bool IsSignature(std::string_view text) {
    return text.size() == kSignatureBytes && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

std::string LowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lower;
}

}  // namespace

void AwsChunkedDecoder::Fail(Error error) {
    error_.emplace(std::move(error));
    state_ = State::kDone;
}

AwsChunkedDecoder::Step AwsChunkedDecoder::Decode(std::string_view in, std::span<char> out) {
    Step step;
    while (step.consumed < in.size() && !error_) {
        const std::string_view rest = in.substr(step.consumed);
        switch (state_) {
            case State::kHeader: {
                const size_t line_end = rest.find('\n');
                const std::string_view piece =
                    rest.substr(0, line_end == std::string_view::npos ? line_end : line_end + 1);
                if (line_.size() + piece.size() > kHeaderBytesMax) {
                    Fail(s3_errors::MalformedChunks("the header of a chunk is too long"));
                    break;
                }
                line_ += piece;
                step.consumed += piece.size();
                if (line_end != std::string_view::npos) {
                    BeginChunk();
                }
                break;
            }
            case State::kData: {
                const size_t count =
                    std::min<uint64_t>({chunk_left_, rest.size(), out.size() - step.produced});
                if (count == 0) {
                    return step;
                }
                std::memcpy(out.data() + step.produced, rest.data(), count);
                step.consumed += count;
                step.produced += count;
                Take(rest.substr(0, count));
                break;
            }
            case State::kDataEnd:
                if (rest[0] != (line_ends_seen_ == 0 ? '\r' : '\n')) {
                    Fail(s3_errors::MalformedChunks("a chunk is longer than it says"));
                    break;
                }
                ++step.consumed;
                if (++line_ends_seen_ == 2) {
                    EndChunk();
                }
                break;
            case State::kTail:
                if (line_.size() + rest.size() > kTailBytesMax) {
                    Fail(s3_errors::MalformedTrailer());
                    break;
                }
                line_ += rest;
                step.consumed += rest.size();
                break;
            case State::kDone:
                Fail(s3_errors::MalformedChunks("something follows its end"));
                break;
        }
    }
    return step;
}

void AwsChunkedDecoder::BeginChunk() {
    std::string_view line = line_;
    if (!line.ends_with("\r\n")) {
        Fail(s3_errors::MalformedChunks("a line does not end with CR and LF"));
        return;
    }
    line.remove_suffix(2);
    const std::string_view digits = line.substr(0, line.find(';'));
    const std::string_view extension = line.substr(digits.size());
    uint64_t size = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
        Fail(s3_errors::MalformedChunks("the size of a chunk is no hexadecimal number"));
        return;
    }
    if (options_.signatures) {
        if (!extension.starts_with(kSignatureField) ||
            !IsSignature(extension.substr(kSignatureField.size()))) {
            Fail(s3_errors::MalformedChunks("a chunk has no signature"));
            return;
        }
        chunk_signature_ = extension.substr(kSignatureField.size());
    } else if (!extension.empty()) {
        Fail(s3_errors::MalformedChunks("a chunk has an extension"));
        return;
    }
    if (size > options_.decoded_bytes - decoded_) {
        Fail(s3_errors::IncompleteBody());
        return;
    }
    if (size > 0 && chunks_ > 0 && chunk_bytes_ < kChunkBytesMin) {
        Fail(s3_errors::ChunkTooSmall(chunks_, chunk_bytes_));
        return;
    }
    ++chunks_;
    line_.clear();
    chunk_bytes_ = size;
    chunk_left_ = size;
    if (options_.signing) {
        hash_.emplace();
    }
    if (size == 0) {
        EndChunk();
    } else {
        state_ = State::kData;
    }
}

void AwsChunkedDecoder::Take(std::string_view payload) {
    if (hash_) {
        hash_->Update(payload);
    }
    chunk_left_ -= payload.size();
    decoded_ += payload.size();
    if (chunk_left_ == 0) {
        state_ = State::kDataEnd;
        line_ends_seen_ = 0;
    }
}

bool AwsChunkedDecoder::CheckSignature(
    std::string_view kind, std::string_view hashes, std::string_view given) {
    ChunkSigning& signing = *options_.signing;
    const std::string to_sign = fmt::format(
        "{}-{}\n{}\n{}\n{}\n{}",
        kSignatureAlgorithm,
        kind,
        signing.time_text,
        signing.scope,
        signing.seed,
        hashes);
    const std::string expected = codec::Hex(codec::HmacSha256(signing.key, to_sign));
    if (!codec::EqualInConstantTime(expected, given)) {
        Fail(s3_errors::SignatureDoesNotMatch(
            {.key_id = signing.key_id,
             .string_to_sign = to_sign,
             .signature = given,
             .canonical_request = {}}));
        return false;
    }
    signing.seed = expected;
    return true;
}

void AwsChunkedDecoder::EndChunk() {
    if (hash_) {
        const std::string hashes =
            fmt::format("{}\n{}", kHashOfNothing, codec::Hex(hash_->Finish()));
        hash_.reset();
        if (!CheckSignature("PAYLOAD", hashes, chunk_signature_)) {
            return;
        }
    }
    state_ = chunk_bytes_ == 0 ? State::kTail : State::kHeader;
}

void AwsChunkedDecoder::Finish() {
    if (error_ || state_ == State::kDone) {
        return;
    }
    if (state_ != State::kTail || decoded_ != options_.decoded_bytes) {
        Fail(s3_errors::IncompleteBody());
        return;
    }
    if (options_.trailers) {
        ReadTrailers();
    } else if (!line_.empty() && line_ != "\r\n") {
        Fail(s3_errors::MalformedChunks("something follows its end"));
    }
    if (!error_) {
        state_ = State::kDone;
    }
}

// Line ends are taken as clients write them: CR LF, or LF alone as the page of the reference has
// it, with empty lines anywhere. Nothing depends on where exactly the section ends, because the
// body around it says so.
void AwsChunkedDecoder::ReadTrailers() {
    std::string signed_text;
    std::optional<std::string> signature;
    std::string_view rest = line_;
    while (!rest.empty()) {
        std::string_view line = TakeUntil(rest, '\n');
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.empty()) {
            continue;
        }
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0 || signature ||
            line.find('\r') != std::string_view::npos) {
            Fail(s3_errors::MalformedTrailer());
            return;
        }
        std::string name = LowerCase(Trim(line.substr(0, colon)));
        std::string value(Trim(line.substr(colon + 1)));
        if (name == kTrailerSignature && options_.signatures) {
            signature = std::move(value);
            continue;
        }
        const bool known = std::ranges::find(options_.announced_trailers, name) !=
                           options_.announced_trailers.end();
        const bool twice = std::ranges::any_of(
            trailers_, [&](const auto& trailer) { return trailer.first == name; });
        if (!known || twice) {
            Fail(s3_errors::MalformedTrailer());
            return;
        }
        signed_text.append(name).append(":").append(value).append("\n");
        trailers_.emplace_back(std::move(name), std::move(value));
    }
    if (trailers_.size() != options_.announced_trailers.size() ||
        (options_.signatures && !signature)) {
        Fail(s3_errors::MalformedTrailer());
        return;
    }
    if (options_.signing) {
        CheckSignature("TRAILER", codec::Sha256Hex(signed_text), *signature);
    }
}

}  // namespace hearth::aws
