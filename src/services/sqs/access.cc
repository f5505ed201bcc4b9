#include "services/sqs/access.h"

#include "aws/auth/policy/policy.h"

namespace hearth::sqs {
namespace {

bool Judge(aws::AccessRequest request, const QueueAddress& queue, const QueueRecord& record) {
    const auto policy = record.attributes.find("Policy");
    if (policy == record.attributes.end()) {
        return false;
    }
    request.resource = queue.Arn();
    return aws::Evaluate(policy->second, request) == aws::Verdict::kAllow;
}

}  // namespace

bool PolicyLetsIn(
    const aws::RequestContext& context,
    const QueueAddress& queue,
    const QueueRecord& record,
    std::string_view action) {
    aws::AccessRequest request;
    request.principal.arn = context.caller.arn;
    request.principal.account = context.account.text();
    request.action = "sqs:";
    request.action += action;
    request.SetStandardKeys(context.now);
    if (!context.peer_address.empty()) {
        request.Set("aws:SourceIp", context.peer_address);
    }
    request.Set("aws:SecureTransport", context.secure ? "true" : "false");
    request.Absent("aws:SourceArn");
    request.Absent("aws:SourceAccount");
    return Judge(std::move(request), queue, record);
}

bool PolicyLetsIn(
    const EventTarget::Origin& origin,
    const QueueAddress& queue,
    const QueueRecord& record,
    WallClock::time_point now) {
    aws::AccessRequest request;
    request.principal = aws::AccessPrincipal::Service(origin.service_principal);
    request.action = "sqs:SendMessage";
    request.SetStandardKeys(now);
    if (origin.source_arn.empty()) {
        request.Absent("aws:SourceArn");
    } else {
        request.Set("aws:SourceArn", origin.source_arn);
    }
    request.Set("aws:SourceAccount", origin.account.text());
    return Judge(std::move(request), queue, record);
}

}  // namespace hearth::sqs
