#include "vmm/seccomp/thread_filters.h"

#include "vmm/seccomp/filter_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <vector>

namespace hearth::vmm {
namespace {

// InstallThreadFilter without its exception for sanitizers: of what is done here after it, they
// make one call more, before a function that does not return.
bool InstallWholeFilter(ThreadKind kind) {
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sigaltstack, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    for (const sock_filter& instruction : ThreadFilterProgram(kind)) {
        program.push_back(instruction);
    }
    const sock_fprog description{
        .len = static_cast<unsigned short>(program.size()), .filter = program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &description) == 0;
}

// The exit code of a process that installs a filter and then does something; -1 for a signal.
int ExitCodeOf(ThreadKind kind, void (*act)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (!InstallBadSystemCallHandler().ok() || !InstallWholeFilter(kind)) {
            ::_exit(2);
        }
        act();
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr ThreadKind kAll[] = {ThreadKind::kApi, ThreadKind::kVmm, ThreadKind::kVcpu};

TEST(ThreadFilters, AllowWhatEveryThreadNeeds) {
    for (const auto kind : kAll) {
        EXPECT_EQ(
            ExitCodeOf(
                kind,
                [] {
                    char byte = 0;
                    ::syscall(SYS_read, -1, &byte, 1);
                    auto* memory = ::mmap(
                        nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                    if (memory == MAP_FAILED || ::mprotect(memory, 4096, PROT_READ) != 0 ||
                        ::madvise(memory, 4096, MADV_DONTNEED) != 0 ||
                        ::munmap(memory, 4096) != 0) {
                        ::_exit(3);
                    }
                    timespec now{};
                    ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
                    int word = 0;
                    ::syscall(SYS_futex, &word, 129, 1, nullptr, nullptr, 0);
                }),
            0)
            << static_cast<int>(kind);
    }
}

TEST(ThreadFilters, StopWhatNoThreadNeeds) {
    void (*const kForbidden[])() = {
        [] { ::syscall(SYS_getppid); },
        [] { ::syscall(SYS_execve, nullptr, nullptr, nullptr); },
        [] { ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); },
        [] { ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); },
        [] { ::syscall(SYS_ptrace, 0, 0, 0, 0); },
        [] { ::syscall(SYS_kill, 1, 0); },
        [] { ::syscall(SYS_tgkill, ::getpid(), ::getpid(), SIGKILL); },
        // Another process; there is no thread of that number, in case nobody stops it.
        [] { ::syscall(SYS_tgkill, 1, 0x3fff'ffff, SIGABRT); },
        [] { ::syscall(SYS_tgkill, 1, 0x3fff'ffff, SIGRTMIN); },
        [] {
            ::syscall(
                SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        },
        [] { ::syscall(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, 0, 0); },
        [] { ::syscall(SYS_mprotect, nullptr, 4096, PROT_EXEC); },
        [] { ::syscall(SYS_madvise, nullptr, 4096, MADV_FREE); },
        [] { ::syscall(SYS_rt_sigaction, SIGSYS, nullptr, nullptr, 8); },
        [] { ::syscall(SYS_ioctl, 0, 0x4020ae46, 0); },  // KVM_SET_USER_MEMORY_REGION
        [] { ::syscall(SYS_openat, AT_FDCWD, "/x", O_CREAT | O_RDWR, 0600); },
        [] { ::syscall(SYS_futex, nullptr, 6, 0, nullptr, nullptr, 0); },  // FUTEX_LOCK_PI
        [] { ::syscall(SYS_prctl, 0, 0, 0, 0, 0); },
        [] { ::syscall(SYS_seccomp, 0, 0, nullptr); },
    };
    for (const auto kind : kAll) {
        for (std::size_t i = 0; i < std::size(kForbidden); ++i) {
            EXPECT_EQ(ExitCodeOf(kind, kForbidden[i]), kBadSystemCallExitCode)
                << "thread " << static_cast<int>(kind) << ", call " << i;
        }
    }
}

TEST(ThreadFilters, DifferByThread) {
    const auto open = [] { ::syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0); };
    EXPECT_EQ(ExitCodeOf(ThreadKind::kApi, open), kBadSystemCallExitCode);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVmm, open), 0);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVcpu, open), kBadSystemCallExitCode);
    const auto accept = [] {
        ::syscall(SYS_accept4, -1, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    };
    EXPECT_EQ(ExitCodeOf(ThreadKind::kApi, accept), 0);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVmm, accept), 0);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVcpu, accept), kBadSystemCallExitCode);
    const auto run = [] { ::syscall(SYS_ioctl, -1, 0xae80, 0); };
    EXPECT_EQ(ExitCodeOf(ThreadKind::kApi, run), kBadSystemCallExitCode);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVmm, run), kBadSystemCallExitCode);
    EXPECT_EQ(ExitCodeOf(ThreadKind::kVcpu, run), 0);
}

TEST(FilterProgram, SeveralRulesOfACallAreAlternatives) {
    const CallRule rules[] = {
        CallRule{.call = 1, .arguments = {{.index = 0, .value = 7}, {.index = 5, .value = 8}}},
        CallRule{.call = 1, .arguments = {{.index = 1, .mask = 3, .value = 2}}},
        CallRule{.call = 2, .arguments = {}}};
    const auto program = CompileFilter(rules);
    // Every jump lands inside, and the last word is no.
    for (std::size_t i = 0; i < program.size(); ++i) {
        if (BPF_CLASS(program[i].code) == BPF_JMP) {
            EXPECT_LT(i + 1 + program[i].jt, program.size());
            EXPECT_LT(i + 1 + program[i].jf, program.size());
        }
    }
    EXPECT_EQ(program.back().code, BPF_RET | BPF_K);
    EXPECT_EQ(program.back().k, 0x0003'0000U);  // SECCOMP_RET_TRAP
}

}  // namespace
}  // namespace hearth::vmm
