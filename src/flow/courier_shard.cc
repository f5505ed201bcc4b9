#include "flow/courier_shard.h"

#include "aws/front/metrics.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "rt/loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <unordered_set>

namespace hearth::flow::internal {
namespace {

// Below this share of its room a window is filled up again.
constexpr size_t kRefillShare = 4;
// A lane may have so many in memory also when the loop's window is full.
constexpr size_t kRoomMin = 8;
// Ends that wait to be written; from there on nothing new is started.
constexpr size_t kSettlementsMax = 4'096;
// One transaction of ends, below the store's limits.
constexpr size_t kBatchKeysMax = 800;
constexpr size_t kBatchBytesMax = 6 * 1024 * 1024;
constexpr size_t kThenMax = 100;
// Started in one go; others on the loop get their turn after so many.
constexpr size_t kStartsMax = 64;
// Deliveries that were read before anyone announced them, so that the announcement is no second
// one.
constexpr size_t kUnannouncedMax = 256;
// Announcements come right after their commits; later than this there is none.
constexpr CloudClock::duration kForgetAfter = std::chrono::minutes(1);
constexpr size_t kErrorBytesKept = 300;
constexpr size_t kReadPageBytesMax = 1024 * 1024;
// A payload that is needed later than this is read again then.
constexpr CloudClock::duration kKeepPayload = std::chrono::seconds(1);

constexpr CloudClock::duration kPauseMax = std::chrono::hours(1);

// 1 s, 2 s, 4 s ... one hour; of each between the half and the whole, so that what failed together
// does not come back together.
CloudClock::duration PauseAfter(int attempts, Random& random) {
    constexpr int kDoublingsMax = 12;
    const CloudClock::duration whole = std::min<CloudClock::duration>(
        kPauseMax, std::chrono::seconds(1) * (1 << std::clamp(attempts, 0, kDoublingsMax)));
    const int64_t half = whole.count() / 2;
    return CloudClock::duration(
        half + static_cast<int64_t>(random.Uint64() % static_cast<uint64_t>(half + 1)));
}

std::string LaneId(std::string_view kind, std::string_view lane) {
    std::string id;
    id.reserve(kind.size() + 1 + lane.size());
    id.append(kind);
    id.push_back('\0');
    id.append(lane);
    return id;
}

}  // namespace

struct KindMetrics {
    aws::Gauge pending;
    aws::Gauge running;
    aws::Counter delivered;
    aws::Counter retried;
    aws::Counter failed;
    aws::Counter held;
    aws::Histogram age;

    KindMetrics(aws::Metrics& metrics, const std::string& kind)
        : pending(metrics.Gauge(
              "hearth_courier_pending",
              "Deliveries that wait or run; of a backlog that an earlier process left, those "
              "known.",
              {{"kind", kind}})),
          running(
              metrics.Gauge("hearth_courier_running", "Deliveries under way.", {{"kind", kind}})),
          delivered(metrics.Counter(
              "hearth_courier_delivered_total", "Deliveries done.", {{"kind", kind}})),
          retried(metrics.Counter(
              "hearth_courier_retried_total",
              "Attempts after which a delivery was put off.",
              {{"kind", kind}})),
          failed(metrics.Counter(
              "hearth_courier_failed_total",
              "Attempts that ended with an error of the handler.",
              {{"kind", kind}})),
          held(metrics.Counter(
              "hearth_courier_held_total",
              "Attempts that found the destination at rest.",
              {{"kind", kind}})),
          age(metrics.Histogram(
              "hearth_courier_age_seconds",
              "From acceptance to the end of a delivery, by the cloud's clock.",
              {0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, 1'800, 7'200, 21'600, 86'400},
              {{"kind", kind}})) {}
};

CourierKind::CourierKind(
    std::string name_in,
    Courier::Handler handler_in,
    Courier::KindOptions options_in,
    size_t shard_count)
    : name(std::move(name_in)),
      handler(std::move(handler_in)),
      options(options_in),
      starved(shard_count) {}

CourierKind::~CourierKind() = default;

void CourierKind::AddMetrics(aws::Metrics& made) {
    metrics = std::make_unique<KindMetrics>(made, name);
}

size_t CourierCommon::ShardOf(std::string_view kind, std::string_view lane) const {
    const size_t hash =
        std::hash<std::string_view>()(kind) * 31 + std::hash<std::string_view>()(lane);
    return static_cast<size_t>(deps.loops.IndexOf(hash));
}

void CourierCommon::Announce(Delivery delivery) {
    activity.fetch_add(1);
    CourierShard* const shard = shards[ShardOf(delivery.kind, delivery.lane)].get();
    if (rt::OnALoop() && rt::CurrentLoop().context == &deps.loops.context(shard->index())) {
        shard->Announced(std::move(delivery));
        return;
    }
    announcing.fetch_add(1);
    deps.loops.Post(shard->index(), [this, shard, delivery = std::move(delivery)]() mutable {
        shard->Announced(std::move(delivery));
        announcing.fetch_sub(1);
    });
}

// One that does not run.
struct CourierShard::Waiting {
    int attempts = 0;
    CloudClock::time_point accepted;
    CloudClock::time_point due;
    size_t payload_bytes = 0;
    bool payload_apart = false;
    // Nullopt: only in the store.
    std::optional<std::string> payload;
    // Comes from an announcement, which may be a second word of what is known.
    bool announced = false;
};

// One whose handler runs, or whose end is not durable yet.
struct CourierShard::Running {
    Delivery delivery;
    Rank rank;
    size_t payload_bytes = 0;
    bool payload_apart = false;
    bool payload_here = false;
    // Of its lane when it started; DropLane begins a new one.
    uint64_t generation = 0;
};

struct CourierShard::Lane {
    CourierKind& kind;
    const std::string name;

    std::map<Rank, Waiting> window;
    // From here on there may be more in the store than in the window.
    std::optional<Rank> beyond;
    // How many there are, and whether there can be others.
    size_t beyond_count = 0;
    bool exact = true;

    // By id.
    std::map<std::string, std::unique_ptr<Running>> running;
    size_t executing = 0;

    bool reading = false;
    // While it reads: what came, what of that had no room, what ended, and that somebody asked for
    // another look.
    std::vector<std::pair<Rank, Waiting>> arrived;
    std::optional<Rank> arrived_lost;
    std::unordered_set<std::string> ended;
    bool look_again = false;

    std::unordered_set<std::string> unannounced;
    std::deque<std::string> unannounced_order;
    // When those are given up, so that an empty lane can end.
    std::optional<CloudClock::time_point> forget_at;

    bool in_line = false;
    // Pump holds it.
    bool starting = false;
    std::optional<CloudClock::time_point> held_until;
    std::unique_ptr<DueTimes::Entry> timer;
    std::string last_error;
    uint64_t generation = 0;
    // DropLane is at work.
    size_t dropping = 0;
    // What the gauges were told.
    int64_t reported = 0;

    Lane(CourierKind& kind_in, std::string name_in) : kind(kind_in), name(std::move(name_in)) {}

    size_t pending() const { return window.size() + running.size() + beyond_count; }
};

// The end of one attempt, to be written.
struct CourierShard::Settlement {
    Lane* lane = nullptr;
    std::string id;
    std::vector<std::string> deletes;
    std::vector<std::pair<std::string, std::string>> puts;
    // To be announced after the commit.
    std::vector<Delivery> then;
    // To be taken up again after the commit.
    std::optional<std::pair<Rank, Waiting>> again;
    size_t bytes = 0;

    void Put(std::string key, std::string value) {
        bytes += key.size() + value.size();
        puts.emplace_back(std::move(key), std::move(value));
    }

    void Delete(std::string key) {
        bytes += key.size();
        deletes.push_back(std::move(key));
    }

    size_t keys() const { return deletes.size() + puts.size(); }
};

CourierShard::CourierShard(CourierCommon& common, int index) : common_(common), index_(index) {}

CourierShard::~CourierShard() {
    CHECK(!begun_, "the courier was not stopped");
}

void CourierShard::Begin(const std::vector<LaneName>& lanes) {
    begun_ = true;
    settling_group_.Spawn(SettleLoop());
    for (const LaneName& name : lanes) {
        CourierKind* const kind = common_.FindKind(name.kind);
        Lane& lane = LaneOf(*kind, name.lane);
        lane.exact = false;
        SetBeyond(lane, Rank());
    }
    std::vector<Lane*> all;
    for (const auto& [id, lane] : lanes_) {
        all.push_back(lane.get());
    }
    for (Lane* const lane : all) {
        Consider(*lane);
    }
    Pump();
}

Task<void> CourierShard::Drain(std::chrono::steady_clock::time_point until) {
    draining_ = true;
    stop_.Set();
    // DropLane gives up; the store may never let it get what it waits for.
    progress_.WakeAll();
    while (executing_ + reading_ + settlements_.size() + settling_ > 0) {
        if (!co_await progress_.WaitUntil(until)) {
            break;
        }
    }
}

Task<void> CourierShard::Stop() {
    if (!begun_) {
        co_return;
    }
    draining_ = true;
    stop_.Set();
    cancelled_ = true;
    progress_.WakeAll();
    group_.Cancel();
    co_await group_.Join();
    while (dropping_ > 0) {
        co_await progress_.Wait();
    }
    end_settling_ = true;
    settle_.Set();
    co_await settling_group_.Join();
    settlements_.clear();
    ready_.clear();
    lanes_.clear();
    begun_ = false;
}

CourierShard::Lane& CourierShard::LaneOf(CourierKind& kind, const std::string& name) {
    std::unique_ptr<Lane>& lane = lanes_[LaneId(kind.name, name)];
    if (lane == nullptr) {
        lane = std::make_unique<Lane>(kind, name);
    }
    return *lane;
}

void CourierShard::Announced(Delivery delivery) {
    CourierKind* const kind = common_.FindKind(delivery.kind);
    if (kind == nullptr || cancelled_) {
        return;
    }
    Lane& lane = LaneOf(*kind, delivery.lane);
    Rank rank = RankOf(delivery, kind->options.ordered);
    Waiting waiting;
    waiting.attempts = delivery.attempts;
    waiting.accepted = delivery.accepted;
    waiting.due = delivery.due;
    waiting.payload_bytes = delivery.payload.size();
    waiting.payload_apart = waiting.payload_bytes > kInlinePayloadBytesMax;
    waiting.payload = std::move(delivery.payload);
    waiting.announced = true;
    Arrive(lane, std::move(rank), std::move(waiting));
    Consider(lane);
    Pump();
}

void CourierShard::LookAgain(const std::string& kind_name, const std::string& name) {
    CourierKind* const kind = common_.FindKind(kind_name);
    if (kind == nullptr || cancelled_) {
        return;
    }
    Lane& lane = LaneOf(*kind, name);
    if (lane.reading) {
        lane.look_again = true;
        return;
    }
    lane.exact = false;
    SetBeyond(lane, Rank());
    Consider(lane);
    Pump();
}

// Into the window, or among what arrived while the lane is being read.
void CourierShard::Arrive(Lane& lane, Rank rank, Waiting waiting) {
    if (!lane.reading) {
        Insert(lane, std::move(rank), std::move(waiting));
        return;
    }
    if (lane.arrived.size() >= common_.limits.lane_window) {
        if (!lane.arrived_lost || rank < *lane.arrived_lost) {
            lane.arrived_lost = std::move(rank);
        }
        return;
    }
    if (payload_bytes_ + waiting.payload_bytes > common_.limits.loop_payload_bytes) {
        waiting.payload.reset();
    }
    lane.arrived.emplace_back(std::move(rank), std::move(waiting));
}

void CourierShard::Insert(Lane& lane, Rank rank, Waiting waiting) {
    if (waiting.announced) {
        if (lane.running.contains(rank.id) || lane.unannounced.erase(rank.id) > 0) {
            return;
        }
        waiting.announced = false;
    }
    if (lane.beyond && rank >= *lane.beyond) {
        ++lane.beyond_count;
        return;
    }
    Add(lane, std::move(rank), std::move(waiting));
    const bool full = lane.window.size() > common_.limits.lane_window ||
                      (window_count_ > common_.limits.loop_window && lane.window.size() > kRoomMin);
    if (full) {
        const auto last = std::prev(lane.window.end());
        lane.beyond = last->first;
        ++lane.beyond_count;
        TakeFromWindow(lane, last);
    }
}

void CourierShard::Add(Lane& lane, Rank rank, Waiting waiting) {
    if (waiting.payload &&
        payload_bytes_ + waiting.payload->size() > common_.limits.loop_payload_bytes) {
        waiting.payload.reset();
    }
    const auto [at, added] = lane.window.try_emplace(std::move(rank), std::move(waiting));
    if (added) {
        ++window_count_;
        payload_bytes_ += at->second.payload ? at->second.payload->size() : 0;
    }
}

void CourierShard::TakeFromWindow(Lane& lane, std::map<Rank, Waiting>::iterator at) {
    --window_count_;
    payload_bytes_ -= at->second.payload ? at->second.payload->size() : 0;
    lane.window.erase(at);
}

void CourierShard::SetBeyond(Lane& lane, const Rank& rank) {
    if (!lane.beyond || rank < *lane.beyond) {
        lane.beyond = rank;
    }
    while (!lane.window.empty()) {
        const auto last = std::prev(lane.window.end());
        if (last->first < *lane.beyond) {
            break;
        }
        ++lane.beyond_count;
        TakeFromWindow(lane, last);
    }
}

size_t CourierShard::RoomOf(const Lane& lane) const {
    const size_t room =
        window_count_ >= common_.limits.loop_window ? kRoomMin : common_.limits.lane_window;
    return room > lane.window.size() ? room - lane.window.size() : 0;
}

bool CourierShard::Runnable(const Lane& lane) const {
    if (lane.window.empty() || lane.held_until || lane.dropping > 0) {
        return false;
    }
    const bool place = lane.kind.options.ordered
                           ? lane.running.empty()
                           : lane.executing < lane.kind.options.running_per_lane;
    return place && lane.window.begin()->second.due <= common_.deps.clock.Now();
}

void CourierShard::Consider(Lane& lane) {
    if (!begun_ || draining_) {
        return;
    }
    const CloudClock::time_point now = common_.deps.clock.Now();
    if (lane.timer == nullptr) {
        lane.timer = common_.deps.due_times.Make([this, &lane] {
            Consider(lane);
            Pump();
        });
    }
    if (lane.held_until && *lane.held_until <= now) {
        lane.held_until.reset();
    }
    if (lane.forget_at && *lane.forget_at <= now) {
        lane.unannounced.clear();
        lane.unannounced_order.clear();
        lane.forget_at.reset();
    }
    bool read = false;
    if (lane.beyond && !lane.reading && lane.dropping == 0 &&
        lane.window.size() <= common_.limits.lane_window / kRefillShare) {
        lane.reading = true;
        ++reading_;
        read = true;
    }
    Report(lane);
    const bool empty = lane.window.empty() && lane.running.empty() && !lane.beyond &&
                       !lane.reading && !lane.in_line && !lane.held_until && lane.dropping == 0;
    if (empty && lane.unannounced.empty() && !lane.starting) {
        lanes_.erase(LaneId(lane.kind.name, lane.name));
        return;
    }
    lane.timer->Set(NextLook(lane, empty, now));
    if (Runnable(lane) && !lane.in_line) {
        lane.in_line = true;
        ready_[&lane.kind].push_back(&lane);
    }
    if (read) {
        // Last: it may run to its end at once.
        group_.Spawn(Read(lane));
    }
}

// When time alone changes something for the lane.
std::optional<CloudClock::time_point> CourierShard::NextLook(
    Lane& lane, bool empty, CloudClock::time_point now) const {
    if (empty) {
        if (!lane.forget_at) {
            lane.forget_at = now + kForgetAfter;
        }
        return lane.forget_at;
    }
    if (lane.held_until) {
        return lane.held_until;
    }
    if (!lane.window.empty() && lane.window.begin()->second.due > now) {
        return lane.window.begin()->second.due;
    }
    return std::nullopt;
}

void CourierShard::Report(Lane& lane) {
    if (lane.kind.metrics != nullptr) {
        const int64_t pending = static_cast<int64_t>(lane.pending());
        if (pending != lane.reported) {
            lane.kind.metrics->pending.Add(static_cast<double>(pending - lane.reported));
            lane.reported = pending;
        }
    }
}

void CourierShard::Pump() {
    // Not from within itself, through the end of a handler.
    if (!begun_ || draining_ || pumping_) {
        return;
    }
    pumping_ = true;
    size_t started = 0;
    for (auto& [kind, line] : ready_) {
        while (!line.empty() && settlements_.size() + settling_ < kSettlementsMax &&
               started < kStartsMax) {
            Lane& lane = *line.front();
            const bool start = Runnable(lane);
            if (start && !AcquirePlace(lane.kind)) {
                break;
            }
            line.pop_front();
            lane.in_line = false;
            if (start) {
                ++started;
                // It may run to its end at once.
                lane.starting = true;
                StartOne(lane);
                lane.starting = false;
            }
            Consider(lane);
        }
    }
    pumping_ = false;
    if (started == kStartsMax) {
        PostPump();
    }
    progress_.WakeAll();
}

void CourierShard::PostPump() {
    if (!std::exchange(pump_posted_, true)) {
        common_.deps.loops.Post(index_, [this] {
            pump_posted_ = false;
            Pump();
        });
    }
}

bool CourierShard::AcquirePlace(CourierKind& kind) {
    if (size_t& granted = granted_[&kind]; granted > 0) {
        --granted;
        return true;
    }
    const auto acquire = [&kind] {
        size_t running = kind.running.load();
        while (running < kind.options.running_max) {
            if (kind.running.compare_exchange_weak(running, running + 1)) {
                return true;
            }
        }
        return false;
    };
    if (acquire()) {
        return true;
    }
    // Said before the second try: a place that is given back between the two is noticed.
    kind.starved[static_cast<size_t>(index_)] = true;
    return acquire();
}

// A place goes to the next loop that waits for one, not back into the crowd: the loop that has it
// would be the first to take it again, for ever.
void CourierShard::ReleasePlace(CourierKind& kind) {
    const size_t count = common_.shards.size();
    for (size_t i = 1; i < count; ++i) {
        const size_t next = (static_cast<size_t>(index_) + i) % count;
        if (kind.starved[next].load() && kind.starved[next].exchange(false)) {
            CourierShard* const other = common_.shards[next].get();
            common_.deps.loops.Post(other->index(), [other, &kind] { other->Granted(kind); });
            return;
        }
    }
    FreePlace(kind);
}

void CourierShard::FreePlace(CourierKind& kind) {
    kind.running.fetch_sub(1);
    for (const auto& shard : common_.shards) {
        const size_t index = static_cast<size_t>(shard->index());
        if (shard.get() != this && kind.starved[index].load() &&
            kind.starved[index].exchange(false)) {
            CourierShard* const other = shard.get();
            common_.deps.loops.Post(other->index(), [other] { other->Pump(); });
        }
    }
}

void CourierShard::Granted(CourierKind& kind) {
    size_t& granted = granted_[&kind];
    ++granted;
    Pump();
    // Nobody here waited any more.
    while (!pumping_ && granted > 0) {
        --granted;
        FreePlace(kind);
    }
}

void CourierShard::StartOne(Lane& lane) {
    const auto first = lane.window.begin();
    auto running = std::make_unique<Running>();
    Waiting& waiting = first->second;
    running->rank = first->first;
    running->generation = lane.generation;
    running->payload_bytes = waiting.payload_bytes;
    running->payload_apart = waiting.payload_apart;
    running->payload_here = waiting.payload.has_value();
    Delivery& delivery = running->delivery;
    delivery.kind = lane.kind.name;
    delivery.lane = lane.name;
    delivery.id = running->rank.id;
    delivery.accepted = waiting.accepted;
    delivery.due = waiting.due;
    delivery.attempts = waiting.attempts;
    if (waiting.payload) {
        payload_bytes_ -= waiting.payload->size();
        delivery.payload = *std::move(waiting.payload);
        waiting.payload.reset();
    }
    TakeFromWindow(lane, first);
    ++lane.executing;
    ++executing_;
    ++running_count_;
    if (lane.kind.metrics != nullptr) {
        lane.kind.metrics->running.Add(1);
    }
    Running& started = *running;
    lane.running.emplace(delivery.id, std::move(running));
    group_.Spawn(Run(lane, started));
}

Task<void> CourierShard::Run(Lane& lane, Running& running) {
    Status loaded;
    bool thrown = false;
    Result<Verdict> verdict = Verdict::Done();
    try {
        loaded = co_await LoadPayload(lane, running);
        if (loaded.ok()) {
            verdict = co_await CallHandler(lane.kind, running.delivery, thrown);
        }
    } catch (const std::exception& exception) {
        // Handlers' exceptions end below; this is the store's read, cancelled at the end.
        thrown = true;
        loaded = errors::Internal(exception.what());
    }
    // Nothing waits from here on, so the end is noted also when the shard stops.
    --lane.executing;
    --executing_;
    if (lane.kind.metrics != nullptr) {
        lane.kind.metrics->running.Add(-1);
    }
    ReleasePlace(lane.kind);
    common_.activity.fetch_add(1);
    if (thrown && cancelled_) {
        // It was interrupted; the next process delivers it again.
        EndRunning(lane, std::string(running.delivery.id));
    } else if (!loaded.ok()) {
        if (loaded.error().kind() == Error::Kind::kNotFound) {
            // Its lane was dropped while it was put: of a large one the record may be left.
            Settlement settlement;
            settlement.lane = &lane;
            settlement.id = running.delivery.id;
            settlement.Delete(DeliveryKey(lane.kind.name, lane.name, running.rank));
            Enqueue(std::move(settlement));
        } else {
            log::Warn("courier: {}: {}", lane.kind.name, loaded.error().message());
            Hold(lane, running, common_.limits.store_pause);
        }
    } else {
        Finished(lane, running, std::move(verdict));
    }
    Consider(lane);
    Pump();
    progress_.WakeAll();
}

Task<Status> CourierShard::LoadPayload(const Lane& lane, Running& running) {
    if (running.payload_here) {
        co_return Status();
    }
    const std::string key = running.payload_apart
                                ? DeliveryPayloadKey(lane.kind.name, lane.name, running.rank.id)
                                : DeliveryKey(lane.kind.name, lane.name, running.rank);
    HEARTH_CO_TRY(auto value, co_await common_.deps.kv.Get(key));
    if (!value) {
        co_return Error(Error::Kind::kNotFound, "", "the delivery was removed", 404);
    }
    if (running.payload_apart) {
        running.delivery.payload = *std::move(value);
    } else {
        HEARTH_CO_TRY(StoredDelivery stored, DecodeDelivery(key, *value));
        running.delivery.payload = std::move(stored.delivery.payload);
    }
    running.payload_here = true;
    co_return Status();
}

Task<Result<Verdict>> CourierShard::CallHandler(
    CourierKind& kind, const Delivery& delivery, bool& thrown) {
    std::string what;
    try {
        co_return co_await kind.handler(delivery);
    } catch (const std::exception& exception) {
        // A bug in one handler must not end the deliveries of the others.
        what = exception.what();
        thrown = true;
    }
    co_return errors::Internal(what);
}

void CourierShard::Finished(Lane& lane, Running& running, Result<Verdict> verdict) {
    CourierKind& kind = lane.kind;
    Settlement settlement;
    if (verdict.ok() && verdict->kind == Verdict::Kind::kDone) {
        if (Status status = AddThen(settlement, std::move(verdict->then)); !status.ok()) {
            verdict = std::move(status).error();
        }
    }
    Verdict said;
    if (verdict.ok()) {
        said = *std::move(verdict);
    } else {
        lane.last_error = verdict.error().message().substr(0, kErrorBytesKept);
        kind.failed.fetch_add(1);
        if (kind.metrics != nullptr) {
            kind.metrics->failed.Add();
        }
        log::Debug("courier: {} is tried again: {}", kind.name, lane.last_error);
        said = Verdict::Retry(PauseAfter(running.delivery.attempts, common_.deps.random));
    }
    const bool dropped = running.generation != lane.generation;
    if (said.kind == Verdict::Kind::kHold && !dropped) {
        kind.held.fetch_add(1);
        if (kind.metrics != nullptr) {
            kind.metrics->held.Add();
        }
        Hold(lane, running, said.after);
        return;
    }
    if (said.kind == Verdict::Kind::kRetry && !dropped) {
        kind.retried.fetch_add(1);
        if (kind.metrics != nullptr) {
            kind.metrics->retried.Add();
        }
        SettleRetry(lane, running, std::move(said));
        return;
    }
    if (said.kind == Verdict::Kind::kDone) {
        lane.last_error.clear();
        kind.delivered.fetch_add(1);
        if (kind.metrics != nullptr) {
            kind.metrics->delivered.Add();
            const CloudClock::duration age = common_.deps.clock.Now() - running.delivery.accepted;
            kind.metrics->age.Observe(std::chrono::duration<double>(age).count());
        }
    }
    settlement.lane = &lane;
    settlement.id = running.delivery.id;
    settlement.Delete(DeliveryKey(kind.name, lane.name, running.rank));
    if (running.payload_apart) {
        settlement.Delete(DeliveryPayloadKey(kind.name, lane.name, running.delivery.id));
    }
    running.delivery.payload = {};
    Enqueue(std::move(settlement));
}

Status CourierShard::AddThen(Settlement& settlement, std::vector<Delivery> then) {
    if (then.size() > kThenMax) {
        return errors::Internal(fmt::format("{} deliveries follow one", then.size()));
    }
    for (const Delivery& delivery : then) {
        HEARTH_RETURN_IF_ERROR(CheckDelivery(delivery));
        const CourierKind* const kind = common_.FindKind(delivery.kind);
        const bool apart = delivery.payload.size() > kInlinePayloadBytesMax;
        const Rank rank = RankOf(delivery, kind != nullptr && kind->options.ordered);
        settlement.Put(
            DeliveryKey(delivery.kind, delivery.lane, rank),
            EncodeDelivery(delivery, apart, delivery.payload.size()));
        if (apart) {
            settlement.Put(
                DeliveryPayloadKey(delivery.kind, delivery.lane, delivery.id), delivery.payload);
        }
    }
    if (settlement.bytes > kBatchBytesMax) {
        return errors::Internal(
            fmt::format("the deliveries that follow one have {} bytes", settlement.bytes));
    }
    settlement.then = std::move(then);
    return Status();
}

void CourierShard::SettleRetry(Lane& lane, Running& running, Verdict verdict) {
    const CourierKind& kind = lane.kind;
    Delivery& delivery = running.delivery;
    Settlement settlement;
    settlement.lane = &lane;
    settlement.id = delivery.id;
    ++delivery.attempts;
    delivery.due = common_.deps.clock.Now() + std::max(verdict.after, CloudClock::duration::zero());
    const bool was_apart = running.payload_apart;
    bool apart = was_apart;
    bool put_payload = false;
    if (verdict.payload) {
        delivery.payload = *std::move(verdict.payload);
        running.payload_bytes = delivery.payload.size();
        apart = running.payload_bytes > kInlinePayloadBytesMax;
        put_payload = apart;
    }
    const std::string payload_key = DeliveryPayloadKey(kind.name, lane.name, delivery.id);
    Rank rank = RankOf(delivery, kind.options.ordered);
    if (rank != running.rank) {
        settlement.Delete(DeliveryKey(kind.name, lane.name, running.rank));
    }
    settlement.Put(
        DeliveryKey(kind.name, lane.name, rank),
        EncodeDelivery(delivery, apart, running.payload_bytes));
    if (put_payload) {
        settlement.Put(payload_key, delivery.payload);
    } else if (was_apart && !apart) {
        settlement.Delete(payload_key);
    }
    Waiting waiting;
    waiting.attempts = delivery.attempts;
    waiting.accepted = delivery.accepted;
    waiting.due = delivery.due;
    waiting.payload_bytes = running.payload_bytes;
    waiting.payload_apart = apart;
    // It is not needed soon, and then read again.
    if (verdict.after <= kKeepPayload) {
        waiting.payload = std::move(delivery.payload);
    }
    delivery.payload = {};
    settlement.again.emplace(std::move(rank), std::move(waiting));
    Enqueue(std::move(settlement));
}

void CourierShard::Hold(Lane& lane, Running& running, CloudClock::duration after) {
    const CloudClock::time_point until =
        common_.deps.clock.Now() + std::max(after, CloudClock::duration(1));
    lane.held_until = std::max(lane.held_until.value_or(until), until);
    PutBack(lane, running);
}

void CourierShard::PutBack(Lane& lane, Running& running) {
    Waiting waiting;
    waiting.attempts = running.delivery.attempts;
    waiting.accepted = running.delivery.accepted;
    waiting.due = running.delivery.due;
    waiting.payload_bytes = running.payload_bytes;
    waiting.payload_apart = running.payload_apart;
    if (running.payload_here) {
        waiting.payload = std::move(running.delivery.payload);
    }
    Rank rank = running.rank;
    EndRunning(lane, std::string(rank.id));
    Arrive(lane, std::move(rank), std::move(waiting));
}

void CourierShard::EndRunning(Lane& lane, const std::string& id) {
    if (lane.running.erase(id) > 0) {
        --running_count_;
    }
    if (lane.reading) {
        lane.ended.insert(id);
    }
}

void CourierShard::Enqueue(Settlement settlement) {
    settlements_.push_back(std::move(settlement));
    ++enqueued_;
    settle_.Set();
}

Task<void> CourierShard::SettleLoop() {
    bool failed = false;
    while (true) {
        if (settlements_.empty()) {
            if (end_settling_) {
                co_return;
            }
            settle_.Reset();
            co_await settle_.Wait();
            continue;
        }
        if (failed) {
            if (end_settling_) {
                co_return;
            }
            co_await stop_.WaitFor(common_.limits.store_pause);
        }
        std::vector<Settlement> batch;
        size_t keys = 0;
        size_t bytes = 0;
        while (!settlements_.empty()) {
            const Settlement& next = settlements_.front();
            if (!batch.empty() &&
                (keys + next.keys() > kBatchKeysMax || bytes + next.bytes > kBatchBytesMax)) {
                break;
            }
            keys += next.keys();
            bytes += next.bytes;
            batch.push_back(std::move(settlements_.front()));
            settlements_.pop_front();
        }
        settling_ = batch.size();
        const Status status = co_await Commit(batch);
        settling_ = 0;
        if (!status.ok()) {
            log::Warn("courier: {}; writing again in a second", status.error().message());
            failed = true;
            settlements_.insert(
                settlements_.begin(),
                std::make_move_iterator(batch.begin()),
                std::make_move_iterator(batch.end()));
            if (stop_.is_set()) {
                // The store is failing and the process ends; what was not written runs again.
                co_return;
            }
            continue;
        }
        failed = false;
        settled_ += batch.size();
        for (Settlement& settlement : batch) {
            Settled(std::move(settlement));
        }
        Pump();
        progress_.WakeAll();
    }
}

Task<Status> CourierShard::Commit(const std::vector<Settlement>& batch) {
    const storage::Kv::Body body = [&batch](storage::Transaction& t) -> Task<Status> {
        for (const Settlement& settlement : batch) {
            for (const std::string& key : settlement.deletes) {
                t.Delete(key);
            }
            for (const auto& [key, value] : settlement.puts) {
                t.Put(key, value);
            }
        }
        co_return Status();
    };
    co_return co_await common_.deps.kv.Transact(body);
}

void CourierShard::Settled(Settlement settlement) {
    Lane& lane = *settlement.lane;
    EndRunning(lane, settlement.id);
    if (settlement.again) {
        Arrive(lane, std::move(settlement.again->first), std::move(settlement.again->second));
    }
    for (Delivery& delivery : settlement.then) {
        common_.Announce(std::move(delivery));
    }
    Consider(lane);
}

Task<void> CourierShard::Read(Lane& lane) {
    while (!draining_) {
        storage::RangeRequest range = LaneRange(lane.kind.name, lane.name, *lane.beyond);
        range.limit = std::max<size_t>(RoomOf(lane), 1);
        range.page_bytes_max = kReadPageBytesMax;
        Result<storage::RangePage> page = co_await common_.deps.kv.Range(std::move(range));
        if (page.ok()) {
            TakePage(lane, *std::move(page));
            break;
        }
        log::Warn("courier: {}; reading again in a second", page.error().message());
        co_await stop_.WaitFor(common_.limits.store_pause);
    }
    lane.reading = false;
    --reading_;
    EndReading(lane);
    Consider(lane);
    Pump();
    progress_.WakeAll();
}

void CourierShard::TakePage(Lane& lane, storage::RangePage page) {
    size_t taken = 0;
    for (const storage::KeyValue& item : page.items) {
        const Result<Rank> rank = RankOfDeliveryKey(item.key);
        if (rank.ok()) {
            lane.beyond = rank->Successor();
        }
        Result<StoredDelivery> stored = DecodeDelivery(item.key, item.value);
        if (!stored.ok()) {
            log::Error(
                "courier: {} has a damaged delivery: {}", lane.kind.name, stored.error().message());
            continue;
        }
        const std::string& id = stored->rank.id;
        if (lane.running.contains(id) || lane.ended.contains(id)) {
            continue;
        }
        Waiting waiting;
        waiting.attempts = stored->delivery.attempts;
        waiting.accepted = stored->delivery.accepted;
        waiting.due = stored->delivery.due;
        waiting.payload_bytes = stored->payload_bytes;
        waiting.payload_apart = stored->payload_apart;
        if (!stored->payload_apart) {
            waiting.payload = std::move(stored->delivery.payload);
        }
        // Whoever put it may not have said so yet. Those of earlier processes cannot any more.
        if (UnixMs(waiting.accepted) >= common_.started_ms && lane.unannounced.insert(id).second) {
            lane.unannounced_order.push_back(id);
            if (lane.unannounced_order.size() > kUnannouncedMax) {
                lane.unannounced.erase(lane.unannounced_order.front());
                lane.unannounced_order.pop_front();
            }
        }
        const size_t before = lane.window.size();
        Add(lane, std::move(stored->rank), std::move(waiting));
        taken += lane.window.size() - before;
    }
    lane.beyond_count -= std::min(taken, lane.beyond_count);
    if (!page.next) {
        lane.beyond.reset();
        lane.beyond_count = 0;
        lane.exact = true;
    }
}

void CourierShard::EndReading(Lane& lane) {
    lane.ended.clear();
    std::vector<std::pair<Rank, Waiting>> arrived = std::move(lane.arrived);
    lane.arrived.clear();
    for (auto& [rank, waiting] : arrived) {
        Insert(lane, std::move(rank), std::move(waiting));
    }
    if (lane.arrived_lost) {
        SetBeyond(lane, *lane.arrived_lost);
        lane.exact = false;
        lane.arrived_lost.reset();
    }
    if (lane.look_again) {
        lane.look_again = false;
        lane.exact = false;
        SetBeyond(lane, Rank());
    }
}

Task<Status> CourierShard::DropLane(const std::string& kind_name, const std::string& name) {
    CourierKind* const kind = common_.FindKind(kind_name);
    if (kind == nullptr || !begun_) {
        co_return co_await DeleteAll(kind_name, name);
    }
    Lane& lane = LaneOf(*kind, name);
    ++dropping_;
    ++lane.dropping;
    ++lane.generation;
    // What ended before would be put back by its retry after it was deleted.
    const uint64_t enqueued = enqueued_;
    while ((lane.reading || settled_ < enqueued) && !draining_) {
        co_await progress_.Wait();
    }
    Status status = errors::Unavailable("the courier stops");
    if (!draining_) {
        lane.reading = true;
        ++reading_;
        while (!lane.window.empty()) {
            TakeFromWindow(lane, lane.window.begin());
        }
        status = co_await DeleteAll(kind_name, name);
        lane.reading = false;
        --reading_;
        lane.held_until.reset();
        lane.beyond_count = 0;
        EndReading(lane);
        // Whatever was put meanwhile is found.
        SetBeyond(lane, Rank());
    }
    --lane.dropping;
    --dropping_;
    Consider(lane);
    Pump();
    progress_.WakeAll();
    co_return status;
}

Task<Status> CourierShard::DeleteAll(const std::string& kind, const std::string& lane) {
    for (storage::RangeRequest range :
         {LaneRange(kind, lane, Rank()), LanePayloadRange(kind, lane)}) {
        while (true) {
            range.limit = kBatchKeysMax / 2;
            HEARTH_CO_TRY(const storage::RangePage page, co_await common_.deps.kv.Range(range));
            const storage::Kv::Body body = [&page](storage::Transaction& t) -> Task<Status> {
                for (const storage::KeyValue& item : page.items) {
                    t.Delete(item.key);
                }
                co_return Status();
            };
            if (!page.items.empty()) {
                HEARTH_CO_RETURN_IF_ERROR(co_await common_.deps.kv.Transact(body));
            }
            if (!page.next) {
                break;
            }
            range.begin = *page.next;
        }
    }
    co_return Status();
}

void CourierShard::List(
    std::string_view kind,
    std::string_view lane_prefix,
    std::vector<Courier::LaneFacts>& facts) const {
    for (const auto& [id, lane] : lanes_) {
        if ((!kind.empty() && lane->kind.name != kind) || !lane->name.starts_with(lane_prefix) ||
            (lane->pending() == 0 && lane->exact)) {
            continue;
        }
        Courier::LaneFacts& fact = facts.emplace_back();
        fact.kind = lane->kind.name;
        fact.lane = lane->name;
        fact.pending = lane->pending();
        fact.pending_exact = lane->exact;
        fact.running = lane->executing;
        fact.held_until = lane->held_until;
        fact.last_error = lane->last_error;
        const auto older = [&fact](CloudClock::time_point accepted) {
            fact.oldest_accepted = std::min(fact.oldest_accepted.value_or(accepted), accepted);
        };
        for (const auto& [rank, waiting] : lane->window) {
            older(waiting.accepted);
        }
        for (const auto& [running_id, running] : lane->running) {
            older(running->delivery.accepted);
        }
        if (!lane->window.empty()) {
            fact.next_due = lane->window.begin()->second.due;
        }
    }
}

bool CourierShard::Idle() const {
    if (executing_ + reading_ + settlements_.size() + settling_ > 0) {
        return false;
    }
    return draining_ ||
           std::ranges::all_of(ready_, [](const auto& line) { return line.second.empty(); });
}

Task<bool> CourierShard::WaitIdle(std::chrono::steady_clock::time_point until) {
    while (!Idle()) {
        if (!co_await progress_.WaitUntil(until)) {
            co_return Idle();
        }
    }
    co_return true;
}

}  // namespace hearth::flow::internal
