#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/tags.h"
#include "services/s3/value_or_empty.h"

// Tags of buckets and of object versions.
namespace hearth::s3 {
namespace {

constexpr int kNoContent = 204;

// A tag without a key or a value is no tag; what the XML brought else is checked by CheckTags.
Result<Tags> TagsOf(const std::optional<model::Tagging>& tagging, Tagged tagged) {
    if (!tagging || !tagging->tag_set) {
        return errors::MalformedXml();
    }
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const model::Tag& tag : *tagging->tag_set) {
        if (!tag.key || !tag.value) {
            return errors::MalformedXml();
        }
        pairs.emplace_back(*tag.key, *tag.value);
    }
    return CheckTags(std::move(pairs), tagged);
}

std::vector<model::Tag> TagSet(const Tags& tags) {
    std::vector<model::Tag> set;
    for (const auto& [key, value] : tags) {
        model::Tag tag;
        tag.key = key;
        tag.value = value;
        set.push_back(std::move(tag));
    }
    return set;
}

std::optional<std::string> VersionIdOf(const BucketState& bucket, const ObjectRecord& record) {
    return bucket.record.versioning == Versioning::kNever
               ? std::nullopt
               : std::optional<std::string>(record.version_id);
}

}  // namespace

Task<Result<model::PutBucketTagging::Output>> ControlOperations::PutBucketTagging(
    aws::RequestContext& context, model::PutBucketTagging::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(const Tags tags, TagsOf(input.tagging, Tagged::kBucket));
    // Nothing is as good as no tags at all.
    std::optional<std::string> record;
    if (!tags.empty()) {
        record = EncodeSetting(model::PutBucketTagging::Descriptor(), &input);
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kTagging), std::move(record)));
    context.response_status = kNoContent;
    co_return model::PutBucketTagging::Output();
}

Task<Result<model::GetBucketTagging::Output>> ControlOperations::GetBucketTagging(
    aws::RequestContext& context, model::GetBucketTagging::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto put, Read<model::PutBucketTagging>(*bucket, setting::kTagging));
    if (!put || !put->tagging) {
        co_return errors::NoSuchTagSet(bucket->record.name);
    }
    model::GetBucketTagging::Output output;
    output.tag_set = std::move(put->tagging->tag_set);
    co_return output;
}

Task<Result<model::DeleteBucketTagging::Output>> ControlOperations::DeleteBucketTagging(
    aws::RequestContext& context, model::DeleteBucketTagging::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kTagging), std::nullopt));
    co_return model::DeleteBucketTagging::Output();
}

Task<Result<model::PutObjectTagging::Output>> ControlOperations::PutObjectTagging(
    aws::RequestContext& context, model::PutObjectTagging::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(const Tags tags, TagsOf(input.tagging, Tagged::kObject));
    const auto change = [&tags](ObjectRecord& record) -> Status {
        record.tags = tags;
        return Status();
    };
    HEARTH_CO_TRY(
        const ObjectRecord record,
        co_await UpdateAndTell(
            *bucket,
            ValueOrEmpty(input.key),
            input.version_id,
            change,
            context,
            NotificationEvent::kTaggingPut));
    model::PutObjectTagging::Output output;
    output.version_id = VersionIdOf(*bucket, record);
    co_return output;
}

Task<Result<model::GetObjectTagging::Output>> ControlOperations::GetObjectTagging(
    aws::RequestContext& context, model::GetObjectTagging::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = ValueOrEmpty(input.key);
    HEARTH_CO_TRY(
        const auto found,
        co_await store_.FindObject(
            bucket->record, key, input.version_id, &context.response_headers));
    model::GetObjectTagging::Output output;
    output.version_id = VersionIdOf(*bucket, found.record);
    output.tag_set = TagSet(found.record.tags);
    co_return output;
}

Task<Result<model::DeleteObjectTagging::Output>> ControlOperations::DeleteObjectTagging(
    aws::RequestContext& context, model::DeleteObjectTagging::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const auto change = [](ObjectRecord& record) -> Status {
        record.tags.clear();
        return Status();
    };
    HEARTH_CO_TRY(
        const ObjectRecord record,
        co_await UpdateAndTell(
            *bucket,
            ValueOrEmpty(input.key),
            input.version_id,
            change,
            context,
            NotificationEvent::kTaggingDelete));
    model::DeleteObjectTagging::Output output;
    output.version_id = VersionIdOf(*bucket, record);
    co_return output;
}

}  // namespace hearth::s3
