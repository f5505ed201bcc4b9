#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "flow/due_times.h"
#include "flow/wakes.h"
#include "rt/event.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/lambda/invoker.h"
#include "services/lambda/mapping_event.h"
#include "services/lambda/mapping_record.h"
#include "services/lambda/mapping_scale.h"
#include "services/lambda/mapping_turns.h"
#include "services/message_queues.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hearth {
class Random;
}

namespace hearth::lambda {

// What is under way, so that the test clock can wait for it. One loop's.
class MappingActivity final {
  public:
    class Unit final {
      public:
        explicit Unit(MappingActivity& activity) : activity_(activity) { activity_.Enter(); }

        ~Unit() { activity_.Leave(); }

        Unit(const Unit&) = delete;
        Unit& operator=(const Unit&) = delete;

      private:
        MappingActivity& activity_;
    };

    void Enter();
    void Leave();
    // False: it took longer.
    Task<bool> WaitForQuiet(std::chrono::seconds limit);

  private:
    int64_t count_ = 0;
    rt::Event quiet_;
};

// What pollers need of the rest of Lambda and of the cloud. One for each loop.
struct MappingWorld {
    MessageQueues& queues;
    flow::Wakes& wakes;
    flow::DueTimes& due_times;
    const CloudClock& clock;
    Random& random;

    // Runs the mapping's function once.
    //   errors  as Invoke's
    using Call = std::function<Task<Result<InvokeResult>>(
        const MappingRecord& mapping, std::string payload, std::string trace_header)>;
    Call call;

    MappingTurns turns;
    MappingActivity activity;
    // Everything that runs for pollers of this loop.
    rt::TaskGroup tasks;
};

// Works one mapping, on one loop: takes messages when it is told that there are some, makes batches
// of them, runs the function, and deletes what it has done.
//
// It does nothing and costs nothing but its memory while the queue is empty: no coroutine, no
// timer. What it has in hand when the process dies is in flight in the queue and comes back by
// itself.
class MappingPoller final : public std::enable_shared_from_this<MappingPoller> {
  public:
    // `world` outlives it.
    MappingPoller(MappingWorld& world, MappingRecord record);
    ~MappingPoller();

    const MappingRecord& record() const { return record_; }

    void Start();
    // Takes no more messages, and gives back those that wait for their batch to become full.
    // Batches that run end by themselves.
    void Stop();

    // "No records processed", "OK", or "PROBLEM: ...": how the last batch went.
    const std::string& last_result() const { return last_result_; }

  private:
    struct Held {
        std::string message_id;
        std::string handle;
        std::string trace_header;
        // How often the function has run in this message's chain of calls (recursion.h).
        int32_t recursions = 0;
        std::string record;
    };

    struct Batch {
        std::vector<Held> messages;
        CloudClock::time_point received;
    };

    // Looks whether there is something to do; never twice at the same time.
    void Pump();
    Task<void> PumpAll();
    // Whether it may be worth going on at once.
    Task<bool> Step();
    Task<bool> TakeIn(std::vector<MessageQueues::Message> messages);
    // Starts what is ready, as far as may run; the first batch has a turn already.
    void Launch(std::unique_ptr<MappingTurns::Turn> turn = nullptr);
    bool Ready() const;
    Batch TakeBatch();
    bool AtLimit() const;
    void ArmGrowth();
    MappingTurns::Function Function() const;
    // `turn`: of one whose turn has come; may be null.
    Task<void> Run(Batch batch, std::unique_ptr<MappingTurns::Turn> turn);
    // False: it did not come in time, or the mapping stops.
    Task<bool> WaitTurn(MappingTurns::Turn& turn, std::optional<CloudClock::time_point> until);
    // When its messages are about to come back.
    Task<CloudClock::time_point> WorkableUntil(const Batch& batch);
    Task<Result<InvokeResult>> Call(const std::string& payload, const std::string& trace_header);
    Task<void> Settle(const Batch& batch, const InvokeResult& result);
    Task<void> Delete(std::vector<std::string> handles);
    Task<void> GiveBack(std::vector<std::string> handles);
    // Its messages went round in a loop: they are left to the dead-letter queue, or dropped.
    Task<void> EndRecursion(const Batch& batch);
    void Pause(const Error& error);

    MappingWorld& world_;
    const MappingRecord record_;
    const std::string function_arn_;
    MappingFilters filters_;
    MappingScale scale_;
    std::unique_ptr<flow::Wakes::Watch> watch_;
    // The window's end, growth, and the end of a pause after an error; made when first needed.
    std::unique_ptr<flow::DueTimes::Entry> window_;
    std::unique_ptr<flow::DueTimes::Entry> growth_;
    std::unique_ptr<flow::DueTimes::Entry> pause_;

    bool stopped_ = false;
    bool pumping_ = false;
    bool again_ = false;
    bool paused_ = false;
    int errors_ = 0;
    // Running batches, and those of them that wait their turn.
    int32_t running_ = 0;
    int32_t throttled_ = 0;
    std::set<MappingTurns::Turn*> waiting_;
    // In the order received.
    std::vector<Held> held_;
    size_t held_bytes_ = 0;
    CloudClock::time_point held_since_;
    bool window_over_ = false;
    std::string last_result_ = "No records processed";
};

// How flow::Wakes names the queue of an ARN.
std::string QueueWakeKey(std::string_view queue_arn);

}  // namespace hearth::lambda
