#include "sandbox/host/pasta.h"

#include "os/file.h"
#include "os/netlink.h"
#include "sandbox/host/egress.h"
#include "sandbox/protocol/init_protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

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
    if (::write(go_.get(), "g", 1) != 1) {
        return errors::System("start pasta", errno);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
        // The default route is the last thing that pasta sets.
        const auto routes = os::ReadFile(AT_FDCWD, "/proc/net/route");
        if (routes.ok() && routes->contains(std::string(kEgressInterface) + "\t00000000")) {
            break;
        }
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            return errors::Unavailable("pasta did not start");
        }
        if (std::chrono::steady_clock::now() > deadline) {
            return errors::Unavailable("pasta did not attach in time");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return SetUpHostNetwork();
}

}  // namespace hearth::sandbox
