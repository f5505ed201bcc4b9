#include "services/s3/lifecycle_headers.h"

namespace hearth::s3 {

LifecycleObject LifecycleViewOf(const ObjectRecord& record) {
    LifecycleObject object;
    object.key = record.key;
    object.size = record.size;
    object.tags = &record.tags;
    object.storage_class = record.storage_class;
    object.modified = CloudClock::time_point(CloudClock::duration(record.modified_cloud_ms));
    object.delete_marker = record.delete_marker;
    return object;
}

std::optional<std::string> ExpirationOf(const BucketState& bucket, const ObjectRecord& record) {
    if (bucket.compiled.lifecycle == nullptr || !bucket.compiled.lifecycle->any_enabled()) {
        return std::nullopt;
    }
    const auto expiry = bucket.compiled.lifecycle->ExpiryOf(LifecycleViewOf(record));
    return expiry ? std::optional<std::string>(ExpirationHeader(*expiry)) : std::nullopt;
}

}  // namespace hearth::s3
