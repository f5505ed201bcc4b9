#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/semaphore.h"
#include "rt/task.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/mapping_poller.h"
#include "services/lambda/mapping_record.h"
#include "services/lambda/mapping_store.h"
#include "services/message_queues.h"
#include "services/service_deps.h"

#include <memory>
#include <string>
#include <vector>

namespace hearth::lambda {

// All mappings that are enabled, each worked by a MappingPoller on the loop of its function's
// slots, so that a batch reaches its environment without changing threads and all mappings of a
// function take turns.
class MappingPollers final {
  public:
    MappingPollers(
        const ServiceDeps& deps,
        MappingStore& store,
        MessageQueues& queues,
        ConcurrencyLimits& concurrency,
        MappingWorld::Call call);
    ~MappingPollers();

    // Takes up all stored mappings, in the background. After the queues can be read.
    Task<void> Start();
    // Nothing is taken from queues any more. Before what runs the functions stops.
    Task<void> BeginStop();
    // After that: waits for batches that still run.
    Task<void> Stop();

    // The stored mapping was made, changed or deleted: works it as it is now. After the commit.
    Task<void> Refresh(AccountId account, Region region, std::string id);

    // How its last batch went; empty when it is not worked.
    Task<std::string> LastResult(const MappingRecord& record);

  private:
    struct Shard;

    int ShardOf(const MappingRecord& record) const;
    // For the test clock.
    Task<Status> WaitForQuiet();
    Task<void> TakeUp();
    Task<void> Put(MappingRecord record);
    Task<void> Drop(const std::string& id);

    const ServiceDeps deps_;
    MappingStore& store_;
    MessageQueues& queues_;
    ConcurrencyLimits& concurrency_;
    const MappingWorld::Call call_;
    // By loop; made in Start, each on its own.
    std::vector<std::unique_ptr<Shard>> shards_;
    // On the loop of Start: changes take effect one after the other, in the order of their commits.
    int home_ = 0;
    rt::Semaphore changes_{1};
    rt::TaskGroup background_;
    bool stopping_ = false;
};

}  // namespace hearth::lambda
