#include "aws/auth/policy/policy.h"

#include "aws/auth/policy/condition.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace hearth::aws {
namespace {

using codec::Json;
using policy::Answer;

// Far above the 20 KB that any service keeps.
constexpr size_t kDocumentBytesMax = 256 * 1024;
constexpr size_t kDocumentDepthMax = 20;
constexpr size_t kDocumentValuesMax = 50'000;

constexpr std::string_view kSessionHead = "arn:aws:sts::";
constexpr std::string_view kIamHead = "arn:aws:iam::";
constexpr std::string_view kSessionKind = ":assumed-role/";
constexpr std::string_view kRoleKind = ":role/";
constexpr size_t kAccountDigits = 12;

// The account of an ARN with that head and kind, and what follows the kind.
struct PrincipalArn {
    std::string_view account;
    std::string_view rest;
};

std::optional<PrincipalArn> Take(
    std::string_view arn, std::string_view head, std::string_view kind) {
    if (!arn.starts_with(head) || arn.size() < head.size() + kAccountDigits + kind.size()) {
        return std::nullopt;
    }
    arn.remove_prefix(head.size());
    const std::string_view account = arn.substr(0, kAccountDigits);
    arn.remove_prefix(kAccountDigits);
    if (!arn.starts_with(kind)) {
        return std::nullopt;
    }
    return PrincipalArn{account, arn.substr(kind.size())};
}

// The role behind a session's ARN; empty for others.
struct Role {
    std::string_view account;
    std::string_view name;
};

std::optional<Role> RoleOf(std::string_view session_arn) {
    const auto session = Take(session_arn, kSessionHead, kSessionKind);
    if (!session) {
        return std::nullopt;
    }
    return Role{session->account, session->rest.substr(0, session->rest.find('/'))};
}

bool IsRoot(const AccessPrincipal& principal) {
    return principal.arn.starts_with(kIamHead) && principal.arn.ends_with(":root");
}

// How an element Principal or NotPrincipal names a principal: one has several names (its account,
// its role, its session), and NotPrincipal asks for all of them.
struct Named {
    bool some = false;
    bool all = true;
    bool malformed = false;

    void Count(bool found) {
        some = some || found;
        all = all && found;
    }
};

bool NamesAccount(std::string_view entry, std::string_view account) {
    if (account.empty()) {
        return false;
    }
    const auto root = Take(entry, kIamHead, ":root");
    return entry == account || (root && root->rest.empty() && root->account == account);
}

// Names of roles are unique in an account whatever their paths, and sessions do not tell the path.
bool NamesRole(std::string_view entry, const Role& role) {
    const auto named = Take(entry, kIamHead, kRoleKind);
    return named && named->account == role.account &&
           named->rest.substr(named->rest.rfind('/') + 1) == role.name;
}

Named NamesOf(const Json& element, const AccessPrincipal& principal) {
    Named named;
    if (const std::string* text = element.AsString()) {
        named.malformed = *text != "*";
        named.some = named.all = !named.malformed;
        return named;
    }
    if (element.AsObject() == nullptr) {
        named.malformed = true;
        named.all = false;
        return named;
    }
    const auto entries = [&](std::string_view kind) {
        std::vector<std::string_view> found;
        if (const Json* value = element.Find(kind)) {
            named.malformed = !policy::Strings(*value, found) || named.malformed;
        }
        return found;
    };
    const std::vector<std::string_view> aws = entries("AWS");
    // Everybody, services and the unsigned included: AWS's own examples let S3 deliver to a queue
    // so.
    if (std::ranges::find(aws, "*") != aws.end()) {
        named.some = named.all = true;
        return named;
    }
    if (!principal.service.empty()) {
        const std::vector<std::string_view> services = entries("Service");
        named.Count(std::ranges::find(services, principal.service) != services.end());
        return named;
    }
    if (principal.arn.empty()) {
        named.all = false;
        return named;
    }
    const auto any = [&aws](auto matches) { return std::ranges::any_of(aws, matches); };
    named.Count(
        any([&](std::string_view entry) { return NamesAccount(entry, principal.account); }));
    if (!IsRoot(principal)) {
        named.Count(any([&](std::string_view entry) { return entry == principal.arn; }));
    }
    if (const auto role = RoleOf(principal.arn)) {
        named.Count(any([&](std::string_view entry) { return NamesRole(entry, *role); }));
    }
    return named;
}

Answer PrincipalMatches(const Json& statement, const AccessPrincipal& principal, bool is_allow) {
    if (const Json* element = statement.Find("Principal")) {
        const Named named = NamesOf(*element, principal);
        return named.some ? Answer::kYes : named.malformed ? Answer::kUnknown : Answer::kNo;
    }
    if (const Json* element = statement.Find("NotPrincipal")) {
        const Named named = NamesOf(*element, principal);
        if (named.malformed) {
            return Answer::kUnknown;
        }
        // Exempt from a Deny is only who is named in full; open to an Allow only who is not named
        // at all.
        return (is_allow ? named.some : named.all) ? Answer::kNo : Answer::kYes;
    }
    return Answer::kNo;
}

// Action and Resource have the same form, with a list that is meant or one that is excluded.
// `without`: what a statement with neither says.
template <class Matches>
Answer ListMatches(
    const Json& statement,
    std::string_view name,
    std::string_view negated_name,
    Answer without,
    const Matches& matches) {
    const Json* element = statement.Find(name);
    const Json* negated = statement.Find(negated_name);
    if (element == nullptr && negated == nullptr) {
        return without;
    }
    std::vector<std::string_view> entries;
    if ((element != nullptr && negated != nullptr) ||
        !policy::Strings(element != nullptr ? *element : *negated, entries)) {
        return Answer::kUnknown;
    }
    Answer found = Answer::kNo;
    for (const std::string_view entry : entries) {
        found = policy::Or(found, matches(entry));
    }
    return element != nullptr ? found : policy::Not(found);
}

Answer StatementMatches(
    const Json& statement, const AccessRequest& request, bool variables, bool is_allow) {
    Answer answer = PrincipalMatches(statement, request.principal, is_allow);
    if (answer == Answer::kNo) {
        return answer;
    }
    const std::string action = policy::Lower(request.action);
    answer = policy::And(
        answer,
        ListMatches(
            statement, "Action", "NotAction", Answer::kUnknown, [&action](std::string_view entry) {
                return WildcardMatches(policy::Lower(entry), action) ? Answer::kYes : Answer::kNo;
            }));
    if (answer == Answer::kNo) {
        return answer;
    }
    answer = policy::And(
        answer,
        ListMatches(
            statement, "Resource", "NotResource", Answer::kYes, [&](std::string_view entry) {
                return policy::TextMatches(entry, request.resource, variables, request);
            }));
    const Json* condition = statement.Find("Condition");
    if (answer == Answer::kNo || condition == nullptr) {
        return answer;
    }
    return policy::And(answer, policy::ConditionsHold(*condition, variables, request));
}

}  // namespace

void AccessRequest::Set(std::string_view key, std::string value) {
    std::vector<std::string>& values = keys_[policy::Lower(key)];
    values.clear();
    values.push_back(std::move(value));
}

void AccessRequest::Set(std::string_view key, std::vector<std::string> values) {
    keys_[policy::Lower(key)] = std::move(values);
}

void AccessRequest::Absent(std::string_view key) {
    keys_[policy::Lower(key)].clear();
}

const std::vector<std::string>* AccessRequest::Find(std::string_view key) const {
    const auto found = keys_.find(policy::Lower(key));
    return found == keys_.end() ? nullptr : &found->second;
}

void AccessRequest::SetStandardKeys(WallClock::time_point now) {
    for (const std::string_view key :
         {"aws:PrincipalArn",
          "aws:PrincipalAccount",
          "aws:username",
          "aws:PrincipalServiceName",
          "aws:PrincipalOrgID"}) {
        Absent(key);
    }
    const bool is_service = !principal.service.empty();
    Set("aws:PrincipalIsAWSService", is_service ? "true" : "false");
    if (is_service) {
        Set("aws:PrincipalServiceName", principal.service);
        Absent("aws:PrincipalType");
    } else if (principal.arn.empty()) {
        Set("aws:PrincipalType", "Anonymous");
    } else {
        const auto role = RoleOf(principal.arn);
        Set("aws:PrincipalArn",
            role ? fmt::format("{}{}{}{}", kIamHead, role->account, kRoleKind, role->name)
                 : principal.arn);
        Set("aws:PrincipalAccount", principal.account);
        Set("aws:PrincipalType", role ? "AssumedRole" : IsRoot(principal) ? "Account" : "User");
        if (const auto user = Take(principal.arn, kIamHead, ":user/")) {
            Set("aws:username", std::string(user->rest.substr(user->rest.rfind('/') + 1)));
        }
    }
    Set("aws:CurrentTime", codec::FormatIso8601(now));
    Set("aws:EpochTime", fmt::format("{}", UnixMs(now) / 1000));
}

Result<Policy> Policy::Parse(std::string_view text) {
    if (text.size() > kDocumentBytesMax) {
        return errors::Malformed("a policy of more than 256 KiB");
    }
    HEARTH_TRY(
        Json document,
        codec::ParseJson(text, {.depth_max = kDocumentDepthMax, .values_max = kDocumentValuesMax}));
    if (!document.is_object()) {
        return errors::Malformed("a policy that is no JSON object");
    }
    return Policy(std::move(document));
}

Verdict Policy::Evaluate(const AccessRequest& request) const {
    const Json* statements = document_.Find("Statement");
    if (statements == nullptr) {
        return Verdict::kNoMatch;
    }
    const std::string* version = document_.FindString("Version");
    // In documents of 2008 "${" is just text.
    const bool variables = version != nullptr && *version == "2012-10-17";
    bool allowed = false;
    bool denied = false;
    const auto look = [&](const Json& statement) {
        const std::string* effect = statement.FindString("Effect");
        if (effect == nullptr || (*effect != "Allow" && *effect != "Deny")) {
            return;
        }
        const bool is_allow = *effect == "Allow";
        const Answer answer = StatementMatches(statement, request, variables, is_allow);
        // What cannot be judged opens no door and closes every one.
        allowed = allowed || (is_allow && answer == Answer::kYes);
        denied = denied || (!is_allow && answer != Answer::kNo);
    };
    if (const Json::Array* list = statements->AsArray()) {
        for (const Json& statement : *list) {
            look(statement);
        }
    } else {
        look(*statements);
    }
    return denied ? Verdict::kExplicitDeny : allowed ? Verdict::kAllow : Verdict::kNoMatch;
}

Verdict Evaluate(std::string_view document, const AccessRequest& request) {
    const auto policy = Policy::Parse(document);
    return policy.ok() ? policy->Evaluate(request) : Verdict::kExplicitDeny;
}

}  // namespace hearth::aws
