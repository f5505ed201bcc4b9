#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <cstdint>
#include <string>

namespace hearth::keeper {

// Opens a listening TCP socket. It stays with the keeper, so that calls made while the cloud
// restarts wait in its queue instead of being refused. Port 0 chooses a free one; see LocalPort.
Result<os::Fd> Listen(const std::string& address, uint16_t port);

uint16_t LocalPort(int socket);

}  // namespace hearth::keeper
