#include "codec/uri/uri.h"
#include "services/s3/checksums.h"
#include "services/s3/conditionals.h"
#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/multipart_plan.h"
#include "services/s3/object_headers.h"
#include "services/s3/object_lock.h"
#include "services/s3/s3_keys.h"
#include "services/s3/s3_service.h"
#include "services/s3/storage_places.h"

#include "gen/s3/types.gen.h"

#include <utility>

// CompleteMultipartUpload: the parts become an object without being touched; its record names
// them. One transaction, whatever their number, unless more than kDroppedAtOnce were uploaded and
// not listed: those go first, in steps.
// Source: S3 API Reference; tests/conformance/s3_multipart.
namespace hearth::s3 {
namespace {

// Each is up to two keys.
constexpr size_t kDroppedAtOnce = 400;

std::string WithoutQuotes(std::string_view etag) {
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        etag = etag.substr(1, etag.size() - 2);
    }
    return std::string(etag);
}

template <class Shape>
std::map<std::string, std::string> ReadChecksums(const Shape& shape) {
    std::map<std::string, std::string> checksums;
    const auto add = [&](ChecksumAlgorithm algorithm, const std::optional<std::string>& value) {
        if (value) {
            checksums.emplace(ChecksumName(algorithm), *value);
        }
    };
    add(ChecksumAlgorithm::kCrc32, shape.checksum_crc32);
    add(ChecksumAlgorithm::kCrc32c, shape.checksum_crc32_c);
    add(ChecksumAlgorithm::kCrc64Nvme, shape.checksum_crc64_nvme);
    add(ChecksumAlgorithm::kSha1, shape.checksum_sha1);
    add(ChecksumAlgorithm::kSha256, shape.checksum_sha256);
    return checksums;
}

Result<CompletionRequest> ReadCompletion(const model::CompleteMultipartUpload::Input& input) {
    CompletionRequest request;
    if (!input.multipart_upload) {
        return errors::InvalidRequest("You must specify at least one part");
    }
    if (!input.multipart_upload->parts || input.multipart_upload->parts->empty()) {
        return errors::MalformedXml();
    }
    for (const model::CompletedPart& part : *input.multipart_upload->parts) {
        if (!part.part_number || !part.e_tag) {
            return errors::MalformedXml();
        }
        if (*part.part_number < 1 || *part.part_number > kPartsMax) {
            return errors::InvalidPartNumberArgument(*part.part_number);
        }
        request.parts.push_back(
            {.number = *part.part_number,
             .etag = WithoutQuotes(*part.e_tag),
             .checksums = ReadChecksums(part)});
    }
    request.checksums = ReadChecksums(input);
    for (const auto& [algorithm, value] : request.checksums) {
        // Of a composite one, "-<parts>" stands behind.
        if (!IsChecksumOf(algorithm, value.substr(0, value.find('-')))) {
            std::string header(ChecksumHeader(*ParseChecksumName(algorithm)));
            return errors::InvalidRequest("Value for " + header + " header is invalid.");
        }
    }
    request.checksum_type = input.checksum_type;
    request.object_size = input.mpu_object_size;
    return request;
}

}  // namespace

struct S3Service::Completion {
    // What is asked.
    const BucketRecord& known;
    std::string key;
    std::string upload_id;
    CompletionRequest request;
    WriteConditions conditions;
    std::optional<CustomerKeyOfRequest> customer_key;
    WallClock::time_point now;
    int64_t cloud_ms = 0;
    // By the bucket's rule, for an upload that named none.
    Retention default_retention;
    std::string unique;
    // What became of it.
    S3Store::Written written;
    std::vector<storage::StoredBody> dropped;
    bool finished = false;
    Announcement announcement;
};

Task<Status> S3Service::CompleteIn(storage::Transaction& transaction, Completion& completion) {
    completion.dropped.clear();
    completion.finished = false;
    completion.announcement.Begin();
    HEARTH_CO_TRY(
        const BucketRecord bucket, co_await store_.ReadBucket(transaction, completion.known));
    HEARTH_CO_TRY(
        auto upload,
        co_await uploads_.Find(transaction, bucket, completion.key, completion.upload_id));
    if (!upload) {
        co_return errors::NoSuchUpload(completion.upload_id);
    }
    if (completion.customer_key &&
        completion.customer_key->md5 != upload->object.customer_key_md5) {
        co_return errors::InvalidRequest(
            "The provided encryption parameters did not match the ones used originally.");
    }
    HEARTH_CO_TRY(
        const std::vector<PartRecord> parts,
        co_await uploads_.Parts(transaction, bucket, upload->parts_id));
    HEARTH_CO_TRY(CompletionPlan plan, PlanCompletion(*upload, parts, completion.request));
    for (const size_t index : plan.unlisted) {
        if (completion.dropped.size() == kDroppedAtOnce) {
            break;
        }
        const PartRecord& part = parts[index];
        transaction.Delete(keys::Part(bucket, upload->parts_id, part.number));
        HEARTH_CO_TRY(auto stored, storage::StoredBody::Decode(part.body));
        if (part.body_inline) {
            transaction.Delete(keys::Inline(bucket, part.unique));
        }
        completion.dropped.push_back(std::move(stored));
    }
    const size_t going = completion.dropped.size();
    std::erase_if(
        completion.dropped, [](const storage::StoredBody& body) { return body.is_inline(); });
    if (!completion.dropped.empty()) {
        bodies_->Drop(transaction, completion.dropped);
    }
    ObjectRecord object = std::move(upload->object);
    if (object.retention.mode.empty()) {
        object.retention = completion.default_retention;
    }
    object.size = plan.size;
    object.etag = std::move(plan.etag);
    object.modified = completion.now;
    object.modified_cloud_ms = completion.cloud_ms;
    object.checksum_algorithm = std::move(plan.checksum_algorithm);
    object.checksum_type = std::move(plan.checksum_type);
    object.checksum = std::move(plan.checksum);
    object.unique = completion.unique;
    object.parts_id = upload->parts_id;
    object.parts_count = static_cast<int32_t>(completion.request.parts.size());
    object.parts_place = static_cast<int32_t>(PlaceOf(object.storage_class));
    HEARTH_CO_TRY(const auto first, storage::StoredBody::Decode(parts.front().body));
    object.encryption = EncryptionOf(first);
    const S3Store::Check check = [&](const ObjectRecord* current) {
        return DecideWrite(completion.conditions, completion.key, current);
    };
    if (going < plan.unlisted.size()) {
        // Too many for one transaction: these go now, the rest with the next one.
        HEARTH_CO_TRY(
            const auto current, co_await store_.FindCurrent(transaction, bucket, completion.key));
        const bool there = current && !current->record.delete_marker;
        co_return check(there ? &current->record : nullptr);
    }
    HEARTH_CO_TRY(
        completion.written,
        co_await store_.Put(transaction, bucket, std::move(object), nullptr, check));
    const ObjectRecord& record = completion.written.record;
    UploadStore::Delete(transaction, bucket, completion.key, completion.upload_id);
    UploadStore::PutCompleted(
        transaction,
        bucket,
        completion.upload_id,
        {.key = completion.key,
         .parts_digest = completion.request.PartsDigest(),
         .etag = record.etag,
         .version_id = record.version_id,
         .checksum_algorithm = record.checksum_algorithm,
         .checksum_type = record.checksum_type,
         .checksum = record.checksum,
         .encryption = record.encryption});
    completion.finished = true;
    co_return completion.announcement.Add(
        transaction, NotificationEvent::kCreatedCompleteMultipartUpload, record);
}

Task<Result<model::CompleteMultipartUpload::Output>> S3Service::CompleteMultipartUpload(
    aws::RequestContext& context, model::CompleteMultipartUpload::Input input) {
    HEARTH_CO_TRY(CompletionRequest request, ReadCompletion(input));
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto customer_key, ReadCustomerKeyOf(input));
    const CloudClock::time_point cloud_now = deps_.cloud_clock.Now();
    HEARTH_CO_TRY(
        const LockOfVersion lock,
        LockNewVersion(
            {}, bucket->record.object_lock, bucket->compiled.default_retention, cloud_now));
    Completion completion{
        .known = bucket->record,
        .key = input.key.value_or(""),
        .upload_id = input.upload_id.value_or(""),
        .request = std::move(request),
        .conditions = {.if_match = input.if_match, .if_none_match = input.if_none_match},
        .customer_key = std::move(customer_key),
        .now = context.now,
        .cloud_ms = UnixMs(cloud_now),
        .default_retention = lock.retention,
        .unique = store_.Unique(),
        .announcement = notifications_.Announce(*bucket, &context)};
    HEARTH_CO_RETURN_IF_ERROR(CheckWriteConditions(completion.conditions));
    Result<CompletedUpload> completed = errors::NoSuchUpload(completion.upload_id);
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        return CompleteIn(transaction, completion);
    };
    while (!completion.finished) {
        const Status status = co_await store_.kv().Transact(body);
        completion.announcement.End(status);
        if (!status.ok()) {
            if (status.error().code() == "Conflict") {
                co_return errors::OperationAborted();
            }
            if (status.error().code() != "NoSuchUpload") {
                co_return status.error();
            }
            // Perhaps this is the repetition of a call whose answer was lost.
            HEARTH_CO_TRY(
                auto before, co_await uploads_.FindCompleted(bucket->record, completion.upload_id));
            if (!before || before->key != completion.key ||
                before->parts_digest != completion.request.PartsDigest()) {
                co_return status.error();
            }
            completed = *std::move(before);
            break;
        }
        if (!completion.dropped.empty()) {
            bodies_->Dropped(completion.dropped);
        }
    }
    if (completion.finished) {
        const ObjectRecord& record = completion.written.record;
        completed = CompletedUpload{
            .key = completion.key,
            .parts_digest = {},
            .etag = record.etag,
            .version_id = record.version_id,
            .checksum_algorithm = record.checksum_algorithm,
            .checksum_type = record.checksum_type,
            .checksum = record.checksum,
            .encryption = record.encryption};
        co_await store_.Release(bucket->record, std::move(completion.written.displaced));
    }
    model::CompleteMultipartUpload::Output output;
    output.location = context.endpoint + "/" + bucket->record.name + "/" +
                      codec::PercentEncode(completion.key, /*keep_slash=*/true);
    output.bucket = bucket->record.name;
    output.key = completion.key;
    output.e_tag = QuotedEtag(completed->etag);
    ShowChecksum(
        output, completed->checksum_algorithm, completed->checksum_type, completed->checksum);
    if (completed->encryption == Encryption::kS3) {
        output.server_side_encryption = "AES256";
    }
    if (completed->version_id != kNullVersionId) {
        output.version_id = completed->version_id;
    }
    co_return output;
}

}  // namespace hearth::s3
