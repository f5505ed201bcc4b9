#include "sandbox/host/maker.h"

#include "os/channel.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/snapshot/identity.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace hearth::sandbox {

namespace {

constexpr size_t kJobFdsMax = 6;

// The first byte of a request.
constexpr char kNamespaces = 'n';
constexpr char kPlain = 'p';
constexpr char kDump = 'd';
constexpr char kTemplate = 't';
constexpr char kLearn = 'l';

// The child between clone3 and exec: system calls only, since the memory is a copy of a process
// that may have been anywhere.
[[noreturn]] void BecomeInit(int channel, int program, bool namespaces) {
    // Both descriptors are above 10 (RunMaker), so neither dup2 covers the other.
    if (::dup2(channel, kInitSocket) < 0 || ::dup2(program, kInitProgram) < 0) {
        ::_exit(110);
    }
    ::fcntl(kInitProgram, F_SETFD, FD_CLOEXEC);
    ::syscall(SYS_close_range, kInitProgram + 1, ~0U, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    InitGo go{};
    ssize_t count = 0;
    do {
        count = ::recv(kInitSocket, &go, sizeof(go), 0);
    } while (count < 0 && errno == EINTR);
    if (count != sizeof(go)) {
        ::_exit(0);
    }
    // The host has written the maps by now. Only the namespace's root keeps its capabilities at
    // exec.
    if (namespaces) {
        (void)::syscall(SYS_setgroups, 0, nullptr);
        if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
            ::_exit(113);
        }
    }
    char name[] = "hearth-init";
    char plain[] = "plain";
    char own[] = "namespaces";
    char address[16];
    char gateway[16];
    (void)::snprintf(address, sizeof(address), "%u", go.address);
    (void)::snprintf(gateway, sizeof(gateway), "%u", go.gateway);
    char* arguments[] = {name, namespaces ? own : plain, address, gateway, nullptr};
    char* environment[] = {nullptr};
    ::syscall(SYS_execveat, kInitProgram, "", arguments, environment, AT_EMPTY_PATH);
    ::_exit(112);
}

// Unlike hearth-init, jobs run on in this program: the maker has one thread and holds no lock here.
// What they were given ends up at 3 and above, and nothing else is open.
void KeepOnly(std::span<const int> fds) {
    int high[kJobFdsMax];
    for (size_t i = 0; i < fds.size(); ++i) {
        high[i] = ::fcntl(fds[i], F_DUPFD_CLOEXEC, 300);
    }
    for (size_t i = 0; i < fds.size(); ++i) {
        if (high[i] < 0 || ::dup2(high[i], 3 + static_cast<int>(i)) < 0) {
            ::_exit(114);
        }
    }
    ::syscall(SYS_close_range, 3 + fds.size(), ~0U, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

[[noreturn]] void RunMaker(os::Fd socket_below, os::Fd program_below) {
    ::prctl(PR_SET_NAME, "hearth-maker", 0, 0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // Only what is named stays open, at numbers that no later descriptor gets.
    const int socket = ::fcntl(socket_below.get(), F_DUPFD_CLOEXEC, 200);
    const int program = ::fcntl(program_below.get(), F_DUPFD_CLOEXEC, 201);
    if (socket < 0 || program < 0) {
        ::_exit(1);
    }
    ::syscall(SYS_close_range, 3, 199, 0);
    ::syscall(SYS_close_range, std::max(socket, program) + 1, ~0U, 0);
    socket_below.Release();
    program_below.Release();
    // Each child that dumps or becomes a template asks; they are copies of this process.
    (void)snapshot::CurrentMachine().ok();
    for (;;) {
        auto packet = os::ReceivePacket(socket, true);
        if (!packet.ok() || !packet->has_value() || (*packet)->bytes.empty()) {
            ::_exit(0);  // the host is gone
        }
        const std::string& bytes = (*packet)->bytes;
        const char kind = bytes[0];
        DumpJob dump;
        TemplateJob hold;
        size_t job_bytes = 0;
        size_t fd_count = 1;
        if (kind == kDump) {
            job_bytes = sizeof(dump);
            fd_count = 2;
        } else if (kind == kTemplate) {
            job_bytes = sizeof(hold);
            fd_count = std::clamp<size_t>((*packet)->fds.size(), 5, 6);
        } else if (kind == kLearn) {
            fd_count = 4;
        }
        if ((*packet)->fds.size() != fd_count || bytes.size() != 1 + job_bytes) {
            ::_exit(0);
        }
        const bool namespaces = kind == kNamespaces;
        int fds[kJobFdsMax] = {};
        fds[0] = ::fcntl((*packet)->fds[0].get(), F_DUPFD_CLOEXEC, 210);
        for (size_t i = 1; i < fd_count; ++i) {
            fds[i] = (*packet)->fds[i].get();
        }
        clone_args arguments{};
        // The host becomes the parent, and its death the child's.
        arguments.flags = CLONE_PARENT;
        if (namespaces) {
            arguments.flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
                               CLONE_NEWIPC | CLONE_NEWUTS;
        }
        const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (pid == 0 && kind == kDump) {
            std::memcpy(&dump, bytes.data() + 1, sizeof(dump));
            KeepOnly(std::span(fds).first(fd_count));
            RunDump(dump, 3, 4);
        }
        if (pid == 0 && kind == kTemplate) {
            std::memcpy(&hold, bytes.data() + 1, sizeof(hold));
            KeepOnly(std::span(fds).first(fd_count));
            RunTemplate(hold, 3, 4, 5, 6, 7, fd_count == 6 ? 8 : -1);
        }
        if (pid == 0 && kind == kLearn) {
            KeepOnly(std::span(fds).first(fd_count));
            RunLearn(3, 4, 5, 6);
        }
        if (pid == 0) {
            BecomeInit(fds[0], program, namespaces);
        }
        const int channel = fds[0];
        const int32_t answer = pid < 0 ? -errno : static_cast<int32_t>(pid);
        ::close(channel);
        (void)os::SendPacket(
            socket, std::string_view(reinterpret_cast<const char*>(&answer), sizeof(answer)), {})
            .ok();
    }
}

}  // namespace

Result<Maker> Maker::Start(os::Fd program) {
    HEARTH_TRY(auto ends, os::MakeChannel());
    const pid_t pid = ::fork();
    if (pid < 0) {
        return errors::System("fork", errno);
    }
    if (pid == 0) {
        ends.first.Close();
        RunMaker(std::move(ends.second), std::move(program));
    }
    return Maker(std::move(ends.first), pid);
}

Result<pid_t> Maker::Make(const os::Fd& channel, bool namespaces) {
    const int fds[] = {channel.get()};
    const char kind = namespaces ? kNamespaces : kPlain;
    return Ask({&kind, 1}, fds);
}

Result<pid_t> Maker::Dump(const DumpJob& job, const os::Fd& channel, const os::Fd& image) {
    std::string request(1, kDump);
    request.append(reinterpret_cast<const char*>(&job), sizeof(job));
    const int fds[] = {channel.get(), image.get()};
    return Ask(request, fds);
}

Result<pid_t> Maker::MakeTemplate(const TemplateJob& job, const TemplateFds& fds) {
    std::string request(1, kTemplate);
    request.append(reinterpret_cast<const char*>(&job), sizeof(job));
    const int numbers[] = {
        fds.control.get(),
        fds.report.get(),
        fds.image.get(),
        fds.filter.get(),
        fds.ready.get(),
        fds.memory_use.get()};
    return Ask(request, std::span(numbers).first(fds.memory_use.valid() ? 6 : 5));
}

Result<pid_t> Maker::Learn(const LearnFds& fds) {
    const int numbers[] = {
        fds.control.get(), fds.image.get(), fds.memory_use.get(), fds.runtime.get()};
    return Ask({&kLearn, 1}, numbers);
}

Result<pid_t> Maker::Ask(std::string_view request, std::span<const int> fds) {
    HEARTH_TRY(const bool sent, os::SendPacket(socket_.get(), request, fds));
    (void)sent;
    HEARTH_TRY(auto packet, os::ReceivePacket(socket_.get(), true));
    int32_t answer = 0;
    if (!packet.has_value() || packet->bytes.size() != sizeof(answer)) {
        return errors::Internal("the helper that makes processes has died");
    }
    std::memcpy(&answer, packet->bytes.data(), sizeof(answer));
    if (answer < 0) {
        return errors::System("clone3", -answer);
    }
    return static_cast<pid_t>(answer);
}

}  // namespace hearth::sandbox
