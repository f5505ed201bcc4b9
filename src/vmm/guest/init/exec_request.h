#pragma once

#include "vmm/guest/exec_protocol.h"

#include <stddef.h>

// The first line that the host sends (exec_protocol.h), read where it lies: no heap, no C++
// library.
namespace hearth::vmm {

struct GuestExecRequest {
    enum class Action { kExec, kReboot, kPing };

    Action action = Action::kExec;
    // Ended by nullptr; the strings lie in the line.
    char* argv[kExecArgumentsMax + 1];
    size_t argc = 0;
    // "NAME=value", ended by nullptr.
    char* environment[kExecArgumentsMax + 1];
    size_t environment_size = 0;
    // Empty: where the guest's init is.
    const char* directory = "";
    bool with_stdin = false;
};

// Parses line[0, bytes), which it changes and which must outlive `request`. Members that it does
// not know are skipped. Returns nullptr, or what is wrong.
const char* ParseExecRequest(char* line, size_t bytes, GuestExecRequest* request);

}  // namespace hearth::vmm
