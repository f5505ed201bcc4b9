#include "sandbox/host/host.h"

#include "base/log.h"
#include "os/channel.h"
#include "os/file.h"
#include "os/netlink.h"
#include "sandbox/host/egress.h"
#include "sandbox/protocol/unpack_tmp.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace hearth::sandbox {

namespace {

// epoll tags below any slot's index + kSlotTag.
constexpr uint64_t kChannelTag = 1;
constexpr uint64_t kSignalsTag = 2;
constexpr uint64_t kRetryTag = 3;
constexpr uint64_t kRefillTag = 4;
constexpr uint64_t kSlotTag = 16;
// Above them all; then templates and their reports, by slot.
constexpr uint64_t kSavingTag = 1ULL << 32;
constexpr uint64_t kTemplateTag = 1ULL << 33;
constexpr uint64_t kReportTag = 1ULL << 34;

// The pool is refilled this long after the last request: making an environment takes a few
// milliseconds of CPU, which the one that was just handed out needs itself.
constexpr long kRefillDelayNs = 50'000'000;

// A pool that bursts have emptied grows up to this, and shrinks again when none came for a while.
// A prepared environment holds about a quarter of a megabyte.
constexpr size_t kPoolMax = 128;
constexpr long kShrinkDelayS = 60;

// Two user ids and four addresses per environment: options.h, egress.h. The last 64 leave the name
// server's address alone.
constexpr uint32_t kSlotsMax = 16'320;

// Processes of the clones of one template that are looked at.
constexpr int kLearnedMax = 3;

constexpr int64_t kMiB = 1 << 20;
// hearth-init and the kernel's own bookkeeping are charged to the environment, too.
constexpr int64_t kOverheadBytes = 4 * kMiB;
// A template begins as this program once more, and has the tables of a whole process on top.
constexpr int64_t kTemplateBytes = 64 * kMiB;

// What plain environments see instead of a mount: every path that starts with a mount's target,
// alone or in a list with colons, starts with its source.
std::string Relocate(
    const std::string& text, const std::vector<std::pair<std::string, std::string>>& mounts) {
    std::string out;
    size_t start = 0;
    while (start <= text.size()) {
        const size_t end = std::min(text.find(':', start), text.size());
        std::string part = text.substr(start, end - start);
        for (const auto& [target, source] : mounts) {
            if (part == target || part.starts_with(target + "/")) {
                part = source + part.substr(target.size());
                break;
            }
        }
        out += part;
        if (end < text.size()) {
            out.push_back(':');
        }
        start = end + 1;
    }
    return out;
}

uint64_t MonotonicNs() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// What each step took; a step that was not reached took none.
std::array<uint64_t, 6> Phases(uint64_t asked, const snapshot::CloneTimes& times) {
    const uint64_t ends[] = {
        asked,
        times.requested,
        times.started,
        times.joined,
        times.descriptors,
        times.threads,
        times.restored};
    std::array<uint64_t, 6> phases{};
    for (size_t i = 0; i < phases.size(); ++i) {
        phases[i] = ends[i + 1] > ends[i] ? ends[i + 1] - ends[i] : 0;
    }
    return phases;
}

uint64_t InodeOf(int fd) {
    struct stat facts{};
    return ::fstat(fd, &facts) == 0 ? facts.st_ino : 0;
}

// Mounts on one target are one tree, of which later sources hide earlier ones.
std::vector<std::pair<std::string, std::vector<std::string>>> ByTarget(
    const std::vector<MountRequest>& mounts) {
    std::vector<std::pair<std::string, std::vector<std::string>>> by_target;
    for (const MountRequest& mount : mounts) {
        auto it = std::find_if(by_target.begin(), by_target.end(), [&](const auto& one) {
            return one.first == mount.target;
        });
        if (it == by_target.end()) {
            it = by_target.insert(by_target.end(), {mount.target, {}});
        }
        it->second.push_back(mount.source);
    }
    return by_target;
}

}  // namespace

Result<std::unique_ptr<Host>> Host::Make(Parts parts) {
    std::unique_ptr<Host> host(new Host(std::move(parts)));
    host->epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC));
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGCHLD}) {
        ::sigaddset(&watched, signal);
    }
    if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) {
        return errors::System("sigprocmask", errno);
    }
    host->signals_ = os::Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    host->retry_ = os::Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!host->epoll_.valid() || !host->signals_.valid() || !host->retry_.valid()) {
        return errors::System("epoll, signalfd or timerfd", errno);
    }
    HEARTH_TRY(host->filter_, os::SealedMemory("filter", host->parts_.function_filter));
    host->Watch(host->signals_.get(), true, false, kSignalsTag);
    host->refill_ = os::Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    host->Watch(host->retry_.get(), true, false, kRetryTag);
    host->Watch(host->refill_.get(), true, false, kRefillTag);
    return host;
}

Host::~Host() = default;

void Host::Watch(int fd, bool readable, bool writable, uint64_t tag) {
    epoll_event event{};
    event.events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    event.data.u64 = tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    }
}

HostFacts Host::Facts() const {
    HostFacts facts;
    facts.backend = parts_.namespaces ? "namespaces" : "none";
    facts.cgroup_layout = Name(parts_.cgroups.layout());
    facts.rootless = parts_.rootless;
    facts.memory_limit = parts_.cgroups.Has("memory");
    facts.pids_limit = parts_.cgroups.Has("pids");
    facts.cpu_weight = parts_.cgroups.Has("cpu");
    facts.freezer = parts_.cgroups.CanFreeze();
    facts.own_uids = !parts_.rootless;
    facts.egress = parts_.options.egress;
    facts.overlay = parts_.can_overlay;
#if defined(__x86_64__)
    // What a process or a kernel lacks is told when it is tried (docs/internals/snapshots.md).
    facts.snapshots = parts_.namespaces;
#endif
    return facts;
}

Slot* Host::FindById(uint64_t id) {
    for (Slot& slot : slots_) {
        if (slot.id == id && slot.id != 0) {
            return &slot;
        }
    }
    return nullptr;
}

size_t Host::CountOf(Slot::State state) const {
    return static_cast<size_t>(std::count_if(
        slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.state == state; }));
}

// ---- the pool ----

Status Host::StartSlot() {
    if (used_.size() >= kSlotsMax) {
        return errors::Unavailable("too many environments");
    }
    while (used_.contains(next_index_)) {
        next_index_ = (next_index_ + 1) % kSlotsMax;
    }
    Slot slot;
    slot.index = next_index_;
    slot.group = fmt::format("e{}", slot.index);
    next_index_ = (next_index_ + 1) % kSlotsMax;
    HEARTH_RETURN_IF_ERROR(parts_.cgroups.Make(slot.group));
    parts_.cgroups.Delegate(slot.group, parts_.options.uid, parts_.options.gid);
    HEARTH_TRY(auto ends, os::MakeChannel());
    auto pid = parts_.maker.Make(ends.second, parts_.namespaces);
    if (!pid.ok()) {
        parts_.cgroups.Remove(slot.group);
        return std::move(pid).error();
    }
    slot.pid = *pid;
    slot.channel = std::move(ends.first);
    used_.insert(slot.index);
    slots_.push_back(std::move(slot));
    Slot& placed = slots_.back();

    const auto set_up = [&]() -> Status {
        HEARTH_RETURN_IF_ERROR(parts_.cgroups.Join(placed.group, placed.pid));
        if (parts_.namespaces) {
            const std::string folder = fmt::format("/proc/{}/", placed.pid);
            if (parts_.rootless) {
                HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, folder + "setgroups", "deny"));
                HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, folder + "uid_map", "0 0 1\n"));
                HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, folder + "gid_map", "0 0 1\n"));
            } else {
                const uid_t first = FirstUid(parts_.options.data_name) + 2 * placed.index;
                HEARTH_RETURN_IF_ERROR(os::WriteFile(
                    AT_FDCWD,
                    folder + "uid_map",
                    fmt::format("0 {} 1\n{} {} 1\n", first, kRuntimeUid, first + 1)));
                HEARTH_RETURN_IF_ERROR(os::WriteFile(
                    AT_FDCWD,
                    folder + "gid_map",
                    fmt::format("0 {} 1\n{} {} 1\n", first, kRuntimeGid, first + 1)));
            }
        }
        InitGo go{};
        go.magic = kInitMagic;
        if (parts_.namespaces && parts_.options.egress) {
            HEARTH_RETURN_IF_ERROR(Link(placed));
            go.address = EnvironmentAddress(placed.index);
            go.gateway = EnvironmentGateway(placed.index);
        }
        HEARTH_TRY(
            const bool sent,
            os::SendPacket(
                placed.channel.get(),
                std::string_view(reinterpret_cast<const char*>(&go), sizeof(go)),
                {}));
        (void)sent;
        return {};
    };
    if (auto status = set_up(); !status.ok()) {
        Destroy(placed);
        return status;
    }
    Watch(placed.channel.get(), true, false, kSlotTag + placed.index);
    return {};
}

// One end of a veth into the environment's network namespace as eth0, before anything runs there.
Status Host::Link(const Slot& slot) {
    HEARTH_TRY(os::Netlink netlink, os::Netlink::Open());
    const std::string name = slot.group;
    // The kernel removes an ended environment's link in its own time; numbers go round slowly
    // enough.
    HEARTH_RETURN_IF_ERROR(netlink.Remove(name));
    HEARTH_RETURN_IF_ERROR(netlink.AddVethToProcess(name, "eth0", slot.pid));
    HEARTH_RETURN_IF_ERROR(netlink.AddAddress(name, EnvironmentGateway(slot.index), 30));
    return netlink.SetUp(name);
}

// hearth-init has prepared everything, or says why not.
void Host::Prepared(Slot& slot) {
    auto packet = os::ReceivePacket(slot.channel.get(), false);
    std::string problem;
    InitReady ready{};
    if (!packet.ok()) {
        problem = packet.error().message();
    } else if (!packet->has_value()) {
        return;
    } else if ((*packet)->bytes.size() != sizeof(ready)) {
        problem = "hearth-init ended while preparing";
    } else {
        std::memcpy(&ready, (*packet)->bytes.data(), sizeof(ready));
        ready.step[sizeof(ready.step) - 1] = '\0';
        if (ready.magic != kInitMagic || ready.error != 0) {
            problem = fmt::format("{}: {}", ready.step, std::strerror(ready.error));
        } else if ((*packet)->fds.size() != 3) {
            problem = "hearth-init sent no listeners";
        }
    }
    if (!problem.empty()) {
        if (!pool_broken_) {
            log::Error("host: cannot prepare an environment: {}", problem);
        }
        pool_broken_ = true;
        Destroy(slot);
        while (!waiting_.empty()) {
            CreateAnswer answer;
            answer.id = waiting_.front().request.id;
            answer.error = "cannot prepare an environment: " + problem;
            waiting_.pop_front();
            Answer(answer, {});
        }
        return;
    }
    pool_broken_ = false;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, slot.channel.get(), nullptr);
    slot.runtime_api = std::move((*packet)->fds[0]);
    slot.door = std::move((*packet)->fds[1]);
    slot.tmp = std::move((*packet)->fds[2]);
    slot.runtime_api_port = ready.runtime_api_port;
    slot.door_port = ready.door_port;
    if (parts_.namespaces) {
        // What a clone needs of it, ahead of the request. One that cannot be had fails the clone.
        slot.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, slot.pid, 0)));
        if (auto joins = parts_.cgroups.OpenJoins(slot.group); joins.ok()) {
            slot.joins = *std::move(joins);
        }
    }
    slot.state = Slot::State::kReady;
    if (!waiting_.empty()) {
        Asked next = std::move(waiting_.front());
        waiting_.pop_front();
        Create(std::move(next));
    }
}

// ---- requests ----

void Host::Create(Asked asked) {
    Slot* ready = nullptr;
    for (Slot& slot : slots_) {
        if (slot.state == Slot::State::kReady) {
            ready = &slot;
            break;
        }
    }
    if (ready == nullptr) {
        pool_target_ = std::min(std::max<size_t>(pool_target_, 1) * 2, kPoolMax);
        waiting_.push_back(std::move(asked));
        if (CountOf(Slot::State::kPreparing) < waiting_.size()) {
            if (auto started = StartSlot(); !started.ok()) {
                CreateAnswer answer;
                answer.id = waiting_.back().request.id;
                answer.error = started.error().message();
                waiting_.pop_back();
                Answer(answer, {});
            }
        }
        return;
    }
    std::vector<os::Fd> fds;
    auto answer = Assign(*ready, asked, fds);
    if (!answer.ok()) {
        log::Warn("host: environment {}: {}", asked.request.name, answer.error().message());
        CreateAnswer failure;
        failure.id = asked.request.id;
        failure.error = answer.error().message();
        Destroy(*ready);
        Answer(failure, {});
        return;
    }
    if (ready->pending != nullptr) {
        ready->pending->answer = *std::move(answer);
        ready->pending->fds = std::move(fds);
        if (ready->role == kInitHoldsClone && IsNext(*ready)) {
            // The cloud gets its first event ready meanwhile.
            ready->pending->answer.joining = true;
            ready->pending->told = true;
            Answer(ready->pending->answer, std::move(ready->pending->fds));
        }
        return;
    }
    Answer(*answer, std::move(fds));
}

// No other clone has its turn before it.
bool Host::IsNext(const Slot& slot) const {
    return std::none_of(slots_.begin(), slots_.end(), [&slot](const Slot& other) {
        return &other != &slot && other.pending != nullptr && other.role == kInitHoldsClone &&
               other.pending->template_id == slot.pending->template_id;
    });
}

// What hearth-init is told, but for the counts of what comes along.
InitAssign Host::Head(const Slot& slot, const CreateRequest& request) const {
    InitAssign head{};
    head.magic = kInitMagic;
    head.role = slot.role;
    head.open_files_max = static_cast<uint32_t>(request.open_files_max);
    if (!parts_.cgroups.Has("pids")) {
        // Counted per user and user namespace, so per environment.
        head.processes_max = static_cast<uint32_t>(request.pids_max);
    }
    if (!parts_.cgroups.Has("memory")) {
        // The named substitute, per process: private writable memory, with room for the stacks of
        // threads, which are mapped and hardly touched.
        head.data_bytes = static_cast<uint64_t>((request.memory_mb + 192) * kMiB);
    }
    if (!parts_.namespaces && !parts_.rootless) {
        head.plain_uid = FirstUid(parts_.options.data_name) + 2 * slot.index + 1;
    }
    if (parts_.namespaces) {
        head.tmp_bytes =
            static_cast<uint64_t>(std::max<int64_t>(request.ephemeral_storage_mb * kMiB, 64 << 10));
    }
    return head;
}

Result<CreateAnswer> Host::Assign(Slot& slot, const Asked& asked, std::vector<os::Fd>& fds) {
    const CreateRequest& request = asked.request;
    const os::Fd& image = asked.image;
    const bool plain = !parts_.namespaces;
    CreateAnswer answer;
    answer.id = request.id;
    answer.runtime_api_address = fmt::format("127.0.0.1:{}", slot.runtime_api_port);
    answer.door_address = fmt::format("http://127.0.0.1:{}", slot.door_port);

    slot.role = request.holds_template     ? kInitHoldsTemplate
                : request.template_id != 0 ? kInitHoldsClone
                                           : kInitRunsProgram;
    if (slot.role != kInitRunsProgram && (plain || (request.holds_template && !image.valid()))) {
        return errors::Malformed("a template without namespaces, or without an image");
    }
    InitAssign head = Head(slot, request);
    HEARTH_TRY(auto output, os::Pipe());
    HEARTH_TRY(auto error, os::Pipe());
    std::pair<os::Fd, os::Fd> ready;
    if (slot.role != kInitRunsProgram) {
        HEARTH_TRY(ready, os::Pipe());
    }
    std::vector<os::Fd> connections;
    // First of all, so that the template comes to be, or forks, while the rest is done. It opens no
    // file, and the clone runs nothing, before hearth-init writes to `ready`, and hearth-init is
    // told to at the end of the rest.
    if (slot.role == kInitHoldsTemplate) {
        slot.image_bytes = BytesWithoutTmp(image.get());
        slot.pending = std::make_unique<Slot::Pending>();
        HEARTH_RETURN_IF_ERROR(MakeTemplate(slot, asked, ready.first));
    } else if (slot.role == kInitHoldsClone) {
        slot.pending = std::make_unique<Slot::Pending>();
        slot.pending->template_id = request.template_id;
        slot.pending->asked_ns = asked.at_ns;
        HEARTH_TRY(
            connections, MakeClone(slot, head, ready.first, output.second, error.second, request));
    }

    if (parts_.namespaces && parts_.options.egress && !request.egress) {
        HEARTH_TRY(os::Netlink netlink, os::Netlink::Open());
        HEARTH_RETURN_IF_ERROR(netlink.Remove(slot.group));
    }
    os::CgroupLimits limits;
    limits.memory_bytes = (request.memory_mb + request.ephemeral_storage_mb) * kMiB +
                          kOverheadBytes + (request.holds_template ? kTemplateBytes : 0);
    if (const Slot* from = request.template_id == 0 ? nullptr : FindById(request.template_id)) {
        // It shares that much with its template, to whose group it is charged.
        limits.memory_bytes -=
            std::min(static_cast<int64_t>(from->image_bytes), request.memory_mb * kMiB);
    }
    limits.pids = request.pids_max + 1;
    // 1,769 MB is one CPU's worth, as on AWS, and here everybody's default weight.
    limits.cpu_weight = request.memory_mb * 100 / 1769;
    limits.cpu_quota_millis = request.cpu_quota_millis;
    HEARTH_RETURN_IF_ERROR(parts_.cgroups.Limit(slot.group, limits));

    std::vector<std::string> arguments = request.arguments;
    std::vector<std::string> environment = request.environment;
    std::string working_directory = request.working_directory;
    std::vector<std::string> companions = request.companions;
    std::vector<std::string> companion_environment = request.companion_environment;
    std::vector<os::Fd> trees;
    std::vector<std::string> targets;
    std::vector<std::pair<std::string, std::string>> relocations;
    if (plain) {
        for (const MountRequest& mount : request.mounts) {
            HEARTH_TRY(std::string path, parts_.root.SourcePath(mount.source));
            relocations.emplace_back(mount.target, std::move(path));
        }
    } else {
        for (const auto& [target, sources] : ByTarget(request.mounts)) {
            HEARTH_TRY(os::Fd tree, parts_.root.OpenSources(sources));
            trees.push_back(std::move(tree));
            targets.push_back(target);
        }
    }
    if (plain) {
        for (std::string& argument : arguments) {
            argument = Relocate(argument, relocations);
        }
        for (auto* variables : {&environment, &companion_environment}) {
            for (std::string& variable : *variables) {
                const size_t equals = std::min(variable.find('='), variable.size());
                variable = variable.substr(0, equals) +
                           (equals == variable.size()
                                ? ""
                                : "=" + Relocate(variable.substr(equals + 1), relocations));
            }
        }
        working_directory = Relocate(working_directory, relocations);
        for (std::string& companion : companions) {
            companion = Relocate(companion, relocations);
        }
    }
    for (auto* variables : {&environment, &companion_environment}) {
        if (!request.runtime_api_variable.empty()) {
            variables->push_back(request.runtime_api_variable + "=" + answer.runtime_api_address);
        }
        if (!request.door_variable.empty()) {
            variables->push_back(request.door_variable + "=" + answer.door_address);
        }
    }

    HEARTH_TRY(auto control, os::MakeChannel());
    slot.stdout_inode = InodeOf(output.second.get());
    slot.stderr_inode = InodeOf(error.second.get());
    std::vector<std::pair<os::Fd, os::Fd>> companion_outputs;
    for (size_t i = 0; i < companions.size(); ++i) {
        HEARTH_TRY(auto pipe, os::Pipe());
        companion_outputs.push_back(std::move(pipe));
    }

    head.argument_count = static_cast<uint32_t>(arguments.size());
    head.environment_count = static_cast<uint32_t>(environment.size());
    head.mount_count = static_cast<uint32_t>(trees.size());
    head.companion_count = static_cast<uint32_t>(companions.size());
    head.companion_environment_count =
        companions.empty() ? 0 : static_cast<uint32_t>(companion_environment.size());
    std::string strings;
    const auto add = [&](const std::string& text) {
        strings.append(text.c_str(), text.size() + 1);
    };
    std::for_each(arguments.begin(), arguments.end(), add);
    std::for_each(environment.begin(), environment.end(), add);
    std::for_each(targets.begin(), targets.end(), add);
    add(working_directory);
    if (!companions.empty()) {
        std::for_each(companions.begin(), companions.end(), add);
        std::for_each(companion_environment.begin(), companion_environment.end(), add);
    }
    head.string_bytes = static_cast<uint32_t>(strings.size());
    std::string message(reinterpret_cast<const char*>(&head), sizeof(head));
    message += strings;
    if (message.size() > kInitAssignBytesMax) {
        return errors::Malformed("arguments and environment are too large");
    }
    std::vector<int> handed = {
        control.second.get(), output.second.get(), error.second.get(), filter_.get()};
    for (const auto& pipe : companion_outputs) {
        handed.push_back(pipe.second.get());
    }
    for (const os::Fd& tree : trees) {
        handed.push_back(tree.get());
    }
    if (slot.role != kInitRunsProgram) {
        handed.push_back(ready.second.get());
    }
    if (slot.role == kInitHoldsClone) {
        const Slot* from = FindById(request.template_id);
        if (from == nullptr || !from->image.valid()) {
            return errors::Unavailable("the template is gone");
        }
        handed.push_back(from->image.get());
    }
    HEARTH_TRY(const bool sent, os::SendPacket(slot.channel.get(), message, handed));
    (void)sent;

    fds.push_back(std::move(control.first));
    fds.push_back(std::move(output.first));
    fds.push_back(std::move(error.first));
    fds.push_back(std::move(slot.runtime_api));
    fds.push_back(std::move(slot.door));
    fds.push_back(std::move(slot.tmp));
    if (auto freezer = parts_.cgroups.OpenFreezer(slot.group)) {
        answer.flags |= kHasFreezer | (freezer->v2 ? kFreezerV2 : 0);
        fds.push_back(std::move(freezer->file));
    }
    if (auto memory = parts_.cgroups.OpenDirectory(slot.group, "memory")) {
        answer.flags |= kHasMemory | (memory->v2 ? kMemoryV2 : 0);
        fds.push_back(std::move(memory->directory));
    }
    if (auto cpu = parts_.cgroups.OpenDirectory(slot.group, "cpuacct")) {
        answer.flags |= kHasCpu | (cpu->v2 ? kCpuV2 : 0);
        fds.push_back(std::move(cpu->directory));
    }
    for (auto& pipe : companion_outputs) {
        fds.push_back(std::move(pipe.first));
    }
    slot.state = Slot::State::kAssigned;
    slot.id = request.id;
    // A pool that runs out is refilled at once.
    shrink_due_ = false;
    refill_due_ = 2 * CountOf(Slot::State::kReady) < PoolTarget() && PoolTarget() > 4;
    itimerspec later{};
    later.it_value.tv_nsec = kRefillDelayNs;
    ::timerfd_settime(refill_.get(), 0, &later, nullptr);
    // Nothing more is said to this environment, and nothing it might say is read.
    slot.channel.Close();
    std::move(connections.begin(), connections.end(), std::back_inserter(fds));
    slot.pidfd.Close();
    slot.joins.clear();
    log::Debug("host: environment {} is {}", request.name, slot.group);
    return answer;
}

void Host::Answer(const CreateAnswer& answer, std::vector<os::Fd> fds) {
    Send(EncodeCreated(answer), std::move(fds));
}

// ---- templates and clones ----

Status Host::MakeTemplate(Slot& slot, const Asked& asked, const os::Fd& ready) {
    HEARTH_TRY(auto control, snapshot::TemplateSockets());
    HEARTH_TRY(auto report, os::MakeChannel());
    HEARTH_TRY(slot.image, os::Duplicate(asked.image.get()));
    if (asked.memory_use.valid()) {
        HEARTH_TRY(slot.memory_use, os::Duplicate(asked.memory_use.get()));
    }
    const TemplateJob job{.init = slot.pid};
    HEARTH_TRY(
        slot.template_pid,
        parts_.maker.MakeTemplate(
            job,
            {.control = control.second,
             .report = report.second,
             .image = asked.image,
             .filter = filter_,
             .ready = ready,
             .memory_use = asked.memory_use}));
    // The image's memory is charged to the template's own environment.
    HEARTH_RETURN_IF_ERROR(parts_.cgroups.Join(slot.group, slot.template_pid));
    slot.control = std::make_unique<snapshot::TemplateControl>(std::move(control.first));
    slot.report = std::move(report.first);
    Watch(slot.control->fd(), true, false, kTemplateTag + slot.index);
    Watch(slot.report.get(), true, false, kReportTag + slot.index);
    return {};
}

// Returns our ends of the connections that it goes on with.
Result<std::vector<os::Fd>> Host::MakeClone(
    Slot& slot,
    const InitAssign& head,
    const os::Fd& ready,
    const os::Fd& output,
    const os::Fd& error,
    const CreateRequest& asked) {
    const Slot* from = FindById(slot.pending->template_id);
    if (from == nullptr || from->state != Slot::State::kAssigned || from->control == nullptr ||
        from->pending != nullptr) {
        return errors::Unavailable("the template is gone");
    }
    const os::Fd init = std::move(slot.pidfd);
    const std::vector<os::Fd> joins = std::exchange(slot.joins, {});
    if (!init.valid() || joins.empty() != (parts_.cgroups.layout() == os::CgroupLayout::kNone)) {
        return errors::Unavailable("the environment's control files could not be opened");
    }
    std::vector<os::Fd> ours;
    std::vector<os::Fd> theirs;
    for (uint32_t i = 0; i < asked.connections; ++i) {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            return errors::System("socketpair", errno);
        }
        ours.emplace_back(ends[0]);
        theirs.emplace_back(ends[1]);
    }
    snapshot::CloneRequest request;
    request.sandbox_pidfd = init.get();
    request.namespaces =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    request.ready_fd = ready.get();
    request.adopted = true;
    request.restrict_files = true;
    request.populate = asked.ahead;
    for (const os::Fd& join : joins) {
        request.cgroup_fds.push_back(join.get());
    }
    request.stand_ins = {output.get(), error.get()};
    for (const os::Fd& connection : theirs) {
        request.stand_ins.push_back(connection.get());
    }
    const auto limit = [&request](int resource, uint64_t value) {
        request.limits.push_back({.resource = resource, .soft = value, .hard = value});
    };
    // As hearth-init sets them for a runtime that it starts.
    limit(RLIMIT_NOFILE, head.open_files_max);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_MEMLOCK, 64 << 10);
    limit(RLIMIT_MSGQUEUE, 0);
    if (head.processes_max != 0) {
        limit(RLIMIT_NPROC, head.processes_max);
    }
    if (head.data_bytes != 0) {
        limit(RLIMIT_DATA, head.data_bytes);
    }
    HEARTH_TRY(slot.serial, from->control->RequestClone(request));
    slot.from = from->id;
    return ours;
}

void Host::FinishPending(Slot& slot, const std::string& error) {
    if (slot.pending == nullptr) {
        return;
    }
    const auto pending = std::move(slot.pending);
    if (error.empty()) {
        if (pending->told) {
            Send(EncodeRestored(pending->answer), {});
        } else {
            Answer(pending->answer, std::move(pending->fds));
        }
        return;
    }
    CreateAnswer failure;
    failure.id = slot.id;
    failure.error = error;
    failure.unusable = pending->answer.unusable;
    if (pending->told) {
        Send(EncodeRestored(failure), {});
    } else {
        Answer(failure, {});
    }
    Destroy(slot);
}

void Host::TemplateSaid(uint32_t index) {
    using Kind = snapshot::CloneEvent::Kind;
    for (;;) {
        Slot* holding = nullptr;
        for (Slot& slot : slots_) {
            if (slot.index == index && slot.control != nullptr) {
                holding = &slot;
            }
        }
        if (holding == nullptr) {
            return;
        }
        auto event = holding->control->Receive();
        if (!event.ok()) {
            if (holding->pending != nullptr && holding->report.valid()) {
                // What it has to say comes on the other channel.
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, holding->control->fd(), nullptr);
                return;
            }
            TemplateGone(*holding, "the template has died");
            return;
        }
        if (!event->has_value()) {
            return;
        }
        if ((*event)->kind == Kind::kServing) {
            FinishPending(*holding, "");
        } else if ((*event)->kind == Kind::kStarted) {
            // The clone itself may have been quicker to say that it runs.
            for (Slot& slot : slots_) {
                if (holding->memory_use.valid() && slot.state == Slot::State::kAssigned &&
                    slot.from == holding->id && slot.serial == (*event)->serial) {
                    slot.runtime = std::move((*event)->pidfd);
                    if (slot.to_learn) {
                        Learn(slot.id);
                    }
                    break;
                }
            }
        } else if ((*event)->kind == Kind::kRestored || (*event)->kind == Kind::kFailed) {
            for (Slot& slot : slots_) {
                if (slot.pending != nullptr && slot.role == kInitHoldsClone &&
                    slot.pending->template_id == holding->id && slot.serial == (*event)->serial) {
                    slot.pending->answer.phases = Phases(slot.pending->asked_ns, (*event)->times);
                    FinishPending(
                        slot,
                        (*event)->kind == Kind::kRestored ? ""
                                                          : "restoring it: " + (*event)->error);
                    break;
                }
            }
        }
    }
}

// A few times for each template: clones of one image differ little in what calls touch first, but
// one may end before it has been read.
void Host::Learn(uint64_t id) {
    Slot* const clone = FindById(id);
    if (clone == nullptr) {
        return;
    }
    if (!clone->runtime.valid()) {
        // It has answered before its template said that it is there.
        clone->to_learn = true;
        return;
    }
    const os::Fd runtime = std::move(clone->runtime);
    Slot* const from = FindById(clone->from);
    if (from == nullptr || from->control == nullptr || !from->memory_use.valid()) {
        return;
    }
    os::Fd last_use;
    if (++from->learned >= kLearnedMax) {
        last_use = std::move(from->memory_use);
    }
    const os::Fd& memory_use = last_use.valid() ? last_use : from->memory_use;
    auto control = os::Duplicate(from->control->fd());
    if (!control.ok()) {
        return;
    }
    if (auto started = parts_.maker.Learn(
            {.control = *control,
             .image = from->image,
             .memory_use = memory_use,
             .runtime = runtime});
        !started.ok()) {
        log::Warn("host: {}", started.error().message());
    }
}

// The channel ends when the process has become a template.
void Host::TemplateFailed(uint32_t index) {
    for (Slot& slot : slots_) {
        if (slot.index != index || !slot.report.valid()) {
            continue;
        }
        auto packet = os::ReceivePacket(slot.report.get(), false);
        if (packet.ok() && !packet->has_value()) {
            return;
        }
        slot.report.Close();
        if (packet.ok() && !(*packet)->bytes.empty()) {
            if (slot.pending != nullptr) {
                slot.pending->answer.unusable = (*packet)->bytes[0] == kTemplateUnusable;
            }
            TemplateGone(slot, (*packet)->bytes.substr(1));
        } else if (!slot.control) {
            TemplateGone(slot, "the template has died");
        }
        return;
    }
}

void Host::TemplateGone(Slot& slot, const std::string& reason) {
    const uint64_t id = slot.id;
    slot.control.reset();
    FinishPending(slot, reason);
    // Whoever waits for a clone of it waits in vain.
    for (auto next = slots_.begin(); next != slots_.end();) {
        Slot& clone = *next++;
        if (clone.pending != nullptr && clone.role == kInitHoldsClone &&
            clone.pending->template_id == id) {
            FinishPending(clone, reason);
        }
    }
}

// ---- saving ----

void Host::Save(const SaveMessage& message, std::vector<os::Fd> fds) {
    const auto start = [&]() -> Status {
        const Slot* slot = FindById(message.id);
        if (slot == nullptr || slot->state != Slot::State::kAssigned) {
            return errors::Unavailable("the environment is gone");
        }
        if (!parts_.namespaces || fds.size() != 1) {
            return errors::Malformed("a runtime without namespaces, or no image to write");
        }
        DumpJob job;
        job.environment = message.id;
        job.init = slot->pid;
        job.stdout_inode = slot->stdout_inode;
        job.stderr_inode = slot->stderr_inode;
        job.port_count = static_cast<uint32_t>(message.ports.size());
        std::copy(message.ports.begin(), message.ports.end(), job.ports);
        HEARTH_TRY(auto ends, os::MakeChannel());
        HEARTH_TRY(const pid_t pid, parts_.maker.Dump(job, ends.second, fds[0]));
        savings_.push_back(
            {.tag = kSavingTag + next_saving_tag_++,
             .id = message.id,
             .pid = pid,
             .channel = std::move(ends.first)});
        Watch(savings_.back().channel.get(), true, false, savings_.back().tag);
        return {};
    };
    if (const Status started = start(); !started.ok()) {
        Send(EncodeSaved({.id = message.id, .error = started.error().message()}), {});
    }
}

void Host::Saved(uint64_t tag) {
    const auto saving = std::find_if(
        savings_.begin(), savings_.end(), [tag](const Saving& one) { return one.tag == tag; });
    if (saving == savings_.end()) {
        return;
    }
    auto packet = os::ReceivePacket(saving->channel.get(), false);
    if (packet.ok() && !packet->has_value()) {
        return;
    }
    // The child runs no code of the runtime, but it has read a hostile process: its words are
    // checked like anybody's.
    SaveAnswer answer{.id = saving->id, .error = "the helper that saves runtimes has died"};
    if (packet.ok() && !(*packet)->bytes.empty()) {
        if (auto said = DecodeSaved((*packet)->bytes); said.ok()) {
            answer = *std::move(said);
            answer.id = saving->id;
        }
    }
    ::kill(saving->pid, SIGKILL);
    savings_.erase(saving);
    Send(EncodeSaved(answer), {});
}

void Host::StopSaving(uint64_t id) {
    for (const Saving& saving : savings_) {
        if (saving.id == id) {
            // Its channel ends, which Saved sees.
            ::kill(saving.pid, SIGKILL);
        }
    }
}

// ---- the end of an environment ----

void Host::Destroy(Slot& slot) {
    if (slot.state == Slot::State::kDying) {
        return;
    }
    slot.state = Slot::State::kDying;
    StopSaving(slot.id);
    slot.pending.reset();
    if (slot.template_pid > 0) {
        ::kill(slot.template_pid, SIGKILL);
        slot.template_pid = -1;
    }
    slot.control.reset();
    slot.report.Close();
    slot.image.Close();
    slot.memory_use.Close();
    slot.runtime.Close();
    slot.channel.Close();
    slot.pidfd.Close();
    slot.joins.clear();
    slot.runtime_api.Close();
    slot.door.Close();
    slot.tmp.Close();
    // The whole pid namespace goes with its first process; the group catches plain environments. In
    // v1 a frozen process dies only when thawed, which Kill does after.
    if (!slot.reaped) {
        ::kill(slot.pid, SIGKILL);
    }
    parts_.cgroups.Kill(slot.group);
    TryRemove(slot);
}

void Host::TryRemove(Slot& slot) {
    // Not before it is reaped: until then it is in its group.
    if (slot.state != Slot::State::kDying || !slot.reaped) {
        return;
    }
    if (!parts_.cgroups.Remove(slot.group)) {
        // Processes of a dead pid namespace are reaped by the kernel in its own time.
        parts_.cgroups.Kill(slot.group);
        itimerspec soon{};
        soon.it_value.tv_nsec = 2'000'000;
        ::timerfd_settime(retry_.get(), 0, &soon, nullptr);
        return;
    }
    if (slot.destroy_requested) {
        Send(EncodeId(PacketKind::kDestroyed, slot.id), {});
    }
    used_.erase(slot.index);
    slots_.remove_if([&](const Slot& other) { return &other == &slot; });
}

void Host::Retry() {
    uint64_t count = 0;
    (void)!::read(retry_.get(), &count, sizeof(count));
    for (auto next = slots_.begin(); next != slots_.end();) {
        Slot& slot = *next++;
        TryRemove(slot);
    }
}

void Host::RefillDue() {
    uint64_t count = 0;
    (void)!::read(refill_.get(), &count, sizeof(count));
    const auto base = static_cast<size_t>(parts_.options.pool);
    if (std::exchange(shrink_due_, false) && CountOf(Slot::State::kReady) >= PoolTarget()) {
        // Nobody has taken one all the time since.
        pool_target_ = std::max(base, pool_target_ / 2);
        for (auto next = slots_.begin();
             next != slots_.end() && CountOf(Slot::State::kReady) > PoolTarget();) {
            Slot& slot = *next++;
            if (slot.state == Slot::State::kReady) {
                Destroy(slot);
            }
        }
    }
    refill_due_ = true;
    if (pool_target_ > base) {
        shrink_due_ = true;
        itimerspec later{};
        later.it_value.tv_sec = kShrinkDelayS;
        ::timerfd_settime(refill_.get(), 0, &later, nullptr);
    }
}

size_t Host::PoolTarget() const {
    const auto base = static_cast<size_t>(parts_.options.pool);
    return base == 0 ? 0 : std::max(base, pool_target_);
}

void Host::Reap() {
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
        if (pid <= 0) {
            return;
        }
        if (pid == parts_.maker.pid()) {
            log::Error("host: the helper that makes processes has died");
            stopping_ = true;
            continue;
        }
        for (Slot& slot : slots_) {
            if (slot.pid != pid || slot.reaped) {
                continue;
            }
            slot.reaped = true;
            if (slot.state == Slot::State::kReady) {
                log::Warn("host: a prepared environment died");
                Destroy(slot);
            } else if (slot.state == Slot::State::kDying) {
                TryRemove(slot);
            } else if (slot.pending != nullptr && slot.role == kInitHoldsClone) {
                // If the clone ran before it died, it has said so.
                if (const Slot* from = FindById(slot.pending->template_id)) {
                    TemplateSaid(from->index);
                }
                FinishPending(slot, "its first process has died");
            }
            // kPreparing: its channel ends and Prepared tells why. kAssigned: the cloud sees the
            // end of its control socket, reads what the group counted, and asks for Destroy.
            break;
        }
    }
}

void Host::DestroyAll(bool with_pool) {
    waiting_.clear();
    for (auto next = slots_.begin(); next != slots_.end();) {
        Slot& slot = *next++;
        slot.destroy_requested = false;
        if (with_pool || slot.state == Slot::State::kAssigned) {
            Destroy(slot);
        }
    }
    while (CountOf(Slot::State::kDying) > 0) {
        epoll_event events[64];
        const int count = ::epoll_wait(epoll_.get(), events, 64, 10'000);
        if (count == 0) {
            log::Error("host: environments that do not die: {}", CountOf(Slot::State::kDying));
            return;
        }
        for (int i = 0; i < count; ++i) {
            if (events[i].data.u64 == kSignalsTag) {
                Signalled();
            } else if (events[i].data.u64 == kRetryTag) {
                Retry();
            } else if (events[i].data.u64 == kRefillTag) {
                RefillDue();
            } else if (events[i].data.u64 >= kReportTag) {
                TemplateFailed(static_cast<uint32_t>(events[i].data.u64 - kReportTag));
            } else if (events[i].data.u64 >= kTemplateTag) {
                TemplateSaid(static_cast<uint32_t>(events[i].data.u64 - kTemplateTag));
            } else if (events[i].data.u64 >= kSavingTag) {
                Saved(events[i].data.u64);
            } else if (events[i].data.u64 == kChannelTag) {
                // Later: silence it, or the wait spins.
                Watch(parts_.options.channel_fd, false, false, kChannelTag);
            } else {
                for (Slot& slot : slots_) {
                    if (slot.index + kSlotTag == events[i].data.u64 &&
                        slot.state == Slot::State::kPreparing) {
                        Prepared(slot);
                        break;
                    }
                }
            }
        }
    }
    if (!with_pool) {
        Watch(parts_.options.channel_fd, true, !outgoing_.empty(), kChannelTag);
    }
}

// ---- the channel ----

void Host::Send(std::string bytes, std::vector<os::Fd> fds) {
    outgoing_.push_back({std::move(bytes), std::move(fds)});
    Flush();
}

std::vector<os::Fd> Host::NameSocket() const {
    std::vector<os::Fd> fds;
    if (parts_.name_socket.valid()) {
        if (auto copy = os::Duplicate(parts_.name_socket.get()); copy.ok()) {
            fds.push_back(*std::move(copy));
        }
    }
    return fds;
}

void Host::Flush() {
    while (!outgoing_.empty()) {
        std::vector<int> numbers;
        for (const os::Fd& fd : outgoing_.front().fds) {
            numbers.push_back(fd.get());
        }
        auto sent = os::SendPacket(parts_.options.channel_fd, outgoing_.front().bytes, numbers);
        if (sent.ok() && !*sent) {
            Watch(parts_.options.channel_fd, true, true, kChannelTag);
            return;
        }
        if (!sent.ok()) {
            log::Warn("host: channel: {}", sent.error().message());
        }
        outgoing_.pop_front();
    }
    Watch(parts_.options.channel_fd, true, false, kChannelTag);
}

void Host::ReadRequests() {
    // A bounded number per wake, so that deaths are noticed between them.
    for (int i = 0; i < 16; ++i) {
        auto packet = os::ReceivePacket(parts_.options.channel_fd, false);
        if (!packet.ok()) {
            log::Warn("host: channel: {}", packet.error().message());
            return;
        }
        if (!packet->has_value()) {
            return;
        }
        if ((*packet)->bytes.empty()) {
            channel_ended_ = true;
            return;
        }
        Handle((*packet)->bytes, std::move((*packet)->fds));
    }
}

void Host::Handle(const std::string& packet, std::vector<os::Fd> fds) {
    const auto kind = DecodeKind(packet);
    if (!kind.ok()) {
        log::Warn("host: {}", kind.error().message());
        return;
    }
    switch (*kind) {
        case PacketKind::kCloudHello: {
            const auto nonce = DecodeNumber(packet);
            if (!nonce.ok()) {
                log::Warn("host: {}", nonce.error().message());
                return;
            }
            DestroyAll(false);
            Send(EncodeCloudWelcome(*nonce, Facts()), NameSocket());
            return;
        }
        case PacketKind::kCreate: {
            auto request = DecodeCreate(packet);
            if (!request.ok()) {
                log::Warn("host: refused a request: {}", request.error().message());
                // The id is the first number; without it nobody can be answered.
                CreateAnswer answer;
                if (packet.size() >= 1 + sizeof(answer.id)) {
                    std::memcpy(&answer.id, packet.data() + 1, sizeof(answer.id));
                    answer.error = request.error().message();
                    Answer(answer, {});
                }
                return;
            }
            // A cloud that sees a new host asks again for what it had asked the old one.
            if (FindById(request->id) != nullptr ||
                std::any_of(waiting_.begin(), waiting_.end(), [&](const Asked& other) {
                    return other.request.id == request->id;
                })) {
                return;
            }
            Create(
                {.request = *std::move(request),
                 .image = fds.empty() ? os::Fd() : std::move(fds[0]),
                 .memory_use = fds.size() < 2 ? os::Fd() : std::move(fds[1]),
                 .at_ns = MonotonicNs()});
            return;
        }
        case PacketKind::kDestroy: {
            const auto id = DecodeNumber(packet);
            if (!id.ok()) {
                log::Warn("host: {}", id.error().message());
                return;
            }
            if (Slot* slot = FindById(*id)) {
                slot->destroy_requested = true;
                Destroy(*slot);
                return;
            }
            // Still waiting for a prepared one, or unknown.
            std::erase_if(
                waiting_, [&](const Asked& waiting) { return waiting.request.id == *id; });
            Send(EncodeId(PacketKind::kDestroyed, *id), {});
            return;
        }
        case PacketKind::kSave: {
            const auto message = DecodeSave(packet);
            if (!message.ok()) {
                log::Warn("host: refused a request: {}", message.error().message());
                return;
            }
            Save(*message, std::move(fds));
            return;
        }
        case PacketKind::kLearn: {
            if (const auto id = DecodeNumber(packet); id.ok()) {
                Learn(*id);
            }
            return;
        }
        case PacketKind::kHostHello:
        case PacketKind::kCloudWelcome:
        case PacketKind::kCreated:
        case PacketKind::kDestroyed:
        case PacketKind::kSaved:
        case PacketKind::kRestored:
            log::Warn("host: a packet that only the host sends");
            return;
    }
}

// ---- the loop ----

void Host::Signalled() {
    signalfd_siginfo information{};
    while (::read(signals_.get(), &information, sizeof(information)) > 0) {
        switch (static_cast<int>(information.ssi_signo)) {
            case SIGCHLD:
                Reap();
                break;
            case SIGHUP:
                // The cloud died. What it had asked for dies with it; its successor says Hello.
                log::Info("host: the cloud is gone; its environments go");
                for (auto next = slots_.begin(); next != slots_.end();) {
                    Slot& slot = *next++;
                    slot.destroy_requested = false;
                    if (slot.state == Slot::State::kAssigned) {
                        Destroy(slot);
                    }
                }
                waiting_.clear();
                break;
            default:
                stopping_ = true;
                break;
        }
    }
}

bool Host::Step(int timeout_ms) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, 64, timeout_ms);
    for (int i = 0; i < count; ++i) {
        const uint64_t tag = events[i].data.u64;
        if (tag == kChannelTag) {
            if ((events[i].events & EPOLLOUT) != 0) {
                Flush();
            }
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
                ReadRequests();
            }
        } else if (tag == kSignalsTag) {
            Signalled();
        } else if (tag == kRetryTag) {
            Retry();
        } else if (tag == kRefillTag) {
            RefillDue();
        } else if (tag >= kReportTag) {
            TemplateFailed(static_cast<uint32_t>(tag - kReportTag));
        } else if (tag >= kTemplateTag) {
            TemplateSaid(static_cast<uint32_t>(tag - kTemplateTag));
        } else if (tag >= kSavingTag) {
            Saved(tag);
        } else {
            for (Slot& slot : slots_) {
                if (slot.index + kSlotTag == tag && slot.state == Slot::State::kPreparing) {
                    Prepared(slot);
                    break;
                }
            }
        }
    }
    return count > 0;
}

Status Host::TryOne() {
    HEARTH_RETURN_IF_ERROR(StartSlot());
    while (CountOf(Slot::State::kPreparing) > 0) {
        if (!Step(30'000)) {
            return errors::Internal("an environment did not get ready in 30 s");
        }
    }
    if (pool_broken_ || CountOf(Slot::State::kReady) == 0) {
        return errors::Internal("environments cannot be prepared on this machine");
    }
    return {};
}

Status Host::Run() {
    ::fcntl(parts_.options.channel_fd, F_SETFL, O_NONBLOCK);
    Watch(parts_.options.channel_fd, true, false, kChannelTag);
    Send(EncodeHostHello(Facts()), NameSocket());
    while (!stopping_ && !channel_ended_) {
        const size_t ahead = CountOf(Slot::State::kReady) + CountOf(Slot::State::kPreparing);
        const bool refill = refill_due_ && ahead < PoolTarget() && !pool_broken_ &&
                            CountOf(Slot::State::kPreparing) == 0;
        // Requests first; the pool is filled one by one when nothing else is to do.
        if (Step(refill ? 0 : -1) || !refill) {
            continue;
        }
        if (auto started = StartSlot(); !started.ok()) {
            log::Warn("host: cannot prepare an environment: {}", started.error().message());
            pool_broken_ = true;
        }
    }
    DestroyAll(true);
    parts_.cgroups.Sweep(std::chrono::seconds(5));
    parts_.cgroups.RemoveTree();
    return {};
}

}  // namespace hearth::sandbox
