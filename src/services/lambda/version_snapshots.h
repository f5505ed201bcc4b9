#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/function_store.h"
#include "services/lambda/invoker.h"
#include "services/service_deps.h"

#include "gen/lambda/types_fwd.gen.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// SnapStart of published versions: when a snapshot is made, shown, used and dropped. How one is
// made and started from is the Invoker's matter.
//
//   publish ──► Pending ──made──────────► Active, OptimizationStatus On ──14 idle days──► Inactive
//                  │ ├──cannot be saved─► Active, OptimizationStatus Off (cold starts, says why)  │
//                  │ └──init failed─────► Failed, with AWS's StateReasonCode                      │
//                  └◄─────────────────────────────── the next call ◄──────────────────────────────┘
//
// With `--snapshots all` $LATEST has snapshots, too, unasked for and unseen by the API: a revision
// is saved when it is first called, and calls have cold starts until then. It is number 0 here.
//
// The work is a durable timer (flow/schedule.h) written in the transaction that publishes, so a
// version never stays Pending because of a crash. Images are files in snapshots/ of the data
// directory; they are a cache, and a lost or unusable one is made again.
// Source: "Improving startup performance with Lambda SnapStart",
// docs.aws.amazon.com/lambda/latest/dg.
namespace hearth::lambda {

class VersionSnapshots final {
  public:
    // After these idle days AWS drops a snapshot.
    static constexpr std::chrono::days kIdleMax{14};
    // An image that is lost this soon after it was made counts as a loss; another one is made
    // later each time, and after so many of them none is: the version has cold starts, and says
    // why.
    static constexpr std::chrono::hours kLossSoon{1};
    static constexpr int64_t kLossesMax = 5;

    // Registers its timers: before the schedule starts.
    VersionSnapshots(const ServiceDeps& deps, FunctionStore& store);

    // The one who makes them; before Start. Null: none are made.
    void UseInvoker(Invoker* invoker) { invoker_ = invoker; }

    // Removes images that nobody names.
    Task<Status> Start();

    // In the transaction that publishes a version with SnapStart: it is Pending, and work is due.
    // Call Published when it has committed.
    Task<Status> PutPending(
        FunctionTransaction& transaction,
        const FunctionKey& key,
        const std::string& function_id,
        int64_t number);
    void Published();

    // What a new environment for a call of a version with SnapStart starts from; nothing for a cold
    // start. Notes the use, and has a new image made where the last one was found unusable.
    //   errors  SnapStartNotReadyException (409) while it is Pending, or Inactive (it is then made
    //           again); ResourceConflictException when the version has failed
    Task<Result<std::optional<SnapshotSource>>> ForCall(
        const FunctionVersion& function, std::string function_id);

    // Adds State and SnapStart to what the API shows of `record`, a version with SnapStart.
    Task<Status> Show(
        const FunctionRecord& record,
        const std::string& function_id,
        bool in_list,
        model::FunctionConfiguration& out);

    // JSON for `hearth functions`: {"versions": [{"function", "version", "state", "optimization",
    // "reason", "image_bytes"}, ...]}.
    Task<Result<std::string>> Describe(AccountId account, Region region);

    // After the commit that deleted versions of a function: one, or with number 0 all of them.
    Task<void> Removed(FunctionKey key, std::string function_id, int64_t number);

  private:
    struct Name {
        FunctionKey key;
        std::string function_id;
        int64_t number = 0;
    };

    Task<Result<std::optional<SnapshotSource>>> ForLatest(
        const FunctionVersion& function, Name name);
    // Starts a snapshot of this revision, in the place of `before`.
    Task<Status> BeginLatest(
        Name name, std::string revision, std::optional<VersionSnapshot> before);
    // The image of an active version; asks for another one when it is gone.
    Task<Result<std::optional<SnapshotSource>>> Use(Name name, VersionSnapshot snapshot);
    Task<Result<std::shared_ptr<const FunctionRecord>>> FindRecord(Name name);

    void Drop(const std::string& image);
    Task<Result<bool>> IsNamed(const std::string& image);

    // When its timer is due after a change.
    enum class Next { kUnchanged, kNow, kAfterLoss, kWhenIdle, kNever };

    // The timer: makes what is due, or drops what was idle for too long.
    Task<Status> Work(std::string timer_key);
    Task<Status> Make(Name name);
    // `change` may run more than once; it is not called for a version that is gone.
    Task<Status> Change(Name name, std::function<Next(VersionSnapshot&)> change);

    const ServiceDeps deps_;
    FunctionStore& store_;
    Invoker* invoker_ = nullptr;
};

}  // namespace hearth::lambda
