#pragma once

#include "codec/json/json.h"
#include "services/lambda/extensions_api.h"
#include "services/lambda/platform_log.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The `record` members of platform events, which the JSON log and the Telemetry API have in common.
// Source: "Lambda Telemetry API Event schema reference", docs.aws.amazon.com/lambda/latest/dg.
namespace hearth::lambda {

// A stretch of time within a phase.
struct PlatformSpan {
    std::string_view name;
    WallClock::time_point start;
    std::chrono::nanoseconds duration{0};
};

// What only telemetry tells; the log's records go without.
struct PlatformTrace {
    // X-Amzn-Trace-Id of the call; empty: none.
    std::string header;
    std::vector<PlatformSpan> spans;
};

codec::Json::Object InitStartRecord(
    const FunctionVersion& function, const InitFacts& facts, std::string_view phase);
codec::Json::Object InitRuntimeDoneRecord(const InitReport& report);
codec::Json::Object InitReportRecord(const InitReport& report);
codec::Json::Object RestoreStartRecord(const FunctionVersion& function, const InitFacts& facts);
codec::Json::Object RestoreReportRecord(const RestoreReport& report);
codec::Json::Object StartRecord(
    const FunctionVersion& function, std::string_view request_id, const PlatformTrace& trace);
codec::Json::Object RuntimeDoneRecord(const InvokeReport& report, const PlatformTrace& trace);
codec::Json::Object ReportRecord(const InvokeReport& report, const PlatformTrace& trace);
codec::Json::Object ExtensionRecord(const ExtensionStatus& status);
codec::Json::Object SubscriptionRecord(
    std::string_view name, std::string_view state, const std::vector<std::string>& types);
codec::Json::Object LogsDroppedRecord(size_t bytes, size_t records, std::string_view reason);

// {"time": …, "type": …, "record": …}
std::string PlatformEventJson(
    WallClock::time_point at, std::string_view type, codec::Json::Object record);

}  // namespace hearth::lambda
