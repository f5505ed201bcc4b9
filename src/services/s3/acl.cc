#include "services/s3/acl.h"

#include "codec/json/json.h"
#include "services/s3/canonical_user.h"
#include "services/s3/control_errors.h"
#include "services/s3/errors.h"

#include <algorithm>
#include <utility>

namespace hearth::s3 {
namespace {

// EC2's own account, which aws-exec-read lets read.
constexpr std::string_view kExecReader =
    "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

std::string_view Trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

std::string_view Unquote(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        return text.substr(1, text.size() - 2);
    }
    return text;
}

// id="...", uri="..."
Result<AclGrant> ParseGrantee(
    std::string_view text, std::string_view permission, std::string_view header) {
    const auto unknown_form = [&] {
        return errors::InvalidArgument("Argument format not recognized", header, text);
    };
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
        return unknown_form();
    }
    const std::string_view kind = Trim(text.substr(0, equals));
    const std::string_view value = Unquote(Trim(text.substr(equals + 1)));
    if (kind == "uri") {
        if (value != kAllUsers && value != kAuthenticatedUsers && value != kLogDelivery) {
            return errors::InvalidArgument("Invalid group uri", "uri", value);
        }
        return AclGrant{true, std::string(value), std::string(permission)};
    }
    if (kind == "id") {
        if (!IsCanonicalUserId(value)) {
            return errors::InvalidArgument("Invalid id", "id", value);
        }
        return AclGrant{false, std::string(value), std::string(permission)};
    }
    if (kind == "emailAddress") {
        // AWS has given up grantees by their address.
        return errors::MethodNotAllowed("PUT", "ACL");
    }
    return unknown_form();
}

Status AddGrants(
    const std::optional<std::string>& value,
    std::string_view permission,
    std::string_view header,
    Acl& acl) {
    std::string_view rest = value ? std::string_view(*value) : std::string_view();
    while (!rest.empty()) {
        const size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view one = Trim(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (one.empty()) {
            continue;
        }
        HEARTH_TRY(AclGrant grant, ParseGrantee(one, permission, header));
        acl.grants.push_back(std::move(grant));
        if (acl.grants.size() > kGrantsMax) {
            return errors::InvalidRequest("An ACL can have no more than 100 grants");
        }
    }
    return Status();
}

Result<Acl> Canned(
    std::string_view name, AclOf of, std::string_view owner, std::string_view bucket_owner) {
    Acl acl = Acl::Private(owner);
    const auto group = [&acl](std::string_view uri, std::string permission) {
        acl.grants.push_back({true, std::string(uri), std::move(permission)});
    };
    if (name == "private") {
    } else if (name == "public-read") {
        group(kAllUsers, "READ");
    } else if (name == "public-read-write") {
        group(kAllUsers, "READ");
        group(kAllUsers, "WRITE");
    } else if (name == "authenticated-read") {
        group(kAuthenticatedUsers, "READ");
    } else if (name == "aws-exec-read") {
        acl.grants.push_back({false, std::string(kExecReader), "READ"});
    } else if (name == "bucket-owner-read" || name == "bucket-owner-full-control") {
        // A bucket takes them and makes nothing of them.
        if (of == AclOf::kObject && owner != bucket_owner) {
            acl.grants.push_back(
                {false,
                 std::string(bucket_owner),
                 name == "bucket-owner-read" ? "READ" : "FULL_CONTROL"});
        }
    } else if (name == "log-delivery-write" && of == AclOf::kBucket) {
        group(kLogDelivery, "WRITE");
        group(kLogDelivery, "READ_ACP");
    } else {
        return errors::InvalidArgument("", "x-amz-acl", name);
    }
    return acl;
}

}  // namespace

Acl Acl::Private(std::string_view owner) {
    Acl acl;
    acl.grants.push_back({false, std::string(owner), "FULL_CONTROL"});
    return acl;
}

bool Acl::is_public() const {
    return std::any_of(grants.begin(), grants.end(), [](const AclGrant& grant) {
        return grant.group && (grant.grantee == kAllUsers || grant.grantee == kAuthenticatedUsers);
    });
}

std::string Acl::Encode() const {
    codec::JsonWriter writer;
    writer.BeginArray();
    for (const AclGrant& grant : grants) {
        writer.BeginObject();
        writer.Key(grant.group ? "g" : "u");
        writer.String(grant.grantee);
        writer.Key("p");
        writer.String(grant.permission);
        writer.EndObject();
    }
    writer.EndArray();
    return writer.Take();
}

Result<Acl> Acl::Decode(std::string_view bytes) {
    auto json = codec::ParseJson(bytes);
    const codec::Json::Array* list = json.ok() ? json->AsArray() : nullptr;
    if (list == nullptr) {
        return ::hearth::errors::Internal("an access control list is damaged");
    }
    Acl acl;
    for (const codec::Json& item : *list) {
        const std::string* user = item.FindString("u");
        const std::string* group = item.FindString("g");
        const std::string* permission = item.FindString("p");
        if ((user == nullptr) == (group == nullptr) || permission == nullptr) {
            return ::hearth::errors::Internal("an access control list is damaged");
        }
        acl.grants.push_back({group != nullptr, group != nullptr ? *group : *user, *permission});
    }
    return acl;
}

Result<std::optional<Acl>> AclFromHeaders(
    const AclHeaders& headers, AclOf of, std::string_view owner, std::string_view bucket_owner) {
    if (headers.canned && headers.any_grant()) {
        return errors::InvalidRequest(
            "Specifying both Canned ACLs and Header Grants is not allowed");
    }
    if (headers.canned) {
        HEARTH_TRY(Acl acl, Canned(*headers.canned, of, owner, bucket_owner));
        return std::optional<Acl>(std::move(acl));
    }
    if (!headers.any_grant()) {
        return std::optional<Acl>();
    }
    Acl acl;
    HEARTH_RETURN_IF_ERROR(
        AddGrants(headers.full_control, "FULL_CONTROL", "x-amz-grant-full-control", acl));
    HEARTH_RETURN_IF_ERROR(AddGrants(headers.read, "READ", "x-amz-grant-read", acl));
    HEARTH_RETURN_IF_ERROR(AddGrants(headers.write, "WRITE", "x-amz-grant-write", acl));
    HEARTH_RETURN_IF_ERROR(AddGrants(headers.read_acp, "READ_ACP", "x-amz-grant-read-acp", acl));
    HEARTH_RETURN_IF_ERROR(AddGrants(headers.write_acp, "WRITE_ACP", "x-amz-grant-write-acp", acl));
    return std::optional<Acl>(std::move(acl));
}

Result<std::string> AclOfNewObject(
    const AclHeaders& headers,
    const BucketSettings& settings,
    std::string_view owner,
    std::string_view bucket_owner,
    std::string_view arn,
    std::string_view resource) {
    if (!headers.canned && !headers.any_grant()) {
        return std::string();
    }
    if (!settings.acls_enabled()) {
        // The one that says what is so anyway. Grants may say the same in more words.
        if (headers.canned == "bucket-owner-full-control") {
            return std::string();
        }
        HEARTH_TRY(const auto acl, AclFromHeaders(headers, AclOf::kObject, owner, bucket_owner));
        if (!headers.canned && acl && acl->grants == Acl::Private(bucket_owner).grants) {
            return std::string();
        }
        return errors::AclsNotSupported();
    }
    HEARTH_TRY(const auto acl, AclFromHeaders(headers, AclOf::kObject, owner, bucket_owner));
    if (!acl) {
        return std::string();
    }
    if (acl->is_public() && settings.public_access_block &&
        settings.public_access_block->block_public_acls) {
        return errors::PublicAccessBlocked(
            arn, "s3:PutObject", resource, "ACLs", "BlockPublicAcls");
    }
    return acl->grants == Acl::Private(owner).grants ? std::string() : acl->Encode();
}

}  // namespace hearth::s3
