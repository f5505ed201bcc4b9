#pragma once

#include "rt/task.h"
#include "services/event_target.h"
#include "services/lambda/function_name.h"

#include <string>

namespace hearth::lambda {

class LambdaService;

// Functions as targets of events that other services, or functions through their destinations,
// send: each becomes an asynchronous invocation. A service is let in by the function's resource
// policy, with SourceArn and SourceAccount, and by nothing else.
class AsyncEventTarget final : public EventTarget {
  public:
    // `service` outlives this.
    explicit AsyncEventTarget(LambdaService& service) : service_(service) {}

    Task<Status> Check(Origin origin, std::string target_arn) override;
    Task<Status> Send(Origin origin, std::string target_arn, Event event) override;

  private:
    // What the ARN names, when the origin may invoke it.
    Task<Result<FunctionReference>> Admit(const Origin& origin, const std::string& target_arn);

    LambdaService& service_;
};

}  // namespace hearth::lambda
