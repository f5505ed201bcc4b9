#include "services/logs/errors.h"
#include "services/logs/filter_pattern.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <set>

namespace hearth::logs {
Task<Result<model::FilterLogEvents::Output>> LogsService::FilterLogEvents(
    aws::RequestContext& context, model::FilterLogEvents::Input input) {
    HEARTH_CO_TRY(
        const GroupName group, GroupOf(context, input.log_group_name, input.log_group_identifier));
    if (input.log_stream_names && input.log_stream_name_prefix) {
        co_return errors::InvalidParameter(
            "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.");
    }
    if (input.start_time && input.end_time && *input.start_time > *input.end_time) {
        co_return errors::InvalidParameter("startTime must be less than or equal to endTime");
    }
    HEARTH_CO_TRY(const GroupRecord record, co_await store_.FindGroup(group));
    const Result<FilterPattern> pattern = FilterPattern::Parse(input.filter_pattern.value_or(""));
    if (!pattern.ok()) {
        co_return errors::InvalidParameter("Invalid filter pattern");
    }
    std::set<std::string> names;
    if (input.log_stream_names) {
        names.insert(input.log_stream_names->begin(), input.log_stream_names->end());
        for (const std::string& name : names) {
            HEARTH_CO_RETURN_IF_ERROR(co_await store_.FindStream(group, record, name));
        }
    }
    std::optional<Position> after;
    if (input.next_token) {
        HEARTH_CO_TRY(after, DecodePositionToken(*input.next_token));
    }
    const int64_t end_ms = input.end_time.value_or(INT64_MAX);
    const GroupRange range{
        .group = group,
        .group_record = record,
        .begin_ms = input.start_time.value_or(0),
        // Unlike GetLogEvents, an event at endTime is still in.
        .end_ms = end_ms == INT64_MAX ? end_ms : end_ms + 1,
        .wants_stream =
            [&](const std::string& name) {
                return input.log_stream_names ? names.contains(name)
                       : input.log_stream_name_prefix
                           ? name.starts_with(*input.log_stream_name_prefix)
                           : true;
            },
        .wants_event = [&](std::string_view message) { return pattern->Matches(message); },
        .events_max = static_cast<size_t>(input.limit.value_or(kAnswerEventsMax)),
        .bytes_max = kAnswerBytesMax};
    HEARTH_CO_TRY(GroupPage page, co_await ReadGroup(store_, range, after));

    model::FilterLogEvents::Output out;
    out.events.emplace();
    out.events->reserve(page.events.size());
    for (GroupEvent& event : page.events) {
        model::FilteredLogEvent& shown = out.events->emplace_back();
        shown.event_id = EventId(event.event, event.stream_id);
        shown.log_stream_name = std::move(event.stream_name);
        shown.timestamp = event.event.timestamp_ms;
        shown.message = std::move(event.event.message);
        shown.ingestion_time = event.event.ingestion_ms;
    }
    // Empty since 2019-06 on AWS.
    out.searched_log_streams.emplace();
    if (page.reached) {
        out.next_token = EncodePositionToken(*page.reached);
    }
    co_return out;
}

}  // namespace hearth::logs
