#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "rt/task.h"
#include "sandbox/sandbox.h"
#include "services/lambda/extensions_api.h"
#include "services/lambda/invoker.h"
#include "services/lambda/log_writer.h"
#include "services/lambda/platform_log.h"
#include "services/lambda/platform_records.h"
#include "services/lambda/runtime_api.h"
#include "services/lambda/telemetry.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// The extensions of one environment: their API, what telemetry they get, the lines that the log has
// of them, and the shutdown phase. An environment without extensions has one, too (a runtime may
// register internal ones), which costs it nothing but the look at any().
//
// On the environment's loop.
class ExtensionHost final {
  public:
    struct Parts {
        const FunctionVersion& function;
        const PlatformLog& platform_log;
        LogWriter& log;
        const WallClock& clock;
        Random& random;
        RuntimeApi& api;
        sandbox::Environment& sandbox;
    };

    // `external`: names of files in /opt/extensions, as ListExtensions gives them.
    ExtensionHost(const Parts& parts, std::vector<std::string> external);
    ~ExtensionHost();

    ExtensionsApi& api() { return api_; }

    const ExtensionsApi& api() const { return api_; }

    bool any() const { return api_.any(); }

    // One of them subscribed to telemetry, or may.
    bool has_telemetry() const { return telemetry_ != nullptr; }

    const std::optional<ExtensionFailure>& failure() const { return api_.failure(); }

    // Nothing of it is in progress but what only waits: the environment may be frozen.
    bool quiet() const { return api_.quiet() && (telemetry_ == nullptr || telemetry_->idle()); }

    // What telemetry tells of the phases. Each does nothing without a subscriber.
    void InitStarted(WallClock::time_point at, const InitFacts& facts, std::string_view phase);
    // Init is over, one way or the other.
    void InitEnded(const InitReport& report);
    void InvokeStarted(
        WallClock::time_point at, std::string_view request_id, const std::string& trace_header);
    // The runtime has asked for its next event, or never will.
    void RuntimeDone(const InvokeReport& report, std::vector<PlatformSpan> spans);
    void Faulted(std::string_view request_id, std::string_view text, std::string_view type);
    void Reported(const InvokeReport& report, std::vector<PlatformSpan> spans);

    // Before the environment is frozen: what waits goes out now. False: it had nothing.
    bool FlushTelemetry();
    void Pause();
    void Resume();

    // The shutdown phase: SIGTERM to the runtime, then SHUTDOWN to external extensions, and the
    // end of all of them within AWS's 500 ms (internal ones only) or 2 s. `runtime_exit` is where
    // the runtime's end is seen, with a wake-up of RuntimeApi::changed.
    //   reason   "spindown", "timeout" or "failure"
    Task<void> Shutdown(
        std::string_view reason, const std::optional<sandbox::ExitReport>& runtime_exit);

    // Ends telemetry. Call before the object goes, while the sandbox is there.
    Task<void> Stop();

  private:
    ApiAnswer Subscribe(
        std::string_view path, const std::string& extension, const RuntimeApiRequest& request);
    Telemetry& MakeTelemetry();
    Task<Result<os::Fd>> MakeSocket();

    Parts parts_;
    ExtensionsApi api_;
    std::unique_ptr<Telemetry> telemetry_;
    // Of platform.initStart, for a subscriber to come.
    std::optional<WallClock::time_point> init_started_at_;
    InitFacts init_facts_;
    std::string init_phase_;
    std::string trace_header_;
    size_t external_count_;
};

}  // namespace hearth::lambda
