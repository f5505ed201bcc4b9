#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "flow/schedule.h"
#include "rt/task.h"
#include "services/logs/records.h"
#include "services/logs/subscription_records.h"
#include "storage/kv.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::logs {

class Subscriptions;

// Groups, streams and the writing of events on the store. What is deleted vanishes at once; its
// events are taken away in the background by durable timers, so a crash resumes the work.
//
// Timers: "logs-purge" takes away what a deleted group or stream left; "logs-retention", one per
// group with a retention, deletes what has expired.
class LogStore final {
  public:
    struct Deps {
        storage::Kv& kv;
        flow::Schedule& schedule;
        const WallClock& wall_clock;
        const CloudClock& cloud_clock;
        Random& random;
        // Gets the events that are written; null: nobody does.
        logs::Subscriptions* subscriptions = nullptr;
    };

    // Registers its timers.
    explicit LogStore(const Deps& deps);

    Task<Result<GroupRecord>> FindGroup(const GroupName& group);
    // ResourceAlreadyExistsException.
    Task<Status> CreateGroup(const GroupName& group, GroupRecord record);
    // ResourceNotFoundException; ValidationException when protected.
    Task<Status> DeleteGroup(const GroupName& group);
    // Changes the record; `change` may refuse and may run again. ResourceNotFoundException.
    using ChangeGroup = std::function<Status(GroupRecord&)>;
    Task<Status> UpdateGroup(const GroupName& group, const ChangeGroup& change);

    // The group's subscription filters. ResourceNotFoundException.
    Task<Result<SubscriptionFilters>> FiltersOf(const GroupName& group);
    // Changes them; `change` may refuse and may run again. ResourceNotFoundException.
    using ChangeFilters = std::function<Status(SubscriptionFilters&)>;
    Task<Status> UpdateFilters(const GroupName& group, const ChangeFilters& change);

    Task<Result<StreamRecord>> FindStream(
        const GroupName& group, const GroupRecord& record, std::string_view stream);
    Task<Status> CreateStream(const GroupName& group, std::string_view stream);
    Task<Status> DeleteStream(const GroupName& group, std::string_view stream);

    struct NewEvent {
        int64_t timestamp_ms;
        std::string message;
    };

    // Writes `events`, sorted by time, after all earlier ones of the stream. `create`: makes group
    // and stream when they are missing; else ResourceNotFoundException.
    Task<Status> Append(
        const GroupName& group,
        const std::string& stream,
        std::vector<NewEvent> events,
        bool create);

    // When an event of that time and offset is over, by the group's retention; nullopt: never.
    static std::optional<CloudClock::time_point> ExpiryOf(
        const GroupRecord& group, int64_t timestamp_ms, int64_t cloud_offset_ms);

    CloudClock::time_point CloudNow() const { return deps_.cloud_clock.Now(); }

    int64_t WallNowMs() const;

    storage::Kv& kv() { return deps_.kv; }

    std::string NewId();

  private:
    struct Batch;

    Task<Status> AppendBatch(
        const GroupName& group, const std::string& stream, Batch& batch, bool create);
    Task<Status> Purge(const flow::DueTimer& timer);
    Task<Status> PurgeRange(storage::RangeRequest range);
    Task<Status> Expire(const flow::DueTimer& timer);
    Task<Status> PutRetentionTimer(
        storage::Transaction& transaction,
        const GroupName& group,
        const GroupRecord& record,
        CloudClock::time_point due);

    Deps deps_;
};

}  // namespace hearth::logs
