#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

namespace hearth::logs {
namespace {

// What makes the whole request fail.
Status CheckBatch(const std::vector<model::InputLogEvent>& events) {
    size_t bytes = 0;
    int64_t previous_ms = 0;
    for (size_t i = 0; i < events.size(); ++i) {
        const model::InputLogEvent& event = events[i];
        if (event.message->empty()) {
            return errors::InvalidParameter(fmt::format(
                "1 validation error detected: Value '' at 'logEvents.{}.member.message' failed to "
                "satisfy constraint: Member must have length greater than or equal to 1",
                i + 1));
        }
        bytes += event.message->size() + kEventOverheadBytes;
        if (*event.timestamp < previous_ms) {
            return errors::InvalidParameter(
                "Log events in a single PutLogEvents request must be in chronological order.");
        }
        previous_ms = *event.timestamp;
    }
    if (bytes > kBatchBytesMax) {
        return errors::InvalidParameter(
            fmt::format("Upload too large: {} bytes exceeds limit of {}", bytes, kBatchBytesMax));
    }
    if (*events.back().timestamp - *events.front().timestamp > kBatchSpanMax.count()) {
        return errors::InvalidParameter(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours.");
    }
    return Status();
}

// The accepted part [begin, end) of events in order, and what is said about the rest.
struct Accepted {
    size_t begin = 0;
    size_t end = 0;
    std::optional<model::RejectedLogEventsInfo> rejected;
};

Accepted Accept(
    const std::vector<model::InputLogEvent>& events,
    const GroupRecord& group,
    int64_t now_ms,
    int64_t cloud_offset_ms,
    CloudClock::time_point cloud_now) {
    Accepted accepted{.begin = 0, .end = events.size(), .rejected = {}};
    model::RejectedLogEventsInfo info;
    size_t too_old = 0;
    size_t expired = 0;
    for (size_t i = 0; i < events.size(); ++i) {
        const int64_t timestamp_ms = *events[i].timestamp;
        const auto expiry = LogStore::ExpiryOf(group, timestamp_ms, cloud_offset_ms);
        if (timestamp_ms < now_ms - kTooOld.count()) {
            too_old = i + 1;
        } else if (expiry && *expiry <= cloud_now) {
            expired = i + 1;
        } else if (timestamp_ms > now_ms + kTooNew.count()) {
            info.too_new_log_event_start_index = static_cast<int32_t>(i);
            accepted.end = i;
            break;
        }
    }
    if (too_old > 0) {
        info.too_old_log_event_end_index = static_cast<int32_t>(too_old);
    }
    if (expired > 0) {
        info.expired_log_event_end_index = static_cast<int32_t>(expired);
    }
    accepted.begin = std::max(too_old, expired);
    if (accepted.begin > 0 || accepted.end < events.size()) {
        accepted.rejected = info;
    }
    return accepted;
}

}  // namespace

Task<Result<model::PutLogEvents::Output>> LogsService::PutLogEvents(
    aws::RequestContext& context, model::PutLogEvents::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    std::vector<model::InputLogEvent>& events = *input.log_events;
    HEARTH_CO_RETURN_IF_ERROR(CheckBatch(events));
    HEARTH_CO_TRY(const GroupRecord record, co_await store_.FindGroup(group));
    HEARTH_CO_TRY(
        const StreamRecord stream,
        co_await store_.FindStream(group, record, *input.log_stream_name));
    const int64_t now_ms = store_.WallNowMs();
    const CloudClock::time_point cloud_now = store_.CloudNow();
    const int64_t cloud_offset_ms = std::max<int64_t>(0, UnixMs(cloud_now) - now_ms);
    const Accepted accepted = Accept(events, record, now_ms, cloud_offset_ms, cloud_now);
    std::vector<LogStore::NewEvent> kept;
    for (size_t i = accepted.begin; i < accepted.end; ++i) {
        kept.push_back({*events[i].timestamp, *std::move(events[i].message)});
    }
    const auto kept_count = static_cast<int64_t>(kept.size());
    if (!kept.empty()) {
        // Whatever sequence token came is ignored, as AWS does since 2023.
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.Append(
            group, *input.log_stream_name, std::move(kept), /*create=*/false));
        watch_.Wake(WatchKey(group));
    }
    model::PutLogEvents::Output out;
    constexpr int kTokenDigits = 56;
    out.next_sequence_token = fmt::format("{:0{}}", stream.events + kept_count + 1, kTokenDigits);
    out.rejected_log_events_info = accepted.rejected;
    co_return out;
}

}  // namespace hearth::logs
