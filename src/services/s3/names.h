#pragma once

#include "base/ids.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>

// What buckets and objects may be called, and where buckets may be. Pure.
namespace hearth::s3 {

// Source: S3 User Guide, "General purpose buckets naming rules". Errors: InvalidBucketName.
Status CheckBucketName(std::string_view name);

// Errors: KeyTooLongError, InvalidURI for what is no UTF-8.
Status CheckKey(std::string_view key);

// The region of a new bucket: LocationConstraint against the region that the request was sent to.
// us-east-1 takes any and has no name of its own ("" and absence mean it).
//   errors  IllegalLocationConstraintException, InvalidLocationConstraint
Result<Region> RegionOfNewBucket(
    const std::optional<std::string>& constraint, const Region& endpoint);

// x-amz-copy-source: "/bucket/key?versionId=x", percent-encoded, with or without the first slash.
struct CopySource {
    std::string bucket;
    std::string key;
    std::optional<std::string> version_id;
};

// Errors: InvalidArgument, as AWS words it.
Result<CopySource> ParseCopySource(std::string_view header);

}  // namespace hearth::s3
