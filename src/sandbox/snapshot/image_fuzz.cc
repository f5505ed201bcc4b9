// Metadata of an image under a correct head (else no change would get past the checksum), and a
// file length that fits its own claim or not. What decodes encodes to the same bytes again.

#include "base/check.h"
#include "sandbox/snapshot/image.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth::snapshot;  // NOLINT(google-build-using-namespace)
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    // As it is: mostly a wrong head.
    (void)Decode(bytes, size).ok();
    if (size < 4) {
        return 0;
    }
    uint32_t pages = 0;
    std::memcpy(&pages, data, sizeof(pages));
    const std::string_view metadata = bytes.substr(4);
    const uint64_t head_bytes =
        kPageBytes + (metadata.size() + kPageBytes - 1) / kPageBytes * kPageBytes;
    const uint64_t file_bytes = head_bytes + uint64_t{pages} * kPageBytes;
    const std::string head = SealHead(metadata, file_bytes);
    auto image = Decode(head, file_bytes);
    if (image.ok()) {
        const auto again = Encode(*image);
        CHECK(again.ok() && *again == head, "an image has two forms");
    }
    return 0;
}
