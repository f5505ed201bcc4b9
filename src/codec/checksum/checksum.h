#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The cyclic check sums of S3's objects, at the speed of the processor's carry-less multiplication.
// Each takes up where it stopped: f(b, f(a)) is f(ab), f("") is 0.
namespace hearth::codec {

// CRC-32C (Castagnoli: reflected 0x1EDC6F41).
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

// CRC-64/NVME (reflected 0xAD93D23594C93659).
uint64_t Crc64Nvme(std::string_view bytes, uint64_t before = 0);

// CRC-32 as codec::Crc32, several times faster for long texts.
uint32_t Crc32Fast(std::string_view bytes, uint32_t before = 0);

// The check sum of two texts one behind the other, from theirs and the second's length: how the
// parts of a multipart object become one.
uint32_t CombineCrc32(uint32_t first, uint32_t second, uint64_t second_bytes);
uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_bytes);
uint64_t CombineCrc64Nvme(uint64_t first, uint64_t second, uint64_t second_bytes);

// As AWS writes them in headers: Base64 of the number, most significant byte first.
std::string ChecksumBase64(uint32_t crc);
std::string ChecksumBase64(uint64_t crc);

}  // namespace hearth::codec
