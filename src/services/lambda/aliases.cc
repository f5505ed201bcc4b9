#include "services/lambda/errors.h"
#include "services/lambda/event_invoke_config_store.h"
#include "services/lambda/function_url_store.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/marker.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::lambda {
namespace {

model::AliasConfiguration ShowAlias(const FunctionKey& key, const AliasRecord& alias) {
    model::AliasConfiguration out;
    out.alias_arn = FunctionArn(key.account, key.region, key.name, alias.name);
    out.name = alias.name;
    out.function_version = alias.function_version;
    out.description = alias.description;
    out.revision_id = alias.revision_id;
    if (!alias.routing.empty()) {
        out.routing_config = model::AliasRoutingConfiguration{};
        out.routing_config->additional_version_weights = alias.routing;
    }
    return out;
}

std::string Arn(const FunctionKey& key, std::string_view qualifier = {}) {
    return FunctionArn(key.account, key.region, key.name, qualifier);
}

Task<Result<FunctionHead>> HeadOf(FunctionTransaction& transaction, const FunctionKey& key) {
    HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(Arn(key));
    }
    co_return *std::move(head);
}

Task<Status> CheckVersion(
    FunctionTransaction& transaction,
    const FunctionKey& key,
    const FunctionHead& head,
    const std::string& version) {
    if (version == kLatest) {
        co_return Status();
    }
    if (IsVersionNumber(version)) {
        HEARTH_CO_TRY(
            const auto record, co_await transaction.FindVersion(key, head.id, std::stoll(version)));
        if (record) {
            co_return Status();
        }
    }
    co_return errors::FunctionNotFound(Arn(key, version));
}

// The rules for routing that can be seen in the request; the versions must exist besides.
Status CheckRouting(
    const std::map<std::string, double>& routing, const std::string& function_version) {
    if (routing.size() > 1) {
        return errors::InvalidParameterValue(
            "Number of items in AdditionalVersionWeights cannot be greater than 1");
    }
    for (const auto& [version, weight] : routing) {
        const std::string shown = fmt::format("{{{}={}}}", version, weight);
        if (!(weight >= 0.0 && weight <= 1.0)) {
            return errors::Validation(
                shown,
                "routingConfig.additionalVersionWeights",
                "Map value must satisfy constraint: [Member must have value less than or equal to "
                "1.0, Member must have value greater than or equal to 0.0, Member must not be "
                "null]");
        }
        if (version == function_version) {
            return errors::InvalidParameterValue(fmt::format(
                "Invalid function version {0}. Function version {0} is already included in "
                "routing configuration.",
                version));
        }
        if (function_version == kLatest) {
            return errors::InvalidParameterValue(
                "$LATEST is not supported for an alias pointing to more than 1 version");
        }
        if (!std::ranges::all_of(version, [](char c) { return c >= '0' && c <= '9'; })) {
            return errors::Validation(
                shown,
                "routingConfig.additionalVersionWeights",
                "Map keys must satisfy constraint: [Member must have length less than or equal to "
                "1024, Member must have length greater than or equal to 1, Member must satisfy "
                "regular expression pattern: [0-9]+, Member must not be null]");
        }
    }
    return Status();
}

}  // namespace

Task<Result<model::CreateAlias::Output>> LambdaService::CreateAlias(
    aws::RequestContext& context, model::CreateAlias::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    AliasRecord alias;
    alias.name = *input.name;
    alias.function_version = *input.function_version;
    alias.description = input.description.value_or("");
    alias.revision_id = deps_.random.Uuid();
    if (input.routing_config && input.routing_config->additional_version_weights) {
        alias.routing = *input.routing_config->additional_version_weights;
    }
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const FunctionHead head, co_await HeadOf(transaction, key));
        HEARTH_CO_RETURN_IF_ERROR(
            co_await CheckVersion(transaction, key, head, alias.function_version));
        HEARTH_CO_TRY(
            const auto existing, co_await transaction.FindAlias(key, head.id, alias.name));
        if (existing) {
            co_return errors::ResourceConflict("Alias already exists: " + Arn(key, alias.name));
        }
        HEARTH_CO_RETURN_IF_ERROR(CheckRouting(alias.routing, alias.function_version));
        for (const auto& [version, weight] : alias.routing) {
            HEARTH_CO_RETURN_IF_ERROR(co_await CheckVersion(transaction, key, head, version));
        }
        transaction.PutAlias(key, head.id, alias);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 201;
    co_return ShowAlias(key, alias);
}

Task<Result<model::GetAlias::Output>> LambdaService::GetAlias(
    aws::RequestContext& context, model::GetAlias::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(Arn(key));
    }
    HEARTH_CO_TRY(const auto alias, co_await store_.FindAlias(key, head->id, *input.name));
    if (!alias) {
        co_return errors::AliasNotFound(Arn(key, *input.name));
    }
    co_return ShowAlias(key, *alias);
}

Task<Result<model::UpdateAlias::Output>> LambdaService::UpdateAlias(
    aws::RequestContext& context, model::UpdateAlias::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    AliasRecord alias;
    const std::string revision_id = deps_.random.Uuid();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const FunctionHead head, co_await HeadOf(transaction, key));
        HEARTH_CO_TRY(auto found, co_await transaction.FindAlias(key, head.id, *input.name));
        if (!found) {
            co_return errors::ResourceNotFound("Alias not found: " + Arn(key, *input.name));
        }
        alias = *std::move(found);
        if (input.revision_id && *input.revision_id != alias.revision_id) {
            co_return errors::RevisionMismatch();
        }
        if (input.function_version) {
            HEARTH_CO_RETURN_IF_ERROR(
                co_await CheckVersion(transaction, key, head, *input.function_version));
            alias.function_version = *input.function_version;
        }
        alias.description = input.description.value_or(alias.description);
        if (input.routing_config) {
            alias.routing = input.routing_config->additional_version_weights.value_or(
                std::map<std::string, double>());
        }
        HEARTH_CO_RETURN_IF_ERROR(CheckRouting(alias.routing, alias.function_version));
        for (const auto& [version, weight] : alias.routing) {
            HEARTH_CO_RETURN_IF_ERROR(co_await CheckVersion(transaction, key, head, version));
        }
        alias.revision_id = revision_id;
        transaction.PutAlias(key, head.id, alias);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return ShowAlias(key, alias);
}

Task<Result<model::DeleteAlias::Output>> LambdaService::DeleteAlias(
    aws::RequestContext& context, model::DeleteAlias::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const FunctionHead head, co_await HeadOf(transaction, key));
        // Deleting an alias that is not there is no error.
        transaction.DeleteAlias(key, head.id, *input.name);
        transaction.DeletePolicy(key, head.id, *input.name);
        EventInvokeConfigTransaction(transaction.raw()).Delete(key, head.id, *input.name);
        FunctionUrlTransaction urls(transaction.raw());
        HEARTH_CO_TRY(const auto url, co_await urls.Find(key, head.id, *input.name));
        if (url) {
            urls.Delete(key, head.id, *url);
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 204;
    co_return model::DeleteAlias::Output();
}

Task<Result<model::ListAliases::Output>> LambdaService::ListAliases(
    aws::RequestContext& context, model::ListAliases::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    const size_t limit = PageSize(input.max_items);
    model::ListAliases::Output output;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        output = {};
        output.aliases.emplace();
        HEARTH_CO_TRY(const FunctionHead head, co_await HeadOf(transaction, key));
        for (std::string after = at.name;;) {
            HEARTH_CO_TRY(
                const auto page, co_await transaction.Aliases(key, head.id, after, limit + 1));
            for (const AliasRecord& alias : page) {
                if (input.function_version && *input.function_version != alias.function_version) {
                    continue;
                }
                if (output.aliases->size() == limit) {
                    output.next_marker = EncodeMarker({*output.aliases->back().name, 0});
                    co_return Status();
                }
                output.aliases->push_back(ShowAlias(key, alias));
            }
            if (page.size() <= limit) {
                co_return Status();
            }
            after = page.back().name;
        }
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return output;
}

}  // namespace hearth::lambda
