#pragma once

// Commands in a guest: how they are started, and one of them for the host (exec_protocol.h).
// No C++ library, no heap.
namespace hearth::vmm {

// Of commands for which the host names no variables.
char* const* DefaultEnvironment();

// What a shell would show for a status of waitpid().
int StatusOf(int wait_status);

// In a child, never returns: puts back what a command must not inherit and becomes the program. An
// error number goes into `error_pipe`, or to standard error when that is -1.
[[noreturn]] void RunProgram(char* const* argv, char* const* environment, int error_pipe);

// In a process of its own: serves one connection of the host, then ends the process. In a machine
// that is ours (`in_guest`), the command gets a control group, and process 1 is asked with SIGINT
// when the host wants the machine to end.
[[noreturn]] void RunSession(int connection, bool in_guest);

}  // namespace hearth::vmm
