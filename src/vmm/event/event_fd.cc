#include "vmm/event/event_fd.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

namespace hearth::vmm {
namespace {

std::uint64_t ReadCounter(int fd) {
    std::uint64_t count = 0;
    return ::read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

timespec ToTimespec(std::chrono::nanoseconds duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return {seconds.count(), (duration - seconds).count()};
}

}  // namespace

Result<EventFd> EventFd::Create() {
    os::Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd.valid()) {
        return errors::System("eventfd", errno);
    }
    return EventFd(std::move(fd));
}

void EventFd::Signal() const {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then the reader is signalled already.
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof(one));
}

std::uint64_t EventFd::Drain() const {
    return ReadCounter(fd_.get());
}

Result<TimerFd> TimerFd::Create() {
    os::Fd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!fd.valid()) {
        return errors::System("timerfd_create", errno);
    }
    return TimerFd(std::move(fd));
}

void TimerFd::Arm(std::chrono::nanoseconds delay, std::chrono::nanoseconds interval) const {
    // A zero it_value would disarm the timer.
    const auto first = std::max(delay, std::chrono::nanoseconds(1));
    const itimerspec spec = {ToTimespec(interval), ToTimespec(first)};
    ::timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

void TimerFd::Disarm() const {
    const itimerspec spec = {};
    ::timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

std::uint64_t TimerFd::Drain() const {
    return ReadCounter(fd_.get());
}

}  // namespace hearth::vmm
