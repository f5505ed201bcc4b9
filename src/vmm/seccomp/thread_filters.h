#pragma once

#include "base/result.h"

#include <linux/filter.h>

#include <vector>

// What each thread of the monitor may ask of the kernel, by system call and by argument. Anything
// else raises SIGSYS, whose handler names the call and ends the process with exit code 148.
// Installed after a thread has set itself up and before it meets a byte of a guest or a client.
namespace hearth::vmm {

enum class ThreadKind { kApi, kVmm, kVcpu };

inline constexpr int kBadSystemCallExitCode = 148;

// Once, on the first thread, before any filter: the handler of SIGSYS.
Status InstallBadSystemCallHandler();

// What InstallThreadFilter installs, but in builds with sanitizers, which call what they like.
std::vector<sock_filter> ThreadFilterProgram(ThreadKind kind);

// On the thread itself; nothing takes it away again.
Status InstallThreadFilter(ThreadKind kind);

}  // namespace hearth::vmm
