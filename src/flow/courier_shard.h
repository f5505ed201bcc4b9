#pragma once

#include "flow/courier.h"
#include "flow/delivery_records.h"
#include "flow/due_times.h"
#include "rt/event.h"
#include "rt/task_group.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hearth::flow::internal {

class CourierShard;
struct KindMetrics;

// A kind as all loops see it. Unchanging after the start, but for the counters.
struct CourierKind {
    CourierKind(
        std::string name_in,
        Courier::Handler handler_in,
        Courier::KindOptions options_in,
        size_t shard_count);
    ~CourierKind();

    void AddMetrics(aws::Metrics& metrics);

    const std::string name;
    const Courier::Handler handler;
    const Courier::KindOptions options;

    // Handlers under way on all loops.
    std::atomic<size_t> running{0};
    // By shard: it has lanes that wait for a place.
    std::vector<std::atomic<bool>> starved;
    std::atomic<uint64_t> delivered{0};
    std::atomic<uint64_t> retried{0};
    std::atomic<uint64_t> failed{0};
    std::atomic<uint64_t> held{0};
    // Null without metrics.
    std::unique_ptr<KindMetrics> metrics;
};

// What all loops share.
struct CourierCommon {
    Courier::Deps deps;
    Courier::Limits limits;
    std::map<std::string, std::unique_ptr<CourierKind>, std::less<>> kinds;
    std::vector<std::unique_ptr<CourierShard>> shards;
    // Announcements on their way to their loop.
    std::atomic<size_t> announcing{0};
    // Counts announcements and ends of handlers, so that a look at all loops notices what moved
    // from one to another meanwhile.
    std::atomic<uint64_t> activity{0};
    std::atomic<int64_t> started_ms{INT64_MAX};

    CourierKind* FindKind(std::string_view name) const {
        const auto found = kinds.find(name);
        return found == kinds.end() ? nullptr : found->second.get();
    }

    size_t ShardOf(std::string_view kind, std::string_view lane) const;
    // On any loop or thread.
    void Announce(Delivery delivery);
};

// The lanes of one loop. Everything here is touched on that loop alone.
//
// A lane's deliveries are ordered by rank. Memory holds those before `beyond`: a prefix. What is at
// or after it may be in the store only, and is read when the window runs low. Nothing that changes
// the store reads it first, so no commit of a delivery ever conflicts with another.
class CourierShard final {
  public:
    CourierShard(CourierCommon& common, int index);
    // Stop must have ended, if Begin was called.
    ~CourierShard();

    CourierShard(const CourierShard&) = delete;
    CourierShard& operator=(const CourierShard&) = delete;

    int index() const { return index_; }

    // Starts to deliver; `lanes` are those that the store has something of.
    void Begin(const std::vector<LaneName>& lanes);
    Task<void> Drain(std::chrono::steady_clock::time_point until);
    Task<void> Stop();

    // After its commit.
    void Announced(Delivery delivery);
    void LookAgain(const std::string& kind, const std::string& lane);
    // Starts what can be started; a good deal at most, the rest after others had the loop.
    void Pump();
    // Another loop passes on a place.
    void Granted(CourierKind& kind);

    Task<Status> DropLane(const std::string& kind, const std::string& lane);
    void List(
        std::string_view kind,
        std::string_view lane_prefix,
        std::vector<Courier::LaneFacts>& facts) const;

    bool Idle() const;
    // Returns when idle, or false at `until`.
    Task<bool> WaitIdle(std::chrono::steady_clock::time_point until);

    size_t in_memory() const { return window_count_ + running_count_; }

  private:
    struct Waiting;
    struct Running;
    struct Lane;
    struct Settlement;

    Lane& LaneOf(CourierKind& kind, const std::string& name);
    void Insert(Lane& lane, Rank rank, Waiting waiting);
    void Add(Lane& lane, Rank rank, Waiting waiting);
    void TakeFromWindow(Lane& lane, std::map<Rank, Waiting>::iterator at);
    void SetBeyond(Lane& lane, const Rank& rank);
    void Arrive(Lane& lane, Rank rank, Waiting waiting);
    size_t RoomOf(const Lane& lane) const;

    // Does what the lane's state asks for: reading on, standing in line, a timer, its end. The lane
    // may be gone afterwards.
    void Consider(Lane& lane);
    std::optional<CloudClock::time_point> NextLook(
        Lane& lane, bool empty, CloudClock::time_point now) const;
    bool Runnable(const Lane& lane) const;
    void StartOne(Lane& lane);
    bool AcquirePlace(CourierKind& kind);
    void ReleasePlace(CourierKind& kind);
    void FreePlace(CourierKind& kind);
    void PostPump();

    Task<void> Run(Lane& lane, Running& running);
    Task<Status> LoadPayload(const Lane& lane, Running& running);
    Task<Result<Verdict>> CallHandler(CourierKind& kind, const Delivery& delivery, bool& thrown);
    void Finished(Lane& lane, Running& running, Result<Verdict> verdict);
    Status AddThen(Settlement& settlement, std::vector<Delivery> then);
    void SettleRetry(Lane& lane, Running& running, Verdict verdict);
    void Hold(Lane& lane, Running& running, CloudClock::duration after);
    // Puts it back where it was, without the store.
    void PutBack(Lane& lane, Running& running);
    void EndRunning(Lane& lane, const std::string& id);

    void Enqueue(Settlement settlement);
    Task<void> SettleLoop();
    Task<Status> Commit(const std::vector<Settlement>& batch);
    void Settled(Settlement settlement);

    Task<void> Read(Lane& lane);
    void TakePage(Lane& lane, storage::RangePage page);
    void EndReading(Lane& lane);
    Task<Status> DeleteAll(const std::string& kind, const std::string& lane);

    void Report(Lane& lane);

    CourierCommon& common_;
    const int index_;

    std::unordered_map<std::string, std::unique_ptr<Lane>> lanes_;
    // Lanes that could start something, each kind's in turn.
    std::map<const CourierKind*, std::deque<Lane*>> ready_;

    // Places that other loops passed on.
    std::map<const CourierKind*, size_t> granted_;

    size_t window_count_ = 0;
    size_t payload_bytes_ = 0;
    size_t running_count_ = 0;
    // Handlers under way; running_count_ has also those whose end is not durable yet.
    size_t executing_ = 0;
    size_t reading_ = 0;
    size_t dropping_ = 0;

    std::deque<Settlement> settlements_;
    size_t settling_ = 0;
    uint64_t enqueued_ = 0;
    uint64_t settled_ = 0;

    bool begun_ = false;
    bool draining_ = false;
    bool cancelled_ = false;
    bool pumping_ = false;
    // Another Pump is on its way.
    bool pump_posted_ = false;
    // Set: there is something to settle, or the loop shall end.
    rt::Event settle_;
    // Set once the shard drains: waits in real time end then.
    rt::Event stop_;
    bool end_settling_ = false;
    // Woken when something ended.
    rt::Event progress_;
    rt::TaskGroup group_;
    rt::TaskGroup settling_group_;
};

}  // namespace hearth::flow::internal
