// Prints for ever.
#include "tiny.h"

void guest(void) {
    for (;;) {
        say("tick\n");
        for (u64 i = 0; i < 2000; ++i) {
            __asm__ volatile("" : "+r"(i));
        }
    }
}
