#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"
#include "services/lambda/marker.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

namespace hearth::lambda {

Task<Result<model::ListFunctions::Output>> LambdaService::ListFunctions(
    aws::RequestContext& context, model::ListFunctions::Input input) {
    HEARTH_CO_TRY(Marker at, DecodeMarker(input.marker));
    const size_t limit = PageSize(input.max_items);
    model::ListFunctions::Output output;
    output.functions.emplace();
    if (input.master_region) {
        // Replicas of Lambda@Edge functions: there are none.
        co_return output;
    }
    const bool all_versions = input.function_version.has_value();
    // Without versions: one page. With them: function by function, `at.number` being the next
    // version of `at.name` (0: $LATEST was not shown yet).
    if (!all_versions) {
        HEARTH_CO_TRY(
            const auto page,
            co_await store_.ListLatest(context.account, context.region, at.name, limit));
        for (const FunctionRecord& record : page.functions) {
            output.functions->push_back(ShowConfiguration(record, {}, Shown::kInList));
        }
        if (page.more) {
            output.next_marker = EncodeMarker({page.functions.back().name, 0});
        }
        co_return output;
    }
    std::string after = at.name;
    std::string name = at.number > 0 ? at.name : std::string();
    int64_t number = at.number;
    for (;;) {
        if (name.empty()) {
            HEARTH_CO_TRY(
                const auto page,
                co_await store_.ListLatest(context.account, context.region, after, 1));
            if (page.functions.empty()) {
                co_return output;
            }
            if (output.functions->size() == limit) {
                output.next_marker = EncodeMarker({after, 0});
                co_return output;
            }
            name = page.functions.front().name;
            number = 1;
            output.functions->push_back(
                ShowConfiguration(page.functions.front(), kLatest, Shown::kInList));
        }
        const FunctionKey key{context.account, context.region, name};
        HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
        if (head) {
            const size_t room = limit - output.functions->size();
            HEARTH_CO_TRY(
                const auto page,
                co_await store_.ListVersions(key, head->id, number, std::max<size_t>(room, 1)));
            if (room == 0 && !page.functions.empty()) {
                output.next_marker = EncodeMarker({name, number});
                co_return output;
            }
            for (const FunctionRecord& record : page.functions) {
                output.functions->push_back(
                    ShowConfiguration(record, record.version, Shown::kInList));
            }
            if (page.more) {
                output.next_marker =
                    EncodeMarker({name, std::stoll(page.functions.back().version) + 1});
                co_return output;
            }
        }
        after = name;
        name.clear();
    }
}

Task<Result<model::ListVersionsByFunction::Output>> LambdaService::ListVersionsByFunction(
    aws::RequestContext& context, model::ListVersionsByFunction::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
    HEARTH_CO_TRY(const auto latest, co_await store_.FindLatest(key));
    if (!head || !latest) {
        co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
    }
    size_t limit = PageSize(input.max_items);
    model::ListVersionsByFunction::Output output;
    output.versions.emplace();
    if (at.number == 0) {
        output.versions->push_back(ShowConfiguration(*latest, kLatest, Shown::kInList));
        --limit;
    }
    const int64_t first = std::max<int64_t>(at.number, 1);
    HEARTH_CO_TRY(
        const auto page,
        co_await store_.ListVersions(key, head->id, first, std::max<size_t>(limit, 1)));
    if (limit == 0) {
        if (!page.functions.empty()) {
            output.next_marker = EncodeMarker({key.name, first});
        }
        co_return output;
    }
    for (const FunctionRecord& record : page.functions) {
        output.versions->push_back(ShowConfiguration(record, record.version, Shown::kInList));
        HEARTH_CO_RETURN_IF_ERROR(
            co_await snapshots_.Show(record, head->id, true, output.versions->back()));
    }
    if (page.more) {
        output.next_marker =
            EncodeMarker({key.name, std::stoll(page.functions.back().version) + 1});
    }
    co_return output;
}

}  // namespace hearth::lambda
