#include "vmm/api/routes.h"

#include <cstdint>

// Any bytes as a client's stream: whatever comes out of it is an action or a fault with a text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hearth::vmm;
    HttpRequestParser parser({});
    parser.Append(std::string_view(reinterpret_cast<const char*>(data), size));
    while (true) {
        const auto next = parser.Next();
        if (!next.ok() || !*next) {
            return 0;
        }
        const auto parsed = ParseApiRequest(**next);
        if (!parsed.ok() && parsed.error().message().empty()) {
            __builtin_trap();
        }
    }
}
