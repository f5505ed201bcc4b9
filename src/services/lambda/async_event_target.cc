#include "services/lambda/async_event_target.h"

#include "services/lambda/errors.h"
#include "services/lambda/json_check.h"
#include "services/lambda/lambda_service.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {
namespace {

constexpr std::string_view kFunctionArn = "arn:aws:lambda:";

// Of the region and account that an ARN of a function states.
Result<FunctionReference> ReadFunctionArn(const std::string& arn) {
    if (!arn.starts_with(kFunctionArn)) {
        return hearth::errors::Malformed(fmt::format("{} is no ARN of a function", arn));
    }
    const size_t region_at = kFunctionArn.size();
    const size_t region_end = arn.find(':', region_at);
    const size_t account_end =
        region_end == std::string::npos ? region_end : arn.find(':', region_end + 1);
    if (account_end == std::string::npos ||
        !std::string_view(arn).substr(account_end).starts_with(":function:")) {
        return hearth::errors::Malformed(fmt::format("{} is no ARN of a function", arn));
    }
    return ParseFunctionName(
        arn,
        {},
        AccountId(arn.substr(region_end + 1, account_end - region_end - 1)),
        Region(arn.substr(region_at, region_end - region_at)));
}

}  // namespace

Task<Result<FunctionReference>> AsyncEventTarget::Admit(
    const Origin& origin, const std::string& target_arn) {
    HEARTH_CO_TRY(FunctionReference reference, ReadFunctionArn(target_arn));
    HEARTH_CO_RETURN_IF_ERROR(co_await service_.store_.Resolve(reference));
    if (origin.service_principal.empty()) {
        // A role's own policies are not evaluated yet; another account's function needs a policy
        // that nobody can have checked.
        if (reference.account != origin.account) {
            co_return errors::AccessDenied(fmt::format(
                "{} belongs to another account than {}", target_arn, origin.source_arn));
        }
        co_return reference;
    }
    HEARTH_CO_TRY(
        const bool admitted,
        co_await service_.MayInvoke(
            reference,
            {.name = origin.service_principal,
             .source_arn = origin.source_arn,
             .source_account = origin.account.text(),
             .event_source_token = {}},
            service_.deps_.wall_clock.Now()));
    if (!admitted) {
        co_return errors::AccessDenied(fmt::format(
            "The resource policy of {} does not let {} invoke it for {}",
            target_arn,
            origin.service_principal,
            origin.source_arn));
    }
    co_return reference;
}

Task<Status> AsyncEventTarget::Check(Origin origin, std::string target_arn) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Admit(origin, target_arn));
    co_return Status();
}

Task<Status> AsyncEventTarget::Send(Origin origin, std::string target_arn, Event event) {
    HEARTH_CO_TRY(FunctionReference reference, co_await Admit(origin, target_arn));
    if (!event.body.empty() && !CheckJson(event.body).ok) {
        co_return hearth::errors::Malformed("an event for a function is JSON");
    }
    InvokeRequest request;
    request.request_id =
        event.request_id.empty() ? service_.deps_.random.Uuid() : std::move(event.request_id);
    request.payload = std::move(event.body);
    request.trace_header = std::move(event.trace_header);
    // A function's destination continues the chain that the function is in.
    std::string caller =
        origin.source_arn.starts_with(kFunctionArn) ? origin.source_arn : std::string();
    co_return co_await service_.async_.Accept(
        std::move(reference), std::move(request), std::move(caller));
}

}  // namespace hearth::lambda
