#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <algorithm>
#include <tuple>

namespace hearth::logs {
namespace {

struct NamedStream {
    std::string name;
    StreamRecord record;
};

model::LogStream Describe(const GroupName& group, const NamedStream& stream) {
    model::LogStream out;
    out.log_stream_name = stream.name;
    out.creation_time = stream.record.created_ms;
    out.arn = GroupArn(group) + ":log-stream:" + stream.name;
    // AWS reports 0 for every stream since 2019.
    out.stored_bytes = 0;
    if (stream.record.events > 0) {
        out.first_event_timestamp = stream.record.first_event_ms;
        out.last_event_timestamp = stream.record.last_event_ms;
        out.last_ingestion_time = stream.record.last_ingestion_ms;
    }
    constexpr int kTokenDigits = 56;
    out.upload_sequence_token = fmt::format("{:0{}}", stream.record.events + 1, kTokenDigits);
    return out;
}

// Where a stream stands when ordered by its last event: those without any come first.
using TimeOrder = std::tuple<int64_t, std::string>;

TimeOrder OrderOf(const NamedStream& stream) {
    return {stream.record.last_event_ms, stream.name};
}

}  // namespace

Task<Result<model::CreateLogStream::Output>> LogsService::CreateLogStream(
    aws::RequestContext& context, model::CreateLogStream::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.CreateStream(
        GroupOf(context, *input.log_group_name), *input.log_stream_name));
    co_return model::CreateLogStream::Output();
}

Task<Result<model::DeleteLogStream::Output>> LogsService::DeleteLogStream(
    aws::RequestContext& context, model::DeleteLogStream::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.DeleteStream(
        GroupOf(context, *input.log_group_name), *input.log_stream_name));
    co_return model::DeleteLogStream::Output();
}

Task<Result<model::DescribeLogStreams::Output>> LogsService::DescribeLogStreams(
    aws::RequestContext& context, model::DescribeLogStreams::Input input) {
    HEARTH_CO_TRY(
        const GroupName group, GroupOf(context, input.log_group_name, input.log_group_identifier));
    const bool by_time = input.order_by.value_or("LogStreamName") == "LastEventTime";
    const bool descending = input.descending.value_or(false);
    if (by_time && input.log_stream_name_prefix) {
        co_return errors::InvalidParameter(
            "Cannot order by LastEventTime with a logStreamNamePrefix.");
    }
    HEARTH_CO_TRY(const GroupRecord record, co_await store_.FindGroup(group));
    const auto limit = static_cast<size_t>(input.limit.value_or(kDescribeMax));
    const storage::keys::Key all = AllStreamsKey(group, record.id);
    storage::RangeRequest range = all.ChildrenWithPrefix(input.log_stream_name_prefix.value_or(""));
    range.reverse = descending && !by_time;
    std::optional<TimeOrder> after;
    if (input.next_token && by_time) {
        HEARTH_CO_TRY(Position position, DecodePositionToken(*input.next_token));
        after = {position.timestamp_ms, std::move(position.stream_id)};
    } else if (input.next_token) {
        HEARTH_CO_TRY(const std::string last, DecodeNameToken(*input.next_token));
        if (descending) {
            range.end = std::min(range.end, storage::keys::Key(all).Add(last).bytes());
        } else {
            range.begin = std::max(range.begin, all.ChildrenAfter(last).begin);
        }
    }
    // By name, the first ones are enough. By time, all are looked at and the best kept.
    const auto before = [descending](const NamedStream& a, const NamedStream& b) {
        return descending ? OrderOf(a) > OrderOf(b) : OrderOf(a) < OrderOf(b);
    };
    std::vector<NamedStream> streams;
    while (range.begin < range.end) {
        HEARTH_CO_TRY(const storage::RangePage page, co_await store_.kv().Range(range));
        for (const storage::KeyValue& item : page.items) {
            NamedStream stream;
            HEARTH_CO_TRY(stream.name, NameInKey(item.key));
            HEARTH_CO_TRY(stream.record, DecodeStream(item.value));
            if (after && (descending ? OrderOf(stream) >= *after : OrderOf(stream) <= *after)) {
                continue;
            }
            streams.push_back(std::move(stream));
            if (by_time) {
                std::ranges::push_heap(streams, before);
                if (streams.size() > limit + 1) {
                    std::ranges::pop_heap(streams, before);
                    streams.pop_back();
                }
            }
        }
        if (!page.next || (!by_time && streams.size() > limit)) {
            break;
        }
        (range.reverse ? range.end : range.begin) = *page.next;
    }
    if (by_time) {
        std::ranges::sort_heap(streams, before);
    }
    model::DescribeLogStreams::Output out;
    out.log_streams.emplace();
    if (streams.size() > limit) {
        streams.resize(limit);
        const NamedStream& last = streams.back();
        out.next_token = by_time ? EncodePositionToken({last.record.last_event_ms, last.name, 0})
                                 : EncodeNameToken(last.name);
    }
    for (const NamedStream& stream : streams) {
        out.log_streams->push_back(Describe(group, stream));
    }
    co_return out;
}

}  // namespace hearth::logs
