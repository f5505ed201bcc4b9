#include "services/lambda/execution_environment.h"

#include "base/log.h"
#include "codec/json/json.h"

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

std::string SignalName(int signal) {
    // As Go prints them, which is what AWS's own runtime supervisor is written in.
    switch (signal) {
        case 1:
            return "hangup";
        case 2:
            return "interrupt";
        case 3:
            return "quit";
        case 4:
            return "illegal instruction";
        case 5:
            return "trace/breakpoint trap";
        case 6:
            return "aborted";
        case 7:
            return "bus error";
        case 8:
            return "floating point exception";
        case 9:
            return "killed";
        case 11:
            return "segmentation fault";
        case 13:
            return "broken pipe";
        case 14:
            return "alarm clock";
        case 15:
            return "terminated";
        default:
            return fmt::format("signal {}", signal);
    }
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
    static constexpr std::string_view kInside[] = {"/var/task/bootstrap", "/opt/bootstrap"};
    for (size_t i = 0; i < directories.size() && i < 2; ++i) {
        const std::string path = directories[i] + "/bootstrap";
        struct stat facts{};
        if (directories[i].empty() || ::stat(path.c_str(), &facts) != 0) {
            continue;
        }
        if (!S_ISREG(facts.st_mode) || (facts.st_mode & 0111) == 0) {
            return errors::Malformed(fmt::format("fork/exec {}: permission denied", kInside[i]));
        }
        return std::string(kInside[i]);
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
    if (function_->layer_code_ids.size() > 1) {
        co_return errors::Unavailable("functions with several layers cannot run yet");
    }
    for (const std::string& layer : function_->layer_code_ids) {
        HEARTH_CO_TRY(auto directory, co_await deps_.code.Open(layer));
        directories.push_back(directory->path());
        spec.mounts.push_back({directory->path(), "/opt"});
        code_.push_back(std::move(directory));
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
    }

    EnvironmentCredentials credentials;
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
    if (deps_.sessions != nullptr) {
        const auto issued = deps_.sessions->IssueForRole(session);
        credentials = EnvironmentCredentials{
            .access_key_id = issued.access_key_id,
            .secret_access_key = issued.secret_access_key,
            .session_token = issued.session_token};
        identity.role = aws::SessionIssuer::CallerOf(session);
    }
    identity.account = function_->account;
    identity.region = function_->region;
    identity.function_arn = fmt::format(
        "arn:aws:lambda:{}:{}:function:{}",
        function_->region.text(),
        function_->account.text(),
        function_->name);

    spec.id = id_;
    spec.environment = EnvironmentVariables(*function_, plan_, credentials, log_stream_);
    if (function_->environment.contains("AWS_ENDPOINT_URL")) {
        spec.door_variable.clear();
    }
    spec.memory_mb = function_->memory_mb;
    spec.ephemeral_storage_mb = function_->ephemeral_storage_mb;
    spec.egress = deps_.egress;
    co_return Status();
}

Task<Status> ExecutionEnvironment::Prepare() {
    sandbox::EnvironmentSpec spec;
    aws::DoorIdentity identity;
    HEARTH_CO_RETURN_IF_ERROR(co_await FillSpec(spec, identity));
    if (stillborn_.has_value()) {
        co_return Status();
    }
    HEARTH_CO_TRY(sandbox_, co_await deps_.sandbox.Create(std::move(spec)));
    api_ = std::make_unique<RuntimeApi>(sandbox_->TakeRuntimeApiListener());
    api_->Start();
    if (deps_.doors != nullptr) {
        if (os::Fd door = sandbox_->TakeDoorListener(); door.valid()) {
            door_ = deps_.doors->Open(std::move(door), std::move(identity));
        }
    }
    log_->Capture(sandbox_->TakeStdout());
    log_->Capture(sandbox_->TakeStderr());
    HEARTH_CO_RETURN_IF_ERROR(co_await sandbox_->Start());
    tasks_.Spawn(WatchExit());
    co_return Status();
}

Task<void> ExecutionEnvironment::WatchExit() {
    auto report = co_await sandbox_->WaitExit();
    exit_ = report.ok() ? *std::move(report) : sandbox::ExitReport{.signal = 9, .lost = true};
    api_->changed().WakeAll();
    if (expired_ && !stopped_) {
        // Nobody uses it now: the owner hears at once.
        const auto expired = std::exchange(expired_, nullptr);
        expired();
    }
}

std::string ExecutionEnvironment::ExitText() const {
    if (!exit_->start_error.empty()) {
        return exit_->start_error;
    }
    if (exit_->out_of_memory) {
        return "Runtime exited with error: signal: killed";
    }
    if (exit_->signal.has_value()) {
        return "Runtime exited with error: signal: " + SignalName(*exit_->signal);
    }
    if (exit_->exit_code.value_or(0) != 0) {
        return fmt::format("Runtime exited with error: exit status {}", *exit_->exit_code);
    }
    return "Runtime exited without providing a reason";
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
    while (in_time && !api_->ready() && !api_->init_error().has_value() && !exit_.has_value()) {
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
    } else if (api_->ready()) {
        outcome.ok = true;
    } else {
        outcome.timed_out = true;
    }
    log_->Drain();
    last_deadline_ = deadline;
    co_return outcome;
}

void ExecutionEnvironment::WriteInitStart() {
    const InitFacts facts{
        .runtime_version = plan_.version,
        .runtime_version_arn = fmt::format(
            "arn:aws:lambda:{}::runtime:{}", function_->region.text(), function_->runtime)};
    if (auto line = platform_log_.InitStart(deps_.wall_clock.Now(), facts)) {
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
        if (auto line = platform_log_.Timeout(
                deps_.wall_clock.Now(), request.request_id, function_->timeout_s)) {
            log_->Write(*std::move(line));
        }
    } else if (!init.fault.empty()) {
        outcome.result.payload =
            ErrorJson(init.error_type, FaultMessage(request.request_id, init.fault));
        if (auto line = platform_log_.Fault(request.request_id, init.fault, init.error_type)) {
            log_->Write(*std::move(line));
        }
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
    }
}

Task<InvokeOutcome> ExecutionEnvironment::FinishInvoke(
    const InvokeRequest& request, InvokeReport report, InvokeOutcome outcome) {
    log_->DrainAll();
    if (!outcome.lost) {
        co_await ReadUsage(request.log_tail || report.status != "success");
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
    if (request.log_tail) {
        outcome.result.log_tail = log_->TakeTail();
    }
    if (outcome.result.error_type.empty()) {
        outcome.result.error_type = report.error_type;
    }
    outcome.delivered = true;
    outcome.duration = report.duration;
    co_return outcome;
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
    }
    co_return !exit_.has_value();
}

Task<InvokeOutcome> ExecutionEnvironment::Invoke(
    const InvokeRequest& request,
    std::optional<std::chrono::nanoseconds> init_duration,
    std::optional<steady_clock::time_point> given_deadline) {
    expired_ = nullptr;
    InvokeOutcome outcome;
    if (freezing_ != Freezing::kRunning && !co_await Wake()) {
        co_return outcome;
    }
    if (!api_->ready()) {
        const auto patience = steady_clock::now() + kReadyGrace;
        while (!api_->ready() && !exit_.has_value()) {
            if (!co_await api_->changed().WaitUntil(patience)) {
                break;
            }
        }
    }
    if (!api_->ready() || exit_.has_value()) {
        co_return outcome;
    }

    co_await log_->WaitForRoom();
    log_->DrainAll();
    log_->StartTail(request.log_tail);
    const auto wall_start = deps_.wall_clock.Now();
    if (auto line = platform_log_.Start(wall_start, request.request_id)) {
        log_->Write(*std::move(line));
    }
    const auto start = steady_clock::now();
    const auto timeout = std::chrono::seconds(function_->timeout_s);
    const auto deadline = given_deadline.value_or(start + timeout);
    last_deadline_ = deadline;
    ++invocations_;
    RuntimeInvocation invocation{
        .request_id = request.request_id,
        .deadline_unix_ms =
            UnixMs(wall_start) +
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - start).count(),
        .invoked_function_arn = request.invoked_function_arn,
        .trace_header = request.trace_header,
        .client_context = request.client_context,
        .payload = request.payload.empty() ? "{}" : request.payload,
        .stream = request.stream};
    if (invocation.trace_header.empty()) {
        invocation.trace_header = fmt::format(
            "Root=1-{:08x}-{};Parent={};Sampled=0",
            UnixMs(wall_start) / 1000,
            deps_.random.Hex(12),
            deps_.random.Hex(8));
    }
    api_->Offer(invocation);
    invocation.payload = std::string();

    std::optional<RuntimeAnswer> answer;
    bool in_time = true;
    while (in_time && !(answer = api_->TakeAnswer()).has_value() && !exit_.has_value()) {
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
            log_->DrainAll();
            if (auto line =
                    platform_log_.Fault(request.request_id, ExitText(), report.error_type)) {
                log_->Write(*std::move(line));
            }
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
        log_->DrainAll();
        if (auto line = platform_log_.Fault(request.request_id, fault, report.error_type)) {
            log_->Write(*std::move(line));
        }
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
        log_->DrainAll();
        if (auto line = platform_log_.Timeout(
                deps_.wall_clock.Now(), request.request_id, function_->timeout_s)) {
            log_->Write(*std::move(line));
        }
        // It stays busy with a call nobody waits for: it is over.
        stopped_after_timeout_ = true;
    }
    co_return co_await FinishInvoke(request, std::move(report), std::move(outcome));
}

bool ExecutionEnvironment::usable() const {
    return sandbox_ != nullptr && !stopped_ && !exit_.has_value() && !stopped_after_timeout_ &&
           !api_->init_error().has_value() && steady_clock::now() - made_at_ < limits_.lifetime_max;
}

void ExecutionEnvironment::BecomeIdle(std::function<void()> expired) {
    expired_ = std::move(expired);
    idle_since_ = steady_clock::now();
    // A busy environment comes through here thousands of times a second: an armed timer stays as it
    // is and looks at idle_since_ when it rings.
    if (!idle_timer_.armed()) {
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
        idle_timer_.ArmAt(idle_since_ + limits_.evict_after);
        return;
    }
    if (now - idle_since_ < limits_.freeze_after) {
        idle_timer_.ArmAt(idle_since_ + limits_.freeze_after);
        return;
    }
    if (!api_->ready()) {
        // It answered and has not asked again: still part of that call, and of its time.
        if (now >= last_deadline_) {
            expire();
        } else {
            idle_timer_.ArmAt(std::min(now + limits_.freeze_after, last_deadline_));
        }
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
    freeze_done_.Set();
    if (expired_ && !stopped_) {
        idle_timer_.ArmAt(idle_since_ + limits_.evict_after);
    }
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

Task<void> ExecutionEnvironment::Stop() {
    if (std::exchange(stopped_, true)) {
        co_return;
    }
    expired_ = nullptr;
    idle_timer_.Cancel();
    while (freezing_ == Freezing::kFreezing) {
        co_await freeze_done_.Wait();
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
