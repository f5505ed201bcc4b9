#pragma once

#include "base/result.h"

namespace hearth::vmm {

// What deadly signals do to the monitor: one line on standard error, then an end with the exit code
// that Firecracker documents for that signal. SIGPIPE is ignored: a reader of the console or of a
// log may leave. SIGSYS belongs to the system call filters.
Status InstallSignalHandlers();

// Exit codes of the program, as Firecracker's.
inline constexpr int kExitOk = 0;
inline constexpr int kExitGeneric = 1;
inline constexpr int kExitBadConfiguration = 152;
inline constexpr int kExitArguments = 153;

}  // namespace hearth::vmm
