#include "base/check.h"
#include "codec/zip/unpack.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Any bytes end in an outcome, never in a crash, and never beyond the limits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const hearth::codec::zip::Limits limits{.bytes_max = 1 << 20, .entries_max = 64};
    const auto outcome =
        hearth::codec::zip::Unpack({reinterpret_cast<const char*>(data), size}, -1, limits);
    CHECK(outcome.ok(), "looking through an archive failed");
    return 0;
}
