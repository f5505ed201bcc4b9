#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <algorithm>

// Put-, Describe- and DeleteSubscriptionFilter. Functions are the destinations that there are.
// Source: CloudWatch Logs API Reference, and what the service answers; 2026-11.
namespace hearth::logs {
namespace {

Error NotExecutable() {
    return errors::InvalidParameter(
        "Could not execute the lambda function. Make sure you have given CloudWatch Logs "
        "permission to execute your function.");
}

// "lambda" of "arn:aws:lambda:..."; empty: no ARN.
std::string_view VendorOf(std::string_view arn) {
    constexpr std::string_view kStart = "arn:aws:";
    if (!arn.starts_with(kStart)) {
        return {};
    }
    arn.remove_prefix(kStart.size());
    const size_t end = arn.find(':');
    return end == std::string_view::npos ? std::string_view() : arn.substr(0, end);
}

Status CheckRequest(const model::PutSubscriptionFilter::Input& input) {
    const std::string_view vendor = VendorOf(*input.destination_arn);
    if (vendor == "kinesis" || vendor == "firehose" || vendor == "logs") {
        return errors::InvalidParameter(fmt::format(
            "Hearth delivers log events to Lambda functions only; {} is not a destination yet.",
            vendor));
    }
    if (vendor.empty()) {
        return errors::InvalidParameter("Invalid destination ARN.");
    }
    if (vendor != "lambda") {
        return errors::InvalidParameter(fmt::format(
            "PutSubscriptionFilter operation cannot work with destinationArn for vendor {}",
            vendor));
    }
    if (input.role_arn) {
        return errors::InvalidParameter(
            "destinationArn for vendor lambda cannot be used with roleArn");
    }
    if (input.field_selection_criteria || input.emit_system_fields) {
        return errors::InvalidParameter(
            "fieldSelectionCriteria and emitSystemFields are of log centralization, which Hearth "
            "does not have.");
    }
    if (!FilterPattern::Parse(*input.filter_pattern).ok()) {
        return errors::InvalidParameter("Invalid filter pattern");
    }
    return Status();
}

Error NoSuchFilter() {
    return Error(
        Error::Kind::kNotFound,
        "ResourceNotFoundException",
        "The specified subscription filter does not exist.",
        400);
}

}  // namespace

Task<Result<model::PutSubscriptionFilter::Output>> LogsService::PutSubscriptionFilter(
    aws::RequestContext& context, model::PutSubscriptionFilter::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.FindGroup(group));
    HEARTH_CO_RETURN_IF_ERROR(CheckRequest(input));
    const Status checked = co_await subscriptions_.Check(group, *input.destination_arn);
    if (!checked.ok()) {
        const Error::Kind kind = checked.error().kind();
        if (kind == Error::Kind::kNotFound || kind == Error::Kind::kDenied) {
            co_return NotExecutable();
        }
        if (kind == Error::Kind::kInvalid || kind == Error::Kind::kUnimplemented) {
            co_return errors::InvalidParameter(checked.error().message());
        }
        co_return checked.error();
    }
    const SubscriptionFilter filter{
        .name = *input.filter_name,
        .pattern = *input.filter_pattern,
        .destination_arn = *input.destination_arn,
        .distribution = input.distribution.value_or("ByLogStream"),
        .created_ms = store_.WallNowMs(),
        .apply_on_transformed = input.apply_on_transformed_logs.value_or(false)};
    const auto change = [&filter](SubscriptionFilters& filters) -> Status {
        const auto at =
            std::ranges::lower_bound(filters, filter.name, {}, &SubscriptionFilter::name);
        if (at != filters.end() && at->name == filter.name) {
            *at = filter;
            return Status();
        }
        if (filters.size() >= kSubscriptionFiltersMax) {
            return Error(
                Error::Kind::kInvalid, "LimitExceededException", "Resource limit exceeded.", 400);
        }
        filters.insert(at, filter);
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateFilters(group, change));
    co_return model::PutSubscriptionFilter::Output();
}

Task<Result<model::DeleteSubscriptionFilter::Output>> LogsService::DeleteSubscriptionFilter(
    aws::RequestContext& context, model::DeleteSubscriptionFilter::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    const std::string& name = *input.filter_name;
    const auto change = [&name](SubscriptionFilters& filters) -> Status {
        return std::erase_if(filters, [&](const auto& filter) { return filter.name == name; }) == 0
                   ? Status(NoSuchFilter())
                   : Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateFilters(group, change));
    co_return model::DeleteSubscriptionFilter::Output();
}

Task<Result<model::DescribeSubscriptionFilters::Output>> LogsService::DescribeSubscriptionFilters(
    aws::RequestContext& context, model::DescribeSubscriptionFilters::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    HEARTH_CO_TRY(const SubscriptionFilters filters, co_await store_.FiltersOf(group));
    std::string after;
    if (input.next_token) {
        HEARTH_CO_TRY(after, DecodeNameToken(*input.next_token));
    }
    model::DescribeSubscriptionFilters::Output output;
    auto& shown = output.subscription_filters.emplace();
    const auto limit = static_cast<size_t>(input.limit.value_or(kDescribeMax));
    for (const SubscriptionFilter& filter : filters) {
        if (filter.name <= after ||
            !filter.name.starts_with(input.filter_name_prefix.value_or(""))) {
            continue;
        }
        if (shown.size() == limit) {
            output.next_token = EncodeNameToken(*shown.back().filter_name);
            break;
        }
        auto& one = shown.emplace_back();
        one.filter_name = filter.name;
        one.log_group_name = group.name;
        one.filter_pattern = filter.pattern;
        one.destination_arn = filter.destination_arn;
        one.distribution = filter.distribution;
        one.apply_on_transformed_logs = filter.apply_on_transformed;
        one.creation_time = filter.created_ms;
    }
    co_return output;
}

}  // namespace hearth::logs
