#include "vmm/boot/kernel_loader.h"
#include "vmm/boot/layout.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

// A kernel as the linker made it. Segments go to their physical addresses; a note of Xen's names
// the entry for PVH.
namespace hearth::vmm::boot {
namespace {

constexpr std::uint32_t kXenPhys32Entry = 18;
constexpr std::size_t kProgramHeadersMax = 256;
constexpr std::size_t kNotesBytesMax = 64 << 10;

std::uint64_t RoundUp(std::uint64_t value, std::uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

// The entry that the PVH note in `notes` names, if there is one.
std::optional<GuestAddress> PvhEntry(std::span<const std::byte> notes, std::uint64_t alignment) {
    std::size_t at = 0;
    while (notes.size() - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        std::memcpy(&note, notes.data() + at, sizeof(note));
        const std::uint64_t name = at + sizeof(note);
        const std::uint64_t description = name + RoundUp(note.n_namesz, alignment);
        const std::uint64_t next = description + RoundUp(note.n_descsz, alignment);
        if (description + note.n_descsz > notes.size()) {
            return std::nullopt;
        }
        const bool is_xen = note.n_namesz == 4 && std::memcmp(notes.data() + name, "Xen", 4) == 0;
        if (is_xen && note.n_type == kXenPhys32Entry) {
            // The entry is 32-bit code: a longer field holds a small number.
            std::uint64_t entry = 0;
            if (note.n_descsz != 4 && note.n_descsz != 8) {
                return std::nullopt;
            }
            std::memcpy(&entry, notes.data() + description, note.n_descsz);
            return entry <= UINT32_MAX ? std::optional(entry) : std::nullopt;
        }
        if (next > notes.size()) {
            return std::nullopt;
        }
        at = next;
    }
    return std::nullopt;
}

Status LoadSegment(const GuestMemory& memory, const ImageFile& image, const Elf64_Phdr& segment) {
    if (segment.p_filesz > segment.p_memsz) {
        return errors::Malformed("a segment of the kernel has more bytes than memory");
    }
    if (segment.p_paddr < kHighMemory) {
        return errors::Malformed(
            fmt::format("a segment of the kernel is at {:#x}, below 1 MiB", segment.p_paddr));
    }
    if (!memory.Slice(segment.p_paddr, segment.p_memsz)) {
        return errors::Malformed(fmt::format(
            "a segment of the kernel needs {} bytes at {:#x}, where the guest has no memory",
            segment.p_memsz,
            segment.p_paddr));
    }
    // What is behind the file's bytes is zero as all fresh memory is.
    if (!image.Place(memory, segment.p_paddr, segment.p_offset, segment.p_filesz)) {
        return errors::Malformed("the kernel image ends within a segment");
    }
    return {};
}

}  // namespace

Result<LoadedKernel> LoadElf(const GuestMemory& memory, const ImageFile& image) {
    Elf64_Ehdr header;
    if (!image.Load(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        return errors::Malformed("the kernel image ends within its ELF header");
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(Elf64_Phdr)) {
        return errors::Malformed("the kernel image is not an ELF file for x86-64");
    }
    if (header.e_phnum == 0 || header.e_phnum > kProgramHeadersMax) {
        return errors::Malformed(
            fmt::format("the kernel image has {} program headers", header.e_phnum));
    }
    std::vector<Elf64_Phdr> segments(header.e_phnum);
    if (!image.Read(header.e_phoff, std::as_writable_bytes(std::span(segments)))) {
        return errors::Malformed("the kernel image ends within its program headers");
    }
    LoadedKernel kernel;
    kernel.entry = header.e_entry;
    for (const Elf64_Phdr& segment : segments) {
        if (segment.p_type == PT_LOAD && segment.p_memsz != 0) {
            HEARTH_RETURN_IF_ERROR(LoadSegment(memory, image, segment));
            kernel.end = std::max(kernel.end, segment.p_paddr + segment.p_memsz);
        } else if (segment.p_type == PT_NOTE && segment.p_filesz <= kNotesBytesMax) {
            std::vector<std::byte> notes(segment.p_filesz);
            if (!image.Read(segment.p_offset, notes)) {
                return errors::Malformed("the kernel image ends within its notes");
            }
            if (const auto entry = PvhEntry(notes, segment.p_align == 8 ? 8 : 4)) {
                kernel.protocol = Protocol::kPvh;
                kernel.entry = *entry;
            }
        }
    }
    if (kernel.end == 0) {
        return errors::Malformed("the kernel image has nothing to load");
    }
    if (!memory.Slice(kernel.entry, 1)) {
        return errors::Malformed(
            fmt::format("the kernel's entry {:#x} is outside of the guest's memory", kernel.entry));
    }
    return kernel;
}

}  // namespace hearth::vmm::boot
