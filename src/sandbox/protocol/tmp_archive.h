#pragma once

#include <cstdint>

// What /tmp held when a runtime was saved, behind the pages of its image: written by the host's
// helper that saves (host/tmp_archive.h), unpacked by hearth-init into the /tmp of each environment
// that goes on from the image. hearth-init has no C++ library, so this header is plain data.
//
//   at the image's end: entry, path, bytes; entry, path, bytes; ... ; TmpFooter
//
// The contents are the function's, so whoever unpacks trusts nothing of it.
namespace hearth::sandbox {

enum TmpKind : uint32_t {
    kTmpDirectory = 1,
    kTmpFile = 2,
    kTmpLink = 3,
    // After a directory's entries: its times, which making them has changed.
    kTmpDirectoryEnd = 4,
};

struct TmpEntry {
    uint32_t kind;  // TmpKind
    uint32_t mode;  // permission bits
    uint32_t path_bytes;
    uint32_t modified_ns;
    int64_t modified_s;
    // Of a file its contents, of a link where it leads; else 0.
    uint64_t bytes;
};

struct TmpFooter {
    uint64_t magic;
    // Where the first entry begins, and how many there are.
    uint64_t offset;
    uint64_t entries;
};

inline constexpr uint64_t kTmpMagic = 0x31504d5448545248;
// Relative to /tmp; without a NUL at its end.
inline constexpr uint32_t kTmpPathBytesMax = 1024;
// As large as /tmp is on AWS unless configured.
inline constexpr uint64_t kTmpBytesMax = 512ULL << 20;
inline constexpr uint64_t kTmpEntriesMax = 65536;

}  // namespace hearth::sandbox
