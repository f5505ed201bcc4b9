#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "storage/kv.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::rt {
class Loops;
}

// Durable timers: "at this time, tell this kind of handler about this key". They live in the store,
// in due order, over one timer of the machine; with nothing scheduled, nothing is armed.
//
// A timer is written in the transaction of whatever needs it, so both are there or neither. It
// fires at least once, at or after its due time by CloudClock: a handler must bear being called
// twice (after a crash between its work and the removal of the timer) and must ask the store
// whether its cause still holds. A handler that fails is called again later, with growing pauses.
//
//   schedule.Register("logs-retention", [this](const flow::DueTimer& timer) { return Sweep(timer);
//   });
//   ...
//   const Kv::Body body = [&](Transaction& t) -> Task<Status> {
//       t.Put(group_key, ...);
//       co_return co_await schedule.Put(t, {"logs-retention", group_id, due, ""});
//   };
//   HEARTH_CO_RETURN_IF_ERROR(co_await kv.Transact(body));
//   schedule.Arm(due);
namespace hearth::flow {

// One timer; there is at most one per kind and key.
struct DueTimer {
    std::string kind;
    // Any bytes, at most kTimerKeyBytesMax; begin it with account and region.
    std::string key;
    CloudClock::time_point due;
    // For the handler; at most kTimerPayloadBytesMax.
    std::string payload;
};

inline constexpr size_t kTimerKeyBytesMax = 900;
inline constexpr size_t kTimerPayloadBytesMax = 64 * 1024;

class Schedule final {
  public:
    // Runs on the schedule's loop. An error, or an exception, means: again later.
    using Handler = std::function<Task<Status>(const DueTimer&)>;

    struct Options {
        // Handlers running at once.
        size_t running_max = 16;
        // The loop that fires.
        int loop_index = 0;
    };

    // All references must outlive the schedule.
    Schedule(storage::Kv& kv, const CloudClock& clock, rt::Loops& loops, Options options);
    // Stop must have ended, if Start was called.
    ~Schedule();

    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;

    // Before Start. A timer whose kind nobody registered waits and is tried again later.
    void Register(std::string kind, Handler handler);

    // Begins to fire what is due, that of earlier runs included. On any loop.
    Task<Status> Start();
    // Waits for handlers that run; fires nothing more. On any loop.
    Task<void> Stop();

    // Puts the timer, in place of an earlier one of the same kind and key. Call Arm after the
    // commit.
    Task<Status> Put(storage::Transaction& transaction, const DueTimer& timer);
    // Takes it away, if it is there. A handler that runs already is not stopped.
    Task<Status> Cancel(
        storage::Transaction& transaction, std::string_view kind, std::string_view key);
    // Put in a transaction of its own, and Arm.
    Task<Status> PutAlone(DueTimer timer);

    // Says, after its commit, that a timer may be due at `due`. From any thread; cheap.
    void Arm(CloudClock::time_point due);
    // Says that the clock was moved. From any thread.
    void ClockMoved();

    // When the next timer is due that is not running now; for the test clock.
    Task<Result<std::optional<CloudClock::time_point>>> NextDue();
    // Returns when nothing runs and nothing is due. Adds what fired meanwhile to `fired` when
    // given. On any loop. Timers that keep putting themselves to the present would hold this up for
    // ever, so it gives up with kUnavailable after `limit` (real time).
    Task<Status> Settle(std::vector<DueTimer>* fired, std::chrono::milliseconds limit);

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace hearth::flow
