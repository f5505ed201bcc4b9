#include "services/lambda/platform_log.h"

#include "codec/json/json.h"

#include <fmt/chrono.h>

#include <cmath>
#include <ctime>
#include <utility>

namespace hearth::lambda {

namespace {

using codec::Json;

double Milliseconds(std::chrono::nanoseconds duration) {
    return static_cast<double>(duration.count()) / 1e6;
}

// Two decimals, as AWS.
double Rounded(std::chrono::nanoseconds duration) {
    return std::round(Milliseconds(duration) * 100.0) / 100.0;
}

int64_t BilledMs(const InvokeReport& report) {
    // Since August 2025 AWS bills the init phase of every function.
    const auto whole = report.duration + report.init_duration.value_or(std::chrono::nanoseconds(0));
    return static_cast<int64_t>(std::ceil(Milliseconds(whole)));
}

int64_t Megabytes(uint64_t bytes) {
    return static_cast<int64_t>((bytes + (1 << 20) - 1) >> 20);
}

std::string Record(WallClock::time_point now, std::string_view type, Json::Object record) {
    Json::Object line;
    line.push_back({"time", Json(LogTime(now))});
    line.push_back({"type", Json(type)});
    line.push_back({"record", Json(std::move(record))});
    return codec::WriteJson(Json(std::move(line)));
}

}  // namespace

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
    Json::Object record;
    record.push_back({"initializationType", Json("on-demand")});
    record.push_back({"phase", Json("init")});
    record.push_back({"runtimeVersion", Json(facts.runtime_version)});
    record.push_back({"runtimeVersionArn", Json(facts.runtime_version_arn)});
    record.push_back({"functionName", Json(function_.name)});
    record.push_back({"functionVersion", Json(function_.version)});
    return Record(now, "platform.initStart", std::move(record));
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
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    Json::Object record;
    record.push_back({"initializationType", Json("on-demand")});
    record.push_back({"phase", Json(report.phase)});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    record.push_back({"metrics", Json(std::move(metrics))});
    return Record(now, "platform.initReport", std::move(record));
}

std::optional<std::string> PlatformLog::Start(
    WallClock::time_point now, std::string_view request_id) const {
    if (!Wants(Level::kInfo)) {
        return std::nullopt;
    }
    if (!json_) {
        return fmt::format("START RequestId: {} Version: {}", request_id, function_.version);
    }
    Json::Object record;
    record.push_back({"requestId", Json(request_id)});
    record.push_back({"version", Json(function_.version)});
    return Record(now, "platform.start", std::move(record));
}

std::optional<std::string> PlatformLog::End(
    WallClock::time_point now, const InvokeReport& report) const {
    if (!json_) {
        return fmt::format("END RequestId: {}", report.request_id);
    }
    if (!Wants(report.status == "success" ? Level::kDebug : Level::kWarn)) {
        return std::nullopt;
    }
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    Json::Object record;
    record.push_back({"requestId", Json(report.request_id)});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    record.push_back({"metrics", Json(std::move(metrics))});
    return Record(now, "platform.runtimeDone", std::move(record));
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
            BilledMs(report),
            report.memory_mb,
            Megabytes(report.memory_used_bytes));
        if (report.init_duration.has_value()) {
            line += fmt::format("\tInit Duration: {:.2f} ms", Milliseconds(*report.init_duration));
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
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    metrics.push_back({"billedDurationMs", Json(BilledMs(report))});
    metrics.push_back({"memorySizeMB", Json(report.memory_mb)});
    metrics.push_back({"maxMemoryUsedMB", Json(Megabytes(report.memory_used_bytes))});
    if (report.init_duration.has_value()) {
        metrics.push_back({"initDurationMs", Json(Rounded(*report.init_duration))});
    }
    Json::Object record;
    record.push_back({"requestId", Json(report.request_id)});
    record.push_back({"metrics", Json(std::move(metrics))});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    return Record(now, "platform.report", std::move(record));
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

}  // namespace hearth::lambda
