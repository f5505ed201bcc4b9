#include "sandbox/host/pasta.h"

#include "os/file.h"
#include "os/netlink.h"
#include "sandbox/host/egress.h"
#include "sandbox/protocol/init_protocol.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::sandbox {

Result<Pasta> Pasta::Prepare() {
    const char* program = nullptr;
    for (const char* path : {"/usr/bin/pasta", "/usr/local/bin/pasta"}) {
        if (::access(path, X_OK) == 0) {
            program = path;
            break;
        }
    }
    if (program == nullptr) {
        return errors::Unavailable("pasta is not installed (Debian: apt install passt)");
    }
    HEARTH_TRY(auto go, os::Pipe());
    const std::string target = std::to_string(::getpid());
    const pid_t pid = ::fork();
    if (pid < 0) {
        return errors::System("fork", errno);
    }
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        // pasta takes an ignored SIGPIPE for a failure to ignore it.
        ::signal(SIGPIPE, SIG_DFL);
        go.second.Close();
        char byte = 0;
        if (::read(go.first.get(), &byte, 1) != 1) {
            ::_exit(0);
        }
        // IPv4 only, no ports into the namespace, no way to the machine's loopback by its gateway.
        ::execl(
            program,
            "pasta",
            "--foreground",
            "--quiet",
            "--config-net",
            "--ipv4-only",
            "--ns-ifname",
            kEgressInterface,
            "--no-map-gw",
            "-t",
            "none",
            "-u",
            "none",
            "-T",
            "none",
            "-U",
            "none",
            target.c_str(),
            nullptr);
        ::_exit(127);
    }
    return Pasta(std::move(go.second), pid);
}

Status Pasta::Attach() {
    // The kernel tells of each new route here; the default route is the last thing that pasta sets.
    const os::Fd routes(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl groups{};
    groups.nl_family = AF_NETLINK;
    groups.nl_groups = RTMGRP_IPV4_ROUTE;
    const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!routes.valid() || !process.valid() ||
        ::bind(routes.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof(groups)) != 0) {
        return errors::System("watching routes", errno);
    }
    if (::write(go_.get(), "g", 1) != 1) {
        return errors::System("start pasta", errno);
    }
    constexpr int kPatienceMs = 10'000;
    for (;;) {
        const auto table = os::ReadFile(AT_FDCWD, "/proc/net/route");
        if (table.ok() && table->contains(std::string(kEgressInterface) + "\t00000000")) {
            return SetUpHostNetwork();
        }
        pollfd polls[2] = {{routes.get(), POLLIN, 0}, {process.get(), POLLIN, 0}};
        const int count = ::poll(polls, 2, kPatienceMs);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return errors::Unavailable("pasta did not attach in time");
        }
        if (polls[1].revents != 0) {
            return errors::Unavailable("pasta did not start");
        }
        char notice[4096];
        while (::recv(routes.get(), notice, sizeof(notice), 0) > 0) {
        }
    }
}

}  // namespace hearth::sandbox
