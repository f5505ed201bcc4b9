#include "services/s3/control_operations.h"

#include "services/s3/errors.h"
#include "services/s3/s3_keys.h"

namespace hearth::s3 {

std::string ResourceArn(std::string_view bucket, std::string_view key) {
    std::string arn = "arn:aws:s3:::" + std::string(bucket);
    if (!key.empty()) {
        arn += '/';
        arn += key;
    }
    return arn;
}

Task<Result<BucketHandle>> ControlOperations::Bucket(
    aws::RequestContext& context,
    const std::optional<std::string>& name,
    const std::optional<std::string>& expected_owner) {
    HEARTH_CO_TRY(BucketHandle bucket, co_await store_.FindBucket(name.value_or("")));
    if (expected_owner && *expected_owner != bucket->record.account.text()) {
        co_return errors::AccessDenied();
    }
    co_await access_log_.Watch(context, bucket);
    co_return bucket;
}

Task<Status> ControlOperations::Write(
    BucketHandle bucket,
    std::string kind,
    std::optional<std::string> value,
    std::function<Status(BucketRecord&)> check) {
    const S3Store::Change change = [&](storage::Transaction& transaction,
                                       BucketRecord& record) -> Task<Status> {
        if (check) {
            HEARTH_CO_RETURN_IF_ERROR(check(record));
        }
        const std::string key = keys::Setting(record, kind);
        if (value) {
            transaction.Put(key, *value);
        } else {
            transaction.Delete(key);
        }
        co_return Status();
    };
    co_return co_await store_.ChangeBucket(bucket->record, change);
}

Task<Result<ObjectRecord>> ControlOperations::UpdateAndTell(
    const BucketState& bucket,
    std::string key,
    std::optional<std::string> version_id,
    std::function<Status(ObjectRecord&)> change,
    aws::RequestContext& context,
    NotificationEvent event) {
    Announcement announcement = notifications_.Announce(bucket, &context);
    const S3Store::Within tell = [&](storage::Transaction& transaction,
                                     const ObjectRecord& record) -> Status {
        announcement.Begin();
        return announcement.Add(transaction, event, record);
    };
    auto updated = co_await store_.UpdateObject(
        bucket.record,
        std::move(key),
        std::move(version_id),
        std::move(change),
        &context.response_headers,
        tell);
    announcement.End(updated.ok() ? Status() : Status(updated.error()));
    co_return updated;
}

void ControlOperations::AddTo(aws::OperationTable& table) {
    using Self = ControlOperations;
    table.Add<model::PutBucketTagging>(this, &Self::PutBucketTagging);
    table.Add<model::GetBucketTagging>(this, &Self::GetBucketTagging);
    table.Add<model::DeleteBucketTagging>(this, &Self::DeleteBucketTagging);
    table.Add<model::PutObjectTagging>(this, &Self::PutObjectTagging);
    table.Add<model::GetObjectTagging>(this, &Self::GetObjectTagging);
    table.Add<model::DeleteObjectTagging>(this, &Self::DeleteObjectTagging);
    table.Add<model::PutBucketAcl>(this, &Self::PutBucketAcl);
    table.Add<model::GetBucketAcl>(this, &Self::GetBucketAcl);
    table.Add<model::PutObjectAcl>(this, &Self::PutObjectAcl);
    table.Add<model::GetObjectAcl>(this, &Self::GetObjectAcl);
    table.Add<model::PutBucketPolicy>(this, &Self::PutBucketPolicy);
    table.Add<model::GetBucketPolicy>(this, &Self::GetBucketPolicy);
    table.Add<model::GetBucketPolicyStatus>(this, &Self::GetBucketPolicyStatus);
    table.Add<model::DeleteBucketPolicy>(this, &Self::DeleteBucketPolicy);
    table.Add<model::PutPublicAccessBlock>(this, &Self::PutPublicAccessBlock);
    table.Add<model::GetPublicAccessBlock>(this, &Self::GetPublicAccessBlock);
    table.Add<model::DeletePublicAccessBlock>(this, &Self::DeletePublicAccessBlock);
    table.Add<model::PutBucketOwnershipControls>(this, &Self::PutBucketOwnershipControls);
    table.Add<model::GetBucketOwnershipControls>(this, &Self::GetBucketOwnershipControls);
    table.Add<model::DeleteBucketOwnershipControls>(this, &Self::DeleteBucketOwnershipControls);
    table.Add<model::PutBucketCors>(this, &Self::PutBucketCors);
    table.Add<model::GetBucketCors>(this, &Self::GetBucketCors);
    table.Add<model::DeleteBucketCors>(this, &Self::DeleteBucketCors);
    table.Add<model::PutBucketEncryption>(this, &Self::PutBucketEncryption);
    table.Add<model::GetBucketEncryption>(this, &Self::GetBucketEncryption);
    table.Add<model::DeleteBucketEncryption>(this, &Self::DeleteBucketEncryption);
    table.Add<model::PutObjectLockConfiguration>(this, &Self::PutObjectLockConfiguration);
    table.Add<model::GetObjectLockConfiguration>(this, &Self::GetObjectLockConfiguration);
    table.Add<model::PutObjectRetention>(this, &Self::PutObjectRetention);
    table.Add<model::GetObjectRetention>(this, &Self::GetObjectRetention);
    table.Add<model::PutObjectLegalHold>(this, &Self::PutObjectLegalHold);
    table.Add<model::GetObjectLegalHold>(this, &Self::GetObjectLegalHold);
    table.Add<model::PutBucketLifecycleConfiguration>(this, &Self::PutBucketLifecycleConfiguration);
    table.Add<model::GetBucketLifecycleConfiguration>(this, &Self::GetBucketLifecycleConfiguration);
    table.Add<model::DeleteBucketLifecycle>(this, &Self::DeleteBucketLifecycle);
    table.Add<model::PutBucketIntelligentTieringConfiguration>(
        this, &Self::PutBucketIntelligentTieringConfiguration);
    table.Add<model::GetBucketIntelligentTieringConfiguration>(
        this, &Self::GetBucketIntelligentTieringConfiguration);
    table.Add<model::DeleteBucketIntelligentTieringConfiguration>(
        this, &Self::DeleteBucketIntelligentTieringConfiguration);
    table.Add<model::ListBucketIntelligentTieringConfigurations>(
        this, &Self::ListBucketIntelligentTieringConfigurations);
    table.Add<model::PutBucketWebsite>(this, &Self::PutBucketWebsite);
    table.Add<model::GetBucketWebsite>(this, &Self::GetBucketWebsite);
    table.Add<model::DeleteBucketWebsite>(this, &Self::DeleteBucketWebsite);
    table.Add<model::PutBucketLogging>(this, &Self::PutBucketLogging);
    table.Add<model::GetBucketLogging>(this, &Self::GetBucketLogging);
    table.Add<model::PutBucketNotificationConfiguration>(
        this, &Self::PutBucketNotificationConfiguration);
    table.Add<model::GetBucketNotificationConfiguration>(
        this, &Self::GetBucketNotificationConfiguration);
    table.Add<model::PutBucketRequestPayment>(this, &Self::PutBucketRequestPayment);
    table.Add<model::GetBucketRequestPayment>(this, &Self::GetBucketRequestPayment);
    table.Add<model::PutBucketAccelerateConfiguration>(
        this, &Self::PutBucketAccelerateConfiguration);
    table.Add<model::GetBucketAccelerateConfiguration>(
        this, &Self::GetBucketAccelerateConfiguration);
    table.Add<model::GetBucketReplication>(this, &Self::GetBucketReplication);
    table.Add<model::DeleteBucketReplication>(this, &Self::DeleteBucketReplication);
    table.Add<model::ListBucketAnalyticsConfigurations>(
        this, &Self::ListBucketAnalyticsConfigurations);
    table.Add<model::ListBucketInventoryConfigurations>(
        this, &Self::ListBucketInventoryConfigurations);
    table.Add<model::ListBucketMetricsConfigurations>(this, &Self::ListBucketMetricsConfigurations);
}

}  // namespace hearth::s3
