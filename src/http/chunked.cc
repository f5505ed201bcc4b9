#include "http/chunked.h"

#include <algorithm>
#include <cstring>

namespace hearth::http {

namespace {

constexpr int kSizeDigitsMax = 15;
constexpr size_t kSkippedBytesMax = 16 * 1024;

int HexDigit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool IsControl(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::Decode(std::string_view in, std::span<char> out) {
    Step step;
    while (step.consumed < in.size() && !done() && !failed()) {
        if (state_ != State::kData) {
            Control(in[step.consumed++]);
            continue;
        }
        const size_t count = std::min<uint64_t>(
            {in.size() - step.consumed, out.size() - step.produced, chunk_bytes_left_});
        if (count == 0) {
            break;
        }
        std::memcpy(out.data() + step.produced, in.data() + step.consumed, count);
        step.consumed += count;
        step.produced += count;
        chunk_bytes_left_ -= count;
        if (chunk_bytes_left_ == 0) {
            state_ = State::kDataReturn;
        }
    }
    return step;
}

void ChunkedDecoder::Fail(std::string_view why) {
    state_ = State::kFailed;
    error_ = why;
}

void ChunkedDecoder::Control(char c) {
    switch (state_) {
        case State::kSize:
            if (const int digit = HexDigit(c); digit >= 0) {
                if (++size_digits_ > kSizeDigitsMax) {
                    return Fail("a chunk's size is too long");
                }
                chunk_bytes_left_ = chunk_bytes_left_ * 16 + static_cast<uint64_t>(digit);
                return;
            }
            if (size_digits_ == 0) {
                return Fail("a chunk's size is missing");
            }
            if (c == '\r') {
                state_ = State::kSizeLineFeed;
            } else if (c == ';' || c == ' ' || c == '\t') {
                state_ = State::kExtension;
            } else {
                Fail("a chunk's size is not a number");
            }
            return;
        case State::kExtension:
        case State::kTrailer:
            if (c == '\r') {
                state_ = state_ == State::kTrailer ? State::kTrailerLineFeed : State::kSizeLineFeed;
            } else if (IsControl(c)) {
                Fail("a control character in a chunk's line");
            } else if (++skipped_bytes_ > kSkippedBytesMax) {
                Fail("chunk extensions or trailers are too long");
            }
            return;
        case State::kSizeLineFeed:
            if (c != '\n') {
                return Fail("a chunk's size does not end in CRLF");
            }
            size_digits_ = 0;
            state_ = chunk_bytes_left_ == 0 ? State::kTrailerStart : State::kData;
            return;
        case State::kDataReturn:
            if (c != '\r') {
                return Fail("a chunk is longer than its size");
            }
            state_ = State::kDataLineFeed;
            return;
        case State::kDataLineFeed:
            if (c != '\n') {
                return Fail("a chunk does not end in CRLF");
            }
            state_ = State::kSize;
            return;
        case State::kTrailerStart:
            if (c == '\r') {
                state_ = State::kLastLineFeed;
            } else if (IsControl(c)) {
                Fail("a control character in a trailer");
            } else if (++skipped_bytes_ > kSkippedBytesMax) {
                Fail("chunk extensions or trailers are too long");
            } else {
                state_ = State::kTrailer;
            }
            return;
        case State::kTrailerLineFeed:
            if (c != '\n') {
                return Fail("a trailer does not end in CRLF");
            }
            state_ = State::kTrailerStart;
            return;
        case State::kLastLineFeed:
            if (c != '\n') {
                return Fail("the last chunk does not end in CRLF");
            }
            state_ = State::kDone;
            return;
        case State::kData:
        case State::kDone:
        case State::kFailed:
            return;
    }
}

}  // namespace hearth::http
