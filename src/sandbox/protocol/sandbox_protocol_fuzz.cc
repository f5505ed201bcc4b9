// Whatever decodes as a request encodes to the same bytes again; nothing else happens.

#include "base/check.h"
#include "sandbox/protocol/protocol.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth::sandbox;  // NOLINT(google-build-using-namespace)
    const std::string_view packet(reinterpret_cast<const char*>(data), size);
    const auto kind = DecodeKind(packet);
    if (!kind.ok()) {
        return 0;
    }
    if (const auto request = DecodeCreate(packet); request.ok() && *kind == PacketKind::kCreate) {
        CHECK(EncodeCreate(*request) == packet);
    }
    if (const auto answer = DecodeCreated(packet); answer.ok() && *kind == PacketKind::kCreated) {
        CHECK(EncodeCreated(*answer) == packet);
    }
    if (const auto save = DecodeSave(packet); save.ok() && *kind == PacketKind::kSave) {
        CHECK(EncodeSave(*save) == packet);
    }
    (void)DecodeSaved(packet).ok();
    (void)DecodeHostHello(packet).ok();
    (void)DecodeCloudWelcome(packet).ok();
    (void)DecodeNumber(packet).ok();
    return 0;
}
