#pragma once

#include "services/s3/records.h"
#include "storage/objects/stored_body.h"

#include <string_view>

// Where the bytes of each storage class lie (--tier): what is read rarely but at once lies in the
// infrequent place, which is not compressed, so that ranges of it are cheap; what must be restored
// before it is read lies in the archives.
namespace hearth::s3 {

// The place of a class, and of a tier within INTELLIGENT_TIERING (ObjectRecord::tier).
storage::BodyTier PlaceOf(std::string_view storage_class, std::string_view tier = {});

inline storage::BodyTier PlaceOf(const ObjectRecord& record) {
    return PlaceOf(record.storage_class, record.tier);
}

// Whether its bytes are in files and can be copied by us: small ones are in the store in all
// classes, and those sealed with a customer's key nobody here can open.
bool CanMove(const ObjectRecord& record);

// Whether they should be moved to the place of the class.
bool IsOutOfPlace(const ObjectRecord& record);

}  // namespace hearth::s3
