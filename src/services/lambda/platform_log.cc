#include "services/lambda/platform_log.h"

#include "services/lambda/platform_records.h"

#include <fmt/chrono.h>

#include <cmath>
#include <ctime>
#include <utility>

namespace hearth::lambda {

namespace {

double Milliseconds(std::chrono::nanoseconds duration) {
    return static_cast<double>(duration.count()) / 1e6;
}

}  // namespace

int64_t BilledMilliseconds(const InvokeReport& report) {
    // Since August 2025 AWS bills the init phase of every function.
    const auto whole = report.duration + report.init_duration.value_or(std::chrono::nanoseconds(0));
    return static_cast<int64_t>(std::ceil(Milliseconds(whole)));
}

int64_t BilledRestoreMilliseconds(const InvokeReport& report) {
    return static_cast<int64_t>(
        std::ceil(Milliseconds(report.restore_duration.value_or(std::chrono::nanoseconds(0)))));
}

int64_t MemoryUsedMegabytes(const InvokeReport& report) {
    return static_cast<int64_t>((report.memory_used_bytes + (1 << 20) - 1) >> 20);
}

std::string LogTime(WallClock::time_point time) {
    const int64_t ms = UnixMs(time);
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        ms % 1000);
}

PlatformLog::PlatformLog(const FunctionVersion& function)
    : function_(function), json_(function.log_format == "JSON"), level_(Level::kInfo) {
    if (json_ && function.system_log_level == "DEBUG") {
        level_ = Level::kDebug;
    } else if (json_ && function.system_log_level == "WARN") {
        level_ = Level::kWarn;
    }
}

std::optional<std::string> PlatformLog::InitStart(
    WallClock::time_point now, const InitFacts& facts) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (!json_) {
        return fmt::format(
            "INIT_START Runtime Version: {}\tRuntime Version ARN: {}",
            facts.runtime_version,
            facts.runtime_version_arn);
    }
    return PlatformEventJson(now, "platform.initStart", InitStartRecord(function_, facts, "init"));
}

std::optional<std::string> PlatformLog::InitDone(
    WallClock::time_point now, const InitReport& report) const {
    if (!json_) {
        std::string line = fmt::format(
            "INIT_REPORT Init Duration: {:.2f} ms\tPhase: {}\tStatus: {}",
            Milliseconds(report.duration),
            report.phase,
            report.status);
        if (!report.error_type.empty()) {
            line += "\tError Type: " + report.error_type;
        }
        return line;
    }
    return PlatformEventJson(now, "platform.initReport", InitReportRecord(report));
}

std::optional<std::string> PlatformLog::RestoreStart(
    WallClock::time_point now, const InitFacts& facts) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (!json_) {
        return fmt::format(
            "RESTORE_START Runtime Version: {}\tRuntime Version ARN: {}",
            facts.runtime_version,
            facts.runtime_version_arn);
    }
    return PlatformEventJson(now, "platform.restoreStart", RestoreStartRecord(function_, facts));
}

std::optional<std::string> PlatformLog::RestoreDone(
    WallClock::time_point now, const RestoreReport& report) const {
    const bool success = report.status == "success";
    if (!Wants(success ? Level::kInfo : Level::kWarn)) {
        return std::nullopt;
    }
    if (!json_) {
        std::string line = fmt::format(
            "RESTORE_REPORT Restore Duration: {:.2f} ms", Milliseconds(report.duration));
        if (!success) {
            line += fmt::format("\tStatus: {}", report.status);
        }
        if (!report.error_type.empty()) {
            line += "\tError Type: " + report.error_type;
        }
        return line;
    }
    return PlatformEventJson(now, "platform.restoreReport", RestoreReportRecord(report));
}

std::optional<std::string> PlatformLog::Start(
    WallClock::time_point now, std::string_view request_id) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (!json_) {
        return fmt::format("START RequestId: {} Version: {}", request_id, function_.version);
    }
    return PlatformEventJson(now, "platform.start", StartRecord(function_, request_id, {}));
}

std::optional<std::string> PlatformLog::End(
    WallClock::time_point now, const InvokeReport& report) const {
    if (!json_) {
        return fmt::format("END RequestId: {}", report.request_id);
    }
    if (!Wants(report.status == "success" ? Level::kDebug : Level::kWarn)) {
        return std::nullopt;
    }
    return PlatformEventJson(now, "platform.runtimeDone", RuntimeDoneRecord(report, {}));
}

std::optional<std::string> PlatformLog::Report(
    WallClock::time_point now, const InvokeReport& report) const {
    const bool success = report.status == "success";
    if (!json_) {
        std::string line = fmt::format(
            "REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} "
            "MB\tMax Memory Used: {} MB",
            report.request_id,
            Milliseconds(report.duration),
            BilledMilliseconds(report),
            report.memory_mb,
            MemoryUsedMegabytes(report));
        if (report.init_duration.has_value()) {
            line += fmt::format("\tInit Duration: {:.2f} ms", Milliseconds(*report.init_duration));
        }
        if (report.restore_duration.has_value()) {
            line += fmt::format(
                "\tRestore Duration: {:.2f} ms\tBilled Restore Duration: {} ms",
                Milliseconds(*report.restore_duration),
                BilledRestoreMilliseconds(report));
        }
        if (!success) {
            line += fmt::format("\tStatus: {}", report.status);
        }
        if (!report.error_type.empty()) {
            line += "\tError Type: " + report.error_type;
        }
        return line;
    }
    if (!Wants(success ? Level::kInfo : Level::kWarn)) {
        return std::nullopt;
    }
    return PlatformEventJson(now, "platform.report", ReportRecord(report, {}));
}

std::optional<std::string> PlatformLog::Fault(
    std::string_view request_id, std::string_view message, std::string_view type) const {
    if (json_) {
        return std::nullopt;
    }
    return fmt::format("RequestId: {} Error: {}\n{}", request_id, message, type);
}

std::optional<std::string> PlatformLog::Timeout(
    WallClock::time_point now, std::string_view request_id, int32_t timeout_s) const {
    if (json_) {
        return std::nullopt;
    }
    return fmt::format(
        "{} {} Task timed out after {}.00 seconds", LogTime(now), request_id, timeout_s);
}

std::optional<std::string> PlatformLog::Extension(
    WallClock::time_point now, const ExtensionStatus& status) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (json_) {
        return PlatformEventJson(now, "platform.extension", ExtensionRecord(status));
    }
    std::string line = fmt::format(
        "EXTENSION\tName: {}\tState: {}\tEvents: [{}]",
        status.name,
        status.state,
        fmt::join(status.events, ", "));
    if (!status.error_type.empty()) {
        line += "\tError Type: " + status.error_type;
    }
    return line;
}

std::optional<std::string> PlatformLog::Subscription(
    WallClock::time_point now,
    bool logs_api,
    std::string_view name,
    const std::vector<std::string>& types) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (json_) {
        return PlatformEventJson(
            now,
            logs_api ? "platform.logsSubscription" : "platform.telemetrySubscription",
            SubscriptionRecord(name, "Subscribed", types));
    }
    std::vector<std::string> names = types;
    for (std::string& one : names) {
        one.front() = static_cast<char>(one.front() - 'a' + 'A');
    }
    return fmt::format(
        "{}\tName: {}\tState: Subscribed\tTypes: [{}]",
        logs_api ? "LOGS" : "TELEMETRY",
        name,
        fmt::join(names, ", "));
}

}  // namespace hearth::lambda
