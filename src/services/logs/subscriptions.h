#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "flow/courier.h"
#include "rt/task.h"
#include "services/event_target.h"
#include "services/logs/filter_pattern.h"
#include "services/logs/records.h"
#include "services/logs/subscription_records.h"
#include "storage/kv.h"

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::logs {

// Brings a group's events to the functions that subscribed to them.
//
// Guarantee: what a filter matches is put into the courier in the transaction that keeps the
// events, so each acknowledged event is delivered at least once, whatever crashes; for a day of the
// cloud's clock while the function cannot be reached, then it is dropped, and the log says so.
// A group without filters costs one look at a key that is not there with each batch.
//
// A function whose own log group it is subscribed to calls itself for ever, here as on AWS; such a
// subscription is served at most kOwnGroupPerSecond times a second, so that a machine stands it.
// Safe on any loop.
class Subscriptions final {
  public:
    struct Deps {
        flow::Courier& courier;
        EventTarget& targets;
        const CloudClock& cloud_clock;
        const MonotonicClock& monotonic_clock;
        Random& random;
    };

    // Registers its kind with the courier, so before that starts.
    explicit Subscriptions(const Deps& deps);

    // Where events lie that are being written.
    struct Source {
        const GroupName& group;
        std::string_view group_id;
        std::string_view stream;
        std::string_view stream_id;
    };

    // In the transaction that writes `chunks`, whose events have their sequences. Then End with
    // what it returned. The body may run again.
    Task<Result<std::vector<flow::Delivery>>> Add(
        storage::Transaction& transaction, const Source& source, std::span<const Chunk> chunks);
    // With what became of the transaction, before it is acknowledged.
    void End(const Status& status, std::vector<flow::Delivery> deliveries);

    // Whether a group's events may go there. Errors: those of EventTarget::Check.
    Task<Status> Check(const GroupName& group, const std::string& destination_arn);

  private:
    // What a filter makes of the events: payloads of bounded size.
    Result<std::vector<std::string>> PayloadsOf(
        const SubscriptionFilter& filter, const Source& source, std::span<const Chunk> chunks);
    // Parsed patterns by text: the same few come with every batch.
    Result<FilterPattern> Parsed(const std::string& pattern);
    Task<Result<flow::Verdict>> Deliver(const flow::Delivery& delivery);
    // How long a subscription of a function to its own group has to wait for its turn; zero: now.
    CloudClock::duration WaitForTurn(const std::string& lane);

    Deps deps_;
    // Held for moments.
    std::mutex mutex_;
    std::map<std::string, FilterPattern, std::less<>> patterns_;
    std::map<std::string, MonotonicClock::time_point> turns_;
};

}  // namespace hearth::logs
