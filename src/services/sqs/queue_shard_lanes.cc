// Lanes and windows: which part of a backlog is in memory, and who is next.

#include "base/log.h"
#include "services/sqs/queue_shard.h"

#include <algorithm>
#include <limits>

namespace hearth::sqs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::keys::KeyReader;

// A group is noisy that has so many in flight, and more than this part of all, as AWS documents.
constexpr int64_t kNoisyInFlight = 30;
constexpr int64_t kNoisyShare = 10;
constexpr size_t kReadAheadBytes = 1024 * 1024;
constexpr int64_t kCachedBytesMax = 32LL * 1024 * 1024;
// An entry's own size, beside its message.
constexpr int64_t kFreshBytes = 64;

}  // namespace

QueueShard::Lane& QueueShard::LaneStub(const std::string& group) {
    std::unique_ptr<Lane>& lane = memory_->lanes[group];
    if (lane == nullptr) {
        lane = std::make_unique<Lane>(group);
        lane->turn = ++memory_->turn;
    }
    return *lane;
}

Task<Status> QueueShard::LoadLane(Lane& lane) {
    HEARTH_CO_TRY(
        const std::optional<std::string> stored,
        co_await shared_.kv.Get(memory_->keys->Lane(lane.group)));
    if (stored) {
        HEARTH_CO_TRY(lane.record, DecodeLane(*stored));
    }
    lane.loaded = true;
    lane.read_from = lane.record.first;
    lane.complete = lane.record.count == 0;
    if (lane.HasFresh()) {
        ++memory_->lanes_here;
    }
    co_return Status();
}

Task<Result<QueueShard::Lane*>> QueueShard::LaneOf(const std::string& group) {
    Lane& lane = LaneStub(group);
    if (!lane.loaded) {
        // A queue without lanes in storage beside those here has none to read.
        if (memory_->shard.lanes <= memory_->lanes_here) {
            lane.loaded = true;
            lane.complete = true;
        } else {
            HEARTH_CO_RETURN_IF_ERROR(co_await LoadLane(lane));
            Rerank(lane);
        }
    }
    co_return &lane;
}

void QueueShard::MarkDirty(Lane& lane) {
    if (!lane.dirty) {
        lane.dirty = true;
        dirty_lanes_.push_back(&lane);
    }
}

void QueueShard::Rerank(Lane& lane) {
    Memory& memory = *memory_;
    const bool was_active = lane.active;
    if (lane.active) {
        memory.active.erase({lane.rank, &lane});
        lane.active = false;
    }
    if (lane.sleeps_until != 0) {
        memory.sleeping.erase({lane.sleeps_until, &lane});
        lane.sleeps_until = 0;
    }
    if (!record_->settings.fifo) {
        if (!lane.HasFresh()) {
            NoteIdle(lane);
            return;
        }
        // Quiet groups take turns. A noisy one gets what they leave, and of several the one with
        // the least in flight goes first. Messages without a group are nobody's noise.
        const auto in_flight = static_cast<int64_t>(memory.in_flight.size());
        const bool noisy = !lane.group.empty() && lane.in_flight >= kNoisyInFlight &&
                           lane.in_flight * kNoisyShare > in_flight;
        lane.rank = {noisy ? lane.in_flight : 0, lane.turn};
    } else {
        if (lane.in_flight > 0) {
            return;
        }
        if (!lane.returned.empty()) {
            lane.rank = {lane.returned.begin()->first, 0};
        } else if (lane.HasFresh()) {
            if (lane.head < lane.window.size() &&
                lane.window[lane.head].ready_ms > memory.advanced_ms) {
                lane.sleeps_until = lane.window[lane.head].ready_ms;
                memory.sleeping.emplace(lane.sleeps_until, &lane);
                return;
            }
            lane.rank = {lane.record.first, 0};
        } else {
            if (!lane.loaded && memory.shard.lanes > memory.lanes_here) {
                // There may be more of it in storage.
                receivable_news_ = true;
            }
            NoteIdle(lane);
            return;
        }
    }
    lane.active = true;
    memory.active.emplace(lane.rank, &lane);
    receivable_news_ = receivable_news_ || !was_active;
}

void QueueShard::ForgetWindow(Lane& lane) {
    int64_t bytes = 0;
    for (size_t i = lane.head; i < lane.window.size(); ++i) {
        bytes += static_cast<int64_t>(lane.window[i].encoded.size()) + kFreshBytes;
    }
    shared_.cached_bytes -= bytes;
    lane.window = {};
    lane.head = 0;
    lane.complete = lane.record.count == 0;
    lane.read_from = lane.record.first;
}

Task<Status> QueueShard::FillWindow(Lane& lane) {
    if (lane.head < lane.window.size() || !lane.HasFresh()) {
        co_return Status();
    }
    lane.window.clear();
    lane.head = 0;
    if (!lane.complete) {
        // Of what lies there nothing is deleted before it was in a window.
        if (unread_fresh_) {
            HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        }
        RangeRequest range = memory_->keys->Bodies(lane.group).Children();
        range.begin = memory_->keys->Body(lane.group, lane.read_from, false).bytes();
        const QueueEngine::Sizes& sizes = shared_.sizes;
        const bool many = memory_->lanes_here > static_cast<int64_t>(sizes.many_lanes) ||
                          shared_.cached_bytes > kCachedBytesMax / 2;
        range.limit = many ? sizes.read_ahead_of_many : sizes.read_ahead;
        range.page_bytes_max = kReadAheadBytes;
        HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(std::move(range)));
        lane.window.reserve(page.items.size());
        for (KeyValue& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents + 1));
            Fresh fresh;
            HEARTH_CO_TRY(fresh.sequence, reader.Integer());
            HEARTH_CO_TRY(const MessageTimes times, TimesOfMessage(item.value));
            fresh.sent_ms = times.sent_ms;
            fresh.ready_ms = times.ready_ms;
            fresh.encoded = std::move(item.value);
            shared_.cached_bytes += static_cast<int64_t>(fresh.encoded.size()) + kFreshBytes;
            lane.window.push_back(std::move(fresh));
        }
        lane.complete = !page.next.has_value();
        if (!lane.window.empty()) {
            lane.read_from = lane.window.back().sequence + 1;
        }
    }
    if (lane.window.empty()) {
        log::Error("sqs: {} misses {} messages of a group", address_.Arn(), lane.record.count);
        memory_->shard.fresh -= lane.record.count;
        memory_->shard.total -= lane.record.count;
        lane.record.count = 0;
        --memory_->shard.lanes;
        --memory_->lanes_here;
        MarkDirty(lane);
    }
    co_return Status();
}

QueueShard::Fresh QueueShard::PopFresh(Lane& lane) {
    Fresh fresh = std::move(lane.window[lane.head++]);
    shared_.cached_bytes -= static_cast<int64_t>(fresh.encoded.size()) + kFreshBytes;
    if (lane.head == lane.window.size()) {
        lane.window.clear();
        lane.head = 0;
    }
    lane.record.first = fresh.sequence + 1;
    --lane.record.count;
    --memory_->shard.fresh;
    if (lane.record.count == 0) {
        --memory_->shard.lanes;
        --memory_->lanes_here;
        // Whatever its window did not have is not there.
        lane.complete = true;
    }
    MarkDirty(lane);
    return fresh;
}

Task<Status> QueueShard::WalkLanes() {
    Memory& memory = *memory_;
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    memory.picks_since_walk = 0;
    const size_t active_before = memory.active.size();
    // To the end and once more from the beginning.
    bool from_beginning = memory.lane_cursor.empty();
    while (memory.lanes_here < memory.shard.lanes) {
        RangeRequest range = memory.lane_cursor.empty()
                                 ? memory.keys->Lanes().Children()
                                 : memory.keys->Lanes().ChildrenAfter(memory.lane_cursor);
        range.limit = shared_.sizes.lanes_per_walk;
        HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(std::move(range)));
        for (const KeyValue& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
            HEARTH_CO_TRY(const std::string group, reader.String());
            HEARTH_CO_TRY(const LaneRecord record, DecodeLane(item.value));
            memory.lane_cursor = group;
            Lane& lane = LaneStub(group);
            if (lane.loaded) {
                continue;
            }
            lane.loaded = true;
            lane.record = record;
            lane.read_from = record.first;
            lane.complete = record.count == 0;
            if (lane.HasFresh()) {
                ++memory.lanes_here;
            }
            Rerank(lane);
        }
        if (!page.next) {
            memory.lane_cursor.clear();
            if (from_beginning) {
                if (memory.lanes_here < memory.shard.lanes &&
                    memory.active.size() == active_before) {
                    // All that are stored were seen, so the count is what is wrong.
                    log::Error("sqs: {} counts lanes that are not there", address_.Arn());
                    memory.shard.lanes = memory.lanes_here;
                }
                break;
            }
            from_beginning = true;
        }
        if (memory.active.size() > active_before) {
            break;
        }
    }
    co_return Status();
}

void QueueShard::NoteIdle(Lane& lane) {
    if (!lane.noted_idle && !lane.group.empty()) {
        lane.noted_idle = true;
        idle_lanes_.push_back(&lane);
    }
}

void QueueShard::TrimLanes() {
    Memory& memory = *memory_;
    const auto drop = [&](Lane& lane) {
        if (lane.active) {
            memory.active.erase({lane.rank, &lane});
        }
        if (lane.HasFresh()) {
            --memory.lanes_here;
        }
        ForgetWindow(lane);
        // The key lies in the lane itself.
        const std::string group = lane.group;
        memory.lanes.erase(group);
    };
    for (Lane* const lane : std::exchange(idle_lanes_, {})) {
        lane->noted_idle = false;
        if (!lane->HasFresh() && lane->in_flight == 0 && lane->returned.empty() && !lane->dirty) {
            drop(*lane);
        }
    }
    if (memory.lanes.size() > shared_.sizes.lanes_max) {
        std::vector<Lane*> out;
        for (const auto& [group, lane] : memory.lanes) {
            if (lane->in_flight == 0 && lane->returned.empty() && !lane->dirty &&
                lane->sleeps_until == 0) {
                out.push_back(lane.get());
            }
            if (memory.lanes.size() - out.size() <= shared_.sizes.lanes_max * 3 / 4) {
                break;
            }
        }
        for (Lane* const lane : out) {
            drop(*lane);
        }
    }
    // Of lanes that nobody takes from the read-ahead goes when all shards together keep too much.
    if (shared_.cached_bytes > 2 * kCachedBytesMax && waiting_.empty()) {
        for (auto& [group, lane] : memory.lanes) {
            if (lane->window.size() > lane->head && lane->sleeps_until == 0) {
                ForgetWindow(*lane);
            }
        }
    }
}

// Windows of places ------------------------------------------------------------------------------

void QueueShard::AddToWindow(PlaceWindow& window, Place place) {
    const PlaceKey key{place.ready_ms, place.sequence};
    if (window.more && key >= window.limit) {
        return;
    }
    window.places.emplace(key, std::move(place));
    if (window.places.size() > shared_.sizes.places_max) {
        const auto last = std::prev(window.places.end());
        window.limit = last->first;
        window.more = true;
        window.places.erase(last);
    }
}

Task<Status> QueueShard::FillReturned() {
    Memory& memory = *memory_;
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    RangeRequest range;
    range.begin =
        memory.keys->PlaceOf(memory.returned.limit.first, memory.returned.limit.second).bytes();
    range.end = memory.keys->Places().Add(memory.advanced_ms + 1).bytes();
    range.limit = shared_.sizes.places_page;
    HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(std::move(range)));
    for (const KeyValue& item : page.items) {
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
        HEARTH_CO_TRY(Place place, DecodePlace(item.value));
        HEARTH_CO_TRY(place.ready_ms, reader.Integer());
        HEARTH_CO_TRY(place.sequence, reader.Integer());
        memory.returned.limit = {place.ready_ms, place.sequence + 1};
        if (!memory.moving.contains(place.sequence) && !memory.in_flight.contains(place.sequence)) {
            const PlaceKey key{place.ready_ms, place.sequence};
            memory.returned.places.emplace(key, std::move(place));
        }
    }
    memory.returned.more = page.next.has_value();
    co_return Status();
}

Task<Status> QueueShard::FillDelays() {
    Memory& memory = *memory_;
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    RangeRequest range = memory.keys->Delays().Children();
    range.begin = memory.keys->Delay(memory.delays.limit.first, memory.delays.limit.second).bytes();
    range.limit = shared_.sizes.places_page;
    HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(std::move(range)));
    for (const KeyValue& item : page.items) {
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
        HEARTH_CO_TRY(Place place, DecodePlace(item.value));
        HEARTH_CO_TRY(place.ready_ms, reader.Integer());
        HEARTH_CO_TRY(place.sequence, reader.Integer());
        const PlaceKey key{place.ready_ms, place.sequence};
        memory.delays.limit = {key.first, key.second + 1};
        receivable_news_ = receivable_news_ || place.ready_ms <= memory.advanced_ms;
        memory.delays.places.emplace(key, std::move(place));
    }
    memory.delays.more = page.next.has_value();
    co_return Status();
}

// Arrivals ---------------------------------------------------------------------------------------

Task<Status> QueueShard::AddFresh(MessageRecord record, Sequence sequence) {
    Memory& memory = *memory_;
    HEARTH_CO_TRY(Lane* const lane, co_await LaneOf(record.group));
    std::string encoded = EncodeMessage(record);
    const int64_t bytes = static_cast<int64_t>(encoded.size()) + kFreshBytes;
    if (!lane->HasFresh()) {
        lane->record.first = sequence;
        lane->complete = true;
        ++memory.shard.lanes;
        ++memory.lanes_here;
        lane->turn = ++memory.turn;
    }
    const bool here = lane->complete && lane->window.size() < shared_.sizes.window_max &&
                      (lane->window.empty() || shared_.cached_bytes + bytes <= kCachedBytesMax);
    if (here) {
        shared_.cached_bytes += bytes;
        lane->window.push_back(
            {.sequence = sequence,
             .sent_ms = record.sent_ms,
             .ready_ms = record.ready_ms,
             .encoded = encoded});
    } else {
        unread_fresh_ = true;
        if (lane->complete) {
            lane->complete = false;
            lane->read_from = sequence;
        }
    }
    Put(memory.keys->Body(record.group, sequence, false), std::move(encoded));
    ++lane->record.count;
    ++memory.shard.fresh;
    if (memory.shard.total <= 0) {
        memory.shard.oldest_ms = record.sent_ms;
    }
    memory.shard.oldest_ms = std::min(memory.shard.oldest_ms, record.sent_ms);
    ++memory.shard.total;
    if (record.ready_ms > memory.advanced_ms) {
        CountDelay(record.ready_ms);
    }
    MarkDirty(*lane);
    if (lane->record.count == 1 || (!lane->active && lane->sleeps_until == 0)) {
        Rerank(*lane);
    }
    receivable_news_ = receivable_news_ || lane->active;
    co_return Status();
}

Task<Status> QueueShard::AddDelayed(MessageRecord record, Sequence sequence) {
    Memory& memory = *memory_;
    Place place{
        .ready_ms = record.ready_ms,
        .sequence = sequence,
        .group = record.group,
        .sent_ms = record.sent_ms,
        .was_delayed = true};
    Put(memory.keys->Body(record.group, sequence, true), EncodeMessage(record));
    Put(memory.keys->Delay(place.ready_ms, sequence), EncodePlace(place));
    CountDelay(record.ready_ms);
    AddToWindow(memory.delays, std::move(place));
    if (memory.shard.total <= 0) {
        memory.shard.oldest_ms = record.sent_ms;
    }
    memory.shard.oldest_ms = std::min(memory.shard.oldest_ms, record.sent_ms);
    ++memory.shard.total;
    co_return Status();
}

void QueueShard::CountDelay(int64_t ready_ms) {
    const int64_t tenth = (ready_ms + 99) / 100;
    const int64_t count = ++memory_->tenths[tenth];
    Put(memory_->keys->Tenth(tenth), std::to_string(count));
}

}  // namespace hearth::sqs
