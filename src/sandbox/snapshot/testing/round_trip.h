#pragma once

#include "os/fd.h"
#include "sandbox/snapshot/dumper.h"
#include "sandbox/snapshot/image.h"
#include "sandbox/snapshot/template.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// From a living process to an image, a template and clones, for tests and benchmarks: processes
// that answer lines on their descriptor 0, in pid namespaces of their own, as in production.
namespace hearth::snapshot::testing_support {

// A pid namespace (and more) whose pid 1 does nothing; destroying it kills all in it.
class Pool final {
  public:
    explicit Pool(int namespaces = 0) : namespaces_(namespaces) {
        int pidfd = -1;
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            return;
        }
        clone_args arguments{};
        arguments.flags = static_cast<uint64_t>(CLONE_PIDFD | CLONE_NEWPID | namespaces);
        arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
        arguments.exit_signal = SIGCHLD;
        const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (pid == 0) {
            bool ok = true;
            if ((namespaces & CLONE_NEWNS) != 0) {
                ok = RootAtOurs() && ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
            }
            // As init does: children of children come here.
            ::signal(SIGCHLD, SIG_IGN);
            const char byte = ok ? '1' : '0';
            (void)!::write(ends[1], &byte, 1);
            ::syscall(SYS_close_range, 0, ~0U, 0);
            for (;;) {
                ::pause();
            }
        }
        ::close(ends[1]);
        if ((namespaces & CLONE_NEWUSER) != 0) {
            // One user, as for somebody without root.
            for (const char* map : {"uid_map", "gid_map"}) {
                const os::Fd file(
                    ::open(fmt::format("/proc/{}/{}", pid, map).c_str(), O_WRONLY | O_CLOEXEC));
                (void)!::write(file.get(), "0 0 1", 5);
            }
        }
        char byte = 0;
        ok_ = pid > 0 && ::read(ends[0], &byte, 1) == 1 && byte == '1';
        ::close(ends[0]);
        pidfd_ = os::Fd(pidfd);
        pid_ = static_cast<pid_t>(pid);
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    ~Pool() {
        if (pidfd_.valid()) {
            ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
            siginfo_t info{};
            ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL);
        }
    }

    bool ok() const { return ok_; }

    int pidfd() const { return pidfd_.get(); }

    int namespaces() const { return namespaces_; }

    pid_t pid() const { return pid_; }

  private:
    // Who joins a mount namespace gets its root for a root. Where these tests run in a changed root
    // that is not ours, so ours is put over it. Nothing that is mounted shows outside.
    static bool RootAtOurs() {
        const auto keep_to_ourselves = [] {
            return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        };
        struct stat ours{};
        struct stat joined{};
        const os::Fd self(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
        const os::Fd tree(
            ::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
        if (!tree.valid() || ::stat("/", &ours) != 0 || ::setns(self.get(), CLONE_NEWNS) != 0 ||
            !keep_to_ourselves() || ::stat("/", &joined) != 0) {
            return false;
        }
        if (joined.st_dev == ours.st_dev && joined.st_ino == ours.st_ino) {
            return true;
        }
        return ::move_mount(tree.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0 &&
               ::setns(self.get(), CLONE_NEWNS) == 0 && keep_to_ourselves();
    }

    int namespaces_;
    pid_t pid_ = -1;
    bool ok_ = false;
    os::Fd pidfd_;
};

// Two ends of a stream pair.
inline std::pair<os::Fd, os::Fd> StreamPair() {
    int ends[2] = {-1, -1};
    (void)!::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    return {os::Fd(ends[0]), os::Fd(ends[1])};
}

// Our side of a connection to a process that answers lines.
class Conversation final {
  public:
    Conversation() = default;

    explicit Conversation(os::Fd fd) : fd_(std::move(fd)) {}

    // Empty when it has ended, or says nothing for 20 seconds.
    std::string ReadLine() const {
        std::string line;
        for (;;) {
            pollfd poll_fd{fd_.get(), POLLIN, 0};
            char bytes[512];
            if (::poll(&poll_fd, 1, 20'000) <= 0) {
                return {};
            }
            const ssize_t got = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
            if (got <= 0) {
                return {};
            }
            line.append(bytes, static_cast<size_t>(got));
            if (line.back() == '\n') {
                line.pop_back();
                return line;
            }
        }
    }

    void Send(char command) const { (void)!::send(fd_.get(), &command, 1, MSG_NOSIGNAL); }

    std::string Ask(char command) const {
        Send(command);
        return ReadLine();
    }

    int fd() const { return fd_.get(); }

  private:
    os::Fd fd_;
};

// A process in a Pool, started from a program; pid 2 there.
class Original final {
  public:
    Original(const Pool& pool, std::vector<std::string> argv) {
        auto [ours, theirs] = StreamPair();
        talk_ = Conversation(std::move(ours));
        struct stat status{};
        (void)!::fstat(theirs.get(), &status);
        inode_ = status.st_ino;
        std::vector<char*> arguments;
        for (std::string& argument : argv) {
            arguments.push_back(argument.data());
        }
        arguments.push_back(nullptr);
        const os::Fd own(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
        (void)!::setns(pool.pidfd(), CLONE_NEWPID);
        pid_ = ::fork();
        if (pid_ == 0) {
            if (pool.namespaces() != 0) {
                (void)!::setns(pool.pidfd(), pool.namespaces());
            }
            const int null = ::open("/dev/null", O_RDWR);
            ::dup2(theirs.get(), 0);
            ::dup2(null, 1);
            ::dup2(null, 2);
            // A clone that has become another user must get there, and a checkout may be closed.
            (void)!::chdir("/");
            ::setsid();
            ::syscall(SYS_close_range, 3, ~0U, 0);
            ::execv(arguments[0], arguments.data());
            ::_exit(127);
        }
        (void)!::setns(own.get(), CLONE_NEWPID);
    }

    Original(const Original&) = delete;
    Original& operator=(const Original&) = delete;

    ~Original() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }

    const Conversation& talk() const { return talk_; }

    pid_t pid() const { return pid_; }

    uint64_t inode() const { return inode_; }

  private:
    Conversation talk_;
    uint64_t inode_ = 0;
    pid_t pid_ = -1;
};

struct Picture {
    std::string error;
    os::Fd file;
    std::optional<Image> image;
    DumpReport report;
};

// Dumps it in a child, as the engine does, and waits while it is not at rest yet.
inline Picture TakePicture(const Original& original) {
    Picture picture;
    for (int attempt = 0; attempt < 200; ++attempt) {
        picture.file = os::Fd(::memfd_create("image", MFD_CLOEXEC));
        DumpRequest request;
        request.pid = original.pid();
        request.image_fd = picture.file.get();
        request.stand_ins = {{.inode = original.inode(), .id = 0}};
        int ends[2] = {-1, -1};
        (void)!::pipe2(ends, O_CLOEXEC);
        const pid_t child = ::fork();
        if (child == 0) {
            const auto result = Dump(request);
            std::string packet;
            if (result.ok()) {
                packet.assign(sizeof(DumpReport), '\0');
                std::memcpy(packet.data(), &*result, sizeof(DumpReport));
            } else {
                packet = result.error().message();
                packet.resize(std::max(packet.size(), sizeof(DumpReport) + 1), ' ');
                packet[0] = result.error().kind() == Error::Kind::kUnavailable ? '~' : packet[0];
            }
            ::_exit(::write(ends[1], packet.data(), packet.size()) > 0 ? 0 : 1);
        }
        ::close(ends[1]);
        std::string packet(64 << 10, '\0');
        const ssize_t got = ::read(ends[0], packet.data(), packet.size());
        packet.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
        ::close(ends[0]);
        ::waitpid(child, nullptr, 0);
        if (packet.size() == sizeof(DumpReport)) {
            std::memcpy(&picture.report, packet.data(), sizeof(DumpReport));
            auto image = ReadImage(picture.file.get());
            if (image.ok()) {
                picture.image = *std::move(image);
                picture.error.clear();
            } else {
                picture.error = image.error().message();
            }
            return picture;
        }
        picture.error = packet.empty() ? "no report" : packet;
        if (packet.empty() || packet[0] != '~') {
            return picture;
        }
        // What it is busy with ends by itself; nothing tells when.
        ::usleep(10'000);
    }
    return picture;
}

// A clone in a namespace of its own.
struct Restored {
    Restored() = default;
    Restored(Restored&&) = default;
    Restored& operator=(Restored&&) = default;

    ~Restored() { End(); }

    // Kills it; its wait status.
    int End() {
        if (!clone.pidfd.valid()) {
            return -1;
        }
        ::syscall(SYS_pidfd_send_signal, clone.pidfd.get(), SIGKILL, nullptr, 0);
        siginfo_t info{};
        ::waitid(P_PIDFD, static_cast<id_t>(clone.pidfd.get()), &info, WEXITED | __WALL);
        clone.pidfd.Close();
        return info.si_status;
    }

    std::string error;
    Template::Clone clone;
    Conversation talk;
};

inline Restored Restore(Template& from, const Pool& pool, CloneRequest request = {}) {
    Restored restored;
    auto [ours, theirs] = StreamPair();
    request.sandbox_pidfd = pool.pidfd();
    request.namespaces = pool.namespaces();
    request.stand_ins = {theirs.get()};
    auto clone = from.MakeClone(request);
    if (!clone.ok()) {
        restored.error = clone.error().message();
        return restored;
    }
    restored.clone = *std::move(clone);
    restored.talk = Conversation(std::move(ours));
    return restored;
}

}  // namespace hearth::snapshot::testing_support
