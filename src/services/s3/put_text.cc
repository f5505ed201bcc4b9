#include "services/s3/s3_service.h"

#include <utility>

namespace hearth::s3 {

Task<Status> S3Service::PutText(
    BucketHandle bucket, std::string key, std::string text, std::string content_type) {
    UploadChecks checks;
    storage::BodyOptions options;
    options.expected_length = text.size();
    options.hashes = checks.Hashes();
    HEARTH_CO_TRY(const auto sink, co_await bodies_->Create(std::move(options)));
    HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(text));
    HEARTH_CO_TRY(storage::FinishedBody finished, co_await sink->Finish());
    ObjectRecord record;
    record.key = std::move(key);
    record.modified = deps_.wall_clock.Now();
    record.modified_cloud_ms = UnixMs(deps_.cloud_clock.Now());
    record.content_type = std::move(content_type);
    record.encryption = Encryption::kS3;
    const std::string inline_bytes = KeepBody(finished, record);
    FinishRecord(
        record, finished, checks.algorithm, ChecksumValue(checks.algorithm, finished.digests()));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Commit(*bucket, std::move(record), &inline_bytes, &finished, {}, {}));
    co_return Status();
}

}  // namespace hearth::s3
