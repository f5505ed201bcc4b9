#pragma once

#include "vmm/event/event_fd.h"

// Read leases (fcntl's F_SETLEASE): the kernel lets nobody open a file for writing or truncate it
// before the holder has let go of it, which it is asked to by a signal. It waits for 45 seconds
// (/proc/sys/fs/lease-break-time); whoever replaces a file by a rename never waits.
//
// With one, a monitor may show a file's pages to its guest and still promise that the guest sees
// the file as it was.
namespace hearth::vmm::file_lease {

// Takes a lease on an open file; closing it gives the lease back. False where there is none to
// have: somebody has the file open for writing, it is another user's (without CAP_LEASE), or its
// file system knows no leases. Before the thread's system call filter.
bool Take(int fd);

// Signalled when somebody waits for any file that was taken. One for the process.
const EventFd& Wanted();

}  // namespace hearth::vmm::file_lease
