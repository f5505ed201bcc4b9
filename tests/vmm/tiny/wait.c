// Prints and waits for nothing, for ever.
#include "tiny.h"

void guest(void) {
    say("waiting\n");
    for (;;) {
        __asm__ volatile("hlt");
    }
}
