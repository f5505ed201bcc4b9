#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/read_request.h"
#include "services/s3/s3_service.h"

#include <fmt/format.h>

#include <utility>

// ObjectReader: whole objects for other services.
namespace hearth::s3 {
namespace {

constexpr int kReadAttemptsMax = 10;

}  // namespace

Task<Result<std::string>> S3Service::ReadObject(Name name, uint64_t bytes_max) {
    HEARTH_CO_TRY(const BucketHandle bucket, co_await SourceBucket(name.bucket, std::nullopt));
    if (bucket->record.region != name.region) {
        co_return Error(
            Error::Kind::kInvalid,
            "PermanentRedirect",
            fmt::format(
                "The bucket is in this region: {}. Please use this region to retry the request",
                bucket->record.region.text()),
            301);
    }
    for (int attempt = 1;; ++attempt) {
        HEARTH_CO_TRY(
            const S3Store::Located found,
            co_await store_.FindObject(bucket->record, name.key, name.version_id));
        const ObjectRecord& record = found.record;
        HEARTH_CO_RETURN_IF_ERROR(CheckReadKey(record, std::nullopt));
        if (IsArchived(record, deps_.cloud_clock.Now())) {
            co_return errors::InvalidObjectState(record.storage_class, record.tier);
        }
        if (record.size > bytes_max) {
            co_return errors::EntityTooLarge(record.size);
        }
        auto source = co_await OpenObject(bucket->record, record, {});
        if (!source.ok()) {
            // Overwritten since its record was read.
            if (source.error().code() == storage::kBodyGone && attempt < kReadAttemptsMax) {
                continue;
            }
            co_return std::move(source).error();
        }
        co_await lifecycle_.Accessed(bucket->record, record);
        std::string bytes;
        bytes.reserve(record.size);
        for (;;) {
            HEARTH_CO_TRY(const std::string_view piece, co_await (*source)->Next());
            if (piece.empty()) {
                co_return bytes;
            }
            bytes += piece;
        }
    }
}

}  // namespace hearth::s3
