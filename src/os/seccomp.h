#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <string>

// System call filters, as programs ready for prctl(PR_SET_SECCOMP): sealed memory files of
// sock_filter.
namespace hearth::os {

// What function code may call: an allow-list of what ordinary programs use. New namespaces, mounts,
// tracing, kernel modules, keys, bpf, raw and exotic sockets, new system calls we do not know yet:
// refused with EPERM, or ENOSYS where a program asks whether the kernel has it (clone3).
Result<std::string> FunctionFilter();

// The same rules as libseccomp writes them: for architectures of which we write no program of our
// own, and to test that one against.
Result<std::string> PortableFunctionFilter();

// For the privileged host once its helper that makes processes is there: no program start, no
// start, no inet socket, no connection, no module, no tracing. A violation kills the process.
Result<std::string> HostFilter();

// Installs a filter on this thread (all threads with `all_threads`). Sets no_new_privs first unless
// the process has CAP_SYS_ADMIN.
Status InstallFilter(const std::string& program, bool all_threads);

}  // namespace hearth::os
