#include "services/lambda/function_policy.h"

#include "aws/auth/policy/policy.h"
#include "codec/json/json.h"
#include "services/lambda/errors.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace hearth::lambda {
namespace {

using codec::Json;

constexpr std::string_view kInvokeFunction = "lambda:InvokeFunction";
constexpr std::string_view kInvokeFunctionUrl = "lambda:InvokeFunctionUrl";

bool IsAccount(std::string_view text) {
    return text.size() == 12 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// arn:aws:iam::<account>:root, :user/x, :role/x, or an assumed role's session.
bool IsPrincipalArn(std::string_view text) {
    for (const std::string_view head : {"arn:aws:iam::", "arn:aws:sts::"}) {
        if (text.starts_with(head) && IsAccount(text.substr(head.size(), 12))) {
            const std::string_view rest = text.substr(head.size() + 12);
            return head == "arn:aws:iam::"
                       ? rest == ":root" || (rest.starts_with(":user/") && rest.size() > 6) ||
                             (rest.starts_with(":role/") && rest.size() > 6)
                       : rest.starts_with(":assumed-role/") && rest.size() > 14;
        }
    }
    return false;
}

// "s3.amazonaws.com", "logs.us-east-1.amazonaws.com", "states.amazonaws.com.cn".
bool IsServiceName(std::string_view text) {
    if (text.ends_with(".cn")) {
        text.remove_suffix(3);
    }
    constexpr std::string_view kDomain = ".amazonaws.com";
    if (!text.ends_with(kDomain) || text.size() == kDomain.size()) {
        return false;
    }
    text.remove_suffix(kDomain.size());
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

std::optional<Json> PrincipalElement(const std::string& principal) {
    if (principal == "*") {
        return Json(principal);
    }
    Json element;
    if (IsAccount(principal)) {
        element.Set("AWS", fmt::format("arn:aws:iam::{}:root", principal));
    } else if (IsPrincipalArn(principal)) {
        element.Set("AWS", principal);
    } else if (IsServiceName(principal)) {
        element.Set("Service", principal);
    } else {
        return std::nullopt;
    }
    return element;
}

Result<Json> Parse(std::string_view document) {
    auto parsed = codec::ParseJson(document);
    if (!parsed.ok() || parsed->Find("Statement") == nullptr ||
        parsed->Find("Statement")->AsArray() == nullptr) {
        return hearth::errors::Internal("a stored resource policy is no policy");
    }
    return parsed;
}

bool IsNamed(const Json& statement, std::string_view sid) {
    const std::string* name = statement.FindString("Sid");
    return name != nullptr && *name == sid;
}

}  // namespace

Result<std::string> PermissionStatement(
    const model::AddPermissionRequest& request, std::string_view resource) {
    const std::string& action = *request.action;
    if (request.function_url_auth_type && action != kInvokeFunctionUrl) {
        return errors::InvalidParameterValue(
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action");
    }
    if (request.invoked_via_function_url && action != kInvokeFunction) {
        return errors::InvalidParameterValue(
            "InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action");
    }
    auto principal = PrincipalElement(*request.principal);
    if (!principal) {
        return errors::InvalidParameterValue(
            "The provided principal was invalid. Please check the principal and try again.");
    }
    Json equals;
    if (request.function_url_auth_type) {
        equals.Set("lambda:FunctionUrlAuthType", *request.function_url_auth_type);
    }
    if (request.principal_org_id) {
        equals.Set("aws:PrincipalOrgID", *request.principal_org_id);
    }
    if (request.source_account && !request.source_account->empty()) {
        equals.Set("AWS:SourceAccount", *request.source_account);
    }
    if (request.event_source_token && !request.event_source_token->empty()) {
        equals.Set("lambda:EventSourceToken", *request.event_source_token);
    }
    Json condition;
    if (!equals.is_null()) {
        condition.Set("StringEquals", std::move(equals));
    }
    if (request.invoked_via_function_url) {
        Json flag;
        flag.Set(
            "lambda:InvokedViaFunctionUrl", *request.invoked_via_function_url ? "true" : "false");
        condition.Set("Bool", std::move(flag));
    }
    if (request.source_arn) {
        Json like;
        like.Set("AWS:SourceArn", *request.source_arn);
        condition.Set("ArnLike", std::move(like));
    }
    Json statement;
    statement.Set("Sid", *request.statement_id);
    statement.Set("Effect", "Allow");
    statement.Set("Principal", *std::move(principal));
    statement.Set("Action", action);
    statement.Set("Resource", resource);
    if (!condition.is_null()) {
        statement.Set("Condition", std::move(condition));
    }
    return codec::WriteJson(statement);
}

Result<std::string> AddStatement(
    std::string_view document, std::string_view sid, std::string_view statement) {
    Json policy;
    if (document.empty()) {
        policy.Set("Version", "2012-10-17");
        policy.Set("Id", "default");
        policy.Set("Statement", Json::Array());
    } else {
        HEARTH_TRY(policy, Parse(document));
    }
    Json added;
    HEARTH_TRY(added, codec::ParseJson(statement));
    Json::Array statements = *policy.Find("Statement")->AsArray();
    if (std::ranges::any_of(statements, [sid](const Json& one) { return IsNamed(one, sid); })) {
        return errors::ResourceConflict(fmt::format(
            "The statement id ({}) provided already exists. Please provide a new statement id, or "
            "remove the existing statement.",
            sid));
    }
    statements.push_back(std::move(added));
    policy.Set("Statement", std::move(statements));
    std::string text = codec::WriteJson(policy);
    if (text.size() > kFunctionPolicyBytesMax) {
        return Error(
                   Error::Kind::kInvalid,
                   "PolicyLengthExceededException",
                   fmt::format(
                       "The final policy size ({}) is bigger than the limit ({}).",
                       text.size(),
                       kFunctionPolicyBytesMax),
                   400)
            .WithField("Type", "User");
    }
    return text;
}

Result<std::string> RemoveStatement(std::string_view document, std::string_view sid) {
    HEARTH_TRY(Json policy, Parse(document));
    Json::Array statements = *policy.Find("Statement")->AsArray();
    const size_t before = statements.size();
    std::erase_if(statements, [sid](const Json& one) { return IsNamed(one, sid); });
    if (statements.size() == before) {
        return errors::ResourceNotFound(
            fmt::format("Statement {} is not found in resource policy.", sid));
    }
    if (statements.empty()) {
        return std::string();
    }
    policy.Set("Statement", std::move(statements));
    return codec::WriteJson(policy);
}

bool ServiceMayInvoke(
    std::string_view document,
    std::string_view resource,
    const InvokingService& service,
    WallClock::time_point now) {
    aws::AccessRequest request;
    request.principal = aws::AccessPrincipal::Service(service.name);
    request.action = kInvokeFunction;
    request.resource = resource;
    request.SetStandardKeys(now);
    const auto set = [&request](std::string_view key, const std::string& value) {
        if (value.empty()) {
            request.Absent(key);
        } else {
            request.Set(key, value);
        }
    };
    set("aws:SourceArn", service.source_arn);
    set("aws:SourceAccount", service.source_account);
    set("lambda:EventSourceToken", service.event_source_token);
    request.Absent("lambda:FunctionUrlAuthType");
    request.Absent("lambda:InvokedViaFunctionUrl");
    return aws::Evaluate(document, request) == aws::Verdict::kAllow;
}

bool PrincipalMayCall(
    std::string_view document,
    std::string_view resource,
    std::string_view action,
    const std::string& principal_arn,
    const std::string& account,
    WallClock::time_point now) {
    aws::AccessRequest request;
    request.principal = {principal_arn, account, {}};
    request.action = action;
    request.resource = resource;
    request.SetStandardKeys(now);
    // What only events and function URLs have.
    for (const std::string_view key :
         {"aws:SourceArn",
          "aws:SourceAccount",
          "lambda:EventSourceToken",
          "lambda:FunctionUrlAuthType",
          "lambda:InvokedViaFunctionUrl"}) {
        request.Absent(key);
    }
    return aws::Evaluate(document, request) == aws::Verdict::kAllow;
}

}  // namespace hearth::lambda
