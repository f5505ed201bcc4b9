#pragma once

#include "http/message.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hearth::http {

// Where a request's head ends, found while it arrives. Remembers how far it looked.
class HeadScanner final {
  public:
    enum class Outcome { kIncomplete, kComplete, kMalformed };

    // `buffer` starts with the request and only grows between calls.
    Outcome Scan(std::string_view buffer);

    // Bytes of the head with its empty line, when complete.
    size_t head_bytes() const { return scanned_; }

    void Reset() { *this = HeadScanner(); }

  private:
    size_t scanned_ = 0;
    size_t line_start_ = 0;
};

// A request's head, understood. Views point into the parsed bytes.
struct Head {
    std::string_view method;
    std::string_view target;
    int minor_version = 1;
    std::vector<Field> fields;
    // Nullopt: chunked.
    std::optional<uint64_t> content_length = 0;
    bool keep_alive = true;
    // The client waits for "100 Continue" before it sends the body.
    bool expects_continue = false;
};

struct HeadError {
    int status = 400;
    std::string_view reason;
};

// Parses a complete head as HeadScanner found it. Refuses everything that two parsers could read in
// two ways: folded lines, a length with chunks, two lengths, two hosts, other codings than chunked.
// `head.fields` keeps its memory between calls.
std::optional<HeadError> ParseHead(std::string_view bytes, size_t header_count_max, Head& head);

}  // namespace hearth::http
