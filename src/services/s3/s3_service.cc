#include "services/s3/s3_service.h"

#include "base/check.h"
#include "codec/crypto/master_key.h"

#include <utility>

namespace hearth::s3 {

S3Service::S3Service(const ServiceDeps& deps, std::unique_ptr<storage::ObjectBodies> bodies)
    : deps_(deps),
      bodies_(std::move(bodies)),
      part_removal_(deps.kv, *bodies_),
      store_(deps.kv, deps.random, *bodies_, part_removal_),
      uploads_(deps.kv, deps.random),
      access_log_(
          deps,
          store_,
          [this](BucketHandle bucket, std::string key, std::string text) {
              return PutText(std::move(bucket), std::move(key), std::move(text));
          }),
      lifecycle_(deps, store_, uploads_, part_removal_),
      restores_(deps, store_),
      scrub_(
          {.metrics = deps.metrics,
           .admin = deps.admin,
           .wall_clock = deps.wall_clock,
           .blocking_pool = deps.blocking_pool,
           .days = deps.options.scrub_days},
          store_,
          *bodies_),
      control_(deps, store_, lifecycle_, access_log_),
      website_(
          deps,
          store_,
          [this](const BucketRecord& bucket, const ObjectRecord& record, storage::OpenOptions how) {
              return OpenObject(bucket, record, std::move(how));
          }) {
    AddBucketOperations();
    AddObjectOperations();
    AddListOperations();
    AddMultipartOperations();
    control_.AddTo(operations_);
    restores_.AddTo(operations_);
}

Task<Status> S3Service::Start() {
    HEARTH_CO_RETURN_IF_ERROR(co_await bodies_->Start());
    HEARTH_CO_RETURN_IF_ERROR(co_await part_removal_.Start());
    co_return co_await scrub_.Start();
}

Task<void> S3Service::Stop() {
    lifecycle_.Stop();
    co_await access_log_.Stop();
    co_await scrub_.Stop();
    co_await part_removal_.Stop();
    co_await bodies_->Stop();
}

std::unique_ptr<S3Service> MakeS3Service(const ServiceDeps& deps) {
    storage::ObjectBodiesOptions options;
    options.sync = deps.options.sync;
    options.encrypt = deps.options.encrypt_at_rest;
    auto bodies =
        storage::OpenObjectBodies(deps.kv, deps.master_key, deps.random, std::move(options));
    CHECK(bodies.ok(), "objects cannot be kept: {}", bodies.error().message());
    return std::make_unique<S3Service>(deps, *std::move(bodies));
}

}  // namespace hearth::s3
