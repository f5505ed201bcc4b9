#include "vmm/boot/boot_params.h"

#include "vmm/boot/layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace hearth::vmm::boot {
namespace {

// The zero page: Linux' struct boot_params, Documentation/arch/x86/zero-page.rst.
constexpr std::size_t kZeroPageBytes = 4096;
constexpr std::size_t kRsdpAddress = 0x070;
constexpr std::size_t kE820Count = 0x1e8;
constexpr std::size_t kSetupHeader = 0x1f1;
constexpr std::size_t kBootFlag = 0x1fe;
constexpr std::size_t kHeaderMagic = 0x202;
constexpr std::size_t kLoaderType = 0x210;
constexpr std::size_t kRamdiskImage = 0x218;
constexpr std::size_t kRamdiskSize = 0x21c;
constexpr std::size_t kCommandLinePointer = 0x228;
constexpr std::size_t kKernelAlignment = 0x230;
constexpr std::size_t kCommandLineSize = 0x238;
constexpr std::size_t kE820Table = 0x2d0;

constexpr std::uint8_t kLoaderUndefined = 0xff;

// Xen's public/arch-x86/hvm/start_info.h.
struct PvhStartInfo {
    std::uint32_t magic = 0x336e'c578;
    std::uint32_t version = 1;
    std::uint32_t flags = 0;
    std::uint32_t module_count = 0;
    std::uint64_t modules = 0;
    std::uint64_t command_line = 0;
    std::uint64_t rsdp = 0;
    std::uint64_t memory_map = 0;
    std::uint32_t memory_map_count = 0;
    std::uint32_t reserved = 0;
};

struct PvhModule {
    std::uint64_t start = 0;
    std::uint64_t bytes = 0;
    std::uint64_t command_line = 0;
    std::uint64_t reserved = 0;
};

struct PvhMemoryMapEntry {
    std::uint64_t start = 0;
    std::uint64_t bytes = 0;
    std::uint32_t type = 0;
    std::uint32_t reserved = 0;
};

static_assert(sizeof(PvhStartInfo) == 56);
static_assert(sizeof(PvhModule) == 32);
static_assert(sizeof(PvhMemoryMapEntry) == 24);
static_assert(kPvhStartInfo + sizeof(PvhStartInfo) <= kPvhModules);

template <class T>
void Put(std::span<std::byte> page, std::size_t offset, T value) {
    CHECK(offset + sizeof(T) <= page.size());
    std::memcpy(page.data() + offset, &value, sizeof(T));
}

Status NoRoom() {
    return errors::Malformed("the guest has no memory for boot parameters");
}

Status WriteZeroPage(
    const GuestMemory& memory,
    const LoadedKernel& kernel,
    std::size_t command_line_bytes,
    const std::optional<LoadedInitrd>& initrd) {
    std::array<std::byte, kZeroPageBytes> page = {};
    if (kernel.setup_header.empty()) {
        // A vmlinux has no header of its own.
        Put(page, kBootFlag, std::uint16_t{0xaa55});
        Put(page, kHeaderMagic, std::uint32_t{0x5372'6448});
        Put(page, kKernelAlignment, std::uint32_t{0x100'0000});
    } else {
        CHECK(kernel.setup_header.size() <= kE820Table - kSetupHeader);
        std::ranges::copy(kernel.setup_header, page.begin() + kSetupHeader);
    }
    Put(page, kLoaderType, kLoaderUndefined);
    Put(page, kCommandLinePointer, static_cast<std::uint32_t>(kCommandLine));
    Put(page, kCommandLineSize, static_cast<std::uint32_t>(command_line_bytes));
    Put(page, kRsdpAddress, std::uint64_t{kRsdp});
    if (initrd) {
        Put(page, kRamdiskImage, static_cast<std::uint32_t>(initrd->start));
        Put(page, kRamdiskSize, static_cast<std::uint32_t>(initrd->bytes));
    }
    std::uint8_t count = 0;
    for (const MemoryMapEntry& entry : MemoryMap(memory)) {
        const std::size_t offset = kE820Table + std::size_t{count} * 20;
        Put(page, offset, std::uint64_t{entry.start});
        Put(page, offset + 8, std::uint64_t{entry.bytes});
        Put(page, offset + 16, static_cast<std::uint32_t>(entry.type));
        ++count;
    }
    Put(page, kE820Count, count);
    return memory.Write(kZeroPage, page) ? Status() : NoRoom();
}

Status WritePvhStartInfo(const GuestMemory& memory, const std::optional<LoadedInitrd>& initrd) {
    PvhStartInfo info;
    info.command_line = kCommandLine;
    info.rsdp = kRsdp;
    info.memory_map = kPvhMemoryMap;
    GuestAddress at = kPvhMemoryMap;
    for (const MemoryMapEntry& entry : MemoryMap(memory)) {
        const PvhMemoryMapEntry pvh = {
            entry.start, entry.bytes, static_cast<std::uint32_t>(entry.type), 0};
        if (!memory.Store(at, pvh)) {
            return NoRoom();
        }
        at += sizeof(pvh);
        ++info.memory_map_count;
    }
    if (initrd) {
        info.module_count = 1;
        info.modules = kPvhModules;
        if (!memory.Store(kPvhModules, PvhModule{initrd->start, initrd->bytes, 0, 0})) {
            return NoRoom();
        }
    }
    return memory.Store(kPvhStartInfo, info) ? Status() : NoRoom();
}

}  // namespace

std::vector<MemoryMapEntry> MemoryMap(const GuestMemory& memory) {
    using Type = MemoryMapEntry::Type;
    std::vector<MemoryMapEntry> map = {
        {0, kLowMemoryEnd, Type::kRam},
        {kLowMemoryEnd, kHighMemory - kLowMemoryEnd, Type::kReserved},
    };
    for (const GuestMemory::Region& region : memory.regions()) {
        const GuestAddress start = std::max(region.start, kHighMemory);
        const GuestAddress end = region.start + region.bytes;
        if (start < end) {
            map.push_back({start, end - start, Type::kRam});
        }
    }
    return map;
}

Status WriteBootParameters(
    const GuestMemory& memory,
    const LoadedKernel& kernel,
    std::string_view command_line,
    const std::optional<LoadedInitrd>& initrd) {
    if (command_line.size() >= kCommandLineBytesMax) {
        return errors::Malformed(fmt::format(
            "the kernel command line has {} bytes; {} are the limit",
            command_line.size(),
            kCommandLineBytesMax - 1));
    }
    if (command_line.find('\0') != std::string_view::npos) {
        return errors::Malformed("the kernel command line holds a zero byte");
    }
    const std::string terminated(command_line);
    if (!memory.Write(
            kCommandLine, std::as_bytes(std::span(terminated.c_str(), terminated.size() + 1)))) {
        return NoRoom();
    }
    return kernel.protocol == Protocol::kPvh
               ? WritePvhStartInfo(memory, initrd)
               : WriteZeroPage(memory, kernel, command_line.size() + 1, initrd);
}

}  // namespace hearth::vmm::boot
