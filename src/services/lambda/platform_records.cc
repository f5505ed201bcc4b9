#include "services/lambda/platform_records.h"

#include <cmath>
#include <utility>

namespace hearth::lambda {

namespace {

using codec::Json;

// Three decimals, as the Telemetry API.
double Rounded(std::chrono::nanoseconds duration) {
    return std::round(static_cast<double>(duration.count()) / 1e3) / 1e3;
}

Json Strings(const std::vector<std::string>& texts) {
    Json::Array list;
    for (const std::string& text : texts) {
        list.push_back(Json(text));
    }
    return Json(std::move(list));
}

void AddTrace(Json::Object& record, const PlatformTrace& trace) {
    if (!trace.header.empty()) {
        Json::Object tracing;
        tracing.push_back({"type", Json("X-Amzn-Trace-Id")});
        tracing.push_back({"value", Json(trace.header)});
        record.push_back({"tracing", Json(std::move(tracing))});
    }
    if (!trace.spans.empty()) {
        Json::Array spans;
        for (const PlatformSpan& span : trace.spans) {
            Json::Object one;
            one.push_back({"name", Json(span.name)});
            one.push_back({"start", Json(LogTime(span.start))});
            one.push_back({"durationMs", Json(Rounded(span.duration))});
            spans.push_back(Json(std::move(one)));
        }
        record.push_back({"spans", Json(std::move(spans))});
    }
}

}  // namespace

Json::Object InitStartRecord(
    const FunctionVersion& function, const InitFacts& facts, std::string_view phase) {
    Json::Object record;
    record.push_back({"initializationType", Json(facts.initialization_type)});
    record.push_back({"phase", Json(phase)});
    record.push_back({"runtimeVersion", Json(facts.runtime_version)});
    record.push_back({"runtimeVersionArn", Json(facts.runtime_version_arn)});
    record.push_back({"functionName", Json(function.name)});
    record.push_back({"functionVersion", Json(function.version)});
    return record;
}

Json::Object InitRuntimeDoneRecord(const InitReport& report) {
    Json::Object record;
    record.push_back({"initializationType", Json(report.initialization_type)});
    record.push_back({"phase", Json(report.phase)});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    return record;
}

Json::Object InitReportRecord(const InitReport& report) {
    Json::Object record = InitRuntimeDoneRecord(report);
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    record.push_back({"metrics", Json(std::move(metrics))});
    return record;
}

Json::Object RestoreStartRecord(const FunctionVersion& function, const InitFacts& facts) {
    Json::Object record;
    record.push_back({"runtimeVersion", Json(facts.runtime_version)});
    record.push_back({"runtimeVersionArn", Json(facts.runtime_version_arn)});
    record.push_back({"functionName", Json(function.name)});
    record.push_back({"functionVersion", Json(function.version)});
    return record;
}

Json::Object RestoreReportRecord(const RestoreReport& report) {
    Json::Object record;
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    record.push_back({"metrics", Json(std::move(metrics))});
    return record;
}

Json::Object StartRecord(
    const FunctionVersion& function, std::string_view request_id, const PlatformTrace& trace) {
    Json::Object record;
    record.push_back({"requestId", Json(request_id)});
    record.push_back({"version", Json(function.version)});
    AddTrace(record, trace);
    return record;
}

Json::Object RuntimeDoneRecord(const InvokeReport& report, const PlatformTrace& trace) {
    Json::Object record;
    record.push_back({"requestId", Json(report.request_id)});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    AddTrace(record, trace);
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    if (report.response_latency.has_value()) {
        metrics.push_back({"producedBytes", Json(static_cast<int64_t>(report.produced_bytes))});
    }
    record.push_back({"metrics", Json(std::move(metrics))});
    return record;
}

Json::Object ReportRecord(const InvokeReport& report, const PlatformTrace& trace) {
    Json::Object metrics;
    metrics.push_back({"durationMs", Json(Rounded(report.duration))});
    metrics.push_back({"billedDurationMs", Json(BilledMilliseconds(report))});
    metrics.push_back({"memorySizeMB", Json(report.memory_mb)});
    metrics.push_back({"maxMemoryUsedMB", Json(MemoryUsedMegabytes(report))});
    if (report.init_duration.has_value()) {
        metrics.push_back({"initDurationMs", Json(Rounded(*report.init_duration))});
    }
    if (report.restore_duration.has_value()) {
        metrics.push_back({"restoreDurationMs", Json(Rounded(*report.restore_duration))});
        metrics.push_back({"billedRestoreDurationMs", Json(BilledRestoreMilliseconds(report))});
    }
    Json::Object record;
    record.push_back({"requestId", Json(report.request_id)});
    record.push_back({"metrics", Json(std::move(metrics))});
    record.push_back({"status", Json(report.status)});
    if (!report.error_type.empty()) {
        record.push_back({"errorType", Json(report.error_type)});
    }
    AddTrace(record, trace);
    return record;
}

Json::Object ExtensionRecord(const ExtensionStatus& status) {
    Json::Object record;
    record.push_back({"name", Json(status.name)});
    record.push_back({"state", Json(status.state)});
    record.push_back({"events", Strings(status.events)});
    if (!status.error_type.empty()) {
        record.push_back({"errorType", Json(status.error_type)});
    }
    return record;
}

Json::Object SubscriptionRecord(
    std::string_view name, std::string_view state, const std::vector<std::string>& types) {
    Json::Object record;
    record.push_back({"name", Json(name)});
    record.push_back({"state", Json(state)});
    record.push_back({"types", Strings(types)});
    return record;
}

Json::Object LogsDroppedRecord(size_t bytes, size_t records, std::string_view reason) {
    Json::Object record;
    record.push_back({"droppedBytes", Json(static_cast<int64_t>(bytes))});
    record.push_back({"droppedRecords", Json(static_cast<int64_t>(records))});
    record.push_back({"reason", Json(reason)});
    return record;
}

std::string PlatformEventJson(
    WallClock::time_point at, std::string_view type, codec::Json::Object record) {
    Json::Object line;
    line.push_back({"time", Json(LogTime(at))});
    line.push_back({"type", Json(type)});
    line.push_back({"record", Json(std::move(record))});
    return codec::WriteJson(Json(std::move(line)));
}

}  // namespace hearth::lambda
