#include "services/lambda/extension_host.h"

#include "rt/timer.h"

#include <signal.h>

#include <utility>

namespace hearth::lambda {

namespace {

using codec::Json;
using std::chrono::steady_clock;

// Source: "Lambda runtime environment lifecycle", docs.aws.amazon.com/lambda/latest/dg, and
// github.com/aws-samples/graceful-shutdown-with-aws-lambda.
constexpr std::chrono::milliseconds kShutdownInternal{500};
constexpr std::chrono::milliseconds kShutdownExternal{2000};
constexpr std::chrono::milliseconds kRuntimeShare{300};
// Of the time of the extensions, for what they have not been told yet.
constexpr std::chrono::milliseconds kFlushMax{200};

Json::Object RequestIdRecord(std::string_view request_id) {
    Json::Object record;
    record.push_back({"requestId", Json(request_id)});
    return record;
}

}  // namespace

ExtensionHost::ExtensionHost(const Parts& parts, std::vector<std::string> external)
    : parts_(parts),
      api_(
          parts_.api,
          parts_.random,
          ExtensionsApi::Facts{
              .account = parts_.function.account.text(),
              .function_name = parts_.function.name,
              .function_version = parts_.function.version,
              .handler = parts_.function.handler},
          std::vector<std::string>(
              external.begin(),
              external.begin() +
                  static_cast<ptrdiff_t>(std::min(external.size(), ExtensionsApi::kExtensionsMax))),
          [this](
              std::string_view path,
              const std::string& extension,
              const RuntimeApiRequest& request) { return Subscribe(path, extension, request); }),
      external_count_(std::min(external.size(), ExtensionsApi::kExtensionsMax)) {
    if (external.size() > ExtensionsApi::kExtensionsMax) {
        api_.RefuseTooMany(std::move(external.back()));
    }
    if (!external.empty()) {
        MakeTelemetry();
    }
    parts_.api.Add(&api_);
}

ExtensionHost::~ExtensionHost() = default;

Task<Result<os::Fd>> ExtensionHost::MakeSocket() {
    co_return co_await parts_.sandbox.MakeSocket();
}

Telemetry& ExtensionHost::MakeTelemetry() {
    if (telemetry_ == nullptr) {
        telemetry_ = std::make_unique<Telemetry>([this] { return MakeSocket(); }, parts_.clock);
        parts_.log.Observe([this](LogWriter::Source source, const LogLine& line) {
            if (source != LogWriter::Source::kPlatform) {
                telemetry_->Publish(
                    source == LogWriter::Source::kExtension ? TelemetryStream::kExtension
                                                            : TelemetryStream::kFunction,
                    line);
            }
        });
        if (init_started_at_.has_value()) {
            InitStarted(*init_started_at_, init_facts_, init_phase_);
        }
    }
    return *telemetry_;
}

ApiAnswer ExtensionHost::Subscribe(
    std::string_view path, const std::string& extension, const RuntimeApiRequest& request) {
    const bool logs_api = path.ends_with("/logs");
    const std::string_view error_type = logs_api ? "Logs.ValidationError" : "ValidationError";
    auto subscription = ParseTelemetrySubscription(logs_api, request.body);
    if (!subscription.ok()) {
        return ExtensionRefusal(400, error_type, subscription.error().message());
    }
    const std::vector<std::string> types = subscription->types;
    Telemetry& telemetry = MakeTelemetry();
    if (const Status done = telemetry.Subscribe(extension, *std::move(subscription)); !done.ok()) {
        return ExtensionRefusal(400, error_type, done.error().message());
    }
    const auto now = parts_.clock.Now();
    if (auto line = parts_.platform_log.Subscription(now, logs_api, extension, types)) {
        parts_.log.Write(*std::move(line));
    }
    const Json record(SubscriptionRecord(extension, "Subscribed", types));
    PlatformEvent event;
    (logs_api ? event.logs_type : event.type) =
        logs_api ? "platform.logsSubscription" : "platform.telemetrySubscription";
    (logs_api ? event.logs_record : event.record) = record;
    telemetry.Publish(now, event);
    return ApiAnswer{.status = 200, .headers = {}, .body = "\"OK\""};
}

void ExtensionHost::InitStarted(
    WallClock::time_point at, const InitFacts& facts, std::string_view phase) {
    if (telemetry_ == nullptr) {
        init_started_at_ = at;
        init_facts_ = facts;
        init_phase_ = phase;
        return;
    }
    PlatformEvent event{.type = "platform.initStart"};
    event.record = Json(InitStartRecord(parts_.function, facts, phase));
    telemetry_->Publish(at, event);
}

void ExtensionHost::InitEnded(const InitReport& report) {
    if (!any()) {
        return;
    }
    const auto now = parts_.clock.Now();
    if (telemetry_ != nullptr) {
        PlatformEvent done{.type = "platform.initRuntimeDone"};
        done.record = Json(InitRuntimeDoneRecord(report));
        telemetry_->Publish(now, done);
    }
    for (const ExtensionStatus& status : api_.Describe()) {
        if (auto line = parts_.platform_log.Extension(now, status)) {
            parts_.log.Write(*std::move(line));
        }
        if (telemetry_ != nullptr) {
            PlatformEvent event{
                .type = "platform.extension",
                .record = Json(ExtensionRecord(status)),
                .logs_type = "platform.extension",
                .logs_record = Json(ExtensionRecord(status))};
            telemetry_->Publish(now, event);
        }
    }
    if (telemetry_ != nullptr) {
        PlatformEvent event{.type = "platform.initReport"};
        event.record = Json(InitReportRecord(report));
        telemetry_->Publish(now, event);
        telemetry_->CloseHistory();
    }
}

void ExtensionHost::InvokeStarted(
    WallClock::time_point at, std::string_view request_id, const std::string& trace_header) {
    if (telemetry_ == nullptr) {
        return;
    }
    trace_header_ = trace_header;
    telemetry_->Publish(
        at,
        PlatformEvent{
            .type = "platform.start",
            .record = Json(StartRecord(parts_.function, request_id, {.header = trace_header})),
            .logs_type = "platform.start",
            .logs_record = Json(StartRecord(parts_.function, request_id, {}))});
}

void ExtensionHost::RuntimeDone(const InvokeReport& report, std::vector<PlatformSpan> spans) {
    if (telemetry_ == nullptr) {
        return;
    }
    Json::Object logs_record = RequestIdRecord(report.request_id);
    logs_record.push_back({"status", Json(report.status == "error" ? "failure" : report.status)});
    telemetry_->Publish(
        parts_.clock.Now(),
        PlatformEvent{
            .type = "platform.runtimeDone",
            .record = Json(
                RuntimeDoneRecord(report, {.header = trace_header_, .spans = std::move(spans)})),
            .logs_type = "platform.runtimeDone",
            .logs_record = Json(std::move(logs_record)),
            .logs_20210318_only = true});
}

void ExtensionHost::Faulted(
    std::string_view request_id, std::string_view text, std::string_view type) {
    if (telemetry_ == nullptr) {
        return;
    }
    PlatformEvent event;
    event.logs_type = "platform.fault";
    event.logs_record = Json(fmt::format("RequestId: {} Error: {}\n{}", request_id, text, type));
    telemetry_->Publish(parts_.clock.Now(), event);
}

void ExtensionHost::Reported(const InvokeReport& report, std::vector<PlatformSpan> spans) {
    if (telemetry_ == nullptr) {
        return;
    }
    const auto now = parts_.clock.Now();
    PlatformEvent end;
    end.logs_type = "platform.end";
    end.logs_record = Json(RequestIdRecord(report.request_id));
    telemetry_->Publish(now, end);
    Json::Object record =
        ReportRecord(report, {.header = trace_header_, .spans = std::move(spans)});
    Json::Object logs_record = RequestIdRecord(report.request_id);
    for (const Json::Member& member : record) {
        if (member.name == "metrics") {
            logs_record.push_back(member);
        }
    }
    telemetry_->Publish(
        now,
        PlatformEvent{
            .type = "platform.report",
            .record = Json(std::move(record)),
            .logs_type = "platform.report",
            .logs_record = Json(std::move(logs_record))});
}

bool ExtensionHost::FlushTelemetry() {
    if (telemetry_ == nullptr || telemetry_->idle()) {
        return false;
    }
    telemetry_->FlushSoon();
    return true;
}

void ExtensionHost::Pause() {
    if (telemetry_ != nullptr) {
        telemetry_->Pause();
    }
}

void ExtensionHost::Resume() {
    if (telemetry_ != nullptr) {
        telemetry_->Resume();
    }
}

Task<void> ExtensionHost::Shutdown(
    std::string_view reason, const std::optional<sandbox::ExitReport>& runtime_exit) {
    const bool external = api_.any_external();
    const auto start = steady_clock::now();
    const auto end = start + (external ? kShutdownExternal : kShutdownInternal);
    const auto end_unix_ms =
        UnixMs(parts_.clock.Now()) + (external ? kShutdownExternal : kShutdownInternal).count();
    api_.BeginShutdown();
    if (!runtime_exit.has_value()) {
        const auto runtime_end = start + (external ? kRuntimeShare : kShutdownInternal);
        (void)parts_.sandbox.Signal(SIGTERM).ok();
        while (!runtime_exit.has_value() && co_await parts_.api.changed().WaitUntil(runtime_end)) {
        }
        if (!runtime_exit.has_value()) {
            (void)parts_.sandbox.Signal(SIGKILL).ok();
        }
    }
    if (!external || (runtime_exit.has_value() && runtime_exit->lost)) {
        co_return;
    }
    if (telemetry_ != nullptr) {
        co_await telemetry_->Flush(std::min(steady_clock::now() + kFlushMax, end));
    }
    api_.Shutdown(reason, end_unix_ms);
    for (size_t i = 1; i <= external_count_; ++i) {
        if (!api_.exited(i) && !api_.awaits_shutdown(i)) {
            (void)parts_.sandbox.SignalProcess(i, SIGKILL).ok();
        }
    }
    const auto all_exited = [&] {
        for (size_t i = 1; i <= external_count_; ++i) {
            if (!api_.exited(i)) {
                return false;
            }
        }
        return true;
    };
    while (!all_exited() && !(runtime_exit.has_value() && runtime_exit->lost) &&
           co_await parts_.api.changed().WaitUntil(end)) {
    }
}

Task<void> ExtensionHost::Stop() {
    parts_.log.Observe(nullptr);
    if (telemetry_ != nullptr) {
        co_await telemetry_->Stop();
    }
}

}  // namespace hearth::lambda
