#include "sandbox/snapshot/elf.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace hearth::snapshot {
namespace {

constexpr size_t kSegmentsMax = 128;
constexpr size_t kDynamicMax = 1'024;
constexpr size_t kNotesBytesMax = 64 << 10;
constexpr size_t kBuildIdBytesMax = 64;
// A hash chain longer than this is made to waste our time.
constexpr size_t kChainMax = 65'536;
constexpr uint64_t kPage = 4096;

uint32_t GnuHash(const std::string& name) {
    uint32_t hash = 5381;
    for (const char c : name) {
        hash = hash * 33 + static_cast<uint8_t>(c);
    }
    return hash;
}

}  // namespace

bool ElfFile::Read(uint64_t offset, void* into, size_t bytes) const {
    return offset < (1ULL << 62) &&
           ::pread(fd_, into, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

std::optional<ElfFile> ElfFile::Open(int fd) {
    ElfFile file(fd);
    Elf64_Ehdr header{};
    if (!file.Read(0, &header, sizeof(header)) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phnum > kSegmentsMax) {
        return std::nullopt;
    }
    for (size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment{};
        if (header.e_phoff > (1ULL << 61) ||
            !file.Read(header.e_phoff + i * sizeof(segment), &segment, sizeof(segment))) {
            return std::nullopt;
        }
        file.segments_.push_back(
            {.type = segment.p_type,
             .flags = segment.p_flags,
             .offset = segment.p_offset,
             .address = segment.p_vaddr,
             .file_bytes = segment.p_filesz});
    }
    return file;
}

std::string ElfFile::BuildId() const {
    for (const Segment& segment : segments_) {
        if (segment.type != PT_NOTE || segment.file_bytes > kNotesBytesMax) {
            continue;
        }
        std::string notes(segment.file_bytes, '\0');
        if (!Read(segment.offset, notes.data(), notes.size())) {
            continue;
        }
        size_t at = 0;
        while (notes.size() - at >= sizeof(Elf64_Nhdr)) {
            Elf64_Nhdr note{};
            std::memcpy(&note, notes.data() + at, sizeof(note));
            at += sizeof(note);
            const size_t name_bytes = (size_t{note.n_namesz} + 3) / 4 * 4;
            const size_t text_bytes = (size_t{note.n_descsz} + 3) / 4 * 4;
            if (name_bytes > notes.size() - at || text_bytes > notes.size() - at - name_bytes) {
                break;
            }
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                std::memcmp(notes.data() + at, "GNU", 4) == 0) {
                return notes.substr(
                    at + name_bytes, std::min<size_t>(note.n_descsz, kBuildIdBytesMax));
            }
            at += name_bytes + text_bytes;
        }
    }
    return {};
}

std::optional<uint64_t> ElfFile::OffsetOf(uint64_t address) const {
    for (const Segment& segment : segments_) {
        if (segment.type == PT_LOAD && address >= segment.address &&
            address - segment.address < segment.file_bytes) {
            return segment.offset + (address - segment.address);
        }
    }
    return std::nullopt;
}

std::optional<uint64_t> ElfFile::FindFunction(const std::string& name) const {
    const auto dynamic = std::ranges::find_if(
        segments_, [](const Segment& segment) { return segment.type == PT_DYNAMIC; });
    if (dynamic == segments_.end()) {
        return std::nullopt;
    }
    uint64_t symbols = 0, strings = 0, hashes = 0;
    for (size_t i = 0; i < kDynamicMax; ++i) {
        Elf64_Dyn entry{};
        if (!Read(dynamic->offset + i * sizeof(entry), &entry, sizeof(entry))) {
            return std::nullopt;
        }
        if (entry.d_tag == DT_NULL) {
            break;
        }
        symbols = entry.d_tag == DT_SYMTAB ? entry.d_un.d_ptr : symbols;
        strings = entry.d_tag == DT_STRTAB ? entry.d_un.d_ptr : strings;
        hashes = entry.d_tag == DT_GNU_HASH ? entry.d_un.d_ptr : hashes;
    }
    const auto symbols_at = OffsetOf(symbols);
    const auto strings_at = OffsetOf(strings);
    const auto hashes_at = OffsetOf(hashes);
    if (!symbols_at || !strings_at || !hashes_at) {
        return std::nullopt;
    }
    // The GNU hash table: four numbers, the filter, the buckets, the chains.
    std::array<uint32_t, 4> head{};  // buckets, first symbol, filter words, shift
    if (!Read(*hashes_at, head.data(), sizeof(head)) || head[0] == 0) {
        return std::nullopt;
    }
    const uint32_t hash = GnuHash(name);
    const uint64_t buckets_at = *hashes_at + sizeof(head) + uint64_t{head[2]} * 8;
    const uint64_t chains_at = buckets_at + uint64_t{head[0]} * 4;
    uint32_t index = 0;
    if (!Read(buckets_at + uint64_t{hash % head[0]} * 4, &index, sizeof(index)) ||
        index < head[1]) {
        return std::nullopt;
    }
    for (size_t i = 0; i < kChainMax; ++i, ++index) {
        uint32_t chained = 0;
        if (!Read(chains_at + (uint64_t{index} - head[1]) * 4, &chained, sizeof(chained))) {
            return std::nullopt;
        }
        if ((chained | 1) == (hash | 1)) {
            Elf64_Sym symbol{};
            std::string found(name.size() + 1, '\1');
            if (!Read(*symbols_at + uint64_t{index} * sizeof(symbol), &symbol, sizeof(symbol)) ||
                !Read(*strings_at + symbol.st_name, found.data(), found.size())) {
                return std::nullopt;
            }
            if (std::memcmp(found.data(), name.c_str(), found.size()) == 0 &&
                ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF) {
                return symbol.st_value;
            }
        }
        if ((chained & 1) != 0) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

std::optional<uint64_t> ElfFile::LoadAddress(uint64_t mapped_at, uint64_t file_offset) const {
    for (const Segment& segment : segments_) {
        const uint64_t start = segment.offset / kPage * kPage;
        if (segment.type == PT_LOAD && (segment.flags & PF_X) != 0 && file_offset >= start &&
            file_offset - segment.offset / kPage * kPage < segment.file_bytes + kPage) {
            return mapped_at - (file_offset - start) - segment.address / kPage * kPage;
        }
    }
    return std::nullopt;
}

}  // namespace hearth::snapshot
