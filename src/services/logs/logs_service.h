#pragma once

#include "aws/front/admin.h"
#include "aws/front/service.h"
#include "services/event_target.h"
#include "services/invocation_log.h"
#include "services/logs/log_store.h"
#include "services/logs/log_watch.h"
#include "services/logs/subscriptions.h"
#include "services/service_deps.h"

#include "gen/logs/operations.gen.h"

#include <memory>
#include <string>
#include <vector>

// Amazon CloudWatch Logs, and where functions' lines go.
//
// GET /_hearth/logs?function=NAME (or group=NAME) [&follow=1] [&since=MS] [&filter=PATTERN]
//   streams the group's events as lines of JSON, {"timestamp":ms,"stream":"...","message":"..."},
//   in order of time. since: milliseconds since 1970. With follow=1 it goes on until the client
//   leaves, pushed by each write, with an empty line after half a minute of silence; a group that
//   is not there yet is waited for. `account` and `region` are the caller's. Without follow, a
//   missing group is 404.
namespace hearth::logs {

// Keeps no state outside of the store but who follows what; every method may run on any loop.
class LogsService final : public aws::ServiceApi, public LogSink {
  public:
    // Made before deps.schedule starts, because it registers timers.
    // `event_targets`: where subscriptions go; filled by the time the service starts.
    LogsService(const ServiceDeps& deps, EventTarget& event_targets);

    const aws::model::Service& Model() const override;

    const aws::OperationTable& Operations() const override { return operations_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override;

    Task<Status> Append(const LogDestination& destination, std::vector<LogLine> lines) override;

  private:
    template <class Op>
    using Answer = Task<Result<typename Op::Output>>;

    // groups.cc
    Answer<model::CreateLogGroup> CreateLogGroup(
        aws::RequestContext& context, model::CreateLogGroup::Input input);
    Answer<model::DeleteLogGroup> DeleteLogGroup(
        aws::RequestContext& context, model::DeleteLogGroup::Input input);
    Answer<model::DescribeLogGroups> DescribeLogGroups(
        aws::RequestContext& context, model::DescribeLogGroups::Input input);
    Answer<model::PutRetentionPolicy> PutRetentionPolicy(
        aws::RequestContext& context, model::PutRetentionPolicy::Input input);
    Answer<model::DeleteRetentionPolicy> DeleteRetentionPolicy(
        aws::RequestContext& context, model::DeleteRetentionPolicy::Input input);
    // streams.cc
    Answer<model::CreateLogStream> CreateLogStream(
        aws::RequestContext& context, model::CreateLogStream::Input input);
    Answer<model::DeleteLogStream> DeleteLogStream(
        aws::RequestContext& context, model::DeleteLogStream::Input input);
    Answer<model::DescribeLogStreams> DescribeLogStreams(
        aws::RequestContext& context, model::DescribeLogStreams::Input input);
    // put_log_events.cc
    Answer<model::PutLogEvents> PutLogEvents(
        aws::RequestContext& context, model::PutLogEvents::Input input);
    // get_log_events.cc
    Answer<model::GetLogEvents> GetLogEvents(
        aws::RequestContext& context, model::GetLogEvents::Input input);
    // filter_log_events.cc
    Answer<model::FilterLogEvents> FilterLogEvents(
        aws::RequestContext& context, model::FilterLogEvents::Input input);
    // subscription_filters.cc
    Answer<model::PutSubscriptionFilter> PutSubscriptionFilter(
        aws::RequestContext& context, model::PutSubscriptionFilter::Input input);
    Answer<model::DescribeSubscriptionFilters> DescribeSubscriptionFilters(
        aws::RequestContext& context, model::DescribeSubscriptionFilters::Input input);
    Answer<model::DeleteSubscriptionFilter> DeleteSubscriptionFilter(
        aws::RequestContext& context, model::DeleteSubscriptionFilter::Input input);
    // tags.cc
    Answer<model::TagResource> TagResource(
        aws::RequestContext& context, model::TagResource::Input input);
    Answer<model::UntagResource> UntagResource(
        aws::RequestContext& context, model::UntagResource::Input input);
    Answer<model::ListTagsForResource> ListTagsForResource(
        aws::RequestContext& context, model::ListTagsForResource::Input input);
    Answer<model::TagLogGroup> TagLogGroup(
        aws::RequestContext& context, model::TagLogGroup::Input input);
    Answer<model::UntagLogGroup> UntagLogGroup(
        aws::RequestContext& context, model::UntagLogGroup::Input input);
    Answer<model::ListTagsLogGroup> ListTagsLogGroup(
        aws::RequestContext& context, model::ListTagsLogGroup::Input input);
    // follow.cc
    Task<Result<aws::AdminAnswer>> Follow(aws::AdminRequest request);

    Subscriptions subscriptions_;
    LogStore store_;
    LogWatch watch_;
    aws::OperationTable operations_;
};

}  // namespace hearth::logs
