#pragma once

#include "aws/front/context.h"
#include "base/clock.h"

#include <cstdint>
#include <string>
#include <string_view>

// One line of a bucket's access log. Pure.
// Source: S3 User Guide, "Amazon S3 server access log format".
namespace hearth::s3 {

// What is known when a request has found its bucket; the rest comes with its answer.
struct AccessLogEntry {
    std::string bucket_owner;  // canonical id
    std::string bucket;
    WallClock::time_point time;
    std::string remote_ip;
    std::string requester;
    std::string request_id;
    std::string operation;  // "REST.GET.OBJECT"
    std::string key;        // as received, percent-encoded; empty: none
    std::string request_line;
    std::string referer;
    std::string user_agent;
    std::string version_id;
    std::string host_header;
    aws::RequestContext::SignedBy signed_by = aws::RequestContext::SignedBy::kNothing;
    bool secure = false;
};

AccessLogEntry DescribeAccess(
    const aws::RequestContext& context, std::string_view bucket, std::string_view bucket_owner);

// With a line feed.
std::string AccessLogLine(const AccessLogEntry& entry, const aws::AnswerSummary& answer);

// "REST.GET.OBJECT" for GetObject by GET: how access logs call an operation.
std::string AccessLogOperation(std::string_view operation, std::string_view method);

}  // namespace hearth::s3
