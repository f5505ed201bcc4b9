#include "vmm/boot/kernel_loader.h"

#include "vmm/boot/layout.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace hearth::vmm::boot {
namespace {

constexpr std::array kElfMagic = {std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}};

constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

Result<LoadedKernel> LoadKernel(const GuestMemory& memory, const ImageFile& image) {
    std::array<std::byte, 4> magic = {};
    if (!image.Load(0, magic)) {
        return errors::Malformed("the kernel image has less than four bytes");
    }
    return magic == kElfMagic ? LoadElf(memory, image) : LoadBzImage(memory, image);
}

Result<LoadedInitrd> LoadInitrd(
    const GuestMemory& memory, const LoadedKernel& kernel, const ImageFile& image) {
    const GuestMemory::Region& low = memory.regions().front();
    const GuestAddress end = std::min<GuestAddress>(low.start + low.bytes, kernel.initrd_end_max);
    if (image.bytes() == 0) {
        return errors::Malformed("the initrd is empty");
    }
    if (image.bytes() > end) {
        return errors::Malformed("the initrd is larger than the guest's memory");
    }
    const GuestAddress start = (end - image.bytes()) / kPageBytes * kPageBytes;
    if (start < kernel.end) {
        return errors::Malformed(fmt::format(
            "no room for the initrd of {} bytes between the kernel's end at {:#x} and {:#x}",
            image.bytes(),
            kernel.end,
            end));
    }
    if (!image.Place(memory, start, 0, image.bytes())) {
        return errors::Malformed("cannot read the initrd");
    }
    return LoadedInitrd{start, image.bytes()};
}

}  // namespace hearth::vmm::boot
