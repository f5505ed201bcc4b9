#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "flow/courier.h"
#include "rt/task.h"
#include "services/event_target.h"
#include "services/s3/bucket_cache.h"
#include "services/s3/notification_event.h"
#include "services/s3/notification_rules.h"
#include "storage/kv.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::aws {
struct RequestContext;
}

namespace hearth::s3 {

// Tells queues and functions what happened to the objects of a bucket, as the bucket's notification
// configuration says.
//
// Guarantee: an event is put into the courier in the transaction that makes the change, so there is
// one for each change that was committed, at least once delivered, and none for a change that was
// not. While the destination cannot be reached the bucket's events for it wait, for a day of the
// cloud's clock; then they are dropped, and the log says so. Order is not kept, as on AWS: the
// sequencer tells it.
//
// A bucket without a configuration costs nothing: the rules come with the bucket, from memory.
// Safe on any loop.
class Notifications final {
  public:
    struct Deps {
        flow::Courier& courier;
        EventTarget& targets;
        const WallClock& wall_clock;
        const CloudClock& cloud_clock;
        Random& random;
    };

    // Registers its kind with the courier, so before that starts.
    explicit Notifications(const Deps& deps);

    // What one request, or one step of S3's own, tells. Lives on the frame that runs the
    // transaction:
    //   Announcement announcement = notifications.Announce(*bucket, &context);
    //   const Kv::Body body = [&](Transaction& t) -> Task<Status> {
    //       announcement.Begin();
    //       ...
    //       co_return announcement.Add(t, NotificationEvent::kCreatedPut, written.record);
    //   };
    //   const Status status = co_await Transact(body);
    //   announcement.End(status);
    class Announcement final {
      public:
        // The body runs, perhaps again.
        void Begin() { deliveries_.clear(); }

        // `object` as the event shows it. Nothing where nobody asked.
        //   errors  kInvalid: the message is too large to be kept (which keys and names that S3
        //           allows cannot make it)
        Status Add(
            storage::Transaction& transaction,
            NotificationEvent event,
            const ObjectRecord& object,
            std::optional<WallClock::time_point> restored_until = std::nullopt);

        // With what became of the transaction, before it is acknowledged.
        void End(const Status& status);
        void Committed();

      private:
        friend class Notifications;

        Announcement(
            Notifications& notifications,
            const BucketState& bucket,
            const aws::RequestContext* cause)
            : notifications_(notifications),
              bucket_(bucket.record),
              rules_(bucket.compiled.notifications),
              cause_(cause) {}

        Notifications& notifications_;
        const BucketRecord& bucket_;
        // Shared with the bucket's state in the cache, of which it is a part.
        std::shared_ptr<const NotificationRules> rules_;
        const aws::RequestContext* cause_;
        std::vector<flow::Delivery> deliveries_;
    };

    // Both must outlive the announcement; `cause` null: S3 does it by itself.
    Announcement Announce(const BucketState& bucket, const aws::RequestContext* cause) {
        return Announcement(*this, bucket, cause);
    }

    // Whether a bucket may send there. Errors: those of EventTarget::Check.
    Task<Status> Check(const BucketRecord& bucket, const std::string& destination_arn);
    // Sends s3:TestEvent, now.
    Task<Status> SendTest(
        const BucketRecord& bucket,
        const std::string& destination_arn,
        const aws::RequestContext& context);

  private:
    // Greater than all before, and than `least`: microseconds since 1970 where those are.
    uint64_t NextSequencer(int64_t least);
    EventTarget::Origin OriginOf(const BucketRecord& bucket) const;
    Task<Result<flow::Verdict>> Deliver(const flow::Delivery& delivery);

    Deps deps_;
    std::atomic<uint64_t> sequencer_ = 0;
};

using Announcement = Notifications::Announcement;

}  // namespace hearth::s3
