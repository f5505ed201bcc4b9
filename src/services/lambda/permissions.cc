#include "services/lambda/errors.h"
#include "services/lambda/function_policy.h"
#include "services/lambda/lambda_service.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

namespace hearth::lambda {
namespace {

Error NoPolicy() {
    return errors::ResourceNotFound("No policy is associated with the given resource.");
}

// AWS's two operations word it differently; errors::RevisionMismatch is the other one's.
Error PolicyRevisionMismatch() {
    return Error(
               Error::Kind::kConflict,
               "PreconditionFailedException",
               "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy "
               "API to retrieve the latest Revision Id",
               412)
        .WithField("Type", "User");
}

// What a policy is attached to: $LATEST, a version, or an alias. Its RevisionId is the policy's
// too, and every change of the policy makes a new one.
struct Attached {
    FunctionHead head;
    std::optional<FunctionRecord> record;
    std::optional<AliasRecord> alias;

    std::string& revision_id() { return alias ? alias->revision_id : record->revision_id; }
};

Task<Result<Attached>> FindAttached(
    FunctionTransaction& transaction, const FunctionKey& key, const std::string& qualifier) {
    Attached found;
    HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
    }
    found.head = *std::move(head);
    const std::string arn = FunctionArn(key.account, key.region, key.name, qualifier);
    if (qualifier.empty() || qualifier == kLatest) {
        HEARTH_CO_TRY(found.record, co_await transaction.FindLatest(key));
    } else if (IsVersionNumber(qualifier)) {
        HEARTH_CO_TRY(
            found.record,
            co_await transaction.FindVersion(key, found.head.id, std::stoll(qualifier)));
    } else {
        HEARTH_CO_TRY(found.alias, co_await transaction.FindAlias(key, found.head.id, qualifier));
        if (!found.alias) {
            co_return errors::AliasNotFound(arn);
        }
        co_return found;
    }
    if (!found.record) {
        co_return errors::FunctionNotFound(arn);
    }
    co_return found;
}

void PutAttached(
    FunctionTransaction& transaction,
    const FunctionKey& key,
    const std::string& qualifier,
    const Attached& attached) {
    if (attached.alias) {
        transaction.PutAlias(key, attached.head.id, *attached.alias);
    } else if (qualifier.empty()) {
        transaction.PutLatest(*attached.record);
    } else {
        transaction.PutVersion(key, attached.head.id, std::stoll(qualifier), *attached.record);
    }
}

// The action that an operation needs; most have one of their own name.
std::string ActionOf(std::string_view operation) {
    const bool invokes = operation == "Invoke" || operation == "InvokeAsync" ||
                         operation == "InvokeWithResponseStream";
    return fmt::format("lambda:{}", invokes ? "InvokeFunction" : operation);
}

}  // namespace

Task<Result<model::AddPermission::Output>> LambdaService::AddPermission(
    aws::RequestContext& context, model::AddPermission::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    if (reference.qualifier == kLatest) {
        co_return errors::InvalidParameterValue(
            "We currently do not support adding policies for $LATEST.");
    }
    const std::string revision_id = deps_.random.Uuid();
    model::AddPermission::Output output;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            Attached attached, co_await FindAttached(transaction, key, reference.qualifier));
        if (input.revision_id && *input.revision_id != attached.revision_id()) {
            co_return PolicyRevisionMismatch();
        }
        HEARTH_CO_TRY(
            const auto document,
            co_await transaction.FindPolicy(key, attached.head.id, reference.qualifier));
        HEARTH_CO_TRY(
            output.statement,
            PermissionStatement(
                input,
                FunctionArn(
                    reference.account, reference.region, reference.name, reference.qualifier)));
        HEARTH_CO_TRY(
            const std::string changed,
            AddStatement(document.value_or(""), *input.statement_id, *output.statement));
        transaction.PutPolicy(key, attached.head.id, reference.qualifier, changed);
        attached.revision_id() = revision_id;
        PutAttached(transaction, key, reference.qualifier, attached);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 201;
    co_return output;
}

Task<Result<model::GetPolicy::Output>> LambdaService::GetPolicy(
    aws::RequestContext& context, model::GetPolicy::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        co_await SharedReference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    model::GetPolicy::Output output;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            Attached attached, co_await FindAttached(transaction, key, reference.qualifier));
        HEARTH_CO_TRY(
            output.policy,
            co_await transaction.FindPolicy(key, attached.head.id, reference.qualifier));
        if (!output.policy) {
            co_return NoPolicy();
        }
        output.revision_id = attached.revision_id();
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    co_return output;
}

Task<Result<model::RemovePermission::Output>> LambdaService::RemovePermission(
    aws::RequestContext& context, model::RemovePermission::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    const std::string revision_id = deps_.random.Uuid();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::ResourceNotFound(fmt::format(
                "No policy found for: {}", FunctionArn(key.account, key.region, key.name)));
        }
        HEARTH_CO_TRY(
            Attached attached, co_await FindAttached(transaction, key, reference.qualifier));
        HEARTH_CO_TRY(
            const auto document,
            co_await transaction.FindPolicy(key, attached.head.id, reference.qualifier));
        if (!document) {
            co_return NoPolicy();
        }
        HEARTH_CO_TRY(const std::string changed, RemoveStatement(*document, *input.statement_id));
        if (input.revision_id && *input.revision_id != attached.revision_id()) {
            co_return errors::RevisionMismatch();
        }
        if (changed.empty()) {
            transaction.DeletePolicy(key, attached.head.id, reference.qualifier);
        } else {
            transaction.PutPolicy(key, attached.head.id, reference.qualifier, changed);
        }
        attached.revision_id() = revision_id;
        PutAttached(transaction, key, reference.qualifier, attached);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 204;
    co_return model::RemovePermission::Output();
}

Task<Result<FunctionReference>> LambdaService::SharedReference(
    const aws::RequestContext& context,
    const std::optional<std::string>& function_name,
    const std::optional<std::string>& qualifier) {
    HEARTH_CO_TRY(
        FunctionReference reference,
        ParseFunctionName(
            function_name.value_or(""), qualifier.value_or(""), context.account, context.region));
    if (reference.account == context.account) {
        co_return reference;
    }
    HEARTH_CO_TRY(
        const auto document, co_await store_.FindPolicy(KeyOf(reference), reference.qualifier));
    if (document &&
        PrincipalMayCall(
            *document,
            FunctionArn(reference.account, reference.region, reference.name, reference.qualifier),
            ActionOf(context.operation),
            context.caller.arn,
            context.caller.account.text(),
            context.now)) {
        co_return reference;
    }
    co_return NotShared(context, reference);
}

Error LambdaService::NotShared(
    const aws::RequestContext& context, const FunctionReference& reference) {
    const std::string action = ActionOf(context.operation);
    return errors::AccessDenied(fmt::format(
        "User: {} is not authorized to perform: {} on resource: {} because no resource-based "
        "policy allows the {} action",
        context.caller.arn,
        action,
        FunctionArn(reference.account, reference.region, reference.name, reference.qualifier),
        action));
}

Task<Result<bool>> LambdaService::MayInvoke(
    FunctionReference reference, InvokingService service, WallClock::time_point now) {
    HEARTH_CO_TRY(
        const auto document, co_await store_.FindPolicy(KeyOf(reference), reference.qualifier));
    co_return document&& ServiceMayInvoke(
        *document,
        FunctionArn(reference.account, reference.region, reference.name, reference.qualifier),
        service,
        now);
}

}  // namespace hearth::lambda
