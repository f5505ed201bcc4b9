#include "codec/crc32/crc32.h"

#include <array>
#include <bit>
#include <cstring>

namespace hearth::codec {

namespace {

// Sixteen bytes a step, each through a table of its own ("slicing"): ten times the speed of one
// table, and enough that no stream waits for its check sum.
constexpr size_t kSlices = 16;
static_assert(std::endian::native == std::endian::little, "words are loaded as they stand");

using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

constexpr Tables MakeTables() {
    Tables tables{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1U) : value >> 1U;
        }
        tables[0][i] = value;
    }
    for (size_t slice = 1; slice < kSlices; ++slice) {
        for (size_t i = 0; i < 256; ++i) {
            const uint32_t before = tables[slice - 1][i];
            tables[slice][i] = (before >> 8U) ^ tables[0][before & 0xFFU];
        }
    }
    return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32(std::string_view bytes, uint32_t before) {
    uint32_t crc = ~before;
    while (bytes.size() >= kSlices) {
        std::array<uint32_t, 4> words{};
        std::memcpy(words.data(), bytes.data(), kSlices);
        words[0] ^= crc;
        crc = 0;
        for (size_t word = 0; word < words.size(); ++word) {
            const size_t slice = kSlices - 1 - 4 * word;
            crc ^= kTables[slice][words[word] & 0xFFU] ^
                   kTables[slice - 1][(words[word] >> 8U) & 0xFFU] ^
                   kTables[slice - 2][(words[word] >> 16U) & 0xFFU] ^
                   kTables[slice - 3][words[word] >> 24U];
        }
        bytes.remove_prefix(kSlices);
    }
    for (const char c : bytes) {
        crc = kTables[0][(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8U);
    }
    return ~crc;
}

}  // namespace hearth::codec
