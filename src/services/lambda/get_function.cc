#include "services/lambda/lambda_service.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

namespace hearth::lambda {

Task<Result<model::GetFunction::Output>> LambdaService::GetFunction(
    aws::RequestContext& context, model::GetFunction::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    HEARTH_CO_TRY(const Found found, co_await Find(reference));
    model::GetFunction::Output output;
    output.configuration = ShowConfiguration(*found.record, reference.qualifier, Shown::kSettled);
    HEARTH_CO_RETURN_IF_ERROR(
        co_await snapshots_.Show(*found.record, found.head.id, false, *output.configuration));
    output.code = model::FunctionCodeLocation{};
    output.code->repository_type = "S3";
    output.code->location = CodeLocation(context, *found.record);
    HEARTH_CO_TRY(const auto reserve, co_await store_.FindReserve(KeyOf(reference)));
    if (reserve) {
        output.concurrency = model::Concurrency{};
        output.concurrency->reserved_concurrent_executions = *reserve;
    }
    if (!found.head.tags.empty()) {
        output.tags = found.head.tags;
    }
    co_return output;
}

Task<Result<model::GetFunctionConfiguration::Output>> LambdaService::GetFunctionConfiguration(
    aws::RequestContext& context, model::GetFunctionConfiguration::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    HEARTH_CO_TRY(const Found found, co_await Find(reference));
    auto shown = ShowConfiguration(*found.record, reference.qualifier, Shown::kSettled);
    HEARTH_CO_RETURN_IF_ERROR(co_await snapshots_.Show(*found.record, found.head.id, false, shown));
    co_return shown;
}

}  // namespace hearth::lambda
