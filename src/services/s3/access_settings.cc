#include "services/s3/acl.h"
#include "services/s3/bucket_policy.h"
#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

// Who may use a bucket: its policy, the block on public access, and who owns what is written to it.
// Policies are kept and judged for being public; calls are not measured by them yet.
namespace hearth::s3 {
namespace {

constexpr int kNoContent = 204;

}  // namespace

Task<Result<model::PutBucketPolicy::Output>> ControlOperations::PutBucketPolicy(
    aws::RequestContext& context, model::PutBucketPolicy::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string policy = ValueOrEmpty(input.policy);
    HEARTH_CO_RETURN_IF_ERROR(CheckBucketPolicy(policy, bucket->record.name));
    const auto& block = bucket->compiled.public_access_block;
    if (block && block->block_public_policy && PolicyIsPublic(policy)) {
        co_return errors::PublicAccessBlocked(
            context.caller.arn,
            "s3:PutBucketPolicy",
            ResourceArn(bucket->record.name),
            "policies",
            "BlockPublicPolicy");
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kPolicy), policy));
    context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    context.response_status = kNoContent;
    co_return model::PutBucketPolicy::Output();
}

Task<Result<model::GetBucketPolicy::Output>> ControlOperations::GetBucketPolicy(
    aws::RequestContext& context, model::GetBucketPolicy::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string* policy = bucket->Setting(setting::kPolicy);
    if (policy == nullptr) {
        co_return errors::NoSuchBucketPolicy(bucket->record.name);
    }
    model::GetBucketPolicy::Output output;
    output.policy = *policy;
    co_return output;
}

Task<Result<model::GetBucketPolicyStatus::Output>> ControlOperations::GetBucketPolicyStatus(
    aws::RequestContext& context, model::GetBucketPolicyStatus::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string* policy = bucket->Setting(setting::kPolicy);
    if (policy == nullptr) {
        co_return errors::NoSuchBucketPolicy(bucket->record.name);
    }
    model::GetBucketPolicyStatus::Output output;
    output.policy_status.emplace();
    output.policy_status->is_public = PolicyIsPublic(*policy);
    co_return output;
}

Task<Result<model::DeleteBucketPolicy::Output>> ControlOperations::DeleteBucketPolicy(
    aws::RequestContext& context, model::DeleteBucketPolicy::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kPolicy), std::nullopt));
    co_return model::DeleteBucketPolicy::Output();
}

Task<Result<model::PutPublicAccessBlock::Output>> ControlOperations::PutPublicAccessBlock(
    aws::RequestContext& context, model::PutPublicAccessBlock::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.public_access_block_configuration) {
        co_return errors::MalformedXml();
    }
    auto& block = *input.public_access_block_configuration;
    // What is not named is off, and is told so.
    block.block_public_acls = block.block_public_acls.value_or(false);
    block.ignore_public_acls = block.ignore_public_acls.value_or(false);
    block.block_public_policy = block.block_public_policy.value_or(false);
    block.restrict_public_buckets = block.restrict_public_buckets.value_or(false);
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kPublicAccessBlock),
        EncodeSetting(model::PutPublicAccessBlock::Descriptor(), &input)));
    co_return model::PutPublicAccessBlock::Output();
}

Task<Result<model::GetPublicAccessBlock::Output>> ControlOperations::GetPublicAccessBlock(
    aws::RequestContext& context, model::GetPublicAccessBlock::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const auto& block = bucket->compiled.public_access_block;
    if (!block) {
        co_return errors::NoSuchPublicAccessBlock(bucket->record.name);
    }
    model::GetPublicAccessBlock::Output output;
    auto& told = output.public_access_block_configuration.emplace();
    told.block_public_acls = block->block_public_acls;
    told.ignore_public_acls = block->ignore_public_acls;
    told.block_public_policy = block->block_public_policy;
    told.restrict_public_buckets = block->restrict_public_buckets;
    co_return output;
}

Task<Result<model::DeletePublicAccessBlock::Output>> ControlOperations::DeletePublicAccessBlock(
    aws::RequestContext& context, model::DeletePublicAccessBlock::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kPublicAccessBlock),
        std::string(setting::kRemoved)));
    co_return model::DeletePublicAccessBlock::Output();
}

Task<Result<model::PutBucketOwnershipControls::Output>>
ControlOperations::PutBucketOwnershipControls(
    aws::RequestContext& context, model::PutBucketOwnershipControls::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const auto rules = input.ownership_controls ? ValueOrEmpty(input.ownership_controls->rules)
                                                : std::vector<model::OwnershipControlsRule>();
    if (rules.size() != 1 || (rules[0].object_ownership != "BucketOwnerEnforced" &&
                              rules[0].object_ownership != "BucketOwnerPreferred" &&
                              rules[0].object_ownership != "ObjectWriter")) {
        co_return errors::MalformedXml();
    }
    const std::string* acl = bucket->Setting(setting::kAcl);
    if (rules[0].object_ownership == "BucketOwnerEnforced" && acl != nullptr) {
        // Nobody outside may lose access unnoticed.
        HEARTH_CO_TRY(const Acl grants, Acl::Decode(*acl));
        if (grants.grants.size() != 1 || grants.grants[0].group) {
            co_return errors::InvalidBucketAclWithObjectOwnership();
        }
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kOwnership),
        EncodeSetting(model::PutBucketOwnershipControls::Descriptor(), &input)));
    co_return model::PutBucketOwnershipControls::Output();
}

Task<Result<model::GetBucketOwnershipControls::Output>>
ControlOperations::GetBucketOwnershipControls(
    aws::RequestContext& context, model::GetBucketOwnershipControls::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string* record = bucket->Setting(setting::kOwnership);
    if (record != nullptr && *record == setting::kRemoved) {
        co_return errors::OwnershipControlsNotFound(bucket->record.name);
    }
    model::OwnershipControlsRule rule;
    switch (bucket->compiled.ownership) {
        case ObjectOwnership::kBucketOwnerEnforced:
            rule.object_ownership = "BucketOwnerEnforced";
            break;
        case ObjectOwnership::kBucketOwnerPreferred:
            rule.object_ownership = "BucketOwnerPreferred";
            break;
        case ObjectOwnership::kObjectWriter:
            rule.object_ownership = "ObjectWriter";
            break;
    }
    model::GetBucketOwnershipControls::Output output;
    output.ownership_controls.emplace();
    output.ownership_controls->rules.emplace();
    output.ownership_controls->rules->push_back(std::move(rule));
    co_return output;
}

Task<Result<model::DeleteBucketOwnershipControls::Output>>
ControlOperations::DeleteBucketOwnershipControls(
    aws::RequestContext& context, model::DeleteBucketOwnershipControls::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket), std::string(setting::kOwnership), std::string(setting::kRemoved)));
    co_return model::DeleteBucketOwnershipControls::Output();
}

}  // namespace hearth::s3
