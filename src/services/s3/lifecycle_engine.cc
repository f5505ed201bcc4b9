#include "services/s3/lifecycle_engine.h"

#include "base/log.h"
#include "flow/schedule.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_headers.h"
#include "services/s3/object_lock.h"
#include "services/s3/s3_keys.h"
#include "services/s3/storage_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace hearth::s3 {
namespace {

using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;

constexpr char kTimerKind[] = "s3-lifecycle";
constexpr size_t kUploadsPerPage = 256;
// Each is a few keys, and a record twice; far below what a transaction holds.
constexpr size_t kDoneAtOnce = 64;
constexpr std::string_view kTiered = "INTELLIGENT_TIERING";
constexpr std::chrono::days kAccessesApart{1};

std::string TimerKey(const BucketRecord& bucket) {
    return fmt::format("{}/{}/{}", bucket.account.text(), bucket.region.text(), bucket.id);
}

// Strictly after `now`.
CloudClock::time_point NextMidnight(CloudClock::time_point now) {
    return CloudClock::time_point(
        (std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1)).time_since_epoch());
}

// What a change of the world meanwhile makes of an action: nothing to do.
bool IsOutOfDate(const Error& error) {
    return error.code() == "NoSuchBucket" || error.code() == "NoSuchKey" ||
           error.code() == "NoSuchVersion" || error.code() == "MethodNotAllowed" ||
           error.code() == "AccessDenied" || error.code() == storage::kBodyGone;
}

// What stands in the way of one version's bytes, and of no other's.
bool IsOfOneBody(const Error& error) {
    return error.code() == storage::kDiskFull || error.code() == storage::kBodyDamaged;
}

// The last write, read or restore.
CloudClock::time_point TouchedAt(const ObjectRecord& record) {
    return CloudClock::time_point(
        CloudClock::duration(std::max(record.modified_cloud_ms, record.accessed_cloud_ms)));
}

Error NoLongerDue() {
    return errors::NoSuchKey("");
}

}  // namespace

// A version that goes for good.
struct LifecycleEngine::Removal {
    ObjectRecord record;
    bool is_current = false;
};

// One run over one bucket.
struct LifecycleEngine::Run {
    BucketHandle bucket;
    const LifecycleRules& rules;
    CloudClock::time_point now;
    // Versions of INTELLIGENT_TIERING that were met: the bucket needs another run tomorrow.
    mutable uint64_t tiered = 0;
    // Current versions that are due and not yet expired; they go together.
    mutable std::vector<ObjectRecord> expiring;
    // Likewise noncurrent versions, and markers.
    mutable std::vector<Removal> removing;
};

LifecycleEngine::LifecycleEngine(
    const ServiceDeps& deps,
    S3Store& store,
    UploadStore& uploads,
    PartRemoval& part_removal,
    BodyMoves& moves,
    Notifications& notifications)
    : deps_(deps),
      store_(store),
      uploads_(uploads),
      part_removal_(part_removal),
      moves_(moves),
      notifications_(notifications) {
    deps_.schedule.Register(
        kTimerKind, [this](const flow::DueTimer& timer) { return Fire(timer); });
}

Task<Result<CloudClock::time_point>> LifecycleEngine::ScheduleIn(
    Transaction& transaction, const BucketRecord& bucket) {
    const CloudClock::time_point due = NextMidnight(deps_.cloud_clock.Now());
    const flow::DueTimer timer{kTimerKind, TimerKey(bucket), due, bucket.name};
    HEARTH_CO_RETURN_IF_ERROR(co_await deps_.schedule.Put(transaction, timer));
    co_return due;
}

void LifecycleEngine::Arm(CloudClock::time_point due) {
    deps_.schedule.Arm(due);
}

Task<Status> LifecycleEngine::Fire(const flow::DueTimer& timer) {
    const flow::DueTimer due = timer;
    auto bucket = co_await store_.FindBucket(due.payload);
    if (!bucket.ok()) {
        if (bucket.error().code() == "NoSuchBucket") {
            co_return Status();
        }
        co_return std::move(bucket).error();
    }
    // The bucket of this timer is gone, or what it was put for.
    const auto rules = (*bucket)->compiled.lifecycle;
    if (TimerKey((*bucket)->record) != due.key) {
        co_return Status();
    }
    const LifecycleRules none({}, false);
    const Run run{
        .bucket = *bucket,
        .rules = rules == nullptr ? none : *rules,
        .now = deps_.cloud_clock.Now()};
    HEARTH_CO_RETURN_IF_ERROR(co_await WalkCurrent(run));
    HEARTH_CO_RETURN_IF_ERROR(co_await WalkVersions(run));
    if (run.rules.looks_at_uploads()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await WalkUploads(run));
    }
    if (stopping_) {
        co_return ::hearth::errors::Unavailable("stopping; the run goes on after the next start");
    }
    if (!run.rules.any_enabled() && run.tiered == 0) {
        // What comes later puts the timer again.
        const std::lock_guard lock(mutex_);
        tiered_.erase((*bucket)->record.id);
        co_return Status();
    }
    std::optional<CloudClock::time_point> next;
    const S3Store::Change again = [&](Transaction& transaction,
                                      BucketRecord& record) -> Task<Status> {
        HEARTH_CO_TRY(next, co_await ScheduleIn(transaction, record));
        co_return Status();
    };
    const Status put = co_await store_.ChangeBucket((*bucket)->record, again);
    if (!put.ok()) {
        if (put.error().code() == "NoSuchBucket") {
            co_return Status();
        }
        co_return put.error();
    }
    Arm(*next);
    co_return Status();
}

Task<Status> LifecycleEngine::WalkCurrent(const Run& run) {
    const BucketRecord& bucket = run.bucket->record;
    std::optional<RangeRequest> request = keys::All(bucket, "o");
    while (request && !stopping_) {
        const RangeRequest asked = *request;
        HEARTH_CO_TRY(RangePage page, co_await store_.kv().Range(asked));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(auto parsed, keys::ParseCurrent(bucket, item.key));
            HEARTH_CO_TRY(
                const ObjectRecord record, ObjectRecord::Decode(std::move(parsed.key), item.value));
            HEARTH_CO_RETURN_IF_ERROR(co_await Act(run, LifecycleViewOf(record), record));
        }
        if (page.next) {
            request->begin = *std::move(page.next);
        } else {
            request.reset();
        }
    }
    const Status expired = co_await ExpireDue(run);
    co_return expired.ok() || IsOutOfDate(expired.error()) ? Status() : expired;
}

// Versions of a key come newest first, so what took a version's place was seen just before it: the
// current one, or another in this table.
Task<Status> LifecycleEngine::WalkVersions(const Run& run) {
    const BucketRecord& bucket = run.bucket->record;
    std::string key;
    bool any = false;
    int64_t newer_since_ms = 0;
    int32_t newer_noncurrent = 0;
    // A marker that hides its key; it may go once it is known to be the key's only version.
    std::optional<ObjectRecord> marker;
    const auto settle_marker = [&]() -> std::optional<ObjectRecord> {
        return std::exchange(marker, std::nullopt);
    };
    std::optional<RangeRequest> request = keys::All(bucket, "v");
    while (request && !stopping_) {
        const RangeRequest asked = *request;
        HEARTH_CO_TRY(RangePage page, co_await store_.kv().Range(asked));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(auto parsed, keys::ParseVersion(bucket, item.key));
            const bool first = !any || parsed.key != key;
            if (first) {
                if (const auto alone = settle_marker()) {
                    LifecycleObject object = LifecycleViewOf(*alone);
                    object.only_version = true;
                    HEARTH_CO_RETURN_IF_ERROR(co_await Act(run, object, *alone));
                }
                any = true;
                key = parsed.key;
                newer_noncurrent = 0;
            } else {
                marker.reset();
            }
            HEARTH_CO_TRY(ObjectRecord record, ObjectRecord::Decode(key, item.value));
            bool is_current = false;
            if (first) {
                HEARTH_CO_TRY(const auto current, co_await store_.FindCurrent(bucket, key));
                is_current = current && current->record.sequence == record.sequence;
                newer_since_ms = current ? current->record.modified_cloud_ms : 0;
            }
            const int64_t own_ms = record.modified_cloud_ms;
            if (is_current) {
                if (record.delete_marker) {
                    marker = std::move(record);
                }
            } else {
                LifecycleObject object = LifecycleViewOf(record);
                object.is_current = false;
                object.noncurrent_since =
                    CloudClock::time_point(CloudClock::duration(newer_since_ms));
                object.newer_noncurrent = newer_noncurrent++;
                HEARTH_CO_RETURN_IF_ERROR(co_await Act(run, object, record));
            }
            newer_since_ms = own_ms;
        }
        if (page.next) {
            request->begin = *std::move(page.next);
        } else {
            request.reset();
        }
    }
    if (const auto alone = settle_marker(); alone && !stopping_) {
        LifecycleObject object = LifecycleViewOf(*alone);
        object.only_version = true;
        HEARTH_CO_RETURN_IF_ERROR(co_await Act(run, object, *alone));
    }
    const Status removed = co_await RemoveDue(run);
    co_return removed.ok() || IsOutOfDate(removed.error()) ? Status() : removed;
}

Task<Status> LifecycleEngine::WalkUploads(const Run& run) {
    const auto entries = uploads_.Entries(run.bucket->record);
    ListPosition position;
    while (!stopping_) {
        HEARTH_CO_TRY(
            const EntryPage page, co_await entries->From(position, std::string(), kUploadsPerPage));
        for (const ListEntry& entry : page.entries) {
            HEARTH_CO_TRY(
                const UploadRecord upload,
                UploadRecord::Decode(entry.key, entry.within, entry.value));
            const auto abort = run.rules.AbortAt(
                entry.key, CloudClock::time_point(CloudClock::duration(upload.initiated_cloud_ms)));
            if (abort && abort->at <= run.now) {
                HEARTH_CO_RETURN_IF_ERROR(co_await Abort(run, entry.key, entry.within));
            }
        }
        if (page.at_end || page.entries.empty()) {
            break;
        }
        position = AfterEntry(page.entries.back().key, page.entries.back().within);
    }
    co_return Status();
}

Task<Status> LifecycleEngine::Act(
    const Run& run, const LifecycleObject& object, const ObjectRecord& record) {
    Status done;
    if (record.storage_class == kTiered && !record.delete_marker) {
        ++run.tiered;
    }
    switch (run.rules.Decide(object, run.now).action) {
        case LifecycleAction::kNothing:
            if (record.storage_class == kTiered && !record.delete_marker) {
                done = co_await MoveTier(run, record);
            } else if (IsOutOfPlace(record)) {
                done = co_await MoveBytes(run, record);
            }
            break;
        case LifecycleAction::kExpire:
            run.expiring.push_back(record);
            if (run.expiring.size() < kDoneAtOnce) {
                co_return Status();
            }
            done = co_await ExpireDue(run);
            break;
        case LifecycleAction::kRemoveMarker:
        case LifecycleAction::kRemoveNoncurrent:
            run.removing.push_back({record, object.is_current});
            if (run.removing.size() < kDoneAtOnce) {
                co_return Status();
            }
            done = co_await RemoveDue(run);
            break;
        case LifecycleAction::kTransition:
            done = co_await Move(run, object, record);
            break;
    }
    if (!done.ok() && IsOfOneBody(done.error())) {
        log::Warn(
            "s3: {}/{} stays where it is: {}",
            run.bucket->record.name,
            record.key,
            done.error().message());
        co_return Status();
    }
    if (!done.ok() && !IsOutOfDate(done.error())) {
        co_return done.error();
    }
    co_return Status();
}

Task<Status> LifecycleEngine::ExpireDue(const Run& run) {
    const std::vector<ObjectRecord> due = std::exchange(run.expiring, {});
    if (due.empty()) {
        co_return Status();
    }
    const Status together = co_await Expire(run, due);
    if (together.ok() || together.error().code() != "Conflict") {
        co_return together;
    }
    // Somebody keeps writing one of them.
    for (const ObjectRecord& record : due) {
        const Status alone = co_await Expire(run, {record});
        if (!alone.ok() && alone.error().code() != "Conflict") {
            co_return alone;
        }
    }
    co_return Status();
}

Task<Status> LifecycleEngine::Expire(const Run& run, std::vector<ObjectRecord> records) {
    const BucketRecord& bucket = run.bucket->record;
    std::vector<ObjectRecord> markers;
    for (const ObjectRecord& record : records) {
        ObjectRecord marker;
        marker.key = record.key;
        marker.modified = deps_.wall_clock.Now();
        marker.modified_cloud_ms = UnixMs(run.now);
        marker.unique = store_.Unique();
        markers.push_back(std::move(marker));
    }
    std::vector<ObjectRecord> displaced;
    Announcement announcement = notifications_.Announce(*run.bucket, nullptr);
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        displaced.clear();
        announcement.Begin();
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        for (size_t i = 0; i < records.size(); ++i) {
            const S3Store::Check still_due = [&](const ObjectRecord* current) -> Status {
                if (current == nullptr || current->sequence != records[i].sequence ||
                    run.rules.Decide(LifecycleViewOf(*current), run.now).action !=
                        LifecycleAction::kExpire) {
                    return NoLongerDue();
                }
                return Status();
            };
            auto written = co_await store_.Delete(transaction, now, markers[i], still_due);
            if (written.ok()) {
                if (written->record.delete_marker) {
                    HEARTH_CO_RETURN_IF_ERROR(announcement.Add(
                        transaction,
                        NotificationEvent::kLifecycleExpirationDeleteMarkerCreated,
                        written->record));
                } else if (!written->displaced.empty()) {
                    HEARTH_CO_RETURN_IF_ERROR(announcement.Add(
                        transaction,
                        NotificationEvent::kLifecycleExpirationDelete,
                        written->displaced.front()));
                }
                std::move(
                    written->displaced.begin(),
                    written->displaced.end(),
                    std::back_inserter(displaced));
            } else if (!IsOutOfDate(written.error())) {
                co_return std::move(written).error();
            }
        }
        co_return Status();
    };
    const Status committed = co_await store_.kv().Transact(body);
    announcement.End(committed);
    HEARTH_CO_RETURN_IF_ERROR(committed);
    co_await store_.Release(bucket, std::move(displaced));
    co_return Status();
}

Task<Status> LifecycleEngine::RemoveDue(const Run& run) {
    const std::vector<Removal> due = std::exchange(run.removing, {});
    if (due.empty()) {
        co_return Status();
    }
    const Status together = co_await Remove(run, due);
    if (together.ok() || together.error().code() != "Conflict") {
        co_return together;
    }
    for (const Removal& removal : due) {
        const Status alone = co_await Remove(run, {removal});
        if (!alone.ok() && alone.error().code() != "Conflict") {
            co_return alone;
        }
    }
    co_return Status();
}

Task<Status> LifecycleEngine::Remove(const Run& run, std::vector<Removal> removals) {
    const BucketRecord& bucket = run.bucket->record;
    std::vector<ObjectRecord> displaced;
    Announcement announcement = notifications_.Announce(*run.bucket, nullptr);
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        displaced.clear();
        announcement.Begin();
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        for (const Removal& removal : removals) {
            const Status removed =
                co_await RemoveIn(transaction, now, run, removal, displaced, announcement);
            if (!removed.ok() && !IsOutOfDate(removed.error())) {
                co_return removed;
            }
        }
        co_return Status();
    };
    const Status committed = co_await store_.kv().Transact(body);
    announcement.End(committed);
    HEARTH_CO_RETURN_IF_ERROR(committed);
    co_await store_.Release(bucket, std::move(displaced));
    co_return Status();
}

// Out of date: nothing was written.
Task<Status> LifecycleEngine::RemoveIn(
    Transaction& transaction,
    const BucketRecord& bucket,
    const Run& run,
    const Removal& removal,
    std::vector<ObjectRecord>& displaced,
    Announcement& announcement) {
    const ObjectRecord& record = removal.record;
    const S3Store::Check allowed = [&](const ObjectRecord* version) -> Status {
        if (version == nullptr || version->sequence != record.sequence) {
            return NoLongerDue();
        }
        return version->delete_marker
                   ? Status()
                   : MayDeleteVersion(version->retention, version->legal_hold, false, run.now);
    };
    if (removal.is_current) {
        // A marker goes only while it is alone.
        RangeRequest versions = keys::VersionsOf(bucket, record.key);
        versions.limit = 2;
        HEARTH_CO_TRY(const RangePage page, co_await transaction.Range(versions));
        if (page.items.size() != 1) {
            co_return NoLongerDue();
        }
    } else {
        // What was noncurrent may have become the newest again.
        HEARTH_CO_TRY(
            const auto current, co_await store_.FindCurrent(transaction, bucket, record.key));
        if (!current || current->record.sequence == record.sequence) {
            co_return NoLongerDue();
        }
    }
    HEARTH_CO_TRY(
        auto written,
        co_await store_.DeleteVersion(transaction, bucket, record.key, record.version_id, allowed));
    if (written) {
        HEARTH_CO_RETURN_IF_ERROR(announcement.Add(
            transaction, NotificationEvent::kLifecycleExpirationDelete, written->record));
        std::move(
            written->displaced.begin(), written->displaced.end(), std::back_inserter(displaced));
    }
    co_return Status();
}

Task<Status> LifecycleEngine::Move(
    const Run& run, const LifecycleObject& object, const ObjectRecord& record) {
    const auto change = [&](ObjectRecord& version) -> Status {
        if (version.sequence != record.sequence) {
            return NoLongerDue();
        }
        LifecycleObject now = LifecycleViewOf(version);
        now.is_current = object.is_current;
        now.noncurrent_since = object.noncurrent_since;
        now.newer_noncurrent = object.newer_noncurrent;
        const LifecycleDecision decision = run.rules.Decide(now, run.now);
        if (decision.action != LifecycleAction::kTransition) {
            return NoLongerDue();
        }
        version.storage_class = std::string(decision.storage_class);
        if (version.storage_class == kTiered) {
            // Watched from now on.
            version.accessed_cloud_ms = UnixMs(run.now);
        }
        version.tier.clear();
        version.restored_until.reset();
        version.restore_ongoing = false;
        return Status();
    };
    const LifecycleDecision decision = run.rules.Decide(object, run.now);
    co_return co_await MoveAndTell(
        run,
        record,
        PlaceOf(decision.storage_class),
        change,
        NotificationEvent::kLifecycleTransition);
}

Task<Status> LifecycleEngine::MoveAndTell(
    const Run& run,
    const ObjectRecord& record,
    storage::BodyTier place,
    BodyMoves::Change change,
    NotificationEvent event) {
    Announcement announcement = notifications_.Announce(*run.bucket, nullptr);
    const BodyMoves::Within tell = [&](Transaction& transaction,
                                       const ObjectRecord& changed) -> Status {
        announcement.Begin();
        return announcement.Add(transaction, event, changed);
    };
    const Status moved =
        co_await moves_.Move(run.bucket->record, record, place, std::move(change), tell);
    announcement.End(moved);
    co_return moved;
}

Task<Status> LifecycleEngine::MoveTier(const Run& run, const ObjectRecord& record) {
    const auto& tiering = run.bucket->compiled.tiering;
    const auto wanted = [&](const ObjectRecord& version) {
        const TieringRule* rule =
            tiering == nullptr ? nullptr : tiering->Find(version.key, version.tags);
        return TierOf(version.size, TouchedAt(version), rule, run.now);
    };
    const std::string_view to = wanted(record);
    if (TierRank(to) <= TierRank(record.tier)) {
        // What was read since it became infrequent comes back.
        if (IsOutOfPlace(record)) {
            co_return co_await MoveBytes(run, record);
        }
        co_return Status();
    }
    const auto change = [&](ObjectRecord& version) -> Status {
        const std::string_view tier = wanted(version);
        if (version.sequence != record.sequence || version.storage_class != kTiered ||
            version.restore_ongoing || TierRank(tier) <= TierRank(version.tier)) {
            return NoLongerDue();
        }
        version.tier = std::string(tier);
        return Status();
    };
    if (TierRank(to) < TierRank("ARCHIVE")) {
        // AWS tells of the archive tiers alone.
        co_return co_await moves_.Move(run.bucket->record, record, PlaceOf(kTiered, to), change);
    }
    co_return co_await MoveAndTell(
        run, record, PlaceOf(kTiered, to), change, NotificationEvent::kIntelligentTiering);
}

Task<Status> LifecycleEngine::MoveBytes(const Run& run, const ObjectRecord& record) {
    const storage::BodyTier place = PlaceOf(record);
    const auto change = [&](ObjectRecord& version) -> Status {
        return version.sequence == record.sequence && PlaceOf(version) == place
                   ? Status()
                   : Status(NoLongerDue());
    };
    co_return co_await moves_.Move(run.bucket->record, record, place, change);
}

Task<Status> LifecycleEngine::BeforeWrite(
    const BucketRecord& bucket, std::string_view storage_class) {
    if (storage_class != kTiered) {
        co_return Status();
    }
    {
        const std::lock_guard lock(mutex_);
        if (!tiered_.insert(bucket.id).second) {
            co_return Status();
        }
    }
    CloudClock::time_point due;
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        HEARTH_CO_TRY(due, co_await ScheduleIn(transaction, now));
        co_return Status();
    };
    if (const Status put = co_await store_.kv().Transact(body); !put.ok()) {
        const std::lock_guard lock(mutex_);
        tiered_.erase(bucket.id);
        co_return put.error();
    }
    Arm(due);
    co_return Status();
}

Task<void> LifecycleEngine::Accessed(const BucketRecord& bucket, const ObjectRecord& record) {
    if (record.storage_class != kTiered) {
        co_return;
    }
    const CloudClock::time_point now = deps_.cloud_clock.Now();
    if (record.tier.empty() && now - TouchedAt(record) < kAccessesApart) {
        co_return;
    }
    const auto change = [&](ObjectRecord& version) -> Status {
        if (version.sequence != record.sequence) {
            return NoLongerDue();
        }
        version.accessed_cloud_ms = UnixMs(now);
        // The archive tiers are left by a restore alone.
        if (version.tier == "INFREQUENT" || version.tier == "ARCHIVE_INSTANT") {
            version.tier.clear();
        }
        return Status();
    };
    const auto done = co_await store_.UpdateObject(bucket, record.key, record.version_id, change);
    if (!done.ok() && !IsOutOfDate(done.error())) {
        log::Warn("an access to {} was not noted: {}", bucket.name, done.error().message());
    }
}

Task<Status> LifecycleEngine::Abort(
    const Run& run, const std::string& key, const std::string& upload_id) {
    const BucketRecord& bucket = run.bucket->record;
    std::optional<std::string> parts_id;
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        parts_id.reset();
        HEARTH_CO_TRY(
            const auto upload, co_await uploads_.Find(transaction, bucket, key, upload_id));
        if (upload) {
            parts_id = upload->parts_id;
            UploadStore::Delete(transaction, bucket, key, upload_id);
            part_removal_.Drop(transaction, bucket, *parts_id);
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Transact(body));
    if (parts_id) {
        co_await part_removal_.Remove(bucket, *parts_id);
    }
    co_return Status();
}

}  // namespace hearth::s3
