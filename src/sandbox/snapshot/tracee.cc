#include "sandbox/snapshot/tracee.h"

#include "os/file.h"
#include "sandbox/snapshot/proc.h"
#include "sandbox/snapshot/refusal.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace hearth::snapshot {
namespace {

// <linux/ptrace.h> and <sys/ptrace.h> define the same names.
constexpr unsigned long kSuspendSeccomp = 1UL << 21;
constexpr unsigned long kExitKill = 1UL << 20;
constexpr int kEventStop = 128;
constexpr int kStopsMax = 1'000;
constexpr int kRoundsMax = 100;
constexpr uint64_t kSignalSetBytes = 8;
// A trap that finds its signal blocked would reset the handler.
constexpr uint64_t kAllButTrap = ~(1ULL << (SIGTRAP - 1));

// What a system call answers inside the kernel when it is to be called again.
constexpr int64_t kRestartSys = -512;
constexpr int64_t kRestartNoIntr = -513;
constexpr int64_t kRestartNoHand = -514;
constexpr int64_t kRestartBlock = -516;

// These return -EINTR, not a code of the kernel's own, when a stop interrupts them.
bool RestartsAfterEintr(uint64_t call) {
    constexpr std::array kCalls = {
        SYS_epoll_wait,
        SYS_epoll_pwait,
        SYS_epoll_pwait2,
        SYS_poll,
        SYS_ppoll,
        SYS_select,
        SYS_pselect6,
        SYS_nanosleep,
        SYS_clock_nanosleep,
        SYS_rt_sigtimedwait,
        SYS_io_getevents,
        SYS_semtimedop,
        SYS_rt_sigsuspend,
        SYS_pause};
    return std::ranges::find(kCalls, static_cast<long>(call)) != kCalls.end();
}

bool IsInterruptedForGood(const user_regs_struct& registers) {
    return static_cast<int64_t>(registers.orig_rax) >= 0 &&
           static_cast<int64_t>(registers.rax) == -EINTR && RestartsAfterEintr(registers.orig_rax);
}

// `syscall` is two bytes long.
void CallAgain(user_regs_struct& registers) {
    registers.rip -= 2;
    registers.rax = registers.orig_rax;
    registers.orig_rax = UINT64_MAX;
}

long Trace(__ptrace_request request, int tid, uint64_t address, uint64_t data) {
    return ::ptrace(request, tid, reinterpret_cast<void*>(address), reinterpret_cast<void*>(data));
}

long TracePointer(__ptrace_request request, int tid, uint64_t address, void* data) {
    return ::ptrace(request, tid, reinterpret_cast<void*>(address), data);
}

int Wait(int tid, int& status) {
    int waited = 0;
    do {
        waited = ::waitpid(tid, &status, __WALL);
    } while (waited < 0 && errno == EINTR);
    return waited;
}

Error Ended() {
    return errors::Unavailable("the process has ended");
}

}  // namespace

Tracee::Tracee(Tracee&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      memory_fd_(std::exchange(other.memory_fd_, -1)),
      syscall_address_(other.syscall_address_),
      threads_(std::exchange(other.threads_, {})) {}

Tracee::~Tracee() {
    Release();
}

Status Tracee::SeizeThread(int tid, bool& gone) {
    gone = false;
    if (Trace(PTRACE_SEIZE, tid, 0, kExitKill | kSuspendSeccomp) == 0) {
        return {};
    }
    int error = errno;
    if (error == EPERM || error == EINVAL) {
        // The kernel cannot suspend filters, or we may not (without the machine's root). Of no
        // matter where there is none, or where it allows what is asked in the process, as the
        // filter of functions does; one that kills for it ends a process that was to end anyway.
        if (Trace(PTRACE_SEIZE, tid, 0, kExitKill) == 0) {
            return {};
        }
        error = errno;
    }
    if (error == ESRCH) {
        gone = true;
        return {};
    }
    return NotSnapshottable(fmt::format("thread {} cannot be traced (errno {})", tid, error));
}

// Brings a seized thread to a stop at which no signal is on its way.
Status Tracee::StopThread(int tid, bool& gone) {
    gone = false;
    if (Trace(PTRACE_INTERRUPT, tid, 0, 0) != 0) {
        gone = errno == ESRCH;
        return gone ? Status{} : Status(errors::System("PTRACE_INTERRUPT", errno));
    }
    for (int i = 0; i < kStopsMax; ++i) {
        int status = 0;
        if (Wait(tid, status) != tid || WIFEXITED(status) || WIFSIGNALED(status)) {
            gone = true;
            return {};
        }
        if (status >> 16 == kEventStop) {
            if (WSTOPSIG(status) != SIGTRAP) {
                return NotQuiet("it is stopped by a signal");
            }
            return {};
        }
        // A signal came first: let it be delivered, its handler is entered, then we stop.
        if (Trace(PTRACE_CONT, tid, 0, static_cast<uint64_t>(WSTOPSIG(status))) != 0) {
            gone = errno == ESRCH;
            return gone ? Status{} : Status(errors::System("PTRACE_CONT", errno));
        }
    }
    return NotQuiet("signals keep coming");
}

Result<Tracee> Tracee::Seize(int pid) {
    Tracee tracee(pid);
    std::set<int> known;
    const std::string folder = fmt::format("/proc/{}/task", pid);
    for (int round = 0; round < kRoundsMax; ++round) {
        HEARTH_TRY(const auto names, os::ListDirectory(AT_FDCWD, folder));
        std::vector<int> fresh;
        for (const std::string& name : names) {
            const auto tid = ParseNumber(name);
            if (tid && known.insert(static_cast<int>(*tid)).second) {
                fresh.push_back(static_cast<int>(*tid));
            }
        }
        if (fresh.empty()) {
            // Everyone we know is stopped, and there is nobody else who could make more.
            const auto leader = std::ranges::find(
                tracee.threads_, pid, [](const StoppedThread& thread) { return thread.tid; });
            if (leader == tracee.threads_.end()) {
                return Ended();
            }
            std::iter_swap(tracee.threads_.begin(), leader);
            std::sort(
                tracee.threads_.begin() + 1,
                tracee.threads_.end(),
                [](const StoppedThread& a, const StoppedThread& b) { return a.tid < b.tid; });
            tracee.memory_fd_ =
                ::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC);
            return tracee;
        }
        if (known.size() > kThreadsMax) {
            return NotSnapshottable(fmt::format("it has more than {} threads", kThreadsMax));
        }
        for (const int tid : fresh) {
            bool gone = false;
            HEARTH_RETURN_IF_ERROR(tracee.SeizeThread(tid, gone));
            if (gone) {
                continue;
            }
            tracee.threads_.push_back({.tid = tid});
            HEARTH_RETURN_IF_ERROR(tracee.StopThread(tid, gone));
            StoppedThread& thread = tracee.threads_.back();
            if (!gone) {
                gone = TracePointer(PTRACE_GETREGS, tid, 0, &thread.registers) != 0 ||
                       TracePointer(
                           static_cast<__ptrace_request>(PTRACE_GETSIGMASK),
                           tid,
                           kSignalSetBytes,
                           &thread.signal_mask) != 0;
            }
            if (gone) {
                tracee.threads_.pop_back();
            }
        }
    }
    return NotQuiet("it makes threads faster than they can be stopped");
}

Result<int64_t> Tracee::Call(
    StoppedThread& thread, long number, std::initializer_list<uint64_t> arguments) {
    CHECK(syscall_address_ != 0 && arguments.size() <= 6, "a call without a place or of a crowd");
    if (!thread.injected) {
        uint64_t mask = kAllButTrap;
        thread.injected = true;
        if (TracePointer(
                static_cast<__ptrace_request>(PTRACE_SETSIGMASK),
                thread.tid,
                kSignalSetBytes,
                &mask) != 0) {
            return Ended();
        }
    }
    std::array<uint64_t, 6> values{};
    std::ranges::copy(arguments, values.begin());
    user_regs_struct registers = thread.registers;
    registers.rip = syscall_address_;
    registers.rax = static_cast<uint64_t>(number);
    registers.orig_rax = UINT64_MAX;
    registers.rdi = values[0];
    registers.rsi = values[1];
    registers.rdx = values[2];
    registers.r10 = values[3];
    registers.r8 = values[4];
    registers.r9 = values[5];
    int status = 0;
    if (TracePointer(PTRACE_SETREGS, thread.tid, 0, &registers) != 0 ||
        Trace(PTRACE_SINGLESTEP, thread.tid, 0, 0) != 0 || Wait(thread.tid, status) != thread.tid ||
        !WIFSTOPPED(status)) {
        return Ended();
    }
    if (WSTOPSIG(status) != SIGTRAP || status >> 16 != 0) {
        return NotQuiet("it was stopped meanwhile");
    }
    if (TracePointer(PTRACE_GETREGS, thread.tid, 0, &registers) != 0) {
        return Ended();
    }
    return static_cast<int64_t>(registers.rax);
}

Result<std::string> Tracee::ReadXstate(int tid, uint64_t bytes_max) {
    std::string bytes(bytes_max, '\0');
    iovec into{.iov_base = bytes.data(), .iov_len = bytes.size()};
    if (TracePointer(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &into) != 0) {
        return errors::System("PTRACE_GETREGSET", errno);
    }
    bytes.resize(into.iov_len);
    return bytes;
}

Status Tracee::Read(uint64_t address, void* into, size_t bytes) const {
    size_t done = 0;
    while (done < bytes) {
        iovec mine{.iov_base = static_cast<char*>(into) + done, .iov_len = bytes - done};
        iovec theirs{.iov_base = reinterpret_cast<void*>(address + done), .iov_len = bytes - done};
        ssize_t got = ::process_vm_readv(pid_, &mine, 1, &theirs, 1, 0);
        if (got <= 0) {
            // It may have taken the right to read from itself; the memory file does not ask.
            got = ::pread(
                memory_fd_, mine.iov_base, mine.iov_len, static_cast<off_t>(address + done));
        }
        if (got <= 0) {
            return errors::System(
                fmt::format("reading its memory at {:#x}", address + done), errno);
        }
        done += static_cast<size_t>(got);
    }
    return {};
}

void ApplyRestartRule(user_regs_struct& registers) {
    const auto answer = static_cast<int64_t>(registers.rax);
    const bool kernel_repeats = answer == kRestartSys || answer == kRestartNoIntr ||
                                answer == kRestartNoHand || answer == kRestartBlock;
    if ((static_cast<int64_t>(registers.orig_rax) >= 0 && kernel_repeats) ||
        IsInterruptedForGood(registers)) {
        CallAgain(registers);
    }
    registers.orig_rax = UINT64_MAX;
}

void Tracee::Release() {
    for (StoppedThread& thread : threads_) {
        // Calls that the kernel repeats by itself are left to it: it knows how much of a timeout is
        // over. Of others the process would see that it was stopped.
        const bool again = IsInterruptedForGood(thread.registers);
        if (again) {
            CallAgain(thread.registers);
        }
        if (again || thread.injected) {
            (void)TracePointer(PTRACE_SETREGS, thread.tid, 0, &thread.registers);
        }
        if (thread.injected) {
            (void)TracePointer(
                static_cast<__ptrace_request>(PTRACE_SETSIGMASK),
                thread.tid,
                kSignalSetBytes,
                &thread.signal_mask);
        }
        (void)Trace(PTRACE_DETACH, thread.tid, 0, 0);
    }
    threads_.clear();
    if (memory_fd_ >= 0) {
        ::close(std::exchange(memory_fd_, -1));
    }
}

void Tracee::Kill() {
    if (threads_.empty()) {
        return;
    }
    ::kill(pid_, SIGKILL);
    // The leader is reported last, when all its threads have been.
    for (size_t i = threads_.size(); i-- > 0;) {
        int status = 0;
        while (Wait(threads_[i].tid, status) == threads_[i].tid && WIFSTOPPED(status)) {
        }
    }
    threads_.clear();
    Release();
}

}  // namespace hearth::snapshot
