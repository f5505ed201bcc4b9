#pragma once

#include "rt/loops.h"
#include "services/invocation_log.h"
#include "services/lambda/execution_environment.h"
#include "services/lambda/invoker.h"
#include "services/lambda/runtimes.h"
#include "services/lambda/slots.h"
#include "services/role_directory.h"
#include "services/service_deps.h"

#include <memory>
#include <string>
#include <vector>

namespace hearth::lambda {

// The Invoker: one shard of slots per loop; a function's slots live on the loop chosen by hash of
// its account, region and name.
class DataPlane final : public Invoker {
  public:
    // `roles` may be null. Registers GET and DELETE /_hearth/slots and
    // GET /_hearth/runtimes?names=a,b.
    DataPlane(
        const ServiceDeps& deps,
        CodeCache& code,
        ConcurrencyLimits& concurrency,
        LogSink& logs,
        RoleDirectory* roles);
    ~DataPlane() override;

    Task<Status> Start() override;
    Task<void> Stop() override;
    Task<Result<InvokeResult>> Invoke(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request) override;
    Task<Result<std::unique_ptr<StreamedInvocation>>> InvokeStreaming(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request) override;
    bool can_save_snapshots() const override;
    Task<Result<SnapshotOutcome>> SaveSnapshot(
        std::shared_ptr<const FunctionVersion> function, std::string image) override;
    void ForgetSnapshot(const std::string& image) override;
    Task<void> Retire(
        AccountId account,
        Region region,
        std::string name,
        std::string version,
        std::string keep_revision) override;

    // {"functions": [...]}: the caller's account sees its own functions.
    Task<std::string> Describe(AccountId account);

    // {"evicted": 3}: how many idle environments went.
    Task<std::string> Evict(Slots::Eviction what);

    // {"runtimes": [{"runtime", "version", "note"}]}: what serves each runtime id on this machine;
    // "note" says so when it is not quite the one asked for, or "error" why none can.
    Task<std::string> DescribeRuntimes(std::string names);

  private:
    int ShardOf(const AccountId& account, const Region& region, std::string_view name) const;

    rt::Loops& loops_;
    sandbox::Sandbox* sandbox_;
    RuntimeCatalog runtimes_;
    std::unique_ptr<EnvironmentDeps> environment_deps_;
    ConcurrencyLimits& concurrency_;
    int32_t spares_;
    int32_t spare_memory_mb_;
    SlotMetrics metrics_;
    // By loop; made in Start, each on its own loop.
    std::vector<std::unique_ptr<Slots>> shards_;
};

}  // namespace hearth::lambda
