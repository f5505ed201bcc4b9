#include "base/check.h"
#include "hearth/cli/s3_names.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Any answer is read, and no key leads out of the directory it is exported to.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& object : hearth::cli::ReadListing(text).objects) {
        (void)hearth::cli::FileOfKey(object.key);
    }
    if (const auto file = hearth::cli::FileOfKey(text)) {
        CHECK(!file->starts_with('/') && *file != "..", "a key leads out of the directory");
        CHECK(
            !file->starts_with("../") && !file->ends_with("/..") &&
                file->find("/../") == std::string::npos,
            "a key leads out of the directory");
    }
    return 0;
}
