#pragma once

#include <cstdint>
#include <string_view>

// CRC-32 as in zip, gzip and AWS's event streams (ISO-HDLC: reflected 0x04C11DB7).
namespace hearth::codec {

// Of `bytes` after what gave `before`; 0 at the beginning.
uint32_t Crc32(std::string_view bytes, uint32_t before = 0);

}  // namespace hearth::codec
