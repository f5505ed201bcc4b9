#pragma once

#include "aws/front/context.h"
#include "aws/front/service.h"
#include "base/clock.h"
#include "rt/task.h"
#include "services/s3/body_moves.h"
#include "services/s3/notifications.h"
#include "services/s3/s3_store.h"
#include "services/service_deps.h"

#include "gen/s3/operations.gen.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::flow {
struct DueTimer;
}

namespace hearth::s3 {

// RestoreObject: brings archived objects back for some days, or, from the archive tiers of
// Intelligent-Tiering, for good. It takes as long as AWS says on the cloud's clock: one durable
// timer for each restore under way, put in the transaction that begins it.
// Source: S3 API Reference, "RestoreObject"; User Guide, "Archive retrieval options".
class ObjectRestores final {
  public:
    // All must outlive it. Registers its timers, so before the schedule starts.
    ObjectRestores(
        const ServiceDeps& deps, S3Store& store, BodyMoves& moves, Notifications& notifications);

    void AddTo(aws::OperationTable& table);

  private:
    Task<Result<model::RestoreObject::Output>> RestoreObject(
        aws::RequestContext& context, model::RestoreObject::Input input);
    Task<Status> Finish(const flow::DueTimer& timer);

    ServiceDeps deps_;
    S3Store& store_;
    BodyMoves& moves_;
    Notifications& notifications_;
};

// How long a restore takes; nullopt: that class has no such tier. Of AWS's ranges the longest, so
// that nobody relies on less.
//   archive  "GLACIER" or "DEEP_ARCHIVE"; `tier` "Expedited", "Standard" or "Bulk"
std::optional<std::chrono::minutes> RestoreTime(std::string_view archive, std::string_view tier);

}  // namespace hearth::s3
