#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <unordered_map>

namespace hearth::snapshot {

struct UnixSocket {
    uint32_t peer = 0;  // inode, 0: none (any more)
    bool named = false;
};

// Every unix socket of the network namespace of `pid`, by inode, as NETLINK_SOCK_DIAG tells.
// Enters that namespace with the calling thread and comes back.
Result<std::unordered_map<uint32_t, UnixSocket>> ListUnixSockets(int pid);

}  // namespace hearth::snapshot
