#include "services/sqs/queue_engine.h"

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/base64/base64.h"
#include "codec/crypto/master_key.h"
#include "flow/due_times.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "services/sqs/queue_errors.h"
#include "services/sqs/queue_receipt.h"
#include "services/sqs/queue_records.h"
#include "services/sqs/queue_shard.h"
#include "storage/kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <unordered_map>

namespace hearth::sqs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;
using storage::keys::Key;
using storage::keys::KeyReader;

// Records that readers find without asking a shard.
constexpr size_t kRecordsMax = 16'384;
constexpr int kMovePage = 100;
// How often a move task writes down how far it is.
constexpr int64_t kMovesPerRecord = 1'000;

std::string CacheKey(const QueueAddress& queue) {
    return queue.account.text() + '/' + queue.region.text() + '/' + queue.name;
}

RangeRequest ChildrenOf(const std::string& key) {
    RangeRequest range;
    range.begin = key + '\x00';
    range.begin.resize(key.size() + 1);
    range.end = key + '\xff';
    return range;
}

// The records of queues in use, for readers on all loops.
class Records final {
  public:
    std::shared_ptr<const QueueRecord> Find(const QueueAddress& queue) const {
        const std::lock_guard lock(mutex_);
        const auto found = records_.find(CacheKey(queue));
        return found == records_.end() ? nullptr : found->second;
    }

    void Show(const QueueAddress& queue, std::shared_ptr<const QueueRecord> record) {
        const std::lock_guard lock(mutex_);
        if (record == nullptr) {
            records_.erase(CacheKey(queue));
            return;
        }
        if (records_.size() >= kRecordsMax) {
            records_.clear();
        }
        records_[CacheKey(queue)] = std::move(record);
    }

  private:
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<const QueueRecord>> records_;
};

struct TaskName {
    std::string source_arn;
    std::string id;
};

// Opaque to callers, as AWS's is base64 of something.
std::string EncodeTaskName(const TaskName& name) {
    return codec::Base64Encode(name.id + '|' + name.source_arn);
}

Result<TaskName> DecodeTaskName(const std::string& handle) {
    const Result<std::string> text = codec::Base64Decode(handle);
    const size_t bar = text.ok() ? text->find('|') : std::string::npos;
    if (bar == std::string::npos) {
        return queue_errors::InvalidParameterValue("Value for parameter TaskHandle is invalid.");
    }
    return TaskName{.source_arn = text->substr(bar + 1), .id = text->substr(0, bar)};
}

class Engine final : public QueueEngine, public MessageQueues {
  public:
    explicit Engine(Deps deps)
        : deps_(deps),
          receipts_(deps.master_key.Derive("sqs-receipts")),
          shared_{
              .kv = deps.kv,
              .clock = deps.clock,
              .random = deps.random,
              .wakes = deps.wakes,
              .due_times = deps.due_times,
              .receipts = receipts_,
              .cached_bytes = cached_bytes_,
              .sizes = deps.sizes,
              .give =
                  [this](QueueAddress queue, std::vector<ArrivingMessage> messages) {
                      return Give(std::move(queue), std::move(messages));
                  },
              .show =
                  [this](const QueueAddress& queue, std::shared_ptr<const QueueRecord> record) {
                      records_.Show(queue, std::move(record));
                  },
              .sweep =
                  [this](std::string garbage, std::string children) {
                      Here().group.Spawn(SweepGarbage(std::move(garbage), std::move(children)));
                  }},
          loops_(static_cast<size_t>(deps.loops.size())) {}

    ~Engine() override {
        for (const auto& loop : loops_) {
            CHECK(loop == nullptr, "the queue engine is destroyed before Stop");
        }
    }

    Task<Status> Start() override;
    Task<void> Stop() override;
    void EndWaits() override;

    MessageQueues& queues() override { return *this; }

    Task<Status> Create(
        const QueueAddress& queue,
        QueueSettings settings,
        std::map<std::string, std::string> attributes,
        std::map<std::string, std::string> tags) override {
        auto create = [settings, attributes, tags](QueueShard& shard) {
            return shard.Create(settings, attributes, tags);
        };
        return Call<void>(queue, std::move(create), /*may_create=*/true);
    }

    Task<Result<std::shared_ptr<const QueueRecord>>> Find(const QueueAddress& queue) override {
        if (std::shared_ptr<const QueueRecord> record = records_.Find(queue)) {
            co_return record;
        }
        using Record = std::shared_ptr<const QueueRecord>;
        co_return co_await Call<Record>(queue, &RecordOf);
    }

    Task<Status> Update(
        const QueueAddress& queue, std::function<Status(QueueRecord&)> change) override {
        auto update = [change = std::move(change)](QueueShard& shard) {
            return shard.Update(change);
        };
        return Call<void>(queue, std::move(update));
    }

    Task<Status> Delete(const QueueAddress& queue) override {
        return Call<void>(queue, [](QueueShard& shard) { return shard.Delete(); });
    }

    Task<Status> Purge(const QueueAddress& queue) override {
        return Call<void>(queue, [](QueueShard& shard) { return shard.Purge(); });
    }

    Task<Result<QueueCounts>> Counts(const QueueAddress& queue) override {
        return Call<QueueCounts>(queue, &CountsOf);
    }

    Task<Result<QueuePage>> List(
        const AccountId& account,
        const Region& region,
        std::string prefix,
        std::string after,
        size_t limit) override {
        const CatalogueKeys keys(account, region);
        RangeRequest range = keys.Queues().ChildrenWithPrefix(prefix);
        if (!after.empty()) {
            range.begin = std::max(range.begin, keys.Queues().ChildrenAfter(after).begin);
        }
        return Names(std::move(range), limit, 4);
    }

    Task<Result<QueuePage>> ListDeadLetterSources(
        const QueueAddress& queue, std::string after, size_t limit) override {
        const CatalogueKeys keys(queue.account, queue.region);
        const Key sources = keys.Sources(queue.name);
        return Names(after.empty() ? sources.Children() : sources.ChildrenAfter(after), limit, 5);
    }

    Task<Result<std::vector<SentMessage>>> Send(
        const QueueAddress& queue, std::vector<OutgoingMessage> messages) override {
        auto send = [messages = std::move(messages)](QueueShard& shard) mutable {
            return shard.Send(messages);
        };
        return Call<std::vector<SentMessage>>(queue, std::move(send));
    }

    Task<Result<std::vector<MessageQueues::Message>>> Receive(
        const QueueAddress& queue, ReceiveRequest request) override;

    Task<Result<std::vector<Status>>> DeleteMessages(
        const QueueAddress& queue, std::vector<std::string> handles) override {
        auto remove = [handles = std::move(handles)](QueueShard& shard) {
            return shard.DeleteMessages(handles);
        };
        return Call<std::vector<Status>>(queue, std::move(remove));
    }

    Task<Result<std::vector<Status>>> ChangeVisibility(
        const QueueAddress& queue, std::vector<VisibilityChange> changes) override {
        auto change = [changes = std::move(changes)](QueueShard& shard) {
            return shard.ChangeVisibility(changes);
        };
        return Call<std::vector<Status>>(queue, std::move(change));
    }

    Task<Result<std::string>> StartMoveTask(
        const QueueAddress& source, std::string destination_arn, std::optional<int> rate) override;
    Task<Result<int64_t>> CancelMoveTask(
        const AccountId& account, const Region& region, std::string handle) override;
    Task<Result<std::vector<MoveTask>>> ListMoveTasks(
        const QueueAddress& source, size_t limit) override;

    // MessageQueues

    Task<Result<Facts>> Find(std::string arn) override;
    Task<Result<std::vector<Message>>> Receive(std::string arn, ReceiveOptions options) override;
    Task<Status> Delete(std::string arn, std::vector<std::string> handles) override;
    Task<Status> ChangeVisibility(
        std::string arn, std::vector<std::string> handles, std::chrono::seconds timeout) override;

  private:
    // What one loop has; touched there alone.
    struct LoopState {
        std::unordered_map<std::string, std::unique_ptr<QueueShard>> shards;
        rt::TaskGroup group;
        // Move tasks that wait for their next second.
        std::list<rt::Event*> pauses;
    };

    // A move task that runs; shared by its runner and who asks about it, on any loop.
    struct Running {
        std::atomic<int64_t> moved{0};
        std::atomic<bool> cancelled{false};
        std::string handle;
    };

    static Task<Result<std::shared_ptr<const QueueRecord>>> RecordOf(QueueShard& shard) {
        co_return shard.record();
    }

    static Task<Result<QueueCounts>> CountsOf(QueueShard& shard) { co_return shard.Counts(); }

    int LoopOf(const QueueAddress& queue) const {
        return deps_.loops.IndexOf(std::hash<std::string>()(CacheKey(queue)));
    }

    LoopState& Here() {
        std::unique_ptr<LoopState>& state = loops_[static_cast<size_t>(rt::CurrentIndex())];
        if (state == nullptr) {
            state = std::make_unique<LoopState>();
        }
        return *state;
    }

    void PushHere(const QueueAddress& queue, std::shared_ptr<ShardCall> call) {
        if (stopping_) {
            call->Fail(hearth::errors::Unavailable("the cloud is stopping"));
            return;
        }
        LoopState& here = Here();
        std::unique_ptr<QueueShard>& shard = here.shards[CacheKey(queue)];
        if (shard == nullptr) {
            // The new one is still empty, and an erasure leaves references to others valid.
            if (here.shards.size() > deps_.sizes.shards_max) {
                std::erase_if(here.shards, [](const auto& entry) {
                    return entry.second != nullptr && entry.second->Idle();
                });
            }
            shard = std::make_unique<QueueShard>(shared_, here.group, queue);
        }
        shard->Push(std::move(call));
    }

    void Submit(const QueueAddress& queue, std::shared_ptr<ShardCall> call) {
        const int loop = LoopOf(queue);
        if (rt::CurrentIndex() == loop) {
            PushHere(queue, std::move(call));
        } else {
            deps_.loops.Post(loop, [this, queue, call = std::move(call)]() mutable {
                PushHere(queue, std::move(call));
            });
        }
    }

    template <class T>
    Task<Result<T>> Call(
        QueueAddress queue, typename ShardCallOf<T>::Function function, bool may_create = false) {
        const auto call = std::make_shared<ShardCallOf<T>>(std::move(function), may_create);
        Submit(queue, call);
        co_return co_await call->done.Wait();
    }

    Task<Status> Give(QueueAddress queue, std::vector<ArrivingMessage> messages) {
        auto accept = [messages = std::move(messages)](QueueShard& shard) mutable {
            return shard.Accept(messages);
        };
        return Call<void>(std::move(queue), std::move(accept));
    }

    Task<Result<QueuePage>> Names(RangeRequest range, size_t limit, size_t components);
    Task<void> SweepGarbage(std::string garbage, std::string children);
    Task<void> RunMove(
        QueueAddress source, std::string id, MoveTask task, std::shared_ptr<Running> running);
    // One page. Returns how many moved; 0: there are no more.
    Task<Result<int64_t>> MovePage(const QueueAddress& source, const MoveTask& task, int max);
    Task<bool> NothingToMove(const QueueAddress& source);
    Task<Status> StoreMove(const QueueAddress& source, const std::string& id, const MoveTask& task);
    Task<void> Pause(std::chrono::milliseconds duration);
    void Launch(
        const QueueAddress& source,
        std::string id,
        MoveTask task,
        std::shared_ptr<Running> running);

    const Deps deps_;
    const ReceiptSealer receipts_;
    std::atomic<int64_t> cached_bytes_{0};
    Records records_;
    const QueueShard::Shared shared_;
    std::vector<std::unique_ptr<LoopState>> loops_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> no_waits_{false};

    std::mutex moves_mutex_;
    std::map<std::string, std::shared_ptr<Running>> moves_;
};

Task<Status> Engine::Start() {
    // What was purged or deleted before the last end is still being taken away.
    RangeRequest garbage = GarbageKeys().Children();
    while (true) {
        HEARTH_CO_TRY(RangePage page, co_await deps_.kv.Range(garbage));
        for (KeyValue& item : page.items) {
            Here().group.Spawn(SweepGarbage(std::move(item.key), std::move(item.value)));
        }
        if (!page.next) {
            break;
        }
        garbage.begin = *std::move(page.next);
    }
    RangeRequest running = RunningMoves().Children();
    while (true) {
        HEARTH_CO_TRY(RangePage page, co_await deps_.kv.Range(running));
        for (const KeyValue& item : page.items) {
            HEARTH_CO_TRY(const TaskName name, DecodeTaskName(item.value));
            HEARTH_CO_TRY(const QueueAddress source, QueueAddress::FromArn(name.source_arn));
            const CatalogueKeys keys(source.account, source.region);
            HEARTH_CO_TRY(
                const std::optional<std::string> stored,
                co_await deps_.kv.Get(keys.MoveTask(source.name, name.id)));
            if (!stored) {
                continue;
            }
            HEARTH_CO_TRY(MoveTask task, DecodeMoveTask(*stored));
            const auto state = std::make_shared<Running>();
            state->moved = task.moved;
            state->handle = task.handle;
            {
                const std::lock_guard lock(moves_mutex_);
                moves_[name.source_arn] = state;
            }
            Launch(source, name.id, std::move(task), state);
        }
        if (!page.next) {
            break;
        }
        running.begin = *std::move(page.next);
    }
    co_return Status();
}

Task<void> Engine::Stop() {
    stopping_ = true;
    for (int i = 0; i < deps_.loops.size(); ++i) {
        auto stop = [this, i]() -> Task<void> {
            std::unique_ptr<LoopState>& state = loops_[static_cast<size_t>(i)];
            if (state == nullptr) {
                co_return;
            }
            for (const auto& [name, shard] : state->shards) {
                if (shard != nullptr) {
                    shard->Stop();
                }
            }
            for (rt::Event* const pause : state->pauses) {
                pause->Set();
            }
            co_await state->group.Join();
        };
        co_await rt::RunOn(deps_.loops, i, stop);
    }
    // Only now: a shard may have waited for one on another loop.
    for (int i = 0; i < deps_.loops.size(); ++i) {
        auto drop = [this, i]() -> Task<void> {
            std::unique_ptr<LoopState>& state = loops_[static_cast<size_t>(i)];
            if (state != nullptr) {
                co_await state->group.Join();
                state.reset();
            }
        };
        co_await rt::RunOn(deps_.loops, i, drop);
    }
}

void Engine::EndWaits() {
    no_waits_ = true;
    for (int i = 0; i < deps_.loops.size(); ++i) {
        deps_.loops.Post(i, [this, i] {
            const std::unique_ptr<LoopState>& state = loops_[static_cast<size_t>(i)];
            if (state == nullptr) {
                return;
            }
            for (const auto& [name, shard] : state->shards) {
                if (shard != nullptr) {
                    shard->EndWaits();
                }
            }
        });
    }
}

// Sets a receiver's answer when its coroutine ends early, so that nobody gives it messages.
class Abandonment final {
  public:
    explicit Abandonment(ReceiveCall& call) : call_(call) {}

    ~Abandonment() { call_.Fail(hearth::errors::Unavailable("the receiver went away")); }

    Abandonment(const Abandonment&) = delete;
    Abandonment& operator=(const Abandonment&) = delete;

  private:
    ReceiveCall& call_;
};

Task<Result<std::vector<MessageQueues::Message>>> Engine::Receive(
    const QueueAddress& queue, ReceiveRequest request) {
    if (no_waits_) {
        request.wait = std::chrono::milliseconds(0);
    }
    const std::chrono::milliseconds wait = request.wait;
    const auto call = std::make_shared<ReceiveCall>(std::move(request));
    const auto deadline = std::chrono::steady_clock::now() + wait;
    Submit(queue, call);
    const Abandonment abandonment(*call);
    if (wait.count() <= 0) {
        co_return co_await call->done.Wait();
    }
    std::optional<Result<std::vector<MessageQueues::Message>>> messages =
        co_await call->done.WaitUntil(deadline);
    if (!messages) {
        // Whoever sets it first: this time-out, or messages that come at the same moment.
        call->done.Set(std::vector<MessageQueues::Message>());
        messages.emplace(co_await call->done.Wait());
    }
    co_return *std::move(messages);
}

Task<Result<QueueEngine::QueuePage>> Engine::Names(
    RangeRequest range, size_t limit, size_t components) {
    QueuePage names;
    range.limit = std::min<size_t>(limit, 1'000) + 1;
    HEARTH_CO_TRY(const RangePage page, co_await deps_.kv.Range(std::move(range)));
    for (const KeyValue& item : page.items) {
        if (names.names.size() == limit) {
            names.next = names.names.back();
            break;
        }
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(components));
        HEARTH_CO_TRY(std::string name, reader.String());
        names.names.push_back(std::move(name));
    }
    co_return names;
}

Task<void> Engine::SweepGarbage(std::string garbage, std::string children) {
    RangeRequest range = ChildrenOf(children);
    range.limit = deps_.sizes.garbage_page;
    while (!stopping_) {
        const Result<RangePage> page = co_await deps_.kv.Range(range);
        if (!page.ok()) {
            log::Warn("sqs: deleted messages stay for now: {}", page.error().message());
            co_return;
        }
        const bool last = !page->next.has_value();
        const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
            for (const KeyValue& item : page->items) {
                transaction.Delete(item.key);
            }
            if (last) {
                transaction.Delete(garbage);
            }
            co_return Status();
        };
        if (const Status deleted = co_await deps_.kv.Transact(body); !deleted.ok()) {
            log::Warn("sqs: deleted messages stay for now: {}", deleted.error().message());
            co_return;
        }
        if (last) {
            co_return;
        }
        // Behind this everything is gone; a walk from the beginning would pass over all of it.
        range.begin = *page->next;
        co_await rt::Yield();
    }
}

// Move tasks -------------------------------------------------------------------------------------

Task<Result<std::string>> Engine::StartMoveTask(
    const QueueAddress& source, std::string destination_arn, std::optional<int> rate) {
    const auto found = co_await Find(source);
    if (!found.ok()) {
        co_return queue_errors::ResourceNotFound(
            "The resource that you specified for the SourceArn parameter doesn't exist.");
    }
    HEARTH_CO_TRY(const QueuePage sources, co_await ListDeadLetterSources(source, "", 1));
    if (sources.names.empty()) {
        co_return queue_errors::InvalidParameterValue(
            "Source queue must be configured as a Dead Letter Queue.");
    }
    if (!destination_arn.empty()) {
        const Result<QueueAddress> destination = QueueAddress::FromArn(destination_arn);
        if (!destination.ok() || !(co_await Find(*destination)).ok()) {
            co_return queue_errors::ResourceNotFound(
                "The resource that you specified for the DestinationArn parameter doesn't exist.");
        }
    }
    HEARTH_CO_TRY(const QueueCounts counts, co_await Counts(source));
    const auto running = std::make_shared<Running>();
    {
        const std::lock_guard lock(moves_mutex_);
        if (!moves_.emplace(source.Arn(), running).second) {
            co_return queue_errors::InvalidParameterValue(
                "There is already a task running. Only one active task is allowed for a source "
                "queue arn at a given time.");
        }
    }
    MoveTask task;
    task.started = deps_.clock.Now();
    // Newer tasks sort before older ones.
    const std::string id = fmt::format(
        "{:016x}-{}",
        std::numeric_limits<int64_t>::max() - UnixMs(task.started),
        deps_.random.Uuid());
    task.handle = EncodeTaskName({.source_arn = source.Arn(), .id = id});
    task.source_arn = source.Arn();
    task.destination_arn = std::move(destination_arn);
    task.rate = rate;
    task.status = "RUNNING";
    task.to_move = counts.visible;
    running->handle = task.handle;
    if (Status stored = co_await StoreMove(source, id, task); !stored.ok()) {
        const std::lock_guard lock(moves_mutex_);
        moves_.erase(source.Arn());
        co_return std::move(stored).error();
    }
    Launch(source, id, task, running);
    co_return task.handle;
}

void Engine::Launch(
    const QueueAddress& source, std::string id, MoveTask task, std::shared_ptr<Running> running) {
    auto launch = [this,
                   source,
                   id = std::move(id),
                   task = std::move(task),
                   running = std::move(running)]() mutable {
        if (!stopping_) {
            Here().group.Spawn(RunMove(source, std::move(id), std::move(task), std::move(running)));
        }
    };
    deps_.loops.Post(LoopOf(source), std::move(launch));
}

Task<Status> Engine::StoreMove(
    const QueueAddress& source, const std::string& id, const MoveTask& task) {
    const CatalogueKeys keys(source.account, source.region);
    const Key running = RunningMoves().Add(task.source_arn);
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        transaction.Put(keys.MoveTask(source.name, id), EncodeMoveTask(task));
        if (task.status == "RUNNING") {
            transaction.Put(running, task.handle);
        } else {
            transaction.Delete(running);
        }
        co_return Status();
    };
    co_return co_await deps_.kv.Transact(body);
}

Task<Result<int64_t>> Engine::MovePage(const QueueAddress& source, const MoveTask& task, int max) {
    using Departures = QueueShard::Departures;
    auto take = [max](QueueShard& shard) { return shard.TakeForMove(max); };
    HEARTH_CO_TRY(Departures taken, co_await Call<Departures>(source, std::move(take)));
    std::map<std::string, std::pair<std::vector<LeavingMessage>, std::vector<ArrivingMessage>>>
        by_destination;
    for (auto& [leaving, arriving] : taken) {
        std::string destination = task.destination_arn;
        if (destination.empty()) {
            const Result<MessageRecord> record = DecodeMessage(arriving.encoded);
            destination = record.ok() ? record->dead_letter_source : "";
        }
        auto& [from, to] = by_destination[destination];
        from.push_back(std::move(leaving));
        to.push_back(std::move(arriving));
    }
    int64_t moved = 0;
    std::optional<Error> failure;
    for (auto& [arn, messages] : by_destination) {
        auto& [leaving, arriving] = messages;
        const auto count = static_cast<int64_t>(leaving.size());
        Status given;
        const Result<QueueAddress> destination = QueueAddress::FromArn(arn);
        if (!destination.ok()) {
            given = queue_errors::InvalidParameterValue("CouldNotDetermineMessageSource");
        } else if (*destination == source) {
            given = queue_errors::InvalidParameterValue(
                "Source queue arn and destination queue arn cannot be the same.");
        } else {
            given = co_await Give(*destination, std::move(arriving));
        }
        const bool ok = given.ok();
        if (ok) {
            moved += count;
        } else {
            failure = given.error();
        }
        auto settle = [settled = std::move(leaving), ok](QueueShard& shard) {
            return shard.Moved(settled, ok);
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await Call<void>(source, std::move(settle)));
    }
    if (failure) {
        co_return *failure;
    }
    co_return moved;
}

Task<void> Engine::Pause(std::chrono::milliseconds duration) {
    rt::Event over;
    const auto entry = deps_.due_times.Make([&over] { over.Set(); });
    entry->Set(deps_.clock.Now() + duration);
    LoopState& here = Here();
    here.pauses.push_back(&over);
    if (!stopping_) {
        co_await over.Wait();
    }
    here.pauses.remove(&over);
}

// So that a task ends with its last message and not a pause later.
Task<bool> Engine::NothingToMove(const QueueAddress& source) {
    const auto counts = co_await Counts(source);
    co_return counts.ok() && counts->visible == 0;
}

Task<void> Engine::RunMove(
    QueueAddress source, std::string id, MoveTask task, std::shared_ptr<Running> running) {
    int64_t recorded = task.moved;
    while (!stopping_) {
        if (running->cancelled) {
            task.status = "CANCELLED";
            break;
        }
        const int page = std::min(task.rate.value_or(kMovePage), kMovePage);
        const Result<int64_t> moved = co_await MovePage(source, task, page);
        if (!moved.ok()) {
            if (stopping_) {
                break;
            }
            task.status = "FAILED";
            task.failure_reason = moved.error().code() == "QueueDoesNotExist"
                                      ? "AWS.SimpleQueueService.NonExistentQueue"
                                      : moved.error().message();
            break;
        }
        task.moved += *moved;
        running->moved = task.moved;
        if (*moved == 0 || ((*moved < page || task.rate) && co_await NothingToMove(source))) {
            task.status = "COMPLETED";
            break;
        }
        if (task.moved - recorded >= kMovesPerRecord) {
            recorded = task.moved;
            if (const Status stored = co_await StoreMove(source, id, task); !stored.ok()) {
                log::Warn("sqs: a move task's progress is not kept: {}", stored.error().message());
            }
        }
        if (task.rate) {
            co_await Pause(std::chrono::milliseconds(1'000 * *moved / std::max(*task.rate, 1)));
        }
    }
    // One that was interrupted goes on with the next start.
    const Status stored = co_await StoreMove(source, id, task);
    if (!stored.ok()) {
        log::Warn("sqs: a move task's end is not kept: {}", stored.error().message());
    }
    const std::lock_guard lock(moves_mutex_);
    moves_.erase(task.source_arn);
}

Task<Result<int64_t>> Engine::CancelMoveTask(
    const AccountId& account, const Region& region, std::string handle) {
    HEARTH_CO_TRY(const TaskName name, DecodeTaskName(handle));
    const Result<QueueAddress> source = QueueAddress::FromArn(name.source_arn);
    const std::lock_guard lock(moves_mutex_);
    const auto found = moves_.find(name.source_arn);
    if (!source.ok() || source->account != account || source->region != region ||
        found == moves_.end() || found->second->handle != handle) {
        co_return queue_errors::ResourceNotFound("Task does not exist.");
    }
    found->second->cancelled = true;
    co_return found->second->moved.load();
}

Task<Result<std::vector<MoveTask>>> Engine::ListMoveTasks(
    const QueueAddress& source, size_t limit) {
    const auto queue = co_await Find(source);
    if (!queue.ok()) {
        co_return queue_errors::ResourceNotFound(
            "The resource that you specified for the SourceArn parameter doesn't exist.");
    }
    RangeRequest range =
        CatalogueKeys(source.account, source.region).MoveTasks(source.name).Children();
    range.limit = limit;
    HEARTH_CO_TRY(const RangePage page, co_await deps_.kv.Range(std::move(range)));
    std::vector<MoveTask> tasks;
    for (const KeyValue& item : page.items) {
        HEARTH_CO_TRY(MoveTask task, DecodeMoveTask(item.value));
        const std::lock_guard lock(moves_mutex_);
        const auto found = moves_.find(task.source_arn);
        if (found != moves_.end() && found->second->handle == task.handle) {
            task.moved = found->second->moved;
            if (found->second->cancelled) {
                task.status = "CANCELLING";
            }
        }
        tasks.push_back(std::move(task));
    }
    co_return tasks;
}

// For mappings -----------------------------------------------------------------------------------

Task<Result<MessageQueues::Facts>> Engine::Find(std::string arn) {
    HEARTH_CO_TRY(const QueueAddress queue, QueueAddress::FromArn(arn));
    HEARTH_CO_TRY(const std::shared_ptr<const QueueRecord> record, co_await Find(queue));
    Facts facts;
    facts.arn = std::move(arn);
    facts.name = queue.name;
    facts.fifo = record->settings.fifo;
    facts.visibility_timeout = record->settings.visibility;
    if (record->settings.redrive) {
        facts.max_receive_count = record->settings.redrive->max_receive_count;
    }
    facts.wake_key = queue.WakeKey();
    co_return facts;
}

Task<Result<std::vector<MessageQueues::Message>>> Engine::Receive(
    std::string arn, ReceiveOptions options) {
    HEARTH_CO_TRY(const QueueAddress queue, QueueAddress::FromArn(arn));
    ReceiveRequest request;
    request.max = options.max;
    request.bytes_max = options.bytes_max;
    request.visibility = options.visibility;
    co_return co_await Receive(queue, std::move(request));
}

Task<Status> Engine::Delete(std::string arn, std::vector<std::string> handles) {
    HEARTH_CO_TRY(const QueueAddress queue, QueueAddress::FromArn(arn));
    HEARTH_CO_TRY(
        const std::vector<Status> results, co_await DeleteMessages(queue, std::move(handles)));
    for (const Status& result : results) {
        if (!result.ok() && result.error().kind() != Error::Kind::kInvalid) {
            co_return result;
        }
    }
    co_return Status();
}

Task<Status> Engine::ChangeVisibility(
    std::string arn, std::vector<std::string> handles, std::chrono::seconds timeout) {
    HEARTH_CO_TRY(const QueueAddress queue, QueueAddress::FromArn(arn));
    std::vector<VisibilityChange> changes;
    changes.reserve(handles.size());
    for (std::string& handle : handles) {
        changes.push_back({.handle = std::move(handle), .timeout = timeout});
    }
    HEARTH_CO_TRY(
        const std::vector<Status> results, co_await ChangeVisibility(queue, std::move(changes)));
    for (const Status& result : results) {
        if (!result.ok() && result.error().kind() != Error::Kind::kInvalid &&
            result.error().kind() != Error::Kind::kConflict) {
            co_return result;
        }
    }
    co_return Status();
}

}  // namespace

std::string QueueAddress::Arn() const {
    return fmt::format("arn:aws:sqs:{}:{}:{}", region.text(), account.text(), name);
}

std::string QueueAddress::WakeKey() const {
    return fmt::format("sqs/{}/{}/{}", account.text(), region.text(), name);
}

Result<QueueAddress> QueueAddress::FromArn(std::string_view arn) {
    std::array<std::string_view, 6> parts;
    for (size_t i = 0; i < parts.size(); ++i) {
        const size_t colon = i + 1 < parts.size() ? arn.find(':') : std::string_view::npos;
        parts[i] = arn.substr(0, colon);
        if (i + 1 < parts.size() && colon == std::string_view::npos) {
            return hearth::errors::Malformed("not an ARN of a queue");
        }
        arn = colon == std::string_view::npos ? std::string_view() : arn.substr(colon + 1);
    }
    if (parts[0] != "arn" || parts[2] != "sqs" || parts[3].empty() || parts[4].empty() ||
        parts[5].empty() || parts[5].find(':') != std::string_view::npos) {
        return hearth::errors::Malformed("not an ARN of a queue");
    }
    return QueueAddress{
        .account = AccountId(std::string(parts[4])),
        .region = Region(std::string(parts[3])),
        .name = std::string(parts[5])};
}

std::unique_ptr<QueueEngine> QueueEngine::Make(Deps deps) {
    return std::make_unique<Engine>(deps);
}

}  // namespace hearth::sqs
