#pragma once

#include "base/result.h"
#include "services/sqs/queue_engine.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The attributes of queues: from what CreateQueue and SetQueueAttributes are given to settings, and
// back to what GetQueueAttributes shows. Pure; whether a dead-letter queue is there is asked by the
// operations.
namespace hearth::sqs {

// Checks `given` and puts it into `record`; what cannot be is told with AWS's words and leaves
// `record` in no defined state.
//   creating  the queue is being made: FifoQueue is allowed, and says what it will be
//   errors    InvalidAttributeName, InvalidAttributeValue; InvalidParameterValue for redrive
//             policies; NotImplementedException for encryption with a key of KMS
Status ApplyAttributes(
    const std::map<std::string, std::string>& given, bool creating, QueueRecord& record);

// Whether `given` asks for a FIFO queue.
bool AsksForFifo(const std::map<std::string, std::string>& given);

// The attributes that `names` ask for ("All": every one), as GetQueueAttributes shows them.
//   counts  null where none of the counts is asked for
Result<std::map<std::string, std::string>> ShowAttributes(
    const QueueAddress& queue,
    const QueueRecord& record,
    const std::vector<std::string>& names,
    const QueueCounts* counts);

// Whether one of them is a count of messages.
bool AsksForCounts(const std::vector<std::string>& names);

// Whether the RedriveAllowPolicy of a dead-letter queue lets `source_arn` use it.
bool AllowsRedriveFrom(const QueueRecord& dead_letter_queue, std::string_view source_arn);

// Largest message in bytes.
size_t MaximumMessageSize(const QueueRecord& record);

}  // namespace hearth::sqs
