#pragma once

#include "base/result.h"

#include <cstdint>

// Packs what a runtime left in /tmp behind its image (protocol/tmp_archive.h).
namespace hearth::sandbox {

// Whether there is anything in `directory`.
Result<bool> HoldsAnything(int directory);

// Appends all below `directory` to `file`. Nobody may change the directory meanwhile; its contents
// are hostile all the same.
//   returns   bytes added
//   errors    Unimplemented: what cannot be packed, a clause for the function's owner
Result<uint64_t> PackTmp(int directory, int file);

}  // namespace hearth::sandbox
