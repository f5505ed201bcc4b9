#pragma once

#include "base/result.h"
#include "codec/crypto/gcm.h"
#include "storage/objects/stored_body.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What a body looks like on the disk, and inline: a head, its bytes in frames of 64 KiB (the last
// one shorter), and an end mark.
//
//   head      "HOBJ", form, encryption, 2 zero bytes, id (8), the sealed key (61) when encrypted,
//             CRC-32C of all that
//   frame     bytes, tag (16) when encrypted, check sum (4)
//   end mark  a frame of no bytes
//
// Encrypted frames are AES-256-GCM under the body's own key; the nonce is the frame's index, and
// id, index, size, and for the end mark the length of the whole body, are authenticated with it. So
// frames cannot be changed, left out, moved, or put into another body. The check sum is a CRC-32C
// of the same facts and what stands before it: a disk that lies is found without a key, also where
// nothing is encrypted. Numbers are little-endian.
namespace hearth::storage {

using BodyKey = std::array<uint8_t, 32>;

inline constexpr size_t kFrameBytes = size_t{64} << 10;
inline constexpr size_t kSealedKeyBytes = 61;

struct BodyHead {
    BodyEncryption encryption = BodyEncryption::kNone;
    uint64_t id = 0;
    std::string sealed_key;

    std::string Encode() const;
    // Error kBodyDamaged. `bytes` are exactly HeadBytes long.
    static Result<BodyHead> Decode(std::string_view bytes);
};

constexpr size_t HeadBytes(BodyEncryption encryption) {
    return 16 + (encryption == BodyEncryption::kNone ? 0 : kSealedKeyBytes) + 4;
}

// What a frame has behind its bytes.
constexpr size_t FrameTailBytes(BodyEncryption encryption) {
    return (encryption == BodyEncryption::kNone ? 0 : 16) + 4;
}

constexpr uint64_t FrameCount(uint64_t length) {
    return length / kFrameBytes + (length % kFrameBytes != 0 ? 1 : 0);
}

constexpr uint64_t FrameOffset(BodyEncryption encryption, uint64_t index) {
    return HeadBytes(encryption) + index * (kFrameBytes + FrameTailBytes(encryption));
}

// Of the whole file.
constexpr uint64_t BytesOnDisk(BodyEncryption encryption, uint64_t length) {
    return HeadBytes(encryption) + length + (FrameCount(length) + 1) * FrameTailBytes(encryption);
}

Error BodyDamaged(uint64_t id, std::string_view what);

// Seals and opens the frames of one body. One thread at a time.
class FrameCodec final {
  public:
    // Without a key (kNone, or to check sums only) frames are not encrypted.
    FrameCodec(BodyEncryption encryption, uint64_t id, const BodyKey* key);

    // Writes plain.size() + FrameTailBytes() bytes to `stored`.
    void Seal(uint64_t index, std::string_view plain, char* stored);
    void SealEnd(uint64_t length, char* stored);

    // `stored` and its tail become `plain`, as long as `stored`; that may be the same place.
    // Error kBodyDamaged.
    Status Open(uint64_t index, std::string_view stored, std::string_view tail, char* plain);
    Status OpenEnd(uint64_t length, std::string_view tail);

    // The check sum alone; needs no key.
    Status Check(uint64_t index, std::string_view stored, std::string_view tail) const;
    Status CheckEnd(uint64_t length, std::string_view tail) const;

  private:
    struct Facts;

    void SealWith(const Facts& facts, std::string_view plain, char* stored);
    Status OpenWith(
        const Facts& facts, std::string_view stored, std::string_view tail, char* plain);
    Status CheckWith(const Facts& facts, std::string_view stored, std::string_view tail) const;

    const BodyEncryption encryption_;
    const uint64_t id_;
    // None without encryption or without a key.
    std::optional<codec::Gcm> gcm_;
};

}  // namespace hearth::storage
