#include "services/lambda/layer_policy.h"

#include "aws/auth/policy/policy.h"
#include "aws/front/context.h"
#include "codec/json/json.h"
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/layer_name.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::lambda {
namespace {

// Of the policy's text. Source: "Lambda quotas", resource-based policy.
constexpr size_t kPolicyBytesMax = 20'480;
constexpr std::string_view kAction = "lambda:GetLayerVersion";

void WriteStatement(
    codec::JsonWriter& writer, const LayerStatement& statement, std::string_view arn) {
    writer.BeginObject();
    writer.Key("Sid");
    writer.String(statement.id);
    writer.Key("Effect");
    writer.String("Allow");
    writer.Key("Principal");
    if (statement.principal == "*") {
        writer.String("*");
    } else {
        writer.BeginObject();
        writer.Key("AWS");
        writer.String(
            statement.principal.starts_with("arn:")
                ? statement.principal
                : fmt::format("arn:aws:iam::{}:root", statement.principal));
        writer.EndObject();
    }
    writer.Key("Action");
    writer.String(kAction);
    writer.Key("Resource");
    writer.String(arn);
    if (!statement.organization.empty()) {
        writer.Key("Condition");
        writer.BeginObject();
        writer.Key("StringEquals");
        writer.BeginObject();
        writer.Key("aws:PrincipalOrgID");
        writer.String(statement.organization);
        writer.EndObject();
        writer.EndObject();
    }
    writer.EndObject();
}

Error PolicyRevisionMismatch() {
    return Error(
               Error::Kind::kConflict,
               "PreconditionFailedException",
               "The Revision Id provided does not match the latest Revision Id. Call the "
               "GetLayerPolicy API to retrieve the latest Revision Id",
               412)
        .WithField("Type", "User");
}

Error PolicyTooLong(size_t bytes) {
    return Error(
               Error::Kind::kInvalid,
               "PolicyLengthExceededException",
               fmt::format(
                   "The final policy size ({}) is bigger than the limit ({}).",
                   bytes,
                   kPolicyBytesMax),
               400)
        .WithField("Type", "User");
}

}  // namespace

std::string LayerStatementText(const LayerStatement& statement, std::string_view arn) {
    codec::JsonWriter writer;
    WriteStatement(writer, statement, arn);
    return writer.Take();
}

std::string LayerPolicyText(const LayerVersionRecord& record, std::string_view arn) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("Version");
    writer.String("2012-10-17");
    writer.Key("Id");
    writer.String("default");
    writer.Key("Statement");
    writer.BeginArray();
    for (const LayerStatement& statement : record.statements) {
        WriteStatement(writer, statement, arn);
    }
    writer.EndArray();
    writer.EndObject();
    return writer.Take();
}

bool LayerPolicyAllows(
    const aws::RequestContext& context, const LayerVersionRecord& record, std::string_view arn) {
    if (record.statements.empty()) {
        return false;
    }
    aws::AccessRequest request;
    request.principal.arn = context.caller.arn;
    // In open mode a caller nobody knows acts as the root of the account it names.
    request.principal.account = context.account.text();
    request.action = kAction;
    request.resource = arn;
    request.SetStandardKeys(context.now);
    return aws::Evaluate(LayerPolicyText(record, arn), request) == aws::Verdict::kAllow;
}

Error LayerAccessDenied(
    const aws::RequestContext& context, std::string_view operation, std::string_view arn) {
    return errors::AccessDenied(fmt::format(
        "User: {} is not authorized to perform: lambda:{} on resource: {} because no "
        "resource-based policy allows the lambda:{} action",
        context.caller.arn,
        operation,
        arn,
        operation));
}

Task<Result<model::AddLayerVersionPermission::Output>> LambdaService::AddLayerVersionPermission(
    aws::RequestContext& context, model::AddLayerVersionPermission::Input input) {
    HEARTH_CO_TRY(
        const LayerReference reference, OwnLayer(context, input.layer_name, input.version_number));
    const LayerKey key = KeyOf(reference);
    const std::string arn = LayerVersionArn(key.account, key.region, key.name, reference.version);
    const LayerStatement statement{
        .id = *input.statement_id,
        .principal = *input.principal,
        .organization = input.organization_id.value_or("")};
    const std::string revision = deps_.random.Uuid();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        LayerTransaction layers(transaction.storage());
        HEARTH_CO_TRY(auto record, co_await layers.FindVersion(key, reference.version));
        if (!record) {
            co_return errors::ResourceNotFound(
                fmt::format("Layer version {} does not exist.", arn));
        }
        if (std::ranges::find(record->statements, statement.id, &LayerStatement::id) !=
            record->statements.end()) {
            co_return errors::ResourceConflict(fmt::format(
                "The statement id ({}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement.",
                statement.id));
        }
        if (input.revision_id && *input.revision_id != record->policy_revision) {
            co_return PolicyRevisionMismatch();
        }
        record->statements.push_back(statement);
        if (const size_t bytes = LayerPolicyText(*record, arn).size(); bytes > kPolicyBytesMax) {
            co_return PolicyTooLong(bytes);
        }
        record->policy_revision = revision;
        layers.PutVersion(key, *record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 201;
    model::AddLayerVersionPermission::Output output;
    output.statement = LayerStatementText(statement, arn);
    output.revision_id = revision;
    co_return output;
}

Task<Result<model::RemoveLayerVersionPermission::Output>>
LambdaService::RemoveLayerVersionPermission(
    aws::RequestContext& context, model::RemoveLayerVersionPermission::Input input) {
    HEARTH_CO_TRY(
        const LayerReference reference, OwnLayer(context, input.layer_name, input.version_number));
    const LayerKey key = KeyOf(reference);
    const std::string revision = deps_.random.Uuid();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        LayerTransaction layers(transaction.storage());
        HEARTH_CO_TRY(auto record, co_await layers.FindVersion(key, reference.version));
        if (!record) {
            co_return errors::ResourceNotFound(fmt::format(
                "Layer version {} does not exist.",
                LayerVersionArn(key.account, key.region, key.name, reference.version)));
        }
        if (input.revision_id && *input.revision_id != record->policy_revision) {
            co_return PolicyRevisionMismatch();
        }
        if (std::erase_if(record->statements, [&](const LayerStatement& statement) {
                return statement.id == *input.statement_id;
            }) == 0) {
            co_return errors::ResourceNotFound(
                fmt::format("Statement {} is not found in resource policy.", *input.statement_id));
        }
        record->policy_revision = revision;
        layers.PutVersion(key, *record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 204;
    co_return model::RemoveLayerVersionPermission::Output();
}

Task<Result<model::GetLayerVersionPolicy::Output>> LambdaService::GetLayerVersionPolicy(
    aws::RequestContext& context, model::GetLayerVersionPolicy::Input input) {
    HEARTH_CO_TRY(
        const LayerReference reference, OwnLayer(context, input.layer_name, input.version_number));
    const LayerKey key = KeyOf(reference);
    const std::string arn = LayerVersionArn(key.account, key.region, key.name, reference.version);
    HEARTH_CO_TRY(const auto record, co_await layers_.FindVersion(key, reference.version));
    if (!record) {
        co_return errors::ResourceNotFound(fmt::format("Layer version {} does not exist.", arn));
    }
    if (record->statements.empty()) {
        co_return errors::ResourceNotFound("No policy is associated with the given resource.");
    }
    model::GetLayerVersionPolicy::Output output;
    output.policy = LayerPolicyText(*record, arn);
    output.revision_id = record->policy_revision;
    co_return output;
}

}  // namespace hearth::lambda
