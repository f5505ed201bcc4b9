// Two million instructions between two lines: how fast this machine's KVM is, without believing any
// flag.
#include "tiny.h"

void guest(void) {
    say("begin\n");
    for (u64 i = 0; i < 1000000; ++i) {
        __asm__ volatile("" : "+r"(i));
    }
    say("end\n");
}
