#include "base/check.h"
#include "services/s3/listing.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Any text is a token of ours or refused; what was a marker comes back as it was.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto marker = hearth::s3::DecodeContinuationToken(text); marker.ok()) {
        CHECK(
            hearth::s3::DecodeContinuationToken(hearth::s3::EncodeContinuationToken(*marker))
                    .value() == *marker,
            "a token lost its marker");
    }
    const std::string token = hearth::s3::EncodeContinuationToken(text);
    CHECK(
        hearth::s3::DecodeContinuationToken(token).value() == text,
        "a marker does not come back from its token");
    return 0;
}
