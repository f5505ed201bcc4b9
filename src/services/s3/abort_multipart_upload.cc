#include "services/s3/errors.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/s3_service.h"

#include "gen/s3/types.gen.h"

#include <chrono>
#include <utility>

// AbortMultipartUpload: the upload and its parts are gone when it is answered.
namespace hearth::s3 {

Task<Result<model::AbortMultipartUpload::Output>> S3Service::AbortMultipartUpload(
    aws::RequestContext& context, model::AbortMultipartUpload::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or("");
    const std::string id = input.upload_id.value_or("");
    std::string parts_id;
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            const auto upload, co_await uploads_.Find(transaction, bucket->record, key, id));
        if (!upload) {
            co_return errors::NoSuchUpload(id);
        }
        if (input.if_match_initiated_time &&
            std::chrono::floor<std::chrono::seconds>(*input.if_match_initiated_time) !=
                std::chrono::floor<std::chrono::seconds>(upload->initiated)) {
            co_return errors::PreconditionFailed("x-amz-if-match-initiated-time");
        }
        parts_id = upload->parts_id;
        UploadStore::Delete(transaction, bucket->record, key, id);
        part_removal_.Drop(transaction, bucket->record, parts_id);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Transact(body));
    co_await part_removal_.Remove(bucket->record, parts_id);
    co_return model::AbortMultipartUpload::Output();
}

}  // namespace hearth::s3
