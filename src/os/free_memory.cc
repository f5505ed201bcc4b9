#include "os/free_memory.h"

#include <malloc.h>

// tcmalloc's, where the program has it (gperftools/malloc_extension_c.h); glibc's malloc is then
// not in use, and trimming it would do nothing.
extern "C" [[gnu::weak]] void MallocExtension_ReleaseFreeMemory();

namespace hearth::os {

void ReturnFreeMemory() {
    if (MallocExtension_ReleaseFreeMemory != nullptr) {
        MallocExtension_ReleaseFreeMemory();
    } else {
        (void)::malloc_trim(0);
    }
}

}  // namespace hearth::os
