#include "sandbox/snapshot/image.h"

#include "os/file.h"
#include "sandbox/protocol/wire.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <type_traits>

namespace hearth::snapshot {
namespace {

constexpr std::string_view kMagic = "HEARTHSN";
constexpr size_t kPathBytesMax = 4'095;
constexpr size_t kTextBytesMax = 255;
constexpr size_t kCpuidMax = 64;
constexpr size_t kAuxvMax = 128;
constexpr size_t kEntropyCallsMax = 8;
constexpr int32_t kTidMax = 4'194'304;
constexpr uint64_t kXsaveBytesMin = 576;
constexpr size_t kXcr0Offset = 464;
constexpr size_t kXstateBvOffset = 512;
constexpr size_t kXcompBvOffset = 520;
constexpr uint64_t kUserCodeSegment = 0x33;
constexpr uint64_t kUserStackSegment = 0x2b;
constexpr uint64_t kTrapFlag = 0x100;
constexpr uint64_t kSpecialPagesMax = 64;

// The fixed part of the file; what follows it up to the page's end is zero.
struct FileHeader {
    std::array<char, 8> magic{};
    uint32_t version = 0;
    uint32_t header_bytes = 0;
    uint64_t metadata_bytes = 0;
    uint64_t metadata_checksum = 0;
    uint64_t data_offset = 0;
    uint64_t file_bytes = 0;
};

static_assert(sizeof(FileHeader) == 48 && std::is_trivially_copyable_v<FileHeader>);

uint64_t Fnv1a(std::string_view bytes) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : bytes) {
        hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    }
    return hash;
}

constexpr uint64_t RoundUp(uint64_t bytes) {
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// Writes and Reads walk the same list of fields (Fields below), so that they cannot differ.
class Writer final {
  public:
    template <class... Values>
    void operator()(const Values&... values) {
        (One(values), ...);
    }

    template <class T>
    void List(const std::vector<T>& list, size_t /*count_max*/) {
        writer_.Add(static_cast<uint32_t>(list.size()));
        for (const T& item : list) {
            One(item);
        }
    }

    const std::string& bytes() const { return writer_.bytes(); }

  private:
    template <class T>
    void One(const T& value) {
        if constexpr (std::is_enum_v<T>) {
            writer_.Add(static_cast<std::underlying_type_t<T>>(value));
        } else if constexpr (std::is_arithmetic_v<T>) {
            writer_.Add(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
            writer_.Add(std::string_view(value));
        } else {
            // Fields takes what it may also fill.
            Fields(*this, const_cast<T&>(value));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
        }
    }

    template <class T, size_t count>
    void One(const std::array<T, count>& values) {
        for (const T& value : values) {
            One(value);
        }
    }

    sandbox::WireWriter writer_;
};

class Reader final {
  public:
    explicit Reader(std::string_view bytes) : reader_(bytes) {}

    template <class... Values>
    void operator()(Values&... values) {
        (One(values), ...);
    }

    template <class T>
    void List(std::vector<T>& list, size_t count_max) {
        uint32_t count = 0;
        reader_.Read(count);
        if (count > count_max) {
            too_many_ = true;
            return;
        }
        // Grown item by item: a forged count ends with the bytes, at the first item that reads as
        // nothing but takes room.
        for (uint32_t i = 0; i < count && !reader_.failed(); ++i) {
            One(list.emplace_back());
        }
    }

    bool ok() const { return !too_many_ && reader_.ok(); }

  private:
    template <class T>
    void One(T& value) {
        if constexpr (std::is_enum_v<T>) {
            std::underlying_type_t<T> number{};
            reader_.Read(number);
            value = static_cast<T>(number);
        } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
            reader_.Read(value);
        } else {
            Fields(*this, value);
        }
    }

    template <class T, size_t count>
    void One(std::array<T, count>& values) {
        for (T& value : values) {
            One(value);
        }
    }

    sandbox::WireReader reader_;
    bool too_many_ = false;
};

template <class Archive>
void Fields(Archive& archive, CpuidLeaf& leaf) {
    archive(leaf.leaf, leaf.subleaf, leaf.registers);
}

template <class Archive>
void Fields(Archive& archive, MachineIdentity& machine) {
    archive(machine.kernel_release, machine.kernel_version, machine.boot_id);
    archive.List(machine.cpuid, kCpuidMax);
    archive(machine.xcr0, machine.xsave_bytes, machine.page_bytes, machine.vdso_checksum);
}

template <class Archive>
void Fields(Archive& archive, MappedFile& file) {
    archive(file.path, file.device, file.inode, file.size, file.mtime_s, file.mtime_ns);
    archive(file.build_id);
}

template <class Archive>
void Fields(Archive& archive, Area& area) {
    archive(area.start, area.end, area.protection, area.kind, area.flags, area.file);
    archive(area.file_offset, area.name);
}

template <class Archive>
void Fields(Archive& archive, PageRun& run) {
    archive(run.address, run.pages, run.offset);
}

template <class Archive>
void Fields(Archive& archive, GuardRun& run) {
    archive(run.address, run.pages);
}

template <class Archive>
void Fields(Archive& archive, SignalAction& action) {
    archive(action.handler, action.flags, action.restorer, action.mask);
}

template <class Archive>
void Fields(Archive& archive, MemoryMapFacts& memory) {
    archive(memory.start_code, memory.end_code, memory.start_data, memory.end_data);
    archive(memory.start_brk, memory.brk, memory.start_stack);
    archive(memory.arg_start, memory.arg_end, memory.env_start, memory.env_end);
    archive.List(memory.auxv, kAuxvMax);
    archive(memory.exe);
}

template <class Archive>
void Fields(Archive& archive, Thread& thread) {
    archive(thread.tid, thread.registers, thread.xstate, thread.signal_mask);
    archive(thread.altstack_address, thread.altstack_bytes, thread.altstack_flags);
    archive(thread.rseq_address, thread.rseq_bytes, thread.rseq_signature);
    archive(thread.robust_list, thread.robust_list_bytes, thread.clear_child_tid, thread.name);
}

template <class Archive>
void Fields(Archive& archive, EpollMember& member) {
    archive(member.number, member.events, member.data);
}

template <class Archive>
void Fields(Archive& archive, OpenFile& file) {
    archive(file.kind, file.flags, file.path, file.offset, file.stand_in, file.pair, file.bytes);
    archive(file.pipe_bytes_max, file.domain, file.type, file.protocol, file.address);
    archive(
        file.backlog,
        file.socket_options,
        file.event_count,
        file.event_semaphore,
        file.timer_clock);
    archive(file.timer_ticks, file.timer_value_ns, file.timer_interval_ns);
    archive.List(file.members, kEpollMembersMax);
}

template <class Archive>
void Fields(Archive& archive, Descriptor& descriptor) {
    archive(descriptor.number, descriptor.close_on_exec, descriptor.open_file);
}

template <class Archive>
void Fields(Archive& archive, EntropyCall& call) {
    archive(call.kind, call.address);
}

template <class Archive>
void Fields(Archive& archive, ProcessFacts& process) {
    archive(process.pid, process.process_group, process.session, process.umask);
    archive(process.working_directory, process.personality, process.monotonic_ns);
    archive(process.boottime_ns, process.tmp_layer, process.shm_layer);
}

template <class Archive>
void Fields(Archive& archive, Image& image) {
    archive(image.machine, image.process, image.memory, image.signals);
    archive.List(image.files, kMappedFilesMax);
    archive.List(image.areas, kAreasMax);
    archive.List(image.runs, kRunsMax);
    archive.List(image.guards, kRunsMax);
    archive.List(image.threads, kThreadsMax);
    archive.List(image.open_files, kDescriptorsMax);
    archive.List(image.descriptors, kDescriptorsMax);
    archive.List(image.entropy_calls, kEntropyCallsMax);
    archive(image.pages_checksum);
}

template <class... Arguments>
Error Broken(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    return errors::Malformed(
        "snapshot image: " + fmt::format(format, std::forward<Arguments>(arguments)...));
}

#define REQUIRE(condition, ...)         \
    do {                                \
        if (!(condition)) {             \
            return Broken(__VA_ARGS__); \
        }                               \
    } while (false)

bool IsPath(const std::string& path) {
    return !path.empty() && path.front() == '/' && path.size() <= kPathBytesMax &&
           path.find('\0') == std::string::npos;
}

bool IsLayerName(const std::string& name) {
    return name.size() <= kTextBytesMax && !name.starts_with('.') &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
           });
}

bool IsText(const std::string& text, size_t bytes_max = kTextBytesMax) {
    return text.size() <= bytes_max && text.find('\0') == std::string::npos;
}

bool IsPageAligned(uint64_t number) {
    return number % kPageBytes == 0;
}

bool IsUserAddress(uint64_t address) {
    return address < kUserEnd;
}

Status ValidateMachine(const MachineIdentity& machine) {
    REQUIRE(
        IsText(machine.kernel_release) && IsText(machine.kernel_version) && IsText(machine.boot_id),
        "a text of the machine is too long");
    REQUIRE(machine.cpuid.size() <= kCpuidMax, "too many CPUID leaves");
    REQUIRE(machine.page_bytes == kPageBytes, "pages of {} bytes", machine.page_bytes);
    REQUIRE(
        machine.xsave_bytes >= kXsaveBytesMin && machine.xsave_bytes <= kXstateBytesMax,
        "an xsave area of {} bytes",
        machine.xsave_bytes);
    return {};
}

Status ValidateProcess(const ProcessFacts& process) {
    REQUIRE(process.pid >= 1 && process.pid <= kTidMax, "pid {}", process.pid);
    REQUIRE(
        process.process_group >= 0 && process.process_group <= kTidMax && process.session >= 0 &&
            process.session <= kTidMax,
        "a process group or session is out of range");
    REQUIRE(process.umask <= 0777, "umask {:o}", process.umask);
    REQUIRE(IsPath(process.working_directory), "the working directory is no absolute path");
    REQUIRE(
        IsLayerName(process.tmp_layer) && IsLayerName(process.shm_layer),
        "the name of a layer has other characters than [A-Za-z0-9._-]");
    return {};
}

Status ValidateMemoryMap(const MemoryMapFacts& memory, size_t files) {
    const std::array addresses = {
        memory.start_code,
        memory.end_code,
        memory.start_data,
        memory.end_data,
        memory.start_brk,
        memory.brk,
        memory.start_stack,
        memory.arg_start,
        memory.arg_end,
        memory.env_start,
        memory.env_end};
    REQUIRE(
        std::ranges::all_of(addresses, IsUserAddress),
        "an address of the memory map is not the user's");
    REQUIRE(
        memory.start_code <= memory.end_code && memory.start_data <= memory.end_data &&
            memory.start_brk <= memory.brk && memory.arg_start <= memory.arg_end &&
            memory.env_start <= memory.env_end,
        "a range of the memory map ends before its start");
    const std::vector<uint64_t>& auxv = memory.auxv;
    REQUIRE(
        auxv.size() >= 2 && auxv.size() <= kAuxvMax && auxv.size() % 2 == 0 &&
            auxv[auxv.size() - 2] == 0,
        "the auxiliary vector has no end");
    REQUIRE(memory.exe < files, "the program is not among the files");
    return {};
}

Status ValidateArea(const Area& area, size_t files) {
    REQUIRE(
        IsPageAligned(area.start) && IsPageAligned(area.end) && area.start < area.end &&
            area.start >= kUserStart && area.end <= kUserEnd,
        "area {:#x}-{:#x} is out of range",
        area.start,
        area.end);
    REQUIRE(
        (area.protection & ~static_cast<uint32_t>(PROT_READ | PROT_WRITE | PROT_EXEC)) == 0,
        "area {:#x} has protection {:#x}",
        area.start,
        area.protection);
    REQUIRE((area.flags & ~kAreaFlagsAll) == 0, "area {:#x} has unknown flags", area.start);
    REQUIRE(IsText(area.name), "area {:#x} has a bad name", area.start);
    const bool anonymous = area.kind == AreaKind::kAnonymous;
    switch (area.kind) {
        case AreaKind::kAnonymous:
            break;
        case AreaKind::kPrivateFile:
        case AreaKind::kSharedFile:
            REQUIRE(area.file < files, "area {:#x} names a file that is not there", area.start);
            REQUIRE(
                IsPageAligned(area.file_offset) && area.file_offset < (1ULL << 62),
                "area {:#x} has a bad offset in its file",
                area.start);
            REQUIRE(
                area.kind == AreaKind::kPrivateFile || (area.protection & PROT_WRITE) == 0,
                "area {:#x} is writable and shared",
                area.start);
            break;
        case AreaKind::kVdso:
        case AreaKind::kVvar:
            REQUIRE(
                area.end - area.start <= kSpecialPagesMax * kPageBytes,
                "area {:#x} is too long for the kernel's own",
                area.start);
            break;
        default:
            return Broken("area {:#x} has an unknown kind", area.start);
    }
    const bool has_file = area.kind == AreaKind::kPrivateFile || area.kind == AreaKind::kSharedFile;
    REQUIRE(
        has_file || (area.file == kNoFile && area.file_offset == 0),
        "area {:#x} has a file and should not",
        area.start);
    REQUIRE(
        anonymous || (area.flags & (kGrowsDown | kWipeOnFork | kDroppable)) == 0,
        "area {:#x} has a flag of anonymous memory",
        area.start);
    return {};
}

// The kernel's own areas move together: the data of the vdso directly before it, in one piece.
Status ValidateSpecialAreas(const std::vector<Area>& areas) {
    const auto is_vdso = [](const Area& area) { return area.kind == AreaKind::kVdso; };
    const auto vdso = std::ranges::find_if(areas, is_vdso);
    REQUIRE(vdso != areas.end(), "no vdso");
    REQUIRE(std::ranges::count_if(areas, is_vdso) == 1, "more than one vdso");
    uint64_t start = vdso->start;
    auto first = vdso;
    while (first != areas.begin() && std::prev(first)->kind == AreaKind::kVvar &&
           std::prev(first)->end == start) {
        --first;
        start = first->start;
    }
    REQUIRE(
        std::ranges::count_if(
            areas, [](const Area& area) { return area.kind == AreaKind::kVvar; }) == vdso - first,
        "data of the vdso that does not stand before it");
    return {};
}

// The area that holds [address, address + pages), looking on from `area`, or the end.
template <class Iterator>
Iterator FindHolder(Iterator area, Iterator end, uint64_t address, uint64_t pages) {
    while (area != end && area->end <= address) {
        ++area;
    }
    if (area == end || address < area->start || pages > (area->end - address) / kPageBytes) {
        return end;
    }
    return area;
}

Status ValidateRuns(const Image& image, uint64_t data_offset, uint64_t file_bytes) {
    uint64_t offset = data_offset;
    uint64_t previous_end = 0;
    auto area = image.areas.begin();
    for (const PageRun& run : image.runs) {
        REQUIRE(
            IsPageAligned(run.address) && run.pages != 0 && run.address >= previous_end,
            "page run {:#x} is empty or out of order",
            run.address);
        area = FindHolder(area, image.areas.end(), run.address, run.pages);
        REQUIRE(area != image.areas.end(), "page run {:#x} is not in one area", run.address);
        REQUIRE(
            area->kind == AreaKind::kAnonymous || area->kind == AreaKind::kPrivateFile,
            "page run {:#x} is in an area without pages of its own",
            run.address);
        REQUIRE(
            (area->flags & (kDroppable | kWipeOnFork)) == 0,
            "page run {:#x} is in an area that loses its pages",
            run.address);
        REQUIRE(run.offset == offset, "page run {:#x} leaves a gap in the file", run.address);
        previous_end = run.address + run.pages * kPageBytes;
        offset += run.pages * kPageBytes;
        REQUIRE(offset <= file_bytes, "page run {:#x} is beyond the file's end", run.address);
    }
    REQUIRE(offset == file_bytes, "the file is longer than its pages");
    previous_end = 0;
    area = image.areas.begin();
    for (const GuardRun& run : image.guards) {
        REQUIRE(
            IsPageAligned(run.address) && run.pages != 0 && run.address >= previous_end,
            "guard run {:#x} is empty or out of order",
            run.address);
        area = FindHolder(area, image.areas.end(), run.address, run.pages);
        REQUIRE(
            area != image.areas.end() && area->kind == AreaKind::kAnonymous,
            "guard run {:#x} is not in one anonymous area",
            run.address);
        previous_end = run.address + run.pages * kPageBytes;
    }
    return {};
}

uint64_t NumberAt(const std::string& bytes, size_t offset) {
    uint64_t number = 0;
    std::memcpy(&number, bytes.data() + offset, sizeof(number));
    return number;
}

Status ValidateThread(const Thread& thread, const MachineIdentity& machine) {
    REQUIRE(thread.tid >= 1 && thread.tid <= kTidMax, "thread id {}", thread.tid);
    const auto& registers = thread.registers;
    REQUIRE(
        registers[kCs] == kUserCodeSegment && registers[kSs] == kUserStackSegment &&
            registers[kDs] == 0 && registers[kEs] == 0 && registers[kFs] == 0 &&
            registers[kGs] == 0,
        "thread {} has segments of its own",
        thread.tid);
    REQUIRE(
        IsUserAddress(registers[kRip]) && IsUserAddress(registers[kRsp]) &&
            IsUserAddress(registers[kFsBase]) && IsUserAddress(registers[kGsBase]),
        "thread {} has an address that is not the user's",
        thread.tid);
    REQUIRE(
        registers[kOrigRax] == UINT64_MAX && (registers[kEflags] & kTrapFlag) == 0 &&
            registers[kEflags] <= UINT32_MAX,
        "thread {} is not ready to go on",
        thread.tid);
    REQUIRE(
        thread.xstate.size() == machine.xsave_bytes,
        "thread {} has {} bytes of vector registers instead of {}",
        thread.tid,
        thread.xstate.size(),
        machine.xsave_bytes);
    REQUIRE(
        NumberAt(thread.xstate, kXcr0Offset) == machine.xcr0 &&
            (NumberAt(thread.xstate, kXstateBvOffset) & ~machine.xcr0) == 0 &&
            NumberAt(thread.xstate, kXcompBvOffset) == 0,
        "thread {} has vector registers that the machine does not have",
        thread.tid);
    REQUIRE(
        IsUserAddress(thread.altstack_address) && IsUserAddress(thread.altstack_bytes) &&
            IsUserAddress(thread.rseq_address) && IsUserAddress(thread.robust_list) &&
            IsUserAddress(thread.clear_child_tid),
        "thread {} has a structure that is not in user memory",
        thread.tid);
    REQUIRE(
        thread.rseq_address == 0 ? thread.rseq_bytes == 0
                                 : thread.rseq_bytes >= 20 && thread.rseq_bytes <= kPageBytes,
        "thread {} has an rseq area of {} bytes",
        thread.tid,
        thread.rseq_bytes);
    REQUIRE(IsText(thread.name, 15), "thread {} has a bad name", thread.tid);
    return {};
}

bool IsSocket(OpenFileKind kind) {
    return kind == OpenFileKind::kSocketPair || kind == OpenFileKind::kDeadSocket ||
           kind == OpenFileKind::kFreshSocket;
}

// Fields that a kind does not use are empty, so that an image has one form only.
Status ValidateOpenFile(const OpenFile& file) {
    using enum OpenFileKind;
    const OpenFileKind kind = file.kind;
    REQUIRE(kind <= kEpoll, "an open file of unknown kind");
    const bool has_path = kind == kPath || kind == kDevice;
    REQUIRE(has_path ? IsPath(file.path) : file.path.empty(), "an open file has a bad path");
    REQUIRE(has_path || file.offset == 0, "an open file without path has an offset");
    REQUIRE(file.offset < (1ULL << 63), "an open file has a negative offset");
    REQUIRE(kind == kStandIn || file.stand_in == 0, "an open file has a stand-in's number");
    const bool has_pair = kind == kPipe || kind == kSocketPair;
    REQUIRE(has_pair || (file.pair == 0 && file.bytes.empty()), "an open file has another's pair");
    REQUIRE(file.bytes.size() <= kPipeBytesMax, "a pipe holds {} bytes", file.bytes.size());
    REQUIRE(kind == kPipe || file.pipe_bytes_max == 0, "an open file has a pipe's size");
    REQUIRE(
        file.pipe_bytes_max <= (1U << 30) && (kind != kPipe || file.pipe_bytes_max != 0),
        "a pipe of {} bytes",
        file.pipe_bytes_max);
    REQUIRE(
        IsSocket(kind) || (file.domain == 0 && file.type == 0 && file.protocol == 0),
        "an open file has a socket's type");
    REQUIRE(
        kind == kFreshSocket ||
            (file.address.empty() && file.backlog == 0 && file.socket_options == 0),
        "an open file has a socket's address");
    REQUIRE(
        file.address.size() <= 128 && file.backlog >= 0 &&
            (file.socket_options & ~kSocketOptionsAll) == 0,
        "a socket has a bad address or unknown options");
    REQUIRE(
        kind == kEventFd || (file.event_count == 0 && !file.event_semaphore),
        "an open file has an eventfd's count");
    REQUIRE(
        kind == kTimerFd || (file.timer_clock == 0 && file.timer_ticks == 0 &&
                             file.timer_value_ns == 0 && file.timer_interval_ns == 0),
        "an open file has a timer");
    REQUIRE(
        file.timer_value_ns < (1ULL << 63) && file.timer_interval_ns < (1ULL << 63),
        "a timer beyond all times");
    REQUIRE(kind == kEpoll || file.members.empty(), "an open file has members");
    REQUIRE(file.members.size() <= kEpollMembersMax, "an epoll has too many members");
    return {};
}

Status ValidateDescriptors(const Image& image) {
    REQUIRE(
        image.descriptors.size() <= kDescriptorsMax && image.open_files.size() <= kDescriptorsMax,
        "too many descriptors");
    std::vector<bool> used(image.open_files.size());
    std::set<int32_t> numbers;
    int32_t previous = -1;
    for (const Descriptor& descriptor : image.descriptors) {
        REQUIRE(
            descriptor.number > previous && descriptor.number <= kDescriptorNumberMax,
            "descriptor {} is out of order or range",
            descriptor.number);
        REQUIRE(
            descriptor.open_file < image.open_files.size(),
            "descriptor {} has no open file",
            descriptor.number);
        used[descriptor.open_file] = true;
        previous = descriptor.number;
        numbers.insert(descriptor.number);
    }
    REQUIRE(std::ranges::find(used, false) == used.end(), "an open file without descriptor");

    struct Ends {
        OpenFileKind kind = OpenFileKind::kPipe;
        int readers = 0, writers = 0, others = 0;
    };

    std::map<uint32_t, Ends> pairs;
    for (const OpenFile& file : image.open_files) {
        HEARTH_RETURN_IF_ERROR(ValidateOpenFile(file));
        if (file.kind == OpenFileKind::kPipe || file.kind == OpenFileKind::kSocketPair) {
            const auto [found, inserted] = pairs.try_emplace(file.pair, Ends{.kind = file.kind});
            REQUIRE(found->second.kind == file.kind, "pair {} is of two kinds", file.pair);
            const uint32_t mode = file.flags & O_ACCMODE;
            Ends& ends = found->second;
            if (file.kind == OpenFileKind::kSocketPair) {
                ++ends.others;
            } else if (mode == O_RDONLY || mode == O_WRONLY) {
                ++(mode == O_RDONLY ? ends.readers : ends.writers);
            } else {
                return Broken("an end of pipe {} is for reading and writing", file.pair);
            }
            REQUIRE(
                ends.others <= 2 && ends.readers <= 1 && ends.writers <= 1,
                "pair {} has too many ends",
                file.pair);
        }
        std::set<int32_t> members;
        for (const EpollMember& member : file.members) {
            REQUIRE(
                numbers.contains(member.number),
                "an epoll member {} is no descriptor",
                member.number);
            REQUIRE(
                members.insert(member.number).second,
                "epoll member {} is there twice",
                member.number);
        }
    }
    return {};
}

Status ValidateEntropyCalls(const Image& image) {
    REQUIRE(image.entropy_calls.size() <= kEntropyCallsMax, "too many entropy calls");
    for (const EntropyCall& call : image.entropy_calls) {
        REQUIRE(call.kind <= EntropyKind::kRandSeed, "an entropy call of unknown kind");
        const auto area = FindHolder(image.areas.begin(), image.areas.end(), call.address, 0);
        REQUIRE(
            area != image.areas.end() && (area->protection & PROT_EXEC) != 0,
            "an entropy call outside of executable memory");
    }
    return {};
}

}  // namespace

uint64_t Image::page_count() const {
    uint64_t pages = 0;
    for (const PageRun& run : runs) {
        pages += run.pages;
    }
    return pages;
}

Status Validate(const Image& image, uint64_t data_offset, uint64_t file_bytes) {
    REQUIRE(
        IsPageAligned(data_offset) && data_offset <= file_bytes && file_bytes <= kImageBytesMax,
        "{} bytes with pages from {} on",
        file_bytes,
        data_offset);
    HEARTH_RETURN_IF_ERROR(ValidateMachine(image.machine));
    HEARTH_RETURN_IF_ERROR(ValidateProcess(image.process));
    REQUIRE(image.files.size() <= kMappedFilesMax, "too many files");
    for (const MappedFile& file : image.files) {
        REQUIRE(IsPath(file.path), "a file without an absolute path");
        REQUIRE(
            file.build_id.size() <= 64 && file.mtime_ns < 1'000'000'000, "a file is misdescribed");
    }
    HEARTH_RETURN_IF_ERROR(ValidateMemoryMap(image.memory, image.files.size()));
    REQUIRE(image.areas.size() <= kAreasMax, "too many areas");
    uint64_t previous_end = 0;
    for (const Area& area : image.areas) {
        HEARTH_RETURN_IF_ERROR(ValidateArea(area, image.files.size()));
        REQUIRE(area.start >= previous_end, "area {:#x} overlaps or is out of order", area.start);
        previous_end = area.end;
    }
    HEARTH_RETURN_IF_ERROR(ValidateSpecialAreas(image.areas));
    REQUIRE(image.runs.size() <= kRunsMax && image.guards.size() <= kRunsMax, "too many page runs");
    HEARTH_RETURN_IF_ERROR(ValidateRuns(image, data_offset, file_bytes));
    REQUIRE(
        !image.threads.empty() && image.threads.size() <= kThreadsMax,
        "{} threads",
        image.threads.size());
    REQUIRE(image.threads[0].tid == image.process.pid, "the leader is not the first thread");
    std::set<int32_t> tids;
    for (const Thread& thread : image.threads) {
        HEARTH_RETURN_IF_ERROR(ValidateThread(thread, image.machine));
        REQUIRE(tids.insert(thread.tid).second, "thread {} is there twice", thread.tid);
    }
    HEARTH_RETURN_IF_ERROR(ValidateDescriptors(image));
    return ValidateEntropyCalls(image);
}

std::string SealHead(std::string_view metadata, uint64_t file_bytes) {
    FileHeader header;
    std::ranges::copy(kMagic, header.magic.begin());
    header.version = kFormatVersion;
    header.header_bytes = sizeof(header);
    header.metadata_bytes = metadata.size();
    header.metadata_checksum = Fnv1a(metadata);
    header.data_offset = kPageBytes + RoundUp(metadata.size());
    header.file_bytes = file_bytes;
    std::string head(header.data_offset, '\0');
    std::memcpy(head.data(), &header, sizeof(header));
    std::memcpy(head.data() + kPageBytes, metadata.data(), metadata.size());
    return head;
}

Result<std::string> Encode(Image& image) {
    // The offsets are numbers of fixed width, so the size is known before they are.
    Writer sized;
    Fields(sized, image);
    const uint64_t metadata_bytes = sized.bytes().size();
    REQUIRE(metadata_bytes <= kMetadataBytesMax, "{} bytes of metadata", metadata_bytes);
    const uint64_t data_offset = kPageBytes + RoundUp(metadata_bytes);
    uint64_t offset = data_offset;
    for (PageRun& run : image.runs) {
        run.offset = offset;
        REQUIRE(
            run.pages <= kImageBytesMax / kPageBytes, "page run {:#x} is too long", run.address);
        offset += run.pages * kPageBytes;
        REQUIRE(offset <= kImageBytesMax, "more than {} bytes", kImageBytesMax);
    }
    HEARTH_RETURN_IF_ERROR(Validate(image, data_offset, offset));
    Writer writer;
    Fields(writer, image);
    return SealHead(writer.bytes(), offset);
}

namespace {

Result<FileHeader> DecodeHeader(std::string_view head, uint64_t file_bytes) {
    FileHeader header;
    REQUIRE(head.size() >= sizeof(header), "shorter than its header");
    std::memcpy(&header, head.data(), sizeof(header));
    REQUIRE(std::ranges::equal(header.magic, kMagic), "no snapshot image");
    REQUIRE(
        header.version == kFormatVersion,
        "version {} of the format instead of {}",
        header.version,
        kFormatVersion);
    REQUIRE(header.header_bytes == sizeof(header), "a header of {} bytes", header.header_bytes);
    REQUIRE(
        header.metadata_bytes <= kMetadataBytesMax, "{} bytes of metadata", header.metadata_bytes);
    REQUIRE(
        header.data_offset == kPageBytes + RoundUp(header.metadata_bytes),
        "pages from {} on",
        header.data_offset);
    REQUIRE(
        header.file_bytes == file_bytes,
        "a file of {} bytes instead of {}",
        file_bytes,
        header.file_bytes);
    return header;
}

}  // namespace

Result<Image> Decode(std::string_view head, uint64_t file_bytes) {
    HEARTH_TRY(const FileHeader header, DecodeHeader(head, file_bytes));
    REQUIRE(head.size() >= header.data_offset, "shorter than its metadata");
    const std::string_view metadata = head.substr(kPageBytes, header.metadata_bytes);
    REQUIRE(Fnv1a(metadata) == header.metadata_checksum, "damaged metadata");
    const std::string_view padding =
        head.substr(sizeof(FileHeader), kPageBytes - sizeof(FileHeader));
    const std::string_view tail = head.substr(
        kPageBytes + header.metadata_bytes,
        header.data_offset - kPageBytes - header.metadata_bytes);
    REQUIRE(
        padding.find_first_not_of('\0') == std::string_view::npos &&
            tail.find_first_not_of('\0') == std::string_view::npos,
        "something stands where nothing should");
    Reader reader(metadata);
    Image image;
    Fields(reader, image);
    REQUIRE(reader.ok(), "metadata that does not parse");
    HEARTH_RETURN_IF_ERROR(Validate(image, header.data_offset, file_bytes));
    return image;
}

namespace {

Result<std::string> ReadExactly(int fd, uint64_t bytes, uint64_t offset) {
    std::string read(bytes, '\0');
    size_t done = 0;
    while (done < bytes) {
        const ssize_t got =
            ::pread(fd, read.data() + done, bytes - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errors::System("reading a snapshot image", errno);
        }
        REQUIRE(got > 0, "it ends early");
        done += static_cast<size_t>(got);
    }
    return read;
}

}  // namespace

Result<Image> ReadImage(int image_fd) {
    struct stat status{};
    if (::fstat(image_fd, &status) != 0) {
        return errors::System("a snapshot image", errno);
    }
    REQUIRE(S_ISREG(status.st_mode), "no regular file");
    const auto file_bytes = static_cast<uint64_t>(status.st_size);
    REQUIRE(file_bytes >= kPageBytes, "shorter than its header");
    HEARTH_TRY(const std::string first, ReadExactly(image_fd, sizeof(FileHeader), 0));
    // The layers' contents may follow the pages; where there are none, nothing may.
    FileHeader claimed;
    std::memcpy(&claimed, first.data(), sizeof(claimed));
    const uint64_t image_bytes = std::min(claimed.file_bytes, file_bytes);
    HEARTH_TRY(const FileHeader header, DecodeHeader(first, image_bytes));
    REQUIRE(header.data_offset <= image_bytes, "shorter than its metadata");
    HEARTH_TRY(const std::string head, ReadExactly(image_fd, header.data_offset, 0));
    HEARTH_TRY(Image image, Decode(head, image_bytes));
    REQUIRE(
        image.process.tmp_layer.empty() == (image_bytes == file_bytes),
        "a file of {} bytes instead of {}",
        file_bytes,
        image_bytes);
    return image;
}

[[gnu::target("sse4.2")]] void PagesChecksum::Add(std::string_view pages) {
    std::array<uint64_t, 4> lanes = lanes_;
    for (size_t i = 0; i + 32 <= pages.size(); i += 32) {
        std::array<uint64_t, 4> words;
        std::memcpy(words.data(), pages.data() + i, sizeof(words));
        lanes[0] = __builtin_ia32_crc32di(lanes[0], words[0]);
        lanes[1] = __builtin_ia32_crc32di(lanes[1], words[1]);
        lanes[2] = __builtin_ia32_crc32di(lanes[2], words[2]);
        lanes[3] = __builtin_ia32_crc32di(lanes[3], words[3]);
    }
    lanes_ = lanes;
}

uint64_t PagesChecksum::value() const {
    uint64_t value = 0;
    for (const uint64_t lane : lanes_) {
        value = value * 0x9e3779b97f4a7c15 + lane;
    }
    return value;
}

Status CheckPages(int image_fd, const Image& image) {
    constexpr uint64_t kPiece = 256 << 10;
    PagesChecksum checksum;
    for (const PageRun& run : image.runs) {
        for (uint64_t done = 0; done < run.pages * kPageBytes; done += kPiece) {
            const uint64_t bytes = std::min(kPiece, run.pages * kPageBytes - done);
            HEARTH_TRY(const std::string pages, ReadExactly(image_fd, bytes, run.offset + done));
            checksum.Add(pages);
        }
    }
    REQUIRE(checksum.value() == image.pages_checksum, "damaged pages");
    return {};
}

}  // namespace hearth::snapshot
