#pragma once

namespace hearth::os {

// Gives memory that nobody uses back to the system, from whichever allocator the program is linked
// with. Takes milliseconds when there is much of it; for after a burst.
void ReturnFreeMemory();

}  // namespace hearth::os
