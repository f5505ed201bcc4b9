#include "services/s3/acl.h"
#include "services/s3/canonical_user.h"
#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <algorithm>
#include <array>

// Access control lists: put and told.
namespace hearth::s3 {
namespace {

constexpr std::string_view kUser = "CanonicalUser";
constexpr std::string_view kGroup = "Group";

bool IsPermission(std::string_view text) {
    static constexpr std::array<std::string_view, 5> kPermissions = {
        "FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"};
    return std::find(kPermissions.begin(), kPermissions.end(), text) != kPermissions.end();
}

Result<AclGrant> GrantOf(const model::Grant& grant) {
    if (!grant.permission || !IsPermission(*grant.permission) || !grant.grantee ||
        !grant.grantee->type) {
        return errors::MalformedAcl();
    }
    const model::Grantee& grantee = *grant.grantee;
    if (*grantee.type == kGroup) {
        const std::string uri = grantee.uri.value_or("");
        if (uri != kAllUsers && uri != kAuthenticatedUsers && uri != kLogDelivery) {
            return errors::InvalidArgument("Invalid group uri", "Group/URI", uri);
        }
        return AclGrant{true, uri, *grant.permission};
    }
    if (*grantee.type == kUser) {
        const std::string id = grantee.id.value_or("");
        if (!IsCanonicalUserId(id)) {
            return errors::InvalidArgument("Invalid id", "CanonicalUser/ID", id);
        }
        return AclGrant{false, id, *grant.permission};
    }
    if (*grantee.type == "AmazonCustomerByEmail") {
        return errors::MethodNotAllowed("PUT", "ACL");
    }
    return errors::MalformedAcl();
}

Result<Acl> AclOfBody(const model::AccessControlPolicy& policy, std::string_view owner) {
    if (!policy.owner || !policy.grants || policy.grants->size() > kGrantsMax) {
        return errors::MalformedAcl();
    }
    const std::string id = policy.owner->id.value_or("");
    if (!IsCanonicalUserId(id)) {
        return errors::InvalidArgument("Invalid id", "CanonicalUser/ID", id);
    }
    if (id != owner) {
        // An ACL gives nothing away for good.
        return errors::AccessDenied();
    }
    Acl acl;
    for (const model::Grant& grant : *policy.grants) {
        HEARTH_TRY(AclGrant one, GrantOf(grant));
        acl.grants.push_back(std::move(one));
    }
    return acl;
}

// The ACL of a request, in one of three forms.
template <class Input>
Result<Acl> AclOfRequest(
    const Input& input, AclOf of, std::string_view owner, std::string_view bucket_owner) {
    const AclHeaders headers{
        input.acl,
        input.grant_full_control,
        input.grant_read,
        input.grant_read_acp,
        input.grant_write,
        input.grant_write_acp};
    HEARTH_TRY(auto acl, AclFromHeaders(headers, of, owner, bucket_owner));
    const bool has_body = input.access_control_policy && (input.access_control_policy->owner ||
                                                          input.access_control_policy->grants);
    if (acl && has_body) {
        return Error(
            Error::Kind::kInvalid,
            "UnexpectedContent",
            "This request does not support content",
            400);
    }
    if (acl) {
        return *std::move(acl);
    }
    if (!has_body) {
        return Error(
                   Error::Kind::kInvalid,
                   "MissingSecurityHeader",
                   "Your request was missing a required header",
                   400)
            .WithField("MissingHeaderName", "x-amz-acl");
    }
    return AclOfBody(*input.access_control_policy, owner);
}

model::Owner OwnerOf(std::string_view id) {
    model::Owner owner;
    owner.id = std::string(id);
    return owner;
}

std::vector<model::Grant> GrantsOf(const Acl& acl) {
    std::vector<model::Grant> grants;
    for (const AclGrant& from : acl.grants) {
        model::Grant grant;
        grant.grantee.emplace();
        grant.grantee->type = std::string(from.group ? kGroup : kUser);
        (from.group ? grant.grantee->uri : grant.grantee->id) = from.grantee;
        grant.permission = from.permission;
        grants.push_back(std::move(grant));
    }
    return grants;
}

bool BlocksPublicAcls(const BucketState& bucket) {
    return bucket.compiled.public_access_block &&
           bucket.compiled.public_access_block->block_public_acls;
}

std::string OwnerOfObject(const BucketState& bucket, const ObjectRecord& record) {
    return CanonicalUserId(
        record.owner.empty() || !bucket.compiled.acls_enabled() ? bucket.record.account
                                                                : AccountId(record.owner));
}

}  // namespace

Task<Result<model::PutBucketAcl::Output>> ControlOperations::PutBucketAcl(
    aws::RequestContext& context, model::PutBucketAcl::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string owner = CanonicalUserId(bucket->record.account);
    HEARTH_CO_TRY(const Acl acl, AclOfRequest(input, AclOf::kBucket, owner, owner));
    if (!bucket->compiled.acls_enabled()) {
        co_return errors::AclsNotSupported();
    }
    if (acl.is_public() && BlocksPublicAcls(*bucket)) {
        co_return errors::PublicAccessBlocked(
            context.caller.arn,
            "s3:PutBucketAcl",
            ResourceArn(bucket->record.name),
            "ACLs",
            "BlockPublicAcls");
    }
    context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kAcl), acl.Encode()));
    co_return model::PutBucketAcl::Output();
}

Task<Result<model::GetBucketAcl::Output>> ControlOperations::GetBucketAcl(
    aws::RequestContext& context, model::GetBucketAcl::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string owner = CanonicalUserId(bucket->record.account);
    Acl acl = Acl::Private(owner);
    const std::string* record = bucket->Setting(setting::kAcl);
    if (record != nullptr && bucket->compiled.acls_enabled()) {
        HEARTH_CO_TRY(acl, Acl::Decode(*record));
    }
    model::GetBucketAcl::Output output;
    output.owner = OwnerOf(owner);
    output.grants = GrantsOf(acl);
    co_return output;
}

Task<Result<model::PutObjectAcl::Output>> ControlOperations::PutObjectAcl(
    aws::RequestContext& context, model::PutObjectAcl::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = ValueOrEmpty(input.key);
    if (!bucket->compiled.acls_enabled()) {
        co_return errors::AclsNotSupported();
    }
    const std::string bucket_owner = CanonicalUserId(bucket->record.account);
    const auto change = [&](ObjectRecord& record) -> Status {
        const std::string owner = OwnerOfObject(*bucket, record);
        HEARTH_TRY(const Acl acl, AclOfRequest(input, AclOf::kObject, owner, bucket_owner));
        if (acl.is_public() && BlocksPublicAcls(*bucket)) {
            return errors::PublicAccessBlocked(
                context.caller.arn,
                "s3:PutObjectAcl",
                ResourceArn(bucket->record.name, key),
                "ACLs",
                "BlockPublicAcls");
        }
        record.acl = acl.grants == Acl::Private(owner).grants ? std::string() : acl.Encode();
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await UpdateAndTell(
        *bucket, key, input.version_id, change, context, NotificationEvent::kAclPut));
    context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    co_return model::PutObjectAcl::Output();
}

Task<Result<model::GetObjectAcl::Output>> ControlOperations::GetObjectAcl(
    aws::RequestContext& context, model::GetObjectAcl::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = ValueOrEmpty(input.key);
    HEARTH_CO_TRY(
        const auto found,
        co_await store_.FindObject(
            bucket->record, key, input.version_id, &context.response_headers));
    const std::string owner = OwnerOfObject(*bucket, found.record);
    Acl acl = Acl::Private(owner);
    if (!found.record.acl.empty() && bucket->compiled.acls_enabled()) {
        HEARTH_CO_TRY(acl, Acl::Decode(found.record.acl));
    }
    model::GetObjectAcl::Output output;
    output.owner = OwnerOf(owner);
    output.grants = GrantsOf(acl);
    co_return output;
}

}  // namespace hearth::s3
