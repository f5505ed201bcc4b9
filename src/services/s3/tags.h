#pragma once

#include "base/result.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Tags of objects and buckets: what may be one. Pure.
// Source: S3 User Guide, "Categorizing your objects using tags", "Using cost allocation bucket
// tags".
namespace hearth::s3 {

inline constexpr size_t kObjectTagsMax = 10;
inline constexpr size_t kBucketTagsMax = 50;
// In characters, not bytes.
inline constexpr size_t kTagKeyMax = 128;
inline constexpr size_t kTagValueMax = 256;

using Tags = std::map<std::string, std::string>;

enum class Tagged { kObject, kBucket };

//   errors  InvalidTag (which key, and which value); BadRequest for more than ten of an object
Result<Tags> CheckTags(std::vector<std::pair<std::string, std::string>> tags, Tagged tagged);

// The header x-amz-tagging of an object: "a=1&b=two".
//   errors  InvalidArgument for another form or a name twice; those of CheckTags
Result<Tags> ParseTaggingHeader(std::string_view header);

}  // namespace hearth::s3
