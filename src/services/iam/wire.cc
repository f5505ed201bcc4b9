#include "services/iam/wire.h"

#include "codec/uri/uri.h"

namespace hearth::iam {
namespace {

std::optional<model::AttachedPermissionsBoundary> ToBoundary(const Principal& principal) {
    if (!principal.permissions_boundary) {
        return std::nullopt;
    }
    model::AttachedPermissionsBoundary boundary;
    boundary.permissions_boundary_type = "PermissionsBoundaryPolicy";
    boundary.permissions_boundary_arn = *principal.permissions_boundary;
    return boundary;
}

}  // namespace

std::vector<model::Tag> ToTags(const std::map<std::string, std::string>& tags) {
    std::vector<model::Tag> list;
    for (const auto& [key, value] : tags) {
        model::Tag& tag = list.emplace_back();
        tag.key = key;
        tag.value = value;
    }
    return list;
}

model::User ToUser(const Principal& user) {
    model::User shape;
    shape.path = user.path;
    shape.user_name = user.name;
    shape.user_id = user.id;
    shape.arn = user.Arn();
    shape.create_date = user.created;
    shape.permissions_boundary = ToBoundary(user);
    return shape;
}

model::Group ToGroup(const Principal& group) {
    model::Group shape;
    shape.path = group.path;
    shape.group_name = group.name;
    shape.group_id = group.id;
    shape.arn = group.Arn();
    shape.create_date = group.created;
    return shape;
}

model::Role ToRole(const Principal& role) {
    model::Role shape;
    shape.path = role.path;
    shape.role_name = role.name;
    shape.role_id = role.id;
    shape.arn = role.Arn();
    shape.create_date = role.created;
    shape.assume_role_policy_document = ToDocument(role.trust_policy);
    shape.description = role.description;
    shape.max_session_duration = role.max_session_duration_s;
    shape.permissions_boundary = ToBoundary(role);
    return shape;
}

std::string ToDocument(const std::string& document) {
    return codec::PercentEncode(document);
}

Status MergeTags(
    std::map<std::string, std::string>& tags, const std::optional<std::vector<model::Tag>>& added) {
    if (!added) {
        return {};
    }
    std::map<std::string, std::string> fresh;
    for (const model::Tag& tag : *added) {
        const std::string& key = tag.key.value_or("");
        if (key.size() >= 4 && (key[0] == 'a' || key[0] == 'A') &&
            (key[1] == 'w' || key[1] == 'W') && (key[2] == 's' || key[2] == 'S') && key[3] == ':') {
            return errors::InvalidInput(
                "System tags cannot be added/updated/deleted by the requester.");
        }
        if (!fresh.emplace(key, tag.value.value_or("")).second) {
            return errors::InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
        }
    }
    for (auto& [key, value] : fresh) {
        tags[key] = value;
    }
    if (tags.size() > kTagsMax) {
        return errors::LimitExceeded(
            "The number of tags has reached the maximum limit, which is " +
            std::to_string(kTagsMax) + ".");
    }
    return {};
}

Status CheckPolicyArn(const std::string& arn) {
    static constexpr std::string_view kStart = "arn:aws:iam::";
    const std::string_view rest =
        arn.starts_with(kStart) ? std::string_view(arn).substr(kStart.size()) : std::string_view();
    const std::string_view account = rest.substr(0, rest.find(':'));
    const bool known =
        account == "aws" ||
        (account.size() == 12 && account.find_first_not_of("0123456789") == std::string_view::npos);
    const bool named =
        known && rest.substr(account.size()).starts_with(":policy/") && !arn.ends_with('/');
    if (!named || arn.size() > kPolicyArnCharactersMax) {
        return errors::InvalidInput(fmt::format("ARN {} is not valid.", arn));
    }
    return {};
}

std::string PathOrRoot(const std::optional<std::string>& path) {
    return path.value_or("/");
}

}  // namespace hearth::iam
