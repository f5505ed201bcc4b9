#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "services/s3/records.h"

#include <optional>
#include <string>
#include <string_view>

// If-Match and its like. Pure. Source: RFC 9110 section 13.2.2; S3 API Reference, GetObject,
// PutObject, CopyObject; S3 User Guide, "Conditional requests".
namespace hearth::s3 {

// Whether an entity tag is in a list of them, such as `"a", "b"` or `*`; quotes may be missing.
bool EtagMatches(std::string_view list, std::string_view etag);

struct ReadConditions {
    std::optional<std::string> if_match;
    std::optional<std::string> if_none_match;
    std::optional<WallClock::time_point> if_modified_since;
    std::optional<WallClock::time_point> if_unmodified_since;
};

enum class ReadDecision { kGo, kNotModified };

// For GET and HEAD. Errors: PreconditionFailed.
Result<ReadDecision> DecideRead(const ReadConditions& conditions, const ObjectRecord& object);

// For a source of a copy: what would be "not modified" fails, too. Errors: PreconditionFailed with
// the name of the header.
Status DecideCopySource(const ReadConditions& conditions, const ObjectRecord& source);

struct WriteConditions {
    std::optional<std::string> if_match;
    std::optional<std::string> if_none_match;

    bool any() const { return if_match || if_none_match; }
};

// Whether the form is one S3 has: If-None-Match takes "*" only. Errors: NotImplemented.
Status CheckWriteConditions(const WriteConditions& conditions);

// `current` is null when there is no object (or a marker). Errors: PreconditionFailed; NoSuchKey
// when If-Match names what is not there.
Status DecideWrite(
    const WriteConditions& conditions, std::string_view key, const ObjectRecord* current);

}  // namespace hearth::s3
