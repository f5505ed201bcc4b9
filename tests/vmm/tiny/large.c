// Says for ever what it finds in the middle of two MiB of its own, which a monitor may have mapped
// from this very file.
#include "tiny.h"

static const volatile u8 content[2 << 20] = {[1 << 20] = 'o'};

void guest(void) {
    for (;;) {
        const char kept[] = {(char)content[1 << 20], 0};
        line("kept ", kept);
    }
}
