#pragma once

#include "os/fd.h"

namespace hearth::vmm {

// The pipe or terminal behind `fd`, opened anew for writing that never waits: who waits for a
// reader cannot be paused, and a guest writes as much as it likes. The flag of `fd` itself is
// shared with other processes and left alone.
//
// No descriptor for anything else: files never make a writer wait (and their position is shared),
// sockets cannot be opened anew.
os::Fd ReopenWithoutWaiting(int fd);

}  // namespace hearth::vmm
