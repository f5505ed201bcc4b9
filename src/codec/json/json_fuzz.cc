// Any bytes as JSON; what parses is written and parses to the same value again.
#include "codec/json/json.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = hearth::codec::ParseJson(text);
    if (value.ok()) {
        const auto again = hearth::codec::ParseJson(hearth::codec::WriteJson(*value));
        // A double without a fraction is written as an integer, so texts are compared, not values.
        if (!again.ok() || hearth::codec::WriteJson(*again) != hearth::codec::WriteJson(*value)) {
            std::abort();
        }
    }
    std::string quoted;
    hearth::codec::AppendJsonString(quoted, text);
    if (!hearth::codec::ParseJson(quoted).ok()) {
        std::abort();
    }
    return 0;
}
