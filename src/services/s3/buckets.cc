#include "codec/base64/base64.h"
#include "services/s3/acl.h"
#include "services/s3/canonical_user.h"
#include "services/s3/control_errors.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/names.h"
#include "services/s3/s3_service.h"
#include "services/s3/tags.h"

#include <fmt/format.h>

// CreateBucket, HeadBucket, GetBucketLocation, DeleteBucket, ListBuckets.
namespace hearth::s3 {
namespace {

using BucketSettingRecords = std::map<std::string, std::string>;

// The settings that a bucket can be made with.
Result<BucketSettingRecords> SettingsOfNewBucket(
    const model::CreateBucket::Input& input, const AccountId& account) {
    BucketSettingRecords settings;
    ObjectOwnership ownership = ObjectOwnership::kBucketOwnerEnforced;
    if (input.object_ownership) {
        model::PutBucketOwnershipControls::Input controls;
        model::OwnershipControlsRule rule;
        rule.object_ownership = input.object_ownership;
        controls.ownership_controls.emplace().rules = {std::move(rule)};
        settings.emplace(
            setting::kOwnership,
            EncodeSetting(model::PutBucketOwnershipControls::Descriptor(), &controls));
        ownership = *input.object_ownership == "BucketOwnerEnforced"
                        ? ObjectOwnership::kBucketOwnerEnforced
                        : ObjectOwnership::kObjectWriter;
    }
    const std::string owner = CanonicalUserId(account);
    HEARTH_TRY(
        const auto acl,
        AclFromHeaders(
            {.canned = input.acl,
             .full_control = input.grant_full_control,
             .read = input.grant_read,
             .read_acp = input.grant_read_acp,
             .write = input.grant_write,
             .write_acp = input.grant_write_acp},
            AclOf::kBucket,
            owner,
            owner));
    if (acl && acl->grants != Acl::Private(owner).grants) {
        if (ownership == ObjectOwnership::kBucketOwnerEnforced) {
            return errors::InvalidBucketAclWithObjectOwnership();
        }
        if (acl->is_public()) {
            return errors::InvalidBucketAclWithBlockPublicAccess();
        }
        settings.emplace(setting::kAcl, acl->Encode());
    }
    if (input.create_bucket_configuration && input.create_bucket_configuration->tags &&
        !input.create_bucket_configuration->tags->empty()) {
        std::vector<std::pair<std::string, std::string>> tags;
        for (const model::Tag& tag : *input.create_bucket_configuration->tags) {
            tags.emplace_back(tag.key.value_or(""), tag.value.value_or(""));
        }
        HEARTH_RETURN_IF_ERROR(CheckTags(std::move(tags), Tagged::kBucket));
        model::PutBucketTagging::Input tagging;
        tagging.tagging.emplace().tag_set = *input.create_bucket_configuration->tags;
        settings.emplace(
            setting::kTagging, EncodeSetting(model::PutBucketTagging::Descriptor(), &tagging));
    }
    return settings;
}

}  // namespace

void S3Service::AddBucketOperations() {
    operations_.Add<model::CreateBucket>(this, &S3Service::CreateBucket);
    operations_.Add<model::HeadBucket>(this, &S3Service::HeadBucket);
    operations_.Add<model::GetBucketLocation>(this, &S3Service::GetBucketLocation);
    operations_.Add<model::DeleteBucket>(this, &S3Service::DeleteBucket);
    operations_.Add<model::ListBuckets>(this, &S3Service::ListBuckets);
    operations_.Add<model::PutBucketVersioning>(this, &S3Service::PutBucketVersioning);
    operations_.Add<model::GetBucketVersioning>(this, &S3Service::GetBucketVersioning);
}

Task<Result<model::CreateBucket::Output>> S3Service::CreateBucket(
    aws::RequestContext& context, model::CreateBucket::Input input) {
    BucketRecord bucket;
    bucket.name = input.bucket.value_or(std::string());
    HEARTH_CO_RETURN_IF_ERROR(CheckBucketName(bucket.name));
    const auto& configuration = input.create_bucket_configuration;
    if (configuration && (configuration->location || configuration->bucket)) {
        co_return errors::NotImplemented("Hearth does not have directory buckets.");
    }
    HEARTH_CO_TRY(
        bucket.region,
        RegionOfNewBucket(
            configuration ? configuration->location_constraint : std::nullopt, context.region));
    bucket.account = context.account;
    bucket.created = std::chrono::floor<std::chrono::seconds>(context.now);
    bucket.id = static_cast<int64_t>(deps_.random.Uint64() >> 1);
    if (input.object_lock_enabled_for_bucket.value_or(false)) {
        bucket.object_lock = true;
        bucket.versioning = Versioning::kEnabled;
    }
    HEARTH_CO_TRY(const auto settings, SettingsOfNewBucket(input, context.account));
    model::CreateBucket::Output output;
    output.location = bucket.region.text() == kDefaultRegion
                          ? "/" + bucket.name
                          : fmt::format("http://{}.s3.amazonaws.com/", bucket.name);
    auto created = co_await store_.CreateBucket(bucket, settings);
    if (!created.ok() && created.error().code() == "BucketAlreadyOwnedByYou" &&
        bucket.region.text() == kDefaultRegion) {
        // In us-east-1, and there alone, making one's own bucket again is a success.
        HEARTH_CO_TRY(const BucketHandle existing, co_await store_.FindBucket(bucket.name));
        if (existing->record.region == bucket.region) {
            co_return output;
        }
    }
    HEARTH_CO_RETURN_IF_ERROR(std::move(created));
    co_return output;
}

Task<Result<model::HeadBucket::Output>> S3Service::HeadBucket(
    aws::RequestContext& context, model::HeadBucket::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::HeadBucket::Output output;
    output.bucket_region = bucket->record.region.text();
    output.access_point_alias = false;
    output.bucket_arn = "arn:aws:s3:::" + bucket->record.name;
    co_return output;
}

Task<Result<model::GetBucketLocation::Output>> S3Service::GetBucketLocation(
    aws::RequestContext& context, model::GetBucketLocation::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::GetBucketLocation::Output output;
    const std::string& region = bucket->record.region.text();
    // The first region has no name here.
    output.location_constraint = region == kDefaultRegion ? std::string() : region;
    co_return output;
}

Task<Result<model::DeleteBucket::Output>> S3Service::DeleteBucket(
    aws::RequestContext& context, model::DeleteBucket::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.DeleteBucket(bucket->record));
    co_return model::DeleteBucket::Output();
}

Task<Result<model::ListBuckets::Output>> S3Service::ListBuckets(
    aws::RequestContext& context, model::ListBuckets::Input input) {
    const int32_t asked = input.max_buckets.value_or(kListBucketsDefault);
    if (asked < 1 || asked > kListBucketsDefault) {
        co_return errors::InvalidArgument(
            "Argument max-buckets must be an integer between 1 and 10000",
            "max-buckets",
            std::to_string(asked));
    }
    const size_t limit = static_cast<size_t>(asked);
    std::string after;
    if (input.continuation_token) {
        auto decoded = codec::Base64Decode(*input.continuation_token);
        if (!decoded.ok() || !CheckBucketName(*decoded).ok()) {
            co_return errors::InvalidArgument(
                "The continuation token provided is incorrect",
                "continuation-token",
                *input.continuation_token);
        }
        after = *std::move(decoded);
    }
    model::ListBuckets::Output output;
    output.prefix = input.prefix;
    auto& buckets = output.buckets.emplace();
    auto& owner = output.owner.emplace();
    owner.id = CanonicalUserId(context.account);
    while (true) {
        HEARTH_CO_TRY(
            const auto page,
            co_await store_.Buckets(
                context.account, input.prefix.value_or(""), after, kListBucketPage));
        for (const BucketRecord& record : page) {
            after = record.name;
            if (input.bucket_region && *input.bucket_region != record.region.text()) {
                continue;
            }
            if (buckets.size() == limit) {
                output.continuation_token = codec::Base64Encode(*buckets.back().name);
                co_return output;
            }
            auto& bucket = buckets.emplace_back();
            bucket.name = record.name;
            bucket.creation_date = record.created;
            bucket.bucket_region = record.region.text();
        }
        if (page.size() < kListBucketPage) {
            co_return output;
        }
    }
}

}  // namespace hearth::s3
