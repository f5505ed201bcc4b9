#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "storage/kv.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {
class Random;
}

namespace hearth::aws {
class Metrics;
}

namespace hearth::rt {
class Loops;
}

// Durable deferred delivery, at least once: asynchronous invocations, notifications, whatever a
// service promises to bring somewhere later.
//
// A delivery is written in the transaction of its cause, so both are there or neither. It is given
// to the handler of its kind until that says Done; after a crash all that was not removed runs
// again, so a handler must bear seeing a delivery twice. Deliveries belong to lanes (one function,
// one destination): lanes take turns, so one with a million deliveries holds up nobody, and a lane
// rests as a whole when its destination is down. What waits lies in the store; memory holds a
// bounded window of each lane.
//
//   flow::Delivery delivery = courier.Make("lambda-async", lane, payload);
//   const Kv::Body body = [&](Transaction& t) -> Task<Status> {
//       t.Put(...);
//       co_return courier.Put(t, delivery);
//   };
//   HEARTH_CO_RETURN_IF_ERROR(co_await kv.Transact(body));
//   courier.Committed(std::move(delivery));      // before the cause is acknowledged
//
// How it works: docs/internals/delivery.md.
namespace hearth::flow {

inline constexpr size_t kDeliveryKindBytesMax = 64;
inline constexpr size_t kDeliveryLaneBytesMax = 512;
inline constexpr size_t kDeliveryIdBytesMax = 128;
inline constexpr size_t kDeliveryPayloadBytesMax = 1'200 * 1024;

struct Delivery {
    // Who handles it: "lambda-async", "s3-notification".
    std::string kind;
    // What takes turns with others and pauses together; begins with account and region.
    std::string lane;
    // Unique in the lane.
    std::string id;
    std::string payload;
    CloudClock::time_point accepted;
    // Not before.
    CloudClock::time_point due;
    // Earlier ones, that failed.
    int attempts = 0;
};

// What a handler says about a delivery.
struct Verdict {
    enum class Kind {
        // It is removed, and `then` put in the same transaction: destinations, dead letters.
        kDone,
        // Again after `after`, with one attempt more, and with `payload` when that is set.
        kRetry,
        // Its lane rests for `after` (throttled, destination down); the attempt does not count.
        kHold,
    };

    Kind kind = Kind::kDone;
    std::vector<Delivery> then;
    CloudClock::duration after{0};
    std::optional<std::string> payload;

    static Verdict Done() { return {}; }

    // At most 100 deliveries of 6 MiB together.
    static Verdict Done(std::vector<Delivery> then) {
        Verdict verdict;
        verdict.then = std::move(then);
        return verdict;
    }

    static Verdict Retry(
        CloudClock::duration after, std::optional<std::string> payload = std::nullopt) {
        Verdict verdict;
        verdict.kind = Kind::kRetry;
        verdict.after = after;
        verdict.payload = std::move(payload);
        return verdict;
    }

    static Verdict Hold(CloudClock::duration after) {
        Verdict verdict;
        verdict.kind = Kind::kHold;
        verdict.after = after;
        return verdict;
    }
};

class DueTimes;

class Courier final {
  public:
    // Runs on the loop of the delivery's lane; the delivery lives until the task has ended. An
    // error, or an exception, means Retry after the courier's own pause: 1 s, 2 s, 4 s ... one
    // hour, each with jitter.
    using Handler = std::function<Task<Result<Verdict>>(const Delivery&)>;

    struct KindOptions {
        // Handlers at once, of one lane and of all.
        size_t running_per_lane = 10;
        size_t running_max = 1'000;
        // One at a time within a lane, in the order in which they were accepted: a later one only
        // after Done of all before it, a failing one holds up its lane.
        bool ordered = false;
    };

    struct Deps {
        storage::Kv& kv;
        const CloudClock& clock;
        DueTimes& due_times;
        Random& random;
        rt::Loops& loops;
        // May be null.
        aws::Metrics* metrics = nullptr;
    };

    // What memory may hold, of one lane and on one loop. Smaller in tests.
    struct Limits {
        size_t lane_window = 256;
        size_t loop_window = 32'768;
        size_t loop_payload_bytes = 32 * 1024 * 1024;
        // Until the store is asked again after it failed; real time.
        std::chrono::milliseconds store_pause = std::chrono::seconds(1);
    };

    // What one lane looks like.
    struct LaneFacts {
        std::string kind;
        std::string lane;
        // Those that run are among them. At least so many, when not exact: a backlog that an
        // earlier process left is not counted.
        size_t pending = 0;
        bool pending_exact = false;
        size_t running = 0;
        // Of those in memory.
        std::optional<CloudClock::time_point> oldest_accepted;
        std::optional<CloudClock::time_point> next_due;
        std::optional<CloudClock::time_point> held_until;
        // Of the most recent failure, empty after a success.
        std::string last_error;
    };

    // Since the start.
    struct KindCounts {
        uint64_t delivered = 0;
        uint64_t retried = 0;
        uint64_t failed = 0;
        uint64_t held = 0;
    };

    explicit Courier(Deps deps);
    Courier(Deps deps, Limits limits);
    // Stop must have ended, if Start was called.
    ~Courier();

    Courier(const Courier&) = delete;
    Courier& operator=(const Courier&) = delete;

    // Before Start: in the service's constructor or its Start. Deliveries of a kind that nobody
    // registered stay where they are.
    void Register(std::string kind, Handler handler, KindOptions options);

    // Finds what earlier runs left and begins to deliver. On any loop.
    Task<Status> Start();
    // Begins no more and waits at most `grace` (real time) for what runs; after it the services may
    // stop. On any loop.
    Task<void> Drain(std::chrono::milliseconds grace);
    // Drain without a wait; then cancels what still runs and waits for that. What it says is still
    // written. On any loop.
    Task<void> Stop();

    // Unique, and greater than all earlier ones of this cloud as long as its clock does not go back
    // between two starts. From any thread.
    std::string NewId();
    // A new one that is due at once. From any thread.
    Delivery Make(std::string kind, std::string lane, std::string payload);

    // Adds it to the transaction of its cause, without a read: it conflicts with nobody. The same
    // delivery each time the body runs. From any thread.
    Status Put(storage::Transaction& transaction, const Delivery& delivery);
    // Says, after the commit and before the cause is acknowledged, that it is there: it starts from
    // memory when there is room. From any thread.
    void Committed(Delivery delivery);
    // Says that deliveries may be there that nobody told of: the answer to their commit was lost.
    void LookAgain(std::string kind, std::string lane);
    // Put in a transaction of its own, and Committed. On a loop.
    Task<Status> Send(Delivery delivery);

    // Removes all of a lane's deliveries, those that run too (they end, and their `then` is put;
    // they are not tried again). What is put meanwhile may stay. On a loop.
    Task<Status> DropLane(std::string kind, std::string lane);

    // Lanes with anything pending, by kind and name, at most `limit`. Empty `kind` or
    // `lane_prefix`: all. On a loop.
    Task<std::vector<LaneFacts>> List(std::string kind, std::string lane_prefix, size_t limit);
    // From any thread.
    std::map<std::string, KindCounts> Counts() const;

    // Returns when nothing runs and nothing is due; kUnavailable after `limit` (real time). On a
    // loop. For the test clock.
    Task<Status> Settle(std::chrono::milliseconds limit);

    // How many deliveries memory holds, on all loops; for tests.
    Task<size_t> CountInMemory();

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace hearth::flow
