#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hearth::http {

// Takes a chunked body apart, in pieces of any size. Strict, as two parsers that disagree are how
// requests are smuggled: CRLF alone ends a line, sizes are hexadecimal digits and at most 16 of
// them. Extensions and trailers are skipped, within limits.
class ChunkedDecoder final {
  public:
    struct Step {
        size_t consumed = 0;
        size_t produced = 0;
    };

    // Decodes from `in` into `out` until either is used up, the body has ended, or it is malformed.
    Step Decode(std::string_view in, std::span<char> out);

    bool done() const { return state_ == State::kDone; }

    bool failed() const { return state_ == State::kFailed; }

    // Why it failed.
    std::string_view error() const { return error_; }

  private:
    enum class State {
        kSize,
        kExtension,
        kSizeLineFeed,
        kData,
        kDataReturn,
        kDataLineFeed,
        kTrailerStart,
        kTrailer,
        kTrailerLineFeed,
        kLastLineFeed,
        kDone,
        kFailed,
    };

    void Fail(std::string_view why);
    // Handles one byte outside of chunk data.
    void Control(char c);

    State state_ = State::kSize;
    uint64_t chunk_bytes_left_ = 0;
    int size_digits_ = 0;
    // Of all extensions and trailers of this body.
    size_t skipped_bytes_ = 0;
    std::string_view error_;
};

}  // namespace hearth::http
