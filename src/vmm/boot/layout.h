#pragma once

#include "vmm/memory/guest_memory.h"

// Where things are in the guest's physical memory at its start; as in Firecracker, so that kernels
// and tools made for one find the same in the other.
namespace hearth::vmm::boot {

inline constexpr GuestAddress kGdt = 0x500;
inline constexpr GuestAddress kPvhStartInfo = 0x6000;
inline constexpr GuestAddress kPvhModules = 0x6040;
// The zero page of Linux' boot protocol, or PVH's memory map: never both.
inline constexpr GuestAddress kZeroPage = 0x7000;
inline constexpr GuestAddress kPvhMemoryMap = 0x7000;
inline constexpr GuestAddress kBootStack = 0x8ff0;
inline constexpr GuestAddress kPageTableLevel4 = 0x9000;
inline constexpr GuestAddress kPageTableLevel3 = 0xa000;
inline constexpr GuestAddress kPageTableLevel2 = 0xb000;
inline constexpr GuestAddress kCommandLine = 0x2'0000;
// With the terminating zero.
inline constexpr std::size_t kCommandLineBytesMax = 2048;

// Conventional memory ends where the EBDA would be; from there to 1 MiB nothing is the guest's.
inline constexpr GuestAddress kLowMemoryEnd = 0x9'fc00;
inline constexpr GuestAddress kRsdp = 0xe'0000;
inline constexpr GuestAddress kAcpiTables = 0xe'0040;
inline constexpr GuestAddress kAcpiEnd = 0x10'0000;
inline constexpr GuestAddress kHighMemory = 0x10'0000;

inline constexpr std::uint32_t kIoApicAddress = 0xfec0'0000;
inline constexpr std::uint32_t kLocalApicAddress = 0xfee0'0000;

// Devices on memory-mapped addresses, one page each.
inline constexpr GuestAddress kBootTimer = 0xc000'0000;
inline constexpr GuestAddress kVirtioMmio = 0xd000'0000;
inline constexpr std::uint64_t kVirtioMmioBytes = 0x1000;
inline constexpr std::uint32_t kFirstVirtioGsi = 5;
inline constexpr std::uint32_t kLastGsi = 23;

inline constexpr std::uint16_t kSerialPort = 0x3f8;
inline constexpr std::uint32_t kSerialGsi = 4;
inline constexpr std::uint16_t kKeyboardPort = 0x60;
inline constexpr std::uint32_t kKeyboardGsi = 1;

}  // namespace hearth::vmm::boot
