#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/layer_name.h"
#include "services/lambda/layer_policy.h"
#include "services/lambda/marker.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

// Layers: zips that functions mount below /opt. A version never changes; what functions do with it
// is in layer_use.cc, who may use it in layer_policy.cc.
namespace hearth::lambda {
namespace {

// Who holds a layer version's code; no function's id, which is a UUID.
std::string HolderOf(const LayerKey& key) {
    return "layer " + key.name;
}

// What a layer may say it goes with: all runtimes that ever were, as functions of older layers ask
// for them in lists. The order is that of the service's model.
constexpr std::array kRuntimes = {
    std::string_view("nodejs"),          std::string_view("nodejs4.3"),
    std::string_view("nodejs6.10"),      std::string_view("nodejs8.10"),
    std::string_view("nodejs10.x"),      std::string_view("nodejs12.x"),
    std::string_view("nodejs14.x"),      std::string_view("nodejs16.x"),
    std::string_view("java8"),           std::string_view("java8.al2"),
    std::string_view("java11"),          std::string_view("python2.7"),
    std::string_view("python3.6"),       std::string_view("python3.7"),
    std::string_view("python3.8"),       std::string_view("python3.9"),
    std::string_view("dotnetcore1.0"),   std::string_view("dotnetcore2.0"),
    std::string_view("dotnetcore2.1"),   std::string_view("dotnetcore3.1"),
    std::string_view("dotnet6"),         std::string_view("dotnet8"),
    std::string_view("nodejs4.3-edge"),  std::string_view("go1.x"),
    std::string_view("ruby2.5"),         std::string_view("ruby2.7"),
    std::string_view("provided"),        std::string_view("provided.al2"),
    std::string_view("nodejs18.x"),      std::string_view("python3.10"),
    std::string_view("java17"),          std::string_view("ruby3.2"),
    std::string_view("ruby3.3"),         std::string_view("ruby3.4"),
    std::string_view("python3.11"),      std::string_view("nodejs20.x"),
    std::string_view("provided.al2023"), std::string_view("python3.12"),
    std::string_view("java21"),          std::string_view("python3.13"),
    std::string_view("nodejs22.x"),      std::string_view("nodejs24.x"),
    std::string_view("python3.14"),      std::string_view("java25"),
    std::string_view("dotnet10"),        std::string_view("ruby4.0"),
};

Status CheckRuntimes(const std::vector<std::string>& runtimes, std::string_view member) {
    const bool known = std::ranges::all_of(runtimes, [](const std::string& runtime) {
        return std::ranges::find(kRuntimes, runtime) != kRuntimes.end();
    });
    if (known) {
        return Status();
    }
    const bool list = member == "compatibleRuntimes";
    const std::string value = fmt::format("{}", fmt::join(runtimes, ", "));
    return errors::Validation(
        list ? "[" + value + "]" : value,
        member,
        fmt::format("Member must satisfy enum value set: [{}]", fmt::join(kRuntimes, ", ")));
}

Status CheckRuntime(const std::optional<std::string>& runtime) {
    return runtime ? CheckRuntimes({*runtime}, "compatibleRuntime") : Status();
}

bool Contains(const std::optional<std::vector<std::string>>& values, const std::string& wanted) {
    return values && std::ranges::find(*values, wanted) != values->end();
}

// What a list asks for: versions that say they go with a runtime or an architecture.
struct Filter {
    std::optional<std::string> runtime;
    std::optional<std::string> architecture;

    bool Matches(const LayerVersionRecord& record) const {
        return (!runtime || Contains(record.runtimes, *runtime)) &&
               (!architecture || Contains(record.architectures, *architecture));
    }
};

model::LayerVersionsListItem ShowInList(const LayerKey& key, const LayerVersionRecord& record) {
    model::LayerVersionsListItem item;
    item.layer_version_arn = LayerVersionArn(key.account, key.region, key.name, record.version);
    item.version = record.version;
    item.description = record.description;
    item.created_date = LambdaTimestamp(record.created);
    item.compatible_runtimes = record.runtimes;
    item.compatible_architectures = record.architectures;
    item.license_info = record.license;
    return item;
}

Error NotThere() {
    return errors::ResourceNotFound("The resource you requested does not exist.");
}

Status CheckVersionNumber(const std::optional<int64_t>& number) {
    if (number.value_or(0) < 1) {
        return errors::InvalidParameterValue("Layer Version Cannot be less than 1");
    }
    return Status();
}

}  // namespace

template <class Output>
Output LambdaService::ShowLayerVersion(
    const aws::RequestContext& context,
    const LayerKey& key,
    const LayerVersionRecord& record) const {
    Output output;
    output.content = model::LayerVersionContentOutput{};
    output.content->location = BlobLocation(context, record.code_blob);
    output.content->code_sha256 = record.code_sha256;
    output.content->code_size = record.code_size;
    output.layer_arn = LayerArn(key.account, key.region, key.name);
    output.layer_version_arn = LayerVersionArn(key.account, key.region, key.name, record.version);
    output.description = record.description;
    output.created_date = LambdaTimestamp(record.created);
    output.version = record.version;
    output.compatible_runtimes = record.runtimes;
    output.compatible_architectures = record.architectures;
    output.license_info = record.license;
    return output;
}

Result<LayerReference> LambdaService::OwnLayer(
    const aws::RequestContext& context,
    const std::optional<std::string>& name,
    const std::optional<int64_t>& version) const {
    if (version) {
        HEARTH_RETURN_IF_ERROR(CheckVersionNumber(version));
    }
    HEARTH_TRY(
        LayerReference reference,
        ParseLayerName(name.value_or(""), context.account, context.region));
    reference.version = version.value_or(0);
    if (reference.account != context.account) {
        return LayerAccessDenied(
            context,
            context.operation,
            version ? LayerVersionArn(reference.account, reference.region, reference.name, *version)
                    : LayerArn(reference.account, reference.region, reference.name));
    }
    if (reference.region != context.region) {
        return NotThere();
    }
    return reference;
}

Task<Result<model::PublishLayerVersion::Output>> LambdaService::PublishLayerVersion(
    aws::RequestContext& context, model::PublishLayerVersion::Input input) {
    HEARTH_CO_TRY(const LayerReference reference, OwnLayer(context, input.layer_name));
    const LayerKey key = KeyOf(reference);
    HEARTH_CO_RETURN_IF_ERROR(CheckRuntimes(
        input.compatible_runtimes.value_or(std::vector<std::string>()), "compatibleRuntimes"));
    std::string zip;
    model::LayerVersionContentInput content =
        std::move(input.content).value_or(model::LayerVersionContentInput());
    HEARTH_CO_TRY(
        CodePackage package,
        co_await FetchCode(
            context,
            content.zip_file,
            content.s3_bucket,
            content.s3_key,
            content.s3_object_version,
            std::nullopt,
            zip));
    if (!package.hot_reload_directory.empty()) {
        co_return errors::NotSupported("hot reloading of layers");
    }
    LayerVersionRecord record;
    record.description = input.description.value_or("");
    record.license = input.license_info;
    record.runtimes = input.compatible_runtimes;
    record.architectures = input.compatible_architectures;
    record.created = context.now;
    const CodeBody body = [&](FunctionTransaction& transaction,
                              const CodePackage& kept) -> Task<Status> {
        LayerTransaction layers(transaction.storage());
        HEARTH_CO_TRY(record.version, co_await layers.NextVersion(key));
        record.code_blob = kept.blob;
        record.code_sha256 = kept.sha256;
        record.code_size = kept.size;
        record.unzipped_size = kept.unzipped_size;
        layers.PutNextVersion(key, record.version + 1);
        layers.PutVersion(key, record);
        transaction.AddReference(
            key.account, key.region, record.code_sha256, HolderOf(key), record.version);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await TransactWithCode(
        {key.account, key.region, key.name}, std::move(package), std::move(zip), body));
    context.response_status = 201;
    co_return ShowLayerVersion<model::PublishLayerVersion::Output>(context, key, record);
}

Task<Result<std::optional<LayerVersionRecord>>> LambdaService::FindLayerVersion(
    const aws::RequestContext& context, LayerReference reference) {
    const LayerKey key = KeyOf(reference);
    const bool own = reference.account == context.account;
    std::optional<LayerVersionRecord> record;
    if (reference.region == context.region) {
        HEARTH_CO_TRY(record, co_await layers_.FindVersion(key, reference.version));
    }
    const std::string arn = LayerVersionArn(key.account, key.region, key.name, reference.version);
    // Whether a layer of another account exists is told to nobody who may not use it.
    if (!own && (!record || !LayerPolicyAllows(context, *record, arn))) {
        co_return LayerAccessDenied(context, "GetLayerVersion", arn);
    }
    co_return record;
}

Task<Result<model::GetLayerVersion::Output>> LambdaService::GetLayerVersion(
    aws::RequestContext& context, model::GetLayerVersion::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckVersionNumber(input.version_number));
    HEARTH_CO_TRY(
        LayerReference reference,
        ParseLayerName(input.layer_name.value_or(""), context.account, context.region));
    reference.version = *input.version_number;
    HEARTH_CO_TRY(const auto record, co_await FindLayerVersion(context, reference));
    if (!record) {
        co_return NotThere();
    }
    co_return ShowLayerVersion<model::GetLayerVersion::Output>(context, KeyOf(reference), *record);
}

Task<Result<model::GetLayerVersionByArn::Output>> LambdaService::GetLayerVersionByArn(
    aws::RequestContext& context, model::GetLayerVersionByArn::Input input) {
    HEARTH_CO_TRY(
        const LayerReference reference, ParseLayerVersionArn(input.arn.value_or(""), "arn"));
    HEARTH_CO_RETURN_IF_ERROR(CheckVersionNumber(reference.version));
    HEARTH_CO_TRY(const auto record, co_await FindLayerVersion(context, reference));
    if (!record) {
        co_return NotThere();
    }
    co_return ShowLayerVersion<model::GetLayerVersionByArn::Output>(
        context, KeyOf(reference), *record);
}

Task<Result<model::DeleteLayerVersion::Output>> LambdaService::DeleteLayerVersion(
    aws::RequestContext& context, model::DeleteLayerVersion::Input input) {
    HEARTH_CO_TRY(
        const LayerReference reference, OwnLayer(context, input.layer_name, input.version_number));
    const LayerKey key = KeyOf(reference);
    std::string unused;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        unused.clear();
        LayerTransaction layers(transaction.storage());
        HEARTH_CO_TRY(const auto record, co_await layers.FindVersion(key, reference.version));
        if (!record) {
            co_return Status();  // deleting twice is no error
        }
        layers.DeleteVersion(key, reference.version);
        HEARTH_CO_TRY(
            unused,
            co_await transaction.DropReference(
                key.account,
                key.region,
                record->code_sha256,
                record->code_blob,
                HolderOf(key),
                reference.version));
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    if (!unused.empty()) {
        co_await code_.Drop(std::move(unused));
    }
    context.response_status = 204;
    co_return model::DeleteLayerVersion::Output();
}

Task<Result<model::ListLayerVersions::Output>> LambdaService::ListLayerVersions(
    aws::RequestContext& context, model::ListLayerVersions::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckRuntime(input.compatible_runtime));
    HEARTH_CO_TRY(const LayerReference reference, OwnLayer(context, input.layer_name));
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    const LayerKey key = KeyOf(reference);
    const Filter filter{input.compatible_runtime, input.compatible_architecture};
    const size_t limit = PageSize(input.max_items);
    model::ListLayerVersions::Output output;
    output.layer_versions.emplace();
    // Below which number the walk goes on; 0: from the newest.
    int64_t before = std::max<int64_t>(at.number, 0);
    for (bool more = true; more;) {
        HEARTH_CO_TRY(const auto page, co_await layers_.ListVersions(key, before, limit));
        more = page.more;
        for (const LayerVersionRecord& record : page.versions) {
            if (filter.Matches(record)) {
                if (output.layer_versions->size() == limit) {
                    output.next_marker = EncodeMarker({key.name, before});
                    co_return output;
                }
                output.layer_versions->push_back(ShowInList(key, record));
            }
            before = record.version;
        }
    }
    co_return output;
}

Task<Result<model::ListLayers::Output>> LambdaService::ListLayers(
    aws::RequestContext& context, model::ListLayers::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckRuntime(input.compatible_runtime));
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    const Filter filter{input.compatible_runtime, input.compatible_architecture};
    const size_t limit = PageSize(input.max_items);
    // Most lists ask for no runtime, and then the newest version is the one.
    const size_t versions_at_once = filter.runtime || filter.architecture ? 20 : 1;
    model::ListLayers::Output output;
    output.layers.emplace();
    std::string after = at.name;
    for (bool more = true; more;) {
        HEARTH_CO_TRY(
            const auto page,
            co_await layers_.ListNames(context.account, context.region, after, limit));
        more = page.more;
        for (const std::string& name : page.names) {
            const LayerKey key{context.account, context.region, name};
            std::optional<LayerVersionRecord> newest;
            int64_t before = 0;
            for (bool older = true; older && !newest;) {
                HEARTH_CO_TRY(
                    const auto versions,
                    co_await layers_.ListVersions(key, before, versions_at_once));
                for (const LayerVersionRecord& record : versions.versions) {
                    if (filter.Matches(record)) {
                        newest = record;
                        break;
                    }
                    before = record.version;
                }
                older = versions.more;
            }
            if (newest) {
                if (output.layers->size() == limit) {
                    output.next_marker = EncodeMarker({after, 0});
                    co_return output;
                }
                model::LayersListItem item;
                item.layer_name = name;
                item.layer_arn = LayerArn(key.account, key.region, name);
                item.latest_matching_version = ShowInList(key, *newest);
                output.layers->push_back(std::move(item));
            }
            after = name;
        }
    }
    co_return output;
}

}  // namespace hearth::lambda
