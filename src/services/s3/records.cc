#include "services/s3/records.h"

#include "storage/records/record_codec.h"

namespace hearth::s3 {
namespace {

using storage::FieldReader;
using storage::FieldWriter;

// Field numbers are never reused.
namespace bucket_field {
enum : uint8_t {
    kName = 1,
    kId = 2,
    kAccount = 3,
    kRegion = 4,
    kCreated = 5,
    kVersioning = 6,
    kObjectLock = 7,
};
}  // namespace bucket_field

namespace object_field {
enum : uint8_t {
    kVersionId = 1,
    kSequence = 2,
    kDeleteMarker = 3,
    kSize = 4,
    kEtag = 5,
    kModified = 6,
    kModifiedCloud = 7,
    kOwner = 8,
    kMetadata = 9,
    kContentType = 10,
    kCacheControl = 11,
    kContentDisposition = 12,
    kContentEncoding = 13,
    kContentLanguage = 14,
    kExpires = 15,
    kWebsiteRedirect = 16,
    kStorageClass = 17,
    kTag = 18,
    kAcl = 19,
    kEncryption = 20,
    kCustomerKeyMd5 = 21,
    kChecksumAlgorithm = 22,
    kChecksumType = 23,
    kChecksum = 24,
    kRetentionMode = 25,
    kRetainUntil = 26,
    kLegalHold = 27,
    kBody = 28,
    kBodyInline = 29,
    kUnique = 30,
    kPartsId = 31,
    kPartsCount = 32,
    kRestoredUntil = 33,
    kRestoreOngoing = 34,
    kTier = 35,
    kAccessedCloud = 36,
    kPartsPlace = 37,
    kRestoredBody = 38,
    kInlineBytes = 39,
};
}  // namespace object_field

namespace part_field {
enum : uint8_t {
    kSize = 1,
    kEtag = 2,
    kModified = 3,
    kChecksum = 4,
    kBody = 5,
    kBodyInline = 6,
    kUnique = 7,
};
}  // namespace part_field

WallClock::time_point Time(int64_t ms) {
    return WallClock::time_point(std::chrono::milliseconds(ms));
}

void TextIfAny(FieldWriter& writer, uint8_t number, std::string_view text) {
    if (!text.empty()) {
        writer.Text(number, text);
    }
}

void TextIfSet(FieldWriter& writer, uint8_t number, const std::optional<std::string>& text) {
    if (text) {
        writer.Text(number, *text);
    }
}

void IntegerIfAny(FieldWriter& writer, uint8_t number, int64_t value) {
    if (value != 0) {
        writer.Integer(number, value);
    }
}

Status DecodeField(ObjectRecord& record, const FieldReader::Field& field) {
    using namespace object_field;
    const auto text = [&field] { return std::string(field.bytes); };
    switch (field.number) {
        case kVersionId:
            record.version_id = text();
            break;
        case kEtag:
            record.etag = text();
            break;
        case kOwner:
            record.owner = text();
            break;
        case kContentType:
            record.content_type = text();
            break;
        case kCacheControl:
            record.cache_control = text();
            break;
        case kContentDisposition:
            record.content_disposition = text();
            break;
        case kContentEncoding:
            record.content_encoding = text();
            break;
        case kContentLanguage:
            record.content_language = text();
            break;
        case kExpires:
            record.expires = text();
            break;
        case kWebsiteRedirect:
            record.website_redirect = text();
            break;
        case kStorageClass:
            record.storage_class = text();
            break;
        case kAcl:
            record.acl = text();
            break;
        case kCustomerKeyMd5:
            record.customer_key_md5 = text();
            break;
        case kChecksumAlgorithm:
            record.checksum_algorithm = text();
            break;
        case kChecksumType:
            record.checksum_type = text();
            break;
        case kChecksum:
            record.checksum = text();
            break;
        case kRetentionMode:
            record.retention.mode = text();
            break;
        case kBody:
            record.body = text();
            break;
        case kUnique:
            record.unique = text();
            break;
        case kPartsId:
            record.parts_id = text();
            break;
        case kTier:
            record.tier = text();
            break;
        case kRestoredBody:
            record.restored_body = text();
            break;
        case kInlineBytes:
            record.inline_bytes = text();
            break;
        case kMetadata: {
            HEARTH_TRY(const auto pair, FieldReader::Pair(field));
            record.metadata.emplace_back(pair.key, pair.value);
            break;
        }
        case kTag: {
            HEARTH_TRY(const auto pair, FieldReader::Pair(field));
            record.tags.emplace(pair.key, pair.value);
            break;
        }
        case kSequence:
        case kDeleteMarker:
        case kSize:
        case kModified:
        case kModifiedCloud:
        case kEncryption:
        case kRetainUntil:
        case kLegalHold:
        case kBodyInline:
        case kPartsCount:
        case kPartsPlace:
        case kRestoredUntil:
        case kRestoreOngoing:
        case kAccessedCloud: {
            HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
            switch (field.number) {
                case kSequence:
                    record.sequence = value;
                    break;
                case kDeleteMarker:
                    record.delete_marker = value != 0;
                    break;
                case kSize:
                    record.size = static_cast<uint64_t>(value);
                    break;
                case kModified:
                    record.modified = Time(value);
                    break;
                case kModifiedCloud:
                    record.modified_cloud_ms = value;
                    break;
                case kEncryption:
                    record.encryption = static_cast<Encryption>(value);
                    break;
                case kRetainUntil:
                    record.retention.until = Time(value);
                    break;
                case kLegalHold:
                    // 1: on; 2: switched off.
                    record.legal_hold = value == 1;
                    record.legal_hold_known = value != 0;
                    break;
                case kBodyInline:
                    record.body_inline = value != 0;
                    break;
                case kPartsCount:
                    record.parts_count = static_cast<int32_t>(value);
                    break;
                case kPartsPlace:
                    record.parts_place = static_cast<int32_t>(value);
                    break;
                case kRestoredUntil:
                    record.restored_until = Time(value);
                    break;
                case kAccessedCloud:
                    record.accessed_cloud_ms = value;
                    break;
                case kRestoreOngoing:
                    record.restore_ongoing = value != 0;
                    break;
                default:
                    break;
            }
            break;
        }
        default:
            break;
    }
    return Status();
}

}  // namespace

std::string BucketRecord::Encode() const {
    using namespace bucket_field;
    FieldWriter writer;
    writer.Text(kName, name);
    writer.Integer(kId, id);
    writer.Text(kAccount, account.text());
    writer.Text(kRegion, region.text());
    writer.Integer(kCreated, UnixMs(created));
    IntegerIfAny(writer, kVersioning, static_cast<int64_t>(versioning));
    IntegerIfAny(writer, kObjectLock, object_lock ? 1 : 0);
    return writer.Take();
}

Result<BucketRecord> BucketRecord::Decode(std::string_view bytes) {
    using namespace bucket_field;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    BucketRecord record;
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kName:
                record.name = field->bytes;
                break;
            case kAccount:
                record.account = AccountId(std::string(field->bytes));
                break;
            case kRegion:
                record.region = Region(std::string(field->bytes));
                break;
            case kId: {
                HEARTH_TRY(record.id, FieldReader::Integer(*field));
                break;
            }
            case kCreated: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(*field));
                record.created = Time(ms);
                break;
            }
            case kVersioning: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                record.versioning = static_cast<Versioning>(value);
                break;
            }
            case kObjectLock: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                record.object_lock = value != 0;
                break;
            }
            default:
                break;
        }
    }
}

std::string ObjectRecord::Encode() const {
    using namespace object_field;
    FieldWriter writer;
    writer.Text(kVersionId, version_id);
    writer.Integer(kSequence, sequence);
    IntegerIfAny(writer, kDeleteMarker, delete_marker ? 1 : 0);
    IntegerIfAny(writer, kSize, static_cast<int64_t>(size));
    TextIfAny(writer, kEtag, etag);
    writer.Integer(kModified, UnixMs(modified));
    writer.Integer(kModifiedCloud, modified_cloud_ms);
    TextIfAny(writer, kOwner, owner);
    for (const auto& [name, value] : metadata) {
        writer.Pair(kMetadata, name, value);
    }
    TextIfSet(writer, kContentType, content_type);
    TextIfSet(writer, kCacheControl, cache_control);
    TextIfSet(writer, kContentDisposition, content_disposition);
    TextIfSet(writer, kContentEncoding, content_encoding);
    TextIfSet(writer, kContentLanguage, content_language);
    TextIfSet(writer, kExpires, expires);
    TextIfSet(writer, kWebsiteRedirect, website_redirect);
    if (storage_class != "STANDARD") {
        writer.Text(kStorageClass, storage_class);
    }
    for (const auto& [name, value] : tags) {
        writer.Pair(kTag, name, value);
    }
    TextIfAny(writer, kAcl, acl);
    IntegerIfAny(writer, kEncryption, static_cast<int64_t>(encryption));
    TextIfAny(writer, kCustomerKeyMd5, customer_key_md5);
    TextIfAny(writer, kChecksumAlgorithm, checksum_algorithm);
    TextIfAny(writer, kChecksumType, checksum_type);
    TextIfAny(writer, kChecksum, checksum);
    if (!retention.mode.empty()) {
        writer.Text(kRetentionMode, retention.mode);
        writer.Integer(kRetainUntil, UnixMs(retention.until));
    }
    IntegerIfAny(writer, kLegalHold, legal_hold ? 1 : (legal_hold_known ? 2 : 0));
    TextIfAny(writer, kBody, body);
    IntegerIfAny(writer, kBodyInline, body_inline ? 1 : 0);
    TextIfAny(writer, kUnique, unique);
    TextIfAny(writer, kPartsId, parts_id);
    IntegerIfAny(writer, kPartsCount, parts_count);
    IntegerIfAny(writer, kPartsPlace, parts_place);
    if (restored_until) {
        writer.Integer(kRestoredUntil, UnixMs(*restored_until));
    }
    IntegerIfAny(writer, kRestoreOngoing, restore_ongoing ? 1 : 0);
    TextIfAny(writer, kTier, tier);
    IntegerIfAny(writer, kAccessedCloud, accessed_cloud_ms);
    TextIfAny(writer, kRestoredBody, restored_body);
    TextIfAny(writer, kInlineBytes, inline_bytes);
    return writer.Take();
}

Result<ObjectRecord> ObjectRecord::Decode(std::string key, std::string_view bytes) {
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    ObjectRecord record;
    record.key = std::move(key);
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        HEARTH_RETURN_IF_ERROR(DecodeField(record, *field));
    }
}

std::string PartRecord::Encode() const {
    using namespace part_field;
    FieldWriter writer;
    writer.Integer(kSize, static_cast<int64_t>(size));
    writer.Text(kEtag, etag);
    writer.Integer(kModified, UnixMs(modified));
    for (const auto& [algorithm, value] : checksums) {
        writer.Pair(kChecksum, algorithm, value);
    }
    writer.Text(kBody, body);
    IntegerIfAny(writer, kBodyInline, body_inline ? 1 : 0);
    TextIfAny(writer, kUnique, unique);
    return writer.Take();
}

Result<PartRecord> PartRecord::Decode(int32_t number, std::string_view bytes) {
    using namespace part_field;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    PartRecord record;
    record.number = number;
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kEtag:
                record.etag = field->bytes;
                break;
            case kBody:
                record.body = field->bytes;
                break;
            case kUnique:
                record.unique = field->bytes;
                break;
            case kSize: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                record.size = static_cast<uint64_t>(value);
                break;
            }
            case kModified: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                record.modified = Time(value);
                break;
            }
            case kBodyInline: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                record.body_inline = value != 0;
                break;
            }
            case kChecksum: {
                HEARTH_TRY(const auto pair, FieldReader::Pair(*field));
                record.checksums.emplace(pair.key, pair.value);
                break;
            }
            default:
                break;
        }
    }
}

}  // namespace hearth::s3
