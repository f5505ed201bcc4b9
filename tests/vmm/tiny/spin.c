// Never leaves guest mode by itself, nor answers anything.
#include "tiny.h"

void guest(void) {
    say("spinning\n");
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}
