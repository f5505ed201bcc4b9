#include "codec/crypto/crypto.h"
#include "services/s3/checksums.h"
#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_keys.h"
#include "services/s3/s3_service.h"
#include "services/s3/storage_places.h"

#include "gen/s3/types.gen.h"

#include <utility>

// UploadPart: a body that flows in, kept under the upload and a number until the upload is
// completed or aborted. A part that is sent again replaces the one before.
namespace hearth::s3 {

Task<Result<S3Service::PartTarget>> S3Service::FindPartTarget(
    BucketHandle bucket,
    std::string key,
    std::string upload_id,
    int32_t number,
    const std::optional<CustomerKeyOfRequest>& customer_key) {
    if (number < 1 || number > kPartsMax) {
        co_return errors::InvalidPartNumberArgument(number);
    }
    HEARTH_CO_TRY(auto upload, co_await uploads_.Find(bucket->record, key, upload_id));
    if (!upload) {
        co_return errors::NoSuchUpload(upload_id);
    }
    const bool needs_key = upload->object.encryption == Encryption::kCustomer;
    if (needs_key && !customer_key) {
        co_return errors::InvalidRequest(
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters.");
    }
    if (customer_key && (!needs_key || customer_key->md5 != upload->object.customer_key_md5)) {
        co_return errors::InvalidRequest(
            "The provided encryption parameters did not match the ones used originally.");
    }
    co_return PartTarget{std::move(bucket), *std::move(upload), number};
}

Task<Status> S3Service::StorePart(
    const PartTarget& target, PartRecord part, storage::FinishedBody finished) {
    const BucketRecord& known = target.bucket->record;
    const storage::StoredBody& stored = finished.body();
    const std::string inline_bytes = KeepBody(finished, part);
    part.number = target.number;
    part.unique = store_.Unique();
    std::vector<storage::StoredBody> replaced;
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        replaced.clear();
        HEARTH_CO_TRY(const BucketRecord bucket, co_await store_.ReadBucket(transaction, known));
        HEARTH_CO_TRY(
            const auto upload,
            co_await uploads_.Find(transaction, bucket, target.upload.key, target.upload.id));
        if (!upload) {
            co_return errors::NoSuchUpload(target.upload.id);
        }
        HEARTH_CO_TRY(
            const auto before,
            co_await uploads_.FindPart(transaction, bucket, upload->parts_id, part.number));
        if (before && before->body_inline) {
            transaction.Delete(keys::Inline(bucket, before->unique));
        } else if (before) {
            HEARTH_CO_TRY(auto old, storage::StoredBody::Decode(before->body));
            replaced.push_back(std::move(old));
            bodies_->Drop(transaction, replaced);
        }
        transaction.Put(keys::Part(bucket, upload->parts_id, part.number), part.Encode());
        if (stored.is_inline()) {
            transaction.Put(keys::Inline(bucket, part.unique), inline_bytes);
        } else {
            bodies_->Refer(
                transaction,
                stored,
                bucket.name + "/" + upload->key + " part " + std::to_string(part.number));
        }
        co_return Status();
    };
    const Status status = co_await store_.kv().Transact(body);
    if (status.ok()) {
        finished.Keep();
        if (!replaced.empty()) {
            bodies_->Dropped(replaced);
        }
    } else if (status.error().kind() == Error::Kind::kUnavailable) {
        finished.Leave();
    }
    co_return status;
}

Task<Result<model::UploadPart::Output>> S3Service::UploadPart(
    aws::RequestContext& context, model::UploadPart::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(const auto customer_key, ReadCustomerKeyOf(input));
    HEARTH_CO_TRY(
        const PartTarget target,
        co_await FindPartTarget(
            std::move(bucket),
            input.key.value_or(""),
            input.upload_id.value_or(""),
            input.part_number.value_or(0),
            customer_key));
    HEARTH_CO_TRY(UploadChecks checks, ReadUploadChecks(context));
    const ObjectRecord& object = target.upload.object;
    const auto wanted = ParseChecksumName(object.checksum_algorithm);
    if (wanted && target.upload.checksum_asked) {
        if (checks.chosen && checks.algorithm != *wanted) {
            co_return errors::ChecksumTypeMismatch(
                object.checksum_algorithm, ChecksumName(checks.algorithm));
        }
        if (!checks.chosen && object.checksum_type == checksum_type::kComposite) {
            co_return errors::ChecksumTypeMismatch(object.checksum_algorithm, "null");
        }
        checks.algorithm = *wanted;
    }
    checks.also = wanted;
    HEARTH_CO_TRY(
        Received received,
        co_await Receive(context, input.body, checks, customer_key, PlaceOf(object.storage_class)));
    const storage::BodyDigests& digests = received.body.digests();
    PartRecord part;
    // As on AWS, the tag of what only its owner can read tells nothing of it.
    const std::string unique = store_.Unique();
    part.etag = customer_key ? codec::Hex({reinterpret_cast<const uint8_t*>(unique.data()), 16})
                             : codec::Hex(*digests.md5);
    part.modified = context.now;
    part.checksums[std::string(ChecksumName(checks.algorithm))] = received.checksum;
    if (wanted) {
        part.checksums[object.checksum_algorithm] = ChecksumValue(*wanted, digests);
    }
    model::UploadPart::Output output;
    output.e_tag = QuotedEtag(part.etag);
    ShowEncryption(output, EncryptionOf(received.body.body()), object.customer_key_md5);
    if (checks.chosen || target.upload.checksum_asked) {
        ShowChecksum(output, ChecksumName(checks.algorithm), {}, received.checksum);
    }
    HEARTH_CO_RETURN_IF_ERROR(
        co_await StorePart(target, std::move(part), std::move(received.body)));
    co_return output;
}

}  // namespace hearth::s3
