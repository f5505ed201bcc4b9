#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/layer_name.h"
#include "services/lambda/layer_policy.h"
#include "services/lambda/limits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

// The layers of a function: which it may have, and how large all of it may be.
namespace hearth::lambda {

Task<Result<std::vector<LayerUse>>> LambdaService::ResolveLayers(
    const aws::RequestContext& context,
    FunctionTransaction& transaction,
    const std::vector<std::string>& arns,
    std::vector<std::string>& ignored) {
    if (arns.size() > limits::kLayersMax) {
        co_return errors::InvalidParameterValue(
            fmt::format("Cannot reference more than {} layers.", limits::kLayersMax));
    }
    LayerTransaction layers(transaction.storage());
    std::vector<LayerUse> uses;
    std::map<std::string, std::string> versions;
    for (const std::string& arn : arns) {
        const auto reference = ParseLayerVersionArn(arn, "layers");
        if (!reference.ok()) {
            co_return errors::Validation(
                fmt::format("[{}]", fmt::join(arns, ", ")),
                "layers",
                "Member must satisfy constraint: [Member must have length less than or equal to "
                "140, Member must have length greater than or equal to 1, Member must satisfy "
                "regular expression pattern: "
                "(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|"
                "(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), Member must not be null]");
        }
        const LayerKey key = KeyOf(*reference);
        const bool own = reference->account == context.account;
        const bool near = reference->region == context.region;
        if (own && !near) {
            co_return errors::InvalidParameterValue(fmt::format(
                "Layers are not in the same region as the function. Layers are expected to be in "
                "region {}.",
                context.region.text()));
        }
        std::optional<LayerVersionRecord> record;
        if (near) {
            HEARTH_CO_TRY(record, co_await layers.FindVersion(key, reference->version));
        }
        const bool elsewhere = !own && !record && Mode().lenient;
        if (!own && !elsewhere && (!record || !LayerPolicyAllows(context, *record, arn))) {
            co_return LayerAccessDenied(context, "GetLayerVersion", arn);
        }
        if (!record && !elsewhere) {
            co_return errors::InvalidParameterValue(
                fmt::format("Layer version {} does not exist.", arn));
        }
        const auto [other, first] =
            versions.emplace(LayerArn(key.account, key.region, key.name), arn);
        if (!first) {
            co_return errors::InvalidParameterValue(fmt::format(
                "Two different versions of the same layer are not allowed to be referenced in "
                "the same function. {} and {} are versions of the same layer.",
                other->second,
                arn));
        }
        if (elsewhere) {
            uses.push_back({.arn = arn});
            if (std::ranges::find(ignored, "Layers") == ignored.end()) {
                ignored.emplace_back("Layers");
            }
            continue;
        }
        uses.push_back(
            {.arn = LayerVersionArn(key.account, key.region, key.name, reference->version),
             .code_blob = record->code_blob,
             .code_sha256 = record->code_sha256,
             .code_size = record->code_size,
             .unzipped_size = record->unzipped_size});
    }
    co_return uses;
}

Status LambdaService::CheckUnzippedSize(const FunctionRecord& record) {
    const auto limit = static_cast<int64_t>(limits::kUnzippedBytesMax);
    int64_t bytes = 0;
    for (const LayerUse& layer : record.layers) {
        bytes += layer.unzipped_size;
    }
    if (bytes > limit) {
        return errors::InvalidParameterValue(
            fmt::format("Layers consume more than the available size of {} bytes", limit));
    }
    bytes += record.code_unzipped_size;
    if (!record.layers.empty() && bytes > limit) {
        return errors::InvalidParameterValue(fmt::format(
            "Function code combined with layers exceeds the maximum allowed size of {} bytes. The "
            "actual size is {} bytes.",
            limit,
            bytes));
    }
    return Status();
}

Task<Result<std::vector<std::string>>> LambdaService::ReplaceLayers(
    FunctionTransaction& transaction,
    const std::string& function_id,
    FunctionRecord& latest,
    std::vector<LayerUse> layers) {
    const std::vector<LayerUse> before = std::exchange(latest.layers, std::move(layers));
    transaction.AddCodeReference(latest, function_id, 0);
    std::vector<std::string> unused;
    for (const LayerUse& layer : before) {
        const bool kept =
            std::ranges::find(latest.layers, layer.arn, &LayerUse::arn) != latest.layers.end();
        if (!kept) {
            HEARTH_CO_TRY(
                std::string blob, co_await transaction.DropLayerReference(layer, function_id, 0));
            if (!blob.empty()) {
                unused.push_back(std::move(blob));
            }
        }
    }
    co_return unused;
}

}  // namespace hearth::lambda
