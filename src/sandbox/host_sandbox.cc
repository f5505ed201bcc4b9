#include "sandbox/host_sandbox.h"

#include "base/log.h"
#include "os/channel.h"
#include "os/file.h"
#include "rt/fd_watch.h"
#include "rt/timer.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/protocol/unpack_tmp.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>

namespace hearth::sandbox {

namespace {

uint64_t ParseNumber(std::string_view text) {
    uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// The number after `key` and a space at the start of a line; 0 without it.
uint64_t FindNumber(std::string_view text, std::string_view key) {
    size_t position = 0;
    while (position < text.size()) {
        const std::string_view line = text.substr(position, text.find('\n', position) - position);
        if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
            return ParseNumber(line.substr(key.size() + 1));
        }
        position += line.size() + 1;
    }
    return 0;
}

}  // namespace

// What a function of so much memory may use of its own, besides the template that it came from.
uint64_t OwnBytes(int64_t memory_mb, uint64_t template_bytes) {
    const uint64_t bytes = static_cast<uint64_t>(memory_mb) << 20;
    constexpr uint64_t kOwnBytesMin = 4 << 20;
    return bytes > template_bytes + kOwnBytesMin ? bytes - template_bytes : kOwnBytesMin;
}

// Which environments of one template are to tell it what memory calls use. The first calls may come
// one after the other, long before any environment has been idle long enough to be frozen, so the
// first two do it right after their first call. One of them may end before it has been read; a
// third one does it when it is frozen, with all that it has used by then.
struct Learning {
    std::atomic<int> after_call{2};
    std::atomic<int> frozen{1};
};

// An environment whose descriptors have come up: everything on a hot path happens here, without the
// host.
class HostEnvironment final : public Environment {
  public:
    HostEnvironment(
        HostSandbox& sandbox,
        const CreateRequest& request,
        uint64_t template_bytes,
        std::shared_ptr<Learning> learning,
        HostSandbox::Created created)
        : sandbox_(sandbox),
          id_(request.id),
          learning_(std::move(learning)),
          memory_bytes_(OwnBytes(request.memory_mb, template_bytes)),
          template_bytes_(template_bytes),
          ended_(1 + request.companions.size()) {
        std::vector<os::Fd>& fds = created.fds;
        flags_ = created.answer.flags;
        restored_ = std::move(created.restored);
        if (request.template_id != 0 && restored_ == nullptr) {
            SetPhases(created.answer);
        }
        control_ = std::move(fds[0]);
        stdout_ = std::move(fds[1]);
        stderr_ = std::move(fds[2]);
        runtime_api_ = std::move(fds[3]);
        door_ = std::move(fds[4]);
        tmp_ = std::move(fds[5]);
        size_t next = kCreatedFdsMin;
        for (const auto& [flag, target] :
             {std::pair{kHasFreezer, &freezer_}, {kHasMemory, &memory_}, {kHasCpu, &cpu_}}) {
            if ((flags_ & flag) != 0 && next < fds.size()) {
                *target = std::move(fds[next++]);
            }
        }
        const size_t companions = request.companions.size();
        for (size_t i = 0; i < companions && next < fds.size(); ++i) {
            companion_outputs_.push_back(std::move(fds[next++]));
        }
        for (size_t i = 0; i < request.connections && next < fds.size(); ++i) {
            connections_.push_back(std::move(fds[next++]));
        }
    }

    ~HostEnvironment() override {
        if (!destroyed_) {
            sandbox_.Destroy(id_, nullptr);
        }
    }

    os::Fd TakeRuntimeApiListener() override { return std::move(runtime_api_); }

    os::Fd TakeDoorListener() override { return std::move(door_); }

    os::Fd TakeStdout() override { return std::move(stdout_); }

    os::Fd TakeStderr() override { return std::move(stderr_); }

    os::Fd TakeCompanionOutput(size_t companion) override {
        return companion >= 1 && companion <= companion_outputs_.size()
                   ? std::move(companion_outputs_[companion - 1])
                   : os::Fd();
    }

    std::vector<os::Fd> TakeConnections() override { return std::move(connections_); }

    Task<Status> WaitRestored() override {
        if (const auto wait = std::move(restored_); wait != nullptr) {
            HEARTH_CO_TRY(const CreateAnswer answer, co_await wait->Wait());
            SetPhases(answer);
        }
        co_return Status();
    }

    std::optional<RestorePhases> restore_phases() const override { return phases_; }

    Task<Result<SaveReport>> Save(SaveRequest request) override {
        co_return co_await sandbox_.Save(id_, std::move(request));
    }

    Task<Status> StartCompanions() override { co_return Control(kControlStartCompanions); }

    Task<Status> Start() override { co_return Control(kControlStart); }

    Status SignalProcess(size_t process, int signal) override {
        if (signal < 1 || signal > 64 || process >= ended_.size()) {
            return errors::Malformed("signal or process number");
        }
        return Control(static_cast<unsigned char>(signal), static_cast<unsigned char>(process));
    }

    Task<Result<os::Fd>> MakeSocket() override {
        const auto wait = std::make_shared<rt::Completion<Result<os::Fd>>>();
        HEARTH_CO_RETURN_IF_ERROR(Control(kControlSocket));
        sockets_.push_back(wait);
        auto socket = co_await wait->WaitFor(kSocketPatience);
        if (!socket.has_value()) {
            co_return errors::Unavailable("the environment did not make a socket in time");
        }
        co_return *std::move(socket);
    }

    Status SetCpuQuota(int64_t cpu_quota_millis) override {
        constexpr int64_t kPeriodUs = 20'000;
        const int64_t quota_us = std::max<int64_t>(1'000, cpu_quota_millis * kPeriodUs / 1'000);
        const auto write = [this](const char* name, const std::string& text) -> Status {
            HEARTH_TRY(const os::Fd file, os::Open(cpu_.get(), name, O_WRONLY));
            if (::write(file.get(), text.data(), text.size()) < 0) {
                return errors::System(name, errno);
            }
            return {};
        };
        if (!cpu_.valid()) {
            return Environment::SetCpuQuota(cpu_quota_millis);
        }
        if ((flags_ & kCpuV2) != 0) {
            return write("cpu.max", fmt::format("{} {}", quota_us, kPeriodUs));
        }
        HEARTH_RETURN_IF_ERROR(write("cpu.cfs_period_us", std::to_string(kPeriodUs)));
        return write("cpu.cfs_quota_us", std::to_string(quota_us));
    }

    void Answered() override {
        if (!std::exchange(answered_, true) && learning_ != nullptr) {
            LearnOnce(learning_->after_call);
        }
    }

    Task<Status> Freeze() override {
        if (answered_ && learning_ != nullptr) {
            LearnOnce(learning_->frozen);
        }
        co_return SetFrozen(true);
    }

    Task<Status> Thaw() override { co_return SetFrozen(false); }

    Task<Result<ExitReport>> WaitExit() override {
        HEARTH_CO_TRY(ProcessExit exit, co_await WaitProcessExit());
        co_return std::move(exit.report);
    }

    Task<Result<ProcessExit>> WaitProcessExit() override {
        rt::TaskGroup group;
        group.Spawn(OverseeMemory());
        auto report = co_await WaitReport();
        group.Cancel();
        try {
            co_await group.Join();
        } catch (const std::exception&) {
            // The overseer was unwound: that is what Cancel is for.
        }
        co_return report;
    }

  private:
    // Of one environment once: the host has let go of its process then.
    void LearnOnce(std::atomic<int>& wanted) {
        if (learned_ || wanted.load() <= 0) {
            return;
        }
        if (wanted.fetch_sub(1) > 0) {
            learned_ = true;
            sandbox_.Send(EncodeId(PacketKind::kLearn, id_));
        }
    }

    void SetPhases(const CreateAnswer& answer) {
        const auto& phases = answer.phases;
        using std::chrono::nanoseconds;
        phases_ = RestorePhases{
            .sandbox = nanoseconds(phases[0]),
            .clone = nanoseconds(phases[1]),
            .join = nanoseconds(phases[2]),
            .descriptors = nanoseconds(phases[3]),
            .threads = nanoseconds(phases[4]),
            .filter = nanoseconds(phases[5])};
    }

    Task<Result<ProcessExit>> WaitReport() {
        HEARTH_CO_TRY(rt::FdWatch watch, rt::FdWatch::Make(control_.get()));
        for (;;) {
            HEARTH_CO_RETURN_IF_ERROR(co_await watch.Readable());
            auto packet = os::ReceivePacket(control_.get(), false);
            if (packet.ok() && !packet->has_value()) {
                continue;
            }
            std::string_view bytes;
            if (packet.ok()) {
                bytes = (*packet)->bytes;
            }
            if (InitSocket answer{}; bytes.size() == sizeof(answer)) {
                std::memcpy(&answer, bytes.data(), sizeof(answer));
                if (answer.magic == kInitSocketMagic) {
                    SocketCame(answer, std::move((*packet)->fds));
                    continue;
                }
            }
            InitReport report{};
            const bool whole = bytes.size() == sizeof(report);
            if (whole) {
                std::memcpy(&report, bytes.data(), sizeof(report));
            }
            ProcessExit ended;
            ExitReport& exit = ended.report;
            exit.out_of_memory = over_limit_ || OutOfMemoryKills() > 0;
            if (!whole || report.magic != kInitMagic || report.process >= ended_.size()) {
                // Killed together with its first process: by us, or with the host.
                exit.signal = SIGKILL;
                exit.lost = !exit.out_of_memory;
                ended.last = true;
                FailSockets();
                co_return ended;
            }
            ended.process = report.process;
            if (ended_[report.process]) {
                continue;  // it could not start, said so, and is reaped now
            }
            ended_[report.process] = true;
            if (report.error != 0) {
                report.step[sizeof(report.step) - 1] = '\0';
                exit.start_error = fmt::format("{}: {}", report.step, std::strerror(report.error));
            } else if (WIFSIGNALED(report.wait_status)) {
                exit.signal = WTERMSIG(report.wait_status);
            } else {
                exit.exit_code = WEXITSTATUS(report.wait_status);
            }
            co_return ended;
        }
    }

    // In the order of asking.
    void SocketCame(const InitSocket& answer, std::vector<os::Fd> fds) {
        if (sockets_.empty()) {
            return;
        }
        const auto wait = std::move(sockets_.front());
        sockets_.pop_front();
        if (answer.error != 0 || fds.size() != 1) {
            wait->Set(Result<os::Fd>(errors::System("socket", answer.error)));
        } else {
            wait->Set(Result<os::Fd>(std::move(fds[0])));
        }
    }

    void FailSockets() {
        for (const auto& wait : std::exchange(sockets_, {})) {
            wait->Set(Result<os::Fd>(errors::Unavailable("the environment has ended")));
        }
    }

  public:
    Task<Result<Usage>> ReadUsage() override {
        Usage usage;
        if (OpenPeak(); peak_.valid()) {
            HEARTH_CO_TRY(const std::string text, os::ReadAt(peak_.get()));
            const uint64_t peak = ParseNumber(text);
            // memory.stat is slow to read, and its part changes little while the peak stands.
            if (peak != last_peak_) {
                last_peak_ = peak;
                last_usage_ = WithoutFiles(peak);
            }
            usage.memory_bytes_max = last_usage_ + template_bytes_;
            usage.template_bytes = template_bytes_;
        }
        if (cpu_.valid()) {
            const bool v2 = (flags_ & kCpuV2) != 0;
            HEARTH_CO_TRY(
                const std::string text,
                os::ReadFile(cpu_.get(), v2 ? "cpu.stat" : "cpuacct.usage", 4096));
            usage.cpu_ns = v2 ? FindNumber(text, "usage_usec") * 1000 : ParseNumber(text);
        }
        co_return usage;
    }

    Task<Status> ResetMemoryPeak() override {
        if (OpenPeak(); peak_.valid()) {
            // Kernels that cannot (v2 before 6.12) keep the mark of the environment's whole life.
            (void)!::pwrite(peak_.get(), "0", 1, 0);
            last_peak_ = 0;
        }
        co_return Status();
    }

    Task<Status> Destroy() override {
        if (destroyed_) {
            co_return Status();
        }
        destroyed_ = true;
        auto wait = std::make_shared<HostSandbox::DestroyWait>();
        sandbox_.Destroy(id_, wait);
        if (!(co_await wait->WaitFor(HostSandbox::kDestroyPatience)).has_value()) {
            co_return errors::Unavailable("the host did not destroy the environment in time");
        }
        co_return Status();
    }

  private:
    Status Control(unsigned char command, unsigned char process = 0) {
        const unsigned char bytes[2] = {command, process};
        const size_t size = process == 0 ? 1 : 2;
        if (::send(control_.get(), bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) !=
            static_cast<ssize_t>(size)) {
            return errors::System("environment control", errno);
        }
        return {};
    }

    Status SetFrozen(bool frozen) {
        if (!freezer_.valid()) {
            return Control(frozen ? kControlStop : kControlContinue);
        }
        const std::string_view text =
            (flags_ & kFreezerV2) != 0 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
        if (::pwrite(freezer_.get(), text.data(), text.size(), 0) < 0) {
            // ENODEV: the group is gone, and with it the environment.
            return errors::System(frozen ? "freeze" : "thaw", errno);
        }
        return {};
    }

    void OpenPeak() {
        if (peak_.valid() || !memory_.valid()) {
            return;
        }
        const char* name = (flags_ & kMemoryV2) != 0 ? "memory.peak" : "memory.max_usage_in_bytes";
        if (auto fd = os::Open(memory_.get(), name, O_RDWR); fd.ok()) {
            peak_ = *std::move(fd);
        } else if (auto read_only = os::Open(memory_.get(), name, O_RDONLY); read_only.ok()) {
            peak_ = *std::move(read_only);
        }
    }

    // A peak holds files too: /tmp, which is reported apart, and whatever was read through the page
    // cache, which is nobody's memory.
    uint64_t WithoutFiles(uint64_t peak) const {
        const auto stat = os::ReadFile(memory_.get(), "memory.stat", 16384);
        if (!stat.ok()) {
            return peak;
        }
        const bool v2 = (flags_ & kMemoryV2) != 0;
        const uint64_t files = FindNumber(*stat, v2 ? "file" : "cache");
        const uint64_t anonymous = FindNumber(*stat, v2 ? "anon" : "rss");
        return std::min(std::max(peak - std::min(peak, files), anonymous), memory_bytes_);
    }

    // The group's hard limit leaves room for a full /tmp, so memory proper is watched here:
    // whenever the group has grown by what memory may still grow, anonymous memory is counted, and
    // above the function's limit the runtime is killed. Ends by itself when the environment does or
    // when this machine has no means; the hard limit stays.
    Task<void> OverseeMemory() {
        if (!memory_.valid()) {
            co_return;
        }
        // Making the mark keeps a processor and all others' grace periods busy, just while the
        // first call runs. What grows that fast is found above the mark when it is made.
        co_await rt::Sleep(kOverseeAfter);
        const bool v2 = (flags_ & kMemoryV2) != 0;
        uint64_t mark = memory_bytes_;
        for (;;) {
            auto crossing = co_await WatchCrossing(v2, mark);
            if (!crossing.ok()) {
                log::Debug("sandbox: memory is not watched: {}", crossing.error().message());
                co_return;
            }
            auto watch = rt::FdWatch::Make(crossing->get());
            if (!watch.ok()) {
                co_return;
            }
            if (!IsAbove(v2, mark) && !(co_await watch->Readable()).ok()) {
                co_return;
            }
            const auto stat = os::ReadFile(memory_.get(), "memory.stat", 16384);
            const auto usage =
                os::ReadFile(memory_.get(), v2 ? "memory.current" : "memory.usage_in_bytes", 4096);
            if (!stat.ok() || !usage.ok()) {
                co_return;  // the group is gone
            }
            const uint64_t anonymous = FindNumber(*stat, v2 ? "anon" : "rss");
            if (anonymous > memory_bytes_) {
                over_limit_ = true;
                (void)Signal(SIGKILL).ok();
                co_return;
            }
            constexpr uint64_t kStepMin = 1 << 20;
            mark = ParseNumber(*usage) + std::max(memory_bytes_ - anonymous, kStepMin);
        }
    }

    // Making a v1 threshold waits for an RCU grace period, 10 to 20 ms: never on a loop.
    Task<Result<os::Fd>> WatchCrossing(bool v2, uint64_t bytes) const {
        if (v2 || sandbox_.pool_ == nullptr) {
            co_return v2 ? WatchHigh(bytes) : WatchThreshold(bytes);
        }
        co_return co_await sandbox_.pool_->Run([this, bytes] { return WatchThreshold(bytes); });
    }

    // Both kinds of marks tell of crossings only: not of one that came before they were made.
    bool IsAbove(bool v2, uint64_t bytes) const {
        const auto usage =
            os::ReadFile(memory_.get(), v2 ? "memory.current" : "memory.usage_in_bytes", 4096);
        return usage.ok() && ParseNumber(*usage) >= bytes;
    }

    // Readable once the group's usage crosses `bytes` (v1).
    Result<os::Fd> WatchThreshold(uint64_t bytes) const {
        os::Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!event.valid()) {
            return errors::System("eventfd", errno);
        }
        HEARTH_TRY(const os::Fd usage, os::Open(memory_.get(), "memory.usage_in_bytes", O_RDONLY));
        HEARTH_RETURN_IF_ERROR(os::WriteFile(
            memory_.get(),
            "cgroup.event_control",
            fmt::format("{} {} {}", event.get(), usage.get(), bytes)));
        return event;
    }

    // Readable once the group was held back at `bytes` (v2).
    Result<os::Fd> WatchHigh(uint64_t bytes) const {
        os::Fd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!notify.valid()) {
            return errors::System("inotify", errno);
        }
        const std::string path = fmt::format("/proc/self/fd/{}/memory.events", memory_.get());
        if (::inotify_add_watch(notify.get(), path.c_str(), IN_MODIFY) < 0) {
            return errors::System("inotify on memory.events", errno);
        }
        HEARTH_RETURN_IF_ERROR(os::WriteFile(memory_.get(), "memory.high", std::to_string(bytes)));
        return notify;
    }

    uint64_t OutOfMemoryKills() const {
        if (!memory_.valid()) {
            return 0;
        }
        const bool v2 = (flags_ & kMemoryV2) != 0;
        const auto text =
            os::ReadFile(memory_.get(), v2 ? "memory.events" : "memory.oom_control", 4096);
        return text.ok() ? FindNumber(*text, "oom_kill") : 0;
    }

    static constexpr std::chrono::seconds kSocketPatience{5};
    static constexpr std::chrono::milliseconds kOverseeAfter{10};

    HostSandbox& sandbox_;
    uint64_t id_;
    // Of a clone: its template's.
    std::shared_ptr<Learning> learning_;
    bool answered_ = false;
    bool learned_ = false;
    // What its own memory may be, besides the template's.
    uint64_t memory_bytes_;
    uint64_t template_bytes_;
    std::optional<RestorePhases> phases_;
    // Of a clone that joins.
    std::shared_ptr<HostSandbox::RestoreWait> restored_;
    // The runtime and the companions.
    std::vector<bool> ended_;
    std::vector<os::Fd> companion_outputs_;
    std::vector<os::Fd> connections_;
    std::deque<std::shared_ptr<rt::Completion<Result<os::Fd>>>> sockets_;
    uint32_t flags_ = 0;
    os::Fd control_;
    os::Fd stdout_;
    os::Fd stderr_;
    os::Fd runtime_api_;
    os::Fd door_;
    os::Fd tmp_;
    os::Fd freezer_;
    os::Fd memory_;
    os::Fd cpu_;
    os::Fd peak_;
    uint64_t last_peak_ = 0;
    uint64_t last_usage_ = 0;
    bool over_limit_ = false;
    bool destroyed_ = false;
};

HostSandbox::HostSandbox(
    rt::Loops& loops, os::Fd channel, std::shared_ptr<Random> random, rt::BlockingPool* pool)
    : loops_(loops),
      pool_(pool),
      channel_(std::move(channel)),
      random_(std::move(random)),
      first_facts_(std::make_shared<rt::Completion<HostFacts>>()) {}

HostSandbox::~HostSandbox() {
    CHECK(!tasks_, "HostSandbox was not stopped");
}

Task<Status> HostSandbox::Start() {
    if (::fcntl(channel_.get(), F_SETFL, O_NONBLOCK) != 0) {
        co_return errors::System("channel to the host", errno);
    }
    nonce_ = random_->Uint64();
    // Ids of a predecessor's requests must not meet ours.
    next_id_ = (random_->Uint64() >> 20) << 16;
    Send(EncodeCloudHello(nonce_));
    co_await rt::RunOn(loops_, 0, [this]() -> Task<void> {
        tasks_ = std::make_unique<rt::TaskGroup>();
        tasks_->Spawn(Listen());
        co_return;
    });
    co_return Status();
}

Task<void> HostSandbox::Stop() {
    co_await rt::RunOn(loops_, 0, [this]() -> Task<void> {
        if (tasks_) {
            tasks_->Cancel();
            try {
                co_await tasks_->Join();
            } catch (const std::exception&) {
                // The listener was unwound: that is what Cancel is for.
            }
            tasks_.reset();
            name_servers_.clear();
        }
    });
    FailAll("Hearth is stopping");
}

std::optional<HostFacts> HostSandbox::facts() const {
    const std::lock_guard lock(mutex_);
    return facts_;
}

Task<Result<HostFacts>> HostSandbox::WaitFacts(std::chrono::milliseconds patience) {
    const auto wait = first_facts_;
    auto answer = co_await wait->WaitFor(patience);
    if (!answer.has_value()) {
        co_return errors::Unavailable("the host has not answered");
    }
    co_return *std::move(answer);
}

const std::string& HostSandbox::backend() const {
    static const std::string kNamespaces = "namespaces";
    static const std::string kNone = "none";
    const std::lock_guard lock(mutex_);
    return facts_.has_value() && facts_->backend == kNone ? kNone : kNamespaces;
}

bool HostSandbox::StacksMounts() const {
    const std::lock_guard lock(mutex_);
    return facts_.has_value() && facts_->overlay;
}

namespace {

CreateRequest ToRequest(EnvironmentSpec spec) {
    CreateRequest request;
    request.name = std::move(spec.id);
    request.arguments = std::move(spec.argv);
    request.environment = std::move(spec.environment);
    request.working_directory = std::move(spec.working_directory);
    for (Mount& mount : spec.mounts) {
        request.mounts.push_back({std::move(mount.source), std::move(mount.target)});
    }
    request.runtime_api_variable = std::move(spec.runtime_api_variable);
    request.door_variable = std::move(spec.door_variable);
    request.companions = std::move(spec.companions);
    request.companion_environment = std::move(spec.companion_environment);
    request.memory_mb = spec.memory_mb;
    request.ephemeral_storage_mb = spec.ephemeral_storage_mb;
    request.pids_max = spec.pids_max;
    request.open_files_max = spec.open_files_max;
    request.cpu_quota_millis = spec.cpu_quota_millis;
    request.egress = spec.egress;
    request.connections = spec.connections;
    request.ahead = spec.ahead;
    return request;
}

}  // namespace

// An environment of the host that holds a process which never runs.
class HostTemplate final : public Template {
  public:
    HostTemplate(
        HostSandbox& sandbox, uint64_t id, uint64_t image_bytes, HostSandbox::Created created)
        : sandbox_(sandbox), id_(id), image_bytes_(image_bytes), created_(std::move(created)) {}

    // Environments made from it are not touched.
    ~HostTemplate() override { sandbox_.Destroy(id_, nullptr); }

    uint64_t id() const { return id_; }

    // All of an image's pages are in memory; what else is in it is small.
    uint64_t image_bytes() const { return image_bytes_; }

    std::shared_ptr<Learning> learning() const { return learning_; }

  private:
    HostSandbox& sandbox_;
    uint64_t id_;
    uint64_t image_bytes_;
    // Shared with its environments, which outlive it.
    std::shared_ptr<Learning> learning_ = std::make_shared<Learning>();
    // Its end of the control socket keeps it alive; nothing is ever read from the rest.
    HostSandbox::Created created_;
};

Task<Result<std::unique_ptr<Environment>>> HostSandbox::Create(EnvironmentSpec spec) {
    const auto* from = static_cast<const HostTemplate*>(spec.from);
    CreateRequest request = ToRequest(std::move(spec));
    request.template_id = from == nullptr ? 0 : from->id();
    const uint64_t template_bytes = from == nullptr ? 0 : from->image_bytes();
    auto learning = from == nullptr ? nullptr : from->learning();
    if (from != nullptr) {
        // The saved process has its arguments and variables; nothing is started.
        request.arguments.resize(std::min<size_t>(request.arguments.size(), 1));
        request.environment.clear();
    }
    HEARTH_CO_TRY(Created created, co_await Request(request, nullptr));
    co_return std::unique_ptr<Environment>(std::make_unique<HostEnvironment>(
        *this, request, template_bytes, std::move(learning), std::move(created)));
}

Task<Result<std::unique_ptr<Template>>> HostSandbox::MakeTemplate(
    EnvironmentSpec spec, SavedImage saved) {
    CreateRequest request = ToRequest(std::move(spec));
    request.holds_template = true;
    const uint64_t image_bytes = BytesWithoutTmp(saved.image.get());
    std::vector<os::Fd> fds;
    fds.push_back(std::move(saved.image));
    if (saved.memory_use.valid()) {
        fds.push_back(std::move(saved.memory_use));
    }
    HEARTH_CO_TRY(
        Created created,
        co_await Request(request, std::make_shared<const std::vector<os::Fd>>(std::move(fds))));
    co_return std::unique_ptr<Template>(
        std::make_unique<HostTemplate>(*this, request.id, image_bytes, std::move(created)));
}

bool HostSandbox::CanSave() const {
    const std::lock_guard lock(mutex_);
    // Before the host has said: whoever tries hears why not.
    return !facts_.has_value() || facts_->snapshots;
}

Task<Result<HostSandbox::Created>> HostSandbox::Request(
    CreateRequest& request, std::shared_ptr<const std::vector<os::Fd>> fds) {
    auto wait = std::make_shared<CreateWait>();
    Outgoing outgoing{.packet = {}, .fds = std::move(fds)};
    {
        const std::lock_guard lock(mutex_);
        request.id = ++next_id_;
        outgoing.packet = EncodeCreate(request);
        if (outgoing.packet.size() > os::kPacketBytesMax) {
            co_return errors::Malformed("arguments and environment are too large");
        }
        creates_.emplace(request.id, PendingCreate{wait, outgoing});
    }
    Send(std::move(outgoing.packet), std::move(outgoing.fds));
    auto answer = co_await wait->WaitFor(kCreatePatience);
    if (!answer.has_value()) {
        {
            const std::lock_guard lock(mutex_);
            creates_.erase(request.id);
        }
        Destroy(request.id, nullptr);
        co_return errors::Unavailable("the host did not create the environment in time");
    }
    co_return *std::move(answer);
}

Task<Result<SaveReport>> HostSandbox::Save(uint64_t id, SaveRequest request) {
    auto wait = std::make_shared<SaveWait>();
    {
        const std::lock_guard lock(mutex_);
        saves_[id] = wait;
    }
    std::vector<os::Fd> fds;
    fds.push_back(std::move(request.image));
    Send(
        EncodeSave({.id = id, .ports = std::move(request.ports)}),
        std::make_shared<const std::vector<os::Fd>>(std::move(fds)));
    auto report = co_await wait->WaitFor(kSavePatience);
    if (!report.has_value()) {
        const std::lock_guard lock(mutex_);
        saves_.erase(id);
        co_return errors::Unavailable("the host did not save the environment in time");
    }
    co_return *std::move(report);
}

void HostSandbox::Destroy(uint64_t id, std::shared_ptr<DestroyWait> wait) {
    std::shared_ptr<RestoreWait> restored;
    {
        const std::lock_guard lock(mutex_);
        if (wait) {
            destroys_.emplace(id, std::move(wait));
        }
        if (auto found = restores_.extract(id); !found.empty()) {
            restored = std::move(found.mapped());
        }
    }
    if (restored) {
        restored->Set(Result<CreateAnswer>(errors::Unavailable("it is destroyed")));
    }
    Send(EncodeId(PacketKind::kDestroy, id));
}

void HostSandbox::Send(std::string packet, std::shared_ptr<const std::vector<os::Fd>> fds) {
    const std::lock_guard lock(mutex_);
    unsent_.push_back({std::move(packet), std::move(fds)});
    FlushLocked();
}

// What does not fit now goes with the next packet that comes or goes: the host answers each of
// them, so a queue never stays without a wake-up.
void HostSandbox::FlushLocked() {
    while (!unsent_.empty()) {
        const Outgoing& next = unsent_.front();
        std::vector<int> fds;
        for (size_t i = 0; next.fds != nullptr && i < next.fds->size(); ++i) {
            fds.push_back((*next.fds)[i].get());
        }
        const auto sent = os::SendPacket(channel_.get(), next.packet, fds);
        if (sent.ok() && !*sent) {
            return;
        }
        if (!sent.ok()) {
            log::Warn("sandbox: channel to the host: {}", sent.error().message());
        }
        unsent_.pop_front();
    }
}

Task<void> HostSandbox::Listen() {
    auto watch = rt::FdWatch::Make(channel_.get());
    if (!watch.ok()) {
        log::Error("sandbox: channel to the host: {}", watch.error().message());
        co_return;
    }
    for (;;) {
        auto packet = os::ReceivePacket(channel_.get(), false);
        if (!packet.ok()) {
            log::Error("sandbox: channel to the host: {}", packet.error().message());
            continue;
        }
        if (!packet->has_value()) {
            {
                const std::lock_guard lock(mutex_);
                FlushLocked();
            }
            if (!(co_await watch->Readable()).ok()) {
                co_return;
            }
            continue;
        }
        if ((*packet)->bytes.empty()) {
            // The keeper holds both ends, so this is the end of Hearth.
            FailAll("the host is gone");
            co_return;
        }
        Handle((*packet)->bytes, std::move((*packet)->fds));
    }
}

void HostSandbox::FailRestores(const std::string& reason) {
    std::map<uint64_t, std::shared_ptr<RestoreWait>> restores;
    {
        const std::lock_guard lock(mutex_);
        restores.swap(restores_);
    }
    for (const auto& [id, wait] : restores) {
        wait->Set(Result<CreateAnswer>(errors::Unavailable(reason)));
    }
}

void HostSandbox::FailAll(const std::string& reason) {
    FailRestores(reason);
    std::map<uint64_t, PendingCreate> creates;
    std::map<uint64_t, std::shared_ptr<DestroyWait>> destroys;
    std::map<uint64_t, std::shared_ptr<SaveWait>> saves;
    {
        const std::lock_guard lock(mutex_);
        creates.swap(creates_);
        destroys.swap(destroys_);
        saves.swap(saves_);
    }
    for (const auto& [id, wait] : saves) {
        wait->Set(Result<SaveReport>(errors::Unavailable(reason)));
    }
    for (const auto& [id, pending] : creates) {
        pending.wait->Set(Result<Created>(errors::Unavailable(reason)));
    }
    for (const auto& [id, wait] : destroys) {
        wait->Set(true);
    }
}

// The socket of the environments' name server comes with either greeting where there is a way out.
void HostSandbox::ServeNames(std::vector<os::Fd> fds) {
    if (fds.size() != 1 || !tasks_) {
        return;
    }
    std::vector<std::string> servers;
    if (const auto text = os::ReadFile(AT_FDCWD, "/etc/resolv.conf"); text.ok()) {
        servers = ParseNameServers(*text);
    }
    name_servers_.push_back(std::make_unique<DnsStub>(std::move(fds[0]), std::move(servers)));
    tasks_->Spawn(name_servers_.back()->Run());
}

// Environments have seen the end of their control sockets. What was asked for and not answered is
// asked again: the old host may have taken it along, or the new one still finds it in the channel
// and then drops the second.
void HostSandbox::HostRestarted() {
    std::map<uint64_t, std::shared_ptr<DestroyWait>> destroys;
    std::map<uint64_t, std::shared_ptr<SaveWait>> saves;
    {
        const std::lock_guard lock(mutex_);
        destroys.swap(destroys_);
        saves.swap(saves_);
        for (const auto& [id, pending] : creates_) {
            unsent_.push_back(pending.outgoing);
        }
        FlushLocked();
    }
    FailRestores("the host was restarted");
    for (const auto& [id, wait] : saves) {
        wait->Set(Result<SaveReport>(errors::Unavailable("the host was restarted")));
    }
    for (const auto& [id, wait] : destroys) {
        wait->Set(true);
    }
}

void HostSandbox::Handle(std::string_view packet, std::vector<os::Fd> fds) {
    const auto kind = DecodeKind(packet);
    if (!kind.ok()) {
        log::Error("sandbox: from the host: {}", kind.error().message());
        return;
    }
    switch (*kind) {
        case PacketKind::kHostHello: {
            const auto facts = DecodeHostHello(packet);
            if (!facts.ok()) {
                return;
            }
            bool restarted = false;
            {
                const std::lock_guard lock(mutex_);
                restarted = welcomed_;
                facts_ = *facts;
            }
            // Before the first welcome this host is simply starting: it reads our requests in
            // order.
            if (restarted) {
                log::Warn("sandbox: the host was restarted; its environments are gone");
                ServeNames(std::move(fds));
                HostRestarted();
            }
            return;
        }
        case PacketKind::kCloudWelcome: {
            const auto welcome = DecodeCloudWelcome(packet);
            if (!welcome.ok() || welcome->first != nonce_) {
                return;  // meant for a predecessor
            }
            {
                const std::lock_guard lock(mutex_);
                welcomed_ = true;
                facts_ = welcome->second;
            }
            first_facts_->Set(welcome->second);
            ServeNames(std::move(fds));
            return;
        }
        case PacketKind::kCreated: {
            auto answer = DecodeCreated(packet);
            if (!answer.ok()) {
                log::Error("sandbox: from the host: {}", answer.error().message());
                return;
            }
            std::shared_ptr<CreateWait> wait;
            std::shared_ptr<RestoreWait> restored;
            {
                const std::lock_guard lock(mutex_);
                const auto found = creates_.find(answer->id);
                if (found != creates_.end()) {
                    wait = std::move(found->second.wait);
                    creates_.erase(found);
                    if (answer->joining) {
                        restored = std::make_shared<RestoreWait>();
                        restores_.emplace(answer->id, restored);
                    }
                }
            }
            if (!wait) {
                // A predecessor's, or one we gave up on.
                if (answer->error.empty()) {
                    Destroy(answer->id, nullptr);
                }
                return;
            }
            if (!answer->error.empty()) {
                wait->Set(Result<Created>(
                    answer->unusable
                        ? Error(Error::Kind::kConflict, "", "snapshot: " + answer->error, 500)
                        : errors::Unavailable("environment: " + answer->error)));
            } else if (fds.size() < kCreatedFdsMin) {
                wait->Set(Result<Created>(errors::Internal("the host sent too few descriptors")));
                Destroy(answer->id, nullptr);
            } else {
                const uint64_t id = answer->id;
                if (!wait->Set(Result<Created>(
                        Created{*std::move(answer), std::move(fds), std::move(restored)}))) {
                    Destroy(id, nullptr);
                }
            }
            return;
        }
        case PacketKind::kRestored: {
            auto answer = DecodeCreated(packet);
            if (!answer.ok()) {
                log::Error("sandbox: from the host: {}", answer.error().message());
                return;
            }
            std::shared_ptr<RestoreWait> wait;
            {
                const std::lock_guard lock(mutex_);
                if (auto found = restores_.extract(answer->id); !found.empty()) {
                    wait = std::move(found.mapped());
                }
            }
            if (wait && !answer->error.empty()) {
                wait->Set(Result<CreateAnswer>(
                    Error(Error::Kind::kConflict, "", "environment: " + answer->error, 500)));
            } else if (wait) {
                wait->Set(Result<CreateAnswer>(*std::move(answer)));
            }
            return;
        }
        case PacketKind::kDestroyed: {
            const auto id = DecodeNumber(packet);
            std::shared_ptr<DestroyWait> wait;
            if (id.ok()) {
                const std::lock_guard lock(mutex_);
                const auto found = destroys_.find(*id);
                if (found != destroys_.end()) {
                    wait = std::move(found->second);
                    destroys_.erase(found);
                }
            }
            if (wait) {
                wait->Set(true);
            }
            return;
        }
        case PacketKind::kSaved: {
            auto answer = DecodeSaved(packet);
            if (!answer.ok()) {
                log::Error("sandbox: from the host: {}", answer.error().message());
                return;
            }
            std::shared_ptr<SaveWait> wait;
            {
                const std::lock_guard lock(mutex_);
                if (auto found = saves_.extract(answer->id); !found.empty()) {
                    wait = std::move(found.mapped());
                }
            }
            if (wait && !answer->error.empty()) {
                wait->Set(Result<SaveReport>(errors::Unavailable("save: " + answer->error)));
            } else if (wait) {
                wait->Set(Result<SaveReport>(SaveReport{
                    .refusal = std::move(answer->refusal),
                    .image_bytes = answer->image_bytes,
                    .frozen = std::chrono::nanoseconds(answer->frozen_ns)}));
            }
            return;
        }
        case PacketKind::kCloudHello:
        case PacketKind::kCreate:
        case PacketKind::kDestroy:
        case PacketKind::kSave:
        case PacketKind::kLearn:
            log::Error("sandbox: a packet that only the cloud sends came from the host");
            return;
    }
}

}  // namespace hearth::sandbox
