// hearth-init: the first process of an execution environment.
//
// In namespaces it is pid 1: it turns its copy of the host's mounts into the environment's root,
// opens the listeners, waits to be given a function, starts the runtime as pid 2 and companions
// after it, reaps, and ends with the runtime or, with companions, when the cloud lets go of it. As
// a plain process (argument "plain": a machine without namespaces) it does what is left of that.
//
// Trust: nothing here reads a byte that function code wrote, but the wait status of pid 2 and,
// before a clone runs, the files of its /tmp (unpack_tmp.h); nor does function code hold the
// control socket. It keeps a user id that differs from the runtime's and is not dumpable, so
// function code can neither trace it nor open its /proc entries.
//
// Style: no C++ library, no heap; every failure is reported with its step and ends the process.

#include "sandbox/protocol/init_protocol.h"
#include "sandbox/protocol/unpack_tmp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// <sys/mount.h> and <linux/mount.h> of glibc 2.36 define the same names.
extern "C" int mount(
    const char* source,
    const char* target,
    const char* type,
    unsigned long flags,
    const void* data);
extern "C" int umount2(const char* target, int flags);

namespace hearth::sandbox {
namespace {

constexpr const char* kTemplate = "/template";

bool plain = false;
// Where a failure is told: the host before the assignment, the cloud after it.
int report_socket = kInitSocket;
bool assigned = false;
// Which process this is, for the report of its failure.
uint32_t process_number = 0;

alignas(16) char message[kInitAssignBytesMax];
char* arguments[4096];
char* environment[4096];
char* companion_environment[4096];

void CopyStep(char (&target)[48], const char* step) {
    size_t i = 0;
    for (; i + 1 < sizeof(target) && step[i] != '\0'; ++i) {
        target[i] = step[i];
    }
    target[i] = '\0';
}

[[noreturn]] void Fail(const char* step, int error = errno) {
    if (assigned) {
        InitReport report{};
        report.magic = kInitMagic;
        report.process = process_number;
        report.error = error;
        CopyStep(report.step, step);
        (void)send(report_socket, &report, sizeof(report), MSG_NOSIGNAL);
    } else {
        InitReady ready{};
        ready.magic = kInitMagic;
        ready.error = error;
        CopyStep(ready.step, step);
        (void)send(report_socket, &ready, sizeof(ready), MSG_NOSIGNAL);
    }
    _exit(111);
}

void Check(bool ok, const char* step) {
    if (!ok) {
        Fail(step);
    }
}

// ---- the root ----

void ConfigureEth0(uint32_t address, uint32_t gateway);

// What in /proc tells about, or changes, the machine rather than the environment. Absent ones are
// skipped.
constexpr const char* kHiddenFiles[] = {
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sysrq-trigger",
    "/proc/sched_debug",
    "/proc/config.gz",
    "/proc/vmallocinfo",
    "/proc/slabinfo",
    "/proc/modules",
    "/proc/iomem",
    "/proc/ioports"};
constexpr const char* kHiddenFolders[] = {
    "/proc/acpi",
    "/proc/scsi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/driver",
    "/proc/tty"};

void MakeRoot(uint32_t address, uint32_t gateway) {
    // The copies of the host's mounts are locked to each other for us; only a fresh bind of the
    // whole template can become the root.
    Check(mount(kTemplate, kTemplate, nullptr, MS_BIND | MS_REC, nullptr) == 0, "bind root");
    Check(chdir(kTemplate) == 0, "enter root");
    Check(
        mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
        "mount /proc");
    Check(
        mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64k,nr_inodes=64k") ==
            0,
        "mount /tmp");
    Check(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
    Check(umount2(".", 2 /* MNT_DETACH */) == 0, "drop the old root");
    Check(chdir("/") == 0, "chdir");
    for (const char* file : kHiddenFiles) {
        if (mount("/dev/null", file, nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT) {
            Fail(file);
        }
    }
    for (const char* folder : kHiddenFolders) {
        if (mount("/sys", folder, nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT) {
            Fail(folder);
        }
    }
    if (address != 0) {
        ConfigureEth0(address, gateway);
    }
    // Sysctls stay readable (many programs look), never writable.
    Check(mount("/proc/sys", "/proc/sys", nullptr, MS_BIND | MS_REC, nullptr) == 0, "bind sysctl");
    Check(
        mount(
            nullptr,
            "/proc/sys",
            nullptr,
            MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            nullptr) == 0,
        "sysctl read-only");
}

// ---- the network ----

void LoopbackUp() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Check(fd >= 0, "socket");
    ifreq request{};
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    Check(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback up");
    close(fd);
}

// The link that the host has put into our network namespace.
void ConfigureEth0(uint32_t address, uint32_t gateway) {
    // Before the link is up, so that it never gets an IPv6 address; absent in kernels without IPv6.
    const int off = open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", O_WRONLY | O_CLOEXEC);
    if (off >= 0) {
        (void)!write(off, "1", 1);
        close(off);
    }
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Check(fd >= 0, "socket");
    ifreq request{};
    memcpy(request.ifr_name, "eth0", 5);
    auto* where = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
    where->sin_family = AF_INET;
    where->sin_addr.s_addr = htonl(address);
    Check(ioctl(fd, SIOCSIFADDR, &request) == 0, "address of eth0");
    where->sin_addr.s_addr = htonl(0xfffffffc);
    Check(ioctl(fd, SIOCSIFNETMASK, &request) == 0, "mask of eth0");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    Check(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "eth0 up");
    rtentry route{};
    auto* target = reinterpret_cast<sockaddr_in*>(&route.rt_dst);
    target->sin_family = AF_INET;
    auto* mask = reinterpret_cast<sockaddr_in*>(&route.rt_genmask);
    mask->sin_family = AF_INET;
    auto* via = reinterpret_cast<sockaddr_in*>(&route.rt_gateway);
    via->sin_family = AF_INET;
    via->sin_addr.s_addr = htonl(gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    Check(ioctl(fd, SIOCADDRT, &route) == 0, "default route");
    close(fd);
}

int Listen(uint16_t& port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    Check(fd >= 0, "listener");
    const int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(plain ? uint16_t{0} : port);
    Check(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind listener");
    Check(listen(fd, 1024) == 0, "listen");
    socklen_t size = sizeof(address);
    Check(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    port = ntohs(address.sin_port);
    return fd;
}

// ---- talking to the host ----

void SendReady(const InitReady& ready, int runtime_api, int door, int tmp) {
    iovec vector{const_cast<InitReady*>(&ready), sizeof(ready)};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    const int fds[3] = {runtime_api, door, tmp};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))];
    memset(control, 0, sizeof(control));
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(rights), fds, sizeof(fds));
    Check(sendmsg(kInitSocket, &header, MSG_NOSIGNAL) == sizeof(ready), "say ready");
}

struct Assignment {
    InitAssign head;
    const char* mount_targets;
    const char* working_directory;
    int control;
    int output;
    int error;
    int filter;
    char* companions[kCompanionsMax];
    int companion_outputs[kCompanionsMax];
    int mounts[kInitFdsMax];
    int ready;  // -1: nobody waits for it
    int image;  // -1: not a clone
};

// The next string of the message; the count of bytes left shrinks.
char* NextString(char*& position, char* end) {
    char* start = position;
    while (position < end && *position != '\0') {
        ++position;
    }
    if (position == end) {
        Fail("assignment strings", EINVAL);
    }
    ++position;
    return start;
}

// Beyond what all environments have: the pipe, the image.
uint32_t FdsOf(uint32_t role) {
    return role == kInitRunsProgram ? 0 : role == kInitHoldsTemplate ? 1 : 2;
}

void ReceiveAssignment(Assignment& assignment) {
    iovec vector{message, sizeof(message)};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kInitFdsMax * sizeof(int))];
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    ssize_t count = 0;
    do {
        count = recvmsg(kInitSocket, &header, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        _exit(0);  // the host went away
    }
    int fds[kInitFdsMax];
    size_t fd_count = 0;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
        fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(rights), fd_count * sizeof(int));
    }
    InitAssign& head = assignment.head;
    if (static_cast<size_t>(count) < sizeof(head)) {
        Fail("assignment size", EINVAL);
    }
    memcpy(&head, message, sizeof(head));
    if (head.magic != kInitMagic ||
        sizeof(head) + head.string_bytes != static_cast<size_t>(count) ||
        head.argument_count == 0 || head.argument_count >= 4096 || head.environment_count >= 4096 ||
        head.companion_count > kCompanionsMax || head.companion_environment_count >= 4096 ||
        head.mount_count > kInitFdsMax ||
        fd_count != 4 + head.companion_count + head.mount_count + FdsOf(head.role)) {
        Fail("assignment", EINVAL);
    }
    char* position = message + sizeof(head);
    char* end = message + count;
    for (uint32_t i = 0; i < head.argument_count; ++i) {
        arguments[i] = NextString(position, end);
    }
    for (uint32_t i = 0; i < head.environment_count; ++i) {
        environment[i] = NextString(position, end);
    }
    assignment.mount_targets = position;
    for (uint32_t i = 0; i < head.mount_count; ++i) {
        NextString(position, end);
        assignment.mounts[i] = fds[4 + head.companion_count + i];
    }
    assignment.working_directory = NextString(position, end);
    for (uint32_t i = 0; i < head.companion_count; ++i) {
        assignment.companions[i] = NextString(position, end);
        assignment.companion_outputs[i] = fds[4 + i];
    }
    for (uint32_t i = 0; i < head.companion_environment_count; ++i) {
        companion_environment[i] = NextString(position, end);
    }
    assignment.control = fds[0];
    assignment.output = fds[1];
    assignment.error = fds[2];
    assignment.filter = fds[3];
    const uint32_t last = 4 + head.companion_count + head.mount_count;
    assignment.ready = head.role == kInitRunsProgram ? -1 : fds[last];
    assignment.image = head.role == kInitHoldsClone ? fds[last + 1] : -1;
}

// ---- the runtime ----

// `kept` is a bit set of the low 32 capabilities.
void DropCapabilities(uint32_t kept) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[0].effective = kept;
    data[0].permitted = kept;
    Check(syscall(SYS_capset, &header, data) == 0, "drop capabilities");
}

void DropBoundingSet() {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

// The second line behind the mounts: whatever those leave open, only /tmp can be changed. Absent on
// kernels without Landlock; docs/security.md says so.
void RestrictFiles() {
    const long version =
        syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        return;
    }
    constexpr uint64_t kRead =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    uint64_t all = (1ULL << 13) - 1;
    if (version >= 2) {
        all |= 1ULL << 13;  // refer: renames between directories
    }
    if (version >= 3) {
        all |= 1ULL << 14;  // truncate
    }

    // Headers of this age know the first member only; the kernel takes any length.
    struct {
        uint64_t files;
        uint64_t network;
        uint64_t scoped;
    } attributes{all, 0, version >= 6 ? 3ULL : 0ULL};

    const size_t size = version >= 6 ? 24 : 8;
    const int ruleset =
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
    Check(ruleset >= 0, "landlock");
    const auto allow = [&](const char* path, uint64_t access) {
        const int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0) {
            return;
        }
        landlock_path_beneath_attr rule{};
        rule.allowed_access = access;
        rule.parent_fd = fd;
        Check(
            syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0,
            "landlock rule");
        close(fd);
    };
    const uint64_t truncate = version >= 3 ? 1ULL << 14 : 0;
    allow("/", kRead);
    allow("/tmp", all);
    allow("/dev", kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    allow("/proc", kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    Check(syscall(SYS_landlock_restrict_self, ruleset, 0) == 0, "landlock restrict");
    close(ruleset);
}

void InstallFilter(int fd) {
    static sock_filter program[4096];
    const ssize_t size = pread(fd, program, sizeof(program), 0);
    Check(size > 0, "read filter");
    sock_fprog filter{};
    filter.len = static_cast<unsigned short>(static_cast<size_t>(size) / sizeof(sock_filter));
    filter.filter = program;
    Check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0, "install filter");
}

void Limit(__rlimit_resource resource, rlim_t value, const char* step) {
    rlimit limit{};
    Check(getrlimit(resource, &limit) == 0, step);
    if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max) {
        value = limit.rlim_max;
    }
    limit = {value, value};
    Check(setrlimit(resource, &limit) == 0, step);
}

// What one process of the environment is started with.
struct Program {
    char** arguments;
    char** environment;
    const char* working_directory;
    int output;
    int error;
};

[[noreturn]] void Run(const Assignment& assignment, const Program& program) {
    // Signals as a fresh program has them.
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)setsid();
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    Check(null >= 0, "open /dev/null");
    Check(
        dup2(null, 0) == 0 && dup2(program.output, 1) == 1 && dup2(program.error, 2) == 2,
        "standard streams");
    Limit(RLIMIT_NOFILE, assignment.head.open_files_max, "open files limit");
    Limit(RLIMIT_CORE, 0, "core limit");
    Limit(RLIMIT_MEMLOCK, 64 << 10, "locked memory limit");
    Limit(RLIMIT_MSGQUEUE, 0, "message queue limit");
    if (assignment.head.processes_max != 0) {
        Limit(RLIMIT_NPROC, assignment.head.processes_max, "process limit");
    }
    if (assignment.head.data_bytes != 0) {
        Limit(RLIMIT_DATA, assignment.head.data_bytes, "data limit");
    }
    umask(022);
    if (plain) {
        const uint32_t uid = assignment.head.plain_uid;
        if (uid != 0) {
            Check(syscall(SYS_setgroups, 0, nullptr) == 0, "drop groups");
            Check(syscall(SYS_setresgid, uid, uid, uid) == 0, "group");
            Check(syscall(SYS_setresuid, uid, uid, uid) == 0, "user");
        }
        Check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "death signal");
        Check(chdir(program.working_directory) == 0, "enter the working directory");
        Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    } else {
        DropBoundingSet();
        (void)syscall(SYS_setgroups, 0, nullptr);  // refused where the map forbids it
        // Where only one user could be mapped, the runtime shares it with this process, which is
        // not dumpable and so still out of its reach.
        if (syscall(SYS_setresgid, kRuntimeGid, kRuntimeGid, kRuntimeGid) != 0 && errno != EINVAL) {
            Fail("group");
        }
        if (syscall(SYS_setresuid, kRuntimeUid, kRuntimeUid, kRuntimeUid) != 0 && errno != EINVAL) {
            Fail("user");
        }
        DropCapabilities(0);
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        Check(chdir(program.working_directory) == 0, "enter the working directory");
        Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
        RestrictFiles();
    }
    // Everything but the standard streams closes at exec; a failed exec still reaches the socket.
    Check(syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0, "close_range");
    InstallFilter(assignment.filter);
    const char* path = program.arguments[0];
    execve(path, program.arguments, program.environment);
    const int error = errno;
    static char step[48];
    memcpy(step, "execve ", 8);
    for (size_t i = 0; i < 40 && path[i] != '\0'; ++i) {
        step[7 + i] = path[i];
        step[8 + i] = '\0';
    }
    Fail(step, error);
}

// A plain environment's processes have no pid namespace that dies with us: they are our children,
// since orphans come to us, and are killed until none is left.
void KillDescendants() {
    for (int round = 0; round < 1000; ++round) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        static char list[65536];
        const ssize_t count = fd < 0 ? 0 : read(fd, list, sizeof(list) - 1);
        if (fd >= 0) {
            close(fd);
        }
        if (count > 0) {
            list[count] = '\0';
            char* position = list;
            while (*position != '\0') {
                const long pid = strtol(position, &position, 10);
                if (pid > 1) {
                    (void)kill(static_cast<pid_t>(pid), SIGKILL);
                }
                while (*position == ' ' || *position == '\n') {
                    ++position;
                }
            }
        }
        if (waitpid(-1, nullptr, __WALL) < 0 && errno == ECHILD) {
            return;
        }
    }
}

[[noreturn]] void End(int control, const InitReport* report) {
    if (report != nullptr) {
        (void)send(control, report, sizeof(*report), MSG_NOSIGNAL);
    }
    if (plain) {
        KillDescendants();
    }
    _exit(0);
}

[[noreturn]] void RunRuntime(const Assignment& assignment) {
    process_number = 0;
    Run(assignment,
        Program{
            arguments,
            environment,
            assignment.working_directory,
            assignment.output,
            assignment.error});
}

// A TCP socket of this network namespace for the cloud, which connects it.
void SendSocket(int control) {
    InitSocket answer{};
    answer.magic = kInitSocketMagic;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        answer.error = errno;
        (void)send(control, &answer, sizeof(answer), MSG_NOSIGNAL);
        return;
    }
    iovec vector{&answer, sizeof(answer)};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char rights_space[CMSG_SPACE(sizeof(fd))];
    memset(rights_space, 0, sizeof(rights_space));
    header.msg_control = rights_space;
    header.msg_controllen = sizeof(rights_space);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
    (void)sendmsg(control, &header, MSG_NOSIGNAL);
    close(fd);
}

// The processes of the environment, and the one loop that starts, signals and reaps them.
class Supervisor final {
  public:
    Supervisor(const Assignment& assignment, int signals)
        : assignment_(assignment), control_(assignment.control), signals_(signals) {}

    [[noreturn]] void Run() {
        if (assignment_.head.role != kInitRunsProgram) {
            // A clone comes by itself, as pid 2; a template's environment runs nothing.
            pids_[0] = assignment_.head.role == kInitHoldsClone ? 2 : -1;
            BecomeBystander();
        }
        for (;;) {
            pollfd polls[2] = {{control_, POLLIN, 0}, {signals_, POLLIN, 0}};
            if (poll(polls, 2, -1) < 0 && errno != EINTR) {
                End(control_, nullptr);
            }
            if (polls[0].revents != 0) {
                unsigned char bytes[2] = {0, 0};
                const ssize_t count = recv(control_, bytes, sizeof(bytes), MSG_DONTWAIT);
                if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
                    End(control_, nullptr);  // the cloud is gone, or has let go of us
                }
                if (count > 0) {
                    Obey(bytes[0], count > 1 ? bytes[1] : 0);
                }
            }
            if (polls[1].revents != 0) {
                Reap();
            }
        }
    }

  private:
    void Obey(unsigned char command, unsigned process) {
        if (command == kControlStart) {
            Start();
        } else if (command == kControlStartCompanions) {
            StartCompanions();
        } else if (command == kControlSocket) {
            SendSocket(control_);
        } else if (command == kControlStop || command == kControlContinue) {
            // In a pid namespace -1 is everybody but us; a plain environment has its groups.
            const int signal = command == kControlStop ? SIGSTOP : SIGCONT;
            for (pid_t pid : pids_) {
                if (plain && pid > 0) {
                    (void)kill(-pid, signal);
                }
            }
            if (!plain && pids_[0] > 0) {
                (void)kill(-1, signal);
            }
        } else if (command > 0 && command < 65 && process <= kCompanionsMax && pids_[process] > 0) {
            (void)kill(pids_[process], command);
        }
    }

    void Start() {
        if (started_) {
            return;
        }
        started_ = true;
        if (pids_[0] > 0) {
            close(gate_);  // it waits for that
        } else if (pids_[0] == 0) {
            pids_[0] = fork();
            if (pids_[0] == 0) {
                RunRuntime(assignment_);
            }
            if (pids_[0] < 0) {
                Fail("fork");
            }
        }
        BecomeBystander();
    }

    void BecomeBystander() {
        started_ = true;
        // Ours are not needed again; the function's output ends when the function has.
        close(assignment_.output);
        close(assignment_.error);
        close(assignment_.filter);
        if (!plain) {
            // Passing on a signal to another user's process is all that is left to do.
            DropCapabilities(1U << CAP_KILL);
        }
    }

    // The runtime's process comes first, so that it is pid 2, and waits until it is let go.
    void StartCompanions() {
        if (started_ || pids_[0] != 0) {
            return;
        }
        int gate[2];
        Check(pipe2(gate, O_CLOEXEC) == 0, "pipe");
        pids_[0] = fork();
        if (pids_[0] == 0) {
            close(gate[1]);
            char byte = 0;
            (void)!read(gate[0], &byte, 1);
            RunRuntime(assignment_);
        }
        close(gate[0]);
        gate_ = gate[1];
        Check(pids_[0] > 0, "fork");
        for (uint32_t i = 0; i < assignment_.head.companion_count; ++i) {
            const int output = assignment_.companion_outputs[i];
            const pid_t pid = fork();
            if (pid == 0) {
                process_number = i + 1;
                close(gate_);
                char* companion_arguments[] = {assignment_.companions[i], nullptr};
                ::hearth::sandbox::Run(
                    assignment_,
                    Program{companion_arguments, companion_environment, "/", output, output});
            }
            Check(pid > 0, "fork");
            pids_[i + 1] = pid;
            close(output);
        }
    }

    void Reap() {
        signalfd_siginfo information;
        while (read(signals_, &information, sizeof(information)) > 0) {
        }
        int status = 0;
        pid_t pid = 0;
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
            for (uint32_t i = 0; i <= kCompanionsMax; ++i) {
                if (pids_[i] != pid) {
                    continue;
                }
                pids_[i] = -1;
                InitReport report{};
                report.magic = kInitMagic;
                report.process = i;
                report.wait_status = status;
                if (assignment_.head.companion_count == 0) {
                    End(control_, &report);
                }
                (void)send(control_, &report, sizeof(report), MSG_NOSIGNAL);
            }
        }
    }

    const Assignment& assignment_;
    int control_;
    int signals_;
    bool started_ = false;
    int gate_ = -1;
    // The runtime and the companions: 0 not started, -1 ended.
    pid_t pids_[1 + kCompanionsMax] = {};
};

int Main(int argc, char** argv) {
    plain = argc > 1 && strcmp(argv[1], "plain") == 0;
    // After the last change of credentials, which clears it.
    Check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "death signal");
    Check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "dumpable");
    (void)prctl(PR_SET_NAME, "hearth-init", 0, 0, 0);
    umask(0);

    int tmp = -1;
    if (plain) {
        Check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "subreaper");
        (void)setsid();
        tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    } else {
        Check(unshare(CLONE_NEWCGROUP) == 0 || errno == EINVAL, "cgroup namespace");
        LoopbackUp();
        const auto address = static_cast<uint32_t>(argc > 2 ? strtoul(argv[2], nullptr, 10) : 0);
        const auto gateway = static_cast<uint32_t>(argc > 3 ? strtoul(argv[3], nullptr, 10) : 0);
        MakeRoot(address, gateway);
        (void)sethostname("localhost", 9);
        // A function may listen on low ports of its own loopback only.
        tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    Check(tmp >= 0, "open /tmp");
    InitReady ready{};
    ready.magic = kInitMagic;
    ready.runtime_api_port = kRuntimeApiPort;
    ready.door_port = kDoorPort;
    const int runtime_api = Listen(ready.runtime_api_port);
    const int door = Listen(ready.door_port);
    SendReady(ready, runtime_api, door, tmp);
    close(runtime_api);
    close(door);
    close(tmp);

    Assignment assignment{};
    ReceiveAssignment(assignment);
    report_socket = assignment.control;
    assigned = true;
    // From here on nothing is said to the host.
    close(kInitSocket);

    if (!plain) {
        const char* target = assignment.mount_targets;
        for (uint32_t i = 0; i < assignment.head.mount_count; ++i) {
            if (syscall(
                    SYS_move_mount,
                    assignment.mounts[i],
                    "",
                    AT_FDCWD,
                    target,
                    MOVE_MOUNT_F_EMPTY_PATH) != 0) {
                Fail("attach a mount");
            }
            close(assignment.mounts[i]);
            target += strlen(target) + 1;
        }
        if (assignment.head.tmp_bytes != 0) {
            char options[64];
            (void)snprintf(
                options,
                sizeof(options),
                "size=%llu",
                static_cast<unsigned long long>(assignment.head.tmp_bytes));
            Check(
                mount(nullptr, "/tmp", nullptr, MS_REMOUNT | MS_NOSUID | MS_NODEV, options) == 0,
                "size of /tmp");
        }
        if (assignment.image >= 0) {
            const int directory = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
            Check(directory >= 0, "open /tmp");
            if (const int error = UnpackTmp(assignment.image, directory); error != 0) {
                Fail("unpack /tmp", error);
            }
            close(directory);
            close(assignment.image);
        }
    }
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    Check(sigprocmask(SIG_BLOCK, &watched, nullptr) == 0, "signal mask");
    const int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    Check(signals >= 0, "signalfd");
    if (assignment.ready >= 0) {
        // Whoever makes the template or the clone opens files from here on.
        Check(write(assignment.ready, "1", 1) == 1, "say that the mounts are there");
        close(assignment.ready);
    }
    Supervisor(assignment, signals).Run();
}

}  // namespace
}  // namespace hearth::sandbox

int main(int argc, char** argv) {
    return hearth::sandbox::Main(argc, argv);
}
