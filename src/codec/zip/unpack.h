#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Unpacks zip archives from anybody: nothing is ever written outside of the target, whatever names,
// links, sizes or counts the archive claims. libarchive stays hidden behind this folder.
namespace hearth::codec::zip {

struct Limits {
    // Of all entries together, as really unpacked, not as claimed.
    uint64_t bytes_max = 0;
    size_t entries_max = 0;
};

// What is wrong with an archive.
enum class Flaw {
    kNone,
    kNotAZip,   // not an archive, damaged, or encrypted
    kHostile,   // a name or link that leads out, a device, a name that no file system takes
    kEmpty,     // not one entry
    kTooLarge,  // more bytes than allowed
    kTooMany,   // more entries than allowed
};

struct Outcome {
    Flaw flaw = Flaw::kNone;
    uint64_t bytes = 0;
    size_t entries = 0;
};

// Unpacks `archive` into the empty directory `directory_fd`; with -1, looks through it without
// writing. Files come out 0444, or 0555 when any execute bit was set; directories 0755; symbolic
// links that stay inside are kept. A name that comes twice: the later entry wins. The outcome's
// flaw says what is wrong with the archive (the directory then holds the part before it); an Error
// is the machine's fault. Blocks.
Result<Outcome> Unpack(std::string_view archive, int directory_fd, const Limits& limits);

}  // namespace hearth::codec::zip
