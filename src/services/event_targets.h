#pragma once

#include "services/event_target.h"

#include <map>
#include <string>
#include <string_view>

namespace hearth {

// Picks by the ARN's service. Filled once, before any service starts.
class EventTargets final : public EventTarget {
  public:
    // `service` as in the ARN: "sqs", "lambda", "s3". The target outlives this.
    void Add(std::string service, EventTarget& target);

    Task<Status> Check(Origin origin, std::string target_arn) override;
    Task<Status> Send(Origin origin, std::string target_arn, Event event) override;

  private:
    Result<EventTarget*> Pick(std::string_view target_arn) const;

    std::map<std::string, EventTarget*, std::less<>> by_service_;
};

}  // namespace hearth
