#include "hearth/keeper/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hearth::keeper {
namespace {

// Given descriptors get the numbers from here on in the child.
constexpr int kFirstGivenFd = 3;
// Where they wait meanwhile, out of each other's way.
constexpr int kParkingFd = 200;

std::string OwnDirectory() {
    char path[4096];
    const ssize_t length = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length <= 0) {
        return ".";
    }
    const std::string_view own(path, static_cast<size_t>(length));
    return std::string(own.substr(0, own.rfind('/')));
}

Result<os::Fd> CopyIntoMemory(int source, off_t size, const std::string& name) {
    os::Fd copy(::memfd_create(name.c_str(), MFD_CLOEXEC));
    if (!copy.valid()) {
        return errors::System("memfd_create", errno);
    }
    for (off_t offset = 0; offset < size;) {
        if (::sendfile(copy.get(), source, &offset, static_cast<size_t>(size - offset)) <= 0) {
            return errors::System("copying " + name, errno);
        }
    }
    if (::fchmod(copy.get(), 0755) != 0) {
        return errors::System("fchmod", errno);
    }
    // Opened again for reading: a file open for writing cannot be executed.
    os::Fd readable(
        ::open(fmt::format("/proc/self/fd/{}", copy.get()).c_str(), O_RDONLY | O_CLOEXEC));
    if (!readable.valid()) {
        return errors::System("opening the copy of " + name, errno);
    }
    return readable;
}

// Only for the child between fork and exec: it has nobody to return an error to.
void Require(bool done, const char* what) {
    if (!done) {
        std::fprintf(stderr, "hearth: starting a program: %s: %s\n", what, std::strerror(errno));
        ::_exit(127);
    }
}

void DropPrivileges(const Credentials& credentials) {
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         ++capability) {
        // Fails inside containers that took CAP_SETPCAP; no_new_privs below closes the same door.
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
    Require(::setgroups(0, nullptr) == 0, "setgroups");
    Require(::setresgid(credentials.gid, credentials.gid, credentials.gid) == 0, "setresgid");
    Require(::setresuid(credentials.uid, credentials.uid, credentials.uid) == 0, "setresuid");
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    Require(::syscall(SYS_capset, &header, none) == 0, "capset");
    Require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
}

}  // namespace

Result<Program> Program::Open(const std::string& name, bool unprivileged) {
    const std::string path = OwnDirectory() + "/" + name;
    Program program;
    program.name_ = name;
    program.fd_ = os::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!program.fd_.valid()) {
        return errors::System(path, errno);
    }
    struct stat info = {};
    if (::fstat(program.fd_.get(), &info) != 0) {
        return errors::System(path, errno);
    }
    if (unprivileged && (info.st_mode & 0005) != 0005) {
        HEARTH_TRY(program.fd_, CopyIntoMemory(program.fd_.get(), info.st_size, name));
    }
    return program;
}

ChildSpec& ChildSpec::Give(std::string option, int fd) {
    descriptors_.push_back(fd);
    return Arg(
        std::move(option),
        std::to_string(kFirstGivenFd + static_cast<int>(descriptors_.size()) - 1));
}

Result<pid_t> ChildSpec::Start() const {
    const pid_t keeper_pid = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return errors::System("fork", errno);
    }
    if (pid == 0) {
        BecomeChild(keeper_pid);
    }
    return pid;
}

void ChildSpec::BecomeChild(pid_t keeper_pid) const {
    // Its own session: a ^C at the terminal goes to the keeper alone, which stops its children in
    // order.
    ::setsid();
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);

    const int program = ::fcntl(program_.fd(), F_DUPFD_CLOEXEC, kParkingFd);
    Require(program >= 0, "keeping the program open");
    std::vector<int> parked;
    for (const int fd : descriptors_) {
        parked.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, kParkingFd));
        Require(parked.back() >= 0, "keeping a descriptor open");
    }
    if (directory_fd_ >= 0) {
        Require(::fchdir(directory_fd_) == 0, "entering the data directory");
    }
    int next = kFirstGivenFd;
    for (const int fd : parked) {
        Require(::dup2(fd, next) == next, "passing a descriptor");
        ++next;
    }
    Require(
        ::close_range(static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC) == 0, "close_range");
    if (drops_) {
        ::umask(077);
        DropPrivileges(credentials_);
    }
    Require(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "PR_SET_PDEATHSIG");
    if (::getppid() != keeper_pid) {
        ::_exit(127);  // The keeper died before the line above.
    }
    std::vector<char*> argv;
    for (const auto& argument : argv_) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    ::unsetenv("NOTIFY_SOCKET");  // Only the main process of a unit may notify.
    ::fexecve(program, argv.data(), environ);
    Require(false, argv_[0].c_str());
    ::_exit(127);
}

}  // namespace hearth::keeper
