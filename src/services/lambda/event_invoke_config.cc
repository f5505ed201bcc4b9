// How a function's asynchronous invocations are retried, how old they may become, and where their
// records go: one configuration for each of $LATEST, its versions and its aliases.
#include "services/lambda/errors.h"
#include "services/lambda/event_invoke_config_store.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/marker.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {
namespace {

constexpr std::string_view kNoFunction = "The function doesn't exist.";

Error NoEventInvokeConfig(const FunctionReference& reference) {
    return errors::ResourceNotFound(fmt::format(
        "The function {} doesn't have an EventInvokeConfig",
        FunctionArn(
            reference.account,
            reference.region,
            reference.name,
            reference.qualifier.empty() ? kLatest : std::string_view(reference.qualifier))));
}

model::FunctionEventInvokeConfig Show(
    const FunctionKey& key, const EventInvokeConfigRecord& record) {
    model::FunctionEventInvokeConfig shown;
    shown.function_arn = FunctionArn(key.account, key.region, key.name, record.qualifier);
    shown.last_modified = record.last_modified;
    shown.maximum_retry_attempts = record.retries_max;
    shown.maximum_event_age_in_seconds = record.age_max_s;
    // Both are there also when neither was given.
    shown.destination_config.emplace();
    shown.destination_config->on_success.emplace();
    shown.destination_config->on_failure.emplace();
    if (!record.on_success.empty()) {
        shown.destination_config->on_success->destination = record.on_success;
    }
    if (!record.on_failure.empty()) {
        shown.destination_config->on_failure->destination = record.on_failure;
    }
    return shown;
}

struct Destinations {
    std::string on_success;
    std::string on_failure;
};

Destinations DestinationsOf(const model::DestinationConfig& config) {
    Destinations destinations;
    if (config.on_success) {
        destinations.on_success = config.on_success->destination.value_or("");
    }
    if (config.on_failure) {
        destinations.on_failure = config.on_failure->destination.value_or("");
    }
    return destinations;
}

// arn:aws:<service>:...; empty for what is no ARN.
std::string_view ServiceOf(std::string_view arn) {
    const size_t partition = arn.find(':');
    const size_t service =
        partition == std::string_view::npos ? partition : arn.find(':', partition + 1);
    const size_t end = service == std::string_view::npos ? service : arn.find(':', service + 1);
    return end == std::string_view::npos ? std::string_view()
                                         : arn.substr(service + 1, end - service - 1);
}

bool CanBeDestination(std::string_view arn, bool for_failures) {
    const std::string_view service = ServiceOf(arn);
    return service == "sqs" || service == "lambda" || service == "sns" || service == "events" ||
           (service == "s3" && for_failures);
}

Error BadDestinationConfig(const Destinations& destinations) {
    const auto part = [](std::string_view name, const std::string& arn) {
        return arn.empty() ? std::string("null") : fmt::format("{}(destination={})", name, arn);
    };
    return errors::InvalidParameterValue(fmt::format(
        "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
        part("OnSuccess", destinations.on_success),
        part("OnFailure", destinations.on_failure)));
}

// Whether the qualifier names anything of the function.
Task<Result<bool>> QualifierExists(
    FunctionTransaction& transaction,
    const FunctionKey& key,
    const FunctionHead& head,
    const std::string& qualifier) {
    if (qualifier.empty() || qualifier == kLatest) {
        co_return true;
    }
    if (IsVersionNumber(qualifier)) {
        HEARTH_CO_TRY(
            const auto version,
            co_await transaction.FindVersion(key, head.id, std::stoll(qualifier)));
        co_return version.has_value();
    }
    HEARTH_CO_TRY(const auto alias, co_await transaction.FindAlias(key, head.id, qualifier));
    co_return alias.has_value();
}

}  // namespace

Task<Status> LambdaService::CheckAsyncTarget(FunctionReference reference, std::string target_arn) {
    const std::string_view service = ServiceOf(target_arn);
    if (service == "sns") {
        co_return errors::NotSupported("SNS topics as destinations");
    }
    if (service == "events") {
        co_return errors::NotSupported("EventBridge event buses as destinations");
    }
    if (event_targets_ == nullptr) {
        co_return errors::NotSupported("destinations");
    }
    HEARTH_CO_TRY(const auto latest, co_await store_.FindLatest(KeyOf(reference)));
    EventTarget::Origin origin{
        .account = reference.account,
        .region = reference.region,
        .source_arn = FunctionArn(reference.account, reference.region, reference.name),
        .role_arn = latest ? latest->role : std::string()};
    const Status checked = co_await event_targets_->Check(std::move(origin), target_arn);
    if (checked.ok()) {
        co_return Status();
    }
    switch (checked.error().kind()) {
        case Error::Kind::kNotFound:
        case Error::Kind::kInvalid:
        case Error::Kind::kDenied:
            co_return errors::InvalidParameterValue(
                fmt::format("The destination ARN {} is invalid.", target_arn));
        case Error::Kind::kUnimplemented:
            co_return errors::NotSupported(checked.error().message());
        default:
            co_return checked.error();
    }
}

Task<Status> LambdaService::CheckDeadLetter(FunctionReference reference, std::string target_arn) {
    // A queue may be made after the function where not all of a stack is there. What is no standard
    // queue is refused by the settings themselves.
    if (deps_.options.lenient || !target_arn.starts_with("arn:aws:sqs:") ||
        target_arn.ends_with(".fifo")) {
        co_return Status();
    }
    const Status checked = co_await CheckAsyncTarget(std::move(reference), target_arn);
    if (!checked.ok() && checked.error().message().starts_with("The destination ARN")) {
        co_return errors::InvalidParameterValue(fmt::format(
            "The dead letter target ARN {} is invalid: there is no such queue.", target_arn));
    }
    co_return checked;
}

Task<Result<model::FunctionEventInvokeConfig>> LambdaService::WriteEventInvokeConfig(
    const aws::RequestContext& context,
    FunctionReference reference,
    EventInvokeConfigChange change,
    bool update) {
    if (!change.retries_max && !change.age_max_s && !change.destinations) {
        co_return errors::InvalidParameterValue(
            "You must specify at least one of error handling or destination setting.");
    }
    const FunctionKey key = KeyOf(reference);
    const auto find = [&](FunctionTransaction& transaction) -> Task<Result<FunctionHead>> {
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::ResourceNotFound(std::string(kNoFunction));
        }
        HEARTH_CO_TRY(
            const bool exists,
            co_await QualifierExists(transaction, key, *head, reference.qualifier));
        if (!exists) {
            co_return errors::ResourceNotFound(std::string(kNoFunction));
        }
        co_return *std::move(head);
    };
    Destinations destinations;
    if (change.destinations) {
        // A function that is not there is said before what is wrong with its destinations.
        const FunctionStore::Body look = [&](FunctionTransaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(const FunctionHead head, co_await find(transaction));
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(look));
        destinations = DestinationsOf(*change.destinations);
        const std::string own = FunctionArn(key.account, key.region, key.name);
        for (const bool for_failures : {true, false}) {
            const std::string& arn =
                for_failures ? destinations.on_failure : destinations.on_success;
            if (arn.empty()) {
                continue;
            }
            if (!CanBeDestination(arn, for_failures)) {
                co_return BadDestinationConfig(destinations);
            }
            if (arn == own || arn.starts_with(own + ":")) {
                co_return errors::InvalidParameterValue(
                    "You can't specify the function as a destination for itself.");
            }
            HEARTH_CO_RETURN_IF_ERROR(co_await CheckAsyncTarget(reference, arn));
        }
    }
    EventInvokeConfigRecord record;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const FunctionHead head, co_await find(transaction));
        EventInvokeConfigTransaction configs(transaction.raw());
        record = {};
        if (update) {
            HEARTH_CO_TRY(auto existing, co_await configs.Find(key, head.id, reference.qualifier));
            if (!existing) {
                co_return NoEventInvokeConfig(reference);
            }
            record = *std::move(existing);
        }
        record.qualifier = reference.qualifier.empty() ? kLatest : reference.qualifier;
        if (change.retries_max) {
            record.retries_max = change.retries_max;
        }
        if (change.age_max_s) {
            record.age_max_s = change.age_max_s;
        }
        if (change.destinations) {
            record.on_success = destinations.on_success;
            record.on_failure = destinations.on_failure;
        }
        record.last_modified = context.now;
        configs.Put(key, head.id, record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return Show(key, record);
}

Task<Result<model::PutFunctionEventInvokeConfig::Output>>
LambdaService::PutFunctionEventInvokeConfig(
    aws::RequestContext& context, model::PutFunctionEventInvokeConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    EventInvokeConfigChange change{
        .retries_max = input.maximum_retry_attempts,
        .age_max_s = input.maximum_event_age_in_seconds,
        .destinations = input.destination_config ? &*input.destination_config : nullptr};
    co_return co_await WriteEventInvokeConfig(context, reference, change, false);
}

Task<Result<model::UpdateFunctionEventInvokeConfig::Output>>
LambdaService::UpdateFunctionEventInvokeConfig(
    aws::RequestContext& context, model::UpdateFunctionEventInvokeConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    EventInvokeConfigChange change{
        .retries_max = input.maximum_retry_attempts,
        .age_max_s = input.maximum_event_age_in_seconds,
        .destinations = input.destination_config ? &*input.destination_config : nullptr};
    co_return co_await WriteEventInvokeConfig(context, reference, change, true);
}

Task<Result<model::GetFunctionEventInvokeConfig::Output>>
LambdaService::GetFunctionEventInvokeConfig(
    aws::RequestContext& context, model::GetFunctionEventInvokeConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
    if (!head) {
        co_return NoEventInvokeConfig(reference);
    }
    HEARTH_CO_TRY(
        const auto record,
        co_await FindEventInvokeConfig(deps_.kv, key, head->id, reference.qualifier));
    if (!record) {
        co_return NoEventInvokeConfig(reference);
    }
    co_return Show(key, *record);
}

Task<Result<model::DeleteFunctionEventInvokeConfig::Output>>
LambdaService::DeleteFunctionEventInvokeConfig(
    aws::RequestContext& context, model::DeleteFunctionEventInvokeConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return NoEventInvokeConfig(reference);
        }
        EventInvokeConfigTransaction configs(transaction.raw());
        HEARTH_CO_TRY(const auto record, co_await configs.Find(key, head->id, reference.qualifier));
        if (!record) {
            co_return NoEventInvokeConfig(reference);
        }
        configs.Delete(key, head->id, reference.qualifier);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return model::DeleteFunctionEventInvokeConfig::Output();
}

Task<Result<model::ListFunctionEventInvokeConfigs::Output>>
LambdaService::ListFunctionEventInvokeConfigs(
    aws::RequestContext& context, model::ListFunctionEventInvokeConfigs::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    const size_t limit = PageSize(input.max_items);
    model::ListFunctionEventInvokeConfigs::Output output;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        output = {};
        output.function_event_invoke_configs.emplace();
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::ResourceNotFound(std::string(kNoFunction));
        }
        EventInvokeConfigTransaction configs(transaction.raw());
        HEARTH_CO_TRY(const auto records, co_await configs.List(key, head->id, at.name, limit + 1));
        for (const EventInvokeConfigRecord& record : records) {
            if (output.function_event_invoke_configs->size() == limit) {
                output.next_marker = EncodeMarker({records[limit - 1].qualifier, 0});
                break;
            }
            output.function_event_invoke_configs->push_back(Show(key, record));
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return output;
}

}  // namespace hearth::lambda
