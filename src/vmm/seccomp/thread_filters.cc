#include "vmm/seccomp/thread_filters.h"

#include "vmm/seccomp/filter_program.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEARTH_SANITIZED 1
#endif
#endif

namespace hearth::vmm {
namespace {

// KVM's ioctls by number: <linux/kvm.h> belongs to vmm/kvm alone.
constexpr std::uint32_t kKvmRun = 0xae80;
constexpr std::uint32_t kKvmClockCtrl = 0xaead;
constexpr std::uint32_t kKvmIrqLine = 0x4008ae61;
constexpr std::uint32_t kKvmIrqFd = 0x4020ae76;
constexpr std::uint32_t kKvmIoEventFd = 0x4040ae79;

CallRule Call(long call) {
    return CallRule{.call = call, .arguments = {}};
}

CallRule CallWith(long call, std::vector<ArgumentRule> arguments) {
    return CallRule{.call = call, .arguments = std::move(arguments)};
}

ArgumentRule Is(unsigned index, std::uint32_t value) {
    return ArgumentRule{.index = index, .mask = ~0U, .value = value};
}

// Signals go to our own threads only: what takes a thread over shall not reach its neighbours'
// processes, which run as the same user.
ArgumentRule IsThisProcess(unsigned index) {
    return Is(index, static_cast<std::uint32_t>(::getpid()));
}

// None of these bits.
ArgumentRule Without(unsigned index, std::uint32_t bits) {
    return ArgumentRule{.index = index, .mask = bits, .value = 0};
}

void Append(std::vector<CallRule>& rules, std::vector<CallRule> more) {
    for (auto& rule : more) {
        rules.push_back(std::move(rule));
    }
}

// What every thread needs of the kernel to live: locks, memory that is never code, the clock, its
// end, and abort().
std::vector<CallRule> CommonRules() {
    constexpr std::uint32_t kFutexOperation = ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    const auto futex = [](std::uint32_t operation) {
        return CallWith(
            SYS_futex, {ArgumentRule{.index = 1, .mask = kFutexOperation, .value = operation}});
    };
    return {
        Call(SYS_read),
        Call(SYS_write),
        futex(FUTEX_WAIT),
        futex(FUTEX_WAKE),
        futex(FUTEX_WAIT_BITSET),
        Call(SYS_clock_gettime),
        Call(SYS_brk),
        CallWith(SYS_mmap, {Without(2, PROT_EXEC), Is(4, ~0U)}),  // no file behind it
        CallWith(SYS_mprotect, {Without(2, PROT_EXEC)}),
        Call(SYS_munmap),
        Call(SYS_mremap),
        CallWith(SYS_madvise, {Is(2, MADV_DONTNEED)}),
        Call(SYS_close),
        Call(SYS_sched_yield),
        Call(SYS_rt_sigprocmask),
        Call(SYS_rt_sigreturn),
        Call(SYS_restart_syscall),
        CallWith(SYS_rt_sigaction, {Is(0, SIGABRT)}),
        Call(SYS_getpid),
        Call(SYS_gettid),
        CallWith(SYS_tgkill, {IsThisProcess(0), Is(2, SIGABRT)}),
        Call(SYS_exit),
        Call(SYS_exit_group),
    };
}

constexpr std::uint32_t kSocketFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

std::vector<CallRule> ApiRules() {
    std::vector<CallRule> rules = {
        Call(SYS_epoll_wait),
        Call(SYS_epoll_pwait),
        CallWith(SYS_recvfrom, {Is(3, 0)}),
        Call(SYS_sendto),
        Call(SYS_epoll_ctl),
        CallWith(SYS_accept4, {Is(3, kSocketFlags)}),
    };
    Append(rules, CommonRules());
    return rules;
}

std::vector<CallRule> VmmRules() {
    std::vector<CallRule> rules = {
        Call(SYS_epoll_wait),
        Call(SYS_epoll_pwait),
        // Disks.
        Call(SYS_preadv),
        Call(SYS_pwritev),
        Call(SYS_pread64),
        Call(SYS_pwrite64),
        Call(SYS_io_uring_enter),
        Call(SYS_fsync),
        Call(SYS_fdatasync),
        // The tap, vsock and its connections.
        Call(SYS_readv),
        Call(SYS_writev),
        Call(SYS_sendmsg),
        Call(SYS_sendto),
        Call(SYS_recvfrom),
        Call(SYS_recvmsg),
        Call(SYS_poll),
        Call(SYS_shutdown),
        Call(SYS_epoll_ctl),
        CallWith(SYS_accept4, {Is(3, kSocketFlags)}),
        CallWith(SYS_socket, {Is(0, AF_UNIX), Is(1, SOCK_STREAM | kSocketFlags), Is(2, 0)}),
        Call(SYS_connect),  // on no socket but those
        CallWith(SYS_getsockopt, {Is(1, SOL_SOCKET), Is(2, SO_ERROR)}),
        // Rate limits, statistics, metrics.
        CallWith(SYS_timerfd_settime, {Is(1, 0)}),
        Call(SYS_timerfd_create),
        Call(SYS_eventfd2),
        // The entropy device and the metadata service's tokens.
        Call(SYS_getrandom),
        // Another file for a drive (PATCH /drives): one that is there already.
        CallWith(
            SYS_openat,
            {Is(0, static_cast<std::uint32_t>(AT_FDCWD)), Without(2, O_CREAT | O_TRUNC)}),
        Call(SYS_fstat),
        Call(SYS_newfstatat),
        Call(SYS_lseek),
        // The vsock device's socket file, when the machine goes.
        Call(SYS_unlink),
        // A vCPU's attention: one of the real-time signals (32 to 63).
        CallWith(
            SYS_tgkill, {IsThisProcess(0), ArgumentRule{.index = 2, .mask = ~31U, .value = 32}}),
    };
    for (const std::uint32_t request :
         {kKvmIrqLine,
          kKvmIrqFd,
          kKvmIoEventFd,
          static_cast<std::uint32_t>(TUNSETOFFLOAD),
          static_cast<std::uint32_t>(FIONBIO),
          static_cast<std::uint32_t>(FIONREAD),
          static_cast<std::uint32_t>(TCGETS),
          static_cast<std::uint32_t>(TCSETS)}) {
        rules.push_back(CallWith(SYS_ioctl, {Is(1, request)}));
    }
    Append(rules, CommonRules());
    return rules;
}

std::vector<CallRule> VcpuRules() {
    std::vector<CallRule> rules = {
        CallWith(SYS_ioctl, {Is(1, kKvmRun)}),
        CallWith(SYS_ioctl, {Is(1, kKvmClockCtrl)}),  // a pause
        CallWith(SYS_ioctl, {Is(1, kKvmIrqLine)}),
        CallWith(SYS_timerfd_settime, {Is(1, 0)}),
        // A reset of a disk waits, on the vCPU that wrote it, for what is in flight.
        Call(SYS_io_uring_enter),
    };
    Append(rules, CommonRules());
    return rules;
}

std::vector<CallRule> RulesOf(ThreadKind kind) {
    switch (kind) {
        case ThreadKind::kApi:
            return ApiRules();
        case ThreadKind::kVmm:
            return VmmRules();
        case ThreadKind::kVcpu:
            return VcpuRules();
    }
    return {};
}

// Async-signal-safe: no allocation, no lock, two calls that every filter allows.
void OnBadSystemCall(int, siginfo_t* info, void*) {
    char text[64] = "hearth-vmm: a system call is not allowed here: ";
    std::size_t bytes = std::strlen(text);
    char digits[12];
    std::size_t count = 0;
    auto number = static_cast<unsigned>(info->si_syscall);
    do {
        digits[count++] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        text[bytes++] = digits[--count];
    }
    text[bytes++] = '\n';
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, bytes);
    ::_exit(kBadSystemCallExitCode);
}

#ifdef HEARTH_VMM_FORBIDDEN_CALLS

// The proof that a filter is there: in this build, the thread that the environment names makes a
// call right behind its filter that no filter allows.
void MakeForbiddenCall(ThreadKind kind) {
    constexpr const char* kNames[] = {"api", "vmm", "vcpu"};
    const char* wanted = std::getenv("HEARTH_VMM_FORBIDDEN_CALL");
    if (wanted != nullptr && std::strcmp(wanted, kNames[static_cast<int>(kind)]) == 0) {
        ::syscall(SYS_getppid);
    }
}

#else

void MakeForbiddenCall(ThreadKind) {}

#endif

}  // namespace

Status InstallBadSystemCallHandler() {
    struct sigaction action{};
    action.sa_sigaction = &OnBadSystemCall;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (::sigaction(SIGSYS, &action, nullptr) != 0) {
        return errors::System("sigaction(SIGSYS)", errno);
    }
    return {};
}

std::vector<sock_filter> ThreadFilterProgram(ThreadKind kind) {
    return CompileFilter(RulesOf(kind));
}

Status InstallThreadFilter(ThreadKind kind) {
#if HEARTH_SANITIZED
    // The sanitizers call what they like, so all is allowed, but for the call of the proof in the
    // program that makes it: the search for leaks makes that call as well.
#ifdef HEARTH_VMM_FORBIDDEN_CALLS
    constexpr std::uint32_t kProofAction = SECCOMP_RET_TRAP;
#else
    constexpr std::uint32_t kProofAction = SECCOMP_RET_ALLOW;
#endif
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, kProofAction),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
#else
    auto program = ThreadFilterProgram(kind);
#endif
    const sock_fprog description{
        .len = static_cast<unsigned short>(program.size()), .filter = program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errors::System("PR_SET_NO_NEW_PRIVS", errno);
    }
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &description) != 0) {
        return errors::System("a system call filter", errno);
    }
    MakeForbiddenCall(kind);
    return {};
}

}  // namespace hearth::vmm
