#include "storage/objects/body_packer.h"

#include "base/check.h"

#include <zstd.h>

namespace hearth::storage {
namespace {

// Archives are written once, in the background, and rarely read.
constexpr int kLevel = 6;

ZSTD_CCtx* Packer(void* context) {
    return static_cast<ZSTD_CCtx*>(context);
}

ZSTD_DCtx* Unpacker(void* context) {
    return static_cast<ZSTD_DCtx*>(context);
}

}  // namespace

BodyPacker::BodyPacker() : context_(ZSTD_createCCtx()) {
    CHECK(context_ != nullptr);
    CHECK(
        ZSTD_isError(ZSTD_CCtx_setParameter(Packer(context_), ZSTD_c_compressionLevel, kLevel)) ==
        0);
}

BodyPacker::~BodyPacker() {
    ZSTD_freeCCtx(Packer(context_));
}

void BodyPacker::Pack(std::string_view bytes, bool is_last, std::string& packed) {
    bytes_taken_ += bytes.size();
    ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    while (true) {
        const size_t begin = packed.size();
        packed.resize(begin + ZSTD_CStreamOutSize());
        ZSTD_outBuffer out{.dst = packed.data() + begin, .size = packed.size() - begin, .pos = 0};
        const size_t left = ZSTD_compressStream2(
            Packer(context_), &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
        CHECK(ZSTD_isError(left) == 0, "zstd: {}", ZSTD_getErrorName(left));
        packed.resize(begin + out.pos);
        if (is_last ? left == 0 : in.pos == in.size) {
            return;
        }
    }
}

BodyUnpacker::BodyUnpacker() : context_(ZSTD_createDCtx()) {
    CHECK(context_ != nullptr);
}

BodyUnpacker::~BodyUnpacker() {
    ZSTD_freeDCtx(Unpacker(context_));
}

std::optional<size_t> BodyUnpacker::Unpack(std::string_view& packed, std::span<char> into) {
    ZSTD_inBuffer in{.src = packed.data(), .size = packed.size(), .pos = 0};
    ZSTD_outBuffer out{.dst = into.data(), .size = into.size(), .pos = 0};
    if (ZSTD_isError(ZSTD_decompressStream(Unpacker(context_), &out, &in)) != 0) {
        return std::nullopt;
    }
    packed.remove_prefix(in.pos);
    return out.pos;
}

}  // namespace hearth::storage
