#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {

Task<Result<model::UpdateFunctionCode::Output>> LambdaService::UpdateFunctionCode(
    aws::RequestContext& context, model::UpdateFunctionCode::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_RETURN_IF_ERROR(RefuseQualifier(reference));
    HEARTH_CO_TRY(const auto present, co_await store_.FindLatest(key));
    if (!present) {
        co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
    }
    if (input.revision_id && *input.revision_id != present->revision_id) {
        co_return errors::RevisionMismatch();
    }
    if (input.image_uri) {
        co_return errors::InvalidParameterValue(
            "Please don't provide ImageUri when updating a function with packageType Zip.");
    }
    if (input.source_kms_key_arn && !input.source_kms_key_arn->empty()) {
        co_return errors::NotSupported("SourceKMSKeyArn");
    }
    if (input.publish_to) {
        co_return errors::NotSupported("PublishTo");
    }
    std::string zip;
    HEARTH_CO_TRY(
        CodePackage package,
        co_await FetchCode(
            context,
            input.zip_file,
            input.s3_bucket,
            input.s3_key,
            input.s3_object_version,
            input.image_uri,
            zip));
    std::vector<std::string> ignored;
    {
        FunctionRecord probe = *present;
        HEARTH_CO_RETURN_IF_ERROR(ApplyArchitectures(input.architectures, Mode(), probe, ignored));
    }
    const bool dry_run = input.dry_run.value_or(false);
    const bool publish = input.publish.value_or(false) && !dry_run;
    if (dry_run) {
        // The same checks of the zip and the same answer, nothing kept.
        if (package.hot_reload_directory.empty()) {
            HEARTH_CO_TRY(package.unzipped_size, co_await code_.Check(zip));
        }
        FunctionRecord probe = *present;
        HEARTH_CO_RETURN_IF_ERROR(ApplyArchitectures(input.architectures, Mode(), probe, ignored));
        package.WriteTo(probe);
        HEARTH_CO_RETURN_IF_ERROR(CheckUnzippedSize(probe));
        NameIgnored(context, ignored);
        co_return ShowConfiguration(probe, {}, Shown::kSettled);
    }

    FunctionRecord latest;
    FunctionRecord shown;
    std::string unused;
    const std::string revision_id = deps_.random.Uuid();
    const std::string environment_revision = deps_.random.Uuid();
    const CodeBody body = [&](FunctionTransaction& transaction,
                              const CodePackage& kept) -> Task<Status> {
        unused.clear();
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        HEARTH_CO_TRY(auto found, co_await transaction.FindLatest(key));
        if (!head || !found) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        if (input.revision_id && *input.revision_id != found->revision_id) {
            co_return errors::RevisionMismatch();
        }
        const FunctionRecord before = *found;
        latest = *std::move(found);
        std::vector<std::string> again;
        HEARTH_CO_RETURN_IF_ERROR(ApplyArchitectures(input.architectures, Mode(), latest, again));
        kept.WriteTo(latest);
        HEARTH_CO_RETURN_IF_ERROR(CheckUnzippedSize(latest));
        latest.revision_id = revision_id;
        latest.environment_revision = environment_revision;
        latest.last_modified = context.now;
        transaction.AddCodeReference(latest, head->id, 0);
        if (before.code_blob != latest.code_blob) {
            HEARTH_CO_TRY(unused, co_await transaction.DropCodeReference(before, head->id, 0));
        }
        shown = latest;
        if (publish) {
            HEARTH_CO_TRY(
                Publication publication,
                co_await Publish(transaction, key, *head, latest, std::nullopt, context.now));
            shown = std::move(publication.record);
            co_return Status();
        }
        transaction.PutLatest(latest);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(
        co_await TransactWithCode(key, std::move(package), std::move(zip), body));
    co_await Retire(key, std::string(kLatest), latest.environment_revision);
    if (!unused.empty()) {
        co_await code_.Drop(std::move(unused));
    }
    NameIgnored(context, ignored);
    if (publish && shown.snap_start) {
        snapshots_.Published();
    }
    // A new version with SnapStart is not there yet.
    const bool pending = publish && shown.snap_start;
    co_return ShowConfiguration(
        shown,
        publish ? shown.version : std::string(),
        pending ? Shown::kCreating : Shown::kUpdating);
}

Task<Result<model::UpdateFunctionConfiguration::Output>> LambdaService::UpdateFunctionConfiguration(
    aws::RequestContext& context, model::UpdateFunctionConfiguration::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_RETURN_IF_ERROR(RefuseQualifier(reference));
    if (input.role) {
        HEARTH_CO_RETURN_IF_ERROR(co_await CheckRole(context, *input.role));
    }
    if (input.dead_letter_config) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await CheckDeadLetter(reference, input.dead_letter_config->target_arn.value_or("")));
    }
    FunctionRecord latest;
    std::vector<std::string> ignored;
    std::vector<std::string> unused;
    const std::string revision_id = deps_.random.Uuid();
    const std::string environment_revision = deps_.random.Uuid();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        ignored.clear();
        unused.clear();
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        HEARTH_CO_TRY(auto found, co_await transaction.FindLatest(key));
        if (!head || !found) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        if (input.revision_id && *input.revision_id != found->revision_id) {
            co_return errors::RevisionMismatch();
        }
        latest = *std::move(found);
        HEARTH_CO_RETURN_IF_ERROR(ApplySettings(input, Mode(), latest, ignored));
        if (input.layers) {
            HEARTH_CO_TRY(
                auto layers, co_await ResolveLayers(context, transaction, *input.layers, ignored));
            HEARTH_CO_TRY(
                unused, co_await ReplaceLayers(transaction, head->id, latest, std::move(layers)));
            HEARTH_CO_RETURN_IF_ERROR(CheckUnzippedSize(latest));
        }
        latest.revision_id = revision_id;
        latest.environment_revision = environment_revision;
        latest.last_modified = context.now;
        transaction.PutLatest(latest);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_await Retire(key, std::string(kLatest), latest.environment_revision);
    co_await DropCode(std::move(unused));
    NameIgnored(context, ignored);
    co_return ShowConfiguration(latest, {}, Shown::kUpdating);
}

}  // namespace hearth::lambda
