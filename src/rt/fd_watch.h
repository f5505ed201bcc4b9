#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <memory>

namespace hearth::rt {

// Waits until a descriptor can be read or written without blocking: pipes, sockets, pidfds,
// eventfds. The descriptor stays the caller's, is made non-blocking by the first wait, and must
// outlive the watch. One waiter per direction. On the loop that made the object.
class FdWatch final {
  public:
    // Fails for what cannot be polled, such as a regular file.
    static Result<FdWatch> Make(int fd);

    FdWatch(FdWatch&& other) noexcept;
    FdWatch& operator=(FdWatch&& other) noexcept;
    // Nobody may wait any more; call Cancel and let the waiters go first.
    ~FdWatch();

    // Ends also at end of file and on errors, which the caller's read or write then sees. Fails
    // only after Cancel.
    Task<Status> Readable();
    Task<Status> Writable();

    // Makes the current waits fail.
    void Cancel();

  private:
    struct State;

    explicit FdWatch(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace hearth::rt
