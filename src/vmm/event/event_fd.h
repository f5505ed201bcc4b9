#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <chrono>
#include <cstdint>

namespace hearth::vmm {

// A counter one can wait for with epoll; what KVM signals for kicks (ioeventfd) and is signalled
// by for interrupts (irqfd). Non-blocking, closed on exec.
class EventFd final {
  public:
    static Result<EventFd> Create();

    // Adds one. Any thread; never blocks: a full counter is as good as a signal.
    void Signal() const;

    // The count since the last call, which is 0 when nothing was signalled.
    std::uint64_t Drain() const;

    int fd() const { return fd_.get(); }

  private:
    explicit EventFd(os::Fd fd) : fd_(std::move(fd)) {}

    os::Fd fd_;
};

// A timer on the monotonic clock one can wait for with epoll.
class TimerFd final {
  public:
    static Result<TimerFd> Create();

    // Fires once after `delay` and then, if `interval` is not zero, every `interval`. A delay of
    // zero fires at once.
    void Arm(
        std::chrono::nanoseconds delay,
        std::chrono::nanoseconds interval = std::chrono::nanoseconds::zero()) const;
    void Disarm() const;

    // How often it fired since the last call.
    std::uint64_t Drain() const;

    int fd() const { return fd_.get(); }

  private:
    explicit TimerFd(os::Fd fd) : fd_(std::move(fd)) {}

    os::Fd fd_;
};

}  // namespace hearth::vmm
