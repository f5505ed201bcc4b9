#include "services/lambda/mapping_operations.h"

#include "base/random.h"
#include "services/lambda/errors.h"
#include "services/lambda/mapping_settings.h"
#include "services/lambda/marker.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace hearth::lambda {
namespace {

// Sources that Lambda has and Hearth does not.
constexpr std::string_view kOtherSources[] = {"dynamodb", "kinesis", "kafka", "mq", "rds", "docdb"};

Error NoSuchMapping() {
    return errors::ResourceNotFound("The resource you requested does not exist.");
}

constexpr std::string_view kMappingPart = ":event-source-mapping:";

// The id in the ARN of a mapping of this caller; empty for anybody else's.
std::string OwnId(const aws::RequestContext& context, std::string_view arn) {
    const std::string own = fmt::format(
        "arn:aws:lambda:{}:{}{}", context.region.text(), context.account.text(), kMappingPart);
    return arn.starts_with(own) ? std::string(arn.substr(own.size())) : std::string();
}

void NameIgnored(aws::RequestContext& context, const std::vector<std::string>& ignored) {
    if (!ignored.empty()) {
        context.response_headers.emplace_back(
            "x-hearth-ignored", fmt::format("{}", fmt::join(ignored, ", ")));
    }
}

}  // namespace

EventSourceMappings::EventSourceMappings(
    const ServiceDeps& deps,
    MessageQueues& queues,
    ConcurrencyLimits& concurrency,
    Functions functions)
    : deps_(deps),
      queues_(queues),
      functions_(std::move(functions)),
      store_(deps.kv),
      pollers_(deps, store_, queues_, concurrency, functions_.call) {}

void EventSourceMappings::AddTo(aws::OperationTable& table) {
    table.Add<model::CreateEventSourceMapping>(this, &EventSourceMappings::Create);
    table.Add<model::UpdateEventSourceMapping>(this, &EventSourceMappings::Update);
    table.Add<model::GetEventSourceMapping>(this, &EventSourceMappings::Get);
    table.Add<model::DeleteEventSourceMapping>(this, &EventSourceMappings::Delete);
    table.Add<model::ListEventSourceMappings>(this, &EventSourceMappings::List);
}

Task<Result<MessageQueues::Facts>> EventSourceMappings::FindQueue(
    const aws::RequestContext& context, std::string arn) {
    const std::string_view service = SourceService(arn);
    for (const std::string_view other : kOtherSources) {
        if (service == other) {
            co_return errors::NotSupported(
                fmt::format("event source mappings for {} (only SQS)", service));
        }
    }
    const std::string own =
        fmt::format("arn:aws:sqs:{}:{}:", context.region.text(), context.account.text());
    if (service != "sqs") {
        co_return errors::InvalidParameterValue("Unrecognized event source.");
    }
    if (!arn.starts_with(own)) {
        co_return errors::InvalidParameterValue(
            "The provided execution role does not have permissions to call ReceiveMessage on SQS");
    }
    auto queue = co_await queues_.Find(arn);
    if (!queue.ok() && queue.error().kind() == Error::Kind::kNotFound) {
        co_return errors::InvalidParameterValue(
            "Error occurred while ReceiveMessage. SQS Error Code: "
            "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does "
            "not exist.");
    }
    co_return queue;
}

Task<Result<model::CreateEventSourceMapping::Output>> EventSourceMappings::Create(
    aws::RequestContext& context, model::CreateEventSourceMapping::Input input) {
    if (input.self_managed_event_source) {
        co_return errors::NotSupported("event source mappings for Kafka (only SQS)");
    }
    if (!input.event_source_arn) {
        co_return errors::InvalidParameterValue("Unrecognized event source.");
    }
    HEARTH_CO_TRY(
        const FunctionReference function, functions_.parse(context, *input.function_name));
    HEARTH_CO_TRY(const auto queue, co_await FindQueue(context, *input.event_source_arn));
    MappingRecord record;
    record.account = context.account;
    record.region = context.region;
    record.id = deps_.random.Uuid();
    record.source_arn = queue.arn;
    record.fifo = queue.fifo;
    record.function_name = function.name;
    record.qualifier = function.qualifier;
    record.modified = context.now;
    std::vector<std::string> ignored;
    HEARTH_CO_RETURN_IF_ERROR(ApplyMappingSettings(input, deps_.options.lenient, record, ignored));
    if (input.tags) {
        HEARTH_CO_RETURN_IF_ERROR(AddTags(*input.tags, record.tags));
    }
    HEARTH_CO_TRY(const int32_t timeout_s, co_await functions_.timeout_of(function));
    HEARTH_CO_RETURN_IF_ERROR(CheckVisibility(queue, timeout_s));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Create(record));
    co_await pollers_.Refresh(record.account, record.region, record.id);
    NameIgnored(context, ignored);
    context.response_status = 202;
    co_return ShowMapping(record, "Creating");
}

Task<Result<model::UpdateEventSourceMapping::Output>> EventSourceMappings::Update(
    aws::RequestContext& context, model::UpdateEventSourceMapping::Input input) {
    HEARTH_CO_TRY(
        const auto found, co_await store_.Find(context.account, context.region, *input.uuid));
    if (!found) {
        co_return NoSuchMapping();
    }
    std::optional<FunctionReference> function;
    if (input.function_name) {
        HEARTH_CO_TRY(function, functions_.parse(context, *input.function_name));
    }
    const FunctionReference target =
        function ? *function
                 : FunctionReference{
                       context.account, context.region, found->function_name, found->qualifier};
    // The queue may be gone; the mapping can be changed all the same.
    const auto queue = co_await queues_.Find(found->source_arn);
    const auto timeout_s = co_await functions_.timeout_of(target);
    if (function && !timeout_s.ok()) {
        co_return timeout_s.error();
    }
    if (queue.ok() && timeout_s.ok()) {
        HEARTH_CO_RETURN_IF_ERROR(CheckVisibility(*queue, *timeout_s));
    }
    std::vector<std::string> ignored;
    bool was_enabled = false;
    const MappingStore::Change change = [&](MappingRecord& record) -> Status {
        ignored.clear();
        was_enabled = record.enabled;
        if (function) {
            record.function_name = function->name;
            record.qualifier = function->qualifier;
        }
        record.modified = context.now;
        return ApplyMappingSettings(input, deps_.options.lenient, record, ignored);
    };
    HEARTH_CO_TRY(
        const MappingRecord record,
        co_await store_.Update(context.account, context.region, *input.uuid, change));
    co_await pollers_.Refresh(record.account, record.region, record.id);
    NameIgnored(context, ignored);
    context.response_status = 202;
    co_return ShowMapping(
        record,
        was_enabled == record.enabled ? "Updating"
        : record.enabled              ? "Enabling"
                                      : "Disabling");
}

Task<Result<model::GetEventSourceMapping::Output>> EventSourceMappings::Get(
    aws::RequestContext& context, model::GetEventSourceMapping::Input input) {
    HEARTH_CO_TRY(
        const auto found, co_await store_.Find(context.account, context.region, *input.uuid));
    if (!found) {
        co_return NoSuchMapping();
    }
    auto shown = ShowMapping(*found, SettledState(*found));
    const std::string last = co_await pollers_.LastResult(*found);
    if (last.starts_with("PROBLEM")) {
        shown.last_processing_result = last;
    }
    co_return shown;
}

Task<Result<model::DeleteEventSourceMapping::Output>> EventSourceMappings::Delete(
    aws::RequestContext& context, model::DeleteEventSourceMapping::Input input) {
    HEARTH_CO_TRY(
        const MappingRecord record,
        co_await store_.Delete(context.account, context.region, *input.uuid));
    co_await pollers_.Refresh(record.account, record.region, record.id);
    context.response_status = 202;
    co_return ShowMapping(record, "Deleting");
}

Task<Result<model::ListEventSourceMappings::Output>> EventSourceMappings::List(
    aws::RequestContext& context, model::ListEventSourceMappings::Input input) {
    std::optional<FunctionReference> function;
    if (input.function_name) {
        HEARTH_CO_TRY(function, functions_.parse(context, *input.function_name));
        // Of a function that is not there AWS says so, rather than listing nothing.
        HEARTH_CO_RETURN_IF_ERROR(co_await functions_.timeout_of(*function));
    }
    HEARTH_CO_TRY(Marker at, DecodeMarker(input.marker));
    const size_t limit = PageSize(input.max_items);
    model::ListEventSourceMappings::Output output;
    auto& shown = output.event_source_mappings.emplace();
    for (;;) {
        HEARTH_CO_TRY(
            const MappingStore::Page page,
            co_await store_.List(context.account, context.region, at.name, limit));
        for (const MappingRecord& record : page.mappings) {
            const bool wanted =
                (!input.event_source_arn || record.source_arn == *input.event_source_arn) &&
                (!function || (record.function_name == function->name &&
                               record.qualifier == function->qualifier));
            if (!wanted) {
                continue;
            }
            if (shown.size() == limit) {
                output.next_marker = EncodeMarker({*shown.back().uuid, 0});
                co_return output;
            }
            shown.push_back(ShowMapping(record, SettledState(record)));
            std::string last = co_await pollers_.LastResult(record);
            if (last.starts_with("PROBLEM")) {
                shown.back().last_processing_result = std::move(last);
            }
        }
        if (!page.more) {
            co_return output;
        }
        at.name = page.mappings.back().id;
    }
}

bool EventSourceMappings::IsMapping(std::string_view arn) {
    return arn.starts_with("arn:aws:lambda:") && arn.find(kMappingPart) != std::string_view::npos;
}

Task<Result<EventSourceMappings::Tags>> EventSourceMappings::ListTags(
    const aws::RequestContext& context, std::string arn) {
    HEARTH_CO_TRY(
        auto found, co_await store_.Find(context.account, context.region, OwnId(context, arn)));
    if (!found) {
        co_return NoSuchMapping();
    }
    co_return std::move(found->tags);
}

Task<Status> EventSourceMappings::ChangeTags(
    const aws::RequestContext& context,
    std::string arn,
    Tags added,
    std::vector<std::string> removed) {
    const MappingStore::Change change = [&](MappingRecord& record) -> Status {
        for (const std::string& key : removed) {
            record.tags.erase(key);
        }
        return AddTags(added, record.tags);
    };
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.Update(context.account, context.region, OwnId(context, arn), change));
    co_return Status();
}

}  // namespace hearth::lambda
