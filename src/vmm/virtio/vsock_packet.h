#pragma once

#include <cstddef>
#include <cstdint>

// The header of every packet on a vsock queue (virtio 1.2, section 5.10.6), little-endian as the
// machines we run on.
namespace hearth::vmm::virtio {

struct [[gnu::packed]] VsockHeader final {
    std::uint64_t source_cid = 0;
    std::uint64_t destination_cid = 0;
    std::uint32_t source_port = 0;
    std::uint32_t destination_port = 0;
    std::uint32_t bytes = 0;
    std::uint16_t type = 0;
    std::uint16_t operation = 0;
    std::uint32_t flags = 0;
    // The sender's receive buffer, and how much of it has been read from so far.
    std::uint32_t buffer_bytes = 0;
    std::uint32_t forwarded = 0;
};

inline constexpr std::size_t kVsockHeaderBytes = 44;
static_assert(sizeof(VsockHeader) == kVsockHeaderBytes);

inline constexpr std::uint64_t kVsockHostCid = 2;
inline constexpr std::uint16_t kVsockStream = 1;

inline constexpr std::uint16_t kVsockRequest = 1;
inline constexpr std::uint16_t kVsockResponse = 2;
inline constexpr std::uint16_t kVsockReset = 3;
inline constexpr std::uint16_t kVsockShutdown = 4;
inline constexpr std::uint16_t kVsockData = 5;
inline constexpr std::uint16_t kVsockCreditUpdate = 6;
inline constexpr std::uint16_t kVsockCreditRequest = 7;

inline constexpr std::uint32_t kVsockNoReceive = 1;
inline constexpr std::uint32_t kVsockNoSend = 2;

}  // namespace hearth::vmm::virtio
