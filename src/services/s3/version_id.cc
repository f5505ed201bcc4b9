#include "services/s3/version_id.h"

#include "base/check.h"

#include <array>

namespace hearth::s3 {
namespace {

constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
constexpr size_t kBytes = 24;
constexpr size_t kCharacters = 32;

}  // namespace

std::string MakeVersionId(int64_t sequence, std::string_view unique) {
    CHECK(unique.size() == 16, "a version has 16 random bytes");
    std::array<uint8_t, kBytes> bytes;
    for (size_t i = 0; i < 16; ++i) {
        bytes[i] = static_cast<uint8_t>(unique[i]);
    }
    // Covered with the random bytes, so that ids of neighbours do not look alike; no secret.
    for (size_t i = 0; i < 8; ++i) {
        bytes[16 + i] =
            static_cast<uint8_t>((static_cast<uint64_t>(sequence) >> (56 - 8 * i)) & 0xff) ^
            bytes[i];
    }
    std::string id;
    id.reserve(kCharacters);
    for (size_t i = 0; i < kBytes; i += 3) {
        const uint32_t three = static_cast<uint32_t>(bytes[i]) << 16 |
                               static_cast<uint32_t>(bytes[i + 1]) << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) {
            id.push_back(kAlphabet[(three >> shift) & 63]);
        }
    }
    return id;
}

std::optional<int64_t> SequenceOfVersionId(std::string_view version_id) {
    if (version_id.size() != kCharacters) {
        return std::nullopt;
    }
    std::array<uint8_t, kBytes> bytes;
    for (size_t i = 0; i < kCharacters; i += 4) {
        uint32_t three = 0;
        for (size_t j = 0; j < 4; ++j) {
            const size_t value = kAlphabet.find(version_id[i + j]);
            if (value == std::string_view::npos) {
                return std::nullopt;
            }
            three = three << 6 | static_cast<uint32_t>(value);
        }
        bytes[i / 4 * 3] = static_cast<uint8_t>(three >> 16);
        bytes[i / 4 * 3 + 1] = static_cast<uint8_t>(three >> 8);
        bytes[i / 4 * 3 + 2] = static_cast<uint8_t>(three);
    }
    uint64_t sequence = 0;
    for (size_t i = 0; i < 8; ++i) {
        sequence = sequence << 8 | static_cast<uint8_t>(bytes[16 + i] ^ bytes[i]);
    }
    return static_cast<int64_t>(sequence);
}

}  // namespace hearth::s3
