#pragma once

#include "aws/model/descriptor.h"

#include <string>

// Answers that are streams of events: what follows the head of an operation whose output's payload
// is an event stream. The operation sets RequestContext::response_stream and writes the events
// itself.
namespace hearth::aws::protocol {

// One message. `stream` is the event stream's shape, `events` an object of its type, whose one
// member that is set is the event. Documents are JSON.
std::string EncodeEvent(const model::Shape& stream, const void* events);

}  // namespace hearth::aws::protocol
