#pragma once

#include "base/result.h"
#include "rt/task.h"
#include "services/logs/log_store.h"
#include "services/logs/records.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Events in order of time, from chunks that may overlap: a chunk is opened when the walk reaches
// its first event, and an event is given out when no unopened chunk can hold an earlier one. A
// chunk spans little time (kChunkSpanMax), so few are open at once. Expired events are passed over.
namespace hearth::logs {

// A place between events. Events with a greater (time, stream, sequence) come after it.
struct Position {
    int64_t timestamp_ms = 0;
    // Empty when reading one stream.
    std::string stream_id;
    int64_t sequence = -1;

    auto operator<=>(const Position&) const = default;
};

struct StreamRange {
    const GroupName& group;
    const GroupRecord& group_record;
    const StreamRecord& stream;
    // [begin_ms, end_ms)
    int64_t begin_ms = 0;
    int64_t end_ms = INT64_MAX;
    size_t events_max = 0;
    size_t bytes_max = 0;
};

// The first events after `after` (exclusive; nullopt: from the beginning), in order of time.
Task<Result<std::vector<Event>>> ReadForward(
    LogStore& store, const StreamRange& range, const std::optional<Position>& after);

// The last events before `before` (exclusive; nullopt: from the end), in order of time.
Task<Result<std::vector<Event>>> ReadBackward(
    LogStore& store, const StreamRange& range, const std::optional<Position>& before);

struct GroupEvent {
    std::string stream_name;
    std::string stream_id;
    Event event;
};

struct GroupRange {
    const GroupName& group;
    const GroupRecord& group_record;
    // [begin_ms, end_ms)
    int64_t begin_ms = 0;
    int64_t end_ms = INT64_MAX;
    // Null: all streams.
    std::function<bool(const std::string& stream_name)> wants_stream;
    // Null: all events.
    std::function<bool(std::string_view message)> wants_event;
    size_t events_max = 0;
    size_t bytes_max = 0;
};

struct GroupPage {
    std::vector<GroupEvent> events;
    // How far everything was looked at, when there may be more.
    std::optional<Position> reached;
};

// Events of all streams of a group. Looks at no more than kFilterBytesMax, so a page may hold fewer
// events than asked for, or none, and still have `reached`.
Task<Result<GroupPage>> ReadGroup(
    LogStore& store, const GroupRange& range, const std::optional<Position>& after);

}  // namespace hearth::logs
