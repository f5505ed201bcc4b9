#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "services/logs/log_reader.h"
#include "services/logs/records.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

// What several operations read from a request or write into an answer.
namespace hearth::logs {

GroupName GroupOf(const aws::RequestContext& context, const std::string& name);

// From exactly one of logGroupName and logGroupIdentifier (a name, or an ARN without ":*"). A group
// of another account or region is one that does not exist. Errors: InvalidParameterException,
// ResourceNotFoundException.
Result<GroupName> GroupOf(
    const aws::RequestContext& context,
    const std::optional<std::string>& name,
    const std::optional<std::string>& identifier);

// From the ARN of a log group, with or without ":*" at its end.
Result<GroupName> GroupOfArn(const aws::RequestContext& context, std::string_view arn);

// "arn:aws:logs:us-east-1:000000000000:log-group:name"; AWS calls that with ":*" behind it `arn`.
std::string GroupArn(const GroupName& group);

// nextToken of lists: opaque to clients, checked when it comes back.
std::string EncodeNameToken(std::string_view name);
Result<std::string> DecodeNameToken(std::string_view token);
std::string EncodePositionToken(const Position& position);
Result<Position> DecodePositionToken(std::string_view token);

Status CheckTags(const std::map<std::string, std::string>& tags);

// Wakes who follows the group.
std::string WatchKey(const GroupName& group);

}  // namespace hearth::logs
