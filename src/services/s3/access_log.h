#pragma once

#include "aws/front/context.h"
#include "rt/task.h"
#include "services/s3/s3_store.h"
#include "services/service_deps.h"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace hearth::flow {
struct DueTimer;
}

namespace hearth::s3 {

// Server access logs: lines of the requests to a bucket, put as objects into the bucket that its
// logging configuration names. As on AWS it is done with best effort: lines are in memory until
// they are delivered, some minutes (on the cloud's clock) after the first or when there are many,
// and when the service stops; a crash loses them. Safe from any loop.
class AccessLog final {
  public:
    // Puts an object.
    using Put = std::function<Task<Status>(BucketHandle bucket, std::string key, std::string text)>;

    // Registers its timers, so before the schedule starts. `store` outlives it.
    AccessLog(const ServiceDeps& deps, S3Store& store, Put put);

    // Called by every operation when it has its bucket: its answer will be a line, where the
    // bucket's owner wants that.
    Task<void> Watch(aws::RequestContext& context, BucketHandle bucket);

    // Delivers what there is.
    Task<void> Stop();

  private:
    struct Pending {
        std::string bucket;
        std::string lines;
        bool timer = false;
    };

    void Add(int64_t bucket_id, const std::string& bucket_name, const std::string& line);
    Task<Status> Fire(const flow::DueTimer& timer);
    Task<Status> Deliver(int64_t bucket_id, std::string bucket_name);

    ServiceDeps deps_;
    S3Store& store_;
    Put put_;
    // Held for moments, never while anybody waits.
    std::mutex mutex_;
    // By the id of the bucket that is logged.
    std::map<int64_t, Pending> pending_;
};

}  // namespace hearth::s3
