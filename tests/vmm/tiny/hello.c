// Prints and ends.
#include "tiny.h"

void guest(void) {
    say("hello from a tiny guest\n");
}
