#include "vmm/event/file_lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>

namespace hearth::vmm::file_lease {
namespace {

std::optional<EventFd> wanted;
std::atomic<int> wanted_fd = -1;

// The kernel may pick any thread, behind its filter: one write, which all may do.
void OnWanted(int) {
    const int error_number = errno;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wanted_fd.load(), &one, sizeof(one));
    errno = error_number;
}

// Leases are taken on one thread; the signal's default would end the process.
bool CatchSignal() {
    if (wanted) {
        return true;
    }
    auto event = EventFd::Create();
    if (!event.ok()) {
        return false;
    }
    struct sigaction action = {};
    action.sa_handler = OnWanted;
    action.sa_flags = SA_RESTART;
    wanted_fd.store(event.value().fd());
    if (::sigaction(SIGIO, &action, nullptr) != 0) {
        return false;
    }
    wanted.emplace(std::move(event).value());
    return true;
}

}  // namespace

bool Take(int fd) {
    return CatchSignal() && ::fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
}

const EventFd& Wanted() {
    return wanted.value();
}

}  // namespace hearth::vmm::file_lease
