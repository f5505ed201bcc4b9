#include "sandbox/snapshot/dumper.h"

#include "base/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "sandbox/snapshot/elf.h"
#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/memory_scan.h"
#include "sandbox/snapshot/proc.h"
#include "sandbox/snapshot/refusal.h"
#include "sandbox/snapshot/tracee.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hearth::snapshot {
namespace {

constexpr uint64_t kScratchBytes = 4096;
constexpr int kGetTidAddress = 40;  // PR_GET_TID_ADDRESS
constexpr int kGetRseqConfiguration = 0x420f;
constexpr size_t kSmapsBytesMax = 256 << 20;
constexpr size_t kXcr0Offset = 464;
constexpr size_t kXstateBvOffset = 512;

struct RseqConfiguration {
    uint64_t address = 0;
    uint32_t bytes = 0;
    uint32_t signature = 0;
    uint32_t flags = 0;
    uint32_t pad = 0;
};

// The kernel's struct rseq_cs: a piece of code that must be left when the thread is moved.
struct RseqSection {
    uint32_t version = 0, flags = 0;
    uint64_t start = 0, bytes = 0, abort = 0;
};

struct KernelSigaction {
    uint64_t handler = 0, flags = 0, restorer = 0, mask = 0;
};

uint64_t NowNs(clockid_t clock = CLOCK_MONOTONIC) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

Result<std::string> ReadLink(const std::string& path) {
    std::string target(4'200, '\0');
    const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
    if (got < 0) {
        return errors::System(path, errno);
    }
    target.resize(static_cast<size_t>(got));
    return target;
}

class Dumper final {
  public:
    explicit Dumper(const DumpRequest& request) : request_(request) {}

    Result<DumpReport> Run() {
        HEARTH_TRY(image_.machine, CurrentMachine());
        const std::string root_path = fmt::format("/proc/{}/root", request_.pid);
        HEARTH_TRY(root_, os::Open(AT_FDCWD, root_path, O_PATH | O_DIRECTORY));
        HEARTH_TRY(PageBuffer pages, PageBuffer::Make(ReserveBytes()));
        const uint64_t frozen_at = NowNs();
        {
            HEARTH_TRY(Tracee tracee, Tracee::Seize(request_.pid));
            HEARTH_RETURN_IF_ERROR(ReadProcess(tracee));
            HEARTH_TRY(const ListedAreas listed, ReadAreas(tracee));
            HEARTH_RETURN_IF_ERROR(ReadThreads(tracee));
            HEARTH_TRY(
                ScannedDescriptors scanned,
                ScanDescriptors(request_.pid, root_.get(), request_.stand_ins));
            image_.open_files = std::move(scanned.open_files);
            image_.descriptors = std::move(scanned.descriptors);
            HEARTH_RETURN_IF_ERROR(IdentifyFiles(listed));
            const uint64_t memory_at = NowNs();
            HEARTH_TRY(
                ScannedMemory memory, ScanMemory(tracee, listed, request_.memory_bytes_max, pages));
            report_.memory_ns = NowNs() - memory_at;
            image_.runs = std::move(memory.runs);
            image_.guards = std::move(memory.guards);
            report_.zero_pages = memory.zero_pages;
            image_.areas = std::move(areas_);
            // All that could be refused has been looked at; Validate has the last word, while the
            // process could still go on.
            HEARTH_TRY(head_, Encode(image_));
            if (request_.kill) {
                tracee.Kill();
            } else {
                UndoScratch(tracee);
                tracee.Release();
            }
        }
        report_.frozen_ns = NowNs() - frozen_at;
        HEARTH_RETURN_IF_ERROR(Write(pages));
        return report_;
    }

  private:
    uint64_t ReserveBytes() const {
        // Room for the last piece read beyond the limit.
        return request_.memory_bytes_max + (4ULL << 20);
    }

    Result<std::string> ReadProc(const std::string& name, size_t bytes_max = 1 << 20) const {
        return os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/{}", request_.pid, name), bytes_max);
    }

    // ---- what belongs to the process as a whole ----

    Status ReadProcess(Tracee& tracee) {
        HEARTH_RETURN_IF_ERROR(RequireAlone(tracee));
        HEARTH_TRY(const std::string root, ReadLink(fmt::format("/proc/{}/root", request_.pid)));
        if (root != "/") {
            return NotSnapshottable("it has changed its root directory");
        }
        HEARTH_TRY(const std::string status, ReadProc("status"));
        HEARTH_TRY(const std::string stat, ReadProc("stat"));
        HEARTH_RETURN_IF_ERROR(RequireNoOrphans(status));
        HEARTH_RETURN_IF_ERROR(RequireEmptyDirectories());
        ProcessFacts& process = image_.process;
        const auto inner = [&](const char* field) {
            const auto ids = ParseIds(FindField(status, field).value_or(""));
            return ids.empty() ? -1 : ids.back();
        };
        process.pid = inner("NSpid");
        process.process_group = std::max(inner("NSpgid"), 0);
        process.session = std::max(inner("NSsid"), 0);
        process.umask = static_cast<uint32_t>(
            ParseNumber(FindField(status, "Umask").value_or(""), 8).value_or(022));
        HEARTH_TRY(process.working_directory, ReadLink(fmt::format("/proc/{}/cwd", request_.pid)));
        if (process.working_directory.ends_with(" (deleted)")) {
            return NotSnapshottable("its working directory is deleted");
        }
        HEARTH_TRY(const std::string personality, ReadProc("personality"));
        process.personality =
            ParseNumber(std::string_view(personality).substr(0, 8), 16).value_or(0);
        process.monotonic_ns = NowNs(CLOCK_MONOTONIC);
        process.boottime_ns = NowNs(CLOCK_BOOTTIME);
        process.tmp_layer = request_.tmp_layer;
        process.shm_layer = request_.shm_layer;
        const auto timers = ReadProc("timers");
        if (timers.ok() && !timers->empty()) {
            return NotSnapshottable("it has POSIX timers");
        }
        return ReadMemoryMapFacts(stat);
    }

    // One process: no children (dead ones included), nothing that threads do not share.
    Status RequireAlone(Tracee& tracee) const {
        std::optional<std::string> credentials;
        for (const Tracee::StoppedThread& thread : tracee.threads()) {
            const std::string folder = fmt::format("task/{}/", thread.tid);
            HEARTH_TRY(const std::string children, ReadProc(folder + "children"));
            if (!children.empty()) {
                return NotSnapshottable("it has child processes");
            }
            HEARTH_TRY(const std::string status, ReadProc(folder + "status"));
            for (const char* pending : {"SigPnd", "ShdPnd"}) {
                const auto set = ParseNumber(FindField(status, pending).value_or(""), 16);
                if (set.value_or(1) != 0) {
                    return NotQuiet("a signal is on its way");
                }
            }
            std::string own;
            for (const char* name :
                 {"Uid",
                  "Gid",
                  "Groups",
                  "CapInh",
                  "CapPrm",
                  "CapEff",
                  "CapBnd",
                  "CapAmb",
                  "NoNewPrivs",
                  "Seccomp",
                  "Seccomp_filters"}) {
                own += FindField(status, name).value_or("") + "\n";
            }
            if (credentials.value_or(own) != own) {
                return NotSnapshottable("its threads have different rights");
            }
            credentials = own;
            for (const int what : {KCMP_FILES, KCMP_FS, KCMP_SIGHAND}) {
                if (thread.tid != request_.pid &&
                    ::syscall(SYS_kcmp, request_.pid, thread.tid, what, 0, 0) != 0) {
                    return NotSnapshottable("its threads do not share files or directories");
                }
            }
        }
        return {};
    }

    // Children of its children come to the first process of its pid namespace when their parents
    // end; that one has no other children. Nothing to ask where its parent is outside.
    Status RequireNoOrphans(const std::string& status) const {
        const auto parent = ParseNumber(FindField(status, "PPid").value_or(""));
        struct stat own{}, other{};
        if (!parent || *parent == 0 ||
            ::stat(fmt::format("/proc/{}/ns/pid", request_.pid).c_str(), &own) != 0 ||
            ::stat(fmt::format("/proc/{}/ns/pid", *parent).c_str(), &other) != 0 ||
            own.st_ino != other.st_ino || own.st_dev != other.st_dev) {
            return {};
        }
        const auto parent_status = os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/status", *parent));
        const auto ids = ParseIds(
            parent_status.ok() ? FindField(*parent_status, "NSpid").value_or("") : std::string());
        if (ids.size() < 2 || ids.back() != 1) {
            return {};
        }
        HEARTH_TRY(
            const std::string children,
            os::ReadFile(AT_FDCWD, fmt::format("/proc/{0}/task/{0}/children", *parent)));
        for (const int32_t child : ParseIds(children)) {
            if (child == request_.pid) {
                continue;
            }
            const auto stat = os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/stat", child));
            if (stat.ok() && ParseStat(*stat)[3] == "Z") {
                return NotQuiet("a process of its environment is ending");
            }
            return NotSnapshottable("other processes run in its environment");
        }
        return {};
    }

    Status ReadMemoryMapFacts(const std::string& stat) {
        const std::vector<std::string> fields = ParseStat(stat);
        MemoryMapFacts& memory = image_.memory;
        const std::array<std::pair<size_t, uint64_t*>, 10> wanted = {{
            {26, &memory.start_code},
            {27, &memory.end_code},
            {28, &memory.start_stack},
            {45, &memory.start_data},
            {46, &memory.end_data},
            {47, &memory.start_brk},
            {48, &memory.arg_start},
            {49, &memory.arg_end},
            {50, &memory.env_start},
            {51, &memory.env_end},
        }};
        for (const auto& [index, into] : wanted) {
            const auto number = ParseNumber(fields[index]);
            if (!number) {
                return errors::Malformed(fmt::format("/proc: field {} of stat", index));
            }
            *into = *number;
        }
        HEARTH_TRY(const std::string auxv, ReadProc("auxv", 4096));
        for (size_t i = 0; i + 16 <= auxv.size(); i += 16) {
            std::array<uint64_t, 2> pair{};
            std::memcpy(pair.data(), auxv.data() + i, sizeof(pair));
            memory.auxv.insert(memory.auxv.end(), pair.begin(), pair.end());
            if (pair[0] == 0) {
                break;
            }
        }
        return {};
    }

    Result<ListedAreas> ReadAreas(Tracee& tracee) {
        HEARTH_TRY(const std::string smaps, ReadProc("smaps", kSmapsBytesMax));
        HEARTH_TRY(const auto entries, ParseSmaps(smaps));
        HEARTH_TRY(ListedAreas listed, ListAreas(entries));
        const auto vdso = std::ranges::find(listed.areas, AreaKind::kVdso, &Area::kind);
        const std::string_view own = OwnVdso();
        if (vdso == listed.areas.end() || vdso->end - vdso->start != own.size()) {
            return NotSnapshottable("it has no vdso, or another one");
        }
        std::string theirs(own.size(), '\0');
        HEARTH_RETURN_IF_ERROR(tracee.Read(vdso->start, theirs.data(), theirs.size()));
        if (theirs != own) {
            return NotSnapshottable("it has changed its vdso");
        }
        const size_t call = own.find("\x0f\x05");
        if (call == std::string_view::npos) {
            return NotSnapshottable("the vdso has no system call");
        }
        tracee.SetSyscallAddress(vdso->start + call);
        areas_ = listed.areas;
        return listed;
    }

    Status RequireEmptyDirectories() const {
        for (const std::string& path : request_.empty_directories) {
            struct open_how how{};
            how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
            how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
            const os::Fd directory(static_cast<int>(
                ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof(how))));
            if (!directory.valid()) {
                if (errno == ENOENT) {
                    continue;
                }
                return NotSnapshottable(path + " cannot be looked at");
            }
            HEARTH_TRY(const auto names, os::ListDirectory(directory.get(), "."));
            if (!names.empty()) {
                return NotSnapshottable("it keeps files in " + path);
            }
        }
        return {};
    }

    // ---- threads ----

    Status ReadThreads(Tracee& tracee) {
        for (Tracee::StoppedThread& stopped : tracee.threads()) {
            HEARTH_TRY(Thread thread, ReadThread(tracee, stopped));
            image_.threads.push_back(std::move(thread));
        }
        Tracee::StoppedThread& leader = tracee.threads().front();
        HEARTH_TRY(
            const int64_t scratch,
            tracee.Call(
                leader,
                SYS_mmap,
                {0,
                 kScratchBytes,
                 PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS,
                 UINT64_MAX,
                 0}));
        if (scratch < 0) {
            return NotSnapshottable("it has no room for one more page");
        }
        scratch_ = static_cast<uint64_t>(scratch);
        for (size_t i = 0; i < tracee.threads().size(); ++i) {
            HEARTH_RETURN_IF_ERROR(AskThread(tracee, tracee.threads()[i], image_.threads[i]));
        }
        HEARTH_RETURN_IF_ERROR(AskSignals(tracee, leader));
        HEARTH_TRY(const int64_t brk, tracee.Call(leader, SYS_brk, {0}));
        image_.memory.brk = static_cast<uint64_t>(brk);
        for (const int timer : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
            itimerval value{};
            HEARTH_RETURN_IF_ERROR(Ask(
                tracee, leader, SYS_getitimer, {static_cast<uint64_t>(timer), scratch_}, value));
            if (value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0) {
                return NotSnapshottable("it has an interval timer (setitimer or alarm)");
            }
        }
        return {};
    }

    // What the kernel tells about a stopped thread without its help.
    Result<Thread> ReadThread(const Tracee& tracee, const Tracee::StoppedThread& stopped) const {
        Thread thread;
        const std::string folder = fmt::format("task/{}/", stopped.tid);
        HEARTH_TRY(const std::string status, ReadProc(folder + "status"));
        const auto ids = ParseIds(FindField(status, "NSpid").value_or(""));
        if (ids.empty()) {
            return errors::Malformed("/proc: NSpid");
        }
        thread.tid = ids.back();
        HEARTH_TRY(thread.name, ReadProc(folder + "comm", 64));
        if (thread.name.ends_with('\n')) {
            thread.name.pop_back();
        }
        thread.signal_mask = stopped.signal_mask;
        RseqConfiguration rseq;
        if (::ptrace(
                static_cast<__ptrace_request>(kGetRseqConfiguration),
                stopped.tid,
                reinterpret_cast<void*>(sizeof(rseq)),
                &rseq) < 0) {
            return NotSnapshottable("the kernel does not tell about restartable sequences");
        }
        thread.rseq_address = rseq.address;
        thread.rseq_bytes = rseq.address == 0 ? 0 : rseq.bytes;
        thread.rseq_signature = rseq.address == 0 ? 0 : rseq.signature;
        size_t list_bytes = 0;
        if (::syscall(SYS_get_robust_list, stopped.tid, &thread.robust_list, &list_bytes) != 0) {
            return errors::System("get_robust_list", errno);
        }
        thread.robust_list_bytes = list_bytes;
        user_regs_struct registers = stopped.registers;
        if (registers.cs != 0x33) {
            return NotSnapshottable("it runs 32-bit code");
        }
        if (static_cast<int64_t>(registers.orig_rax) < 0) {
            LeaveSection(tracee, thread, registers);
        }
        ApplyRestartRule(registers);
        static_assert(sizeof(registers) == kRegisterCount * sizeof(uint64_t));
        std::memcpy(thread.registers.data(), &registers, sizeof(registers));
        HEARTH_TRY(thread.xstate, Tracee::ReadXstate(stopped.tid, kXstateBytesMax));
        uint64_t used = 0;
        if (thread.xstate.size() < image_.machine.xsave_bytes) {
            return NotSnapshottable("its vector registers are not what the CPU has");
        }
        std::memcpy(&used, thread.xstate.data() + kXstateBvOffset, sizeof(used));
        if ((used & ~image_.machine.xcr0) != 0) {
            return NotSnapshottable("it uses AMX");
        }
        thread.xstate.resize(image_.machine.xsave_bytes);
        std::memcpy(thread.xstate.data() + kXcr0Offset, &image_.machine.xcr0, sizeof(uint64_t));
        return thread;
    }

    // A thread that stands in a restartable sequence goes on at its abort handler, as the kernel
    // would have it after a move to another CPU.
    static void LeaveSection(
        const Tracee& tracee, const Thread& thread, user_regs_struct& registers) {
        uint64_t section_at = 0;
        RseqSection section;
        if (thread.rseq_address != 0 &&
            tracee.Read(thread.rseq_address + 8, &section_at, sizeof(section_at)).ok() &&
            section_at != 0 && tracee.Read(section_at, &section, sizeof(section)).ok() &&
            registers.rip - section.start < section.bytes) {
            registers.rip = section.abort;
        }
    }

    // Runs a call of which the answer comes at scratch_, and reads that.
    template <class Answer>
    Status Ask(
        Tracee& tracee,
        Tracee::StoppedThread& thread,
        long number,
        std::initializer_list<uint64_t> arguments,
        Answer& answer) {
        HEARTH_TRY(const int64_t returned, tracee.Call(thread, number, arguments));
        if (returned < 0) {
            return errors::System(
                fmt::format("system call {} in the process", number), static_cast<int>(-returned));
        }
        return tracee.Read(scratch_, &answer, sizeof(answer));
    }

    Status AskThread(Tracee& tracee, Tracee::StoppedThread& stopped, Thread& thread) {
        HEARTH_RETURN_IF_ERROR(
            Ask(tracee, stopped, SYS_prctl, {kGetTidAddress, scratch_}, thread.clear_child_tid));
        stack_t stack{};
        HEARTH_RETURN_IF_ERROR(Ask(tracee, stopped, SYS_sigaltstack, {0, scratch_}, stack));
        thread.altstack_address = reinterpret_cast<uint64_t>(stack.ss_sp);
        thread.altstack_bytes = stack.ss_size;
        thread.altstack_flags = static_cast<uint32_t>(stack.ss_flags);
        return {};
    }

    // Only what differs from the default, and SIGCHLD, whose flags matter without a handler too.
    Status AskSignals(Tracee& tracee, Tracee::StoppedThread& leader) {
        HEARTH_TRY(const std::string status, ReadProc("status"));
        const auto caught = ParseNumber(FindField(status, "SigCgt").value_or(""), 16);
        const auto ignored = ParseNumber(FindField(status, "SigIgn").value_or(""), 16);
        if (!caught || !ignored) {
            return errors::Malformed("/proc: signals");
        }
        const uint64_t wanted = *caught | *ignored | (1ULL << (SIGCHLD - 1));
        for (uint64_t number = 1; number <= 64; ++number) {
            if ((wanted >> (number - 1) & 1) == 0) {
                continue;
            }
            KernelSigaction action;
            HEARTH_RETURN_IF_ERROR(
                Ask(tracee, leader, SYS_rt_sigaction, {number, 0, scratch_, 8}, action));
            image_.signals[number - 1] = {
                .handler = action.handler,
                .flags = action.flags,
                .restorer = action.restorer,
                .mask = action.mask};
        }
        return {};
    }

    void UndoScratch(Tracee& tracee) const {
        (void)tracee.Call(tracee.threads().front(), SYS_munmap, {scratch_, kScratchBytes}).ok();
    }

    // ---- files ----

    Status IdentifyFiles(const ListedAreas& listed) {
        HEARTH_TRY(const std::string exe, ReadLink(fmt::format("/proc/{}/exe", request_.pid)));
        for (size_t i = 0; i < listed.files.size(); ++i) {
            auto opened = OpenInRoot(root_.get(), listed.files[i]);
            if (!opened.ok()) {
                return NotSnapshottable(
                    "it maps a file that is not at its place (" + opened.error().message() + ")");
            }
            if (opened->file.inode != listed.inodes[i]) {
                return NotSnapshottable("a file it maps was replaced (" + listed.files[i] + ")");
            }
            if (listed.files[i] == exe) {
                image_.memory.exe = static_cast<uint32_t>(image_.files.size());
            }
            FindEntropyCalls(opened->fd.get(), static_cast<uint32_t>(i));
            image_.files.push_back(std::move(opened->file));
        }
        if (image_.memory.exe == kNoFile) {
            auto opened = OpenInRoot(root_.get(), exe);
            if (!opened.ok()) {
                return NotSnapshottable(
                    "its program is not at its place (" + opened.error().message() + ")");
            }
            image_.memory.exe = static_cast<uint32_t>(image_.files.size());
            image_.files.push_back(std::move(opened->file));
        }
        return {};
    }

    // OpenSSL's, wherever it is: the program itself may hold it, as node's does.
    void FindEntropyCalls(int fd, uint32_t file) {
        constexpr size_t kCallsMax = 4;
        const auto area = std::ranges::find_if(areas_, [&](const Area& one) {
            return one.file == file && (one.protection & PROT_EXEC) != 0;
        });
        const auto elf = area == areas_.end() ? std::nullopt : ElfFile::Open(fd);
        if (!elf || image_.entropy_calls.size() >= kCallsMax) {
            return;
        }
        const auto load = elf->LoadAddress(area->start, area->file_offset);
        const auto value = elf->FindFunction("RAND_poll");
        const uint64_t address = load.value_or(0) + value.value_or(0);
        const bool executable = std::ranges::any_of(areas_, [&](const Area& one) {
            return (one.protection & PROT_EXEC) != 0 && one.file == file && address >= one.start &&
                   address < one.end;
        });
        if (load && value && executable) {
            image_.entropy_calls.push_back({.kind = EntropyKind::kRandPoll, .address = address});
        }
    }

    // ---- the file ----

    // The head last: a file whose writing was cut short is no image.
    Status Write(const PageBuffer& pages) {
        const uint64_t write_at = NowNs();
        PagesChecksum checksum;
        checksum.Add(pages.view());
        image_.pages_checksum = checksum.value();
        HEARTH_TRY(head_, Encode(image_));
        HEARTH_RETURN_IF_ERROR(WriteAt(pages.view(), head_.size()));
        HEARTH_RETURN_IF_ERROR(WriteAt(head_, 0));
        report_.image_bytes = head_.size() + pages.view().size();
        report_.pages = image_.page_count();
        report_.areas = static_cast<uint32_t>(image_.areas.size());
        report_.threads = static_cast<uint32_t>(image_.threads.size());
        report_.descriptors = static_cast<uint32_t>(image_.descriptors.size());
        report_.write_ns = NowNs() - write_at;
        return {};
    }

    Status WriteAt(std::string_view bytes, uint64_t offset) const {
        while (!bytes.empty()) {
            const ssize_t done = ::pwrite(
                request_.image_fd,
                bytes.data(),
                std::min<size_t>(bytes.size(), 64 << 20),
                static_cast<off_t>(offset));
            if (done < 0 && errno == EINTR) {
                continue;
            }
            if (done <= 0) {
                return errors::System("writing a snapshot image", errno);
            }
            bytes.remove_prefix(static_cast<size_t>(done));
            offset += static_cast<uint64_t>(done);
        }
        return {};
    }

    const DumpRequest& request_;
    DumpReport report_;
    Image image_;
    os::Fd root_;
    std::vector<Area> areas_;
    uint64_t scratch_ = 0;
    std::string head_;
};

}  // namespace

Result<DumpReport> Dump(const DumpRequest& request) {
    return Dumper(request).Run();
}

}  // namespace hearth::snapshot
