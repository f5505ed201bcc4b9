#include "base/check.h"
#include "storage/objects/body_frames.h"
#include "storage/objects/stored_body.h"

#include <cstdint>
#include <string_view>

// Records and heads of files as a damaged disk may return them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth::storage;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto body = StoredBody::Decode(bytes); body.ok()) {
        CHECK(*StoredBody::Decode(body->Encode()) == *body);
    }
    if (const auto bodies = DecodeBodies(bytes); bodies.ok()) {
        CHECK(*DecodeBodies(EncodeBodies(*bodies)) == *bodies);
    }
    if (const auto head = BodyHead::Decode(bytes); head.ok()) {
        CHECK(head->Encode().size() == bytes.size());
    }
    return 0;
}
