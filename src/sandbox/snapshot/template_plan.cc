#include "sandbox/snapshot/template_plan.h"

#include "sandbox/snapshot/proc.h"

#include <cpuid.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <map>
#include <span>
#include <string_view>

extern "C" {
extern const unsigned char hearth_restorer_begin[];
extern const unsigned char hearth_restorer_end[];
}

namespace hearth::snapshot {
namespace {

constexpr uint64_t kHugeBytes = 2 << 20;
// A block is filled as one huge page when at least half of it is not zero: less would cost more
// memory in the template than it saves time in the clones.
constexpr uint64_t kHugePagesMin = kHugeBytes / kPageBytes / 2;
// Up to here an area that is not writable becomes so as a whole while it is filled, and stays one
// VMA; beyond it only the parts do, since making gigabytes writable could exceed overcommit.
constexpr uint64_t kUnprotectBytesMax = 64 << 20;
constexpr uint64_t kWorkingSetRoom = 2048;

static_assert(uint32_t{kPlanGrowsDown} == kGrowsDown);
static_assert(uint32_t{kPlanNoReserve} == kNoReserve);
static_assert(uint32_t{kPlanWipeOnFork} == kWipeOnFork);
static_assert(uint32_t{kPlanDontDump} == kDontDump);
static_assert(uint32_t{kPlanHugePage} == kHugePage);
static_assert(uint32_t{kPlanNoHugePage} == kNoHugePage);
static_assert(uint32_t{kPlanDroppable} == kDroppable);
static_assert(uint32_t{kPlanMergeable} == kMergeable);
static_assert(uint32_t{kPlanRandomAdvice} == kRandomAdvice);
static_assert(uint32_t{kPlanSequentialAdvice} == kSequentialAdvice);
static_assert(uint32_t{kPlanSealed} == kSealed);
static_assert(uint32_t{kPlanPath} == uint32_t(OpenFileKind::kPath));
static_assert(uint32_t{kPlanStandIn} == uint32_t(OpenFileKind::kStandIn));
static_assert(uint32_t{kPlanPipe} == uint32_t(OpenFileKind::kPipe));
static_assert(uint32_t{kPlanSocketPair} == uint32_t(OpenFileKind::kSocketPair));
static_assert(uint32_t{kPlanDeadSocket} == uint32_t(OpenFileKind::kDeadSocket));
static_assert(uint32_t{kPlanFreshSocket} == uint32_t(OpenFileKind::kFreshSocket));
static_assert(uint32_t{kPlanEventFd} == uint32_t(OpenFileKind::kEventFd));
static_assert(uint32_t{kPlanTimerFd} == uint32_t(OpenFileKind::kTimerFd));
static_assert(uint32_t{kPlanEpoll} == uint32_t(OpenFileKind::kEpoll));
static_assert(uint32_t(EntropyKind::kRandPoll) == 0);

uint64_t RoundUp(uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
}

// Appends to the plan's bytes; offsets count from the plan's start.
class PlanWriter final {
  public:
    PlanWriter() { bytes_.resize(sizeof(Plan)); }

    uint64_t Bytes(std::string_view bytes) {
        const uint64_t offset = Align();
        bytes_.append(bytes);
        return offset;
    }

    uint64_t String(const std::string& text) { return Bytes({text.c_str(), text.size() + 1}); }

    template <class T>
    PlanTable Table(const std::vector<T>& entries) {
        const uint64_t offset = Align();
        bytes_.append(
            static_cast<const char*>(static_cast<const void*>(entries.data())),
            entries.size() * sizeof(T));
        return {offset, entries.size()};
    }

    uint64_t size() const { return bytes_.size(); }

    std::string Finish(const Plan& plan) {
        std::memcpy(bytes_.data(), &plan, sizeof(plan));
        return std::move(bytes_);
    }

  private:
    uint64_t Align() {
        bytes_.resize(RoundUp(bytes_.size(), 16));
        return bytes_.size();
    }

    std::string bytes_;
};

// The head of the restorer's flat file: see restorer/entry.S.
struct Restorer {
    std::string_view code;
    uint64_t entry = 0;
    std::string_view gate;
    uint64_t gate_thread = 0;  // from the gate's start
    uint64_t gate_leader = 0;
};

Restorer ReadRestorer() {
    Restorer restorer;
    const auto* bytes = static_cast<const char*>(static_cast<const void*>(hearth_restorer_begin));
    restorer.code = {bytes, static_cast<size_t>(hearth_restorer_end - hearth_restorer_begin)};
    std::array<uint32_t, 6> head{};
    std::memcpy(head.data(), bytes, sizeof(head));
    CHECK(head[0] == kRestorerMagic, "the restorer was not built right");
    const auto position = [&](size_t index) { return index * 4 + head[index]; };
    restorer.entry = position(1);
    const uint64_t start = position(2);
    restorer.gate = restorer.code.substr(start, position(3) - start);
    restorer.gate_thread = position(4) - start;
    restorer.gate_leader = position(5) - start;
    return restorer;
}

// The size of the uncompacted state that holds `features`.
uint64_t XstateBytes(uint64_t features) {
    uint64_t bytes = 576;  // legacy area and header
    for (uint32_t feature = 2; feature < 63; ++feature) {
        if ((features >> feature & 1) == 0) {
            continue;
        }
        uint32_t size = 0;
        uint32_t offset = 0;
        uint32_t c = 0;
        uint32_t d = 0;
        if (__get_cpuid_count(0xd, feature, &size, &offset, &c, &d) != 0 && size != 0) {
            bytes = std::max<uint64_t>(bytes, uint64_t{offset} + size);
        }
    }
    return bytes;
}

template <class T>
void Put(std::string& bytes, uint64_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

// Positions in the kernel's struct rt_sigframe.
constexpr uint64_t kFrameContext = 8;
constexpr uint64_t kFrameStack = kFrameContext + 16;
constexpr uint64_t kFrameRegisters = kFrameContext + 40;
constexpr uint64_t kFrameMask = kFrameRegisters + 256;
constexpr uint64_t kFrameBytes = kFrameMask + 8 + 128;

std::vector<PlanSpecial> MatchSpecials(const PlanInputs& inputs, uint64_t park, bool& complete) {
    std::vector<PlanSpecial> specials;
    size_t found = 0;
    for (const MakerFacts::Special& special : inputs.maker->specials) {
        PlanSpecial entry{};
        entry.from = special.range.start;
        entry.bytes = special.range.end - special.range.start;
        entry.park = park;
        for (const Area& area : inputs.image->areas) {
            if ((area.kind == AreaKind::kVdso || area.kind == AreaKind::kVvar) &&
                area.name == special.name && area.end - area.start == entry.bytes) {
                entry.to = area.start;
                ++found;
                break;
            }
        }
        park += entry.bytes;
        specials.push_back(entry);
    }
    size_t wanted = 0;
    for (const Area& area : inputs.image->areas) {
        wanted += area.kind == AreaKind::kVdso || area.kind == AreaKind::kVvar ? 1 : 0;
    }
    complete = found == wanted;
    return specials;
}

struct MemoryTables {
    std::vector<PlanArea> areas;
    std::vector<PlanRange> huge;
    std::vector<PlanFill> fills;
    std::vector<PlanRange> sealed;
    std::vector<PlanRange> dont_fork;
    std::vector<PlanRange> locked;
};

// Blocks of 2 MB within the area that its runs fill well enough.
std::vector<PlanRange> HugeBlocks(const Area& area, std::span<const PageRun> runs) {
    std::vector<PlanRange> blocks;
    if (area.kind != AreaKind::kAnonymous || area.end - area.start < kHugeBytes ||
        (area.flags & (kNoHugePage | kDroppable)) != 0) {
        return blocks;
    }
    std::map<uint64_t, uint64_t> pages_of_block;
    for (const PageRun& run : runs) {
        uint64_t at = run.address;
        const uint64_t end = run.address + run.pages * kPageBytes;
        while (at < end) {
            const uint64_t block = at / kHugeBytes * kHugeBytes;
            const uint64_t next = std::min(end, block + kHugeBytes);
            pages_of_block[block] += (next - at) / kPageBytes;
            at = next;
        }
    }
    for (const auto& [block, pages] : pages_of_block) {
        if (pages < kHugePagesMin || block < area.start || block + kHugeBytes > area.end) {
            continue;
        }
        if (!blocks.empty() && blocks.back().end == block) {
            blocks.back().end += kHugeBytes;
        } else {
            blocks.push_back({block, block + kHugeBytes});
        }
    }
    return blocks;
}

MemoryTables MakeMemoryTables(const PlanInputs& inputs, PlanWriter& writer) {
    MemoryTables tables;
    const Image& image = *inputs.image;
    size_t next_run = 0;
    for (const Area& area : image.areas) {
        const size_t first_run = next_run;
        while (next_run < image.runs.size() && image.runs[next_run].address < area.end) {
            ++next_run;
        }
        const std::span<const PageRun> runs(image.runs.data() + first_run, next_run - first_run);
        if (area.kind == AreaKind::kVdso || area.kind == AreaKind::kVvar) {
            continue;
        }
        PlanArea entry{};
        entry.start = area.start;
        entry.end = area.end;
        entry.file_offset = area.file_offset;
        entry.protection = area.protection;
        entry.flags = area.flags;
        entry.fd = area.kind == AreaKind::kAnonymous ? -1 : inputs.file_fds[area.file];
        entry.shared = area.kind == AreaKind::kSharedFile;
        if (area.kind == AreaKind::kAnonymous && !area.name.empty()) {
            entry.name = writer.String(area.name);
        }
        const bool read_only = (area.protection & PROT_WRITE) == 0;
        const bool whole = area.end - area.start <= kUnprotectBytesMax;
        entry.filled_read_only = !runs.empty() && read_only && whole;
        for (const PlanRange& block : HugeBlocks(area, runs)) {
            tables.huge.push_back(block);
            entry.huge = 1;
        }
        for (const PageRun& run : runs) {
            PlanFill fill{};
            fill.address = run.address;
            fill.bytes = run.pages * kPageBytes;
            fill.offset = run.offset;
            fill.protect = read_only && !whole;
            fill.protection = area.protection;
            tables.fills.push_back(fill);
        }
        if ((area.flags & kSealed) != 0) {
            tables.sealed.push_back({area.start, area.end});
        }
        if ((area.flags & kDontFork) != 0) {
            tables.dont_fork.push_back({area.start, area.end});
        }
        if ((area.flags & kLocked) != 0) {
            tables.locked.push_back({area.start, area.end});
        }
        tables.areas.push_back(entry);
    }
    return tables;
}

std::vector<PlanOpenFile> MakeOpenFiles(const Image& image, PlanWriter& writer) {
    std::vector<PlanOpenFile> files;
    std::map<uint32_t, uint32_t> first_of_pair;
    for (uint32_t i = 0; i < image.open_files.size(); ++i) {
        const OpenFile& file = image.open_files[i];
        PlanOpenFile entry{};
        entry.kind = static_cast<uint32_t>(file.kind);
        entry.flags = file.flags;
        entry.partner = kNone;
        entry.made = -1;
        if (file.kind == OpenFileKind::kPipe || file.kind == OpenFileKind::kSocketPair) {
            const auto [position, first] = first_of_pair.emplace(file.pair, i);
            if (!first) {
                entry.partner = position->second;
                files[position->second].partner = i;
            }
        }
        entry.stand_in = file.stand_in;
        entry.path = writer.String(file.path);
        entry.offset = file.offset;
        entry.bytes = writer.Bytes(file.bytes);
        entry.byte_count = file.bytes.size();
        entry.pipe_bytes_max = file.pipe_bytes_max;
        entry.domain = file.domain;
        entry.type = file.type;
        entry.protocol = file.protocol;
        entry.address = writer.Bytes(file.address);
        entry.address_bytes = static_cast<uint32_t>(file.address.size());
        entry.backlog = file.backlog;
        entry.socket_options = file.socket_options;
        entry.timer_clock = file.timer_clock;
        entry.event_count = file.event_count;
        entry.event_semaphore = file.event_semaphore ? 1 : 0;
        entry.timer_ticks = file.timer_ticks;
        entry.timer_value_ns = file.timer_value_ns;
        entry.timer_interval_ns = file.timer_interval_ns;
        std::vector<PlanEpollMember> members;
        for (const EpollMember& member : file.members) {
            members.push_back({member.number, member.events, member.data});
        }
        entry.members = writer.Table(members);
        std::vector<PlanDescriptor> descriptors;
        for (const Descriptor& descriptor : image.descriptors) {
            if (descriptor.open_file == i) {
                descriptors.push_back({descriptor.number, descriptor.close_on_exec ? 1 : 0});
            }
        }
        entry.descriptors = writer.Table(descriptors);
        files.push_back(entry);
    }
    return files;
}

}  // namespace

uint64_t FindHole(std::vector<AddressRange> occupied, uint64_t bytes) {
    occupied.push_back({kUserEnd, kUserEnd});
    std::sort(occupied.begin(), occupied.end(), [](const AddressRange& a, const AddressRange& b) {
        return a.start < b.start;
    });
    uint64_t free_from = kUserStart;
    AddressRange largest;
    for (const AddressRange& range : occupied) {
        if (range.start > free_from && range.start - free_from > largest.end - largest.start) {
            largest = {free_from, range.start};
        }
        free_from = std::max(free_from, range.end);
    }
    if (largest.end - largest.start < bytes + 2 * kHugeBytes) {
        return 0;
    }
    // The slack leaves room for the rounding.
    return RoundUp(largest.start + (largest.end - largest.start - bytes) / 2, kHugeBytes);
}

Result<MakerFacts> ReadMaker() {
    MakerFacts facts;
    std::ifstream file("/proc/self/maps");
    std::string line;
    while (std::getline(file, line)) {
        const size_t dash = line.find('-');
        const size_t space = line.find(' ');
        if (dash == std::string::npos || space == std::string::npos || dash > space) {
            return errors::Malformed("/proc/self/maps: " + line);
        }
        const auto start = ParseNumber(std::string_view(line).substr(0, dash), 16);
        const auto end = ParseNumber(std::string_view(line).substr(dash + 1, space - dash - 1), 16);
        if (!start || !end) {
            return errors::Malformed("/proc/self/maps: " + line);
        }
        if (*start >= kUserEnd) {
            continue;
        }
        facts.occupied.push_back({*start, *end});
        const size_t bracket = line.find('[', space);
        if (bracket != std::string::npos) {
            const std::string name = line.substr(bracket);
            if (name == "[vdso]" || name.starts_with("[vvar")) {
                facts.specials.push_back({{*start, *end}, name});
            }
        }
    }
    if (facts.occupied.empty()) {
        return errors::Unavailable("/proc/self/maps cannot be read");
    }
    if (__rseq_size != 0) {
        facts.rseq_address = std::bit_cast<uint64_t>(__builtin_thread_pointer()) +
                             static_cast<uint64_t>(__rseq_offset);
        // The registration is this long although newer libraries tell of less.
        facts.rseq_bytes = std::max(32U, __rseq_size);
        facts.rseq_signature = RSEQ_SIG;
    }
    return facts;
}

std::string SignalFrame(const Thread& thread, uint64_t address) {
    // Without AMX: its state needs a permission that a new process does not have.
    constexpr uint64_t kAmx = 3ULL << 17;
    const uint64_t state_offset = RoundUp(kFrameBytes, 64);
    uint64_t features = 0;
    uint64_t state_bytes = 0;
    if (thread.xstate.size() >= 576) {
        std::memcpy(&features, thread.xstate.data() + 464, sizeof(features));
        features &= ~kAmx;
        state_bytes = XstateBytes(features);
        if (state_bytes > thread.xstate.size()) {
            state_bytes = 0;
        }
    }
    std::string frame(RoundUp(state_offset + (state_bytes == 0 ? 0 : state_bytes + 4), 64), '\0');
    const auto& registers = thread.registers;
    Put<uint64_t>(frame, kFrameContext, state_bytes != 0 ? 7 : 6);
    Put(frame, kFrameStack, thread.altstack_address);
    Put<uint32_t>(
        frame,
        kFrameStack + 8,
        thread.altstack_bytes == 0 ? uint32_t{SS_DISABLE} : thread.altstack_flags);
    Put(frame, kFrameStack + 16, thread.altstack_bytes);
    constexpr std::array<Register, 18> kOrder = {
        kR8,
        kR9,
        kR10,
        kR11,
        kR12,
        kR13,
        kR14,
        kR15,
        kRdi,
        kRsi,
        kRbp,
        kRbx,
        kRdx,
        kRax,
        kRcx,
        kRsp,
        kRip,
        kEflags};
    for (size_t i = 0; i < kOrder.size(); ++i) {
        Put(frame, kFrameRegisters + i * 8, registers[kOrder[i]]);
    }
    const uint64_t segments = kFrameRegisters + kOrder.size() * 8;
    Put(frame, segments, static_cast<uint16_t>(registers[kCs]));
    Put(frame, segments + 6, static_cast<uint16_t>(registers[kSs]));
    Put(frame, kFrameMask, thread.signal_mask);
    if (state_bytes != 0) {
        Put(frame, kFrameRegisters + 184, address + state_offset);
        frame.replace(state_offset, state_bytes, thread.xstate, 0, state_bytes);
        const uint64_t software = state_offset + 464;
        Put<uint32_t>(frame, software, 0x46505853);  // FP_XSTATE_MAGIC1
        Put<uint32_t>(frame, software + 4, static_cast<uint32_t>(state_bytes + 4));
        Put(frame, software + 8, features);
        Put<uint32_t>(frame, software + 16, static_cast<uint32_t>(state_bytes));
        std::memset(frame.data() + software + 20, 0, 28);
        // The header: what is present, not compacted, nothing reserved.
        uint64_t present = 0;
        std::memcpy(&present, frame.data() + state_offset + 512, sizeof(present));
        Put(frame, state_offset + 512, present & features);
        std::memset(frame.data() + state_offset + 520, 0, 56);
        Put<uint32_t>(frame, state_offset + state_bytes, 0x46505845);  // FP_XSTATE_MAGIC2
    }
    return frame;
}

Result<Zone> BuildZone(const PlanInputs& inputs) {
    const Image& image = *inputs.image;
    const Restorer restorer = ReadRestorer();
    PlanWriter writer;
    Plan plan{};

    const MemoryTables memory = MakeMemoryTables(inputs, writer);
    plan.areas = writer.Table(memory.areas);
    plan.huge = writer.Table(memory.huge);
    plan.fills = writer.Table(memory.fills);
    plan.sealed = writer.Table(memory.sealed);
    plan.clone_advice = writer.Table(memory.dont_fork);
    plan.locked = writer.Table(memory.locked);
    std::vector<PlanRange> guards;
    for (const GuardRun& guard : image.guards) {
        guards.push_back({guard.address, guard.address + guard.pages * kPageBytes});
    }
    plan.guards = writer.Table(guards);
    const std::vector<PlanOpenFile> open_files = MakeOpenFiles(image, writer);
    plan.open_files = writer.Table(open_files);
    std::vector<int32_t> numbers;
    for (const Descriptor& descriptor : image.descriptors) {
        numbers.push_back(descriptor.number);
    }
    plan.numbers = writer.Table(numbers);
    plan.descriptor_base = std::max(3, numbers.empty() ? 0 : numbers.back() + 1);
    std::vector<PlanEntropyCall> entropy_calls;
    for (const EntropyCall& call : image.entropy_calls) {
        entropy_calls.push_back({call.address, static_cast<uint32_t>(call.kind), 0});
    }
    plan.entropy_calls = writer.Table(entropy_calls);
    plan.working_directory = writer.String(image.process.working_directory);
    plan.filter = writer.Bytes(inputs.filter);
    plan.filter_instructions = static_cast<uint32_t>(inputs.filter.size() / 8);
    std::vector<PlanRange> working_set = inputs.working_set;
    plan.working_set_unread = std::min<uint64_t>(working_set.size(), kWorkingSetRoom);
    working_set.resize(kWorkingSetRoom);
    plan.working_set = {writer.Table(working_set).offset, 0};
    plan.working_set_room = kWorkingSetRoom;
    const MemoryMapFacts& facts = image.memory;
    plan.memory = {
        facts.start_code,
        facts.end_code,
        facts.start_data,
        facts.end_data,
        facts.start_brk,
        facts.brk,
        facts.start_stack,
        facts.arg_start,
        facts.arg_end,
        facts.env_start,
        facts.env_end,
        writer.Table(facts.auxv).offset,
        static_cast<uint32_t>(facts.auxv.size() * 8),
        static_cast<uint32_t>(facts.exe == kNoFile ? -1 : inputs.file_fds[facts.exe])};
    for (size_t i = 0; i < image.signals.size(); ++i) {
        const SignalAction& action = image.signals[i];
        plan.signals[i] = {action.handler, action.flags, action.restorer, action.mask};
    }
    // Places are known only when the sizes are: entries for them first, filled in below.
    std::vector<PlanThread> threads(image.threads.size());
    plan.threads = writer.Table(threads);
    std::vector<PlanSpecial> specials(inputs.maker->specials.size());
    plan.specials = writer.Table(specials);

    uint64_t park_bytes = 0;
    for (const MakerFacts::Special& special : inputs.maker->specials) {
        park_bytes += special.range.end - special.range.start;
    }
    const uint64_t code_bytes = RoundUp(restorer.code.size(), kPageBytes);
    const uint64_t plan_bytes = RoundUp(writer.size(), kPageBytes);
    const uint64_t stacks_bytes = kTemplateStackBytes + kParentStackBytes + kEntropyStackBytes +
                                  RoundUp(image.threads.size() * kThreadStackBytes, kPageBytes);
    uint64_t frames_bytes = RoundUp(sizeof(KeptData), 64);
    for (const Thread& thread : image.threads) {
        frames_bytes += SignalFrame(thread, 0).size();
    }
    const uint64_t kept_data_bytes = RoundUp(frames_bytes, kPageBytes);
    Zone zone;
    zone.bytes = code_bytes + plan_bytes + stacks_bytes + park_bytes + kPageBytes + kept_data_bytes;
    std::vector<AddressRange> occupied = inputs.maker->occupied;
    for (const Area& area : image.areas) {
        occupied.push_back({area.start, area.end});
    }
    zone.start = FindHole(std::move(occupied), zone.bytes);
    if (zone.start == 0) {
        return errors::Unavailable("no room for the restorer between the areas of the image");
    }
    zone.plan = zone.start + code_bytes;
    const uint64_t thread_stacks = zone.plan + plan_bytes;
    zone.stack_top = thread_stacks + stacks_bytes - kEntropyStackBytes - kParentStackBytes;
    const uint64_t park = thread_stacks + stacks_bytes;
    const uint64_t kept_code = park + park_bytes;
    const uint64_t kept_data = kept_code + kPageBytes;
    zone.entry = zone.start + restorer.entry;

    plan.self = zone.plan;
    plan.zone_start = zone.start;
    plan.zone_end = zone.start + zone.bytes;
    plan.code_bytes = code_bytes;
    plan.kept_start = kept_code;
    plan.kept_code_bytes = kPageBytes;
    plan.kept_data = kept_data;
    plan.gate_thread = kept_code + restorer.gate_thread;
    plan.gate_leader = kept_code + restorer.gate_leader;
    plan.stack_top = zone.stack_top;
    plan.parent_stack_top = park - kEntropyStackBytes;
    plan.entropy_stack_top = park;
    plan.user_end = kUserEnd;
    plan.rseq_address = inputs.maker->rseq_address;
    plan.rseq_bytes = inputs.maker->rseq_bytes;
    plan.rseq_signature = inputs.maker->rseq_signature;
    plan.control_fd = inputs.control_fd;
    plan.image_fd = inputs.image_fd;
    plan.null_fd = inputs.null_fd;
    plan.pid_namespace_fd = inputs.pid_namespace_fd;
    plan.personality = image.process.personality;
    plan.umask = image.process.umask;
    plan.process_group = image.process.process_group;
    plan.session = image.process.session;
    plan.uid = inputs.uid;
    plan.gid = inputs.gid;
    plan.no_new_privs = inputs.no_new_privs ? 1 : 0;

    bool complete = false;
    specials = MatchSpecials(inputs, park, complete);
    if (!complete) {
        return errors::Unavailable("the image's vdso is not that of this kernel");
    }
    std::string kept(kept_data_bytes, '\0');
    uint64_t frame_offset = RoundUp(sizeof(KeptData), 64);
    for (size_t i = 0; i < image.threads.size(); ++i) {
        const Thread& thread = image.threads[i];
        const std::string frame = SignalFrame(thread, kept_data + frame_offset);
        kept.replace(frame_offset, frame.size(), frame);
        PlanThread& entry = threads[i];
        entry.tid = thread.tid;
        entry.rseq_address = thread.rseq_address;
        entry.rseq_bytes = thread.rseq_bytes;
        entry.rseq_signature = thread.rseq_signature;
        entry.fs_base = thread.registers[kFsBase];
        entry.gs_base = thread.registers[kGsBase];
        entry.robust_list = thread.robust_list;
        entry.robust_list_bytes = thread.robust_list_bytes;
        entry.clear_child_tid = thread.clear_child_tid;
        entry.frame = kept_data + frame_offset + kFrameContext;
        entry.stack_top = thread_stacks + (i + 1) * kThreadStackBytes;
        const size_t length = std::min(thread.name.size(), sizeof(entry.name) - 1);
        std::memcpy(entry.name, thread.name.data(), length);
        frame_offset += frame.size();
    }
    const PlanTable thread_table = plan.threads;
    const PlanTable special_table = plan.specials;
    std::string plan_text = writer.Finish(plan);
    std::memcpy(
        plan_text.data() + thread_table.offset,
        threads.data(),
        threads.size() * sizeof(PlanThread));
    std::memcpy(
        plan_text.data() + special_table.offset,
        specials.data(),
        specials.size() * sizeof(PlanSpecial));

    zone.parts.push_back({zone.start, std::string(restorer.code), true});
    zone.parts.push_back({zone.plan, std::move(plan_text), false});
    zone.parts.push_back({kept_code, std::string(restorer.gate), true});
    zone.parts.push_back({kept_data, std::move(kept), false});
    return zone;
}

}  // namespace hearth::snapshot
