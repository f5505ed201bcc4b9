#pragma once

#include "base/result.h"
#include "vmm/boot/kernel_loader.h"
#include "vmm/memory/guest_memory.h"

#include <optional>
#include <string_view>
#include <vector>

namespace hearth::vmm::boot {

struct MemoryMapEntry {
    GuestAddress start;
    std::uint64_t bytes;
    // The types of e820, which PVH shares.
    enum class Type : std::uint32_t { kRam = 1, kReserved = 2 } type;
};

// What the guest is told of its memory: conventional memory, what lies below 1 MiB and is not
// its, and the rest around the MMIO gap.
std::vector<MemoryMapEntry> MemoryMap(const GuestMemory& memory);

// Writes the command line and either the zero page or PVH's start info, as the kernel's protocol
// asks.
//   errors    Malformed: the command line is too long or holds a zero byte.
Status WriteBootParameters(
    const GuestMemory& memory,
    const LoadedKernel& kernel,
    std::string_view command_line,
    const std::optional<LoadedInitrd>& initrd);

}  // namespace hearth::vmm::boot
