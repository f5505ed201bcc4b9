#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "services/sqs/queue_engine.h"

#include <optional>
#include <string>
#include <string_view>

// How queues are called by their users: names, and URLs <endpoint>/<account>/<name>.
namespace hearth::sqs {

// Checks the name of a queue that is to be made.
//   errors  InvalidParameterValue with AWS's text, which differs for FIFO queues
Status CheckQueueName(std::string_view name, bool fifo);

// The URL by which this caller reaches a queue: begins with the endpoint the call came to.
std::string QueueUrl(const aws::RequestContext& context, const QueueAddress& queue);

// The queue that a URL names; the last two segments of its path count and its host does not, so a
// URL made for one name of the endpoint works through every other, also one of the real SQS. The
// region is the one the request was signed for. A query request may leave the URL out where its
// own path is that of the queue.
//   errors  QueueDoesNotExist without a URL, InvalidAddress when it names no queue.
Result<QueueAddress> ResolveQueueUrl(
    const aws::RequestContext& context, const std::optional<std::string>& url);

}  // namespace hearth::sqs
