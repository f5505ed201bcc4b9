#include "services/s3/s3_service.h"

#include "base/check.h"
#include "codec/crypto/master_key.h"

#include <utility>

namespace hearth::s3 {

S3Service::S3Service(
    const ServiceDeps& deps,
    EventTarget& event_targets,
    std::unique_ptr<storage::ObjectBodies> bodies)
    : deps_(deps),
      notifications_(
          {.courier = deps.courier,
           .targets = event_targets,
           .wall_clock = deps.wall_clock,
           .cloud_clock = deps.cloud_clock,
           .random = deps.random}),
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
      object_target_(
          store_,
          [this](BucketHandle bucket, std::string key, std::string text, std::string content_type) {
              return PutText(
                  std::move(bucket), std::move(key), std::move(text), std::move(content_type));
          }),
      body_moves_(store_, *bodies_, part_removal_),
      lifecycle_(deps, store_, uploads_, part_removal_, body_moves_, notifications_),
      restores_(deps, store_, body_moves_, notifications_),
      scrub_(
          {.metrics = deps.metrics,
           .admin = deps.admin,
           .wall_clock = deps.wall_clock,
           .blocking_pool = deps.blocking_pool,
           .days = deps.options.scrub_days},
          store_,
          *bodies_),
      control_(deps, store_, lifecycle_, access_log_, notifications_),
      website_(
          deps,
          store_,
          [this](const BucketRecord& bucket, const ObjectRecord& record, storage::OpenOptions how) {
              static constexpr auto kOpen = [](S3Service& service,
                                               const BucketRecord& in,
                                               const ObjectRecord& object,
                                               storage::OpenOptions options)
                  -> Task<Result<std::unique_ptr<storage::BodySource>>> {
                  HEARTH_CO_TRY(
                      auto opened, co_await service.OpenObject(in, object, std::move(options)));
                  co_await service.lifecycle_.Accessed(in, object);
                  co_return opened;
              };
              return kOpen(*this, bucket, record, std::move(how));
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
    body_moves_.Stop();
    co_await access_log_.Stop();
    co_await scrub_.Stop();
    co_await part_removal_.Stop();
    co_await bodies_->Stop();
}

std::unique_ptr<S3Service> MakeS3Service(const ServiceDeps& deps, EventTarget& event_targets) {
    storage::ObjectBodiesOptions options;
    options.sync = deps.options.sync;
    options.encrypt = deps.options.encrypt_at_rest;
    for (const auto& [name, directories] : deps.options.tiers) {
        if (name == "deep") {
            options.deep_directories = directories;
        } else {
            (name == "archive" ? options.archive_directory : options.infrequent_directory) =
                directories.front();
        }
    }
    auto bodies =
        storage::OpenObjectBodies(deps.kv, deps.master_key, deps.random, std::move(options));
    CHECK(bodies.ok(), "objects cannot be kept: {}", bodies.error().message());
    return std::make_unique<S3Service>(deps, event_targets, *std::move(bodies));
}

}  // namespace hearth::s3
