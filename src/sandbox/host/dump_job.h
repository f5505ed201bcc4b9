#pragma once

#include "sandbox/protocol/protocol.h"

#include <sys/types.h>

#include <cstdint>

// What the maker's child does that saves a runtime: it alone traces, and has two descriptors, the
// image and the channel on which it reports, once.
namespace hearth::sandbox {

// Plain data: it crosses a packet between two processes of one program.
struct DumpJob {
    uint64_t environment = 0;
    // hearth-init of the environment, in our pid namespace; the runtime is its child.
    pid_t init = -1;
    // Of the pipes that the host made for the runtime's output.
    uint64_t stdout_inode = 0;
    uint64_t stderr_inode = 0;
    uint32_t port_count = 0;
    uint16_t ports[kWaitingConnectionsMax] = {};
};

// In an image: what a clone is given for each. Connections follow in the order of their ports.
inline constexpr uint32_t kStandInStdout = 0;
inline constexpr uint32_t kStandInStderr = 1;
inline constexpr uint32_t kStandInConnection = 2;

// Saves, sends the SaveAnswer as the host passes it on, and ends.
[[noreturn]] void RunDump(const DumpJob& job, int channel, int image);

}  // namespace hearth::sandbox
