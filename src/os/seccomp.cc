#include "os/seccomp.h"

#include "os/file.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

namespace hearth::os {

namespace {

struct FilterFree {
    void operator()(void* context) const { ::seccomp_release(context); }
};

using Context = std::unique_ptr<void, FilterFree>;

// The calls of ordinary programs (interpreters, JITs, servers, shells). By name: libseccomp knows
// the numbers of each architecture and skips what one does not have.
constexpr std::string_view kFunctionCalls =
    "accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod "
    "chown chown32 clock_getres clock_gettime clock_nanosleep close close_range connect "
    "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 "
    "fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr "
    "fstat fstatfs fsync ftruncate futex futex_wait futex_waitv futex_wake futimesat "
    "get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid "
    "geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid "
    "getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname "
    "getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch ioctl ioprio_get kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen "
    "listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create "
    "mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr "
    "mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap msgctl msgget msgrcv "
    "msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause "
    "pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll "
    "prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead "
    "readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename "
    "renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr "
    "sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_yield "
    "select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_mempolicy "
    "set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups "
    "setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid "
    "setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd "
    "signalfd4 socketpair splice stat statfs statx symlink symlinkat sync_file_range sysinfo "
    "tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime "
    "timerfd_create timerfd_gettime timerfd_settime times tkill truncate ugetrlimit umask "
    "uname unlink unlinkat utime utimensat utimes vfork wait4 waitid write writev ";

// What a passive host never needs once its helper runs. Killed, not refused: whoever runs such a
// call in the host is not our code.
constexpr std::string_view kHostForbidden =
    "clone "
    "execve execveat fork vfork clone3 ptrace process_vm_readv process_vm_writev connect "
    "accept accept4 listen bind init_module finit_module delete_module kexec_load "
    "kexec_file_load bpf perf_event_open reboot swapon swapoff sethostname settimeofday "
    "clock_settime clock_adjtime adjtimex iopl ioperm add_key request_key keyctl "
    "io_uring_setup userfaultfd acct quotactl open_by_handle_at personality setuid setresuid "
    "setgid setresgid ";

// Everything that makes a namespace.
constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                     0x80 /* NEWTIME */;

std::vector<std::string> Words(std::string_view text) {
    std::vector<std::string> words;
    std::istringstream stream{std::string(text)};
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
}

// libseccomp's own macros for this are C only.
scmp_arg_cmp Argument(unsigned index, scmp_compare compare, uint64_t a, uint64_t b = 0) {
    scmp_arg_cmp argument{};
    argument.arg = index;
    argument.op = compare;
    argument.datum_a = a;
    argument.datum_b = b;
    return argument;
}

int Allow(scmp_filter_ctx context, const char* name) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
        return 0;  // newer than this libseccomp
    }
    return ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0);
}

Result<std::string> Export(scmp_filter_ctx context) {
    const int fd = ::memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0) {
        return errors::System("memfd_create", errno);
    }
    const Fd file(fd);
    if (const int error = ::seccomp_export_bpf(context, fd); error != 0) {
        return errors::System("seccomp_export_bpf", -error);
    }
    std::string program;
    program.resize(static_cast<size_t>(::lseek(fd, 0, SEEK_END)));
    if (::pread(fd, program.data(), program.size(), 0) != static_cast<ssize_t>(program.size())) {
        return errors::System("read filter", errno);
    }
    return program;
}

#if defined(__x86_64__)

// The kernel translates a filter anew for every process that installs it, and runs it once for
// every call number: what libseccomp writes costs 0.1 ms each time, the same rules as a search over
// ranges of numbers less than half of that.
class RangeFilter final {
  public:
    enum Place : uint32_t { kAllow, kRefuse, kAbsent, kClone, kSocket, kPersonality, kPlaces };

    RangeFilter() : places_(kNumbers, kRefuse) {}

    // False: the number is larger than any that is known.
    bool Set(int number, Place place) {
        if (number < 0 || number >= kNumbers) {
            return false;
        }
        places_[static_cast<size_t>(number)] = place;
        return true;
    }

    // Empty: a jump would be too long.
    std::string Write() {
        constexpr uint32_t kOtherAbi = 0x40000000;  // x32
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
        Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD));
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
        Add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kOtherAbi, 0, 2));
        // -1 is what a tracer writes to skip a call.
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 1, 0));
        Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD));
        for (uint32_t number = 0; number < kNumbers; ++number) {
            if (number == 0 || places_[number] != places_[number - 1]) {
                starts_.push_back(number);
            }
        }
        Search(0, starts_.size());
        WriteBlocks();
        for (const Jump& jump : jumps_) {
            sock_filter& from = program_[jump.from];
            from.jt = Distance(jump.from, jump.at_or_above);
            from.jf = Distance(jump.from, jump.below);
        }
        if (too_long_) {
            return {};
        }
        return {
            reinterpret_cast<const char*>(program_.data()), program_.size() * sizeof(sock_filter)};
    }

  private:
    static constexpr int kNumbers = 1024;

    // A block at the end, or an instruction of the search.
    struct Target {
        bool block = false;
        size_t index = 0;
    };

    struct Jump {
        size_t from;
        Target at_or_above;
        Target below;
    };

    size_t Add(sock_filter instruction) {
        program_.push_back(instruction);
        return program_.size() - 1;
    }

    // Between the ranges [first, last).
    Target Search(size_t first, size_t last) {
        if (last - first == 1) {
            return {.block = true, .index = places_[starts_[first]]};
        }
        const size_t middle = (first + last) / 2;
        const size_t from = Add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, starts_[middle], 0, 0));
        const Target below = Search(first, middle);
        const Target above = Search(middle, last);
        jumps_.push_back({from, above, below});
        return {.block = false, .index = from};
    }

    uint8_t Distance(size_t from, Target to) {
        const size_t distance = (to.block ? blocks_[to.index] : to.index) - from - 1;
        too_long_ = too_long_ || distance > UINT8_MAX;
        return static_cast<uint8_t>(distance);
    }

    // Allows a call whose first argument is one of these; what follows has its lower half.
    void RequireFirst(std::initializer_list<uint32_t> values) {
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments + 4));
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
        Add(BPF_STMT(BPF_RET | BPF_K, kRefused));
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments));
        for (const uint32_t value : values) {
            Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
            Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        }
    }

    void WriteBlocks() {
        blocks_[kAllow] = Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        blocks_[kRefuse] = Add(BPF_STMT(BPF_RET | BPF_K, kRefused));
        blocks_[kAbsent] = Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
        blocks_[kClone] = Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments));
        Add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNamespaceFlags, 1, 0));
        Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        Add(BPF_STMT(BPF_RET | BPF_K, kRefused));
        blocks_[kSocket] = program_.size();
        RequireFirst({AF_UNIX, AF_INET, AF_INET6});
        // Of netlink, routes and addresses only: protocol 0.
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 5));
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments + 16));
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3));
        Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments + 20));
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
        Add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        Add(BPF_STMT(BPF_RET | BPF_K, kRefused));
        blocks_[kPersonality] = program_.size();
        RequireFirst({0, 8, UINT32_MAX});
        Add(BPF_STMT(BPF_RET | BPF_K, kRefused));
    }

    static constexpr uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;
    static constexpr uint32_t kArguments = offsetof(seccomp_data, args);

    std::vector<uint32_t> places_;
    std::vector<uint32_t> starts_;
    std::vector<sock_filter> program_;
    std::vector<Jump> jumps_;
    size_t blocks_[kPlaces] = {};
    bool too_long_ = false;
};

#endif

}  // namespace

Result<std::string> FunctionFilter() {
#if defined(__x86_64__)
    RangeFilter filter;
    bool known = true;
    for (const std::string& name : Words(kFunctionCalls)) {
        const int number = ::seccomp_syscall_resolve_name(name.c_str());
        // Newer than libseccomp, or (negative) of other architectures only.
        if (number >= 0) {
            known = known && filter.Set(number, RangeFilter::kAllow);
        }
    }
    for (const auto& [number, place] :
         {std::pair{SCMP_SYS(clone), RangeFilter::kClone},
          {SCMP_SYS(clone3), RangeFilter::kAbsent},
          {SCMP_SYS(io_uring_setup), RangeFilter::kAbsent},
          {SCMP_SYS(userfaultfd), RangeFilter::kAbsent},
          {SCMP_SYS(socket), RangeFilter::kSocket},
          {SCMP_SYS(personality), RangeFilter::kPersonality}}) {
        known = known && filter.Set(number, place);
    }
    if (std::string program = filter.Write(); known && !program.empty()) {
        return program;
    }
#endif
    return PortableFunctionFilter();
}

Result<std::string> PortableFunctionFilter() {
    const Context context(::seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    if (!context) {
        return errors::Internal("seccomp_init failed");
    }
    ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int error = 0;
    for (const std::string& name : Words(kFunctionCalls)) {
        if (error == 0) {
            error = Allow(context.get(), name.c_str());
        }
    }
    const auto add = [&](uint32_t action, int number, auto... arguments) {
        if (error == 0) {
            error = ::seccomp_rule_add(
                context.get(), action, number, sizeof...(arguments), arguments...);
        }
    };
    add(SCMP_ACT_ALLOW, SCMP_SYS(clone), Argument(0, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0));
    // Its flags are behind a pointer; programs fall back to clone.
    add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup));
    add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(userfaultfd));
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
        add(SCMP_ACT_ALLOW,
            SCMP_SYS(socket),
            Argument(0, SCMP_CMP_EQ, static_cast<uint64_t>(family)));
    }
    // getaddrinfo and getifaddrs ask for addresses and routes; the other netlink families are
    // closed.
    add(SCMP_ACT_ALLOW,
        SCMP_SYS(socket),
        Argument(0, SCMP_CMP_EQ, AF_NETLINK),
        Argument(2, SCMP_CMP_EQ, 0));
    // Linux, Linux32 and "tell me".
    for (const uint64_t persona : {0x0ULL, 0x8ULL, 0xffffffffULL}) {
        add(SCMP_ACT_ALLOW, SCMP_SYS(personality), Argument(0, SCMP_CMP_EQ, persona));
    }
    if (error != 0) {
        return errors::System("seccomp rules", -error);
    }
    return Export(context.get());
}

Result<std::string> HostFilter() {
    const Context context(::seccomp_init(SCMP_ACT_ALLOW));
    if (!context) {
        return errors::Internal("seccomp_init failed");
    }
    int error = 0;
    for (const std::string& name : Words(kHostForbidden)) {
        const int number = ::seccomp_syscall_resolve_name(name.c_str());
        if (number != __NR_SCMP_ERROR && error == 0) {
            error = ::seccomp_rule_add(context.get(), SCMP_ACT_KILL_PROCESS, number, 0);
        }
    }
    // No inet, packet or other network family; unix and netlink (interfaces) only.
    for (const int family : {AF_INET, AF_INET6, AF_PACKET}) {
        if (error == 0) {
            error = ::seccomp_rule_add(
                context.get(),
                SCMP_ACT_KILL_PROCESS,
                SCMP_SYS(socket),
                1,
                Argument(0, SCMP_CMP_EQ, static_cast<uint64_t>(family)));
        }
    }
    if (error != 0) {
        return errors::System("seccomp rules", -error);
    }
    return Export(context.get());
}

Status InstallFilter(const std::string& program, bool all_threads) {
    sock_fprog filter{};
    filter.len = static_cast<unsigned short>(program.size() / sizeof(sock_filter));
    filter.filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.data()));
    const unsigned flags = all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0) {
        return {};
    }
    if (errno != EACCES) {
        return errors::System("seccomp", errno);
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) != 0) {
        return errors::System("seccomp", errno);
    }
    return {};
}

}  // namespace hearth::os
