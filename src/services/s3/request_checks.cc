#include "services/s3/errors.h"
#include "services/s3/s3_service.h"

namespace hearth::s3 {

Task<Result<BucketHandle>> S3Service::SourceBucket(
    const std::string& name, const std::optional<std::string>& expected_owner) {
    HEARTH_CO_TRY(BucketHandle bucket, co_await store_.FindBucket(name));
    if (expected_owner && *expected_owner != bucket->record.account.text()) {
        co_return errors::AccessDenied();
    }
    co_return bucket;
}

Task<Result<BucketHandle>> S3Service::Bucket(
    aws::RequestContext& context,
    const std::optional<std::string>& name,
    const std::optional<std::string>& expected_owner) {
    const std::string asked = name.value_or(std::string());
    HEARTH_CO_TRY(BucketHandle bucket, co_await SourceBucket(asked, expected_owner));
    co_await access_log_.Watch(context, bucket);
    co_return bucket;
}

}  // namespace hearth::s3
