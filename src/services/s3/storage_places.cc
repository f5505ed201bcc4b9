#include "services/s3/storage_places.h"

namespace hearth::s3 {

using storage::BodyTier;

BodyTier PlaceOf(std::string_view storage_class, std::string_view tier) {
    if (storage_class == "DEEP_ARCHIVE" || tier == "DEEP_ARCHIVE") {
        return BodyTier::kDeep;
    }
    if (storage_class == "GLACIER" || tier == "ARCHIVE") {
        return BodyTier::kArchive;
    }
    if (storage_class == "STANDARD_IA" || storage_class == "ONEZONE_IA" ||
        storage_class == "GLACIER_IR" || tier == "INFREQUENT" || tier == "ARCHIVE_INSTANT") {
        return BodyTier::kInfrequent;
    }
    return BodyTier::kStandard;
}

bool CanMove(const ObjectRecord& record) {
    if (record.delete_marker || record.encryption == Encryption::kCustomer) {
        return false;
    }
    return !record.parts_id.empty() || (!record.body_inline && !record.body.empty());
}

bool IsOutOfPlace(const ObjectRecord& record) {
    if (!CanMove(record)) {
        return false;
    }
    if (!record.parts_id.empty()) {
        return record.parts_place != static_cast<int32_t>(PlaceOf(record));
    }
    const auto body = storage::StoredBody::Decode(record.body);
    return body.ok() && body->tier != PlaceOf(record);
}

}  // namespace hearth::s3
