#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/message_queues.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hearth {

class Random;

namespace codec {
class MasterKey;
}

namespace flow {
class DueTimes;
class Wakes;
}  // namespace flow

namespace rt {
class Loops;
}

namespace storage {
class Kv;
}

namespace sqs {

// Which queue: names are unique in an account and region.
struct QueueAddress {
    AccountId account;
    Region region;
    std::string name;

    std::string Arn() const;
    // How flow::Wakes names it.
    std::string WakeKey() const;
    // Error Malformed.
    static Result<QueueAddress> FromArn(std::string_view arn);

    auto operator<=>(const QueueAddress&) const = default;
};

struct RedrivePolicy {
    std::string dead_letter_arn;
    // 1 .. 1'000: a message received so often without a deletion moves there at its next turn.
    int max_receive_count = 10;

    friend bool operator==(const RedrivePolicy&, const RedrivePolicy&) = default;
};

// What the engine acts upon. Ranges are checked by the caller.
struct QueueSettings {
    bool fifo = false;
    bool content_based_deduplication = false;
    // Deduplication holds in one message group, not in the whole queue.
    bool deduplication_by_group = false;
    std::chrono::seconds delay{0};
    std::chrono::seconds visibility{30};
    std::chrono::seconds retention{345'600};
    // Of ReceiveMessage without WaitTimeSeconds; the API applies it.
    std::chrono::seconds receive_wait{0};
    std::optional<RedrivePolicy> redrive;

    friend bool operator==(const QueueSettings&, const QueueSettings&) = default;
};

// A queue as it is stored. `attributes` and `tags` belong to the API: everything that the engine
// does not act upon (Policy, RedriveAllowPolicy, MaximumMessageSize, encryption, ...), and the
// wire form of what it does, if the API likes to keep that.
struct QueueRecord {
    QueueSettings settings;
    std::map<std::string, std::string> attributes;
    std::map<std::string, std::string> tags;
    CloudClock::time_point created;
    CloudClock::time_point modified;
};

struct OutgoingMessage {
    std::string body;
    // 32 lower-case hexadecimal digits, as the API computed it.
    std::string body_md5;
    std::map<std::string, MessageQueues::AttributeValue> attributes;
    // Empty without attributes.
    std::string attributes_md5;
    std::string sender_id;
    std::string trace_header;
    // FIFO: required. Standard: makes the queue fair among groups.
    std::optional<std::string> group_id;
    // FIFO: required unless content_based_deduplication.
    std::optional<std::string> deduplication_id;
    // Standard only; none: the queue's.
    std::optional<std::chrono::seconds> delay;
};

struct SentMessage {
    std::string message_id;
    // FIFO only: 20 digits.
    std::string sequence_number;
};

struct ReceiveRequest {
    // 1 .. 10'000.
    int max = 1;
    size_t bytes_max = 8 * 1024 * 1024;
    // None: the queue's.
    std::optional<std::chrono::seconds> visibility;
    // Waits so long for a first message. Real time, not the cloud's.
    std::chrono::milliseconds wait{0};
    // FIFO: the same id within 5 minutes gets the same messages while they are in flight.
    std::string attempt_id;
};

struct QueueCounts {
    int64_t visible = 0;
    int64_t in_flight = 0;
    int64_t delayed = 0;
};

struct MoveTask {
    // What StartMessageMoveTask returns and Cancel takes; opaque.
    std::string handle;
    std::string source_arn;
    // Empty: each message goes back to the queue it came from.
    std::string destination_arn;
    // Messages a second; none: as fast as it goes.
    std::optional<int> rate;
    // "RUNNING", "COMPLETED", "CANCELLING", "CANCELLED", "FAILED".
    std::string status;
    std::string failure_reason;
    int64_t moved = 0;
    // As it was at the start.
    int64_t to_move = 0;
    CloudClock::time_point started;
};

// The durable queues below the API: all that SQS promises about messages, nothing about wire
// shapes. What a call acknowledged survives kill -9 and, with sync on, a power cut.
//
// A queue in use is a shard: its state lives on one loop (hash of its address) and is bounded; the
// backlog lies in storage and is read ahead in pages. Idle queues are dropped from memory.
// Calls are allowed on any loop. Layout, invariants and crash reasoning: docs/internals/queues.md.
//
// Errors have AWS's codes (queue_errors.h): QueueDoesNotExist from all that take an address.
class QueueEngine {
  public:
    // How much of a queue is in memory, and how much one step takes. Tests make these small, so
    // that few messages reach what takes very many otherwise.
    struct Sizes {
        // Queues in memory on one loop before idle ones are dropped.
        size_t shards_max = 1'024;
        // AWS's quota, of standard and FIFO queues.
        size_t in_flight_max = 120'000;
        // Lanes (message groups) in memory; more are walked through in storage.
        size_t lanes_max = 8'192;
        size_t lanes_per_walk = 256;
        // What is read ahead of one lane, of one among many, and how many are many.
        size_t read_ahead = 2'048;
        size_t read_ahead_of_many = 16;
        size_t many_lanes = 64;
        // What the messages sent to a lane may add to what was read of it.
        size_t window_max = 4'096;
        // Returned and delayed messages.
        size_t places_max = 16'384;
        size_t places_page = 1'024;
        size_t garbage_page = 500;
    };

    struct Deps {
        storage::Kv& kv;
        rt::Loops& loops;
        CloudClock& clock;
        MonotonicClock& monotonic_clock;
        Random& random;
        codec::MasterKey& master_key;
        flow::Wakes& wakes;
        flow::DueTimes& due_times;
        Sizes sizes = {};
    };

    static std::unique_ptr<QueueEngine> Make(Deps deps);
    virtual ~QueueEngine() = default;

    // Takes up move tasks that were running. Once, before other calls.
    virtual Task<Status> Start() = 0;
    // Lets waiting receivers go with nothing and ends background work. Before destruction.
    virtual Task<void> Stop() = 0;
    // Lets waiting receivers go with nothing; from now on nobody waits. From any thread, when the
    // cloud begins to stop: it waits for the requests that are under way.
    virtual void EndWaits() = 0;

    // Errors: QueueNameExists when there is one (the caller, who knows what counts as the same,
    // calls Find first and again on this error); QueueDeletedRecently within 60 s.
    virtual Task<Status> Create(
        const QueueAddress& queue,
        QueueSettings settings,
        std::map<std::string, std::string> attributes,
        std::map<std::string, std::string> tags) = 0;
    // The record does not change any more; it may be kept for the length of a request. Cheap: from
    // memory on the caller's loop when the queue is in use.
    virtual Task<Result<std::shared_ptr<const QueueRecord>>> Find(const QueueAddress& queue) = 0;
    // Changes the record in a transaction; an error of `change` is returned. It runs on the queue's
    // loop, so it owns what it uses.
    // `fifo` cannot change. Sets `modified` itself, unless `change` only touched tags.
    virtual Task<Status> Update(
        const QueueAddress& queue, std::function<Status(QueueRecord&)> change) = 0;
    virtual Task<Status> Delete(const QueueAddress& queue) = 0;

    struct QueuePage {
        std::vector<std::string> names;
        // Begin the next page after this name.
        std::optional<std::string> next;
    };

    // In order of name.
    virtual Task<Result<QueuePage>> List(
        const AccountId& account,
        const Region& region,
        std::string prefix,
        std::string after,
        size_t limit) = 0;
    // Names of queues (of the same account and region) whose redrive policy names this one.
    virtual Task<Result<QueuePage>> ListDeadLetterSources(
        const QueueAddress& queue, std::string after, size_t limit) = 0;

    // All or none; one result for each message, in order. For FIFO the order of the vector is the
    // order of the messages. A duplicate gets the first one's id and sequence number.
    virtual Task<Result<std::vector<SentMessage>>> Send(
        const QueueAddress& queue, std::vector<OutgoingMessage> messages) = 0;

    // Empty when nothing came in time. Cancellation of the waiting coroutine (the client went away)
    // takes nothing. Errors: OverLimit when the queue has as many in flight as AWS allows.
    virtual Task<Result<std::vector<MessageQueues::Message>>> Receive(
        const QueueAddress& queue, ReceiveRequest request) = 0;

    // One result for each handle. Errors inside: ReceiptHandleIsInvalid; FIFO:
    // InvalidParameterValue once the handle has expired.
    virtual Task<Result<std::vector<Status>>> DeleteMessages(
        const QueueAddress& queue, std::vector<std::string> handles) = 0;

    struct VisibilityChange {
        std::string handle;
        std::chrono::seconds timeout;
    };

    // One result for each. Errors inside: ReceiptHandleIsInvalid, MessageNotInflight,
    // InvalidParameterValue when more than 12 hours from the receipt would result.
    virtual Task<Result<std::vector<Status>>> ChangeVisibility(
        const QueueAddress& queue, std::vector<VisibilityChange> changes) = 0;

    // At once, however many messages there are. Error PurgeQueueInProgress within 60 s.
    virtual Task<Status> Purge(const QueueAddress& queue) = 0;
    virtual Task<Result<QueueCounts>> Counts(const QueueAddress& queue) = 0;

    // Errors: ResourceNotFoundException, InvalidParameterValue (the source is not a dead-letter
    // queue: the API checks the rest), and when the source has a task already.
    virtual Task<Result<std::string>> StartMoveTask(
        const QueueAddress& source, std::string destination_arn, std::optional<int> rate) = 0;
    // How many were moved so far. Error ResourceNotFoundException when it does not run (any more).
    virtual Task<Result<int64_t>> CancelMoveTask(
        const AccountId& account, const Region& region, std::string handle) = 0;
    // The newest first.
    virtual Task<Result<std::vector<MoveTask>>> ListMoveTasks(
        const QueueAddress& source, size_t limit) = 0;

    // For event source mappings; lives as long as the engine.
    virtual MessageQueues& queues() = 0;
};

}  // namespace sqs
}  // namespace hearth
