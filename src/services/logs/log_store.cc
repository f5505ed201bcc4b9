#include "services/logs/log_store.h"

#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/subscriptions.h"

namespace hearth::logs {
namespace {

using storage::Kv;
using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;
using storage::keys::Key;
using storage::keys::KeyReader;

constexpr char kPurgeKind[] = "logs-purge";
constexpr char kRetentionKind[] = "logs-retention";

// The key of a timer names what it is about: group and, for the purge of one stream, the stream's
// id.
std::string TimerKey(
    const GroupName& group, std::string_view group_id, std::string_view stream_id) {
    return Key(group.account, group.region).Add(group.name).Add(group_id).Add(stream_id);
}

struct TimerSubject {
    GroupName group;
    std::string group_id;
    std::string stream_id;
};

Result<TimerSubject> ParseTimerKey(std::string_view key) {
    TimerSubject subject;
    KeyReader reader(key);
    HEARTH_TRY(std::string account, reader.String());
    HEARTH_TRY(std::string region, reader.String());
    subject.group.account = AccountId(std::move(account));
    subject.group.region = Region(std::move(region));
    HEARTH_TRY(subject.group.name, reader.String());
    HEARTH_TRY(subject.group_id, reader.String());
    HEARTH_TRY(subject.stream_id, reader.String());
    return subject;
}

Task<Result<std::optional<GroupRecord>>> GetGroup(Transaction& t, const GroupName& group) {
    const std::string key = GroupKey(group);
    HEARTH_CO_TRY(const auto value, co_await t.Get(key));
    if (!value) {
        co_return std::optional<GroupRecord>();
    }
    HEARTH_CO_TRY(GroupRecord record, DecodeGroup(*value));
    co_return std::optional<GroupRecord>(std::move(record));
}

}  // namespace

LogStore::LogStore(const Deps& deps) : deps_(deps) {
    deps_.schedule.Register(
        kPurgeKind, [this](const flow::DueTimer& timer) { return Purge(timer); });
    deps_.schedule.Register(
        kRetentionKind, [this](const flow::DueTimer& timer) { return Expire(timer); });
}

int64_t LogStore::WallNowMs() const {
    return UnixMs<WallClock>(deps_.wall_clock.Now());
}

std::string LogStore::NewId() {
    constexpr size_t kIdBytes = 8;
    return deps_.random.Hex(kIdBytes);
}

Task<Result<GroupRecord>> LogStore::FindGroup(const GroupName& group) {
    const std::string key = GroupKey(group);
    HEARTH_CO_TRY(const auto value, co_await deps_.kv.Get(key));
    if (!value) {
        co_return errors::NoSuchGroup();
    }
    co_return DecodeGroup(*value);
}

Task<Status> LogStore::CreateGroup(const GroupName& group, GroupRecord record) {
    record.id = NewId();
    const std::string key = GroupKey(group);
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto existing, co_await t.Get(key));
        if (existing) {
            co_return errors::GroupExists();
        }
        t.Put(key, Encode(record));
        co_return Status();
    };
    co_return co_await deps_.kv.Transact(body);
}

Task<Status> LogStore::DeleteGroup(const GroupName& group) {
    const std::string key = GroupKey(group);
    const CloudClock::time_point now = CloudNow();
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto record, co_await GetGroup(t, group));
        if (!record) {
            co_return errors::NoSuchGroup();
        }
        if (record->deletion_protection) {
            co_return errors::Validation(
                "The specified log group has deletion protection enabled and cannot be deleted.");
        }
        t.Delete(key);
        t.Delete(SubscriptionsKey(group, record->id));
        const std::string subject = TimerKey(group, record->id, "");
        HEARTH_CO_RETURN_IF_ERROR(co_await deps_.schedule.Cancel(t, kRetentionKind, subject));
        const flow::DueTimer purge{kPurgeKind, subject, now, ""};
        co_return co_await deps_.schedule.Put(t, purge);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
    deps_.schedule.Arm(now);
    co_return Status();
}

Task<Status> LogStore::UpdateGroup(const GroupName& group, const ChangeGroup& change) {
    const std::string key = GroupKey(group);
    const CloudClock::time_point now = CloudNow();
    bool retention_set = false;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(auto record, co_await GetGroup(t, group));
        if (!record) {
            co_return errors::NoSuchGroup();
        }
        const int64_t retention_before = record->retention_days;
        HEARTH_CO_RETURN_IF_ERROR(change(*record));
        t.Put(key, Encode(*record));
        if (record->retention_days == retention_before) {
            co_return Status();
        }
        retention_set = record->retention_days > 0;
        if (!retention_set) {
            const std::string subject = TimerKey(group, record->id, "");
            co_return co_await deps_.schedule.Cancel(t, kRetentionKind, subject);
        }
        // The first run finds out what is there and when to come next.
        co_return co_await PutRetentionTimer(t, group, *record, now);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
    if (retention_set) {
        deps_.schedule.Arm(now);
    }
    co_return Status();
}

Task<Status> LogStore::PutRetentionTimer(
    Transaction& transaction,
    const GroupName& group,
    const GroupRecord& record,
    CloudClock::time_point due) {
    const flow::DueTimer timer{kRetentionKind, TimerKey(group, record.id, ""), due, ""};
    co_return co_await deps_.schedule.Put(transaction, timer);
}

Task<Result<SubscriptionFilters>> LogStore::FiltersOf(const GroupName& group) {
    HEARTH_CO_TRY(const GroupRecord record, co_await FindGroup(group));
    const std::string key = SubscriptionsKey(group, record.id);
    HEARTH_CO_TRY(const auto value, co_await deps_.kv.Get(key));
    if (!value) {
        co_return SubscriptionFilters();
    }
    co_return DecodeSubscriptions(*value);
}

Task<Status> LogStore::UpdateFilters(const GroupName& group, const ChangeFilters& change) {
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto record, co_await GetGroup(t, group));
        if (!record) {
            co_return errors::NoSuchGroup();
        }
        const std::string key = SubscriptionsKey(group, record->id);
        HEARTH_CO_TRY(const auto value, co_await t.Get(key));
        SubscriptionFilters filters;
        if (value) {
            HEARTH_CO_TRY(filters, DecodeSubscriptions(*value));
        }
        HEARTH_CO_RETURN_IF_ERROR(change(filters));
        if (filters.empty()) {
            t.Delete(key);
        } else {
            t.Put(key, EncodeSubscriptions(filters));
        }
        co_return Status();
    };
    co_return co_await deps_.kv.Transact(body);
}

Task<Result<StreamRecord>> LogStore::FindStream(
    const GroupName& group, const GroupRecord& record, std::string_view stream) {
    const std::string key = StreamKey(group, record.id, stream);
    HEARTH_CO_TRY(const auto value, co_await deps_.kv.Get(key));
    if (!value) {
        co_return errors::NoSuchStream();
    }
    co_return DecodeStream(*value);
}

Task<Status> LogStore::CreateStream(const GroupName& group, std::string_view stream) {
    const StreamRecord record{.id = NewId(), .created_ms = WallNowMs()};
    const std::string name(stream);
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto in_group, co_await GetGroup(t, group));
        if (!in_group) {
            co_return errors::NoSuchGroup();
        }
        const std::string key = StreamKey(group, in_group->id, name);
        HEARTH_CO_TRY(const auto existing, co_await t.Get(key));
        if (existing) {
            co_return errors::StreamExists();
        }
        t.Put(key, Encode(record));
        co_return Status();
    };
    co_return co_await deps_.kv.Transact(body);
}

Task<Status> LogStore::DeleteStream(const GroupName& group, std::string_view stream) {
    const std::string name(stream);
    const CloudClock::time_point now = CloudNow();
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto in_group, co_await GetGroup(t, group));
        if (!in_group) {
            co_return errors::NoSuchGroup();
        }
        const std::string key = StreamKey(group, in_group->id, name);
        HEARTH_CO_TRY(const auto existing, co_await t.Get(key));
        if (!existing) {
            co_return errors::NoSuchStream();
        }
        HEARTH_CO_TRY(const StreamRecord record, DecodeStream(*existing));
        t.Delete(key);
        const flow::DueTimer purge{kPurgeKind, TimerKey(group, in_group->id, record.id), now, ""};
        co_return co_await deps_.schedule.Put(t, purge);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
    deps_.schedule.Arm(now);
    co_return Status();
}

// What one transaction takes.
struct LogStore::Batch {
    std::vector<Chunk> chunks;
    size_t messages_bytes = 0;
};

Task<Status> LogStore::Append(
    const GroupName& group, const std::string& stream, std::vector<NewEvent> events, bool create) {
    const int64_t ingestion_ms = WallNowMs();
    const int64_t cloud_offset_ms = std::max<int64_t>(0, UnixMs(CloudNow()) - ingestion_ms);
    Batch batch;
    size_t chunk_bytes = 0;
    for (size_t i = 0; i < events.size(); ++i) {
        NewEvent& event = events[i];
        const size_t bytes = event.message.size() + kEventOverheadBytes;
        const bool fits = !batch.chunks.empty() && chunk_bytes + bytes <= kChunkBytes &&
                          event.timestamp_ms - batch.chunks.back().events.front().timestamp_ms <=
                              kChunkSpanMax.count();
        if (!fits) {
            if (batch.chunks.size() == kChunksPerTransactionMax) {
                HEARTH_CO_RETURN_IF_ERROR(co_await AppendBatch(group, stream, batch, create));
                batch = {};
            }
            batch.chunks.push_back(
                {.ingestion_ms = ingestion_ms, .cloud_offset_ms = cloud_offset_ms, .events = {}});
            chunk_bytes = 0;
        }
        chunk_bytes += bytes;
        batch.messages_bytes += bytes;
        batch.chunks.back().events.push_back(
            {.timestamp_ms = event.timestamp_ms, .message = std::move(event.message)});
    }
    if (batch.chunks.empty()) {
        co_return Status();
    }
    co_return co_await AppendBatch(group, stream, batch, create);
}

Task<Status> LogStore::AppendBatch(
    const GroupName& group, const std::string& stream, Batch& batch, bool create) {
    // Made here because the body may run more than once.
    const std::string new_group_id = NewId();
    const std::string new_stream_id = NewId();
    const int64_t now_ms = WallNowMs();
    std::vector<flow::Delivery> deliveries;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        deliveries.clear();
        HEARTH_CO_TRY(auto in_group, co_await GetGroup(t, group));
        if (!in_group) {
            if (!create) {
                co_return errors::NoSuchGroup();
            }
            in_group = GroupRecord{.id = new_group_id, .created_ms = now_ms};
            t.Put(GroupKey(group), Encode(*in_group));
        }
        const std::string stream_key = StreamKey(group, in_group->id, stream);
        HEARTH_CO_TRY(const auto stored, co_await t.Get(stream_key));
        if (!stored && !create) {
            co_return errors::NoSuchStream();
        }
        StreamRecord record{.id = new_stream_id, .created_ms = now_ms};
        if (stored) {
            HEARTH_CO_TRY(record, DecodeStream(*stored));
        }
        for (Chunk& chunk : batch.chunks) {
            const int64_t first_sequence = record.events;
            for (Event& event : chunk.events) {
                event.sequence = record.events++;
            }
            const int64_t first_ms = chunk.events.front().timestamp_ms;
            const int64_t last_ms = chunk.events.back().timestamp_ms;
            if (first_sequence == 0 || first_ms < record.first_event_ms) {
                record.first_event_ms = first_ms;
            }
            record.last_event_ms = std::max(record.last_event_ms, last_ms);
            record.last_ingestion_ms = std::max(record.last_ingestion_ms, chunk.ingestion_ms);
            t.Put(
                ChunkKey(group, in_group->id, record.id, first_ms, first_sequence), Encode(chunk));
            const ChunkEntry entry{
                .first_ms = first_ms,
                .stream_id = record.id,
                .first_sequence = first_sequence,
                .last_ms = last_ms,
                .cloud_offset_ms = chunk.cloud_offset_ms,
                .stream_name = stream};
            t.Put(
                EntryKey(group, in_group->id, first_ms, record.id, first_sequence),
                EncodeEntry(entry));
        }
        record.bytes += static_cast<int64_t>(batch.messages_bytes);
        t.Put(stream_key, Encode(record));
        if (deps_.subscriptions != nullptr) {
            const Subscriptions::Source source{group, in_group->id, stream, record.id};
            HEARTH_CO_TRY(deliveries, co_await deps_.subscriptions->Add(t, source, batch.chunks));
        }
        co_return Status();
    };
    const Status committed = co_await deps_.kv.Transact(body);
    if (!deliveries.empty()) {
        deps_.subscriptions->End(committed, std::move(deliveries));
    }
    co_return committed;
}

std::optional<CloudClock::time_point> LogStore::ExpiryOf(
    const GroupRecord& group, int64_t timestamp_ms, int64_t cloud_offset_ms) {
    if (group.retention_days == 0) {
        return std::nullopt;
    }
    return CloudClock::time_point(std::chrono::milliseconds(timestamp_ms + cloud_offset_ms)) +
           std::chrono::hours(24) * group.retention_days;
}

// --- background --------------------------------------------------------------------------------

Task<Status> LogStore::Purge(const flow::DueTimer& timer) {
    HEARTH_CO_TRY(const TimerSubject subject, ParseTimerKey(timer.key));
    const GroupName& group = subject.group;
    const std::string& group_id = subject.group_id;
    if (subject.stream_id.empty()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await PurgeRange(AllStreamsKey(group, group_id).Children()));
        HEARTH_CO_RETURN_IF_ERROR(co_await PurgeRange(AllEntriesKey(group, group_id).Children()));
        // The chunks of all streams of the group.
        RangeRequest range =
            Key(group.account, group.region).Add("logs").Add("chunk").Add(group_id).Children();
        co_return co_await PurgeRange(std::move(range));
    }
    // One stream: its chunks say which entries of the index are its own.
    RangeRequest range = AllChunksKey(group, group_id, subject.stream_id).Children();
    range.limit = kDeleteBatch / 2;
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await deps_.kv.Range(range));
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            for (const storage::KeyValue& item : page.items) {
                KeyReader reader(item.key);
                HEARTH_CO_RETURN_IF_ERROR(reader.Skip(6));
                HEARTH_CO_TRY(const int64_t first_ms, reader.Integer());
                HEARTH_CO_TRY(const int64_t first_sequence, reader.Integer());
                t.Delete(item.key);
                t.Delete(EntryKey(group, group_id, first_ms, subject.stream_id, first_sequence));
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
        if (!page.next) {
            co_return Status();
        }
        range.begin = *page.next;
    }
}

Task<Status> LogStore::PurgeRange(RangeRequest range) {
    range.limit = kDeleteBatch;
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await deps_.kv.Range(range));
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            for (const storage::KeyValue& item : page.items) {
                t.Delete(item.key);
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
        if (!page.next) {
            co_return Status();
        }
        range.begin = *page.next;
    }
}

Task<Status> LogStore::Expire(const flow::DueTimer& timer) {
    HEARTH_CO_TRY(const TimerSubject subject, ParseTimerKey(timer.key));
    const GroupName& group = subject.group;
    const Result<GroupRecord> found = co_await FindGroup(group);
    if (!found.ok()) {
        // Gone; its purge has its own timer.
        co_return found.error().kind() == Error::Kind::kNotFound ? Status() : Status(found.error());
    }
    if (found->id != subject.group_id || found->retention_days == 0) {
        co_return Status();
    }
    const CloudClock::time_point now = CloudNow();
    const auto retention = std::chrono::hours(24) * found->retention_days;
    // Nothing later than this can have expired: an offset only makes an event younger.
    RangeRequest range =
        AllEntriesKey(group, found->id).ChildrenBetween(0, UnixMs(now - retention) + 1);
    range.limit = kDeleteBatch / 2;
    std::optional<CloudClock::time_point> next;
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await deps_.kv.Range(range));
        std::vector<ChunkEntry> expired;
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(ChunkEntry entry, DecodeEntry(item));
            const auto expiry = ExpiryOf(*found, entry.last_ms, entry.cloud_offset_ms);
            if (*expiry <= now) {
                expired.push_back(std::move(entry));
            } else if (!next || *expiry < *next) {
                next = expiry;
            }
        }
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            for (const ChunkEntry& entry : expired) {
                t.Delete(EntryKey(
                    group, found->id, entry.first_ms, entry.stream_id, entry.first_sequence));
                t.Delete(ChunkKey(
                    group, found->id, entry.stream_id, entry.first_ms, entry.first_sequence));
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
        if (!page.next) {
            break;
        }
        range.begin = *page.next;
    }
    // The first chunk that is still good, else whatever is written from now on.
    RangeRequest later =
        AllEntriesKey(group, found->id).ChildrenBetween(UnixMs(now - retention) + 1, INT64_MAX);
    later.limit = 1;
    HEARTH_CO_TRY(const RangePage first, co_await deps_.kv.Range(later));
    if (!first.items.empty()) {
        HEARTH_CO_TRY(const ChunkEntry entry, DecodeEntry(first.items.front()));
        const auto expiry = ExpiryOf(*found, entry.last_ms, entry.cloud_offset_ms);
        next = next ? std::min(*next, *expiry) : *expiry;
    }
    const CloudClock::time_point due =
        std::max<CloudClock::time_point>(next.value_or(now + retention), now + kRetentionPause);
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(const auto record, co_await GetGroup(t, group));
        if (!record || record->id != found->id || record->retention_days == 0) {
            co_return Status();
        }
        co_return co_await PutRetentionTimer(t, group, *record, due);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await deps_.kv.Transact(body));
    deps_.schedule.Arm(due);
    co_return Status();
}

}  // namespace hearth::logs
