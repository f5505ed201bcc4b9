#pragma once

#include "http/message.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::http {

struct HeadFraming {
    // Stated as Content-Length; nullopt without one.
    std::optional<uint64_t> content_length;
    bool chunked = false;
    // Connection: close, or keep-alive for an HTTP/1.0 client that asked for it.
    bool close = false;
    bool say_keep_alive = false;
};

// Appends an answer's head to `out`. False when a header would break the message's frame (a line
// end in it, or a name that is none): then `out` is as before.
bool AppendResponseHead(const Response& response, const HeadFraming& framing, std::string& out);

// "Sat, 21 Nov 2026 13:18:34 GMT", made anew once a second.
std::string_view HttpDate();

}  // namespace hearth::http
