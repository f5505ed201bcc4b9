#pragma once

#include "base/result.h"
#include "flow/courier.h"
#include "flow/due_times.h"
#include "flow/durable_cloud_clock.h"
#include "flow/schedule.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::flow {

// What `hearth clock advance` did.
struct AdvanceReport {
    CloudClock::time_point now;
    // In the order in which they fired; the first kFiredKept of `fired_count`.
    std::vector<DueTimer> fired;
    size_t fired_count = 0;
    // Attempts of deliveries that ended meanwhile, by kind; those at rest are not counted.
    std::map<std::string, uint64_t> attempts;

    static constexpr size_t kFiredKept = 1'000;
};

// Moves the cloud's time forward as if it had passed: from due timer to due timer, waiting at each
// until everything it caused has come to rest, so that what is due on day 3 sees the world of
// day 3.
class ClockAdvance final {
  public:
    // Returns when the work of one part of the cloud has come to rest.
    using Quiet = std::function<Task<Status>()>;

    // All must outlive this. Those after the schedule may be null.
    ClockAdvance(
        DurableCloudClock& clock,
        Schedule& schedule,
        DueTimes* due_times = nullptr,
        Courier* courier = nullptr)
        : clock_(clock), schedule_(schedule), due_times_(due_times), courier_(courier) {}

    // For parts that go on after their timer has ended (deliveries, consumers). Before the first
    // call.
    void AddQuiet(Quiet quiet) { quiet_.push_back(std::move(quiet)); }

    // `by` is 0 .. 100 years. Error kConflict while another call runs.
    Task<Result<AdvanceReport>> Advance(CloudClock::duration by);

  private:
    Task<Status> Rest(AdvanceReport& report);
    // When the next thing is due: a timer or a deadline.
    Task<Result<std::optional<CloudClock::time_point>>> NextDue();
    std::map<std::string, uint64_t> Attempts() const;

    DurableCloudClock& clock_;
    Schedule& schedule_;
    DueTimes* const due_times_;
    Courier* const courier_;
    std::vector<Quiet> quiet_;
    std::atomic<bool> advancing_{false};
};

// "90d", "36h", "5m", "10s", "250ms", or several of them in a row ("1d12h"). Error Malformed.
Result<CloudClock::duration> ParseDuration(std::string_view text);

}  // namespace hearth::flow
