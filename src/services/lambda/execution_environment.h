#pragma once

#include "aws/auth/session_issuer.h"
#include "aws/front/doors.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "rt/event.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "rt/timer.h"
#include "sandbox/sandbox.h"
#include "services/invocation_log.h"
#include "services/lambda/environment_variables.h"
#include "services/lambda/extension_host.h"
#include "services/lambda/invoker.h"
#include "services/lambda/log_writer.h"
#include "services/lambda/platform_log.h"
#include "services/lambda/runtime_api.h"
#include "services/lambda/runtimes.h"
#include "services/lambda/snapshot_templates.h"
#include "services/role_directory.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hearth::lambda {

// What every environment uses of the outside; outlives all of them.
struct EnvironmentDeps {
    sandbox::Sandbox& sandbox;
    RuntimeCatalog& runtimes;
    CodeCache& code;
    LogSink& logs;
    const WallClock& wall_clock;
    Random& random;
    // Null in tests: no credentials, no door.
    aws::SessionIssuer* sessions = nullptr;
    RoleDirectory* roles = nullptr;
    aws::Doors* doors = nullptr;
    bool egress = false;
    // A hard processor quota after init, and AWS's bandwidth for streamed answers.
    bool cpu_exact = false;
};

struct EnvironmentLimits {
    std::chrono::nanoseconds init_max = std::chrono::seconds(10);
    // A short grace, so that a busy environment never pays for freezing.
    std::chrono::nanoseconds freeze_after = std::chrono::milliseconds(200);
    std::chrono::nanoseconds evict_after = std::chrono::minutes(10);
    // Well before the role's credentials inside end.
    std::chrono::nanoseconds lifetime_max = std::chrono::hours(6);
    std::chrono::seconds credentials = std::chrono::hours(12);
};

// How the start of a runtime ended.
struct InitOutcome {
    bool ok = false;
    bool timed_out = false;
    // The host crashed: nobody's fault here; the caller gets a 5xx.
    bool lost = false;
    // Trying again cannot help (there is no bootstrap).
    bool hopeless = false;
    std::chrono::nanoseconds duration{0};
    // Of a failure: AWS's type and the payload a caller gets; "{id}" in it stands for the request
    // id.
    std::string error_type;
    std::string payload;
    // For the log: "Runtime exited with error: exit status 1"; empty when the runtime itself said
    // it.
    std::string fault;
};

// How going on from a snapshot ended.
struct RestoreOutcome {
    bool ok = false;
    // It may be given its event already: see Restore.
    bool begun = false;
    // The runtime never went on from the snapshot: start another environment cold.
    bool refused = false;
    bool timed_out = false;
    bool lost = false;
    std::chrono::nanoseconds duration{0};
    // Of a failure, as InitOutcome's.
    std::string error_type;
    std::string fault;
};

// How a call ended.
struct InvokeOutcome {
    // False: the environment was gone before the function got the event; another one may run it.
    bool delivered = false;
    // The host crashed under it: the caller gets a 5xx.
    bool lost = false;
    bool timed_out = false;
    InvokeResult result;
    std::chrono::nanoseconds duration{0};
};

// One execution environment: a sandbox with a runtime in it, its Runtime API, its log stream, and
// its door to Hearth. Serves one call at a time and one revision of a function for all its life.
//
//   new --Prepare--> (sandbox made) --Init--> idle <--> busy ... --Stop--> gone
//                                              |  ^
//                                              v  | thaw
//                                             frozen
//
// Everything on the loop that made it. After Prepare, Stop must be awaited before the object goes.
class ExecutionEnvironment final {
  public:
    ExecutionEnvironment(
        const EnvironmentDeps& deps,
        const EnvironmentLimits& limits,
        std::shared_ptr<const FunctionVersion> function,
        std::string log_stream);
    ~ExecutionEnvironment();

    // "2026/01/31/[$LATEST]<32 hex digits>"
    static std::string NewLogStream(
        const FunctionVersion& function, WallClock::time_point now, Random& random);

    // Makes the sandbox and starts the runtime in it.
    //   errors  those of the sandbox, the code cache and the catalog: the machine's fault, not the
    //           function's.
    Task<Status> Prepare();

    // The same for an environment whose runtime is to be saved: SnapStart's variables.
    Task<Status> PrepareToSave();

    // Saves the runtime that Init has brought to rest into the new file `image`, and is over.
    //   errors  the machine's fault
    Task<Result<SnapshotOutcome>> Save(std::string image);

    // Makes the sandbox, with a runtime that goes on where `source` was saved. False: the image is
    // of no use or no template could be made of it, and Prepare may be called instead.
    //   errors  as Prepare's
    Task<Result<bool>> PrepareRestored(
        SnapshotTemplates& templates, SnapshotSource source, bool ahead);

    // After PrepareRestored: hooks, until the runtime asks for its first event. Where it has waited
    // for that since it was saved, the event may be written while the clone is still being made:
    // Restore has only begun then, and Invoke calls what WhenRestored was given at its end, before
    // it writes anything about the call to the log.
    Task<RestoreOutcome> Restore(std::chrono::nanoseconds limit);

    void WhenRestored(std::function<void(const RestoreOutcome&)> restored) {
        when_restored_ = std::move(restored);
    }

    // Only makes the template that environments of this version will be made from; nothing is
    // prepared.
    Task<Status> LoadTemplate(SnapshotTemplates& templates, SnapshotSource source);

    // Of an environment that came from a snapshot: where the time went.
    std::optional<sandbox::RestorePhases> restore_phases() const {
        return sandbox_ == nullptr ? std::nullopt : sandbox_->restore_phases();
    }

    // RESTORE_START and RESTORE_REPORT in the log.
    void WriteRestoreStart();
    void WriteRestoreReport(const RestoreOutcome& restore);

    // Waits until the runtime asks for its first event, or rests to be saved.
    Task<InitOutcome> Init(std::chrono::nanoseconds limit);

    // INIT_START and INIT_REPORT in the log.
    void WriteInitStart();
    void WriteInitReport(const InitOutcome& init, std::string_view phase);

    // Runs one call. `init` is given for the first one. `deadline`: when the call ends at the
    // latest; without it, the function's timeout from the moment the event goes out.
    Task<InvokeOutcome> Invoke(
        const InvokeRequest& request,
        std::optional<std::chrono::nanoseconds> init_duration,
        std::optional<std::chrono::steady_clock::time_point> deadline,
        std::optional<std::chrono::nanoseconds> restore_duration = std::nullopt);

    // A call that ended inside init (the one repeated within the call): its lines in the log, and
    // what the caller gets.
    Task<InvokeResult> FailInInit(const InvokeRequest& request, const InitOutcome& init);

    // The call is over and the environment waits for another. `expired` is called when it has
    // waited too long, has died, or is too old; the owner then stops it.
    void BecomeIdle(std::function<void()> expired);

    // Can take a call, as far as one can know.
    bool usable() const;

    // The runtime and all extensions have asked for their next event.
    bool ready() const {
        return api_ && api_->ready() && !finishing_ && extensions_->api().quiet();
    }

    // The runtime waits to be saved, and all extensions for their next event.
    bool resting() const {
        return api_ && api_->waiting_for_restore() && extensions_->api().quiet();
    }

    bool frozen() const { return freezing_ == Freezing::kFrozen; }

    // Kills what runs in it; the call in it ends as lost. For a cloud that cannot wait any longer.
    void Kill();

    // Kills what runs in it and gives everything back. Idempotent.
    Task<void> Stop();

    LogWriter& log() { return *log_; }

    PlatformLog& platform_log() { return platform_log_; }

    const FunctionVersion& function() const { return *function_; }

    const std::string& id() const { return id_; }

    const std::string& log_stream() const { return log_stream_; }

    const std::string& substitution() const { return plan_.substitution; }

    std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }

    // The most it has used, as far as it was looked at; and that without what it shares with its
    // template.
    uint64_t memory_bytes() const { return memory_bytes_; }

    uint64_t own_memory_bytes() const { return own_memory_bytes_; }

    // Looks at it now, which takes some time.
    Task<void> MeasureMemory() { return ReadUsage(true); }

    uint64_t invocations() const { return invocations_; }

  private:
    enum class Freezing { kRunning, kFreezing, kFrozen };

    Task<Status> FillSpec(sandbox::EnvironmentSpec& spec, aws::DoorIdentity& identity);
    // The function's role session, as far as credentials need it.
    Task<Result<aws::RoleSession>> FindSession();
    Task<Status> PrepareAs(bool to_save);
    // What is around a runtime, whoever starts it.
    void Surround(aws::DoorIdentity identity);
    // Begins to read what the runtime writes.
    void CaptureOutput();
    Task<void> WatchRestored(SnapshotTemplates& templates, std::string image, bool ahead);
    // Until it is known whether the runtime goes on from its snapshot. False: not in time.
    Task<bool> WaitRestored(std::chrono::steady_clock::time_point deadline);

    std::string CredentialsToken() const { return function_->revision; }

    // {"AccessKeyId": …}, for the credentials endpoint.
    std::string MakeCredentials(const aws::RoleSession& session) const;
    Result<std::string> FindBootstrap(const std::vector<std::string>& directories);
    void LimitCpu();
    Task<void> WatchExit();
    Task<void> WatchProcesses();

    // The runtime or an extension has ended.
    bool over() const { return exit_.has_value() || extensions_->failure().has_value(); }

    // Somebody waits for the environment's end, and this is it.
    void NoticeEnd();
    // Extensions first, which register, then the runtime. True: it was started in time.
    Task<bool> StartAfterExtensions(std::chrono::steady_clock::time_point deadline);
    // What is left of a call that has its answer, while extensions work on: they have until the
    // call's deadline, like the function.
    Task<void> FinishWithExtensions(
        InvokeReport report,
        WallClock::time_point wall_start,
        std::chrono::steady_clock::time_point start,
        std::chrono::steady_clock::time_point deadline);
    // WriteEnd of a call that has been answered, after what is urgent.
    Task<void> WriteEndLater(InvokeReport report);
    // END and REPORT.
    Task<void> WriteEnd(InvokeReport& report, bool read_usage, std::vector<PlatformSpan> spans);
    void WriteFault(
        const std::string& request_id, const std::string& text, const std::string& type);
    void WriteTimeout(const std::string& request_id);
    Task<void> ShutDownProcesses();
    InitFacts Facts() const;
    Task<void> DestroySandbox();
    Task<void> Freeze();
    // Runs again; false when it has died.
    Task<bool> Wake();
    // All the runtime sent before it ended has been read.
    Task<void> SettleExit();
    void OnIdleTimer();
    // To be put away when it has not been used until then.
    void ArmForEnd();
    Task<void> ReadUsage(bool now);
    std::string ExitText() const;
    Task<InvokeOutcome> FinishInvoke(
        const InvokeRequest& request, InvokeReport report, InvokeOutcome outcome);

    const EnvironmentDeps& deps_;
    const EnvironmentLimits& limits_;
    std::shared_ptr<const FunctionVersion> function_;
    std::string log_stream_;
    std::string id_;
    PlatformLog platform_log_;
    RuntimePlan plan_;
    std::vector<std::shared_ptr<const CodeDirectory>> code_;
    // Names of files in /opt/extensions.
    std::vector<std::string> external_extensions_;
    std::unique_ptr<sandbox::Environment> sandbox_;
    std::unique_ptr<RuntimeApi> api_;
    std::unique_ptr<ExtensionHost> extensions_;
    std::unique_ptr<LogWriter> log_;
    std::unique_ptr<aws::Door> door_;
    // A start that failed before anything ran: the function's fault, told by Init.
    std::optional<InitOutcome> stillborn_;
    std::optional<sandbox::ExitReport> exit_;
    // Of a function with SnapStart: what its endpoint gives.
    std::optional<aws::RoleSession> session_;
    bool to_save_ = false;
    // Of a runtime made from a snapshot: whether it goes on, once that is known.
    bool restoring_ = false;
    std::optional<Status> restored_;
    // It waits for its first event from the start on, and no hook runs before that.
    bool takes_event_early_ = false;
    SnapshotTemplates::TemplatePtr template_;
    std::chrono::steady_clock::time_point restore_deadline_;
    std::function<void(const RestoreOutcome&)> when_restored_;
    bool saved_ = false;
    bool stopped_ = false;
    bool stopped_after_timeout_ = false;
    // A call has its answer, and extensions still work on it.
    bool finishing_ = false;
    // A call has its answer, and its END and REPORT are not written yet.
    bool ending_ = false;
    rt::Event ended_;
    // Telemetry was told to go out before the environment is frozen.
    bool flushed_ = false;
    bool init_failed_ = false;
    // WriteInitStart was called: this is no init repeated within a call.
    bool init_start_told_ = false;
    Freezing freezing_ = Freezing::kRunning;
    rt::Event freeze_done_;
    std::chrono::steady_clock::time_point made_at_;
    std::chrono::steady_clock::time_point idle_since_;
    // The runtime has to ask for its next event by then.
    std::chrono::steady_clock::time_point last_deadline_;
    std::chrono::steady_clock::time_point usage_read_at_;
    std::function<void()> expired_;
    rt::Timer idle_timer_;
    bool armed_for_end_ = false;
    uint64_t memory_bytes_ = 0;
    uint64_t own_memory_bytes_ = 0;
    uint64_t invocations_ = 0;
    rt::TaskGroup tasks_;
};

}  // namespace hearth::lambda
