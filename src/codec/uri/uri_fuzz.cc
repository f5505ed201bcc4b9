// Query strings and escapes of any bytes; what parses comes back from its own encoding.
#include "codec/uri/uri.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto parameters = hearth::codec::ParseQuery(text); parameters.ok()) {
        const auto again = hearth::codec::ParseQuery(hearth::codec::WriteQuery(*parameters));
        if (!again.ok() || *again != *parameters) {
            std::abort();
        }
    }
    const auto decoded = hearth::codec::PercentDecode(text);
    const auto encoded = hearth::codec::PercentDecode(hearth::codec::PercentEncode(text));
    if (!encoded.ok() || *encoded != text || (decoded.ok() && decoded->size() > size)) {
        std::abort();
    }
    return 0;
}
