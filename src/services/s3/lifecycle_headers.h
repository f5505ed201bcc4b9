#pragma once

#include "services/s3/bucket_cache.h"
#include "services/s3/lifecycle_rules.h"
#include "services/s3/records.h"

#include <optional>
#include <string>

namespace hearth::s3 {

// What rules look at, of a record. `record` must outlive it.
LifecycleObject LifecycleViewOf(const ObjectRecord& record);

// x-amz-expiration of PutObject, CopyObject, CompleteMultipartUpload, GetObject and HeadObject;
// nullopt: nothing will happen to that version by itself.
std::optional<std::string> ExpirationOf(const BucketState& bucket, const ObjectRecord& record);

}  // namespace hearth::s3
