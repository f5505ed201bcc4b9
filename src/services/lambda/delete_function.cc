#include "base/log.h"
#include "services/lambda/errors.h"
#include "services/lambda/event_invoke_config_store.h"
#include "services/lambda/lambda_service.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {

Task<Result<model::DeleteFunction::Output>> LambdaService::DeleteFunction(
    aws::RequestContext& context, model::DeleteFunction::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    context.response_status = 204;
    if (reference.qualifier == kLatest) {
        co_return errors::InvalidParameterValue(
            "$LATEST version cannot be deleted without deleting the function.");
    }
    if (!reference.qualifier.empty()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await DeleteVersion(key, reference.qualifier));
        co_return model::DeleteFunction::Output();
    }

    FunctionHead head;
    std::vector<std::string> unused;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto found, co_await transaction.FindHead(key));
        HEARTH_CO_TRY(const auto latest, co_await transaction.FindLatest(key));
        if (!found || !latest) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        head = *std::move(found);
        transaction.DeleteHead(key);
        transaction.DeleteLatest(key);
        transaction.DeleteReserve(key);
        transaction.PutGarbage(key, head.id);
        HEARTH_CO_TRY(unused, co_await transaction.DropReferences(*latest, head.id, 0));
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    // From here the function is gone, whatever happens to its remains.
    co_await async_.Drop(key, head.id);
    co_await Retire(key, {}, {});
    if (const Status loaded = co_await concurrency_.Load(key.account, key.region); !loaded.ok()) {
        log::Warn("lambda: reserves after deleting {}: {}", key.name, loaded.error().message());
    }
    co_await DropCode(std::move(unused));
    auto blobs = co_await store_.ClearGarbage(key, head.id);
    if (blobs.ok()) {
        co_await DropCode(*std::move(blobs));
    } else {
        // The next start ends it.
        log::Warn("lambda: deleting versions of {}: {}", key.name, blobs.error().message());
    }
    // Last: an image that is made meanwhile finds nothing that names it.
    co_await snapshots_.Removed(key, head.id, 0);
    co_return model::DeleteFunction::Output();
}

Task<Status> LambdaService::DeleteVersion(FunctionKey key, std::string qualifier) {
    std::vector<std::string> unused;
    std::string function_id;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        unused.clear();
        function_id.clear();
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        if (!IsVersionNumber(qualifier)) {
            co_return errors::InvalidParameterValue(
                "Deletion of aliases is not currently supported.");
        }
        const int64_t number = std::stoll(qualifier);
        HEARTH_CO_TRY(const auto record, co_await transaction.FindVersion(key, head->id, number));
        if (!record) {
            co_return Status();  // deleting twice is no error
        }
        std::string names;
        constexpr size_t kPage = 100;
        for (std::string after;;) {
            HEARTH_CO_TRY(
                const auto aliases, co_await transaction.Aliases(key, head->id, after, kPage));
            for (const AliasRecord& alias : aliases) {
                if (alias.function_version == qualifier || alias.routing.contains(qualifier)) {
                    names += names.empty() ? "" : ", ";
                    names += alias.name;
                }
            }
            if (aliases.size() < kPage) {
                break;
            }
            after = aliases.back().name;
        }
        if (!names.empty()) {
            co_return errors::ResourceConflict(fmt::format(
                "Unable to delete version because the following aliases reference it: [{}]",
                names));
        }
        transaction.DeleteVersion(key, head->id, number);
        transaction.DeletePolicy(key, head->id, qualifier);
        EventInvokeConfigTransaction(transaction.raw()).Delete(key, head->id, qualifier);
        if (record->snap_start) {
            function_id = head->id;
        }
        HEARTH_CO_TRY(unused, co_await transaction.DropReferences(*record, head->id, number));
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_await Retire(key, qualifier, {});
    if (!function_id.empty()) {
        co_await snapshots_.Removed(key, function_id, std::stoll(qualifier));
    }
    co_await DropCode(std::move(unused));
    co_return Status();
}

}  // namespace hearth::lambda
