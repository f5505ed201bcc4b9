#pragma once

#include "base/clock.h"
#include "services/lambda/invoker.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the platform itself says in a function's log: INIT_START, START, END, REPORT and what went
// wrong, as text or as JSON records (LogFormat), the latter filtered by SystemLogLevel. Source:
// "Lambda logs" and "Telemetry API schema", docs.aws.amazon.com/lambda/latest/dg.
namespace hearth::lambda {

struct InitFacts {
    // "python:3.11.2"
    std::string runtime_version;
    std::string runtime_version_arn;
    // Or "snap-start".
    std::string_view initialization_type = "on-demand";
};

struct InitReport {
    std::chrono::nanoseconds duration{0};
    // "init", or "invoke" when the init was repeated inside a call.
    std::string_view phase = "init";
    // "error" or "timeout".
    std::string_view status = "error";
    // "Runtime.ImportModuleError"; empty: unknown.
    std::string error_type;
    std::string_view initialization_type = "on-demand";
};

// How an environment was made from a snapshot, its hooks included.
struct RestoreReport {
    std::chrono::nanoseconds duration{0};
    // "success", "error" or "timeout".
    std::string_view status = "success";
    std::string error_type;
};

struct InvokeReport {
    std::string request_id;
    std::chrono::nanoseconds duration{0};
    // Set for the first call of an environment.
    std::optional<std::chrono::nanoseconds> init_duration;
    // Likewise, of an environment made from a snapshot.
    std::optional<std::chrono::nanoseconds> restore_duration;
    // From the event's way out to the answer's first byte, and on to its last; unset without an
    // answer.
    std::optional<std::chrono::nanoseconds> response_latency;
    std::chrono::nanoseconds response_duration{0};
    uint64_t produced_bytes = 0;
    int32_t memory_mb = 0;
    uint64_t memory_used_bytes = 0;
    // "success", "error", "timeout" or "failure".
    std::string_view status = "success";
    std::string error_type;
};

struct ExtensionStatus;

class PlatformLog final {
  public:
    explicit PlatformLog(const FunctionVersion& function);

    // Each returns the line, or nothing when the system log level is above it.
    std::optional<std::string> InitStart(WallClock::time_point now, const InitFacts& facts) const;
    std::optional<std::string> InitDone(WallClock::time_point now, const InitReport& report) const;
    std::optional<std::string> RestoreStart(
        WallClock::time_point now, const InitFacts& facts) const;
    std::optional<std::string> RestoreDone(
        WallClock::time_point now, const RestoreReport& report) const;
    std::optional<std::string> Start(WallClock::time_point now, std::string_view request_id) const;
    // END in text; platform.runtimeDone in JSON.
    std::optional<std::string> End(WallClock::time_point now, const InvokeReport& report) const;
    std::optional<std::string> Report(WallClock::time_point now, const InvokeReport& report) const;
    // "RequestId: <id> Error: Runtime exited with error: exit status 1" and the type, in text only.
    std::optional<std::string> Fault(
        std::string_view request_id, std::string_view message, std::string_view type) const;
    // "<time> <id> Task timed out after 3.00 seconds"
    std::optional<std::string> Timeout(
        WallClock::time_point now, std::string_view request_id, int32_t timeout_s) const;

    // "EXTENSION Name: … State: Ready Events: [INVOKE, SHUTDOWN]"
    std::optional<std::string> Extension(
        WallClock::time_point now, const ExtensionStatus& status) const;
    // "TELEMETRY Name: … State: Subscribed Types: [Platform, Function]". `types` as they were
    // asked for, not empty.
    std::optional<std::string> Subscription(
        WallClock::time_point now,
        bool logs_api,
        std::string_view name,
        const std::vector<std::string>& types) const;

  private:
    enum class Level { kDebug, kInfo, kWarn };

    bool Wants(Level level) const { return level >= level_; }

    const FunctionVersion& function_;
    bool json_;
    Level level_;
};

int64_t BilledMilliseconds(const InvokeReport& report);
int64_t BilledRestoreMilliseconds(const InvokeReport& report);
int64_t MemoryUsedMegabytes(const InvokeReport& report);

// "2026-01-31T10:00:00.123Z"
std::string LogTime(WallClock::time_point time);

}  // namespace hearth::lambda
