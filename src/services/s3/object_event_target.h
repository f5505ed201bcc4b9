#pragma once

#include "services/event_target.h"
#include "services/s3/s3_store.h"

#include <functional>
#include <string>

namespace hearth::s3 {

// Buckets as targets of events: each becomes an object under the key that the event states. For
// records of failed asynchronous invocations.
class ObjectEventTarget final : public EventTarget {
  public:
    // Writes an object of Hearth's own making.
    using Put = std::function<Task<Status>(
        BucketHandle bucket, std::string key, std::string text, std::string content_type)>;

    // `store` outlives this.
    ObjectEventTarget(S3Store& store, Put put) : store_(store), put_(std::move(put)) {}

    Task<Status> Check(Origin origin, std::string target_arn) override;
    Task<Status> Send(Origin origin, std::string target_arn, Event event) override;

  private:
    // The bucket of an ARN that is the origin's own.
    Task<Result<BucketHandle>> Find(const Origin& origin, const std::string& target_arn);

    S3Store& store_;
    Put put_;
};

}  // namespace hearth::s3
