#pragma once

#include "aws/front/context.h"
#include "services/event_target.h"
#include "services/sqs/queue_engine.h"

#include <string_view>

// Queue policies, where they are all that can open a door: for callers of other accounts, and for
// services that act for other accounts. Within its own account a queue is open to everybody until
// policies are enforced (x-hearth-not-enforced).
namespace hearth::sqs {

//   action  "SendMessage"; the batch form of an operation needs what the operation needs
bool PolicyLetsIn(
    const aws::RequestContext& context,
    const QueueAddress& queue,
    const QueueRecord& record,
    std::string_view action);

bool PolicyLetsIn(
    const EventTarget::Origin& origin,
    const QueueAddress& queue,
    const QueueRecord& record,
    WallClock::time_point now);

}  // namespace hearth::sqs
