#include "services/logs/filter_pattern.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

// The first byte says where the pattern ends and the event begins.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const size_t cut = std::min<size_t>(data[0], text.size());
    const auto pattern = hearth::logs::FilterPattern::Parse(text.substr(0, cut));
    if (pattern.ok()) {
        static_cast<void>(pattern->Matches(text.substr(cut)));
    }
    return 0;
}
