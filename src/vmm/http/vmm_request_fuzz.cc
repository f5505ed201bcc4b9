#include "vmm/http/request.h"

#include <cstdint>
#include <cstdlib>

// Any bytes in any pieces: the parser ends with requests within its limits or an error, and cutting
// the stream elsewhere changes nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hearth::vmm;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const HttpLimits limits{.head_bytes_max = 256, .headers_max = 8, .body_bytes_max = 64};
    const auto run = [&](std::size_t piece) {
        std::string seen;
        HttpRequestParser parser(limits);
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            parser.Append(bytes.substr(at, piece));
            while (true) {
                const auto next = parser.Next();
                if (!next.ok()) {
                    return seen;
                }
                if (!*next) {
                    break;
                }
                if ((*next)->body.size() > limits.body_bytes_max ||
                    (*next)->headers.size() > limits.headers_max) {
                    std::abort();
                }
                seen += (*next)->method + (*next)->path + (*next)->body;
            }
        }
        return seen;
    };
    const auto whole = run(bytes.size() + 1);
    if (!run(1).starts_with(whole) && !whole.starts_with(run(1))) {
        std::abort();
    }
    return 0;
}
