#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <sys/types.h>

// The way out without root: pasta (package passt) moves packets between an interface in our network
// namespace and ordinary sockets of the user. It has to be started outside of the namespaces,
// before we enter them, and is told to attach once they exist.
namespace hearth::sandbox {

class Pasta final {
  public:
    // Starts a process that waits. Unavailable when pasta is not installed.
    static Result<Pasta> Prepare();

    Pasta(Pasta&&) = default;
    Pasta& operator=(Pasta&&) = default;

    // From inside the new namespaces: lets pasta attach, waits for its interface, and sets up rules
    // and addresses like SetUpEgress does with root.
    Status Attach();

    pid_t pid() const { return pid_; }

  private:
    Pasta(os::Fd go, pid_t pid) : go_(std::move(go)), pid_(pid) {}

    os::Fd go_;
    pid_t pid_;
};

}  // namespace hearth::sandbox
