#pragma once

#include "base/result.h"
#include "vmm/boot/image_file.h"
#include "vmm/memory/guest_memory.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace hearth::vmm::boot {

// How the kernel wants to be entered.
enum class Protocol {
    kLinux64,  // Linux' 64-bit protocol: long mode, RSI points to the zero page
    kPvh,      // Xen's PVH: 32-bit protected mode, EBX points to the start info
};

struct LoadedKernel {
    Protocol protocol = Protocol::kLinux64;
    GuestAddress entry = 0;
    // One past the last byte the kernel may use before it has read the memory map.
    GuestAddress end = 0;
    // The setup header of a bzImage, as it goes into the zero page from 0x1f1 on; else empty.
    std::vector<std::byte> setup_header;
    // Above this the kernel does not look for its initrd.
    GuestAddress initrd_end_max = kMmioGapStart;
};

struct LoadedInitrd {
    GuestAddress start = 0;
    std::uint64_t bytes = 0;
};

// Puts a kernel into the guest's memory: a bzImage, or an ELF file (vmlinux; entered by PVH where
// it has the note for that). The file is the host's but may be anything: nothing is written
// outside of the guest's memory and nothing below 1 MiB.
//   errors    Malformed, with the reason in words.
Result<LoadedKernel> LoadKernel(const GuestMemory& memory, const ImageFile& image);

// The two formats by themselves.
Result<LoadedKernel> LoadBzImage(const GuestMemory& memory, const ImageFile& image);
Result<LoadedKernel> LoadElf(const GuestMemory& memory, const ImageFile& image);

// Puts the initrd as high as the kernel can see it.
Result<LoadedInitrd> LoadInitrd(
    const GuestMemory& memory, const LoadedKernel& kernel, const ImageFile& image);

}  // namespace hearth::vmm::boot
