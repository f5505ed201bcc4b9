// A triple fault: no handler for anything.
#include "tiny.h"

void guest(void) {
    static struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none;

    say("faulting\n");
    __asm__ volatile("lidt %0; ud2" ::"m"(none));
}
