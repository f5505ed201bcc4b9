#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"

#include <fmt/format.h>

namespace hearth::lambda {

Task<Result<LambdaService::PreparedCall>> LambdaService::PrepareCall(FunctionReference reference) {
    PreparedCall call;
    while (!call.code) {
        HEARTH_CO_TRY(call.resolved, co_await store_.Resolve(reference));
        auto opened = co_await code_.Open(call.resolved.function->code_id);
        if (opened.ok()) {
            call.code = *std::move(opened);
        } else if (opened.error().kind() != Error::Kind::kNotFound) {
            co_return std::move(opened).error();
        } else {
            // Dropped since we resolved: by now the function is another one, or gone.
            HEARTH_CO_TRY(const ResolvedFunction again, co_await store_.Resolve(reference));
            if (again.function->code_id == call.resolved.function->code_id) {
                co_return hearth::errors::Internal(
                    fmt::format("the code of {} is missing", call.resolved.invoked_arn));
            }
        }
    }
    if (HotReload::IsHot(*call.resolved.function)) {
        HEARTH_CO_TRY(
            HotReload::Current current, co_await hot_reload_.Look(call.resolved.function));
        call.resolved.function = std::move(current.function);
        if (current.changed) {
            co_await Retire(
                KeyOf(reference),
                call.resolved.function->version,
                call.resolved.function->revision);
        }
    }
    const FunctionVersion& function = *call.resolved.function;
    if (function.snap_start || (deps_.options.snapshot_latest && function.version == kLatest &&
                                !HotReload::IsHot(function))) {
        HEARTH_CO_TRY(
            call.snapshot,
            co_await snapshots_.ForCall(*call.resolved.function, call.resolved.function_id));
    }
    co_return call;
}

}  // namespace hearth::lambda
