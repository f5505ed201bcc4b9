// When a version moves to another build of its runtime. Here there is one build for each runtime,
// the interpreter of this machine, so the choice is kept and shown and the Manual mode takes the
// ARN of that build alone.
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {
namespace {

constexpr std::string_view kManual = "Manual";

// $LATEST and published versions have the setting, aliases do not.
Status RefuseAlias(const FunctionReference& reference) {
    if (reference.qualifier.empty() || reference.qualifier == kLatest ||
        IsVersionNumber(reference.qualifier)) {
        return Status();
    }
    return errors::InvalidParameterValue(fmt::format(
        "The provided function name {} is invalid. Aliases are not allowed.",
        FunctionArn(reference.account, reference.region, reference.name, reference.qualifier)));
}

Status CheckRuntimeVersion(
    const FunctionRecord& record,
    std::string_view update_on,
    const std::optional<std::string>& runtime_version_arn) {
    if (update_on != kManual) {
        if (runtime_version_arn) {
            return errors::InvalidParameterValue(
                "RuntimeVersionArn must be null when UpdateRuntimeOn is Auto or FunctionUpdate.");
        }
        return Status();
    }
    if (!runtime_version_arn) {
        return errors::InvalidParameterValue(
            "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.");
    }
    if (*runtime_version_arn != RuntimeVersionArn(record)) {
        return errors::InvalidParameterValue(fmt::format(
            "Hearth has no runtime version {}. The one of {} is {}.",
            *runtime_version_arn,
            record.runtime,
            RuntimeVersionArn(record)));
    }
    return Status();
}

}  // namespace

Task<Result<model::GetRuntimeManagementConfig::Output>> LambdaService::GetRuntimeManagementConfig(
    aws::RequestContext& context, model::GetRuntimeManagementConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    HEARTH_CO_RETURN_IF_ERROR(RefuseAlias(reference));
    HEARTH_CO_TRY(const Found found, co_await Find(reference));
    model::GetRuntimeManagementConfig::Output output;
    output.update_runtime_on = found.record->update_runtime_on;
    if (found.record->update_runtime_on == kManual) {
        output.runtime_version_arn = found.record->runtime_version_arn;
    }
    output.function_arn = found.record->QualifiedArn();
    co_return output;
}

Task<Result<model::PutRuntimeManagementConfig::Output>> LambdaService::PutRuntimeManagementConfig(
    aws::RequestContext& context, model::PutRuntimeManagementConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    HEARTH_CO_RETURN_IF_ERROR(RefuseAlias(reference));
    const FunctionKey key = KeyOf(reference);
    const bool latest = reference.qualifier.empty() || reference.qualifier == kLatest;
    const int64_t number = latest ? 0 : std::stoll(reference.qualifier);
    FunctionRecord changed;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        std::optional<FunctionRecord> found;
        if (head && latest) {
            HEARTH_CO_TRY(found, co_await transaction.FindLatest(key));
        } else if (head) {
            HEARTH_CO_TRY(found, co_await transaction.FindVersion(key, head->id, number));
        }
        if (!found) {
            co_return errors::FunctionNotFound(
                FunctionArn(key.account, key.region, key.name, reference.qualifier));
        }
        HEARTH_CO_RETURN_IF_ERROR(
            CheckRuntimeVersion(*found, *input.update_runtime_on, input.runtime_version_arn));
        changed = *std::move(found);
        changed.update_runtime_on = *input.update_runtime_on;
        changed.runtime_version_arn = input.runtime_version_arn.value_or("");
        if (latest) {
            transaction.PutLatest(changed);
        } else {
            transaction.PutVersion(key, head->id, number, changed);
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    model::PutRuntimeManagementConfig::Output output;
    output.update_runtime_on = changed.update_runtime_on;
    output.function_arn = changed.QualifiedArn();
    if (input.runtime_version_arn) {
        output.runtime_version_arn = changed.runtime_version_arn;
    }
    co_return output;
}

}  // namespace hearth::lambda
