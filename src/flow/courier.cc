#include "flow/courier.h"

#include "aws/front/metrics.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/courier_shard.h"
#include "flow/delivery_records.h"
#include "rt/loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace hearth::flow {

using internal::CourierCommon;
using internal::CourierKind;
using internal::CourierShard;

struct Courier::State {
    CourierCommon common;
    bool started = false;
    // Highest number that NewId gave out; and this process's mark, in case the clock went back
    // between two of them.
    std::atomic<uint64_t> last_id{0};
    std::string id_mark;

    // Calls `function` for each shard on its loop, one after the other.
    template <class F>
    Task<void> OnEach(F function) {
        for (const auto& shard : common.shards) {
            CourierShard* const one = shard.get();
            auto call = [&function, one]() -> Task<void> { co_await function(*one); };
            co_await rt::RunOn(common.deps.loops, one->index(), call);
        }
    }

    // One look per lane: what is in a lane is read by its shard.
    Task<Result<std::vector<LaneName>>> FindLanes() {
        std::vector<LaneName> lanes;
        storage::RangeRequest range = AllDeliveries();
        range.limit = 1;
        while (true) {
            HEARTH_CO_TRY(const storage::RangePage page, co_await common.deps.kv.Range(range));
            if (page.items.empty()) {
                co_return lanes;
            }
            HEARTH_CO_TRY(LaneName name, LaneOfDeliveryKey(page.items.front().key));
            range.begin = LaneRange(name.kind, name.lane, Rank()).end;
            lanes.push_back(std::move(name));
        }
    }
};

Courier::Courier(Deps deps) : Courier(deps, Limits{}) {}

Courier::Courier(Deps deps, Limits limits)
    : state_(new State{.common = {.deps = deps, .limits = limits}}) {
    for (int i = 0; i < deps.loops.size(); ++i) {
        state_->common.shards.push_back(std::make_unique<CourierShard>(state_->common, i));
    }
    state_->common.started_ms = UnixMs(deps.clock.Now());
    state_->id_mark = deps.random.Hex(4);
}

Courier::~Courier() {
    CHECK(!state_->started, "the courier was not stopped");
}

void Courier::Register(std::string kind, Handler handler, KindOptions options) {
    CHECK(!state_->started, "{} registered too late", kind);
    CHECK(options.running_per_lane > 0 && options.running_max > 0, "{} could never run", kind);
    auto made = std::make_unique<CourierKind>(
        kind, std::move(handler), options, state_->common.shards.size());
    if (state_->common.deps.metrics != nullptr) {
        made->AddMetrics(*state_->common.deps.metrics);
    }
    const bool added = state_->common.kinds.emplace(kind, std::move(made)).second;
    CHECK(added, "{} registered twice", kind);
}

Task<Status> Courier::Start() {
    CourierCommon& common = state_->common;
    HEARTH_CO_TRY(const std::vector<LaneName> lanes, co_await state_->FindLanes());
    std::vector<std::vector<LaneName>> by_shard(common.shards.size());
    size_t unknown = 0;
    for (const LaneName& name : lanes) {
        if (common.FindKind(name.kind) == nullptr) {
            ++unknown;
            continue;
        }
        by_shard[common.ShardOf(name.kind, name.lane)].push_back(name);
    }
    if (unknown > 0) {
        log::Warn("courier: the deliveries of {} lanes wait, nothing here handles them", unknown);
    }
    state_->started = true;
    co_await state_->OnEach([&by_shard](CourierShard& shard) -> Task<void> {
        shard.Begin(by_shard[static_cast<size_t>(shard.index())]);
        co_return;
    });
    co_return Status();
}

Task<void> Courier::Drain(std::chrono::milliseconds grace) {
    const auto until = std::chrono::steady_clock::now() + grace;
    // First all of them, so that none starts more while another is waited for.
    co_await state_->OnEach([](CourierShard& shard) -> Task<void> {
        co_await shard.Drain(std::chrono::steady_clock::now());
    });
    co_await state_->OnEach(
        [until](CourierShard& shard) -> Task<void> { co_await shard.Drain(until); });
}

Task<void> Courier::Stop() {
    co_await Drain(std::chrono::milliseconds(0));
    co_await state_->OnEach([](CourierShard& shard) -> Task<void> { co_await shard.Stop(); });
    // Calls that were on their way to a loop have come after this.
    co_await state_->OnEach([](CourierShard&) -> Task<void> { co_return; });
    state_->started = false;
}

std::string Courier::NewId() {
    // 2^20 of them in a millisecond; more take from the next one.
    const uint64_t now = static_cast<uint64_t>(UnixMs(state_->common.deps.clock.Now())) << 20;
    uint64_t last = state_->last_id.load();
    uint64_t next = 0;
    do {
        next = std::max(last + 1, now);
    } while (!state_->last_id.compare_exchange_weak(last, next));
    return fmt::format("{:016x}-{}", next, state_->id_mark);
}

Delivery Courier::Make(std::string kind, std::string lane, std::string payload) {
    Delivery delivery;
    delivery.kind = std::move(kind);
    delivery.lane = std::move(lane);
    delivery.id = NewId();
    delivery.payload = std::move(payload);
    delivery.accepted = state_->common.deps.clock.Now();
    delivery.due = delivery.accepted;
    return delivery;
}

Status Courier::Put(storage::Transaction& transaction, const Delivery& delivery) {
    HEARTH_RETURN_IF_ERROR(CheckDelivery(delivery));
    const CourierKind* const kind = state_->common.FindKind(delivery.kind);
    const bool ordered = kind != nullptr && kind->options.ordered;
    const bool apart = delivery.payload.size() > kInlinePayloadBytesMax;
    transaction.Put(
        DeliveryKey(delivery.kind, delivery.lane, RankOf(delivery, ordered)),
        EncodeDelivery(delivery, apart, delivery.payload.size()));
    if (apart) {
        transaction.Put(
            DeliveryPayloadKey(delivery.kind, delivery.lane, delivery.id), delivery.payload);
    }
    return Status();
}

void Courier::Committed(Delivery delivery) {
    state_->common.Announce(std::move(delivery));
}

void Courier::LookAgain(std::string kind, std::string lane) {
    CourierCommon& common = state_->common;
    common.activity.fetch_add(1);
    CourierShard* const shard = common.shards[common.ShardOf(kind, lane)].get();
    common.announcing.fetch_add(1);
    common.deps.loops.Post(
        shard->index(), [&common, shard, kind = std::move(kind), lane = std::move(lane)] {
            shard->LookAgain(kind, lane);
            common.announcing.fetch_sub(1);
        });
}

Task<Status> Courier::Send(Delivery delivery) {
    const storage::Kv::Body body = [&](storage::Transaction& t) -> Task<Status> {
        co_return Put(t, delivery);
    };
    Status status = co_await state_->common.deps.kv.Transact(body);
    if (!status.ok()) {
        if (status.error().kind() == Error::Kind::kUnavailable) {
            // It may be there all the same.
            LookAgain(delivery.kind, delivery.lane);
        }
        co_return status;
    }
    Committed(std::move(delivery));
    co_return Status();
}

Task<Status> Courier::DropLane(std::string kind, std::string lane) {
    CourierCommon& common = state_->common;
    CourierShard* const shard = common.shards[common.ShardOf(kind, lane)].get();
    auto drop = [&]() -> Task<Status> { co_return co_await shard->DropLane(kind, lane); };
    co_return co_await rt::RunOn(common.deps.loops, shard->index(), drop);
}

Task<std::vector<Courier::LaneFacts>> Courier::List(
    std::string kind, std::string lane_prefix, size_t limit) {
    std::vector<LaneFacts> facts;
    co_await state_->OnEach([&](CourierShard& shard) -> Task<void> {
        shard.List(kind, lane_prefix, facts);
        co_return;
    });
    std::ranges::sort(facts, [](const LaneFacts& a, const LaneFacts& b) {
        return std::tie(a.kind, a.lane) < std::tie(b.kind, b.lane);
    });
    if (facts.size() > limit) {
        facts.resize(limit);
    }
    co_return facts;
}

std::map<std::string, Courier::KindCounts> Courier::Counts() const {
    std::map<std::string, KindCounts> counts;
    for (const auto& [name, kind] : state_->common.kinds) {
        counts[name] = {
            .delivered = kind->delivered.load(),
            .retried = kind->retried.load(),
            .failed = kind->failed.load(),
            .held = kind->held.load()};
    }
    return counts;
}

Task<Status> Courier::Settle(std::chrono::milliseconds limit) {
    CourierCommon& common = state_->common;
    const auto until = std::chrono::steady_clock::now() + limit;
    while (true) {
        const uint64_t activity = common.activity.load();
        bool idle = true;
        co_await state_->OnEach([&](CourierShard& shard) -> Task<void> {
            idle = co_await shard.WaitIdle(until) && idle;
        });
        if (!idle) {
            co_return errors::Unavailable("deliveries that are due keep running");
        }
        // Quiet when nothing moved from one loop to another meanwhile.
        if (common.announcing.load() == 0 && common.activity.load() == activity) {
            co_return Status();
        }
        if (std::chrono::steady_clock::now() >= until) {
            co_return errors::Unavailable("deliveries keep causing others");
        }
    }
}

Task<size_t> Courier::CountInMemory() {
    size_t count = 0;
    co_await state_->OnEach([&count](CourierShard& shard) -> Task<void> {
        count += shard.in_memory();
        co_return;
    });
    co_return count;
}

}  // namespace hearth::flow
