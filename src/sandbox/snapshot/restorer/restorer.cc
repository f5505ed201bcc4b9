// The template process and the first steps of its clones: see plan.h and
// docs/internals/snapshots.md.
//
// It runs with nothing mapped but its zone and, later, the image of a customer's process, of which
// it never executes an instruction, reads or writes only the ranges that the plan names, and takes
// no value on trust that the engine has not checked. No C library, no variables, no heap; a failed
// system call is reported with its step and ends the process.

#include "sandbox/snapshot/restorer/plan.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {
// The compiler may call these for copies of structs.
HIDDEN void* memcpy(void* to, const void* from, size_t bytes) {
    void* target = to;
    asm volatile("rep movsb" : "+D"(target), "+S"(from), "+c"(bytes)::"memory");
    return to;
}

HIDDEN void* memset(void* to, int value, size_t bytes) {
    void* target = to;
    asm volatile("rep stosb" : "+D"(target), "+c"(bytes) : "a"(value) : "memory");
    return to;
}
}

namespace hearth::snapshot {
namespace {

constexpr int kErrorMax = 4095;
constexpr long kInterrupted = -4;
// Newer than the headers.
constexpr int kMadviseGuardInstall = 102;
constexpr int kMapDroppable = 0x08;
constexpr long kSysMseal = 462;
constexpr int kClosePipeWriteEnd = 1;
constexpr unsigned long kTimerSetTicks = 0x40085400;  // TFD_IOC_SET_TICKS
constexpr uint32_t kCapabilityCheckpointRestore = 40;
constexpr uint64_t kOpenFlagsKept = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC |
                                    O_DIRECT | O_DIRECTORY | O_NOATIME | O_PATH | O_LARGEFILE;
constexpr uint64_t kStatusFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

template <class T>
long Address(T* pointer) {
    return reinterpret_cast<long>(pointer);
}

bool Failed(long result) {
    return result < 0 && result >= -kErrorMax;
}

template <class T>
T* At(const Plan* plan, uint64_t offset) {
    return reinterpret_cast<T*>(plan->self + offset);
}

uint64_t Now() {
    struct {
        int64_t s;
        int64_t ns;
    } time{};

    (void)Call(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, Address(&time));
    return static_cast<uint64_t>(time.s) * 1'000'000'000 + static_cast<uint64_t>(time.ns);
}

// ---- replies ----

void Send(const Plan* plan, const RestorerReply& reply, int fd) {
    iovec part{const_cast<RestorerReply*>(&reply), sizeof(reply)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        auto* head = reinterpret_cast<cmsghdr*>(control);
        head->cmsg_len = CMSG_LEN(sizeof(int));
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
    }
    while (Call(SYS_sendmsg, plan->control_fd, Address(&message), MSG_NOSIGNAL) == kInterrupted) {
    }
}

void FillReply(RestorerReply& reply, const Plan* plan, ReplyKind kind) {
    memset(&reply, 0, sizeof(reply));
    reply.magic = kRestorerMagic;
    reply.kind = kind;
    reply.serial = plan->serial;
}

void SendFailure(const Plan* plan, const char* step, long error, long detail) {
    RestorerReply reply;
    FillReply(reply, plan, kReplyFailed);
    reply.error = static_cast<int32_t>(error < 0 ? -error : error);
    reply.detail = detail;
    for (size_t i = 0; i + 1 < sizeof(reply.step) && step[i] != '\0'; ++i) {
        reply.step[i] = step[i];
    }
    Send(plan, reply, -1);
}

[[noreturn]] void Fail(const Plan* plan, const char* step, long error, long detail = 0) {
    SendFailure(plan, step, error, detail);
    for (;;) {
        (void)Call(SYS_exit_group, 111);
    }
}

long Check(const Plan* plan, long result, const char* step, long detail = 0) {
    if (Failed(result)) {
        Fail(plan, step, result, detail);
    }
    return result;
}

// ---- the template's memory ----

void UnmapEverythingElse(const Plan* plan) {
    const auto* specials = At<PlanSpecial>(plan, plan->specials.offset);
    for (uint64_t i = 0; i < plan->specials.count; ++i) {
        Check(
            plan,
            Call(
                SYS_mremap,
                static_cast<long>(specials[i].from),
                static_cast<long>(specials[i].bytes),
                static_cast<long>(specials[i].bytes),
                MREMAP_MAYMOVE | MREMAP_FIXED,
                static_cast<long>(specials[i].park)),
            "park the vdso",
            static_cast<long>(i));
    }
    Check(plan, Call(SYS_munmap, 0, static_cast<long>(plan->zone_start)), "unmap below");
    Check(
        plan,
        Call(
            SYS_munmap,
            static_cast<long>(plan->zone_end),
            static_cast<long>(plan->user_end - plan->zone_end)),
        "unmap above");
}

void MapAreas(const Plan* plan) {
    const auto* areas = At<PlanArea>(plan, plan->areas.offset);
    for (uint64_t i = 0; i < plan->areas.count; ++i) {
        const PlanArea& area = areas[i];
        long flags = MAP_FIXED_NOREPLACE;
        if ((area.flags & kPlanDroppable) != 0) {
            flags |= kMapDroppable;
        } else {
            flags |= area.shared != 0 ? MAP_SHARED : MAP_PRIVATE;
        }
        if (area.fd < 0) {
            flags |= MAP_ANONYMOUS;
        }
        if ((area.flags & kPlanNoReserve) != 0) {
            flags |= MAP_NORESERVE;
        }
        if ((area.flags & kPlanGrowsDown) != 0) {
            flags |= MAP_GROWSDOWN;
        }
        const long protection = area.filled_read_only != 0 ? PROT_READ | PROT_WRITE
                                                           : static_cast<long>(area.protection);
        const long at = Check(
            plan,
            Call(
                SYS_mmap,
                static_cast<long>(area.start),
                static_cast<long>(area.end - area.start),
                protection,
                flags,
                area.fd,
                static_cast<long>(area.file_offset)),
            "map an area",
            static_cast<long>(i));
        if (static_cast<uint64_t>(at) != area.start) {
            Fail(plan, "map an area where it was", 17 /* EEXIST */, static_cast<long>(i));
        }
    }
    const auto* huge = At<PlanRange>(plan, plan->huge.offset);
    for (uint64_t i = 0; i < plan->huge.count; ++i) {
        // Without huge pages it only costs more to clone.
        (void)Call(
            SYS_madvise,
            static_cast<long>(huge[i].start),
            static_cast<long>(huge[i].end - huge[i].start),
            MADV_HUGEPAGE);
    }
}

void Protect(const Plan* plan, uint64_t start, uint64_t bytes, long protection) {
    Check(
        plan,
        Call(SYS_mprotect, static_cast<long>(start), static_cast<long>(bytes), protection),
        "change an area's protection",
        static_cast<long>(start));
}

// Fills that follow each other in the image, read at once. Returns how many.
uint64_t FillSeveral(const Plan* plan, const PlanFill* fills, uint64_t count) {
    constexpr uint64_t kPartsMax = 128;
    iovec parts[kPartsMax];
    // From as many pages on, making them ahead is cheaper than a fault for each while it is read.
    constexpr uint64_t kPopulateBytes = 4 * 4096;
    uint64_t taken = 0;
    uint64_t bytes = 0;
    while (taken < count && taken < kPartsMax &&
           (taken == 0 || (fills[taken].protect == 0 && fills[0].protect == 0 &&
                           fills[taken].offset == fills[0].offset + bytes))) {
        parts[taken] = {reinterpret_cast<void*>(fills[taken].address), fills[taken].bytes};
        bytes += fills[taken].bytes;
        if (fills[taken].bytes >= kPopulateBytes) {
            // Kernels before 5.14 do not know it.
            (void)Call(
                SYS_madvise,
                static_cast<long>(fills[taken].address),
                static_cast<long>(fills[taken].bytes),
                23 /* MADV_POPULATE_WRITE */);
        }
        ++taken;
    }
    uint64_t done = 0;
    uint64_t first = 0;
    while (done < bytes) {
        const long got = Call(
            SYS_preadv,
            plan->image_fd,
            Address(parts + first),
            static_cast<long>(taken - first),
            static_cast<long>(fills[0].offset + done));
        if (got == kInterrupted) {
            continue;
        }
        if (got <= 0) {
            Fail(plan, "read the image", got, static_cast<long>(fills[0].offset + done));
        }
        done += static_cast<uint64_t>(got);
        for (auto left = static_cast<uint64_t>(got); left > 0;) {
            const uint64_t part = parts[first].iov_len < left ? parts[first].iov_len : left;
            parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + part;
            parts[first].iov_len -= part;
            left -= part;
            first += parts[first].iov_len == 0 ? 1 : 0;
        }
    }
    return taken;
}

void FillPages(const Plan* plan) {
    const auto* fills = At<PlanFill>(plan, plan->fills.offset);
    for (uint64_t i = 0; i < plan->fills.count;) {
        const PlanFill& fill = fills[i];
        if (fill.protect != 0) {
            Protect(plan, fill.address, fill.bytes, PROT_READ | PROT_WRITE);
        }
        i += FillSeveral(plan, fills + i, plan->fills.count - i);
        if (fill.protect != 0) {
            Protect(plan, fill.address, fill.bytes, static_cast<long>(fill.protection));
        }
    }
}

void Advise(uint64_t start, uint64_t end, int advice) {
    (void)Call(SYS_madvise, static_cast<long>(start), static_cast<long>(end - start), advice);
}

// Advice that the kernel of the dump took, so this one does. What only tunes may fail.
void AdviseAreas(const Plan* plan) {
    const auto* areas = At<PlanArea>(plan, plan->areas.offset);
    for (uint64_t i = 0; i < plan->areas.count; ++i) {
        const PlanArea& area = areas[i];
        if (area.filled_read_only != 0) {
            Protect(plan, area.start, area.end - area.start, static_cast<long>(area.protection));
        }
        if ((area.flags & kPlanHugePage) != 0) {
            Advise(area.start, area.end, MADV_HUGEPAGE);
        } else if (area.huge != 0 || (area.flags & kPlanNoHugePage) != 0) {
            // Else a clone that grows into an empty part would get 2 MB at a time.
            Advise(area.start, area.end, MADV_NOHUGEPAGE);
        }
        if ((area.flags & kPlanDontDump) != 0 && (area.flags & kPlanDroppable) == 0) {
            Advise(area.start, area.end, MADV_DONTDUMP);
        }
        if ((area.flags & kPlanMergeable) != 0) {
            Advise(area.start, area.end, MADV_MERGEABLE);
        }
        if ((area.flags & kPlanRandomAdvice) != 0) {
            Advise(area.start, area.end, MADV_RANDOM);
        }
        if ((area.flags & kPlanSequentialAdvice) != 0) {
            Advise(area.start, area.end, MADV_SEQUENTIAL);
        }
        if (area.name != 0) {
            (void)Call(
                SYS_prctl,
                PR_SET_VMA,
                PR_SET_VMA_ANON_NAME,
                static_cast<long>(area.start),
                static_cast<long>(area.end - area.start),
                Address(At<char>(plan, area.name)));
        }
        if ((area.flags & kPlanWipeOnFork) != 0 && (area.flags & kPlanDroppable) == 0) {
            Check(
                plan,
                Call(
                    SYS_madvise,
                    static_cast<long>(area.start),
                    static_cast<long>(area.end - area.start),
                    MADV_WIPEONFORK),
                "wipe on fork");
        }
    }
    const auto* guards = At<PlanRange>(plan, plan->guards.offset);
    for (uint64_t i = 0; i < plan->guards.count; ++i) {
        Check(
            plan,
            Call(
                SYS_madvise,
                static_cast<long>(guards[i].start),
                static_cast<long>(guards[i].end - guards[i].start),
                kMadviseGuardInstall),
            "install guard pages");
    }
}

void PlaceSpecials(const Plan* plan) {
    const auto* specials = At<PlanSpecial>(plan, plan->specials.offset);
    for (uint64_t i = 0; i < plan->specials.count; ++i) {
        if (specials[i].to == 0) {
            Check(
                plan,
                Call(
                    SYS_munmap,
                    static_cast<long>(specials[i].park),
                    static_cast<long>(specials[i].bytes)),
                "drop the vdso");
            continue;
        }
        Check(
            plan,
            Call(
                SYS_mremap,
                static_cast<long>(specials[i].park),
                static_cast<long>(specials[i].bytes),
                static_cast<long>(specials[i].bytes),
                MREMAP_MAYMOVE | MREMAP_FIXED,
                static_cast<long>(specials[i].to)),
            "place the vdso",
            static_cast<long>(i));
    }
}

void SetMemoryMap(const Plan* plan) {
    PlanMemoryMap map = plan->memory;
    map.auxv += plan->self;
    Check(
        plan,
        Call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, Address(&map), sizeof(map), 0),
        "describe the memory");
}

void SetSignalActions(const Plan* plan) {
    for (int number = 1; number <= 64; ++number) {
        if (number == 9 || number == 19) {
            continue;
        }
        Check(
            plan,
            Call(SYS_rt_sigaction, number, Address(&plan->signals[number - 1]), 0, 8),
            "set a signal's action",
            number);
    }
}

void Seal(const Plan* plan) {
    const auto* sealed = At<PlanRange>(plan, plan->sealed.offset);
    for (uint64_t i = 0; i < plan->sealed.count; ++i) {
        Check(
            plan,
            Call(
                kSysMseal,
                static_cast<long>(sealed[i].start),
                static_cast<long>(sealed[i].end - sealed[i].start),
                0),
            "seal an area");
    }
}

// Leaves the control socket at descriptor_base, the pid namespace above it, and /dev/null at every
// number below.
void ArrangeDescriptors(Plan* plan) {
    const long base = plan->descriptor_base;
    const long high = base + 16;
    const long control =
        Check(plan, Call(SYS_fcntl, plan->control_fd, F_DUPFD, high), "move the control socket");
    const long pid_namespace = Check(
        plan, Call(SYS_fcntl, plan->pid_namespace_fd, F_DUPFD, high), "move the pid namespace");
    const long null = Check(plan, Call(SYS_fcntl, plan->null_fd, F_DUPFD, high), "move /dev/null");
    plan->control_fd = static_cast<int32_t>(control);
    Check(plan, Call(SYS_dup3, control, base, 0), "keep the control socket");
    plan->control_fd = static_cast<int32_t>(base);
    Check(plan, Call(SYS_dup3, pid_namespace, base + 1, 0), "keep the pid namespace");
    plan->pid_namespace_fd = static_cast<int32_t>(base + 1);
    for (long number = 0; number < base; ++number) {
        Check(plan, Call(SYS_dup3, null, number, 0), "keep numbers busy");
    }
    Check(plan, Call(SYS_close_range, base + 2, ~0U, 0), "close the rest");
}

void DropBoundingSet() {
    for (long capability = 0; capability < 64; ++capability) {
        if (Failed(Call(SYS_prctl, PR_CAPBSET_DROP, capability))) {
            break;
        }
    }
}

// ---- the working set ----

PlanArea* FindArea(const Plan* plan, uint64_t address) {
    auto* areas = At<PlanArea>(plan, plan->areas.offset);
    uint64_t low = 0;
    uint64_t high = plan->areas.count;
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (areas[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < plan->areas.count && areas[low].start <= address ? &areas[low] : nullptr;
}

// Fork leaves out the page tables of areas without private pages of their own; one written page
// makes it copy them. The byte stays what it is.
void InheritPageTables(const Plan* plan, PlanArea& area) {
    if (area.inherited != 0 || area.fd < 0 || area.shared != 0 || area.start == area.end) {
        return;
    }
    area.inherited = 1;
    if ((area.protection & PROT_READ) == 0 || (area.flags & kPlanSealed) != 0 ||
        Failed(Call(
            SYS_mprotect,
            static_cast<long>(area.start),
            static_cast<long>(area.end - area.start),
            PROT_READ | PROT_WRITE))) {
        return;  // clones find these pages by themselves, a little slower
    }
    auto* byte = reinterpret_cast<volatile char*>(area.start);
    const char same = *byte;
    *byte = same;
    Protect(plan, area.start, area.end - area.start, static_cast<long>(area.protection));
}

void AddToWorkingSet(Plan* plan, const PlanRange* added, uint64_t added_count) {
    auto* ranges = At<PlanRange>(plan, plan->working_set.offset);
    uint64_t count = plan->working_set.count;
    for (uint64_t i = 0; i < added_count && count < plan->working_set_room; ++i) {
        PlanRange range = added[i];
        const bool written = (range.start & 1) != 0;
        range.start &= ~1ULL;
        PlanArea* area = FindArea(plan, range.start);
        if (area == nullptr || range.end > area->end || range.end <= range.start) {
            continue;
        }
        if (written) {
            ranges[count++] = range;
        } else {
            InheritPageTables(plan, *area);
            Advise(range.start, range.end, 22 /* MADV_POPULATE_READ */);
        }
    }
    plan->working_set.count = count;
}

void SetWorkingSet(Plan* plan, const WorkingSetRequest& request) {
    if (request.append == 0) {
        plan->working_set.count = 0;
        plan->working_set_unread = 0;
    }
    AddToWorkingSet(plan, request.ranges, request.count);
}

// What is known from before; in place, since what is kept is never more than what was read.
void ReadWorkingSet(Plan* plan) {
    const uint64_t count = plan->working_set_unread;
    plan->working_set_unread = 0;
    AddToWorkingSet(plan, At<PlanRange>(plan, plan->working_set.offset), count);
}

// ---- a clone ----

struct ReceivedFds {
    int32_t count;
    int32_t fds[kRequestFdsMax];
};

void CloseAll(const ReceivedFds& received) {
    for (int32_t i = 0; i < received.count; ++i) {
        (void)Call(SYS_close, received.fds[i]);
    }
}

void DropPrivileges(const Plan* plan, bool other_user_namespace) {
    if (plan->uid == kNone) {
        return;
    }
    if (other_user_namespace) {
        DropBoundingSet();  // joining one fills it again
    }
    const long uid = plan->uid;
    const long gid = plan->gid;
    // Refused where the namespace's map forbids it; its processes have no groups to lose then.
    (void)Call(SYS_setgroups, 0, 0);
    // Where only one user could be mapped, there is no other one to become.
    constexpr long kInvalid = -22;
    if (const long result = Call(SYS_setresgid, gid, gid, gid); result != kInvalid) {
        Check(plan, result, "group");
    }
    Check(plan, Call(SYS_prctl, PR_SET_KEEPCAPS, 1), "keep capabilities");
    if (const long result = Call(SYS_setresuid, uid, uid, uid); result != kInvalid) {
        Check(plan, result, "user");
    }
    // Threads get the numbers that they had; for nothing else is there a capability from here on.
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[1].effective = 1U << (kCapabilityCheckpointRestore - 32);
    data[1].permitted = data[1].effective;
    Check(plan, Call(SYS_capset, Address(&header), Address(data)), "drop capabilities");
    (void)Call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    Check(plan, Call(SYS_prctl, PR_SET_KEEPCAPS, 0), "keep no capabilities");
}

void DropLastCapability(const Plan* plan) {
    if (plan->uid == kNone) {
        return;
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    Check(plan, Call(SYS_capset, Address(&header), Address(data)), "drop the last capability");
}

void AllowFiles(const Plan* plan, long ruleset, const char* path, uint64_t access) {
    const long fd = Call(SYS_openat, AT_FDCWD, Address(path), O_PATH | O_CLOEXEC, 0);
    if (Failed(fd)) {
        return;
    }
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = static_cast<int32_t>(fd);
    Check(
        plan,
        Call(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, Address(&rule), 0),
        "landlock rule");
    (void)Call(SYS_close, fd);
}

// The same rules as hearth-init's for a runtime that it starts (init/main.cc).
void RestrictFiles(const Plan* plan) {
    const long version = Call(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
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

    struct {
        uint64_t files;
        uint64_t network;
        uint64_t scoped;
    } attributes{all, 0, version >= 6 ? 3ULL : 0ULL};

    const long ruleset = Check(
        plan,
        Call(SYS_landlock_create_ruleset, Address(&attributes), version >= 6 ? 24 : 8, 0),
        "landlock");
    const uint64_t truncate = version >= 3 ? 1ULL << 14 : 0;
    AllowFiles(plan, ruleset, "/", kRead);
    AllowFiles(plan, ruleset, "/tmp", all);
    AllowFiles(plan, ruleset, "/dev", kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    AllowFiles(plan, ruleset, "/proc", kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    Check(plan, Call(SYS_landlock_restrict_self, ruleset, 0), "landlock restrict");
    (void)Call(SYS_close, ruleset);
}

// Sandbox, limits of resources, credentials: everything that needs rights, on no value of the
// image.
void Join(const Plan* plan, const RestorerRequest& request, const ReceivedFds& received) {
    uint32_t next = 0;
    const int32_t sandbox = request.has_sandbox != 0 ? received.fds[next++] : -1;
    const int32_t ready = request.has_ready != 0 ? received.fds[next++] : -1;
    if (request.adopted != 0) {
        next += request.cgroups;  // inherited from the parent
    }
    // While there is one thread; with several it would be migrated one by one.
    for (uint32_t i = 0; request.adopted == 0 && i < request.cgroups; ++i) {
        Check(plan, Call(SYS_write, received.fds[next++], Address("0"), 1), "join a cgroup", i);
    }
    if (sandbox >= 0 && request.namespaces != 0) {
        Check(plan, Call(SYS_setns, sandbox, request.namespaces), "join the sandbox");
    }
    if (request.new_session != 0) {
        Check(plan, Call(SYS_setsid), "session");
    }
    if (ready >= 0) {
        char byte = 0;
        const long count = Call(SYS_read, ready, Address(&byte), 1);
        if (count != 1) {
            Fail(plan, "wait for the sandbox's mounts", count);
        }
    }
    DropPrivileges(plan, (request.namespaces & CLONE_NEWUSER) != 0);
    if (request.restrict_files != 0) {
        RestrictFiles(plan);
    }
    // From here on as the function's user: the name is the image's choice.
    Check(
        plan,
        Call(SYS_chdir, Address(At<char>(plan, plan->working_directory))),
        "enter the working directory");
}

void WriteAll(const Plan* plan, long fd, const char* bytes, uint64_t count, const char* step) {
    uint64_t done = 0;
    while (done < count) {
        const long written =
            Call(SYS_write, fd, Address(bytes + done), static_cast<long>(count - done));
        if (written <= 0) {
            Fail(plan, step, written);
        }
        done += static_cast<uint64_t>(written);
    }
}

// O_NONBLOCK and the like; new descriptors have none.
void SetStatusFlags(const Plan* plan, long fd, uint32_t flags, bool fresh = true) {
    if ((flags & kStatusFlags) != 0 || !fresh) {
        Check(
            plan,
            Call(SYS_fcntl, fd, F_SETFL, static_cast<long>(flags & kStatusFlags)),
            "set a descriptor's flags");
    }
}

long MakePath(const Plan* plan, const PlanOpenFile& file) {
    const long fd = Check(
        plan,
        Call(
            SYS_openat,
            AT_FDCWD,
            Address(At<char>(plan, file.path)),
            static_cast<long>((file.flags & kOpenFlagsKept) | O_NOCTTY),
            0),
        "open a file again");
    if (file.offset != 0 && (file.flags & O_PATH) == 0) {
        (void)Call(SYS_lseek, fd, static_cast<long>(file.offset), SEEK_SET);
    }
    return fd;
}

long MakePipe(const Plan* plan, PlanOpenFile* files, PlanOpenFile& file) {
    int32_t ends[2];
    Check(plan, Call(SYS_pipe2, Address(ends), 0), "make a pipe");
    const bool writes = (file.flags & O_ACCMODE) == O_WRONLY;
    PlanOpenFile* partner = file.partner == kNone ? nullptr : &files[file.partner];
    const PlanOpenFile* reader = writes ? partner : &file;
    const uint32_t pipe_bytes_max = file.pipe_bytes_max;
    if (pipe_bytes_max != 0 && pipe_bytes_max != 65536) {
        (void)Call(SYS_fcntl, ends[1], F_SETPIPE_SZ, pipe_bytes_max);
    }
    if (reader != nullptr && reader->byte_count != 0) {
        WriteAll(
            plan,
            ends[kClosePipeWriteEnd],
            At<char>(plan, reader->bytes),
            reader->byte_count,
            "fill a pipe");
    }
    const int32_t own = writes ? ends[1] : ends[0];
    const int32_t other = writes ? ends[0] : ends[1];
    if (partner != nullptr) {
        SetStatusFlags(plan, other, partner->flags);
        partner->made = other;
    } else {
        (void)Call(SYS_close, other);
    }
    return own;
}

long MakeSocketPair(const Plan* plan, PlanOpenFile* files, PlanOpenFile& file) {
    int32_t ends[2];
    const long type =
        file.type == SOCK_DGRAM || file.type == SOCK_SEQPACKET ? file.type : SOCK_STREAM;
    Check(plan, Call(SYS_socketpair, AF_UNIX, type, 0, Address(ends)), "make a pair of sockets");
    PlanOpenFile* partner = file.partner == kNone ? nullptr : &files[file.partner];
    if (file.byte_count != 0) {
        WriteAll(
            plan, ends[1], At<char>(plan, file.bytes), file.byte_count, "fill a pair of sockets");
    }
    if (partner != nullptr) {
        if (partner->byte_count != 0) {
            WriteAll(
                plan,
                ends[0],
                At<char>(plan, partner->bytes),
                partner->byte_count,
                "fill a pair of sockets");
        }
        SetStatusFlags(plan, ends[1], partner->flags);
        partner->made = ends[1];
    } else {
        (void)Call(SYS_close, ends[1]);
    }
    return ends[0];
}

void SetOption(const Plan* plan, long fd, int level, int option) {
    const int one = 1;
    Check(
        plan,
        Call(SYS_setsockopt, fd, level, option, Address(&one), sizeof(one)),
        "set a socket's option",
        option);
}

long MakeFreshSocket(const Plan* plan, const PlanOpenFile& file) {
    const long fd = Check(
        plan,
        Call(SYS_socket, file.domain, file.type & 0xf, file.protocol),
        "make a socket",
        file.domain);
    // The order of image.h's SocketOption.
    if ((file.socket_options & 1) != 0) {
        SetOption(plan, fd, SOL_SOCKET, SO_REUSEADDR);
    }
    if ((file.socket_options & 2) != 0) {
        SetOption(plan, fd, SOL_SOCKET, SO_REUSEPORT);
    }
    if ((file.socket_options & 4) != 0) {
        SetOption(plan, fd, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */);
    }
    if ((file.socket_options & 8) != 0) {
        SetOption(plan, fd, IPPROTO_TCP, TCP_NODELAY);
    }
    if ((file.socket_options & 16) != 0) {
        SetOption(plan, fd, SOL_SOCKET, SO_KEEPALIVE);
    }
    if ((file.socket_options & 32) != 0) {
        SetOption(plan, fd, SOL_SOCKET, SO_BROADCAST);
    }
    if (file.address_bytes != 0) {
        Check(
            plan,
            Call(SYS_bind, fd, Address(At<char>(plan, file.address)), file.address_bytes),
            "bind a socket");
    }
    if (file.backlog != 0) {
        Check(plan, Call(SYS_listen, fd, file.backlog), "listen on a socket");
    }
    return fd;
}

long MakeEventFd(const Plan* plan, const PlanOpenFile& file) {
    const bool small = file.event_count <= UINT32_MAX;
    const long fd = Check(
        plan,
        Call(
            SYS_eventfd2,
            small ? static_cast<long>(file.event_count) : 0,
            file.event_semaphore != 0 ? EFD_SEMAPHORE : 0),
        "make an eventfd");
    if (!small) {
        WriteAll(
            plan,
            fd,
            reinterpret_cast<const char*>(&file.event_count),
            sizeof(file.event_count),
            "set an eventfd");
    }
    return fd;
}

long MakeTimerFd(const Plan* plan, const PlanOpenFile& file) {
    const long fd = Check(plan, Call(SYS_timerfd_create, file.timer_clock, 0), "make a timerfd");
    uint64_t value_ns = file.timer_value_ns;
    if (file.timer_ticks != 0 &&
        Failed(Call(SYS_ioctl, fd, kTimerSetTicks, Address(&file.timer_ticks)))) {
        value_ns = 1;  // a kernel without the call: it fires again at once
    }
    if (value_ns == 0 && file.timer_interval_ns == 0) {
        return fd;
    }

    struct {
        int64_t interval_s, interval_ns, value_s, value_ns;
    } setting{
        static_cast<int64_t>(file.timer_interval_ns / 1'000'000'000),
        static_cast<int64_t>(file.timer_interval_ns % 1'000'000'000),
        static_cast<int64_t>(value_ns / 1'000'000'000),
        static_cast<int64_t>(value_ns % 1'000'000'000)};

    Check(plan, Call(SYS_timerfd_settime, fd, 0, Address(&setting), 0), "set a timerfd");
    return fd;
}

void MakeDescriptors(
    const Plan* plan, const RestorerRequest& request, const ReceivedFds& received) {
    auto* files = At<PlanOpenFile>(plan, plan->open_files.offset);
    const uint32_t first_stand_in =
        (request.has_sandbox != 0) + (request.has_ready != 0) + request.cgroups;
    for (uint64_t i = 0; i < plan->open_files.count; ++i) {
        PlanOpenFile& file = files[i];
        if (file.made >= 0) {
            continue;  // with its partner
        }
        long fd = -1;
        switch (file.kind) {
            case kPlanPath:
            case kPlanDevice:
                fd = MakePath(plan, file);
                break;
            case kPlanStandIn:
                for (uint32_t k = 0; k < request.stand_ins; ++k) {
                    if (request.stand_in_ids[k] == file.stand_in) {
                        fd = received.fds[first_stand_in + k];
                    }
                }
                if (fd < 0) {
                    Fail(plan, "a stand-in is missing", 9 /* EBADF */, file.stand_in);
                }
                break;
            case kPlanPipe:
                fd = MakePipe(plan, files, file);
                break;
            case kPlanSocketPair:
            case kPlanDeadSocket:
                fd = MakeSocketPair(plan, files, file);
                break;
            case kPlanFreshSocket:
                fd = MakeFreshSocket(plan, file);
                break;
            case kPlanEventFd:
                fd = MakeEventFd(plan, file);
                break;
            case kPlanTimerFd:
                fd = MakeTimerFd(plan, file);
                break;
            case kPlanEpoll:
                fd = Check(plan, Call(SYS_epoll_create1, 0), "make an epoll");
                break;
            default:
                Fail(plan, "an unknown kind of descriptor", 22 /* EINVAL */, file.kind);
        }
        if (file.kind > kPlanDevice) {
            SetStatusFlags(plan, fd, file.flags, file.kind != kPlanStandIn);
        }
        file.made = static_cast<int32_t>(fd);
    }
    for (uint64_t i = 0; i < plan->open_files.count; ++i) {
        const auto* descriptors = At<PlanDescriptor>(plan, files[i].descriptors.offset);
        for (uint64_t k = 0; k < files[i].descriptors.count; ++k) {
            Check(
                plan,
                Call(
                    SYS_dup3,
                    files[i].made,
                    descriptors[k].number,
                    descriptors[k].close_on_exec != 0 ? O_CLOEXEC : 0),
                "number a descriptor",
                descriptors[k].number);
        }
    }
    // When all members are there.
    for (uint64_t i = 0; i < plan->open_files.count; ++i) {
        const auto* members = At<PlanEpollMember>(plan, files[i].members.offset);
        for (uint64_t k = 0; k < files[i].members.count; ++k) {
            struct __attribute__((packed)) {
                uint32_t events;
                uint64_t data;
            } event{members[k].events, members[k].data};

            Check(
                plan,
                Call(
                    SYS_epoll_ctl,
                    files[i].made,
                    EPOLL_CTL_ADD,
                    members[k].number,
                    Address(&event)),
                "fill an epoll",
                members[k].number);
        }
    }
    // Numbers that were kept busy, and what was made above them; not yet the control socket.
    const auto* numbers = At<int32_t>(plan, plan->numbers.offset);
    int32_t next = 0;
    for (uint64_t i = 0; i < plan->numbers.count; ++i) {
        if (numbers[i] > next) {
            (void)Call(SYS_close_range, next, numbers[i] - 1, 0);
        }
        next = numbers[i] + 1;
    }
    if (plan->descriptor_base > next) {
        (void)Call(SYS_close_range, next, plan->descriptor_base - 1, 0);
    }
    Check(plan, Call(SYS_close_range, plan->descriptor_base + 1, ~0U, 0), "close the rest");
}

void SetLimits(const Plan* plan, const RestorerRequest& request) {
    for (uint32_t i = 0; i < request.limit_count && i < kLimitsMax; ++i) {
        Check(
            plan,
            Call(SYS_prlimit64, 0, request.limits[i].resource, Address(&request.limits[i].soft), 0),
            "set a limit",
            request.limits[i].resource);
    }
}

// What belongs to one thread, but its registers.
void DressThread(const Plan* plan, const PlanThread& thread) {
    if (thread.robust_list != 0) {
        Check(
            plan,
            Call(
                SYS_set_robust_list,
                static_cast<long>(thread.robust_list),
                static_cast<long>(thread.robust_list_bytes)),
            "robust list");
    }
    if (thread.rseq_address != 0) {
        Check(
            plan,
            Call(
                SYS_rseq,
                static_cast<long>(thread.rseq_address),
                thread.rseq_bytes,
                0,
                thread.rseq_signature),
            "restartable sequences");
    }
    if (thread.gs_base != 0) {
        Check(
            plan,
            Call(SYS_arch_prctl, ARCH_SET_GS, static_cast<long>(thread.gs_base)),
            "gs register");
    }
    (void)Call(SYS_prctl, PR_SET_NAME, Address(thread.name), 0, 0, 0);
    DropLastCapability(plan);
}

[[noreturn]] void PassGate(
    uint64_t gate, uint64_t kept, uint64_t frame, uint64_t from, uint64_t n) {
    register uint64_t r12 asm("r12") = kept;
    register uint64_t r13 asm("r13") = frame;
    register uint64_t r14 asm("r14") = from;
    register uint64_t r15 asm("r15") = n;
    asm volatile("jmp *%0" ::"a"(gate), "r"(r12), "r"(r13), "r"(r14), "r"(r15) : "memory");
    __builtin_unreachable();
}

}  // namespace

extern "C" {

[[noreturn]] HIDDEN void RestoredThread(const Plan* plan, const PlanThread* thread) {
    DressThread(plan, *thread);
    PassGate(plan->gate_thread, plan->kept_data, thread->frame, 0, 0);
}
}

namespace {

struct CloneArguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

// A thread that begins in RestoredThread; its registers but rsp are ours after the call.
long StartThread(const Plan* plan, const PlanThread& thread, const CloneArguments& arguments) {
    long result;
    register const Plan* r12 asm("r12") = plan;
    register const PlanThread* r13 asm("r13") = &thread;
    asm volatile(
        "syscall\n"
        "test %%rax, %%rax\n"
        "jnz 1f\n"
        "xor %%ebp, %%ebp\n"
        "mov %%r12, %%rdi\n"
        "mov %%r13, %%rsi\n"
        "call RestoredThread\n"
        "ud2\n"
        "1:\n"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(&arguments), "S"(sizeof(arguments)), "r"(r12), "r"(r13)
        : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
    return result;
}

void StartThreads(const Plan* plan) {
    const auto* threads = At<PlanThread>(plan, plan->threads.offset);
    auto* kept = reinterpret_cast<KeptData*>(plan->kept_data);
    const auto all = static_cast<uint32_t>(plan->threads.count - 1);
    kept->wanted = all;
    for (uint64_t i = 1; i < plan->threads.count; ++i) {
        const PlanThread& thread = threads[i];
        CloneArguments arguments{};
        arguments.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                          CLONE_SYSVSEM | CLONE_SETTLS;
        if (thread.clear_child_tid != 0) {
            arguments.flags |= CLONE_CHILD_CLEARTID;
            arguments.child_tid = thread.clear_child_tid;
        }
        arguments.stack = thread.stack_top - kThreadStackBytes;
        arguments.stack_size = kThreadStackBytes;
        arguments.tls = thread.fs_base;
        arguments.set_tid = reinterpret_cast<uint64_t>(&thread.tid);
        arguments.set_tid_size = 1;
        Check(plan, StartThread(plan, thread, arguments), "start a thread", thread.tid);
    }
    for (;;) {
        const uint32_t ready = __atomic_load_n(&kept->ready, __ATOMIC_ACQUIRE);
        if (ready >= all) {
            return;
        }
        (void)Call(SYS_futex, Address(&kept->ready), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, ready, 0);
    }
}

void InstallFilter(const Plan* plan) {
    if (plan->filter_instructions == 0) {
        return;
    }
    sock_fprog program{};
    program.len = static_cast<unsigned short>(plan->filter_instructions);
    program.filter = At<sock_filter>(plan, plan->filter);
    const long result =
        Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, Address(&program));
    if (result != 0) {
        Fail(plan, "install the filter", result);
    }
}

// A function of the image, on a stack of ours; nothing of the image is trusted with more than what
// it will have a moment later anyway.
void CallImage(uint64_t function, uint64_t a, uint64_t b, uint64_t stack_top) {
    asm volatile(
        "mov %%rsp, %%rbx\n"
        "mov %%rcx, %%rsp\n"
        "call *%%rax\n"
        "mov %%rbx, %%rsp\n"
        : "+a"(function), "+D"(a), "+S"(b), "+c"(stack_top)
        :
        : "rbx",
          "rdx",
          "r8",
          "r9",
          "r10",
          "r11",
          "r12",
          "r13",
          "r14",
          "r15",
          "memory",
          "cc",
          "xmm0",
          "xmm1",
          "xmm2",
          "xmm3",
          "xmm4",
          "xmm5",
          "xmm6",
          "xmm7",
          "xmm8",
          "xmm9",
          "xmm10",
          "xmm11",
          "xmm12",
          "xmm13",
          "xmm14",
          "xmm15");
}

void CallForEntropy(const Plan* plan) {
    const auto* calls = At<PlanEntropyCall>(plan, plan->entropy_calls.offset);
    for (uint64_t i = 0; i < plan->entropy_calls.count; ++i) {
        if (calls[i].kind == 0) {
            CallImage(calls[i].address, 0, 0, plan->entropy_stack_top);
            continue;
        }
        alignas(16) char seed[32];
        if (Call(SYS_getrandom, Address(seed), sizeof(seed), 0) == sizeof(seed)) {
            CallImage(
                calls[i].address,
                reinterpret_cast<uint64_t>(seed),
                sizeof(seed),
                plan->entropy_stack_top);
        }
        memset(seed, 0, sizeof(seed));
    }
}

// The template, the clone's parent and the clone work one after the other. On one processor each
// goes on where the one before it stops, with warm caches; else the kernel looks for an idle
// processor for each, which is asleep, and wakes it. In a clone it ends when it begins.
void StayOnProcessor(Plan* plan) {
    plan->processors_bytes = 0;
    if (plan->working_set_unread != 0) {
        return;  // it has more to do after this clone, which should not have to wait for that
    }
    uint32_t processor = 0;
    const long bytes =
        Call(SYS_sched_getaffinity, 0, sizeof(plan->processors), Address(plan->processors));
    plan->processors_bytes = Failed(bytes) ? 0 : static_cast<uint64_t>(bytes);
    if (Failed(Call(SYS_getcpu, Address(&processor), 0)) ||
        processor >= plan->processors_bytes * 8) {
        plan->processors_bytes = 0;
        return;
    }
    uint64_t here[sizeof(plan->processors) / sizeof(uint64_t)] = {};
    here[processor / 64] = 1ULL << (processor % 64);
    (void)Call(SYS_sched_setaffinity, 0, static_cast<long>(plan->processors_bytes), Address(here));
}

void LeaveProcessor(const Plan* plan) {
    if (plan->processors_bytes != 0) {
        (void)Call(
            SYS_sched_setaffinity,
            0,
            static_cast<long>(plan->processors_bytes),
            Address(plan->processors));
    }
}

[[noreturn]] void RunClone(
    Plan* plan, const RestorerRequest& request, const ReceivedFds& received, uint64_t requested) {
    RestorerReply reply;
    FillReply(reply, plan, kReplyRestored);
    reply.times_ns[kTimeRequested] = requested;
    reply.times_ns[kTimeStarted] = Now();
    if (request.adopted != 0) {
        LeaveProcessor(plan);
    }
    Join(plan, request, received);
    reply.times_ns[kTimeJoined] = Now();
    MakeDescriptors(plan, request, received);
    SetLimits(plan, request);
    reply.times_ns[kTimeDescriptors] = Now();
    const auto* advice = At<PlanRange>(plan, plan->clone_advice.offset);
    for (uint64_t i = 0; i < plan->clone_advice.count; ++i) {
        Advise(advice[i].start, advice[i].end, MADV_DONTFORK);
    }
    const auto* locked = At<PlanRange>(plan, plan->locked.offset);
    for (uint64_t i = 0; i < plan->locked.count; ++i) {
        // Beyond the limit of locked memory it stays unlocked, as it may.
        (void)Call(
            SYS_mlock2,
            static_cast<long>(locked[i].start),
            static_cast<long>(locked[i].end - locked[i].start),
            MLOCK_ONFAULT);
    }
    if (request.populate != 0) {
        const auto* ranges = At<PlanRange>(plan, plan->working_set.offset);
        for (uint64_t i = 0; i < plan->working_set.count; ++i) {
            Advise(ranges[i].start, ranges[i].end, 23 /* MADV_POPULATE_WRITE */);
        }
    }
    StartThreads(plan);
    reply.times_ns[kTimeThreads] = Now();
    const auto& leader = *At<PlanThread>(plan, plan->threads.offset);
    Check(
        plan,
        Call(SYS_set_tid_address, static_cast<long>(leader.clear_child_tid)),
        "address of the thread's number");
    Check(
        plan, Call(SYS_arch_prctl, ARCH_SET_FS, static_cast<long>(leader.fs_base)), "fs register");
    DressThread(plan, leader);
    // A change of user has cleared it; the function could read its own /proc before.
    Check(plan, Call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable");
    InstallFilter(plan);
    reply.times_ns[kTimeRestored] = Now();
    Send(plan, reply, -1);
    (void)Call(SYS_close, plan->control_fd);
    CallForEntropy(plan);
    PassGate(
        plan->gate_leader,
        plan->kept_data,
        leader.frame,
        plan->zone_start,
        plan->kept_start - plan->zone_start);
}

// ---- the template's service ----

// How a clone is made, in memory that the template shares with the clone's parent.
struct Birth {
    Plan* plan;
    const RestorerRequest* request;
    const ReceivedFds* received;
    uint64_t requested;
    const char* step;
    long pid;
    int32_t pidfd;
};

void Bear(Birth& birth) {
    Plan* plan = birth.plan;
    const auto& leader = *At<PlanThread>(plan, plan->threads.offset);
    CloneArguments arguments{};
    arguments.flags = CLONE_PIDFD;
    if (birth.request->adopted == 0) {
        arguments.flags |= CLONE_PARENT;  // the engine, not the template
    } else {
        arguments.exit_signal = 17;  // SIGCHLD
    }
    arguments.pidfd = reinterpret_cast<uint64_t>(&birth.pidfd);
    arguments.set_tid = reinterpret_cast<uint64_t>(&leader.tid);
    arguments.set_tid_size = 1;
    const long pid = Call(SYS_clone3, Address(&arguments), sizeof(arguments));
    if (pid == 0) {
        RunClone(plan, *birth.request, *birth.received, birth.requested);
    }
    birth.pid = pid;
}

}  // namespace

extern "C" {

[[noreturn]] HIDDEN void RunParent(Birth* birth) {
    // The kernel charges what a fork allocates (page tables above all, which stay as long as the
    // clone) to the group of who forks: that has to be the clone's group, not the template's.
    const RestorerRequest& request = *birth->request;
    const int32_t* fds =
        birth->received->fds + (request.has_sandbox != 0) + (request.has_ready != 0);
    for (uint32_t i = 0; i < request.cgroups && birth->pid == 0; ++i) {
        const long joined = Call(SYS_write, fds[i], Address("0"), 1);
        if (Failed(joined)) {
            birth->step = "join a cgroup";
            birth->pid = joined;
        }
    }
    if (birth->pid == 0) {
        Bear(*birth);
    }
    for (;;) {
        (void)Call(SYS_exit, 0);
    }
}
}

namespace {

// A process inside the sandbox's pid namespace that makes the clone and ends: the sandbox's pid 1
// inherits the clone and supervises it as if it had started it. It shares our memory and
// descriptors, and we stand still until it has ended.
void BearByParent(Birth& birth) {
    // Out of the way of the image's numbers: its threads come later and are many at most.
    const auto* threads = At<PlanThread>(birth.plan, birth.plan->threads.offset);
    int32_t tid = 2;
    for (uint64_t i = 0; i < birth.plan->threads.count; ++i) {
        if (threads[i].tid >= tid) {
            tid = threads[i].tid + 1;
        }
    }
    CloneArguments arguments{};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS;
    arguments.stack = birth.plan->parent_stack_top - kParentStackBytes;
    arguments.stack_size = kParentStackBytes;
    arguments.set_tid = reinterpret_cast<uint64_t>(&tid);
    arguments.set_tid_size = 1;
    long result;
    register Birth* r12 asm("r12") = &birth;
    asm volatile(
        "syscall\n"
        "test %%rax, %%rax\n"
        "jnz 1f\n"
        "xor %%ebp, %%ebp\n"
        "mov %%r12, %%rdi\n"
        "call RunParent\n"
        "ud2\n"
        "1:\n"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(&arguments), "S"(sizeof(arguments)), "r"(r12)
        : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
    if (Failed(result)) {
        birth.pid = result;
        return;
    }
    while (Call(SYS_wait4, result, 0, 0x40000000 /* __WALL */, 0) == kInterrupted) {
    }
    if (birth.pid == 0) {
        birth.pid = -3;  // ESRCH: it was killed before it could
    }
}

void Clone(Plan* plan, const RestorerRequest& request, const ReceivedFds& received) {
    const uint64_t requested = Now();
    const uint64_t fds_needed = static_cast<uint64_t>(request.has_sandbox != 0) +
                                (request.has_ready != 0) + request.cgroups + request.stand_ins;
    if (fds_needed != static_cast<uint64_t>(received.count)) {
        SendFailure(plan, "count descriptors", 22 /* EINVAL */, received.count);
        return;
    }
    // For the child; set_tid counts in the namespace it is born into.
    const long joined = Call(
        SYS_setns,
        request.has_sandbox != 0 ? received.fds[0] : plan->pid_namespace_fd,
        CLONE_NEWPID);
    if (Failed(joined)) {
        SendFailure(plan, "enter the sandbox's pid namespace", joined, 0);
        return;
    }
    Birth birth{plan, &request, &received, requested, "clone", 0, -1};
    if (request.adopted != 0) {
        StayOnProcessor(plan);
        BearByParent(birth);
        LeaveProcessor(plan);
    } else {
        Bear(birth);
    }
    if (Failed(birth.pid)) {
        SendFailure(plan, birth.step, birth.pid, 0);
        return;
    }
    // Its parent in the sandbox learns another number than ours.
    const long pid = request.adopted != 0 ? 0 : birth.pid;
    const int32_t pidfd = birth.pidfd;
    RestorerReply reply;
    FillReply(reply, plan, kReplyCloned);
    reply.pid = static_cast<int32_t>(pid);
    reply.times_ns[kTimeRequested] = requested;
    Send(plan, reply, pidfd);
    (void)Call(SYS_close, pidfd);
}

[[noreturn]] void Serve(Plan* plan) {
    union {
        RestorerRequest clone;
        WorkingSetRequest working_set;
    } request;

    ReceivedFds received;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kRequestFdsMax)];
    for (;;) {
        iovec part{&request, sizeof(request)};
        msghdr message;
        memset(&message, 0, sizeof(message));
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        const long count = Call(SYS_recvmsg, plan->control_fd, Address(&message), MSG_CMSG_CLOEXEC);
        if (count == kInterrupted) {
            continue;
        }
        if (count <= 0) {
            (void)Call(SYS_exit_group, 0);  // the engine has let go
        }
        received.count = 0;
        if (message.msg_controllen >= sizeof(cmsghdr)) {
            const auto* head = reinterpret_cast<const cmsghdr*>(control);
            if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
                received.count = static_cast<int32_t>((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(received.fds, CMSG_DATA(head), received.count * sizeof(int));
            }
        }
        if (request.clone.magic == kRestorerMagic && request.clone.kind == kRequestClone &&
            count == sizeof(RestorerRequest)) {
            plan->serial = request.clone.serial;
            if (request.clone.populate != 0) {
                ReadWorkingSet(plan);
            }
            Clone(plan, request.clone, received);
            // Whoever waits for a clone waits for nothing else.
            ReadWorkingSet(plan);
        } else if (
            request.clone.magic == kRestorerMagic && request.clone.kind == kRequestWorkingSet &&
            count == sizeof(WorkingSetRequest) && request.working_set.count <= kWorkingSetChunk) {
            plan->serial = request.working_set.serial;
            SetWorkingSet(plan, request.working_set);
            RestorerReply reply;
            FillReply(reply, plan, kReplyWorkingSet);
            Send(plan, reply, -1);
        } else {
            plan->serial = 0;
            Fail(plan, "an unknown request", 22 /* EINVAL */, count);
        }
        CloseAll(received);
    }
}

}  // namespace

extern "C" {

// On the template's own stack; only the zone will stay of what is mapped now.
[[noreturn]] HIDDEN void RestorerMain(Plan* plan) {
    const uint64_t all = ~0ULL;
    (void)Call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, Address(&all), 0, 8);
    if (plan->rseq_address != 0) {
        Check(
            plan,
            Call(
                SYS_rseq,
                static_cast<long>(plan->rseq_address),
                plan->rseq_bytes,
                1 /* RSEQ_FLAG_UNREGISTER */,
                plan->rseq_signature),
            "let go of restartable sequences");
    }
    (void)Call(SYS_prctl, PR_SET_NAME, Address("hearth-template"), 0, 0, 0);
    (void)Call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)Call(SYS_personality, static_cast<long>(plan->personality));
    (void)Call(SYS_umask, plan->umask);
    UnmapEverythingElse(plan);
    MapAreas(plan);
    FillPages(plan);
    AdviseAreas(plan);
    PlaceSpecials(plan);
    SetMemoryMap(plan);
    SetSignalActions(plan);
    Seal(plan);
    ArrangeDescriptors(plan);
    if (plan->uid != kNone) {
        DropBoundingSet();
    }
    if (plan->no_new_privs != 0) {
        Check(plan, Call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    }
    RestorerReply reply;
    FillReply(reply, plan, kReplyServing);
    Send(plan, reply, -1);
    Serve(plan);
}
}

}  // namespace hearth::snapshot
