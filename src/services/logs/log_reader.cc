#include "services/logs/log_reader.h"

#include "rt/loops.h"
#include "services/logs/limits.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace hearth::logs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::keys::KeyReader;

// Lets other requests on this loop run after so much work.
constexpr size_t kBytesBetweenYields = 1024 * 1024;

int64_t Saturated(int64_t ms, std::chrono::milliseconds change) {
    const int64_t by = change.count();
    if (by > 0 && ms > INT64_MAX - by) {
        return INT64_MAX;
    }
    if (by < 0 && ms < -by) {
        return 0;
    }
    return ms + by;
}

bool IsExpired(
    const GroupRecord& group, const Chunk& chunk, const Event& event, CloudClock::time_point now) {
    const auto expiry = LogStore::ExpiryOf(group, event.timestamp_ms, chunk.cloud_offset_ms);
    return expiry && *expiry <= now;
}

struct ChunkPlace {
    int64_t first_ms = 0;
    int64_t first_sequence = 0;
};

Result<ChunkPlace> PlaceOf(std::string_view chunk_key) {
    // Account, region, "logs", "chunk", group, stream.
    constexpr size_t kBefore = 6;
    KeyReader reader(chunk_key);
    ChunkPlace place;
    HEARTH_RETURN_IF_ERROR(reader.Skip(kBefore));
    HEARTH_TRY(place.first_ms, reader.Integer());
    HEARTH_TRY(place.first_sequence, reader.Integer());
    return place;
}

// The items of a range one by one, fetching pages as needed.
class Walk final {
  public:
    Walk(storage::Kv& kv, RangeRequest range) : kv_(kv), range_(std::move(range)) {}

    // The next item without taking it; null at the end.
    Task<Result<const KeyValue*>> Peek() {
        while (at_ == page_.items.size()) {
            if (done_) {
                co_return nullptr;
            }
            HEARTH_CO_TRY(page_, co_await kv_.Range(range_));
            at_ = 0;
            done_ = !page_.next;
            if (page_.next) {
                (range_.reverse ? range_.end : range_.begin) = *page_.next;
            }
        }
        co_return &page_.items[at_];
    }

    void Take() { ++at_; }

  private:
    storage::Kv& kv_;
    RangeRequest range_;
    RangePage page_;
    size_t at_ = 0;
    bool done_ = false;
};

size_t AnswerBytes(const Event& event) {
    return event.message.size() + kEventOverheadBytes;
}

RangeRequest ChunksFrom(const StreamRange& range, int64_t begin_ms, int64_t end_ms) {
    RangeRequest request = AllChunksKey(range.group, range.group_record.id, range.stream.id)
                               .ChildrenBetween(Saturated(begin_ms, -kChunkSpanMax), end_ms);
    constexpr size_t kPage = 16;
    request.limit = kPage;
    return request;
}

using Order = std::pair<int64_t, int64_t>;

}  // namespace

Task<Result<std::vector<Event>>> ReadForward(
    LogStore& store, const StreamRange& range, const std::optional<Position>& after) {
    const CloudClock::time_point now = store.CloudNow();
    const int64_t begin_ms = after ? std::max(range.begin_ms, after->timestamp_ms) : range.begin_ms;
    std::vector<Event> events;
    if (begin_ms >= range.end_ms) {
        co_return events;
    }
    Walk walk(store.kv(), ChunksFrom(range, begin_ms, range.end_ms));
    std::map<Order, Event> open;
    size_t bytes = 0;
    size_t read_bytes = 0;
    while (true) {
        HEARTH_CO_TRY(const KeyValue* const item, co_await walk.Peek());
        Order barrier(INT64_MAX, INT64_MAX);
        if (item != nullptr) {
            HEARTH_CO_TRY(const ChunkPlace place, PlaceOf(item->key));
            barrier = {place.first_ms, place.first_sequence};
        }
        while (!open.empty() && open.begin()->first < barrier) {
            Event event = std::move(open.extract(open.begin()).mapped());
            bytes += AnswerBytes(event);
            if (bytes > range.bytes_max && !events.empty()) {
                co_return events;
            }
            events.push_back(std::move(event));
            if (events.size() == range.events_max) {
                co_return events;
            }
        }
        if (item == nullptr) {
            co_return events;
        }
        HEARTH_CO_TRY(Chunk chunk, DecodeChunk(item->value));
        read_bytes += item->value.size();
        walk.Take();
        for (Event& event : chunk.events) {
            const bool wanted = event.timestamp_ms >= range.begin_ms &&
                                event.timestamp_ms < range.end_ms &&
                                (!after || Order(event.timestamp_ms, event.sequence) >
                                               Order(after->timestamp_ms, after->sequence)) &&
                                !IsExpired(range.group_record, chunk, event, now);
            if (wanted) {
                const Order order(event.timestamp_ms, event.sequence);
                open.emplace(order, std::move(event));
            }
        }
        if (read_bytes > kBytesBetweenYields) {
            read_bytes = 0;
            co_await rt::Yield();
        }
    }
}

Task<Result<std::vector<Event>>> ReadBackward(
    LogStore& store, const StreamRange& range, const std::optional<Position>& before) {
    const CloudClock::time_point now = store.CloudNow();
    const int64_t end_ms =
        before
            ? std::min(range.end_ms, Saturated(before->timestamp_ms, std::chrono::milliseconds(1)))
            : range.end_ms;
    std::map<Order, Event> latest;
    if (range.begin_ms >= end_ms) {
        co_return std::vector<Event>();
    }
    RangeRequest chunks = ChunksFrom(range, range.begin_ms, end_ms);
    chunks.reverse = true;
    Walk walk(store.kv(), std::move(chunks));
    bool full = false;
    size_t bytes = 0;
    size_t read_bytes = 0;
    while (true) {
        HEARTH_CO_TRY(const KeyValue* const item, co_await walk.Peek());
        if (item == nullptr) {
            break;
        }
        HEARTH_CO_TRY(const ChunkPlace place, PlaceOf(item->key));
        // No event of this chunk or of one before it can be later than its first plus the span.
        if (full && Saturated(place.first_ms, kChunkSpanMax) < latest.begin()->first.first) {
            break;
        }
        HEARTH_CO_TRY(Chunk chunk, DecodeChunk(item->value));
        read_bytes += item->value.size();
        walk.Take();
        for (Event& event : chunk.events) {
            const Order order(event.timestamp_ms, event.sequence);
            const bool wanted =
                event.timestamp_ms >= range.begin_ms && event.timestamp_ms < range.end_ms &&
                (!before || order < Order(before->timestamp_ms, before->sequence)) &&
                !IsExpired(range.group_record, chunk, event, now);
            if (wanted) {
                bytes += AnswerBytes(event);
                latest.emplace(order, std::move(event));
            }
        }
        // The earliest fall out again; a single event is always kept.
        while (latest.size() > 1 && (latest.size() > range.events_max || bytes > range.bytes_max)) {
            bytes -= AnswerBytes(latest.begin()->second);
            latest.erase(latest.begin());
            full = true;
        }
        full = full || latest.size() == range.events_max;
        if (read_bytes > kBytesBetweenYields) {
            read_bytes = 0;
            co_await rt::Yield();
        }
    }
    std::vector<Event> events;
    events.reserve(latest.size());
    for (auto& [order, event] : latest) {
        events.push_back(std::move(event));
    }
    co_return events;
}

Task<Result<GroupPage>> ReadGroup(
    LogStore& store, const GroupRange& range, const std::optional<Position>& after) {
    const CloudClock::time_point now = store.CloudNow();
    GroupPage page;
    const int64_t begin_ms = after ? std::max(range.begin_ms, after->timestamp_ms) : range.begin_ms;
    if (begin_ms >= range.end_ms) {
        co_return page;
    }
    RangeRequest entries = AllEntriesKey(range.group, range.group_record.id)
                               .ChildrenBetween(Saturated(begin_ms, -kChunkSpanMax), range.end_ms);
    Walk walk(store.kv(), std::move(entries));
    std::map<Position, GroupEvent> open;
    // Streams by name, so that what a deleted stream left behind does not show.
    std::map<std::string, std::string> live_ids;
    size_t answer_bytes = 0;
    size_t read_bytes = 0;
    size_t unyielded_bytes = 0;
    size_t chunks = 0;
    while (true) {
        HEARTH_CO_TRY(const KeyValue* const item, co_await walk.Peek());
        std::optional<ChunkEntry> entry;
        Position barrier{INT64_MAX, "", 0};
        if (item != nullptr) {
            HEARTH_CO_TRY(entry, DecodeEntry(*item));
            barrier = {entry->first_ms, entry->stream_id, entry->first_sequence};
        }
        while (!open.empty() && open.begin()->first < barrier) {
            auto node = open.extract(open.begin());
            GroupEvent& event = node.mapped();
            answer_bytes += AnswerBytes(event.event) + event.stream_name.size();
            if (answer_bytes > range.bytes_max && !page.events.empty()) {
                const Event& last = page.events.back().event;
                page.reached =
                    Position{last.timestamp_ms, page.events.back().stream_id, last.sequence};
                co_return page;
            }
            Position position = node.key();
            page.events.push_back(std::move(event));
            if (page.events.size() == range.events_max) {
                page.reached = std::move(position);
                co_return page;
            }
        }
        if (!entry) {
            co_return page;
        }
        ++chunks;
        if (read_bytes > kFilterBytesMax || chunks > kFilterChunksMax) {
            // Everything before this entry was looked at, but for what is still open: go on at the
            // earliest of both.
            Position next = open.empty() ? barrier : std::min(open.begin()->first, barrier);
            --next.sequence;
            if (!after || next > *after) {
                page.reached = std::move(next);
                co_return page;
            }
        }
        walk.Take();
        if (entry->last_ms < begin_ms ||
            (range.wants_stream && !range.wants_stream(entry->stream_name))) {
            continue;
        }
        auto live = live_ids.find(entry->stream_name);
        if (live == live_ids.end()) {
            const auto stream =
                co_await store.FindStream(range.group, range.group_record, entry->stream_name);
            if (!stream.ok() && stream.error().kind() != Error::Kind::kNotFound) {
                co_return stream.error();
            }
            live = live_ids.emplace(entry->stream_name, stream.ok() ? stream->id : "").first;
        }
        if (live->second != entry->stream_id) {
            continue;
        }
        const std::string chunk_key = ChunkKey(
            range.group,
            range.group_record.id,
            entry->stream_id,
            entry->first_ms,
            entry->first_sequence);
        HEARTH_CO_TRY(const auto value, co_await store.kv().Get(chunk_key));
        if (!value) {
            continue;
        }
        read_bytes += value->size();
        unyielded_bytes += value->size();
        HEARTH_CO_TRY(Chunk chunk, DecodeChunk(*value));
        for (Event& event : chunk.events) {
            Position position{event.timestamp_ms, entry->stream_id, event.sequence};
            const bool wanted = event.timestamp_ms >= range.begin_ms &&
                                event.timestamp_ms < range.end_ms &&
                                (!after || position > *after) &&
                                !IsExpired(range.group_record, chunk, event, now) &&
                                (!range.wants_event || range.wants_event(event.message));
            if (wanted) {
                open.emplace(
                    std::move(position),
                    GroupEvent{entry->stream_name, entry->stream_id, std::move(event)});
            }
        }
        if (unyielded_bytes > kBytesBetweenYields) {
            unyielded_bytes = 0;
            co_await rt::Yield();
        }
    }
}

}  // namespace hearth::logs
