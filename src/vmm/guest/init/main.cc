// hearth-guest-init: the first process of a guest.
//
// In an initramfs it mounts what programs expect, loads the modules of /modules.load in their
// order, and, with `hearth.root=DEVICE` on the kernel's command line, makes that file system the
// root, read-only, with what is written to it in memory (`hearth.overlay=0` leaves that out). Then
// it runs the command that follows `--` on the kernel's command line on the console and ends the
// machine; without a command it has the host run commands through vsock (exec_protocol.h); without
// vsock it starts a shell on the console.
//
// Kernel parameters: hearth.root, hearth.rootfstype (erofs), hearth.overlay (1), hearth.hostname,
// hearth.boot_timer=ADDRESS (writes the byte 123 there, the monitor's boot timer, as soon as it
// runs).
//
// `--session`, in any process that is not the first: serves the one connection that is its standard
// input, for tests without a machine.
//
// A machine ends by the reset that `reboot=k` makes of a reboot: a monitor has no power switch.
//
// Style: as src/sandbox/init: no C++ library, no heap.

#include "vmm/guest/exec_protocol.h"
#include "vmm/guest/init/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

namespace hearth::vmm {
namespace {

constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kRootWaitMs = 10'000;
constexpr int kEndWaitMs = 2'000;
constexpr int kSessionsMax = 256;

char command_line[8192];

void Say(const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof(text) - 1, format, arguments);
    va_end(arguments);
    if (bytes < 0) {
        return;
    }
    if (bytes > static_cast<int>(sizeof(text)) - 2) {
        bytes = static_cast<int>(sizeof(text)) - 2;
    }
    text[bytes++] = '\n';
    (void)!write(STDERR_FILENO, text, static_cast<size_t>(bytes));
}

// Leaves time for nobody: a reset, as `reboot=k` asks the keyboard controller for it.
[[noreturn]] void ResetMachine() {
    sync();
    reboot(RB_AUTOBOOT);
    // Only where this is not the machine's pid 1, in tests.
    _exit(0);
}

[[noreturn]] void Die(const char* what) {
    Say("hearth-guest-init: %s: %s", what, strerror(errno));
    ResetMachine();
}

// ---- the machine ----

void Mount(
    const char* source,
    const char* target,
    const char* type,
    unsigned long flags,
    const char* data) {
    (void)mkdir(target, 0755);
    // What the kernel does not have, or what is there already, is not this program's concern; who
    // needs it will say so.
    (void)mount(source, target, type, flags, data);
}

void ReadCommandLine() {
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = fd < 0 ? -1 : read(fd, command_line, sizeof(command_line) - 1);
    command_line[bytes < 0 ? 0 : bytes] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

// The value of a kernel parameter, or nullptr.
const char* Parameter(const char* name, char* value, size_t size) {
    const size_t name_bytes = strlen(name);
    for (const char* at = command_line; *at != '\0';) {
        at += strspn(at, " \n");
        const size_t bytes = strcspn(at, " \n");
        if (bytes == 2 && memcmp(at, "--", 2) == 0) {
            return nullptr;
        }
        if (bytes > name_bytes && memcmp(at, name, name_bytes) == 0 && at[name_bytes] == '=') {
            const size_t value_bytes = bytes - name_bytes - 1;
            if (value_bytes >= size) {
                return nullptr;
            }
            memcpy(value, at + name_bytes + 1, value_bytes);
            value[value_bytes] = '\0';
            return value;
        }
        at += bytes;
    }
    return nullptr;
}

// How many words follow `--`. The kernel hands over what it does not know itself before them, too,
// so only these are the command. Words may stand in double quotes.
int CommandWords() {
    int words = 0;
    bool counting = false;
    bool quoted = false;
    const char* begin = nullptr;
    for (const char* at = command_line;; ++at) {
        const bool space = *at == '\0' || (!quoted && (*at == ' ' || *at == '\n'));
        if (!space) {
            quoted = quoted != (*at == '"');
            begin = begin == nullptr ? at : begin;
            continue;
        }
        if (begin != nullptr) {
            words += counting ? 1 : 0;
            counting = counting || (at - begin == 2 && memcmp(begin, "--", 2) == 0);
            begin = nullptr;
        }
        if (*at == '\0') {
            return words;
        }
    }
}

void TellBootTimer() {
    char value[32];
    if (Parameter("hearth.boot_timer", value, sizeof(value)) == nullptr) {
        return;
    }
    const auto address = static_cast<off_t>(strtoull(value, nullptr, 0));
    constexpr off_t kPageBytes = 4096;
    const int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
    void* page = fd < 0 ? MAP_FAILED
                        : mmap(
                              nullptr,
                              kPageBytes,
                              PROT_READ | PROT_WRITE,
                              MAP_SHARED,
                              fd,
                              address & ~(kPageBytes - 1));
    if (page == MAP_FAILED) {
        Say("hearth-guest-init: no boot timer at %s: %s", value, strerror(errno));
    } else {
        constexpr unsigned char kBooted = 123;
        static_cast<volatile unsigned char*>(page)[address & (kPageBytes - 1)] = kBooted;
        munmap(page, kPageBytes);
    }
    if (fd >= 0) {
        close(fd);
    }
}

// The list's lines are paths; a module that does not load is told of and not fatal: its device may
// not be there.
void LoadModules() {
    FILE* list = fopen("/modules.load", "re");
    if (list == nullptr) {
        return;
    }
    char path[512];
    while (fgets(path, sizeof(path), list) != nullptr) {
        path[strcspn(path, "\n")] = '\0';
        const int fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0) {
            continue;
        }
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST && errno != ENODEV) {
            Say("hearth-guest-init: %s: %s", path, strerror(errno));
        }
        close(fd);
        // The initramfs is memory.
        (void)unlink(path);
    }
    fclose(list);
}

// The kernel tells of new devices here; opened before modules are loaded, so that none is missed.
int WatchDevices() {
    const int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1;
    if (fd >= 0) {
        (void)bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    return fd;
}

int64_t NowMs() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

bool AwaitDevice(const char* path, int events) {
    const int64_t deadline = NowMs() + kRootWaitMs;
    for (;;) {
        if (access(path, F_OK) == 0) {
            return true;
        }
        const int64_t left = deadline - NowMs();
        pollfd waiting{events, POLLIN, 0};
        if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) {
            return access(path, F_OK) == 0;
        }
        char text[4096];
        while (recv(events, text, sizeof(text), 0) > 0) {
        }
    }
}

// Makes `device` the root. What was mounted below / goes along.
void EnterRoot(const char* device, int events) {
    if (!AwaitDevice(device, events)) {
        errno = ENOENT;
        Die(device);
    }
    char type[32] = "erofs";
    (void)Parameter("hearth.rootfstype", type, sizeof(type));
    char overlay[4] = "1";
    (void)Parameter("hearth.overlay", overlay, sizeof(overlay));
    const char* root = "/newroot";
    Mount("layers", "/layers", "tmpfs", 0, "mode=0755");
    (void)mkdir("/layers/lower", 0755);
    if (mount(device, "/layers/lower", type, MS_RDONLY, nullptr) != 0) {
        Die("mount the root");
    }
    if (overlay[0] == '0') {
        root = "/layers/lower";
    } else {
        (void)mkdir(root, 0755);
        (void)mkdir("/layers/upper", 0755);
        (void)mkdir("/layers/work", 0755);
        if (mount(
                "root",
                root,
                "overlay",
                0,
                "lowerdir=/layers/lower,upperdir=/layers/upper,workdir=/layers/work") != 0) {
            Die("lay memory over the root");
        }
    }
    if (chdir(root) != 0) {
        Die("enter the root");
    }
    for (const char* folder : {"dev", "proc", "sys"}) {
        char from[8] = "/";
        strcat(from, folder);
        (void)mkdir(folder, 0755);
        if (mount(from, folder, nullptr, MS_MOVE, nullptr) != 0) {
            Die(from);
        }
    }
    // The initramfs is no mount that could be pivoted away from.
    (void)unlink("/init");
    if (mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        Die("become the root");
    }
}

void BringUpLoopback() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        (void)ioctl(fd, SIOCSIFFLAGS, &request);
    }
    if (fd >= 0) {
        close(fd);
    }
}

void OpenConsole() {
    const int fd = open("/dev/console", O_RDWR);
    if (fd < 0) {
        return;
    }
    for (int standard = 0; standard <= 2; ++standard) {
        (void)dup2(fd, standard);
    }
    if (fd > 2) {
        close(fd);
    }
}

void PrepareMachine() {
    Mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
    OpenConsole();
    Mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    ReadCommandLine();
    TellBootTimer();
    Mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    const int events = WatchDevices();
    LoadModules();
    char device[128];
    if (Parameter("hearth.root", device, sizeof(device)) != nullptr) {
        EnterRoot(device, events);
    }
    if (events >= 0) {
        close(events);
    }
    Mount("pts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
    Mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    Mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    Mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    Mount("cgroup", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    (void)!symlink("/proc/self/fd", "/dev/fd");
    (void)!symlink("/proc/self/fd/0", "/dev/stdin");
    (void)!symlink("/proc/self/fd/1", "/dev/stdout");
    (void)!symlink("/proc/self/fd/2", "/dev/stderr");
    BringUpLoopback();
    char name[65] = "hearth";
    (void)Parameter("hearth.hostname", name, sizeof(name));
    (void)sethostname(name, strlen(name));
}

// ---- the end of the machine ----

// Asks everybody to end, makes them, and resets.
[[noreturn]] void EndMachine(int child_events) {
    (void)kill(-1, SIGTERM);
    const int64_t deadline = NowMs() + kEndWaitMs;
    for (;;) {
        while (waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        const int64_t left = deadline - NowMs();
        if (left <= 0 || (waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD)) {
            break;
        }
        pollfd waiting{child_events, POLLIN, 0};
        (void)poll(&waiting, 1, static_cast<int>(left));
        signalfd_siginfo ignored{};
        while (read(child_events, &ignored, sizeof(ignored)) > 0) {
        }
    }
    (void)kill(-1, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    ResetMachine();
}

// ---- what pid 1 does ----

int MakeSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal_number : {SIGCHLD, SIGINT, SIGTERM}) {
        sigaddset(&signals, signal_number);
    }
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Takes what signals came. Returns the number of children that ended; `end` when the machine shall.
int TakeSignals(int signals, bool* end, pid_t wanted = 0, int* wanted_status = nullptr) {
    signalfd_siginfo info{};
    while (read(signals, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
        *end = *end || info.ssi_signo == static_cast<uint32_t>(SIGINT) ||
               info.ssi_signo == static_cast<uint32_t>(SIGTERM);
    }
    int ended = 0;
    int status = 0;
    for (pid_t child = 0; (child = waitpid(-1, &status, WNOHANG)) > 0; ++ended) {
        if (child == wanted) {
            *wanted_status = status;
        }
    }
    return ended;
}

// Runs a command on the console, then ends the machine.
[[noreturn]] void RunOnConsole(char* const* argv, int signals) {
    const pid_t child = fork();
    if (child == 0) {
        (void)setsid();
        (void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
        RunProgram(argv, DefaultEnvironment(), -1);
    }
    int status = -1;
    bool end = child < 0;
    while (!end && status == -1) {
        pollfd waiting{signals, POLLIN, 0};
        (void)poll(&waiting, 1, -1);
        (void)TakeSignals(signals, &end, child, &status);
    }
    Say("hearth-guest-init: exit %d", status == -1 ? -1 : StatusOf(status));
    EndMachine(signals);
}

int ListenForHost() {
    const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = kExecPort;
    unsigned own = VMADDR_CID_ANY;
    const int device = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    const bool there = device >= 0 && ioctl(device, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &own) == 0 &&
                       own != VMADDR_CID_ANY;
    if (device >= 0) {
        close(device);
    }
    if (!there || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(fd, 64) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void TellReady() {
    const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = kHostCid;
    address.svm_port = kReadyPort;
    if (fd >= 0) {
        // Nobody has to listen.
        if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
            (void)!write(fd, kReadyLine, sizeof(kReadyLine) - 1);
        }
        close(fd);
    }
}

[[noreturn]] void ServeHost(int listener, int signals) {
    int sessions = 0;
    bool end = false;
    while (!end) {
        pollfd waiting[] = {
            {signals, POLLIN, 0}, {sessions < kSessionsMax ? listener : -1, POLLIN, 0}};
        (void)poll(waiting, 2, -1);
        // Orphans of commands are counted as well; the number only bounds the sessions.
        sessions -= TakeSignals(signals, &end);
        sessions = sessions < 0 ? 0 : sessions;
        if ((waiting[1].revents & POLLIN) == 0) {
            continue;
        }
        const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) {
            continue;
        }
        const pid_t child = fork();
        if (child == 0) {
            close(listener);
            close(signals);
            RunSession(connection, true);
        }
        sessions += child > 0 ? 1 : 0;
        close(connection);
    }
    EndMachine(signals);
}

int Main(int argc, char** argv) {
    if (getpid() != 1 && argc == 2 && strcmp(argv[1], "--session") == 0) {
        RunSession(STDIN_FILENO, false);
    }
    if (getpid() != 1) {
        Say("hearth-guest-init: this is the first process of a guest; it does nothing elsewhere");
        return 125;
    }
    setenv("PATH", kPath, 1);
    PrepareMachine();
    // Ctrl-Alt-Del comes as SIGINT instead of ending the machine at once.
    (void)reboot(RB_DISABLE_CAD);
    const int signals = MakeSignals();
    if (signals < 0) {
        Die("signalfd");
    }
    if (const int words = CommandWords(); words > 0 && words < argc) {
        RunOnConsole(argv + argc - words, signals);
    }
    const int listener = ListenForHost();
    if (listener < 0) {
        Say("hearth-guest-init: no vsock and no command: a shell on the console");
        char shell[] = "sh";
        char* const words[] = {shell, nullptr};
        RunOnConsole(words, signals);
    }
    TellReady();
    ServeHost(listener, signals);
}

}  // namespace
}  // namespace hearth::vmm

int main(int argc, char** argv) {
    return hearth::vmm::Main(argc, argv);
}
