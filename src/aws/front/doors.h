#pragma once

#include "aws/front/context.h"
#include "os/fd.h"
#include "rt/task.h"

#include <memory>
#include <string>

namespace hearth::aws {

// Who calls through a door.
struct DoorIdentity {
    // The function's role session (SessionIssuer::CallerOf): in open mode what calls with keys that
    // Hearth did not issue, and unsigned ones, count as.
    Caller role;
    AccountId account;
    Region region;
    // Becomes RequestContext::calling_function_arn.
    std::string function_arn;
};

// A listening socket inside an execution environment's network, served by the gateway. Keys that
// Hearth issued are always verified there; any other counts as the function's own role in open mode
// and is refused in enforce mode.
class Door {
  public:
    virtual ~Door() = default;
    // Stops accepting and closes its connections; await it before destroying.
    virtual Task<void> Close() = 0;
};

class Doors {
  public:
    virtual ~Doors() = default;
    // Serves on the loop of the caller. The same loop closes and destroys it.
    virtual std::unique_ptr<Door> Open(os::Fd listener, DoorIdentity identity) = 0;
};

}  // namespace hearth::aws
