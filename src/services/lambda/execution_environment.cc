#include "services/lambda/execution_environment.h"

#include "base/log.h"
#include "codec/json/json.h"
#include "rt/loops.h"
#include "services/lambda/exec_wrapper.h"
#include "services/lambda/exit_status.h"
#include "services/lambda/layer_mounts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <utility>

namespace hearth::lambda {

namespace {

using std::chrono::steady_clock;

// How long an answered call's environment may take to ask for its next event before another call
// goes elsewhere.
constexpr std::chrono::milliseconds kReadyGrace{100};
// A dead runtime's last words are in the socket already; this is how long reading them may take.
constexpr std::chrono::milliseconds kSettleMax{200};
// Max Memory Used is a high-water mark and changes slowly; reading it costs more than a warm call.
constexpr std::chrono::seconds kUsageEvery{1};
// Memory that buys one processor on AWS.
constexpr int64_t kMbPerCpu = 1769;

std::string ErrorJson(std::string_view type, std::string_view message) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("errorType");
    writer.String(type);
    writer.Key("errorMessage");
    writer.String(message);
    writer.EndObject();
    return writer.Take();
}

std::string FaultMessage(std::string_view request_id, std::string_view fault) {
    return fmt::format("RequestId: {} Error: {}", request_id, fault);
}

std::string ErrorTypeOf(const RuntimeAnswer& answer) {
    if (!answer.error_type.empty()) {
        return answer.error_type;
    }
    const auto json = codec::ParseJson(answer.body);
    if (json.ok()) {
        if (const std::string* type = json->FindString("errorType")) {
            return *type;
        }
    }
    return "Runtime.Unknown";
}

// What a function calls itself reaches the log's text; it stays on its line.
std::string OneLine(std::string text) {
    std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
    return text.substr(0, 256);
}

}  // namespace

ExecutionEnvironment::ExecutionEnvironment(
    const EnvironmentDeps& deps,
    const EnvironmentLimits& limits,
    std::shared_ptr<const FunctionVersion> function,
    std::string log_stream)
    : deps_(deps),
      limits_(limits),
      function_(std::move(function)),
      log_stream_(std::move(log_stream)),
      id_("fn-" + deps.random.Hex(8)),
      platform_log_(*function_),
      log_(std::make_unique<LogWriter>(
          deps.logs,
          LogDestination{
              .account = function_->account,
              .region = function_->region,
              .group = function_->log_group,
              .stream = log_stream_},
          deps.wall_clock)),
      made_at_(steady_clock::now()),
      idle_timer_([this] { OnIdleTimer(); }) {
    freeze_done_.Set();
}

ExecutionEnvironment::~ExecutionEnvironment() {
    CHECK(stopped_ || sandbox_ == nullptr, "an execution environment destroyed without Stop");
}

std::string ExecutionEnvironment::NewLogStream(
    const FunctionVersion& function, WallClock::time_point now, Random& random) {
    const auto seconds = static_cast<std::time_t>(UnixMs(now) / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format(
        "{:04}/{:02}/{:02}/[{}]{}",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        function.version,
        random.Hex(16));
}

Result<std::string> ExecutionEnvironment::FindBootstrap(
    const std::vector<std::string>& directories) {
    // The function's own, then the one of /opt that is seen: of the last layer that has one.
    for (size_t i = 0; i < directories.size(); ++i) {
        const std::string& directory = directories[i == 0 ? 0 : directories.size() - i];
        const char* const inside = i == 0 ? "/var/task/bootstrap" : "/opt/bootstrap";
        const std::string path = directory + "/bootstrap";
        struct stat facts{};
        if (directory.empty() || ::lstat(path.c_str(), &facts) != 0) {
            continue;
        }
        // Where a link leads is known inside only.
        if (!S_ISLNK(facts.st_mode) && (!S_ISREG(facts.st_mode) || (facts.st_mode & 0111) == 0)) {
            return errors::Malformed(fmt::format("fork/exec {}: permission denied", inside));
        }
        return std::string(inside);
    }
    return errors::Malformed(
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
}

Task<Status> ExecutionEnvironment::FillSpec(
    sandbox::EnvironmentSpec& spec, aws::DoorIdentity& identity) {
    HEARTH_CO_TRY(plan_, co_await deps_.runtimes.Plan(function_->runtime));
    HEARTH_CO_TRY(auto code, co_await deps_.code.Open(function_->code_id));
    std::vector<std::string> directories = {code->path()};
    spec.mounts = plan_.mounts;
    spec.mounts.push_back({code->path(), "/var/task"});
    code_.push_back(std::move(code));
    HEARTH_CO_TRY(
        auto layers, co_await OpenLayers(deps_.code, deps_.sandbox, function_->layer_code_ids));
    for (auto& layer : layers) {
        directories.push_back(layer->path());
        spec.mounts.push_back({layer->path(), std::string(kLayersTarget)});
        code_.push_back(std::move(layer));
    }
    spec.argv = plan_.argv;
    if (spec.argv.empty()) {
        auto bootstrap = FindBootstrap(directories);
        if (!bootstrap.ok()) {
            stillborn_ = InitOutcome{
                .hopeless = true,
                .error_type = "Runtime.InvalidEntrypoint",
                .fault = bootstrap.error().message()};
            co_return Status();
        }
        spec.argv = {*std::move(bootstrap)};
    } else {
        ApplyExecWrapper(*function_, spec.argv);
    }

    HEARTH_CO_TRY(const aws::RoleSession session, co_await FindSession());
    EnvironmentCredentials credentials;
    if (deps_.sessions != nullptr) {
        if (!to_save_) {
            const auto issued = deps_.sessions->IssueForRole(session);
            credentials = EnvironmentCredentials{
                .access_key_id = issued.access_key_id,
                .secret_access_key = issued.secret_access_key,
                .session_token = issued.session_token};
        }
        identity.role = aws::SessionIssuer::CallerOf(session);
    }
    identity.account = function_->account;
    identity.region = function_->region;
    identity.function_arn = fmt::format(
        "arn:aws:lambda:{}:{}:function:{}",
        function_->region.text(),
        function_->account.text(),
        function_->name);
    session_ = session;

    spec.id = id_;
    spec.environment = to_save_ ? SnapStartVariables(*function_, plan_, CredentialsToken())
                                : EnvironmentVariables(*function_, plan_, credentials, log_stream_);
    external_extensions_ = ListExtensions({directories.begin() + 1, directories.end()});
    // With one too many nothing starts.
    if (external_extensions_.size() <= ExtensionsApi::kExtensionsMax) {
        for (const std::string& name : external_extensions_) {
            spec.companions.push_back("/opt/extensions/" + name);
        }
        spec.companion_environment = ExtensionVariables(spec.environment);
    }
    if (function_->environment.contains("AWS_ENDPOINT_URL")) {
        spec.door_variable.clear();
    }
    spec.memory_mb = function_->memory_mb;
    spec.ephemeral_storage_mb = function_->ephemeral_storage_mb;
    spec.egress = deps_.egress;
    co_return Status();
}

Task<Result<aws::RoleSession>> ExecutionEnvironment::FindSession() {
    aws::RoleSession session{
        .account = function_->account,
        .role_name = function_->role_arn.substr(function_->role_arn.rfind('/') + 1),
        .role_id = {},
        .session_name = function_->name,
        .duration = limits_.credentials};
    if (deps_.roles != nullptr) {
        HEARTH_CO_TRY(
            const auto role,
            co_await deps_.roles->FindRole(
                function_->account, function_->role_arn, "lambda.amazonaws.com"));
        if (role.exists) {
            session.role_name = role.role_name;
            session.role_id = role.role_id;
        } else if (role.account_has_roles) {
            co_return Error(
                Error::Kind::kDenied,
                "AccessDeniedException",
                "The role defined for the function cannot be assumed by Lambda.",
                403);
        }
    }
    if (session.role_id.empty()) {
        // A role taken as given: an id that stays the same for the same role.
        static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        size_t hash = std::hash<std::string>()(function_->role_arn);
        session.role_id = "AROA";
        for (int i = 0; i < 17; ++i) {
            session.role_id.push_back(kAlphabet[hash % 32]);
            hash = hash / 32 * 31 + hash % 97 + 7;
        }
    }
    co_return session;
}

std::string ExecutionEnvironment::MakeCredentials(const aws::RoleSession& session) const {
    const auto issued = deps_.sessions->IssueForRole(session);
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("AccessKeyId");
    writer.String(issued.access_key_id);
    writer.Key("SecretAccessKey");
    writer.String(issued.secret_access_key);
    writer.Key("Token");
    writer.String(issued.session_token);
    writer.Key("Expiration");
    writer.String(LogTime(deps_.wall_clock.Now() + limits_.credentials));
    writer.EndObject();
    return writer.Take();
}

Task<Status> ExecutionEnvironment::Prepare() {
    return PrepareAs(false);
}

Task<Status> ExecutionEnvironment::PrepareToSave() {
    return PrepareAs(true);
}

Task<Status> ExecutionEnvironment::PrepareAs(bool to_save) {
    to_save_ = to_save;
    sandbox::EnvironmentSpec spec;
    aws::DoorIdentity identity;
    HEARTH_CO_RETURN_IF_ERROR(co_await FillSpec(spec, identity));
    if (stillborn_.has_value()) {
        co_return Status();
    }
    HEARTH_CO_TRY(sandbox_, co_await deps_.sandbox.Create(std::move(spec)));
    Surround(std::move(identity));
    api_->Start();
    if (extensions_->api().any_external()) {
        if (!extensions_->failure().has_value()) {
            for (size_t i = 1; i <= external_extensions_.size(); ++i) {
                log_->Capture(sandbox_->TakeCompanionOutput(i), LogWriter::Source::kExtension);
            }
            HEARTH_CO_RETURN_IF_ERROR(co_await sandbox_->StartCompanions());
            tasks_.Spawn(WatchProcesses());
        }
        co_return Status();
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await sandbox_->Start());
    tasks_.Spawn(WatchExit());
    co_return Status();
}

void ExecutionEnvironment::Surround(aws::DoorIdentity identity) {
    if (api_ == nullptr) {
        api_ = std::make_unique<RuntimeApi>(sandbox_->TakeRuntimeApiListener());
    }
    extensions_ = std::make_unique<ExtensionHost>(
        ExtensionHost::Parts{
            .function = *function_,
            .platform_log = platform_log_,
            .log = *log_,
            .clock = deps_.wall_clock,
            .random = deps_.random,
            .api = *api_,
            .sandbox = *sandbox_},
        external_extensions_);
    if (to_save_) {
        api_->ExpectRestore();
        if (deps_.sessions != nullptr && session_.has_value()) {
            api_->ServeCredentials(
                CredentialsToken(), [this] { return MakeCredentials(*session_); });
        }
    }
    if (deps_.doors != nullptr) {
        if (os::Fd door = sandbox_->TakeDoorListener(); door.valid()) {
            door_ = deps_.doors->Open(std::move(door), std::move(identity));
        }
    }
    if (!restoring_) {
        CaptureOutput();
    }
}

void ExecutionEnvironment::CaptureOutput() {
    log_->Capture(sandbox_->TakeStdout());
    log_->Capture(sandbox_->TakeStderr());
}

Task<void> ExecutionEnvironment::WatchProcesses() {
    bool last = false;
    while (!last) {
        auto exit = co_await sandbox_->WaitProcessExit();
        last = !exit.ok() || exit->last;
        if (!exit.ok()) {
            exit_ = sandbox::ExitReport{.signal = 9, .lost = true};
        } else if (exit->process != sandbox::kRuntimeProcess) {
            extensions_->api().Exited(exit->process, exit->report);
        } else if (!exit_.has_value()) {
            exit_ = std::move(exit->report);
        }
        api_->changed().WakeAll();
        NoticeEnd();
    }
}

void ExecutionEnvironment::NoticeEnd() {
    if (expired_ && !stopped_ && !finishing_ && !usable()) {
        // Nobody uses it now: the owner hears at once.
        const auto expired = std::exchange(expired_, nullptr);
        expired();
    }
}

Task<bool> ExecutionEnvironment::StartAfterExtensions(steady_clock::time_point deadline) {
    while (!extensions_->api().registered() && !over()) {
        if (!co_await api_->changed().WaitUntil(deadline)) {
            co_return false;
        }
    }
    if (!over()) {
        if (const Status started = co_await sandbox_->Start(); !started.ok()) {
            log::Warn("lambda: {} does not start: {}", id_, started.error().message());
            exit_ = sandbox::ExitReport{.signal = 9, .lost = true};
        }
    }
    co_return true;
}

Task<void> ExecutionEnvironment::WatchExit() {
    auto report = co_await sandbox_->WaitExit();
    exit_ = report.ok() ? *std::move(report) : sandbox::ExitReport{.signal = 9, .lost = true};
    api_->changed().WakeAll();
    NoticeEnd();
}

std::string ExecutionEnvironment::ExitText() const {
    if (!exit_->start_error.empty()) {
        return exit_->start_error;
    }
    if (!exit_->out_of_memory && exit_->exit_code == 0) {
        return "Runtime exited without providing a reason";
    }
    return "Runtime exited with error: " + ExitStatusText(*exit_);
}

Task<void> ExecutionEnvironment::SettleExit() {
    const auto deadline = steady_clock::now() + kSettleMax;
    while (api_->connection_count() > 0) {
        if (!co_await api_->changed().WaitUntil(deadline)) {
            break;
        }
    }
}

Task<InitOutcome> ExecutionEnvironment::Init(std::chrono::nanoseconds limit) {
    const auto start = steady_clock::now();
    InitOutcome outcome;
    if (stillborn_.has_value()) {
        outcome = *stillborn_;
        co_return outcome;
    }
    const auto deadline = start + limit;
    bool in_time = true;
    const bool repeated = !init_start_told_;
    if (repeated) {
        extensions_->InitStarted(deps_.wall_clock.Now(), Facts(), "invoke");
    }
    if (extensions_->api().any_external()) {
        in_time = co_await StartAfterExtensions(deadline);
    }
    while (in_time && !api_->ready() && !api_->waiting_for_restore() &&
           !api_->init_error().has_value() && !over()) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    extensions_->api().CloseRegistration();
    while (in_time && !ready() && !resting() && !api_->init_error().has_value() && !over()) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    if (exit_.has_value() && !api_->init_error().has_value()) {
        co_await SettleExit();
    }
    outcome.duration = steady_clock::now() - start;
    if (api_->init_error().has_value()) {
        const RuntimeAnswer& error = *api_->init_error();
        outcome.error_type = OneLine(ErrorTypeOf(error));
        outcome.payload = error.body.empty() ? ErrorJson(outcome.error_type, "") : error.body;
    } else if (exit_.has_value()) {
        outcome.error_type =
            exit_->start_error.empty() ? "Runtime.ExitError" : "Runtime.InvalidEntrypoint";
        outcome.fault = ExitText();
        outcome.lost = exit_->lost;
        outcome.hopeless = !exit_->start_error.empty();
    } else if (extensions_->failure().has_value()) {
        outcome.error_type = extensions_->failure()->type;
        outcome.fault = extensions_->failure()->text;
    } else if (ready() || resting()) {
        outcome.ok = true;
    } else {
        outcome.timed_out = true;
        stopped_after_timeout_ = true;
    }
    init_failed_ = !outcome.ok;
    log_->Drain();
    extensions_->api().CloseSubscriptions();
    if (extensions_->any()) {
        extensions_->InitEnded(InitReport{
            .duration = outcome.duration,
            .phase = repeated ? "invoke" : "init",
            .status = outcome.ok          ? "success"
                      : outcome.timed_out ? "timeout"
                                          : "error",
            .error_type = outcome.error_type});
    }
    last_deadline_ = deadline;
    co_return outcome;
}

InitFacts ExecutionEnvironment::Facts() const {
    return InitFacts{
        .runtime_version = plan_.version,
        .runtime_version_arn = fmt::format(
            "arn:aws:lambda:{}::runtime:{}", function_->region.text(), function_->runtime),
        .initialization_type = to_save_ ? "snap-start" : "on-demand"};
}

// Init and restore have every processor there is, as on AWS; calls have the function's share.
void ExecutionEnvironment::LimitCpu() {
    if (!deps_.cpu_exact) {
        return;
    }
    const auto limited = sandbox_->SetCpuQuota(int64_t{function_->memory_mb} * 1000 / kMbPerCpu);
    if (!limited.ok()) {
        log::Warn("lambda: {} has no processor quota: {}", id_, limited.error().message());
    }
}

void ExecutionEnvironment::WriteInitStart() {
    const InitFacts facts = Facts();
    const auto now = deps_.wall_clock.Now();
    init_start_told_ = true;
    if (extensions_ != nullptr) {
        extensions_->InitStarted(now, facts, "init");
    }
    if (auto line = platform_log_.InitStart(now, facts)) {
        log_->Write(*std::move(line));
    }
}

void ExecutionEnvironment::WriteInitReport(const InitOutcome& init, std::string_view phase) {
    log_->DrainAll();
    const InitReport report{
        .duration = init.duration,
        .phase = phase,
        .status = init.timed_out ? "timeout" : "error",
        .error_type = init.error_type};
    if (auto line = platform_log_.InitDone(deps_.wall_clock.Now(), report)) {
        log_->Write(*std::move(line));
    }
}

Task<InvokeResult> ExecutionEnvironment::FailInInit(
    const InvokeRequest& request, const InitOutcome& init) {
    InvokeReport report{
        .request_id = request.request_id,
        .duration = init.duration,
        .init_duration = std::nullopt,
        .memory_mb = function_->memory_mb,
        .status = init.timed_out ? "timeout" : "error",
        .error_type = init.error_type};
    InvokeOutcome outcome;
    outcome.result.function_error = "Unhandled";
    log_->DrainAll();
    if (auto line = platform_log_.Start(deps_.wall_clock.Now(), request.request_id)) {
        log_->Write(*std::move(line));
    }
    if (init.timed_out) {
        outcome.result.payload = ErrorJson(
            "Sandbox.Timedout",
            FaultMessage(
                request.request_id,
                fmt::format("Task timed out after {}.00 seconds", function_->timeout_s)));
        WriteTimeout(request.request_id);
    } else if (!init.fault.empty()) {
        outcome.result.payload =
            ErrorJson(init.error_type, FaultMessage(request.request_id, init.fault));
        WriteFault(request.request_id, init.fault, init.error_type);
    } else {
        outcome.result.payload = init.payload;
    }
    outcome = co_await FinishInvoke(request, std::move(report), std::move(outcome));
    co_return std::move(outcome.result);
}

Task<void> ExecutionEnvironment::ReadUsage(bool now) {
    const auto time = steady_clock::now();
    if (sandbox_ == nullptr ||
        (!now && memory_bytes_ != 0 && time - usage_read_at_ < kUsageEvery)) {
        co_return;
    }
    usage_read_at_ = time;
    const auto usage = co_await sandbox_->ReadUsage();
    if (usage.ok()) {
        memory_bytes_ = std::max(memory_bytes_, usage->memory_bytes_max);
        own_memory_bytes_ = memory_bytes_ - std::min(memory_bytes_, usage->template_bytes);
    }
}

Task<void> ExecutionEnvironment::WriteEnd(
    InvokeReport& report, bool read_usage, std::vector<PlatformSpan> spans) {
    log_->DrainAll();
    if (!exit_.has_value() || !exit_->lost) {
        co_await ReadUsage(read_usage);
    }
    report.memory_used_bytes = memory_bytes_;
    const auto limit = static_cast<uint64_t>(function_->memory_mb) << 20;
    if (exit_.has_value() && exit_->out_of_memory) {
        report.memory_used_bytes = limit;
    }
    report.memory_used_bytes = std::min(report.memory_used_bytes, limit);
    const auto now = deps_.wall_clock.Now();
    if (auto line = platform_log_.End(now, report)) {
        log_->Write(*std::move(line));
    }
    if (auto line = platform_log_.Report(now, report)) {
        log_->Write(*std::move(line));
    }
    if (extensions_ != nullptr && extensions_->any()) {
        extensions_->Reported(report, std::move(spans));
    }
}

void ExecutionEnvironment::WriteFault(
    const std::string& request_id, const std::string& text, const std::string& type) {
    log_->DrainAll();
    if (auto line = platform_log_.Fault(request_id, text, type)) {
        log_->Write(*std::move(line));
    }
    if (extensions_ != nullptr && extensions_->any()) {
        extensions_->Faulted(request_id, text, type);
    }
}

void ExecutionEnvironment::WriteTimeout(const std::string& request_id) {
    log_->DrainAll();
    if (auto line =
            platform_log_.Timeout(deps_.wall_clock.Now(), request_id, function_->timeout_s)) {
        log_->Write(*std::move(line));
    }
}

Task<InvokeOutcome> ExecutionEnvironment::FinishInvoke(
    const InvokeRequest& request, InvokeReport report, InvokeOutcome outcome) {
    if (extensions_ != nullptr && extensions_->any()) {
        extensions_->RuntimeDone(report, {});
    }
    if (outcome.result.error_type.empty()) {
        outcome.result.error_type = report.error_type;
    }
    outcome.delivered = true;
    outcome.duration = report.duration;
    if (!request.log_tail && report.status == "success" && !over()) {
        // Whoever called need not wait for the log.
        ending_ = true;
        tasks_.Spawn(WriteEndLater(std::move(report)));
        co_return outcome;
    }
    co_await WriteEnd(report, request.log_tail || report.status != "success", {});
    if (request.log_tail) {
        outcome.result.log_tail = log_->TakeTail();
    }
    co_return outcome;
}

Task<void> ExecutionEnvironment::WriteEndLater(InvokeReport report) {
    co_await rt::Yield();
    co_await WriteEnd(report, false, {});
    ending_ = false;
    ended_.WakeAll();
}

Task<void> ExecutionEnvironment::FinishWithExtensions(
    InvokeReport report,
    WallClock::time_point wall_start,
    steady_clock::time_point start,
    steady_clock::time_point deadline) {
    bool in_time = true;
    while (in_time && !api_->ready() && !over() && !stopped_) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    const auto wall = [&](steady_clock::time_point at) {
        return wall_start + std::chrono::duration_cast<WallClock::duration>(at - start);
    };
    const auto runtime_done = steady_clock::now();
    report.duration = runtime_done - start;
    std::vector<PlatformSpan> spans;
    if (report.response_latency.has_value()) {
        const auto began = start + *report.response_latency;
        const auto ended = began + report.response_duration;
        spans = {
            {"responseLatency", wall_start, *report.response_latency},
            {"responseDuration", wall(began), report.response_duration},
            {"runtimeOverhead", wall(ended), runtime_done - ended}};
    }
    // The function's last lines come before the event that says it is done.
    log_->Drain();
    extensions_->RuntimeDone(report, std::move(spans));
    while (in_time && !extensions_->api().quiet() && !over() && !stopped_) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    const auto end = steady_clock::now();
    report.duration = end - start;
    if (exit_.has_value() && !stopped_) {
        report.status = "error";
        report.error_type = "Runtime.ExitError";
        WriteFault(report.request_id, ExitText(), report.error_type);
    } else if (const auto& failure = extensions_->failure(); failure.has_value()) {
        report.status = "error";
        report.error_type = failure->type;
        WriteFault(report.request_id, failure->text, failure->type);
    } else if (!in_time) {
        report.status = "timeout";
        report.duration = std::min<std::chrono::nanoseconds>(
            report.duration, std::chrono::seconds(function_->timeout_s));
        WriteTimeout(report.request_id);
        stopped_after_timeout_ = true;
    }
    co_await WriteEnd(
        report,
        report.status != "success",
        {PlatformSpan{"extensionOverhead", wall(runtime_done), end - runtime_done}});
    finishing_ = false;
    api_->changed().WakeAll();
    NoticeEnd();
}

Task<bool> ExecutionEnvironment::Wake() {
    while (freezing_ == Freezing::kFreezing) {
        co_await freeze_done_.Wait();
    }
    if (freezing_ == Freezing::kFrozen) {
        const auto thawed = co_await sandbox_->Thaw();
        if (!thawed.ok()) {
            log::Warn("lambda: {} does not thaw: {}", id_, thawed.error().message());
            co_return false;
        }
        freezing_ = Freezing::kRunning;
        extensions_->Resume();
    }
    co_return !over();
}

Task<InvokeOutcome> ExecutionEnvironment::Invoke(
    const InvokeRequest& request,
    std::optional<std::chrono::nanoseconds> init_duration,
    std::optional<steady_clock::time_point> given_deadline,
    std::optional<std::chrono::nanoseconds> restore_duration) {
    expired_ = nullptr;
    InvokeOutcome outcome;
    while (ending_) {
        co_await ended_.Wait();
    }
    if (freezing_ != Freezing::kRunning && !co_await Wake()) {
        co_return outcome;
    }
    const bool early = takes_event_early_ && invocations_ == 0;
    if (!ready() && !early) {
        const auto patience = steady_clock::now() + kReadyGrace;
        while (!ready() && !over()) {
            if (!co_await api_->changed().WaitUntil(patience)) {
                break;
            }
        }
    }
    if (!early && (!ready() || over())) {
        co_return outcome;
    }

    auto wall_start = deps_.wall_clock.Now();
    auto start = steady_clock::now();
    const auto write_start = [&] {
        log_->StartTail(request.log_tail);
        if (auto line = platform_log_.Start(wall_start, request.request_id)) {
            log_->Write(*std::move(line));
        }
    };
    if (!early) {
        co_await log_->WaitForRoom();
        log_->DrainAll();
        wall_start = deps_.wall_clock.Now();
        write_start();
        start = steady_clock::now();
    }
    const auto timeout = std::chrono::seconds(function_->timeout_s);
    auto deadline = given_deadline.value_or(start + timeout);
    last_deadline_ = deadline;
    if (++invocations_ == 1 && !early) {
        LimitCpu();
    }
    RuntimeInvocation invocation{
        .request_id = request.request_id,
        .deadline_unix_ms =
            UnixMs(wall_start) +
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - start).count(),
        .invoked_function_arn = request.invoked_function_arn,
        .trace_header = request.trace_header,
        .client_context = request.client_context,
        .payload = request.payload.empty() ? "{}" : request.payload,
        .stream = request.stream,
        .limit_bandwidth = deps_.cpu_exact};
    if (invocation.trace_header.empty()) {
        invocation.trace_header = fmt::format(
            "Root=1-{:08x}-{};Parent={};Sampled=0",
            UnixMs(wall_start) / 1000,
            deps_.random.Hex(12),
            deps_.random.Hex(8));
    }
    const bool has_extensions = extensions_->any();
    if (has_extensions) {
        extensions_->InvokeStarted(wall_start, request.request_id, invocation.trace_header);
    }
    const bool offered = ready();
    if (offered) {
        api_->Offer(invocation);
    }
    invocation.payload = std::string();
    if (early) {
        // It is in the socket when the runtime looks there. What it does and writes is looked at
        // when it is known to run.
        RestoreOutcome restore;
        restore.timed_out = !co_await WaitRestored(restore_deadline_);
        restore.ok = !restore.timed_out && restored_->ok();
        restore.refused = !restore.timed_out && !restore.ok &&
                          restored_->error().kind() == Error::Kind::kConflict;
        restore.lost = !restore.timed_out && !restore.ok && !restore.refused;
        restore.duration = steady_clock::now() - made_at_;
        std::exchange(when_restored_, nullptr)(restore);
        if (!restore.ok || !offered) {
            co_return outcome;
        }
        LimitCpu();
        restore_duration = restore.duration;
        wall_start = deps_.wall_clock.Now();
        start = steady_clock::now();
        deadline = given_deadline.value_or(start + timeout);
        last_deadline_ = deadline;
        write_start();
        CaptureOutput();
    }
    if (has_extensions) {
        extensions_->api().Invoke(ExtensionInvocation{
            .request_id = request.request_id,
            .deadline_unix_ms = invocation.deadline_unix_ms,
            .invoked_function_arn = request.invoked_function_arn,
            .trace_header = std::move(invocation.trace_header)});
    }

    std::optional<RuntimeAnswer> answer;
    bool in_time = true;
    while (in_time && !(answer = api_->TakeAnswer()).has_value() && !over()) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    const auto duration = steady_clock::now() - start;
    if (!answer.has_value() && exit_.has_value()) {
        co_await SettleExit();
        answer = api_->TakeAnswer();
    }
    if (answer.has_value() && answer->truncated) {
        // Most of these runtimes died; their end comes a moment after their socket's.
        const auto settled = steady_clock::now() + kSettleMax;
        while (!exit_.has_value() && co_await api_->changed().WaitUntil(settled)) {
        }
    }

    InvokeReport report{
        .request_id = request.request_id,
        .duration = duration,
        .init_duration = init_duration,
        .restore_duration = restore_duration,
        .memory_mb = function_->memory_mb};
    if (answer.has_value()) {
        report.response_latency = answer->began_at - start;
        report.response_duration = answer->ended_at - answer->began_at;
        report.produced_bytes = answer->produced_bytes;
    }
    InvokeResult& result = outcome.result;
    if (answer.has_value() && answer->too_large) {
        report.status = "error";
        report.error_type = "Function.ResponseSizeTooLarge";
        result.function_error = "Unhandled";
        result.payload = ErrorJson(
            report.error_type,
            fmt::format(
                "Response payload size exceeded maximum allowed payload size ({} bytes).",
                answer->streamed ? kStreamedBytesMax : kRuntimeApiBodyBytesMax));
    } else if (answer.has_value() && answer->truncated) {
        report.status = "error";
        report.error_type = "Runtime.TruncatedResponse";
        result.function_error = "Unhandled";
        if (!answer->streamed) {
            result.payload = ErrorJson(report.error_type, "HTTP request detected as truncated");
        }
        result.error_type = report.error_type;
        if (exit_.has_value()) {
            outcome.lost = exit_->lost;
            report.error_type = "Runtime.ExitError";
            WriteFault(request.request_id, ExitText(), report.error_type);
        }
    } else if (answer.has_value() && answer->is_error) {
        if (!answer->streamed) {
            // An error in a trailer is part of a successful answer.
            report.status = "error";
            report.error_type = OneLine(ErrorTypeOf(*answer));
        }
        result.error_type = OneLine(ErrorTypeOf(*answer));
        result.function_error = "Unhandled";
        result.payload =
            answer->body.empty() ? ErrorJson(result.error_type, "") : std::move(answer->body);
    } else if (answer.has_value() && answer->invalid_mode) {
        report.status = "error";
        report.error_type = "Runtime.InvalidResponseModeHeader";
        result.function_error = "Unhandled";
        result.payload = ErrorJson(report.error_type, "");
    } else if (answer.has_value()) {
        result.payload = std::move(answer->body);
    } else if (exit_.has_value()) {
        outcome.lost = exit_->lost;
        report.status = "error";
        report.error_type = "Runtime.ExitError";
        const std::string fault = ExitText();
        result.function_error = "Unhandled";
        result.payload = ErrorJson(report.error_type, FaultMessage(request.request_id, fault));
        WriteFault(request.request_id, fault, report.error_type);
    } else if (const auto& failure = extensions_->failure(); failure.has_value()) {
        report.status = "error";
        report.error_type = failure->type;
        result.function_error = "Unhandled";
        result.payload =
            ErrorJson(report.error_type, FaultMessage(request.request_id, failure->text));
        WriteFault(request.request_id, failure->text, failure->type);
    } else {
        outcome.timed_out = true;
        report.status = "timeout";
        report.duration = std::min<std::chrono::nanoseconds>(duration, timeout);
        result.function_error = "Unhandled";
        result.error_type = "Sandbox.Timedout";
        result.payload = ErrorJson(
            "Sandbox.Timedout",
            FaultMessage(
                request.request_id,
                fmt::format("Task timed out after {}.00 seconds", function_->timeout_s)));
        WriteTimeout(request.request_id);
        // It stays busy with a call nobody waits for: it is over.
        stopped_after_timeout_ = true;
    }
    if (has_extensions && answer.has_value() && !over()) {
        // Who called has the answer now; the extensions have until the deadline.
        outcome.delivered = true;
        outcome.duration = duration;
        if (result.error_type.empty()) {
            result.error_type = report.error_type;
        }
        finishing_ = true;
        auto finish = FinishWithExtensions(std::move(report), wall_start, start, deadline);
        if (request.log_tail) {
            co_await std::move(finish);
            result.log_tail = log_->TakeTail();
        } else {
            tasks_.Spawn(std::move(finish));
        }
        co_return outcome;
    }
    co_return co_await FinishInvoke(request, std::move(report), std::move(outcome));
}

bool ExecutionEnvironment::usable() const {
    return sandbox_ != nullptr && !stopped_ && !saved_ && !api_->restore_error().has_value() &&
           !over() && !stopped_after_timeout_ && !api_->init_error().has_value() &&
           steady_clock::now() - made_at_ < limits_.lifetime_max;
}

void ExecutionEnvironment::BecomeIdle(std::function<void()> expired) {
    expired_ = std::move(expired);
    idle_since_ = steady_clock::now();
    flushed_ = false;
    if (invocations_ == 1) {
        sandbox_->Answered();
    }
    // A busy environment comes through here thousands of times a second: an armed timer stays as it
    // is and looks at idle_since_ when it rings. One that was armed for the end rings too late.
    if (std::exchange(armed_for_end_, false) || !idle_timer_.armed()) {
        idle_timer_.ArmAt(idle_since_ + limits_.freeze_after);
    }
}

void ExecutionEnvironment::OnIdleTimer() {
    if (!expired_ || stopped_) {
        // Busy; BecomeIdle arms it again.
        return;
    }
    const auto now = steady_clock::now();
    const auto expire = [this] { std::exchange(expired_, nullptr)(); };
    if (!usable() || now - idle_since_ >= limits_.evict_after) {
        expire();
        return;
    }
    if (freezing_ == Freezing::kFrozen) {
        ArmForEnd();
        return;
    }
    if (now - idle_since_ < limits_.freeze_after) {
        idle_timer_.ArmAt(idle_since_ + limits_.freeze_after);
        return;
    }
    if (!ready()) {
        // It answered and has not asked again: still part of that call, and of its time.
        if (now >= last_deadline_ && !finishing_) {
            expire();
        } else {
            idle_timer_.ArmAt(
                finishing_ ? now + limits_.freeze_after
                           : std::min(now + limits_.freeze_after, last_deadline_));
        }
        return;
    }
    if (!std::exchange(flushed_, true) && extensions_->FlushTelemetry()) {
        idle_timer_.ArmAt(now + limits_.freeze_after);
        return;
    }
    if (freezing_ == Freezing::kRunning) {
        freezing_ = Freezing::kFreezing;
        freeze_done_.Reset();
        tasks_.Spawn(Freeze());
    }
}

Task<void> ExecutionEnvironment::Freeze() {
    const auto frozen = co_await sandbox_->Freeze();
    // A backend that cannot freeze leaves it running; it is asked again after the next call.
    freezing_ = frozen.ok() ? Freezing::kFrozen : Freezing::kRunning;
    if (frozen.ok()) {
        extensions_->Pause();
    }
    freeze_done_.Set();
    if (expired_ && !stopped_) {
        ArmForEnd();
    }
}

void ExecutionEnvironment::ArmForEnd() {
    armed_for_end_ = true;
    idle_timer_.ArmAt(idle_since_ + limits_.evict_after);
}

void ExecutionEnvironment::Kill() {
    if (sandbox_ != nullptr && !stopped_) {
        tasks_.Spawn(DestroySandbox());
    }
}

Task<void> ExecutionEnvironment::DestroySandbox() {
    if (const auto destroyed = co_await sandbox_->Destroy(); !destroyed.ok()) {
        log::Warn("lambda: {} is not destroyed: {}", id_, destroyed.error().message());
    }
}

Task<void> ExecutionEnvironment::ShutDownProcesses() {
    // A call that extensions still work on ends here.
    api_->changed().WakeAll();
    while (finishing_) {
        co_await api_->changed().Wait();
    }
    if (exit_.has_value() && exit_->lost) {
        co_return;
    }
    if (freezing_ == Freezing::kFrozen) {
        if (const auto thawed = co_await sandbox_->Thaw(); !thawed.ok()) {
            co_return;
        }
        freezing_ = Freezing::kRunning;
        extensions_->Resume();
    }
    const bool failed = over() || init_failed_;
    co_await extensions_->Shutdown(
        stopped_after_timeout_ ? "timeout"
        : failed               ? "failure"
                               : "spindown",
        exit_);
}

Task<void> ExecutionEnvironment::Stop() {
    if (std::exchange(stopped_, true)) {
        co_return;
    }
    expired_ = nullptr;
    idle_timer_.Cancel();
    while (freezing_ == Freezing::kFreezing) {
        co_await freeze_done_.Wait();
    }
    while (ending_) {
        co_await ended_.Wait();
    }
    if (extensions_ != nullptr && extensions_->any()) {
        co_await ShutDownProcesses();
    }
    if (extensions_ != nullptr) {
        co_await extensions_->Stop();
    }
    if (sandbox_ != nullptr) {
        co_await DestroySandbox();
    }
    if (door_ != nullptr) {
        co_await door_->Close();
        door_.reset();
    }
    if (api_ != nullptr) {
        co_await api_->Stop();
    }
    co_await log_->Stop();
    co_await tasks_.Join();
    sandbox_.reset();
    code_.clear();
}

}  // namespace hearth::lambda
