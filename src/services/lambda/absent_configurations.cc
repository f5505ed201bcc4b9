// Code signing and provisioned concurrency: a function here never has any. Their reads and
// deletions answer what AWS answers for a function without them, so that tools which look before
// they change (Terraform, CDK) work; what would make one answers that Hearth does not have the
// operation (the gateway) or that nothing of that name is there.
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"

#include "gen/lambda/types.gen.h"

namespace hearth::lambda {
namespace {

Error NoSuchCodeSigningConfig() {
    return errors::ResourceNotFound(
        "The code signing configuration cannot be found. Check that the provided configuration is "
        "not deleted.");
}

}  // namespace

// --- code signing

// With --lenient the ARN that CreateFunction was given is shown again.
Task<Result<model::GetFunctionCodeSigningConfig::Output>>
LambdaService::GetFunctionCodeSigningConfig(
    aws::RequestContext& context, model::GetFunctionCodeSigningConfig::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    HEARTH_CO_TRY(const Found found, co_await Find(reference));
    model::GetFunctionCodeSigningConfig::Output output;
    output.function_name = reference.name;
    if (const auto ignored = found.record->ignored.find("CodeSigningConfigArn");
        ignored != found.record->ignored.end()) {
        output.code_signing_config_arn = ignored->second;
    }
    co_return output;
}

Task<Result<model::PutFunctionCodeSigningConfig::Output>>
LambdaService::PutFunctionCodeSigningConfig(
    aws::RequestContext& context, model::PutFunctionCodeSigningConfig::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    HEARTH_CO_RETURN_IF_ERROR(co_await Find(reference));
    co_return errors::CodeSigningConfigNotFound(*input.code_signing_config_arn);
}

Task<Result<model::DeleteFunctionCodeSigningConfig::Output>>
LambdaService::DeleteFunctionCodeSigningConfig(
    aws::RequestContext& context, model::DeleteFunctionCodeSigningConfig::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto latest, co_await transaction.FindLatest(key));
        if (!latest) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        if (latest->ignored.erase("CodeSigningConfigArn") != 0) {
            transaction.PutLatest(*latest);
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return model::DeleteFunctionCodeSigningConfig::Output();
}

Task<Result<model::GetCodeSigningConfig::Output>> LambdaService::GetCodeSigningConfig(
    aws::RequestContext&, model::GetCodeSigningConfig::Input) {
    co_return NoSuchCodeSigningConfig();
}

Task<Result<model::UpdateCodeSigningConfig::Output>> LambdaService::UpdateCodeSigningConfig(
    aws::RequestContext&, model::UpdateCodeSigningConfig::Input) {
    co_return NoSuchCodeSigningConfig();
}

Task<Result<model::DeleteCodeSigningConfig::Output>> LambdaService::DeleteCodeSigningConfig(
    aws::RequestContext&, model::DeleteCodeSigningConfig::Input) {
    co_return NoSuchCodeSigningConfig();
}

Task<Result<model::ListFunctionsByCodeSigningConfig::Output>>
LambdaService::ListFunctionsByCodeSigningConfig(
    aws::RequestContext&, model::ListFunctionsByCodeSigningConfig::Input) {
    co_return NoSuchCodeSigningConfig();
}

Task<Result<model::ListCodeSigningConfigs::Output>> LambdaService::ListCodeSigningConfigs(
    aws::RequestContext&, model::ListCodeSigningConfigs::Input) {
    model::ListCodeSigningConfigs::Output output;
    output.code_signing_configs.emplace();
    co_return output;
}

// --- provisioned concurrency

Task<Result<model::GetProvisionedConcurrencyConfig::Output>>
LambdaService::GetProvisionedConcurrencyConfig(
    aws::RequestContext& context, model::GetProvisionedConcurrencyConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    HEARTH_CO_RETURN_IF_ERROR(co_await Find(reference));
    co_return errors::ProvisionedConcurrencyNotFound();
}

Task<Result<model::DeleteProvisionedConcurrencyConfig::Output>>
LambdaService::DeleteProvisionedConcurrencyConfig(
    aws::RequestContext& context, model::DeleteProvisionedConcurrencyConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    HEARTH_CO_RETURN_IF_ERROR(co_await Find(reference));
    co_return model::DeleteProvisionedConcurrencyConfig::Output();
}

Task<Result<model::ListProvisionedConcurrencyConfigs::Output>>
LambdaService::ListProvisionedConcurrencyConfigs(
    aws::RequestContext& context, model::ListProvisionedConcurrencyConfigs::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    HEARTH_CO_RETURN_IF_ERROR(co_await Find(reference));
    model::ListProvisionedConcurrencyConfigs::Output output;
    output.provisioned_concurrency_configs.emplace();
    co_return output;
}

}  // namespace hearth::lambda
