#include "vmm/boot/kernel_loader.h"
#include "vmm/boot/layout.h"

#include <algorithm>
#include <cstddef>

// Linux' own format (Documentation/arch/x86/boot.rst): a real-mode part with the setup header,
// which is not loaded, and the protected-mode kernel behind it.
namespace hearth::vmm::boot {
namespace {

constexpr std::uint64_t kSetupHeader = 0x1f1;
constexpr std::uint64_t kSectorBytes = 512;
// The jump at 0x200 ends where the header ends: its displacement is the byte at 0x201.
constexpr std::uint64_t kJumpDisplacement = 0x201;
constexpr std::uint64_t kHeaderMagicOffset = 0x202;
constexpr std::uint32_t kHeaderMagic = 0x5372'6448;  // "HdrS"
// Where in the loaded kernel 64-bit code begins.
constexpr GuestAddress kEntry64 = 0x200;
// Protocol 2.12 brought xloadflags; older kernels do not say whether they can be entered so.
constexpr std::uint16_t kVersionMin = 0x020c;
constexpr std::uint8_t kLoadedHigh = 1;
constexpr std::uint16_t kKernel64 = 1;
// The setup header's largest size: what fits into the zero page between 0x1f1 and the EDD buffer.
constexpr std::uint64_t kSetupHeaderBytesMax = 0x290 - kSetupHeader;

}  // namespace

Result<LoadedKernel> LoadBzImage(const GuestMemory& memory, const ImageFile& image) {
    std::uint32_t magic = 0;
    if (!image.Load(kHeaderMagicOffset, magic) || magic != kHeaderMagic) {
        return errors::Malformed("the kernel image is neither an ELF file nor a bzImage");
    }
    std::uint8_t setup_sectors = 0;
    std::uint8_t jump = 0;
    std::uint16_t version = 0;
    std::uint8_t load_flags = 0;
    std::uint32_t initrd_address_max = 0;
    std::uint16_t extended_load_flags = 0;
    std::uint64_t preferred_address = 0;
    std::uint32_t init_bytes = 0;
    if (!image.Load(0x1f1, setup_sectors) || !image.Load(kJumpDisplacement, jump) ||
        !image.Load(0x206, version) || !image.Load(0x211, load_flags) ||
        !image.Load(0x22c, initrd_address_max) || !image.Load(0x236, extended_load_flags) ||
        !image.Load(0x258, preferred_address) || !image.Load(0x260, init_bytes)) {
        return errors::Malformed("the bzImage ends within its setup header");
    }
    if (version < kVersionMin) {
        return errors::Malformed(fmt::format(
            "the bzImage speaks boot protocol {}.{:02}; 2.12 is needed",
            version >> 8,
            version & 0xff));
    }
    if ((load_flags & kLoadedHigh) == 0 || (extended_load_flags & kKernel64) == 0) {
        return errors::Malformed("the bzImage is not a 64-bit kernel");
    }
    const std::uint64_t start =
        (std::uint64_t{setup_sectors == 0 ? 4U : setup_sectors} + 1) * kSectorBytes;
    if (image.bytes() <= start + kEntry64) {
        return errors::Malformed("the bzImage ends within its setup code");
    }
    LoadedKernel kernel;
    const std::uint64_t header_end =
        std::min<std::uint64_t>(kHeaderMagicOffset + jump, kSetupHeader + kSetupHeaderBytesMax);
    kernel.setup_header.resize(header_end - kSetupHeader);
    if (!image.Read(kSetupHeader, kernel.setup_header)) {
        return errors::Malformed("the bzImage ends within its setup header");
    }
    const std::uint64_t kernel_bytes = image.bytes() - start;
    // The kernel unpacks itself at the preferred address or above and uses init_bytes there.
    const GuestAddress unpacked = std::max(kHighMemory, preferred_address);
    if (!memory.Slice(kHighMemory, kernel_bytes) || !memory.Slice(unpacked, init_bytes)) {
        return errors::Malformed(fmt::format(
            "the kernel needs memory up to {:#x}, and up to {:#x} while it unpacks",
            kHighMemory + kernel_bytes,
            unpacked + init_bytes));
    }
    if (!image.Place(memory, kHighMemory, start, kernel_bytes)) {
        return errors::Malformed("cannot read the bzImage");
    }
    kernel.entry = kHighMemory + kEntry64;
    kernel.end = std::max(kHighMemory + kernel_bytes, unpacked + init_bytes);
    kernel.initrd_end_max =
        std::min<GuestAddress>(kernel.initrd_end_max, GuestAddress{initrd_address_max} + 1);
    return kernel;
}

}  // namespace hearth::vmm::boot
