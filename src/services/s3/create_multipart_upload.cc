#include "services/s3/errors.h"
#include "services/s3/lifecycle_headers.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/names.h"
#include "services/s3/object_acl.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"

#include "gen/s3/types.gen.h"

#include <utility>

// CreateMultipartUpload: keeps what the object will be, without its bytes.
namespace hearth::s3 {
namespace {

// Which check sum the object will have. Without a choice AWS computes CRC64NVME.
Status ChooseChecksum(const model::CreateMultipartUpload::Input& input, UploadRecord& upload) {
    if (!input.checksum_algorithm) {
        if (input.checksum_type) {
            return errors::InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
                "header.");
        }
        upload.object.checksum_algorithm = ChecksumName(ChecksumAlgorithm::kCrc64Nvme);
        upload.object.checksum_type = checksum_type::kFullObject;
        return Status();
    }
    const auto algorithm = ParseChecksumName(*input.checksum_algorithm);
    const std::string_view name =
        algorithm ? ChecksumName(*algorithm) : std::string_view(*input.checksum_algorithm);
    const std::string type = input.checksum_type.value_or(std::string(DefaultChecksumType(name)));
    HEARTH_RETURN_IF_ERROR(CheckChecksumType(name, type));
    upload.object.checksum_algorithm = name;
    upload.object.checksum_type = type;
    upload.checksum_asked = true;
    return Status();
}

}  // namespace

void S3Service::AddMultipartOperations() {
    operations_.Add<model::CreateMultipartUpload>(this, &S3Service::CreateMultipartUpload);
    operations_.Add<model::UploadPart>(this, &S3Service::UploadPart);
    operations_.Add<model::UploadPartCopy>(this, &S3Service::UploadPartCopy);
    operations_.Add<model::ListParts>(this, &S3Service::ListParts);
    operations_.Add<model::CompleteMultipartUpload>(this, &S3Service::CompleteMultipartUpload);
    operations_.Add<model::AbortMultipartUpload>(this, &S3Service::AbortMultipartUpload);
}

Task<Result<model::CreateMultipartUpload::Output>> S3Service::CreateMultipartUpload(
    aws::RequestContext& context, model::CreateMultipartUpload::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string key = input.key.value_or("");
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(key));
    HEARTH_CO_TRY(auto read, ReadNewObject(input, *bucket, context.now, deps_.cloud_clock.Now()));
    UploadRecord upload;
    upload.key = key;
    upload.id = uploads_.NewId(context.now);
    upload.initiated = context.now;
    upload.initiator = context.caller.arn;
    upload.parts_id = UploadStore::PartsIdOf(upload.id);
    upload.object = std::move(read.first);
    upload.initiated_cloud_ms = upload.object.modified_cloud_ms;
    if (!input.object_lock_mode) {
        // The bucket's rule counts from when the object is there: CompleteMultipartUpload asks it.
        upload.object.retention = {};
    }
    HEARTH_CO_RETURN_IF_ERROR(ChooseChecksum(input, upload));
    HEARTH_CO_TRY(upload.object.acl, AclOfRequest(input, context, *bucket, key));
    upload.object.owner = context.account == bucket->record.account ? "" : context.account.text();
    if (upload.object.encryption != Encryption::kCustomer) {
        upload.object.encryption =
            deps_.options.encrypt_at_rest ? Encryption::kS3 : Encryption::kNone;
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await lifecycle_.BeforeWrite(bucket->record, upload.object.storage_class));
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            const BucketRecord now, co_await store_.ReadBucket(transaction, bucket->record));
        UploadStore::Put(transaction, now, upload);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Transact(body));
    HEARTH_CO_RETURN_IF_ERROR(co_await uploads_.ForgetCompleted(bucket->record, context.now));
    model::CreateMultipartUpload::Output output;
    output.bucket = bucket->record.name;
    output.key = key;
    output.upload_id = upload.id;
    if (bucket->compiled.lifecycle != nullptr) {
        const auto abort = bucket->compiled.lifecycle->AbortAt(key, deps_.cloud_clock.Now());
        if (abort) {
            output.abort_date = WallClock::time_point(abort->at.time_since_epoch());
            output.abort_rule_id = std::string(abort->rule_id);
        }
    }
    ShowEncryption(output, upload.object.encryption, upload.object.customer_key_md5);
    if (upload.checksum_asked) {
        output.checksum_algorithm = upload.object.checksum_algorithm;
        output.checksum_type = upload.object.checksum_type;
    }
    co_return output;
}

}  // namespace hearth::s3
