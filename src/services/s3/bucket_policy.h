#pragma once

#include "base/result.h"

#include <cstddef>
#include <string_view>

// Bucket policies: what may be stored, and whether one opens the bucket to everybody. Pure.
// Source: S3 User Guide, "Policies and permissions in Amazon S3", "The meaning of public".
namespace hearth::s3 {

inline constexpr size_t kPolicyBytesMax = 20 * 1024;

//   errors  MalformedPolicy with S3's text
Status CheckBucketPolicy(std::string_view text, std::string_view bucket);

// A statement allows something to everybody, not narrowed to fixed networks, accounts or resources.
bool PolicyIsPublic(std::string_view text);

}  // namespace hearth::s3
