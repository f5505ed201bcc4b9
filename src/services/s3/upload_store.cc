#include "services/s3/upload_store.h"

#include "codec/crypto/crypto.h"
#include "services/s3/list_ranges.h"
#include "services/s3/s3_keys.h"
#include "storage/records/record_codec.h"

#include <array>
#include <chrono>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr char kEndOfKey = '\0';
constexpr size_t kIdTimeBytes = 8;
constexpr size_t kIdRandomBytes = 16;
constexpr std::chrono::hours kCompletedKept{24};
constexpr size_t kForgottenAtOnce = 20;
constexpr size_t kPartsPerPage = 1'000;

enum UploadField : uint8_t {
    kObject = 1,
    kInitiated = 2,
    kInitiatedCloud = 3,
    kInitiator = 4,
    kPartsId = 5,
    kChecksumAsked = 6,
};

enum CompletedField : uint8_t {
    kKey = 1,
    kPartsDigest = 2,
    kEtag = 3,
    kVersionId = 4,
    kChecksumAlgorithm = 5,
    kChecksumType = 6,
    kChecksum = 7,
    kEncryption = 8,
};

std::string HexOfTime(WallClock::time_point time) {
    const uint64_t number = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
    std::array<uint8_t, kIdTimeBytes> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<uint8_t>(number >> (56 - 8 * i));
    }
    return codec::Hex(bytes);
}

int64_t Milliseconds(WallClock::time_point time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallClock::time_point FromMilliseconds(int64_t number) {
    return WallClock::time_point(std::chrono::milliseconds(number));
}

std::string UploadKey(const BucketRecord& bucket, std::string_view key, std::string_view id) {
    std::string storage_key = keys::Table(bucket, "u");
    storage_key += keys::Shifted(key);
    storage_key.push_back(kEndOfKey);
    storage_key += id;
    return storage_key;
}

std::string CompletedKey(const BucketRecord& bucket, std::string_view id) {
    std::string storage_key = keys::Table(bucket, "m");
    storage_key += id;
    return storage_key;
}

}  // namespace

std::string UploadRecord::Encode() const {
    storage::FieldWriter writer;
    writer.Text(kObject, object.Encode());
    writer.Integer(kInitiated, Milliseconds(initiated));
    writer.Integer(kInitiatedCloud, initiated_cloud_ms);
    writer.Text(kInitiator, initiator);
    writer.Text(kPartsId, parts_id);
    writer.Integer(kChecksumAsked, checksum_asked ? 1 : 0);
    return writer.Take();
}

Result<UploadRecord> UploadRecord::Decode(std::string key, std::string id, std::string_view bytes) {
    UploadRecord record;
    record.id = std::move(id);
    HEARTH_TRY(auto reader, storage::FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            break;
        }
        switch (field->number) {
            case kObject: {
                HEARTH_TRY(record.object, ObjectRecord::Decode(key, field->bytes));
                break;
            }
            case kInitiated: {
                HEARTH_TRY(const int64_t number, storage::FieldReader::Integer(*field));
                record.initiated = FromMilliseconds(number);
                break;
            }
            case kInitiatedCloud: {
                HEARTH_TRY(record.initiated_cloud_ms, storage::FieldReader::Integer(*field));
                break;
            }
            case kInitiator:
                record.initiator = field->bytes;
                break;
            case kPartsId:
                record.parts_id = field->bytes;
                break;
            case kChecksumAsked: {
                HEARTH_TRY(const int64_t number, storage::FieldReader::Integer(*field));
                record.checksum_asked = number != 0;
                break;
            }
            default:
                break;
        }
    }
    record.key = std::move(key);
    return record;
}

std::string CompletedUpload::Encode() const {
    storage::FieldWriter writer;
    writer.Text(kKey, key);
    writer.Text(kPartsDigest, parts_digest);
    writer.Text(kEtag, etag);
    writer.Text(kVersionId, version_id);
    writer.Text(kChecksumAlgorithm, checksum_algorithm);
    writer.Text(kChecksumType, checksum_type);
    writer.Text(kChecksum, checksum);
    writer.Integer(kEncryption, static_cast<int64_t>(encryption));
    return writer.Take();
}

Result<CompletedUpload> CompletedUpload::Decode(std::string_view bytes) {
    CompletedUpload record;
    HEARTH_TRY(auto reader, storage::FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kKey:
                record.key = field->bytes;
                break;
            case kPartsDigest:
                record.parts_digest = field->bytes;
                break;
            case kEtag:
                record.etag = field->bytes;
                break;
            case kVersionId:
                record.version_id = field->bytes;
                break;
            case kChecksumAlgorithm:
                record.checksum_algorithm = field->bytes;
                break;
            case kChecksumType:
                record.checksum_type = field->bytes;
                break;
            case kChecksum:
                record.checksum = field->bytes;
                break;
            case kEncryption: {
                HEARTH_TRY(const int64_t number, storage::FieldReader::Integer(*field));
                record.encryption = static_cast<Encryption>(number);
                break;
            }
            default:
                break;
        }
    }
}

std::string UploadStore::NewId(WallClock::time_point now) {
    return HexOfTime(now) + random_.Hex(kIdRandomBytes);
}

Result<UploadRecord> UploadStore::Read(
    const BucketRecord& bucket, std::string_view storage_key, std::string_view value) {
    const size_t head = keys::Table(bucket, "u").size();
    const size_t tail = 1 + 2 * (kIdTimeBytes + kIdRandomBytes);
    if (storage_key.size() <= head + tail) {
        return hearth::errors::Internal("s3: a key of uploads is too short");
    }
    std::string key(storage_key.substr(head, storage_key.size() - head - tail));
    for (char& byte : key) {
        byte = static_cast<char>(static_cast<uint8_t>(byte) - 1);
    }
    return UploadRecord::Decode(
        std::move(key),
        std::string(storage_key.substr(storage_key.size() - 2 * (kIdTimeBytes + kIdRandomBytes))),
        value);
}

bool UploadStore::IsId(std::string_view id) {
    return id.size() == 2 * (kIdTimeBytes + kIdRandomBytes) &&
           id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string UploadStore::PartsIdOf(std::string_view upload_id) {
    return std::string(upload_id.substr(2 * kIdTimeBytes));
}

Task<Result<std::optional<UploadRecord>>> UploadStore::Find(
    const BucketRecord& bucket, std::string key, std::string id) {
    if (!IsId(id)) {
        co_return std::optional<UploadRecord>();
    }
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(UploadKey(bucket, key, id)));
    if (!bytes) {
        co_return std::optional<UploadRecord>();
    }
    HEARTH_CO_TRY(auto record, UploadRecord::Decode(std::move(key), std::move(id), *bytes));
    co_return std::optional<UploadRecord>(std::move(record));
}

Task<Result<std::optional<UploadRecord>>> UploadStore::Find(
    storage::Transaction& transaction,
    const BucketRecord& bucket,
    std::string key,
    std::string id) {
    if (!IsId(id)) {
        co_return std::optional<UploadRecord>();
    }
    HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(UploadKey(bucket, key, id)));
    if (!bytes) {
        co_return std::optional<UploadRecord>();
    }
    HEARTH_CO_TRY(auto record, UploadRecord::Decode(std::move(key), std::move(id), *bytes));
    co_return std::optional<UploadRecord>(std::move(record));
}

void UploadStore::Put(
    storage::Transaction& transaction, const BucketRecord& bucket, const UploadRecord& upload) {
    transaction.Put(UploadKey(bucket, upload.key, upload.id), upload.Encode());
}

void UploadStore::Delete(
    storage::Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view key,
    std::string_view id) {
    transaction.Delete(UploadKey(bucket, key, id));
}

std::unique_ptr<OrderedEntries> UploadStore::Entries(const BucketRecord& bucket) {
    return UploadEntries(kv_, bucket);
}

Task<Result<std::optional<PartRecord>>> UploadStore::FindPart(
    storage::Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view parts_id,
    int32_t number) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(keys::Part(bucket, parts_id, number)));
    if (!bytes) {
        co_return std::optional<PartRecord>();
    }
    HEARTH_CO_TRY(auto record, PartRecord::Decode(number, *bytes));
    co_return std::optional<PartRecord>(std::move(record));
}

Task<Result<std::vector<PartRecord>>> UploadStore::Parts(
    storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id) {
    std::vector<PartRecord> parts;
    storage::RangeRequest request = keys::Parts(bucket, parts_id);
    request.limit = kPartsPerPage;
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await transaction.Range(request));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(const int32_t number, keys::ParsePart(item.key));
            HEARTH_CO_TRY(auto part, PartRecord::Decode(number, item.value));
            parts.push_back(std::move(part));
        }
        if (!page.next) {
            co_return parts;
        }
        request.begin = *page.next;
    }
}

Task<Result<std::vector<PartRecord>>> UploadStore::PartsAfter(
    const BucketRecord& bucket, std::string_view parts_id, int32_t after, size_t limit) {
    std::vector<PartRecord> parts;
    storage::RangeRequest request = keys::Parts(bucket, parts_id);
    request.begin = keys::Part(bucket, parts_id, after + 1);
    while (parts.size() < limit) {
        request.limit = limit - parts.size();
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(const int32_t number, keys::ParsePart(item.key));
            HEARTH_CO_TRY(auto part, PartRecord::Decode(number, item.value));
            parts.push_back(std::move(part));
        }
        if (!page.next) {
            break;
        }
        request.begin = *page.next;
    }
    co_return parts;
}

Task<Result<std::optional<CompletedUpload>>> UploadStore::FindCompleted(
    const BucketRecord& bucket, std::string_view id) {
    if (!IsId(id)) {
        co_return std::optional<CompletedUpload>();
    }
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(CompletedKey(bucket, id)));
    if (!bytes) {
        co_return std::optional<CompletedUpload>();
    }
    HEARTH_CO_TRY(auto record, CompletedUpload::Decode(*bytes));
    co_return std::optional<CompletedUpload>(std::move(record));
}

void UploadStore::PutCompleted(
    storage::Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view id,
    const CompletedUpload& completed) {
    transaction.Put(CompletedKey(bucket, id), completed.Encode());
}

Task<Status> UploadStore::ForgetCompleted(const BucketRecord& bucket, WallClock::time_point now) {
    // An id begins with when the upload was begun; one that took longer than a day to complete is
    // forgotten early, and then its repetition is answered NoSuchUpload.
    storage::RangeRequest request;
    request.begin = CompletedKey(bucket, {});
    request.end = CompletedKey(bucket, HexOfTime(now - kCompletedKept));
    request.limit = kForgottenAtOnce;
    HEARTH_CO_TRY(const auto page, co_await kv_.Range(std::move(request)));
    if (page.items.empty()) {
        co_return Status();
    }
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        for (const storage::KeyValue& item : page.items) {
            transaction.Delete(item.key);
        }
        co_return Status();
    };
    co_return co_await kv_.Transact(body);
}

}  // namespace hearth::s3
