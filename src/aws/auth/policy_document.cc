#include "aws/auth/policy_document.h"

#include "aws/auth/policy/policy.h"
#include "codec/json/json.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

namespace hearth::aws {
namespace {

using codec::Json;

constexpr size_t kDocumentDepthMax = 20;
constexpr size_t kDocumentValuesMax = 50'000;

Error Malformed(std::string message) {
    return Error(Error::Kind::kInvalid, "MalformedPolicyDocument", std::move(message), 400);
}

Error SyntaxErrors() {
    return Malformed("Syntax errors in policy.");
}

// A string, or a list of strings; nullopt for anything else.
std::optional<std::vector<std::string>> Strings(const Json& value) {
    if (const std::string* one = value.AsString()) {
        return std::vector<std::string>{*one};
    }
    const Json::Array* list = value.AsArray();
    if (list == nullptr) {
        return std::nullopt;
    }
    std::vector<std::string> found;
    for (const Json& item : *list) {
        const std::string* text = item.AsString();
        if (text == nullptr) {
            return std::nullopt;
        }
        found.push_back(*text);
    }
    return found;
}

// Values of a condition may be strings, numbers and booleans.
std::optional<std::vector<std::string>> ConditionValues(const Json& value) {
    const auto one = [](const Json& item) -> std::optional<std::string> {
        if (const std::string* text = item.AsString()) {
            return *text;
        }
        if (const bool* flag = item.AsBool()) {
            return *flag ? "true" : "false";
        }
        if (item.is_number()) {
            return codec::WriteJson(item);
        }
        return std::nullopt;
    };
    std::vector<std::string> found;
    if (const Json::Array* list = value.AsArray()) {
        for (const Json& item : *list) {
            auto text = one(item);
            if (!text) {
                return std::nullopt;
            }
            found.push_back(*std::move(text));
        }
        return found;
    }
    auto text = one(value);
    if (!text) {
        return std::nullopt;
    }
    found.push_back(*std::move(text));
    return found;
}

Status CheckAction(const std::string& action, PolicyKind kind) {
    if (action == "*") {
        return kind == PolicyKind::kTrust
                   ? Status(Malformed("AssumeRole policy may only specify STS AssumeRole actions."))
                   : Status();
    }
    const size_t colon = action.find(':');
    if (colon == std::string::npos) {
        return Malformed(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    }
    const std::string vendor = action.substr(0, colon);
    for (const char letter : vendor) {
        if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '-') {
            return Malformed("Vendor " + vendor + " is not valid");
        }
    }
    if (action.find(':', colon + 1) != std::string::npos) {
        return Malformed("Actions/Condition can contain only one colon.");
    }
    std::string lower = vendor;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char letter) {
        return static_cast<char>(std::tolower(letter));
    });
    if (kind == PolicyKind::kTrust && lower != "sts") {
        return Malformed("AssumeRole policy may only specify STS AssumeRole actions.");
    }
    return {};
}

Status CheckResource(const std::string& resource) {
    if (resource == "*") {
        return {};
    }
    if (!resource.starts_with("arn:")) {
        return Malformed("Resource " + resource + " must be in ARN format or \"*\".");
    }
    if (std::count(resource.begin(), resource.end(), ':') < 5 && !resource.ends_with('*')) {
        return Malformed("Resource " + resource + " must be in ARN format or \"*\".");
    }
    const size_t end = resource.find(':', 4);
    const std::string partition = resource.substr(4, end == std::string::npos ? end : end - 4);
    static const std::set<std::string, std::less<>> kPartitions = {
        "aws", "aws-cn", "aws-us-gov", "*"};
    if (!kPartitions.contains(partition)) {
        return Malformed(
            "Partition \"" + partition + "\" is not valid for resource \"" + resource + "\".");
    }
    return {};
}

Status CheckPrincipal(const Json& principal) {
    if (const std::string* text = principal.AsString()) {
        return *text == "*" ? Status() : Status(SyntaxErrors());
    }
    const Json::Object* kinds = principal.AsObject();
    if (kinds == nullptr || kinds->empty()) {
        return SyntaxErrors();
    }
    for (const Json::Member& kind : *kinds) {
        static const std::set<std::string, std::less<>> kKinds = {
            "AWS", "Service", "Federated", "CanonicalUser"};
        if (!kKinds.contains(kind.name)) {
            return SyntaxErrors();
        }
        const auto values = Strings(kind.value);
        if (!values || values->empty()) {
            return SyntaxErrors();
        }
        for (const std::string& value : *values) {
            const bool good =
                kind.name == "AWS"
                    ? value == "*" || value.starts_with("arn:aws:iam::") ||
                          value.starts_with("arn:aws:sts::") ||
                          (value.size() == 12 && std::all_of(
                                                     value.begin(),
                                                     value.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; }))
                : kind.name == "Service" ? value.find('.') != std::string::npos
                                         : !value.empty();
            if (!good) {
                std::string upper = kind.name;
                std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char letter) {
                    return static_cast<char>(std::toupper(letter));
                });
                return Malformed(
                    "Invalid principal in policy: \"" + upper + "\":\"" + value + "\"");
            }
        }
    }
    return {};
}

bool IsConditionOperator(std::string_view name) {
    static const std::set<std::string, std::less<>> kOperators = {
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "Bool",
        "BinaryEquals",
        "IpAddress",
        "NotIpAddress",
        "ArnEquals",
        "ArnLike",
        "ArnNotEquals",
        "ArnNotLike",
        "Null"};
    for (const std::string_view prefix : {"ForAllValues:", "ForAnyValue:"}) {
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
        }
    }
    if (name.ends_with("IfExists")) {
        name.remove_suffix(8);
    }
    return kOperators.contains(name);
}

Status CheckCondition(const Json& condition) {
    const Json::Object* operators = condition.AsObject();
    if (operators == nullptr) {
        return SyntaxErrors();
    }
    for (const Json::Member& entry : *operators) {
        if (!IsConditionOperator(entry.name)) {
            return SyntaxErrors();
        }
        const Json::Object* keys = entry.value.AsObject();
        if (keys == nullptr) {
            return SyntaxErrors();
        }
        for (const Json::Member& key : *keys) {
            if (key.name.find(':') == std::string::npos) {
                return Malformed(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
            }
            if (!ConditionValues(key.value)) {
                return SyntaxErrors();
            }
        }
    }
    return {};
}

Status CheckStatement(const Json& statement, PolicyKind kind, std::set<std::string>& ids) {
    const Json::Object* members = statement.AsObject();
    if (members == nullptr) {
        return SyntaxErrors();
    }
    static const std::set<std::string, std::less<>> kMembers = {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition"};
    std::set<std::string_view> seen;
    for (const Json::Member& member : *members) {
        if (!kMembers.contains(member.name) || !seen.insert(member.name).second) {
            return SyntaxErrors();
        }
    }
    const std::string* effect = statement.FindString("Effect");
    if (effect == nullptr || (*effect != "Allow" && *effect != "Deny")) {
        return SyntaxErrors();
    }
    if (const Json* sid = statement.Find("Sid")) {
        const std::string* text = sid->AsString();
        if (text == nullptr) {
            return SyntaxErrors();
        }
        const bool plain = std::all_of(text->begin(), text->end(), [](unsigned char letter) {
            return std::isalnum(letter) != 0;
        });
        if (kind == PolicyKind::kIdentity && !plain) {
            return Malformed(
                "Statement IDs (SID) must be alpha-numeric. Check that your input "
                "satisfies the regular expression [0-9A-Za-z]*");
        }
        if (!text->empty() && !ids.insert(*text).second) {
            return Malformed("Statement IDs (SID) in a single policy must be unique.");
        }
    }

    const Json* action = statement.Find("Action");
    const Json* not_action = statement.Find("NotAction");
    if (action != nullptr && not_action != nullptr) {
        return SyntaxErrors();
    }
    const Json* actions = action != nullptr ? action : not_action;
    if (actions == nullptr) {
        return Malformed("Policy statement must contain actions.");
    }
    const auto action_names = Strings(*actions);
    if (!action_names) {
        return SyntaxErrors();
    }
    if (action_names->empty()) {
        return Malformed("Policy statement must contain actions.");
    }
    for (const std::string& name : *action_names) {
        HEARTH_RETURN_IF_ERROR(CheckAction(name, kind));
    }

    const Json* resource = statement.Find("Resource");
    const Json* not_resource = statement.Find("NotResource");
    if (kind == PolicyKind::kTrust) {
        if (resource != nullptr || not_resource != nullptr) {
            return Malformed("Has prohibited field Resource");
        }
        const Json* principal = statement.Find("Principal");
        const Json* not_principal = statement.Find("NotPrincipal");
        if ((principal == nullptr) == (not_principal == nullptr)) {
            return principal == nullptr ? Malformed("Missing required field Principal")
                                        : SyntaxErrors();
        }
        HEARTH_RETURN_IF_ERROR(CheckPrincipal(principal != nullptr ? *principal : *not_principal));
    } else {
        if (statement.Find("Principal") != nullptr || statement.Find("NotPrincipal") != nullptr) {
            return Malformed("Policy document should not specify a principal.");
        }
        if (resource != nullptr && not_resource != nullptr) {
            return SyntaxErrors();
        }
        const Json* resources = resource != nullptr ? resource : not_resource;
        if (resources == nullptr) {
            return Malformed("Policy statement must contain resources.");
        }
        const auto names = Strings(*resources);
        if (!names) {
            return SyntaxErrors();
        }
        if (names->empty()) {
            return Malformed("Policy statement must contain resources.");
        }
        for (const std::string& name : *names) {
            HEARTH_RETURN_IF_ERROR(CheckResource(name));
        }
    }
    if (const Json* condition = statement.Find("Condition")) {
        HEARTH_RETURN_IF_ERROR(CheckCondition(*condition));
    }
    return {};
}

// The statements of a document, one or a list.
std::vector<const Json*> Statements(const Json& document) {
    std::vector<const Json*> found;
    if (const Json* statement = document.Find("Statement")) {
        if (const Json::Array* list = statement->AsArray()) {
            for (const Json& item : *list) {
                found.push_back(&item);
            }
        } else {
            found.push_back(statement);
        }
    }
    return found;
}

Result<Json> Parse(std::string_view text) {
    return codec::ParseJson(
        text, {.depth_max = kDocumentDepthMax, .values_max = kDocumentValuesMax});
}

}  // namespace

Status CheckPolicyDocument(std::string_view text, PolicyKind kind) {
    auto parsed = Parse(text);
    if (!parsed.ok()) {
        return Malformed("This policy contains invalid Json");
    }
    const Json::Object* members = parsed->AsObject();
    if (members == nullptr) {
        return SyntaxErrors();
    }
    std::set<std::string_view> seen;
    for (const Json::Member& member : *members) {
        static const std::set<std::string, std::less<>> kMembers = {"Version", "Id", "Statement"};
        if (!kMembers.contains(member.name) || !seen.insert(member.name).second) {
            return SyntaxErrors();
        }
    }
    if (const Json* version = parsed->Find("Version")) {
        const std::string* value = version->AsString();
        if (value == nullptr || (*value != "2012-10-17" && *value != "2008-10-17")) {
            return SyntaxErrors();
        }
        if (kind == PolicyKind::kIdentity && *value == "2008-10-17") {
            return Malformed("Policy document must be version 2012-10-17 or greater.");
        }
    } else if (kind == PolicyKind::kIdentity) {
        return Malformed("Policy document must be version 2012-10-17 or greater.");
    }
    const auto statements = Statements(*parsed);
    if (statements.empty()) {
        return SyntaxErrors();
    }
    std::set<std::string> ids;
    for (const Json* statement : statements) {
        HEARTH_RETURN_IF_ERROR(CheckStatement(*statement, kind, ids));
    }
    return {};
}

bool TrustAllows(std::string_view document, const TrustRequest& trust) {
    AccessRequest request;
    request.principal.service = trust.service;
    if (trust.service.empty()) {
        request.principal.arn = trust.principal_arn;
        request.principal.account = trust.account;
    }
    request.action = trust.action;
    const auto set = [&request](std::string_view key, const std::string& value) {
        if (value.empty()) {
            request.Absent(key);
        } else {
            request.Set(key, value);
        }
    };
    set("sts:ExternalId", trust.external_id);
    set("sts:RoleSessionName", trust.role_session_name);
    set("aws:PrincipalArn", trust.role_arn.empty() ? trust.principal_arn : trust.role_arn);
    set("aws:PrincipalAccount", trust.account);
    if (!trust.service.empty()) {
        set("aws:SourceAccount", trust.account);
    }
    return Evaluate(document, request) == Verdict::kAllow;
}

}  // namespace hearth::aws
