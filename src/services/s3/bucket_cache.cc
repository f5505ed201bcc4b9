#include "services/s3/bucket_cache.h"

#include "services/s3/limits.h"

namespace hearth::s3 {

BucketHandle BucketCache::Find(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const auto it = buckets_.find(name);
    return it == buckets_.end() ? nullptr : it->second;
}

uint64_t BucketCache::epoch() const {
    const std::shared_lock lock(mutex_);
    return epoch_;
}

void BucketCache::Insert(uint64_t epoch_before_reading, BucketHandle bucket) {
    const std::unique_lock lock(mutex_);
    if (epoch_ != epoch_before_reading || changing_.contains(bucket->record.name)) {
        return;
    }
    if (buckets_.size() >= kBucketCacheMax) {
        // Any one will do: whoever has more buckets than this in use pays one read now and then.
        buckets_.erase(buckets_.begin());
    }
    std::string name = bucket->record.name;
    buckets_.insert_or_assign(std::move(name), std::move(bucket));
}

BucketCache::Change::Change(BucketCache& cache, std::string name)
    : cache_(cache), name_(std::move(name)) {
    const std::unique_lock lock(cache_.mutex_);
    ++cache_.epoch_;
    ++cache_.changing_[name_];
    cache_.buckets_.erase(name_);
}

BucketCache::Change::~Change() {
    const std::unique_lock lock(cache_.mutex_);
    ++cache_.epoch_;
    const auto it = cache_.changing_.find(name_);
    if (--it->second == 0) {
        cache_.changing_.erase(it);
    }
}

}  // namespace hearth::s3
