#include "aws/front/request_body.h"
#include "codec/crypto/crypto.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"

// S3Service: bytes of objects on their way in and out.
namespace hearth::s3 {

Error S3Service::TranslateBodyError(Error error) {
    if (error.code() == storage::kDiskFull) {
        return errors::InsufficientStorage();
    }
    if (error.code() == storage::kWrongCustomerKey) {
        return errors::AccessDenied();
    }
    if (error.code() == storage::kBodyDamaged) {
        return hearth::errors::Internal("the disk returned other bytes than were written");
    }
    return error;
}

void S3Service::FinishRecord(
    ObjectRecord& record,
    const storage::FinishedBody& body,
    ChecksumAlgorithm algorithm,
    std::string checksum) {
    if (body.body().encryption == storage::BodyEncryption::kNone) {
        record.encryption = Encryption::kNone;
    }
    record.unique = store_.Unique();
    // As on AWS, the tag of what only its owner can read tells nothing of it.
    record.etag =
        record.encryption == Encryption::kCustomer
            ? codec::Hex({reinterpret_cast<const uint8_t*>(record.unique.data()), size_t{16}})
            : codec::Hex(*body.digests().md5);
    record.checksum_algorithm = ChecksumName(algorithm);
    record.checksum_type = "FULL_OBJECT";
    record.checksum = std::move(checksum);
}

Task<Result<S3Service::Received>> S3Service::Receive(
    aws::RequestContext& context,
    const std::optional<std::string>& in_input,
    const UploadChecks& checks,
    const std::optional<CustomerKeyOfRequest>& customer_key,
    storage::BodyTier place) {
    aws::RequestBody* const body = context.request_body;
    std::optional<uint64_t> length;
    if (body != nullptr) {
        // Not known for the files of browsers' forms, which the front holds to the same limit.
        length = body->Length();
    } else {
        length = in_input ? in_input->size() : 0;
    }
    if (length.value_or(0) > kPutBytesMax) {
        co_return errors::EntityTooLarge(*length);
    }
    storage::BodyOptions options;
    if (customer_key) {
        options.customer_key = customer_key->key;
    }
    options.expected_length = length;
    options.hashes = checks.Hashes();
    options.tier = place;
    auto created = co_await bodies_->Create(std::move(options));
    if (!created.ok()) {
        co_return TranslateBodyError(std::move(created).error());
    }
    storage::BodySink& sink = **created;
    if (body == nullptr) {
        if (in_input && !in_input->empty()) {
            if (auto written = co_await sink.Write(*in_input); !written.ok()) {
                co_return TranslateBodyError(std::move(written).error());
            }
        }
    } else {
        while (true) {
            auto space = co_await sink.Space();
            if (!space.ok()) {
                co_return TranslateBodyError(std::move(space).error());
            }
            HEARTH_CO_TRY(const size_t bytes, co_await body->Read(*space));
            if (bytes == 0) {
                break;
            }
            sink.Filled(bytes);
        }
    }
    auto finished = co_await sink.Finish();
    if (!finished.ok()) {
        co_return TranslateBodyError(std::move(finished).error());
    }
    static const Trailers kNoTrailers;
    HEARTH_CO_TRY(
        std::string checksum,
        CheckUpload(checks, finished->digests(), body != nullptr ? body->trailers() : kNoTrailers));
    co_return Received{.body = *std::move(finished), .checksum = std::move(checksum)};
}

Task<Result<std::vector<storage::StoredBody>>> S3Service::BodiesOf(
    const BucketRecord& bucket, const ObjectRecord& record) {
    std::vector<storage::StoredBody> bodies;
    if (!record.restored_body.empty()) {
        HEARTH_CO_TRY(storage::StoredBody copy, storage::StoredBody::Decode(record.restored_body));
        bodies.push_back(std::move(copy));
        co_return bodies;
    }
    if (record.parts_id.empty()) {
        HEARTH_CO_TRY(storage::StoredBody body, storage::StoredBody::Decode(record.body));
        if (record.body_inline) {
            HEARTH_CO_TRY(body.inline_bytes, co_await store_.InlineBody(bucket, record));
        }
        bodies.push_back(std::move(body));
        co_return bodies;
    }
    bodies.reserve(static_cast<size_t>(record.parts_count));
    std::optional<std::string> from;
    do {
        HEARTH_CO_TRY(S3Store::PartPage page, co_await store_.Parts(bucket, record.parts_id, from));
        for (const PartRecord& part : page.parts) {
            HEARTH_CO_TRY(storage::StoredBody body, storage::StoredBody::Decode(part.body));
            if (part.body_inline) {
                HEARTH_CO_TRY(body.inline_bytes, co_await store_.InlineBody(bucket, part.unique));
            }
            bodies.push_back(std::move(body));
        }
        from = std::move(page.next);
    } while (from);
    if (bodies.size() != static_cast<size_t>(record.parts_count)) {
        co_return Error(
            Error::Kind::kNotFound, storage::kBodyGone, "parts of this version are gone", 404);
    }
    co_return bodies;
}

Task<Result<std::unique_ptr<storage::BodySource>>> S3Service::OpenObject(
    const BucketRecord& bucket, const ObjectRecord& record, storage::OpenOptions options) {
    HEARTH_CO_TRY(std::vector<storage::StoredBody> bodies, co_await BodiesOf(bucket, record));
    auto source = co_await bodies_->Open(std::move(bodies), std::move(options));
    if (!source.ok()) {
        co_return TranslateBodyError(std::move(source).error());
    }
    co_return *std::move(source);
}

Task<Result<storage::FinishedBody>> S3Service::CopyBytes(
    const BucketRecord& bucket,
    const ObjectRecord& record,
    storage::OpenOptions options,
    storage::BodyHashes hashes,
    const std::optional<CustomerKeyOfRequest>& customer_key,
    storage::BodyTier place) {
    storage::BodyOptions made;
    if (customer_key) {
        made.customer_key = customer_key->key;
    }
    made.expected_length = options.length;
    made.hashes = hashes;
    made.tier = place;
    HEARTH_CO_TRY(const auto source, co_await OpenObject(bucket, record, std::move(options)));
    auto sink = co_await bodies_->Create(std::move(made));
    if (!sink.ok()) {
        co_return TranslateBodyError(std::move(sink).error());
    }
    while (true) {
        auto bytes = co_await source->Next();
        if (!bytes.ok()) {
            co_return TranslateBodyError(std::move(bytes).error());
        }
        if (bytes->empty()) {
            break;
        }
        if (auto written = co_await (*sink)->Write(*bytes); !written.ok()) {
            co_return TranslateBodyError(std::move(written).error());
        }
    }
    auto finished = co_await (*sink)->Finish();
    if (!finished.ok()) {
        co_return TranslateBodyError(std::move(finished).error());
    }
    co_return *std::move(finished);
}

Task<Status> S3Service::Transact(storage::Kv::Body body, bool* unknown) {
    auto committed = co_await store_.kv().Transact(std::move(body));
    if (!committed.ok() && committed.error().code() == "Conflict") {
        co_return errors::OperationAborted();
    }
    if (!committed.ok() && committed.error().code() == "Unknown") {
        if (unknown != nullptr) {
            *unknown = true;
        }
        co_return errors::InternalError();
    }
    co_return committed;
}

Task<Result<ObjectRecord>> S3Service::Commit(
    const BucketState& bucket,
    ObjectRecord record,
    const std::string* inline_bytes,
    storage::FinishedBody* finished,
    const WriteConditions& conditions,
    Told told) {
    Announcement announcement = notifications_.Announce(bucket, told.cause);
    S3Store::Written written;
    const S3Store::Check check = [&](const ObjectRecord* current) {
        return DecideWrite(conditions, record.key, current);
    };
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        announcement.Begin();
        HEARTH_CO_TRY(
            const BucketRecord now, co_await store_.ReadBucket(transaction, bucket.record));
        HEARTH_CO_TRY(
            written,
            co_await store_.Put(
                transaction,
                now,
                record,
                inline_bytes,
                conditions.any() ? check : S3Store::Check()));
        co_return announcement.Add(transaction, told.event, written.record);
    };
    bool unknown = false;
    auto committed = co_await Transact(body, &unknown);
    announcement.End(committed);
    if (!committed.ok()) {
        if (finished != nullptr && unknown) {
            finished->Leave();
        }
        co_return std::move(committed).error();
    }
    if (finished != nullptr) {
        finished->Keep();
    }
    if (!written.displaced.empty()) {
        co_await store_.Release(bucket.record, std::move(written.displaced));
    }
    co_return std::move(written.record);
}

}  // namespace hearth::s3
