#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {

Task<Result<LambdaService::Publication>> LambdaService::Publish(
    FunctionTransaction& transaction,
    const FunctionKey& key,
    FunctionHead& head,
    FunctionRecord& latest,
    const std::optional<std::string>& description,
    WallClock::time_point now) {
    Publication publication;
    const std::string fingerprint = Fingerprint(latest);
    if (head.published_fingerprint == fingerprint && head.next_version > 1) {
        HEARTH_CO_TRY(
            auto last, co_await transaction.FindVersion(key, head.id, head.next_version - 1));
        if (last) {
            transaction.PutHead(key, head);
            transaction.PutLatest(latest);
            publication.record = *std::move(last);
            publication.is_new = false;
            co_return publication;
        }
    }
    const int64_t number = head.next_version++;
    head.published_fingerprint = fingerprint;
    publication.record = latest;
    publication.record.version = fmt::format("{}", number);
    publication.record.revision_id = deps_.random.Uuid();
    publication.record.environment_revision = deps_.random.Uuid();
    publication.record.last_modified = now;
    if (description) {
        publication.record.description = *description;
    }
    transaction.PutVersion(key, head.id, number, publication.record);
    transaction.AddCodeReference(publication.record, head.id, number);
    if (publication.record.snap_start) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await snapshots_.PutPending(transaction, key, head.id, number));
    }
    // A publication is a change of $LATEST for RevisionId, though not for its environments.
    latest.revision_id = deps_.random.Uuid();
    transaction.PutHead(key, head);
    transaction.PutLatest(latest);
    co_return publication;
}

Task<Result<model::PublishVersion::Output>> LambdaService::PublishVersion(
    aws::RequestContext& context, model::PublishVersion::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    if (input.publish_to) {
        co_return errors::NotSupported("PublishTo");
    }
    Publication publication;
    std::string function_id;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        HEARTH_CO_TRY(auto latest, co_await transaction.FindLatest(key));
        if (!head || !latest) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        function_id = head->id;
        if (input.revision_id && *input.revision_id != latest->revision_id) {
            co_return errors::RevisionMismatch();
        }
        if (input.code_sha256 && !input.code_sha256->empty() &&
            *input.code_sha256 != latest->code_sha256) {
            co_return errors::InvalidParameterValue(fmt::format(
                "CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({}). Please "
                "try again with the CodeSHA256 in $LATEST.",
                *input.code_sha256,
                latest->code_sha256));
        }
        HEARTH_CO_TRY(
            publication,
            co_await Publish(transaction, key, *head, *latest, input.description, context.now));
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 201;
    auto shown = ShowConfiguration(
        publication.record,
        publication.record.version,
        publication.is_new ? Shown::kCreating : Shown::kSettled);
    if (publication.is_new) {
        snapshots_.Published();
    } else {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await snapshots_.Show(publication.record, function_id, false, shown));
    }
    co_return shown;
}

}  // namespace hearth::lambda
