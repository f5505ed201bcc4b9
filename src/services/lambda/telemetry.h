#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "codec/json/json.h"
#include "os/fd.h"
#include "rt/event.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/invocation_log.h"
#include "services/lambda/telemetry_subscription.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// An event of the platform, as each kind of subscriber sees it.
struct PlatformEvent {
    // With its type, for the Telemetry API; without a type: not told there.
    std::string_view type;
    codec::Json record;
    // The same for the Logs API.
    std::string_view logs_type;
    codec::Json logs_record;
    // Told only to subscribers of Logs API schema 2021-03-18.
    bool logs_20210318_only = false;
};

// The Telemetry API and the Logs API of one environment: who has subscribed to what, and the
// batches on their way.
//
// Per subscriber there is one batch that fills and one that is being sent; what comes beyond that
// is dropped, counted and told as platform.logsDropped. So a subscriber that never reads costs at
// most twice its buffer, and nobody waits for it.
//
// Everything on one loop. While the environment is frozen (Pause) nothing new is sent, and an
// attempt that was cut short by that does not count.
class Telemetry final {
  public:
    // A socket inside the environment's network.
    using MakeSocket = std::function<Task<Result<os::Fd>>()>;

    Telemetry(MakeSocket make_socket, const WallClock& clock);
    // After Stop.
    ~Telemetry();

    // A subscriber; the same extension again changes what it gets. What happened since the
    // environment began is told to it, as long as CloseHistory has not been called.
    //   errors  Malformed: it has subscribed through the other API
    Status Subscribe(const std::string& extension, TelemetrySubscription subscription);

    void CloseHistory();

    void Publish(WallClock::time_point at, const PlatformEvent& event);
    // A line of the function or of an extension.
    void Publish(TelemetryStream stream, const LogLine& line);

    // Nothing waits and nothing is on its way.
    bool idle() const;
    // Sends what waits, without waiting for full batches.
    void FlushSoon();
    // As above; false: not all was sent by then.
    Task<bool> Flush(std::chrono::steady_clock::time_point deadline);
    void Pause();
    void Resume();

    // Drops what waits. Call before the object goes.
    Task<void> Stop();

  private:
    struct Subscriber;

    struct Past {
        WallClock::time_point at;
        std::optional<PlatformEvent> event;
        TelemetryStream stream = TelemetryStream::kPlatform;
        std::string text;
    };

    void Give(Subscriber& subscriber, WallClock::time_point at, const PlatformEvent& event);
    void Give(Subscriber& subscriber, TelemetryStream stream, const LogLine& line);
    void Add(
        Subscriber& subscriber,
        WallClock::time_point at,
        std::string_view type,
        std::string_view record);
    Task<void> Run(std::shared_ptr<Subscriber> subscriber);
    Task<void> Deliver(Subscriber& subscriber, std::string batch, size_t items);
    Task<Status> Attempt(Subscriber& subscriber, const std::string& batch);
    // One attempt, or an error when it takes too long, frozen time aside.
    Task<Status> TimedAttempt(Subscriber& subscriber, const std::string& batch);

    MakeSocket make_socket_;
    const WallClock& clock_;
    std::vector<std::shared_ptr<Subscriber>> subscribers_;
    bool history_open_ = true;
    std::vector<Past> history_;
    size_t history_bytes_ = 0;
    bool paused_ = false;
    uint64_t pauses_ = 0;
    rt::Event resumed_;
    rt::Event progress_;
    rt::TaskGroup tasks_;
};

}  // namespace hearth::lambda
