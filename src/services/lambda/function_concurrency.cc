#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {
namespace {

Error NoFunction(const FunctionKey& key) {
    return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
}

Status RefuseQualified(const FunctionReference& reference) {
    if (!reference.qualifier.empty()) {
        return errors::InvalidParameterValue(
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN.");
    }
    return Status();
}

}  // namespace

Task<Result<model::PutFunctionConcurrency::Output>> LambdaService::PutFunctionConcurrency(
    aws::RequestContext& context, model::PutFunctionConcurrency::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    HEARTH_CO_RETURN_IF_ERROR(RefuseQualified(reference));
    const FunctionKey key = KeyOf(reference);
    const int32_t wanted = *input.reserved_concurrent_executions;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return NoFunction(key);
        }
        HEARTH_CO_TRY(
            Reserves reserves, co_await transaction.ReadReserves(key.account, key.region));
        reserves[key.name] = wanted;
        int64_t sum = 0;
        for (const auto& [name, reserve] : reserves) {
            sum += reserve;
        }
        // Taking nothing away is always right, also where the quota is small.
        if (wanted > 0 && sum > concurrency_.account_max() - concurrency_.unreserved_min()) {
            co_return errors::InvalidParameterValue(fmt::format(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of [{}].",
                concurrency_.unreserved_min()));
        }
        transaction.PutReserve(key, wanted);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    HEARTH_CO_RETURN_IF_ERROR(co_await concurrency_.Load(key.account, key.region));
    model::PutFunctionConcurrency::Output output;
    output.reserved_concurrent_executions = wanted;
    co_return output;
}

Task<Result<model::GetFunctionConcurrency::Output>> LambdaService::GetFunctionConcurrency(
    aws::RequestContext& context, model::GetFunctionConcurrency::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    HEARTH_CO_RETURN_IF_ERROR(RefuseQualified(reference));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
    if (!head) {
        co_return NoFunction(key);
    }
    model::GetFunctionConcurrency::Output output;
    HEARTH_CO_TRY(output.reserved_concurrent_executions, co_await store_.FindReserve(key));
    co_return output;
}

Task<Result<model::DeleteFunctionConcurrency::Output>> LambdaService::DeleteFunctionConcurrency(
    aws::RequestContext& context, model::DeleteFunctionConcurrency::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    HEARTH_CO_RETURN_IF_ERROR(RefuseQualified(reference));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return NoFunction(key);
        }
        transaction.DeleteReserve(key);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    HEARTH_CO_RETURN_IF_ERROR(co_await concurrency_.Load(key.account, key.region));
    context.response_status = 204;
    co_return model::DeleteFunctionConcurrency::Output();
}

Error LambdaService::Refused(aws::RequestContext& context, Error error) {
    if (error.http_status() == 429) {
        context.response_headers.emplace_back("Retry-After", "1");
    }
    return error;
}

Task<Result<model::GetAccountSettings::Output>> LambdaService::GetAccountSettings(
    aws::RequestContext& context, model::GetAccountSettings::Input) {
    HEARTH_CO_TRY(const auto usage, co_await store_.ReadUsage(context.account, context.region));
    HEARTH_CO_TRY(
        const Reserves reserves, co_await store_.ReadReserves(context.account, context.region));
    int32_t unreserved = concurrency_.account_max();
    for (const auto& [name, reserve] : reserves) {
        unreserved -= reserve;
    }
    model::GetAccountSettings::Output output;
    output.account_limit = model::AccountLimit{};
    output.account_limit->total_code_size = limits::kCodeStorageBytesMax;
    output.account_limit->code_size_unzipped = static_cast<int64_t>(limits::kUnzippedBytesMax);
    output.account_limit->code_size_zipped = static_cast<int64_t>(limits::kZipBytesMax);
    output.account_limit->concurrent_executions = concurrency_.account_max();
    // A quota made smaller than what was reserved under a larger one leaves none.
    output.account_limit->unreserved_concurrent_executions = std::max(0, unreserved);
    output.account_usage = model::AccountUsage{};
    output.account_usage->total_code_size = usage.code_bytes;
    output.account_usage->function_count = usage.functions;
    co_return output;
}

}  // namespace hearth::lambda
