#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace hearth::rt {
class Loops;
}

// Deadlines by CloudClock for parts whose durable state is their own: the visibility of a queue's
// messages, a lane's next retry, a batch window. In memory only; the owner sets them again after a
// restart. All entries of a loop share one timer of the machine; with none set, none is armed. The
// test clock sees them, as it sees the timers of schedule.h.
namespace hearth::flow {

class DueTimes final {
  public:
    // One deadline. Used and destroyed on the loop that made it, before the DueTimes.
    class Entry {
      public:
        virtual ~Entry() = default;
        // Replaces the deadline; nullopt: none. What has passed already is called soon, never from
        // inside of Set. Cheap when nothing changes.
        virtual void Set(std::optional<CloudClock::time_point> due) = 0;
        virtual std::optional<CloudClock::time_point> due() const = 0;
    };

    // Both must outlive this.
    DueTimes(const CloudClock& clock, rt::Loops& loops);
    // No entry may be left.
    ~DueTimes();

    DueTimes(const DueTimes&) = delete;
    DueTimes& operator=(const DueTimes&) = delete;

    // On a loop. `on_due` runs on that loop at or after the deadline, once for each Set. It may set
    // its entry again and may destroy it.
    std::unique_ptr<Entry> Make(std::function<void()> on_due);

    // The earliest deadline of all loops. From any thread.
    std::optional<CloudClock::time_point> NextDue() const;
    // Calls what is due now, on its loops, and returns how many that were. Deadlines set meanwhile
    // are left for the next call. On a loop.
    Task<size_t> RunDue();
    // Says that the clock was moved. From any thread.
    void ClockMoved();

    // Says how to wait until what the owner's deadlines caused has come to rest (a batch that is
    // under way, say); the test clock waits for all of them before it goes on. Returns an error
    // when that takes minutes. Before the first request.
    using Quiet = std::function<Task<Status>()>;
    void AddQuiet(Quiet quiet);
    Task<Status> WaitForQuiet();

  private:
    struct State;

    // Shared with calls that are on their way to a loop.
    std::shared_ptr<State> state_;
};

}  // namespace hearth::flow
