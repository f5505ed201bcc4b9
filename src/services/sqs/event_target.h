#pragma once

#include "base/clock.h"
#include "services/event_target.h"
#include "services/sqs/queue_engine.h"

namespace hearth::sqs {

// Queues as targets of events: destinations, notifications of buckets, dead letters of functions.
class SqsEventTarget final : public EventTarget {
  public:
    SqsEventTarget(QueueEngine& engine, WallClock& clock) : engine_(engine), clock_(clock) {}

    Task<Status> Check(Origin origin, std::string target_arn) override;
    Task<Status> Send(Origin origin, std::string target_arn, Event event) override;

  private:
    struct Target {
        QueueAddress address;
        std::shared_ptr<const QueueRecord> record;
    };

    Task<Result<Target>> Find(const Origin& origin, const std::string& target_arn);

    QueueEngine& engine_;
    WallClock& clock_;
};

}  // namespace hearth::sqs
