#pragma once

#include "aws/front/context.h"
#include "aws/front/cross_origin.h"
#include "aws/front/service.h"
#include "services/s3/access_log.h"
#include "services/s3/acl.h"
#include "services/s3/lifecycle_engine.h"
#include "services/s3/notifications.h"
#include "services/s3/s3_store.h"
#include "services/service_deps.h"

#include "gen/s3/operations.gen.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::s3 {

// The operations that configure buckets, and those on what belongs to an object besides its bytes:
// tags, access control list, retention, legal hold. Each group is in the file that is named in its
// line. All state is in the store; safe on any loop. It also answers browsers (cors.cc).
class ControlOperations final : public aws::CrossOriginRules {
  public:
    // All must outlive it.
    ControlOperations(
        const ServiceDeps& deps,
        S3Store& store,
        LifecycleEngine& lifecycle,
        AccessLog& access_log,
        Notifications& notifications)
        : deps_(deps),
          store_(store),
          lifecycle_(lifecycle),
          access_log_(access_log),
          notifications_(notifications) {}

    void AddTo(aws::OperationTable& table);

    Task<Result<std::optional<Headers>>> Ask(const aws::CrossOriginRequest& request) override;

  private:
    template <class Op>
    using Answer = Task<Result<typename Op::Output>>;
    using Context = aws::RequestContext&;

    // --- Common (control_operations.cc) ---
    // Errors: NoSuchBucket; AccessDenied when x-amz-expected-bucket-owner is another.
    Task<Result<BucketHandle>> Bucket(
        aws::RequestContext& context,
        const std::optional<std::string>& name,
        const std::optional<std::string>& expected_owner);
    // Puts or, without a value, removes a setting. `check` sees the bucket in the transaction and
    // may change its record; it must be pure. Errors: NoSuchBucket, those of `check`.
    Task<Status> Write(
        BucketHandle bucket,
        std::string kind,
        std::optional<std::string> value,
        std::function<Status(BucketRecord&)> check = nullptr);

    // S3Store::UpdateObject for a request, of which the bucket tells.
    Task<Result<ObjectRecord>> UpdateAndTell(
        const BucketState& bucket,
        std::string key,
        std::optional<std::string> version_id,
        std::function<Status(ObjectRecord&)> change,
        aws::RequestContext& context,
        NotificationEvent event);

    // The record as its Put operation's input; nullopt: never put, or taken away.
    template <class Put>
    static Result<std::optional<typename Put::Input>> Read(
        const BucketState& bucket, std::string_view kind) {
        const std::string* record = bucket.Setting(kind);
        if (record == nullptr || *record == setting::kRemoved) {
            return std::optional<typename Put::Input>();
        }
        HEARTH_TRY(typename Put::Input input, DecodeSetting<Put>(*record));
        return std::optional<typename Put::Input>(std::move(input));
    }

    // --- tagging.cc ---
    Answer<model::PutBucketTagging> PutBucketTagging(Context, model::PutBucketTagging::Input);
    Answer<model::GetBucketTagging> GetBucketTagging(Context, model::GetBucketTagging::Input);
    Answer<model::DeleteBucketTagging> DeleteBucketTagging(
        Context, model::DeleteBucketTagging::Input);
    Answer<model::PutObjectTagging> PutObjectTagging(Context, model::PutObjectTagging::Input);
    Answer<model::GetObjectTagging> GetObjectTagging(Context, model::GetObjectTagging::Input);
    Answer<model::DeleteObjectTagging> DeleteObjectTagging(
        Context, model::DeleteObjectTagging::Input);

    // --- acl_operations.cc ---
    Answer<model::PutBucketAcl> PutBucketAcl(Context, model::PutBucketAcl::Input);
    Answer<model::GetBucketAcl> GetBucketAcl(Context, model::GetBucketAcl::Input);
    Answer<model::PutObjectAcl> PutObjectAcl(Context, model::PutObjectAcl::Input);
    Answer<model::GetObjectAcl> GetObjectAcl(Context, model::GetObjectAcl::Input);

    // --- access_settings.cc ---
    Answer<model::PutBucketPolicy> PutBucketPolicy(Context, model::PutBucketPolicy::Input);
    Answer<model::GetBucketPolicy> GetBucketPolicy(Context, model::GetBucketPolicy::Input);
    Answer<model::GetBucketPolicyStatus> GetBucketPolicyStatus(
        Context, model::GetBucketPolicyStatus::Input);
    Answer<model::DeleteBucketPolicy> DeleteBucketPolicy(Context, model::DeleteBucketPolicy::Input);
    Answer<model::PutPublicAccessBlock> PutPublicAccessBlock(
        Context, model::PutPublicAccessBlock::Input);
    Answer<model::GetPublicAccessBlock> GetPublicAccessBlock(
        Context, model::GetPublicAccessBlock::Input);
    Answer<model::DeletePublicAccessBlock> DeletePublicAccessBlock(
        Context, model::DeletePublicAccessBlock::Input);
    Answer<model::PutBucketOwnershipControls> PutBucketOwnershipControls(
        Context, model::PutBucketOwnershipControls::Input);
    Answer<model::GetBucketOwnershipControls> GetBucketOwnershipControls(
        Context, model::GetBucketOwnershipControls::Input);
    Answer<model::DeleteBucketOwnershipControls> DeleteBucketOwnershipControls(
        Context, model::DeleteBucketOwnershipControls::Input);

    // --- cors.cc ---
    Answer<model::PutBucketCors> PutBucketCors(Context, model::PutBucketCors::Input);
    Answer<model::GetBucketCors> GetBucketCors(Context, model::GetBucketCors::Input);
    Answer<model::DeleteBucketCors> DeleteBucketCors(Context, model::DeleteBucketCors::Input);

    // --- encryption_configuration.cc ---
    Answer<model::PutBucketEncryption> PutBucketEncryption(
        Context, model::PutBucketEncryption::Input);
    Answer<model::GetBucketEncryption> GetBucketEncryption(
        Context, model::GetBucketEncryption::Input);
    Answer<model::DeleteBucketEncryption> DeleteBucketEncryption(
        Context, model::DeleteBucketEncryption::Input);

    // --- object_lock_operations.cc ---
    Answer<model::PutObjectLockConfiguration> PutObjectLockConfiguration(
        Context, model::PutObjectLockConfiguration::Input);
    Answer<model::GetObjectLockConfiguration> GetObjectLockConfiguration(
        Context, model::GetObjectLockConfiguration::Input);
    Answer<model::PutObjectRetention> PutObjectRetention(Context, model::PutObjectRetention::Input);
    Answer<model::GetObjectRetention> GetObjectRetention(Context, model::GetObjectRetention::Input);
    Answer<model::PutObjectLegalHold> PutObjectLegalHold(Context, model::PutObjectLegalHold::Input);
    Answer<model::GetObjectLegalHold> GetObjectLegalHold(Context, model::GetObjectLegalHold::Input);

    // --- lifecycle_configuration.cc ---
    Answer<model::PutBucketLifecycleConfiguration> PutBucketLifecycleConfiguration(
        Context, model::PutBucketLifecycleConfiguration::Input);
    Answer<model::GetBucketLifecycleConfiguration> GetBucketLifecycleConfiguration(
        Context, model::GetBucketLifecycleConfiguration::Input);
    Answer<model::DeleteBucketLifecycle> DeleteBucketLifecycle(
        Context, model::DeleteBucketLifecycle::Input);

    // --- intelligent_tiering_configuration.cc ---
    Answer<model::PutBucketIntelligentTieringConfiguration>
        PutBucketIntelligentTieringConfiguration(
            Context, model::PutBucketIntelligentTieringConfiguration::Input);
    Answer<model::GetBucketIntelligentTieringConfiguration>
        GetBucketIntelligentTieringConfiguration(
            Context, model::GetBucketIntelligentTieringConfiguration::Input);
    Answer<model::DeleteBucketIntelligentTieringConfiguration>
        DeleteBucketIntelligentTieringConfiguration(
            Context, model::DeleteBucketIntelligentTieringConfiguration::Input);
    Answer<model::ListBucketIntelligentTieringConfigurations>
        ListBucketIntelligentTieringConfigurations(
            Context, model::ListBucketIntelligentTieringConfigurations::Input);

    // --- website_configuration.cc ---
    Answer<model::PutBucketWebsite> PutBucketWebsite(Context, model::PutBucketWebsite::Input);
    Answer<model::GetBucketWebsite> GetBucketWebsite(Context, model::GetBucketWebsite::Input);
    Answer<model::DeleteBucketWebsite> DeleteBucketWebsite(
        Context, model::DeleteBucketWebsite::Input);

    // --- logging_configuration.cc ---
    Answer<model::PutBucketLogging> PutBucketLogging(Context, model::PutBucketLogging::Input);
    Answer<model::GetBucketLogging> GetBucketLogging(Context, model::GetBucketLogging::Input);

    // --- notification_configuration.cc ---
    // Whether the bucket may send to all of them; queues get s3:TestEvent. Errors: InvalidArgument.
    Task<Status> ValidateDestinations(
        const BucketState& bucket, const NotificationRules& rules, Context context);
    Answer<model::PutBucketNotificationConfiguration> PutBucketNotificationConfiguration(
        Context, model::PutBucketNotificationConfiguration::Input);
    Answer<model::GetBucketNotificationConfiguration> GetBucketNotificationConfiguration(
        Context, model::GetBucketNotificationConfiguration::Input);

    // --- absent_features.cc: what says only that it is not there ---
    Answer<model::PutBucketRequestPayment> PutBucketRequestPayment(
        Context, model::PutBucketRequestPayment::Input);
    Answer<model::GetBucketRequestPayment> GetBucketRequestPayment(
        Context, model::GetBucketRequestPayment::Input);
    Answer<model::PutBucketAccelerateConfiguration> PutBucketAccelerateConfiguration(
        Context, model::PutBucketAccelerateConfiguration::Input);
    Answer<model::GetBucketAccelerateConfiguration> GetBucketAccelerateConfiguration(
        Context, model::GetBucketAccelerateConfiguration::Input);
    Answer<model::GetBucketReplication> GetBucketReplication(
        Context, model::GetBucketReplication::Input);
    Answer<model::DeleteBucketReplication> DeleteBucketReplication(
        Context, model::DeleteBucketReplication::Input);
    Answer<model::ListBucketAnalyticsConfigurations> ListBucketAnalyticsConfigurations(
        Context, model::ListBucketAnalyticsConfigurations::Input);
    Answer<model::ListBucketInventoryConfigurations> ListBucketInventoryConfigurations(
        Context, model::ListBucketInventoryConfigurations::Input);
    Answer<model::ListBucketMetricsConfigurations> ListBucketMetricsConfigurations(
        Context, model::ListBucketMetricsConfigurations::Input);

    ServiceDeps deps_;
    S3Store& store_;
    LifecycleEngine& lifecycle_;
    AccessLog& access_log_;
    Notifications& notifications_;
};

// arn:aws:s3:::bucket or arn:aws:s3:::bucket/key
std::string ResourceArn(std::string_view bucket, std::string_view key = {});

}  // namespace hearth::s3
