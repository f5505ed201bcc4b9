#include "vmm/observe/reopen.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <string>

namespace hearth::vmm {

os::Fd ReopenWithoutWaiting(int fd) {
    struct stat status = {};
    if (::fstat(fd, &status) != 0 || (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))) {
        return os::Fd();
    }
    const std::string path = fmt::format("/proc/self/fd/{}", fd);
    return os::Fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

}  // namespace hearth::vmm
