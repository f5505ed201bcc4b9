#include "services/logs/logs_service.h"

#include "services/logs/request.h"

#include <algorithm>

namespace hearth::logs {

LogsService::LogsService(const ServiceDeps& deps, EventTarget& event_targets)
    : subscriptions_(
          {.courier = deps.courier,
           .targets = event_targets,
           .cloud_clock = deps.cloud_clock,
           .monotonic_clock = deps.monotonic_clock,
           .random = deps.random}),
      store_(
          {.kv = deps.kv,
           .schedule = deps.schedule,
           .wall_clock = deps.wall_clock,
           .cloud_clock = deps.cloud_clock,
           .random = deps.random,
           .subscriptions = &subscriptions_}) {
    operations_.Add<model::CreateLogGroup>(this, &LogsService::CreateLogGroup);
    operations_.Add<model::DeleteLogGroup>(this, &LogsService::DeleteLogGroup);
    operations_.Add<model::DescribeLogGroups>(this, &LogsService::DescribeLogGroups);
    operations_.Add<model::PutRetentionPolicy>(this, &LogsService::PutRetentionPolicy);
    operations_.Add<model::DeleteRetentionPolicy>(this, &LogsService::DeleteRetentionPolicy);
    operations_.Add<model::CreateLogStream>(this, &LogsService::CreateLogStream);
    operations_.Add<model::DeleteLogStream>(this, &LogsService::DeleteLogStream);
    operations_.Add<model::DescribeLogStreams>(this, &LogsService::DescribeLogStreams);
    operations_.Add<model::PutLogEvents>(this, &LogsService::PutLogEvents);
    operations_.Add<model::GetLogEvents>(this, &LogsService::GetLogEvents);
    operations_.Add<model::FilterLogEvents>(this, &LogsService::FilterLogEvents);
    operations_.Add<model::PutSubscriptionFilter>(this, &LogsService::PutSubscriptionFilter);
    operations_.Add<model::DescribeSubscriptionFilters>(
        this, &LogsService::DescribeSubscriptionFilters);
    operations_.Add<model::DeleteSubscriptionFilter>(this, &LogsService::DeleteSubscriptionFilter);
    operations_.Add<model::TagResource>(this, &LogsService::TagResource);
    operations_.Add<model::UntagResource>(this, &LogsService::UntagResource);
    operations_.Add<model::ListTagsForResource>(this, &LogsService::ListTagsForResource);
    operations_.Add<model::TagLogGroup>(this, &LogsService::TagLogGroup);
    operations_.Add<model::UntagLogGroup>(this, &LogsService::UntagLogGroup);
    operations_.Add<model::ListTagsLogGroup>(this, &LogsService::ListTagsLogGroup);
    deps.admin.Add("GET", "/_hearth/logs", [this](aws::AdminRequest request) {
        return Follow(std::move(request));
    });
    deps.admin.OnStop([this] { watch_.Close(); });
}

const aws::model::Service& LogsService::Model() const {
    return model::Service();
}

Task<void> LogsService::Stop() {
    watch_.Close();
    co_return;
}

Task<Status> LogsService::Append(const LogDestination& destination, std::vector<LogLine> lines) {
    const GroupName group{destination.account, destination.region, destination.group};
    // Lines of two pipes may be a moment out of order; those of one millisecond stay as they came.
    std::vector<std::pair<int64_t, size_t>> order;
    order.reserve(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        order.emplace_back(UnixMs<WallClock>(lines[i].at), i);
    }
    std::ranges::sort(order);
    std::vector<LogStore::NewEvent> events;
    events.reserve(lines.size());
    for (const auto& [timestamp_ms, i] : order) {
        events.push_back({timestamp_ms, std::move(lines[i].text)});
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.Append(group, destination.stream, std::move(events), /*create=*/true));
    watch_.Wake(WatchKey(group));
    co_return Status();
}

}  // namespace hearth::logs
