#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {

Task<Result<model::CreateFunction::Output>> LambdaService::CreateFunction(
    aws::RequestContext& context, model::CreateFunction::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    if (!reference.qualifier.empty()) {
        co_return errors::InvalidParameterValue(
            fmt::format("The function name must not have a qualifier: {}", *input.function_name));
    }
    if (reference.name.size() > limits::kFunctionNameCharactersMax) {
        co_return errors::InvalidParameterValue(fmt::format(
            "1 validation error detected: Value '{}' at 'functionName' failed to satisfy "
            "constraint: Member must have length less than or equal to {}",
            reference.name,
            limits::kFunctionNameCharactersMax));
    }
    const FunctionKey key = KeyOf(reference);

    FunctionRecord record;
    record.account = key.account;
    record.region = key.region;
    record.name = key.name;
    record.version = kLatest;
    record.log_group = "/aws/lambda/" + key.name;
    record.architecture = kMachineArchitecture;
    std::vector<std::string> ignored;
    HEARTH_CO_RETURN_IF_ERROR(ApplySettings(input, Mode(), record, ignored));
    FunctionHead head;
    HEARTH_CO_RETURN_IF_ERROR(
        AddTags(input.tags.value_or(std::map<std::string, std::string>()), head.tags));
    HEARTH_CO_RETURN_IF_ERROR(co_await CheckRole(context, record.role));
    HEARTH_CO_RETURN_IF_ERROR(co_await CheckDeadLetter(reference, record.dead_letter_target));

    // Before the zip is looked at: unpacking is the dear part.
    HEARTH_CO_TRY(const auto existing, co_await store_.FindHead(key));
    if (existing) {
        co_return errors::ResourceConflict("Function already exist: " + key.name);
    }
    if (input.layers) {
        // Looked at once more with the code in hand; here, because unpacking is the dear part.
        const FunctionStore::Body look = [&](FunctionTransaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                record.layers,
                co_await ResolveLayers(context, transaction, *input.layers, ignored));
            co_return CheckUnzippedSize(record);
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(look));
    }
    std::string zip;
    model::FunctionCode code = std::move(input.code).value_or(model::FunctionCode());
    if (code.source_kms_key_arn && !code.source_kms_key_arn->empty()) {
        co_return errors::NotSupported("SourceKMSKeyArn");
    }
    HEARTH_CO_TRY(
        CodePackage package,
        co_await FetchCode(
            context,
            code.zip_file,
            code.s3_bucket,
            code.s3_key,
            code.s3_object_version,
            code.image_uri,
            zip));

    head.id = deps_.random.Uuid();
    record.revision_id = deps_.random.Uuid();
    record.environment_revision = deps_.random.Uuid();
    record.last_modified = context.now;
    const FunctionHead new_head = head;
    const FunctionRecord new_record = record;
    const bool publish = input.publish.value_or(false);
    const CodeBody body = [&](FunctionTransaction& transaction,
                              const CodePackage& kept) -> Task<Status> {
        HEARTH_CO_TRY(const auto other, co_await transaction.FindHead(key));
        if (other) {
            co_return errors::ResourceConflict("Function already exist: " + key.name);
        }
        head = new_head;
        FunctionRecord latest = new_record;
        kept.WriteTo(latest);
        if (input.layers) {
            HEARTH_CO_TRY(
                latest.layers,
                co_await ResolveLayers(context, transaction, *input.layers, ignored));
        }
        HEARTH_CO_RETURN_IF_ERROR(CheckUnzippedSize(latest));
        transaction.AddCodeReference(latest, head.id, 0);
        if (publish) {
            HEARTH_CO_TRY(
                Publication publication,
                co_await Publish(transaction, key, head, latest, std::nullopt, context.now));
            record = std::move(publication.record);
            co_return Status();
        }
        transaction.PutHead(key, head);
        transaction.PutLatest(latest);
        record = std::move(latest);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(
        co_await TransactWithCode(key, std::move(package), std::move(zip), body));
    NameIgnored(context, ignored);
    if (publish && record.snap_start) {
        snapshots_.Published();
    }
    context.response_status = 201;
    co_return ShowConfiguration(record, {}, Shown::kCreating);
}

}  // namespace hearth::lambda
