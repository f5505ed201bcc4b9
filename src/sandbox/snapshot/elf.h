#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What a snapshot wants of an ELF file: its build id and the addresses of exported functions. The
// file is the customer's, so nothing in it is believed: every read is within the file, every count
// has a limit, and a file that makes no sense has no build id and no functions.
namespace hearth::snapshot {

class ElfFile final {
  public:
    // nullopt: no 64-bit little-endian x86 ELF file. Borrows the descriptor.
    static std::optional<ElfFile> Open(int fd);

    // The bytes of NT_GNU_BUILD_ID, up to 64; empty without one.
    std::string BuildId() const;

    // The value (offset from the load address) of a defined, exported function.
    std::optional<uint64_t> FindFunction(const std::string& name) const;

    // The load address, from where the file's part at `file_offset` is mapped; executable parts
    // only. nullopt: no executable segment covers that offset.
    std::optional<uint64_t> LoadAddress(uint64_t mapped_at, uint64_t file_offset) const;

  private:
    struct Segment {
        uint32_t type = 0;
        uint32_t flags = 0;
        uint64_t offset = 0;
        uint64_t address = 0;
        uint64_t file_bytes = 0;
    };

    explicit ElfFile(int fd) : fd_(fd) {}

    bool Read(uint64_t offset, void* into, size_t bytes) const;
    std::optional<uint64_t> OffsetOf(uint64_t address) const;

    int fd_;
    std::vector<Segment> segments_;
};

}  // namespace hearth::snapshot
