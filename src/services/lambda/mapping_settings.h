#pragma once

#include "base/result.h"
#include "services/lambda/mapping_record.h"
#include "services/message_queues.h"

#include "gen/lambda/types_fwd.gen.h"

#include <string>
#include <string_view>
#include <vector>

// From the members of CreateEventSourceMapping and UpdateEventSourceMapping to a MappingRecord and
// from there to what the API shows. Pure: no I/O.
namespace hearth::lambda {

// Which service an ARN names as a source: "sqs"; empty for what is no ARN.
std::string_view SourceService(std::string_view arn);

// Applies a request to `record`, whose source, function and `fifo` are set. With `lenient`, names
// of settings that were accepted and will not be honoured are added to `ignored`.
//   errors  InvalidParameterValueException, with AWS's texts; for what Hearth does not have, with
//   its own.
Status ApplyMappingSettings(
    const model::CreateEventSourceMappingRequest& request,
    bool lenient,
    MappingRecord& record,
    std::vector<std::string>& ignored);
Status ApplyMappingSettings(
    const model::UpdateEventSourceMappingRequest& request,
    bool lenient,
    MappingRecord& record,
    std::vector<std::string>& ignored);

// A message has to stay invisible for as long as the function may work on it.
Status CheckVisibility(const MessageQueues::Facts& queue, int32_t function_timeout_s);

// `state`: "Creating", "Enabled", ...
model::EventSourceMappingConfiguration ShowMapping(
    const MappingRecord& record, std::string_view state);

// What GetEventSourceMapping shows of one that is settled.
std::string_view SettledState(const MappingRecord& record);

}  // namespace hearth::lambda
