#pragma once

#include "services/s3/bucket_settings.h"
#include "services/s3/records.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace hearth::s3 {

// A bucket with all its settings, as of one moment.
struct BucketState {
    BucketRecord record;
    // By kind: "cors", "encryption" ...; bytes as bucket_settings encodes them.
    std::map<std::string, std::string, std::less<>> settings;

    // The same, ready to be used.
    BucketSettings compiled;

    const std::string* Setting(std::string_view kind) const {
        const auto it = settings.find(kind);
        return it == settings.end() ? nullptr : &it->second;
    }
};

// Immutable and shared between requests in progress and the cache.
using BucketHandle = std::shared_ptr<const BucketState>;

// Buckets in memory, strongly consistent: this process is the only writer, and nothing is in the
// cache while it is being changed. A reader notes the epoch before it reads the store and may put
// what it read in only if nothing began to change since. Safe from any thread; no lock is held
// while anybody waits.
class BucketCache final {
  public:
    // Empty: read the store.
    BucketHandle Find(std::string_view name) const;
    uint64_t epoch() const;
    void Insert(uint64_t epoch_before_reading, BucketHandle bucket);

    // While one of these lives, the bucket is not in the cache.
    class Change final {
      public:
        Change(BucketCache& cache, std::string name);
        ~Change();
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;

      private:
        BucketCache& cache_;
        std::string name_;
    };

  private:
    mutable std::shared_mutex mutex_;
    uint64_t epoch_ = 0;
    std::map<std::string, BucketHandle, std::less<>> buckets_;
    std::map<std::string, int, std::less<>> changing_;
};

}  // namespace hearth::s3
