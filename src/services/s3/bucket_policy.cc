#include "services/s3/bucket_policy.h"

#include "codec/json/json.h"
#include "services/s3/control_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace hearth::s3 {
namespace {

using codec::Json;

constexpr codec::JsonLimits kLimits{.depth_max = 20, .values_max = 10'000};

std::string Lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

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

bool IsAccount(std::string_view text) {
    return text.size() == 12 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsPrincipal(std::string_view kind, std::string_view value) {
    if (kind == "AWS") {
        return value == "*" || IsAccount(value) || value.starts_with("arn:aws:iam::") ||
               value.starts_with("arn:aws:sts::");
    }
    if (kind == "Service") {
        return value.find('.') != std::string_view::npos;
    }
    return !value.empty();
}

Status CheckPrincipal(const Json& principal) {
    const auto invalid = [] { return errors::MalformedPolicy("Invalid principal in policy"); };
    if (const std::string* text = principal.AsString()) {
        return *text == "*" ? Status() : Status(invalid());
    }
    const Json::Object* kinds = principal.AsObject();
    if (kinds == nullptr || kinds->empty()) {
        return invalid();
    }
    for (const Json::Member& kind : *kinds) {
        static constexpr std::array<std::string_view, 4> kKinds = {
            "AWS", "Service", "Federated", "CanonicalUser"};
        const auto values = Strings(kind.value);
        if (std::find(kKinds.begin(), kKinds.end(), kind.name) == kKinds.end() || !values ||
            values->empty() ||
            !std::all_of(values->begin(), values->end(), [&kind](const std::string& value) {
                return IsPrincipal(kind.name, value);
            })) {
            return invalid();
        }
    }
    return Status();
}

// The bucket of a resource's ARN; a wildcard may stand for it as a whole or in part.
Status CheckResource(std::string_view resource, std::string_view bucket) {
    constexpr std::string_view kHead = "arn:aws:s3:::";
    const auto invalid = [] { return errors::MalformedPolicy("Policy has invalid resource"); };
    if (!resource.starts_with(kHead)) {
        return invalid();
    }
    resource.remove_prefix(kHead.size());
    const std::string_view name = resource.substr(0, resource.find('/'));
    const size_t wildcard = name.find_first_of("*?");
    if (wildcard == std::string_view::npos ? name != bucket
                                           : !bucket.starts_with(name.substr(0, wildcard))) {
        return invalid();
    }
    return Status();
}

Status CheckConditions(const Json& condition) {
    const Json::Object* operators = condition.AsObject();
    if (operators == nullptr) {
        return errors::MalformedPolicy("Invalid policy syntax.");
    }
    static constexpr std::array<std::string_view, 11> kHeads = {
        "string",
        "numeric",
        "date",
        "bool",
        "binary",
        "ipaddress",
        "notipaddress",
        "arn",
        "null",
        "forallvalues:",
        "foranyvalue:"};
    for (const Json::Member& entry : *operators) {
        const std::string name = Lower(entry.name);
        if (std::none_of(kHeads.begin(), kHeads.end(), [&name](std::string_view head) {
                return name.starts_with(head);
            })) {
            return errors::MalformedPolicy("Invalid Condition type : " + entry.name);
        }
        const Json::Object* keys = entry.value.AsObject();
        if (keys == nullptr) {
            return errors::MalformedPolicy("Invalid policy syntax.");
        }
        for (const Json::Member& key : *keys) {
            if (key.name.find(':') == std::string::npos) {
                return errors::MalformedPolicy("Policy has an invalid condition key");
            }
        }
    }
    return Status();
}

Status CheckStatement(const Json& statement, std::string_view bucket) {
    const Json::Object* members = statement.AsObject();
    if (members == nullptr) {
        return errors::MalformedPolicy("Invalid policy syntax.");
    }
    static constexpr std::array<std::string_view, 9> kMembers = {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition"};
    for (const Json::Member& member : *members) {
        if (std::find(kMembers.begin(), kMembers.end(), member.name) == kMembers.end()) {
            return errors::MalformedPolicy("Unknown field " + member.name);
        }
    }
    const Json* effect = statement.Find("Effect");
    if (effect == nullptr) {
        return errors::MalformedPolicy("Missing required field Effect");
    }
    const std::string* effect_text = effect->AsString();
    if (effect_text == nullptr || (*effect_text != "Allow" && *effect_text != "Deny")) {
        return errors::MalformedPolicy(
            "Invalid effect: " + (effect_text == nullptr ? std::string() : *effect_text));
    }
    // Exactly one of each pair.
    const auto one_of = [&statement](const char* name, const char* negated) -> Result<const Json*> {
        const Json* plain = statement.Find(name);
        const Json* inverse = statement.Find(negated);
        if (plain != nullptr && inverse != nullptr) {
            return errors::MalformedPolicy(
                fmt::format("Statement cannot have both {} and {}", name, negated));
        }
        if (plain == nullptr && inverse == nullptr) {
            return errors::MalformedPolicy(fmt::format("Missing required field {}", name));
        }
        return plain != nullptr ? plain : inverse;
    };
    HEARTH_TRY(const Json* principal, one_of("Principal", "NotPrincipal"));
    HEARTH_RETURN_IF_ERROR(CheckPrincipal(*principal));
    HEARTH_TRY(const Json* action, one_of("Action", "NotAction"));
    const auto actions = Strings(*action);
    if (!actions || actions->empty() ||
        !std::all_of(actions->begin(), actions->end(), [](const std::string& name) {
            return name == "*" || Lower(name).starts_with("s3:") ||
                   Lower(name).starts_with("s3-object-lambda:");
        })) {
        return errors::MalformedPolicy("Policy has invalid action");
    }
    HEARTH_TRY(const Json* resource, one_of("Resource", "NotResource"));
    const auto resources = Strings(*resource);
    if (!resources || resources->empty()) {
        return errors::MalformedPolicy("Policy has invalid resource");
    }
    for (const std::string& name : *resources) {
        HEARTH_RETURN_IF_ERROR(CheckResource(name, bucket));
    }
    // An action on objects needs an object, and one on buckets a bucket.
    const bool any_object =
        std::any_of(resources->begin(), resources->end(), [](const std::string& name) {
            return name.find('/') != std::string::npos || name.ends_with('*');
        });
    const bool any_bucket =
        std::any_of(resources->begin(), resources->end(), [](const std::string& name) {
            return name.find('/') == std::string::npos || name.find('*') != std::string::npos;
        });
    const auto fits = [&](const std::string& name) {
        const std::string lower = Lower(name);
        if (lower.find('*') != std::string::npos) {
            return true;
        }
        const bool of_object = (lower.find("object") != std::string::npos &&
                                lower.find("configuration") == std::string::npos) ||
                               lower == "s3:abortmultipartupload" ||
                               lower == "s3:listmultipartuploadparts";
        return of_object ? any_object : any_bucket;
    };
    if (statement.Find("Action") != nullptr &&
        !std::all_of(actions->begin(), actions->end(), fits)) {
        return errors::MalformedPolicy("Action does not apply to any resource(s) in statement");
    }
    if (const Json* condition = statement.Find("Condition")) {
        HEARTH_RETURN_IF_ERROR(CheckConditions(*condition));
    }
    return Status();
}

// Everybody: "*", or {"AWS": "*"}.
bool IsEverybody(const Json& principal) {
    if (const std::string* text = principal.AsString()) {
        return *text == "*";
    }
    const Json* aws = principal.Find("AWS");
    const auto values = aws == nullptr ? std::nullopt : Strings(*aws);
    return values && std::find(values->begin(), values->end(), "*") != values->end();
}

// A condition that narrows a statement to fixed values of one of the keys that S3 counts.
bool IsNarrowing(const Json& condition) {
    static constexpr std::array<std::string_view, 14> kKeys = {
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn"};
    const Json::Object* operators = condition.AsObject();
    if (operators == nullptr) {
        return false;
    }
    for (const Json::Member& entry : *operators) {
        const std::string name = Lower(entry.name);
        const bool positive = name.find("not") == std::string::npos &&
                              name.find("null") == std::string::npos &&
                              !name.ends_with("ifexists") && !name.starts_with("forallvalues:");
        const Json::Object* keys = entry.value.AsObject();
        if (!positive || keys == nullptr) {
            continue;
        }
        for (const Json::Member& key : *keys) {
            if (std::find(kKeys.begin(), kKeys.end(), Lower(key.name)) == kKeys.end()) {
                continue;
            }
            const auto values = Strings(key.value);
            const bool address = Lower(key.name) == "aws:sourceip";
            if (values && !values->empty() &&
                std::all_of(values->begin(), values->end(), [address](const std::string& value) {
                    // Very wide networks count as everybody, and so does a star at the beginning.
                    return !value.starts_with('*') && value.find("${") == std::string::npos &&
                           !(address && (value.ends_with("/0") || value.ends_with("/1")));
                })) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace

Status CheckBucketPolicy(std::string_view text, std::string_view bucket) {
    if (text.size() > kPolicyBytesMax) {
        return errors::MalformedPolicy("Policy exceeds the maximum allowed document size.");
    }
    const auto document = codec::ParseJson(text, kLimits);
    if (!document.ok() || !document->is_object() || !text.starts_with('{')) {
        return errors::MalformedPolicy(
            "Policies must be valid JSON and the first byte must be '{'");
    }
    for (const Json::Member& member : *document->AsObject()) {
        if (member.name != "Version" && member.name != "Id" && member.name != "Statement") {
            return errors::MalformedPolicy("Unknown field " + member.name);
        }
    }
    if (const Json* version = document->Find("Version")) {
        const std::string* value = version->AsString();
        if (value == nullptr || (*value != "2012-10-17" && *value != "2008-10-17")) {
            return errors::MalformedPolicy("The policy must contain a valid version string");
        }
    }
    if (document->Find("Statement") == nullptr) {
        return errors::MalformedPolicy("Missing required field Statement");
    }
    const auto statements = Statements(*document);
    if (statements.empty()) {
        return errors::MalformedPolicy("Could not parse the policy: Statement is empty!");
    }
    std::vector<std::string> ids;
    for (const Json* statement : statements) {
        HEARTH_RETURN_IF_ERROR(CheckStatement(*statement, bucket));
        if (const std::string* id = statement->FindString("Sid"); id != nullptr && !id->empty()) {
            if (std::find(ids.begin(), ids.end(), *id) != ids.end()) {
                return errors::MalformedPolicy("Statement IDs (SID) must be unique");
            }
            ids.push_back(*id);
        }
    }
    return Status();
}

bool PolicyIsPublic(std::string_view text) {
    const auto document = codec::ParseJson(text, kLimits);
    if (!document.ok()) {
        return true;
    }
    for (const Json* statement : Statements(*document)) {
        const std::string* effect = statement->FindString("Effect");
        if (effect == nullptr || *effect != "Allow") {
            continue;
        }
        // Everybody but some is everybody.
        const Json* principal = statement->Find("Principal");
        const bool everybody = statement->Find("NotPrincipal") != nullptr ||
                               (principal != nullptr && IsEverybody(*principal));
        const Json* condition = statement->Find("Condition");
        if (everybody && (condition == nullptr || !IsNarrowing(*condition))) {
            return true;
        }
    }
    return false;
}

}  // namespace hearth::s3
