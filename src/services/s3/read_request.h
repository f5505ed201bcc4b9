#pragma once

#include "services/s3/byte_range.h"
#include "services/s3/conditionals.h"
#include "services/s3/customer_key.h"
#include "services/s3/records.h"

#include <cstdint>
#include <optional>
#include <string>

namespace hearth::s3 {

// What GET and HEAD ask of an object besides its name.
struct ReadRequest {
    std::string key;
    std::optional<std::string> version_id;
    ReadConditions conditions;
    std::optional<std::string> range;
    std::optional<int32_t> part_number;
    std::optional<CustomerKeyOfRequest> customer_key;
    bool checksums = false;
    // HEAD answers for archived objects, too.
    bool head = false;
};

// What is answered: decided before a byte is read.
struct ReadPlan {
    ObjectRecord record;
    bool not_modified = false;
    // All of the object when it was not asked for less.
    ByteRange range;
    // 206 and Content-Range.
    bool partial = false;
    std::optional<int32_t> parts_count;
    // Of the answered bytes, when asked for: the object's, or those of the one part.
    std::string checksum_algorithm;
    std::string checksum_type;
    std::string checksum;
};

// Whether the bytes of an object can be read now: those in the archive must be restored first.
bool IsArchived(const ObjectRecord& record, CloudClock::time_point now);

}  // namespace hearth::s3
