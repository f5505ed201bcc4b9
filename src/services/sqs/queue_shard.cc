#include "services/sqs/queue_shard.h"

#include "base/check.h"
#include "base/log.h"
#include "services/sqs/queue_errors.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <limits>

namespace hearth::sqs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;
using storage::keys::Key;
using storage::keys::KeyReader;

// A transaction takes 1,000 keys and 8 MiB. The rest is for what one call adds between two looks at
// this (a batch that is sent), and for what Flush adds itself. Each transaction waits for the disk,
// so as much goes into one as fits.
constexpr size_t kWritesMax = 800;
constexpr size_t kWriteBytesMax = 4 * 1024 * 1024;
// Calls that share a transaction.
constexpr int kCallsPerTurn = 512;
constexpr std::chrono::seconds kNameRest{60};
constexpr std::chrono::seconds kPurgeRest{60};
constexpr size_t kPage = 1'000;

std::string Number(int64_t number) {
    return std::to_string(number);
}

int64_t ParseNumber(std::string_view text) {
    int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// The name of the queue in an ARN of the same account and region; nullopt for others.
std::optional<std::string> NameNear(const QueueAddress& queue, const std::string& arn) {
    const Result<QueueAddress> other = QueueAddress::FromArn(arn);
    if (!other.ok() || other->account != queue.account || other->region != queue.region) {
        return std::nullopt;
    }
    return other->name;
}

}  // namespace

// Calls ------------------------------------------------------------------------------------------

Task<void> ReceiveCall::Run(QueueShard& shard) {
    co_await shard.Receive(*this);
}

void ReceiveCall::Finish(QueueShard& shard) {
    if (!done.Set(*std::move(result_))) {
        shard.TakeBack(*this);
    }
}

QueueShard::QueueShard(const Shared& shared, rt::TaskGroup& group, QueueAddress address)
    : shared_(shared), group_(group), address_(std::move(address)), wake_key_(address_.WakeKey()) {
    due_ = shared_.due_times.Make([this] {
        tick_ = true;
        if (!pumping_ && !stopping_) {
            pumping_ = true;
            group_.Spawn(Pump());
        }
    });
}

QueueShard::~QueueShard() {
    CHECK(!pumping_, "a queue is dropped while it works");
    Forget();
}

void QueueShard::Push(std::shared_ptr<ShardCall> call) {
    if (stopping_) {
        call->Fail(hearth::errors::Unavailable("the cloud is stopping"));
        return;
    }
    calls_.push_back(std::move(call));
    if (!pumping_) {
        pumping_ = true;
        group_.Spawn(Pump());
    }
}

bool QueueShard::Idle() const {
    const bool nobody_waits =
        std::ranges::all_of(waiting_, [](const auto& call) { return call->abandoned(); });
    return !pumping_ && calls_.empty() && nobody_waits && moves_running_ == 0 &&
           (memory_ == nullptr ||
            (memory_->in_flight.empty() && memory_->moving.empty() && memory_->sleeping.empty() &&
             memory_->delays.places.empty() && !memory_->sweeping));
}

void QueueShard::Stop() {
    stopping_ = true;
    due_->Set(std::nullopt);
    EndWaits();
}

void QueueShard::EndWaits() {
    no_waits_ = true;
    for (const std::shared_ptr<ReceiveCall>& waiter : waiting_) {
        waiter->done.Set(ReceiveCall::Messages());
    }
    waiting_.clear();
}

void QueueShard::FailAll(const Error& error) {
    for (const std::shared_ptr<ShardCall>& call : calls_) {
        call->Fail(error);
    }
    calls_.clear();
    for (const std::shared_ptr<ReceiveCall>& waiter : waiting_) {
        waiter->Fail(error);
    }
    waiting_.clear();
}

// The pump ---------------------------------------------------------------------------------------

Task<void> QueueShard::Pump() {
    while (!calls_.empty() || (tick_ && !stopping_)) {
        co_await Turn();
        // A busy queue shares its loop.
        co_await rt::Yield();
    }
    pumping_ = false;
}

Task<void> QueueShard::Turn() {
    tick_ = false;
    if (!loaded_) {
        const Status loaded = co_await Load();
        if (!loaded.ok()) {
            Forget();
            FailAll(loaded.error());
            co_return;
        }
    }
    if (memory_ != nullptr) {
        if (Status advanced = co_await Advance(); !advanced.ok()) {
            Break(std::move(advanced).error());
        }
    }
    for (int i = 0; i < kCallsPerTurn && !broken_ && !calls_.empty(); ++i) {
        const std::shared_ptr<ShardCall> call = std::move(calls_.front());
        calls_.pop_front();
        if (call->abandoned()) {
            continue;
        }
        if (record_ == nullptr && !call->may_create()) {
            call->Fail(queue_errors::QueueDoesNotExist());
            continue;
        }
        try {
            co_await call->Run(*this);
        } catch (const std::exception& thrown) {
            Break(hearth::errors::Internal(thrown.what()));
        }
        auto receive = std::dynamic_pointer_cast<ReceiveCall>(call);
        if (!broken_ && receive != nullptr && receive->waits_) {
            if (no_waits_) {
                receive->done.Set(ReceiveCall::Messages());
            } else {
                waiting_.push_back(std::move(receive));
            }
        } else {
            ran_.push_back(call);
        }
    }
    if (!broken_ && record_ != nullptr) {
        co_await ServeWaiters();
    }
    if (!broken_) {
        // Its error is in broken_.
        const Status flushed = co_await Flush();
        CHECK(flushed.ok() || broken_.has_value());
    }
    const std::vector<std::shared_ptr<ShardCall>> ran = std::exchange(ran_, {});
    if (broken_) {
        for (const std::shared_ptr<ShardCall>& call : ran) {
            call->Fail(*broken_);
        }
        Forget();
        // To see again what becomes due; a store that stays away fails the waiters then.
        tick_ = true;
        co_return;
    }
    for (const std::shared_ptr<ShardCall>& call : ran) {
        call->Finish(*this);
    }
    if (memory_ == nullptr) {
        due_->Set(std::nullopt);
        co_return;
    }
    if (!leaving_.empty()) {
        ++moves_running_;
        leaving_bytes_ = 0;
        group_.Spawn(MoveAway(std::exchange(leaving_, {})));
    }
    TrimLanes();
    if (std::exchange(receivable_news_, false) && Receivable()) {
        shared_.wakes.Publish(wake_key_);
    }
    ArmDue();
}

Error QueueShard::Break(Error error) {
    if (!broken_) {
        broken_ = error;
    }
    return error;
}

void QueueShard::Forget() {
    if (memory_ != nullptr) {
        for (auto& [group, lane] : memory_->lanes) {
            ForgetWindow(*lane);
        }
    }
    memory_.reset();
    loaded_ = false;
    writes_.clear();
    write_bytes_ = 0;
    unread_fresh_ = false;
    dirty_lanes_.clear();
    idle_lanes_.clear();
    leaving_.clear();
    leaving_bytes_ = 0;
    broken_.reset();
    receivable_news_ = false;
}

void QueueShard::Put(std::string key, std::string value) {
    write_bytes_ += key.size() + value.size();
    writes_.emplace_back(std::move(key), std::move(value));
}

void QueueShard::Erase(std::string key) {
    write_bytes_ += key.size();
    writes_.emplace_back(std::move(key), std::nullopt);
}

bool QueueShard::FlushIsDue() const {
    return broken_ || writes_.size() + dirty_lanes_.size() >= kWritesMax ||
           write_bytes_ >= kWriteBytesMax;
}

Task<Status> QueueShard::FlushIfLarge() {
    if (FlushIsDue()) {
        // It fails when something is broken.
        co_return co_await Flush();
    }
    co_return Status();
}

Task<Status> QueueShard::Flush() {
    if (broken_) {
        co_return *broken_;
    }
    if (writes_.empty() && dirty_lanes_.empty()) {
        co_return Status();
    }
    if (memory_ != nullptr) {
        for (Lane* const lane : dirty_lanes_) {
            lane->dirty = false;
            if (lane->record.count > 0) {
                Put(memory_->keys->Lane(lane->group), EncodeLane(lane->record));
            } else {
                Erase(memory_->keys->Lane(lane->group));
            }
        }
        dirty_lanes_.clear();
        constexpr size_t kTenthsMax = 50;
        for (size_t i = 0; i < kTenthsMax && !memory_->past_tenths.empty(); ++i) {
            Erase(memory_->keys->Tenth(memory_->past_tenths.back()));
            memory_->past_tenths.pop_back();
        }
        Put(keys_->Shard(), EncodeShard(memory_->shard));
        memory_->duplicates.clear();
    }
    const auto writes = std::exchange(writes_, {});
    write_bytes_ = 0;
    unread_fresh_ = false;
    // Nothing is read, so nothing can conflict: this shard alone writes its keys.
    const storage::Kv::Body body = [&writes](Transaction& transaction) -> Task<Status> {
        for (const auto& [key, value] : writes) {
            if (value) {
                transaction.Put(key, *value);
            } else {
                transaction.Delete(key);
            }
        }
        co_return Status();
    };
    Status committed = co_await shared_.kv.Transact(body);
    if (!committed.ok()) {
        co_return Break(std::move(committed).error());
    }
    co_return Status();
}

// Loading ----------------------------------------------------------------------------------------

Task<Status> QueueShard::Load() {
    const CatalogueKeys catalogue(address_.account, address_.region);
    HEARTH_CO_TRY(
        const std::optional<std::string> stored,
        co_await shared_.kv.Get(catalogue.Queue(address_.name)));
    record_ = nullptr;
    if (!stored) {
        shared_.show(address_, nullptr);
        loaded_ = true;
        co_return Status();
    }
    HEARTH_CO_TRY(StoredQueue queue, DecodeQueue(*stored));
    id_ = queue.id;
    keys_.emplace(address_, id_);
    memory_ = std::make_unique<Memory>();
    HEARTH_CO_TRY(const std::optional<std::string> shard, co_await shared_.kv.Get(keys_->Shard()));
    if (shard) {
        HEARTH_CO_TRY(memory_->shard, DecodeShard(*shard));
    }
    memory_->keys.emplace(*keys_, memory_->shard.epoch);
    record_ = std::make_shared<const QueueRecord>(std::move(queue.record));
    memory_->advanced_ms = UnixMs(shared_.clock.Now());
    HEARTH_CO_RETURN_IF_ERROR(co_await LoadPlaces());
    shared_.show(address_, record_);
    loaded_ = true;
    co_return Status();
}

Task<Status> QueueShard::LoadPlaces() {
    Memory& memory = *memory_;
    // Messages that another queue took over before this one could count them.
    RangeRequest gone = memory.keys->Gone().Children();
    while (true) {
        HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(gone));
        for (const KeyValue& item : page.items) {
            --memory.shard.total;
            Erase(item.key);
        }
        // The count and the end of what was not counted go together.
        HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        if (!page.next) {
            break;
        }
        gone.begin = *std::move(page.next);
    }

    RangeRequest tenths = memory.keys->Tenths().Children();
    tenths.limit = kPage;
    while (true) {
        HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(tenths));
        for (const KeyValue& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
            HEARTH_CO_TRY(const int64_t tenth, reader.Integer());
            memory.tenths.emplace(tenth, ParseNumber(item.value));
        }
        if (!page.next) {
            break;
        }
        tenths.begin = *std::move(page.next);
    }

    // Standard queues: who is in flight; what was given back is read in pages when its turn comes.
    // FIFO queues need both, because what was given back blocks its group.
    const bool fifo = record_->settings.fifo;
    RangeRequest places = memory.keys->Places().Children();
    if (!fifo) {
        places.begin = memory.keys->Places().Add(NowMs() + 1).bytes();
        memory.returned.more = true;
        memory.delays.more = true;
    }
    places.limit = kPage;
    while (true) {
        HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(places));
        for (const KeyValue& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
            HEARTH_CO_TRY(Place place, DecodePlace(item.value));
            HEARTH_CO_TRY(place.ready_ms, reader.Integer());
            HEARTH_CO_TRY(place.sequence, reader.Integer());
            Lane& lane = LaneStub(place.group);
            if (place.ready_ms > NowMs()) {
                ++lane.in_flight;
                memory.by_end.emplace(place.ready_ms, place.sequence);
                memory.in_flight.emplace(place.sequence, std::move(place));
            } else {
                lane.returned.emplace(place.sequence, std::move(place));
            }
        }
        if (!page.next) {
            break;
        }
        places.begin = *std::move(page.next);
    }
    if (fifo) {
        for (auto& [group, lane] : memory.lanes) {
            Rerank(*lane);
        }
    } else {
        HEARTH_CO_RETURN_IF_ERROR(co_await FillDelays());
    }
    receivable_news_ = true;
    co_return Status();
}

// The queue itself -------------------------------------------------------------------------------

Task<Status> QueueShard::Create(
    QueueSettings settings,
    std::map<std::string, std::string> attributes,
    std::map<std::string, std::string> tags) {
    if (record_ != nullptr) {
        co_return queue_errors::QueueNameExists(address_.name);
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    const CatalogueKeys catalogue(address_.account, address_.region);
    const CloudClock::time_point now = shared_.clock.Now();
    HEARTH_CO_TRY(
        const std::optional<std::string> deleted,
        co_await shared_.kv.Get(catalogue.Deleted(address_.name)));
    if (deleted) {
        const int64_t deleted_ms = ParseNumber(*deleted);
        if (UnixMs(now) < deleted_ms + std::chrono::milliseconds(kNameRest).count()) {
            co_return queue_errors::QueueDeletedRecently();
        }
        Erase(catalogue.Deleted(address_.name));
    }
    StoredQueue queue;
    // Nobody guesses which lives there were, and two lives do not meet.
    queue.id = static_cast<QueueId>(shared_.random.Uint64() >> 1);
    queue.record.settings = std::move(settings);
    queue.record.attributes = std::move(attributes);
    queue.record.tags = std::move(tags);
    queue.record.created = now;
    queue.record.modified = now;
    id_ = queue.id;
    keys_.emplace(address_, id_);
    memory_ = std::make_unique<Memory>();
    memory_->keys.emplace(*keys_, memory_->shard.epoch);
    memory_->advanced_ms = UnixMs(now);
    Put(catalogue.Queue(address_.name), EncodeQueue(queue));
    if (queue.record.settings.redrive) {
        const auto target = NameNear(address_, queue.record.settings.redrive->dead_letter_arn);
        if (target) {
            Put(catalogue.Source(*target, address_.name), "");
        }
    }
    record_ = std::make_shared<const QueueRecord>(std::move(queue.record));
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    shared_.show(address_, record_);
    co_return Status();
}

Task<Status> QueueShard::Update(const std::function<Status(QueueRecord&)>& change) {
    StoredQueue queue{.id = id_, .record = *record_};
    HEARTH_CO_RETURN_IF_ERROR(change(queue.record));
    queue.record.settings.fifo = record_->settings.fifo;
    if (queue.record.settings != record_->settings ||
        queue.record.attributes != record_->attributes) {
        queue.record.modified = shared_.clock.Now();
    }
    const CatalogueKeys catalogue(address_.account, address_.region);
    const auto target_of = [&](const QueueSettings& settings) {
        return settings.redrive ? NameNear(address_, settings.redrive->dead_letter_arn)
                                : std::nullopt;
    };
    const std::optional<std::string> before = target_of(record_->settings);
    const std::optional<std::string> after = target_of(queue.record.settings);
    if (before != after) {
        if (before) {
            Erase(catalogue.Source(*before, address_.name));
        }
        if (after) {
            Put(catalogue.Source(*after, address_.name), "");
        }
    }
    Put(catalogue.Queue(address_.name), EncodeQueue(queue));
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    record_ = std::make_shared<const QueueRecord>(std::move(queue.record));
    shared_.show(address_, record_);
    // Another retention may make messages due for deletion.
    memory_->next_sweep_ms = 0;
    co_return Status();
}

Task<Status> QueueShard::Delete() {
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    const CatalogueKeys catalogue(address_.account, address_.region);
    if (record_->settings.redrive) {
        const auto target = NameNear(address_, record_->settings.redrive->dead_letter_arn);
        if (target) {
            Erase(catalogue.Source(*target, address_.name));
        }
    }
    Erase(catalogue.Queue(address_.name));
    Put(catalogue.Deleted(address_.name), Number(UnixMs(shared_.clock.Now())));
    const std::string children = keys_->base();
    const std::string garbage = GarbageKeys().Add(children);
    Put(garbage, children);
    // From here on nothing of the old life may be written.
    for (auto& [group, lane] : memory_->lanes) {
        ForgetWindow(*lane);
    }
    memory_.reset();
    idle_lanes_.clear();
    leaving_.clear();
    leaving_bytes_ = 0;
    record_ = nullptr;
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    shared_.show(address_, nullptr);
    shared_.sweep(garbage, children);
    for (const std::shared_ptr<ReceiveCall>& waiter : waiting_) {
        waiter->Fail(queue_errors::QueueDoesNotExist());
    }
    waiting_.clear();
    co_return Status();
}

Task<Status> QueueShard::Purge() {
    const int64_t now_ms = NowMs();
    ShardRecord shard = memory_->shard;
    if (shard.purged_ms > 0 &&
        now_ms < shard.purged_ms + std::chrono::milliseconds(kPurgeRest).count()) {
        co_return queue_errors::PurgeQueueInProgress(address_.name);
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    const std::string children = keys_->Epoch(shard.epoch);
    const std::string garbage = GarbageKeys().Add(children);
    Put(garbage, children);
    for (auto& [group, lane] : memory_->lanes) {
        ForgetWindow(*lane);
    }
    idle_lanes_.clear();
    leaving_.clear();
    leaving_bytes_ = 0;
    memory_ = std::make_unique<Memory>();
    memory_->advanced_ms = now_ms;
    memory_->shard.epoch = shard.epoch + 1;
    memory_->shard.next_sequence = shard.next_sequence;
    memory_->shard.purged_ms = now_ms;
    memory_->keys.emplace(*keys_, memory_->shard.epoch);
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    shared_.sweep(garbage, children);
    co_return Status();
}

Result<QueueCounts> QueueShard::Counts() const {
    const Memory& memory = *memory_;
    QueueCounts counts;
    counts.in_flight = static_cast<int64_t>(memory.in_flight.size() + memory.moving.size());
    for (const auto& [tenth, count] : memory.tenths) {
        counts.delayed += count;
    }
    counts.visible = std::max<int64_t>(memory.shard.total - counts.in_flight - counts.delayed, 0);
    return counts;
}

// Time -------------------------------------------------------------------------------------------

Task<Status> QueueShard::Advance() {
    Memory& memory = *memory_;
    const int64_t before_ms = memory.advanced_ms;
    memory.advanced_ms = std::max(before_ms, UnixMs(shared_.clock.Now()));
    const int64_t now_ms = memory.advanced_ms;
    while (!memory.by_end.empty() && memory.by_end.begin()->first <= now_ms) {
        const auto found = memory.in_flight.find(memory.by_end.begin()->second);
        CHECK(found != memory.in_flight.end(), "a message in flight was lost");
        GiveBack(found->second);
    }
    while (!memory.sleeping.empty() && memory.sleeping.begin()->first <= now_ms) {
        Rerank(*memory.sleeping.begin()->second);
    }
    while (!memory.tenths.empty() && memory.tenths.begin()->first * 100 <= now_ms) {
        memory.past_tenths.push_back(memory.tenths.begin()->first);
        memory.tenths.erase(memory.tenths.begin());
    }
    if (memory.delays.places.empty() && memory.delays.more) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FillDelays());
    }
    if (!memory.delays.places.empty()) {
        const int64_t first_ms = memory.delays.places.begin()->first.first;
        receivable_news_ = receivable_news_ || (first_ms <= now_ms && first_ms > before_ms);
    }
    DropAttempts(memory.attempts.size());
    HEARTH_CO_RETURN_IF_ERROR(co_await SweepDuplicates());
    constexpr int kStepsPerTurn = 4;
    for (int i = 0; i < kStepsPerTurn; ++i) {
        if (!memory.sweeping) {
            const int64_t retention_ms =
                std::chrono::milliseconds(record_->settings.retention).count();
            if (memory.shard.total <= 0 ||
                now_ms < std::max(memory.shard.oldest_ms + retention_ms, memory.next_sweep_ms)) {
                break;
            }
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await SweepStep());
    }
    tick_ = tick_ || memory.sweeping;
    co_return Status();
}

void QueueShard::ArmDue() {
    const Memory& memory = *memory_;
    int64_t due_ms = std::numeric_limits<int64_t>::max();
    if (!memory.by_end.empty()) {
        due_ms = std::min(due_ms, memory.by_end.begin()->first);
    }
    if (!memory.sleeping.empty()) {
        due_ms = std::min(due_ms, memory.sleeping.begin()->first);
    }
    // The first that is not receivable yet.
    const auto delayed = memory.delays.places.upper_bound(
        {memory.advanced_ms, std::numeric_limits<Sequence>::max()});
    if (delayed != memory.delays.places.end()) {
        due_ms = std::min(due_ms, delayed->first.first);
    }
    if (memory.shard.total > 0) {
        const int64_t retention_ms = std::chrono::milliseconds(record_->settings.retention).count();
        due_ms =
            std::min(due_ms, std::max(memory.shard.oldest_ms + retention_ms, memory.next_sweep_ms));
    }
    if (stopping_ || due_ms == std::numeric_limits<int64_t>::max()) {
        due_->Set(std::nullopt);
    } else {
        due_->Set(CloudClock::time_point(CloudClock::duration(due_ms)));
    }
}

}  // namespace hearth::sqs
