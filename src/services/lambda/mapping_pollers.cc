#include "services/lambda/mapping_pollers.h"

#include "base/log.h"
#include "rt/loops.h"

#include <chrono>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

namespace hearth::lambda {

// What belongs to one loop.
struct MappingPollers::Shard {
    Shard(
        const ServiceDeps& deps,
        MessageQueues& queues,
        ConcurrencyLimits& concurrency,
        const MappingWorld::Call& call)
        : world{
              .queues = queues,
              .wakes = deps.wakes,
              .due_times = deps.due_times,
              .clock = deps.cloud_clock,
              .random = deps.random,
              .call = call,
              .turns = MappingTurns(
                  deps.due_times,
                  deps.cloud_clock,
                  [&loops = deps.loops, &concurrency](
                      const AccountId& account,
                      const Region& region,
                      const std::string& function,
                      RoomWatches::Tell tell) {
                      return concurrency.Of(account, region)
                          .watches.Add(loops, function, std::move(tell));
                  }),
              .activity = {},
              .tasks = {}} {}

    MappingWorld world;
    std::map<std::string, std::shared_ptr<MappingPoller>> pollers;
};

MappingPollers::MappingPollers(
    const ServiceDeps& deps,
    MappingStore& store,
    MessageQueues& queues,
    ConcurrencyLimits& concurrency,
    MappingWorld::Call call)
    : deps_(deps),
      store_(store),
      queues_(queues),
      concurrency_(concurrency),
      call_(std::move(call)) {}

MappingPollers::~MappingPollers() = default;

// As DataPlane chooses the loop of a function's slots.
int MappingPollers::ShardOf(const MappingRecord& record) const {
    const std::hash<std::string_view> hash;
    return deps_.loops.IndexOf(
        hash(record.account.text()) * 31 * 31 + hash(record.region.text()) * 31 +
        hash(record.function_name));
}

Task<void> MappingPollers::Start() {
    home_ = rt::CurrentIndex();
    shards_.resize(static_cast<size_t>(deps_.loops.size()));
    for (int i = 0; i < deps_.loops.size(); ++i) {
        co_await rt::RunOn(deps_.loops, i, [this, i]() -> Task<void> {
            shards_[static_cast<size_t>(i)] =
                std::make_unique<Shard>(deps_, queues_, concurrency_, call_);
            co_return;
        });
    }
    deps_.due_times.AddQuiet([this] { return WaitForQuiet(); });
    background_.Spawn([this] { return TakeUp(); });
}

Task<Status> MappingPollers::WaitForQuiet() {
    constexpr std::chrono::minutes kLimit(2);
    for (size_t i = 0; i < shards_.size(); ++i) {
        const bool quiet = co_await rt::RunOn(deps_.loops, static_cast<int>(i), [&] {
            return shards_[i]->world.activity.WaitForQuiet(kLimit);
        });
        if (!quiet) {
            co_return hearth::errors::Unavailable("batches of event source mappings still run");
        }
    }
    co_return Status();
}

Task<void> MappingPollers::TakeUp() {
    std::vector<MappingRecord> found;
    const Status read = co_await store_.ForEach([&found](MappingRecord record) {
        if (record.enabled) {
            found.push_back(std::move(record));
        }
    });
    if (!read.ok()) {
        log::Error("lambda: reading event source mappings: {}", read.error().message());
    }
    // One that is changed meanwhile is read again in its turn.
    for (const MappingRecord& record : found) {
        if (stopping_) {
            co_return;
        }
        co_await Refresh(record.account, record.region, record.id);
    }
    if (!found.empty()) {
        log::Debug("lambda: {} event source mappings are worked", found.size());
    }
}

Task<void> MappingPollers::Refresh(AccountId account, Region region, std::string id) {
    if (shards_.empty()) {
        co_return;
    }
    co_await rt::RunOn(deps_.loops, home_, [&]() -> Task<void> {
        const rt::Semaphore::Units turn = co_await changes_.Take();
        if (stopping_) {
            co_return;
        }
        auto record = co_await store_.Find(account, region, id);
        if (!record.ok()) {
            log::Error("lambda: reading mapping {}: {}", id, record.error().message());
            co_return;
        }
        if (*record && (*record)->enabled) {
            co_await Put(**std::move(record));
        } else {
            co_await Drop(id);
        }
    });
}

Task<void> MappingPollers::Put(MappingRecord record) {
    const int index = ShardOf(record);
    const auto same = co_await rt::RunOn(deps_.loops, index, [&]() -> Task<bool> {
        const auto& pollers = shards_[static_cast<size_t>(index)]->pollers;
        const auto found = pollers.find(record.id);
        co_return found != pollers.end() && found->second->record() == record;
    });
    if (same) {
        co_return;
    }
    // Under its old function it may be on another loop.
    co_await Drop(record.id);
    co_await rt::RunOn(deps_.loops, index, [&]() -> Task<void> {
        Shard& shard = *shards_[static_cast<size_t>(index)];
        const std::string id = record.id;
        auto poller = std::make_shared<MappingPoller>(shard.world, std::move(record));
        shard.pollers.emplace(id, poller);
        poller->Start();
        co_return;
    });
}

Task<void> MappingPollers::Drop(const std::string& id) {
    for (int i = 0; i < deps_.loops.size(); ++i) {
        co_await rt::RunOn(deps_.loops, i, [&]() -> Task<void> {
            Shard& shard = *shards_[static_cast<size_t>(i)];
            if (const auto found = shard.pollers.find(id); found != shard.pollers.end()) {
                found->second->Stop();
                shard.pollers.erase(found);
            }
            co_return;
        });
    }
}

Task<std::string> MappingPollers::LastResult(const MappingRecord& record) {
    if (shards_.empty()) {
        co_return std::string();
    }
    const int index = ShardOf(record);
    co_return co_await rt::RunOn(deps_.loops, index, [&]() -> Task<std::string> {
        const auto& pollers = shards_[static_cast<size_t>(index)]->pollers;
        const auto found = pollers.find(record.id);
        co_return found == pollers.end() ? std::string() : found->second->last_result();
    });
}

Task<void> MappingPollers::BeginStop() {
    if (shards_.empty()) {
        co_return;
    }
    co_await rt::RunOn(deps_.loops, home_, [&]() -> Task<void> {
        stopping_ = true;
        co_await background_.Join();
        // A change that has its turn ends first; those after it do nothing.
        const rt::Semaphore::Units turn = co_await changes_.Take();
    });
    for (int i = 0; i < deps_.loops.size(); ++i) {
        co_await rt::RunOn(deps_.loops, i, [&]() -> Task<void> {
            for (const auto& [id, poller] : shards_[static_cast<size_t>(i)]->pollers) {
                poller->Stop();
            }
            co_return;
        });
    }
}

Task<void> MappingPollers::Stop() {
    for (size_t i = 0; i < shards_.size(); ++i) {
        co_await rt::RunOn(deps_.loops, static_cast<int>(i), [&]() -> Task<void> {
            co_await shards_[i]->world.tasks.Join();
            shards_[i].reset();
        });
    }
    shards_.clear();
}

}  // namespace hearth::lambda
