#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "flow/due_times.h"
#include "flow/wakes.h"
#include "rt/completion.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/sqs/queue_engine.h"
#include "services/sqs/queue_receipt.h"
#include "services/sqs/queue_records.h"
#include "storage/kv.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hearth::sqs {

class QueueShard;

// Something that a shard is to do, and who waits for it. Made on any loop, run on the shard's.
class ShardCall {
  public:
    virtual ~ShardCall() = default;
    // Decides and changes the shard's memory; what it wants written is written afterwards.
    virtual Task<void> Run(QueueShard& shard) = 0;
    // What Run decided is durable; or it is not.
    virtual void Finish(QueueShard& shard) = 0;
    virtual void Fail(const Error& error) = 0;
    // Nobody waits any more.
    virtual bool abandoned() const = 0;

    // Not one that needs a queue to be there.
    virtual bool may_create() const { return false; }
};

template <class T>
class ShardCallOf final : public ShardCall {
  public:
    using Function = std::function<Task<Result<T>>(QueueShard&)>;

    explicit ShardCallOf(Function function, bool may_create = false)
        : function_(std::move(function)), may_create_(may_create) {}

    Task<void> Run(QueueShard& shard) override { result_.emplace(co_await function_(shard)); }

    void Finish(QueueShard&) override { done.Set(*std::move(result_)); }

    void Fail(const Error& error) override { done.Set(Result<T>(error)); }

    // What was begun is finished, whoever waits for it.
    bool abandoned() const override { return false; }

    bool may_create() const override { return may_create_; }

    rt::Completion<Result<T>> done;

  private:
    const Function function_;
    const bool may_create_;
    std::optional<Result<T>> result_;
};

// A receiver; it may have to wait for a message.
class ReceiveCall final : public ShardCall {
  public:
    using Messages = std::vector<MessageQueues::Message>;

    explicit ReceiveCall(ReceiveRequest request_in) : request(std::move(request_in)) {}

    Task<void> Run(QueueShard& shard) override;
    void Finish(QueueShard& shard) override;

    void Fail(const Error& error) override { done.Set(Result<Messages>(error)); }

    bool abandoned() const override { return done.is_set(); }

    const ReceiveRequest request;
    // Set by the shard, or by a caller whose time is up: the first one counts.
    rt::Completion<Result<Messages>> done;

  private:
    friend class QueueShard;

    std::optional<Result<Messages>> result_;
    // What it took, to be given back when nobody is there to take it.
    std::vector<std::pair<Sequence, int32_t>> taken_;
    bool waits_ = false;
};

// A message on its way to another queue.
struct LeavingMessage {
    Place place;
    int64_t epoch = 0;
    std::string encoded;
};

struct ArrivingMessage {
    std::string encoded;
    std::string source_arn;
    // Redriven messages begin a new life: id, time of sending, receive count.
    bool anew = false;
    int64_t receives = 0;
    int64_t first_received_ms = 0;
    // In the queue it leaves: written in the same transaction.
    std::vector<std::string> deletes;
    std::string gone_key;
};

// One queue in use: an actor on one loop.
//
// All that is asked of it is run one after the other by its pump, which gathers what they write
// into one transaction at a time; meanwhile the next calls queue up. Memory is changed when a call
// runs and shown to callers when its transaction is durable. If a transaction fails or its answer
// is lost, the shard forgets everything and reads it anew: storage is the truth, memory a cache.
//
// Layout, invariants and crash reasoning: docs/internals/queues.md.
class QueueShard final {
  public:
    // What all shards share.
    struct Shared {
        storage::Kv& kv;
        CloudClock& clock;
        Random& random;
        flow::Wakes& wakes;
        flow::DueTimes& due_times;
        const ReceiptSealer& receipts;
        // Bytes of messages kept in memory by all shards.
        std::atomic<int64_t>& cached_bytes;
        QueueEngine::Sizes sizes;
        // Gives messages to another queue, durably.
        std::function<Task<Status>(QueueAddress, std::vector<ArrivingMessage>)> give;
        // Publishes a queue's record to readers on all loops; null: there is none.
        std::function<void(const QueueAddress&, std::shared_ptr<const QueueRecord>)> show;
        // Keys whose children are to be taken away in the background.
        std::function<void(std::string garbage_key, std::string children_of)> sweep;
    };

    // `group` runs the pump, and outlives the shard.
    QueueShard(const Shared& shared, rt::TaskGroup& group, QueueAddress address);
    ~QueueShard();

    QueueShard(const QueueShard&) = delete;
    QueueShard& operator=(const QueueShard&) = delete;

    void Push(std::shared_ptr<ShardCall> call);

    // Nothing in memory is worth keeping: no call, nobody waits, nothing becomes due.
    bool Idle() const;

    // Ends waits; calls that come later fail.
    void Stop();
    // Lets receivers that wait go with nothing; nobody waits afterwards.
    void EndWaits();

    const QueueAddress& address() const { return address_; }

    // The rest is for calls, which run inside of the pump.

    Task<Status> Create(
        QueueSettings settings,
        std::map<std::string, std::string> attributes,
        std::map<std::string, std::string> tags);
    Task<Status> Update(const std::function<Status(QueueRecord&)>& change);
    Task<Status> Delete();
    Task<Status> Purge();
    Result<QueueCounts> Counts() const;

    std::shared_ptr<const QueueRecord> record() const { return record_; }

    Task<Result<std::vector<SentMessage>>> Send(std::vector<OutgoingMessage>& messages);
    Task<Status> Accept(std::vector<ArrivingMessage>& messages);
    Task<void> Receive(ReceiveCall& call);
    Task<Result<std::vector<Status>>> DeleteMessages(const std::vector<std::string>& handles);
    Task<Result<std::vector<Status>>> ChangeVisibility(
        const std::vector<QueueEngine::VisibilityChange>& changes);

    // Takes messages that are receivable now for another queue, where they begin a new life; they
    // are hidden meanwhile. Each with what the other queue has to write.
    using Departures = std::vector<std::pair<LeavingMessage, ArrivingMessage>>;
    Task<Result<Departures>> TakeForMove(int max);
    // What became of messages that were leaving.
    Task<Status> Moved(std::vector<LeavingMessage> messages, bool moved);
    // Nobody was there any more to take what a receiver was given.
    Task<Status> Release(std::vector<std::pair<Sequence, int32_t>> taken);

  private:
    friend class ReceiveCall;

    struct Fresh {
        Sequence sequence = 0;
        int64_t sent_ms = 0;
        int64_t ready_ms = 0;
        std::string encoded;
    };

    // Order among lanes: the smallest goes first.
    using Rank = std::pair<int64_t, int64_t>;

    struct Lane {
        explicit Lane(std::string group_in) : group(std::move(group_in)) {}

        bool HasFresh() const { return record.count > 0; }

        const std::string group;
        // `record` is what storage has, plus what is not written yet.
        bool loaded = false;
        bool dirty = false;
        bool active = false;
        bool noted_idle = false;
        // FIFO: the head is not ready before; 0: it is not waiting.
        int64_t sleeps_until = 0;
        LaneRecord record;
        // The next messages, from `head` on. `complete`: there are no others.
        std::vector<Fresh> window;
        size_t head = 0;
        bool complete = false;
        Sequence read_from = 0;
        // In flight or leaving.
        int64_t in_flight = 0;
        // FIFO: given back, to go first.
        std::map<Sequence, Place> returned;
        Rank rank;
        int64_t turn = 0;
    };

    using PlaceKey = std::pair<int64_t, Sequence>;

    // The first of many places in order: those in `places` are all there are before `limit`.
    struct PlaceWindow {
        std::map<PlaceKey, Place> places;
        bool more = false;
        PlaceKey limit{};
        bool is_delays = false;
    };

    struct Attempt {
        int64_t until_ms = 0;
        std::vector<std::pair<Sequence, int32_t>> taken;
        ReceiveCall::Messages messages;
    };

    // What was read from storage or follows from it; thrown away as a whole.
    struct Memory {
        ShardRecord shard;
        std::optional<EpochKeys> keys;
        std::unordered_map<std::string, std::unique_ptr<Lane>> lanes;
        std::set<std::pair<Rank, Lane*>> active;
        // FIFO lanes whose head has a delay.
        std::set<std::pair<int64_t, Lane*>> sleeping;
        // Lanes with fresh messages that are in memory, of shard.lanes.
        int64_t lanes_here = 0;
        // Where the walk over lanes that are not in memory goes on.
        std::string lane_cursor;
        int64_t turn = 0;
        int64_t picks_since_walk = 0;
        std::unordered_map<Sequence, Place> in_flight;
        std::set<PlaceKey> by_end;
        std::unordered_map<Sequence, Place> moving;
        // Standard queues only; FIFO keeps them in lanes.
        PlaceWindow returned;
        PlaceWindow delays{.is_delays = true};
        std::map<int64_t, int64_t> tenths;
        std::vector<int64_t> past_tenths;
        bool turn_of_places = true;
        // FIFO: of the transaction that is being gathered.
        std::map<std::string, DuplicateRecord> duplicates;
        int64_t duplicates_swept = 0;
        std::map<std::string, Attempt> attempts;
        // In order of their end; one whose id was used again since is there twice.
        std::deque<std::pair<int64_t, std::string>> attempts_by_end;
        // Retention.
        bool sweeping = false;
        int64_t sweep_oldest_ms = 0;
        std::optional<std::string> sweep_from;
        int sweep_phase = 0;
        int64_t next_sweep_ms = 0;
        int64_t advanced_ms = 0;
    };

    struct Candidate {
        Place place;
        std::string encoded;
    };

    Task<void> Pump();
    Task<void> Turn();
    Task<Status> Load();
    Task<Status> LoadPlaces();
    void Forget();
    void FailAll(const Error& error);

    // Writes what was gathered; afterwards storage is what memory says. Before each read of a
    // range, because what is not committed cannot be read.
    Task<Status> Flush();
    Task<Status> FlushIfLarge();
    // What FlushIfLarge would find, for loops over messages: a coroutine for each costs more.
    bool FlushIsDue() const;
    void Put(std::string key, std::string value);
    void Erase(std::string key);
    // Remembers that memory is wrong and returns the reason.
    Error Break(Error error);

    // The time of this turn: it stands still while calls run.
    int64_t NowMs() const { return memory_->advanced_ms; }

    Task<Status> Advance();
    void ArmDue();

    Task<Result<Lane*>> LaneOf(const std::string& group);
    Lane& LaneStub(const std::string& group);
    Task<Status> LoadLane(Lane& lane);
    void MarkDirty(Lane& lane);
    // Puts the lane where its state belongs: active, sleeping or neither.
    void Rerank(Lane& lane);
    Task<Status> FillWindow(Lane& lane);
    Task<Status> WalkLanes();
    // Takes lanes out of memory that nothing needs there.
    void TrimLanes();
    void NoteIdle(Lane& lane);
    void ForgetWindow(Lane& lane);

    Task<Status> AddFresh(MessageRecord record, Sequence sequence);
    Task<Status> AddDelayed(MessageRecord record, Sequence sequence);
    void CountDelay(int64_t ready_ms);
    void AddToWindow(PlaceWindow& window, Place place);
    Task<Status> FillReturned();
    Task<Status> FillDelays();

    struct PickOptions {
        size_t max = 1;
        size_t bytes_max = 0;
        std::chrono::seconds visibility{0};
        // For another queue, and not received.
        bool moving = false;
    };

    // One picking: what it has, and what it gives back at its end because it is hidden for no time.
    struct Picking {
        PickOptions options;
        std::vector<Candidate> picked;
        size_t bytes = 0;
        std::vector<Place> visible_again;

        bool HasRoomFor(size_t more) const {
            return picked.empty() || bytes + more <= options.bytes_max;
        }
    };

    bool Receivable() const;
    bool InFlightFull() const;
    // Enough are on their way to the dead-letter queue; the others wait for the next turn.
    bool LeavingFull() const;
    // Takes the next messages there are.
    Task<Status> Pick(Picking& picking);
    Task<Status> PickStandard(Picking& picking);
    Task<Status> PickPlace(Picking& picking, PlaceWindow& from, bool& full);
    Task<Status> PickFresh(Picking& picking, Lane& lane, bool& full);
    Task<Status> PickFifo(Picking& picking);
    Task<Status> PickFromFifoLane(Picking& picking, Lane& lane, bool& full);
    void Take(Picking& picking, Place place, std::string encoded);
    void LeaveForDeadLetters(Place place, std::string encoded);
    Task<Result<std::optional<std::string>>> BodyOf(const Place& place);
    // Deletes what is too old to be given out, whatever state it is in.
    Task<Status> Expire(const Place& place);
    Task<Status> ForgetPlace(const Place& place);
    // The message in front of the lane leaves it.
    Fresh PopFresh(Lane& lane);
    bool Expired(int64_t sent_ms) const;
    bool IsDead(const Place& place) const;
    // Deletes what storage has of a message with a place.
    void Remove(const Place& place);
    // Gone from flight, by deletion, expiry or move.
    void LeaveFlight(const Place& place);
    void GiveBack(Place place);
    // Nothing when memory cannot tell what the handle's message is doing.
    std::optional<Status> DeleteAtOnce(const Receipt& receipt, const std::string& handle);
    Task<Status> DeleteStored(const Receipt& receipt, const std::string& handle);
    Task<Status> ChangeOne(const QueueEngine::VisibilityChange& change);
    Result<Receipt> OpenHandle(const std::string& handle) const;
    MessageQueues::Message Show(const Place& place, MessageRecord record) const;
    Task<Result<bool>> ServeAttempt(ReceiveCall& call);
    void NoteAttempt(const ReceiveCall& call, const ReceiveCall::Messages& messages);
    // Those that are over, and the oldest ones of too many.
    void DropAttempts(size_t most);
    void TakeBack(const ReceiveCall& call);
    void Reset(Place& place, int64_t ready_ms);
    Task<void> ServeWaiters();
    // What the queue that takes `message` over has to write.
    ArrivingMessage Departure(const LeavingMessage& message, bool anew) const;
    Task<void> MoveAway(std::vector<LeavingMessage> messages);
    Task<Status> SweepStep();
    Task<Status> SweepDuplicates();
    Task<Result<std::optional<DuplicateRecord>>> FindDuplicate(
        const std::string& key, int64_t now_ms);

    const Shared& shared_;
    rt::TaskGroup& group_;
    const QueueAddress address_;
    const std::string wake_key_;

    std::deque<std::shared_ptr<ShardCall>> calls_;
    std::list<std::shared_ptr<ReceiveCall>> waiting_;
    std::vector<std::shared_ptr<ShardCall>> ran_;
    bool pumping_ = false;
    bool tick_ = false;
    bool stopping_ = false;
    bool no_waits_ = false;
    bool loaded_ = false;

    std::shared_ptr<const QueueRecord> record_;
    QueueId id_ = 0;
    std::optional<QueueKeys> keys_;
    std::unique_ptr<Memory> memory_;

    // In order; the last one of a key counts.
    std::vector<std::pair<std::string, std::optional<std::string>>> writes_;
    size_t write_bytes_ = 0;
    // Among them are messages that no window has, so whoever reads a lane flushes first.
    bool unread_fresh_ = false;
    std::vector<Lane*> dirty_lanes_;
    std::vector<Lane*> idle_lanes_;
    std::optional<Error> broken_;
    bool receivable_news_ = false;
    std::vector<LeavingMessage> leaving_;
    size_t leaving_bytes_ = 0;
    // Messages on their way to the dead-letter queue keep the shard in memory.
    size_t moves_running_ = 0;

    std::unique_ptr<flow::DueTimes::Entry> due_;
};

}  // namespace hearth::sqs
