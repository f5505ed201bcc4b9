#include "codec/json/json.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"
#include "services/sqs/sqs_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hearth::sqs {
namespace {

using codec::Json;

// What AddPermission can give away: the operations that work across accounts.
constexpr std::array<std::string_view, 9> kActions = {
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage"};

// Those that only the owner's account may call.
constexpr std::array<std::string_view, 11> kOwnersActions = {
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue"};

bool IsLabel(std::string_view label) {
    return !label.empty() && label.size() <= 80 && std::ranges::all_of(label, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_';
    });
}

// One value stands for itself, more in a list.
Json OneOrMore(const std::vector<std::string>& values) {
    if (values.size() == 1) {
        return Json(values.front());
    }
    Json::Array list;
    for (const std::string& value : values) {
        list.emplace_back(value);
    }
    return Json(std::move(list));
}

Status Check(const model::AddPermission::Input& input) {
    if (!input.label || input.label->empty()) {
        return errors::MissingParameter("Label");
    }
    if (!IsLabel(*input.label)) {
        return errors::InvalidValueOf(
            "Label",
            input.label->substr(0, 256),
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
    }
    if (!input.aws_account_ids || input.aws_account_ids->empty()) {
        return errors::MissingParameter("PrincipalId");
    }
    if (!input.actions || input.actions->empty()) {
        return errors::MissingParameter("Actions");
    }
    if (input.actions->size() > kPermissionActionsMax) {
        return Error(
            Error::Kind::kInvalid,
            "OverLimit",
            fmt::format(
                "{} Actions were found, maximum allowed is {}.",
                input.actions->size(),
                kPermissionActionsMax),
            403);
    }
    for (const std::string& account : *input.aws_account_ids) {
        if (account.size() != 12 ||
            !std::ranges::all_of(account, [](char c) { return c >= '0' && c <= '9'; })) {
            return errors::InvalidValueOf(
                "PrincipalId", fmt::format("[{}]", account.substr(0, 64)), "Unable to verify.");
        }
    }
    for (const std::string& action : *input.actions) {
        if (std::ranges::find(kOwnersActions, action) != kOwnersActions.end()) {
            return errors::InvalidValueOf(
                "ActionName",
                "SQS:" + action,
                "Only the queue owner is allowed to invoke this action.");
        }
        if (std::ranges::find(kActions, action) == kActions.end()) {
            return errors::InvalidValueOf(
                "ActionName",
                "SQS:" + action.substr(0, 64),
                "Please refer to the appropriate WSDL for a list of valid actions.");
        }
    }
    return {};
}

// The statements of a policy; an empty list where there is none.
Result<Json> ReadPolicy(const QueueRecord& record, const std::string& arn) {
    const auto found = record.attributes.find("Policy");
    if (found == record.attributes.end()) {
        Json policy;
        policy.Set("Version", "2008-10-17");
        policy.Set("Id", arn + "/SQSDefaultPolicy");
        policy.Set("Statement", Json::Array());
        return policy;
    }
    HEARTH_TRY(Json policy, codec::ParseJson(found->second));
    const Json* statements = policy.Find("Statement");
    if (statements == nullptr || statements->AsArray() == nullptr) {
        Json::Array list;
        if (statements != nullptr) {
            list.push_back(*statements);
        }
        policy.Set("Statement", std::move(list));
    }
    return policy;
}

bool HasSid(const Json& statement, std::string_view label) {
    const std::string* sid = statement.FindString("Sid");
    return sid != nullptr && *sid == label;
}

Status AddStatement(
    QueueRecord& record, const std::string& arn, const model::AddPermission::Input& input) {
    HEARTH_TRY(Json policy, ReadPolicy(record, arn));
    Json::Array statements = *policy.Find("Statement")->AsArray();
    if (std::ranges::any_of(statements, [&](const Json& s) { return HasSid(s, *input.label); })) {
        return errors::InvalidValueOf("Label", *input.label, "Already exists.");
    }
    if (statements.size() >= kPermissionStatementsMax) {
        return Error(
            Error::Kind::kInvalid,
            "OverLimit",
            fmt::format(
                "{} statements were found in the policy, maximum allowed is {}.",
                statements.size() + 1,
                kPermissionStatementsMax),
            403);
    }
    std::vector<std::string> principals;
    for (const std::string& account : *input.aws_account_ids) {
        principals.push_back("arn:aws:iam::" + account + ":root");
    }
    std::vector<std::string> actions;
    for (const std::string& action : *input.actions) {
        actions.push_back("SQS:" + action);
    }
    Json principal;
    principal.Set("AWS", OneOrMore(principals));
    Json statement;
    statement.Set("Sid", *input.label);
    statement.Set("Effect", "Allow");
    statement.Set("Principal", std::move(principal));
    statement.Set("Action", OneOrMore(actions));
    statement.Set("Resource", arn);
    statements.push_back(std::move(statement));
    policy.Set("Statement", std::move(statements));
    record.attributes["Policy"] = codec::WriteJson(policy);
    return {};
}

Status RemoveStatement(QueueRecord& record, const std::string& arn, const std::string& label) {
    HEARTH_TRY(Json policy, ReadPolicy(record, arn));
    Json::Array statements = *policy.Find("Statement")->AsArray();
    if (std::erase_if(statements, [&](const Json& s) { return HasSid(s, label); }) == 0) {
        return errors::InvalidValueOf("Label", label.substr(0, 256), "can't find label.");
    }
    if (statements.empty()) {
        record.attributes.erase("Policy");
        return {};
    }
    policy.Set("Statement", std::move(statements));
    record.attributes["Policy"] = codec::WriteJson(policy);
    return {};
}

}  // namespace

Task<Result<model::AddPermission::Output>> SqsService::AddPermission(
    aws::RequestContext& context, model::AddPermission::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    HEARTH_CO_RETURN_IF_ERROR(Check(input));
    const auto change = [arn = found.address.Arn(), input = std::move(input)](QueueRecord& record) {
        return AddStatement(record, arn, input);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Update(found.address, change));
    context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    co_return model::AddPermission::Output();
}

Task<Result<model::RemovePermission::Output>> SqsService::RemovePermission(
    aws::RequestContext& context, model::RemovePermission::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    if (!input.label || input.label->empty()) {
        co_return errors::MissingParameter("Label");
    }
    const auto change = [arn = found.address.Arn(), label = *input.label](QueueRecord& record) {
        return RemoveStatement(record, arn, label);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Update(found.address, change));
    co_return model::RemovePermission::Output();
}

}  // namespace hearth::sqs
