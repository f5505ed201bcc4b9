// hearth-host: README.md of this folder.

#include "base/log.h"
#include "os/cgroups.h"
#include "os/file.h"
#include "os/netlink.h"
#include "os/seccomp.h"
#include "sandbox/host/egress.h"
#include "sandbox/host/host.h"
#include "sandbox/host/options.h"
#include "sandbox/host/pasta.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>

namespace hearth::sandbox {
namespace {

std::string ProgramDirectory() {
    char path[PATH_MAX];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
    const std::string program(path, size > 0 ? static_cast<size_t>(size) : 0);
    return program.substr(0, program.rfind('/'));
}

// Closes what the parent may have left open, except what the command line names.
void CloseStrangers(const HostOptions& options) {
    std::set<unsigned> kept = {0, 1, 2};
    for (const int fd : {options.channel_fd, options.data_fd, options.netns_fd}) {
        if (fd >= 0) {
            kept.insert(static_cast<unsigned>(fd));
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    unsigned first = 0;
    for (const unsigned fd : kept) {
        if (fd > first) {
            ::syscall(SYS_close_range, first, fd - 1, 0);
        }
        first = fd + 1;
    }
    ::syscall(SYS_close_range, first, ~0U, 0);
}

// Only what making, owning and killing environments takes.
Status DropCapabilities() {
    constexpr cap_value_t kKept[] = {
        CAP_SYS_ADMIN,
        CAP_SETUID,
        CAP_SETGID,
        CAP_KILL,
        CAP_CHOWN,
        CAP_DAC_OVERRIDE,
        CAP_FOWNER,
        CAP_NET_ADMIN,
        CAP_SYS_RESOURCE,
        CAP_DAC_READ_SEARCH,
        CAP_SETFCAP};
    cap_t capabilities = ::cap_get_proc();
    if (capabilities == nullptr) {
        return errors::System("cap_get_proc", errno);
    }
    for (int value = 0; value <= CAP_LAST_CAP; ++value) {
        const bool keep = std::find(std::begin(kKept), std::end(kKept), value) != std::end(kKept);
        if (!keep) {
            const cap_value_t one[] = {value};
            ::cap_set_flag(capabilities, CAP_PERMITTED, 1, one, CAP_CLEAR);
            ::cap_set_flag(capabilities, CAP_EFFECTIVE, 1, one, CAP_CLEAR);
            ::cap_set_flag(capabilities, CAP_INHERITABLE, 1, one, CAP_CLEAR);
        }
    }
    const int failed = ::cap_set_proc(capabilities);
    const int error = errno;
    ::cap_free(capabilities);
    if (failed != 0) {
        return errors::System("cap_set_proc", error);
    }
    return {};
}

// Without root: a user namespace in which we are root, with one user id. The host then works as
// always, its reach being that of its user.
Status BecomeRootOfOwnNamespace() {
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    if (::unshare(CLONE_NEWUSER) != 0) {
        return errors::System("user namespaces are not available to this user", errno);
    }
    HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, "/proc/self/setgroups", "deny"));
    HEARTH_RETURN_IF_ERROR(
        os::WriteFile(AT_FDCWD, "/proc/self/uid_map", fmt::format("0 {} 1\n", uid)));
    return os::WriteFile(AT_FDCWD, "/proc/self/gid_map", fmt::format("0 {} 1\n", gid));
}

// Made before the filter forbids it, and handed up: the host itself never reads it.
Result<os::Fd> OpenNameSocket() {
    os::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The cloud still holds the socket of a host that crashed.
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(kDnsAddress);
    address.sin_port = htons(53);
    if (!fd.valid() ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return errors::System("name server socket", errno);
    }
    return fd;
}

// Leaves the machine's file system and network, locks itself up, and has one environment ready:
// everything that can go wrong on a strange machine has gone right after this.
Result<std::unique_ptr<Host>> Build(
    HostOptions options, os::CgroupTree cgroups, bool namespaces, bool rootless) {
    RootOptions root_options;
    root_options.data_name = options.data_name;
    root_options.data_fd = options.data_fd;
    root_options.exposed = options.exposed;
    root_options.shown = options.shown;
    root_options.init_program = ProgramDirectory() + "/hearth-init";
    const auto enter = [&]() -> Result<HostRoot> {
        if (!namespaces) {
            options.egress = false;
            return HostRoot::Stay(root_options);
        }
        std::optional<Pasta> pasta;
        if (rootless) {
            if (options.egress) {
                auto prepared = Pasta::Prepare();
                if (prepared.ok()) {
                    pasta = *std::move(prepared);
                } else {
                    log::Warn(
                        "functions have no way out of this machine: {}; --egress off says so on "
                        "purpose",
                        prepared.error().message());
                }
            }
            HEARTH_RETURN_IF_ERROR(BecomeRootOfOwnNamespace());
        }
        if (options.netns_fd >= 0) {
            if (::setns(options.netns_fd, CLONE_NEWNET) != 0) {
                return errors::System("setns of --netns-fd", errno);
            }
        } else if (::unshare(CLONE_NEWNET) != 0) {
            return errors::System("unshare the network", errno);
        }
        if (pasta.has_value()) {
            if (const auto attached = pasta->Attach(); !attached.ok()) {
                log::Warn(
                    "functions have no way out of this machine: {}", attached.error().message());
                ::kill(pasta->pid(), SIGKILL);
                options.egress = false;
            }
        }
        // With root the keeper's helper has linked the namespace to the machine, or has said why
        // not.
        options.egress = options.egress && os::InterfaceExists(kEgressInterface);
        root_options.dns = options.egress ? os::Ipv4Text(kDnsAddress) : "";
        if (::unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
            return errors::System("unshare", errno);
        }
        return HostRoot::Enter(root_options);
    };
    HEARTH_TRY(HostRoot root, enter());
    HEARTH_TRY(os::Fd init, root.OpenInit());
    HEARTH_TRY(Maker maker, Maker::Start(std::move(init)));
    HEARTH_TRY(std::string function_filter, os::FunctionFilter());
    HEARTH_TRY(const std::string host_filter, os::HostFilter());
    os::Fd name_socket;
    if (options.egress) {
        HEARTH_TRY(name_socket, OpenNameSocket());
    }
    if (!rootless) {
        HEARTH_RETURN_IF_ERROR(DropCapabilities());
    }
    const bool can_overlay = namespaces && root.CanOverlay();
    HEARTH_TRY(
        auto host,
        Host::Make(Host::Parts{
            std::move(options),
            std::move(cgroups),
            std::move(root),
            std::move(maker),
            namespaces,
            rootless,
            can_overlay,
            std::move(function_filter),
            std::move(name_socket)}));
    HEARTH_RETURN_IF_ERROR(os::InstallFilter(host_filter, false));
    HEARTH_RETURN_IF_ERROR(host->TryOne());
    return host;
}

// Whether namespaces work here, tried to the end in a child: a host that has left the machine's
// file system cannot change its mind. The reason why not.
std::optional<std::string> WhyNoNamespaces(const HostOptions& options, bool rootless) {
    auto pipe = os::Pipe();
    if (!pipe.ok()) {
        return pipe.error().message();
    }
    const pid_t pid = ::fork();
    if (pid < 0) {
        return "fork failed";
    }
    if (pid == 0) {
        log::Init("host", log::Level::kError);
        HostOptions trial = options;
        trial.egress = false;
        auto host =
            Build(trial, os::CgroupTree::Open(InstanceName(trial.data_name)), true, rootless);
        const std::string text = host.ok() ? "ok" : host.error().message();
        if (host.ok()) {
            (*host)->Shutdown();
        }
        (void)!::write(pipe->second.get(), text.data(), text.size());
        ::_exit(0);
    }
    pipe->second.Close();
    std::string text;
    char buffer[1024];
    for (ssize_t count = 0; (count = ::read(pipe->first.get(), buffer, sizeof(buffer))) > 0;) {
        text.append(buffer, static_cast<size_t>(count));
    }
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (text == "ok") {
        return std::nullopt;
    }
    return text.empty() ? "the trial died" : text;
}

Status Serve(HostOptions options) {
    CloseStrangers(options);
    os::RaiseOpenFilesLimit();
    // The keeper's death is ours, in order: everything is put away first.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    const bool rootless = ::geteuid() != 0;

    os::CgroupTree cgroups = os::CgroupTree::Open(InstanceName(options.data_name));
    if (!cgroups.Sweep(std::chrono::seconds(10))) {
        log::Warn("host: control groups of an earlier run are still not empty");
    }
    // Every clone moves into its groups. Open until the end.
    os::Fd quick_moves;
    if (!rootless && cgroups.layout() != os::CgroupLayout::kNone) {
        if (auto favored = os::FavorQuickMoves(InstanceName(options.data_name)); favored.ok()) {
            quick_moves = *std::move(favored);
        } else {
            log::Debug("host: moves between groups are slow: {}", favored.error().message());
        }
    }
    options.egress = options.egress && (options.netns_fd >= 0 || rootless);
    if (!options.egress && !rootless) {
        // A run that ended with its keeper may have left its table and our interfaces' forwarding.
        (void)RemoveEgress(options).ok();
    }
    bool namespaces = options.isolation != HostOptions::Isolation::kNone;
    std::optional<std::string> reason;
    if (options.isolation == HostOptions::Isolation::kAuto) {
        reason = WhyNoNamespaces(options, rootless);
        namespaces = !reason.has_value();
    }
    HEARTH_TRY(auto host, Build(std::move(options), std::move(cgroups), namespaces, rootless));
    if (!namespaces) {
        log::Warn(
            "host: NO ISOLATION: functions run as plain processes and can read what their user can"
            "{}{}",
            reason.has_value() ? "; namespaces do not work here: " : "",
            reason.value_or(""));
    }
    return host->Run();
}

// The column of the table in docs/security.md that applies to this machine and user.
Status Probe(HostOptions options) {
    options.data_name = "/tmp";
    const bool rootless = ::geteuid() != 0;
    os::CgroupTree cgroups = os::CgroupTree::Open("hearth-probe");
    const std::string layout(os::Name(cgroups.layout()));
    const bool memory = cgroups.Has("memory");
    const bool cpu = cgroups.Has("cpu");
    const bool pids = cgroups.Has("pids");
    const bool freezer = cgroups.CanFreeze();
    cgroups.RemoveTree();
    const auto reason = WhyNoNamespaces(options, rootless);
    os::CgroupTree trial = os::CgroupTree::Open(InstanceName(options.data_name));
    trial.Sweep(std::chrono::seconds(10));
    trial.RemoveTree();
    const char* column = "rootless bare";
    if (!rootless) {
        column = layout == "v2" ? "root + v2" : layout == "none" ? "root, no groups" : "root + v1";
    } else if (memory) {
        column = "rootless delegated";
    }
    const auto print = [](const char* name, const std::string& value) {
        (void)printf("%-12s %s\n", name, value.c_str());
    };
    print("column", column);
    print("namespaces", reason.has_value() ? "no: " + *reason : "yes");
    print("cgroups", layout);
    print("memory", memory ? "group" : "RLIMIT_DATA per process");
    print("cpu", cpu ? "group weight" : "none");
    print("pids", pids ? "group" : "RLIMIT_NPROC per environment");
    print("freeze", freezer ? "group" : "SIGSTOP");
    print("uid", rootless ? "one for all" : "one per environment");
    print("egress", rootless ? "pasta" : "veth and nftables");
    return {};
}

int Main(const std::vector<std::string>& arguments) {
    os::EnsureStdio();
    ::signal(SIGPIPE, SIG_IGN);
    auto options = ParseHostOptions(arguments);
    if (!options.ok()) {
        (void)fprintf(stderr, "hearth-host: %s\n", options.error().message().c_str());
        return 2;
    }
    log::Init("host", options->log_level);
    Status status;
    switch (options->mode) {
        case HostOptions::Mode::kServe:
            status = Serve(*std::move(options));
            break;
        case HostOptions::Mode::kSweep: {
            os::CgroupTree cgroups = os::CgroupTree::Open(InstanceName(options->data_name));
            if (!cgroups.Sweep(std::chrono::seconds(10))) {
                status = errors::Internal("control groups that do not get empty");
            }
            cgroups.RemoveTree();
            break;
        }
        case HostOptions::Mode::kEgressSetup:
            status = SetUpEgress(*options);
            if (!status.ok()) {
                (void)RemoveEgress(*options).ok();
            }
            break;
        case HostOptions::Mode::kEgressRemove:
            status = RemoveEgress(*options);
            break;
        case HostOptions::Mode::kProbe:
            status = Probe(*std::move(options));
            break;
    }
    if (!status.ok()) {
        log::Error("host: {}", status.error().message());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace hearth::sandbox

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// The leak check at exit starts a thread, for which the host's own filter would kill it.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
    return "detect_leaks=0";
}
#endif
#endif

int main(int argc, char** argv) {
    return hearth::sandbox::Main(std::vector<std::string>(argv + 1, argv + argc));
}
