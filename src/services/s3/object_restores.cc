#include "services/s3/object_restores.h"

#include "codec/crypto/crypto.h"
#include "codec/json/json.h"
#include "flow/schedule.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_rules.h"
#include "services/s3/value_or_empty.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::s3 {
namespace {

using storage::Transaction;

constexpr char kTimerKind[] = "s3-restore";
constexpr int kAccepted = 202;
constexpr int32_t kDaysMax = 30'000;
constexpr int kAttemptsMax = 5;
// In place of days: the timer is for the end of what was restored.
constexpr int32_t kEnd = -1;

Error NotRestorable(std::string_view storage_class) {
    return Error(
               Error::Kind::kDenied,
               "InvalidObjectState",
               "Restore is not allowed for the object's current storage class",
               403)
        .WithField("StorageClass", std::string(storage_class));
}

// What a restore under way must do when its time has come.
struct PendingRestore {
    std::string bucket;
    int64_t bucket_id = 0;
    std::string key;
    std::string version_id;
    int64_t sequence = 0;
    int32_t days = 0;

    std::string Encode() const {
        codec::JsonWriter writer;
        writer.BeginArray();
        writer.String(bucket);
        writer.Int(bucket_id);
        writer.String(key);
        writer.String(version_id);
        writer.Int(sequence);
        writer.Int(days);
        writer.EndArray();
        return writer.Take();
    }

    static Result<PendingRestore> Decode(std::string_view bytes) {
        const auto json = codec::ParseJson(bytes);
        const codec::Json::Array* list = json.ok() ? json->AsArray() : nullptr;
        if (list == nullptr || list->size() < 6 || (*list)[0].AsString() == nullptr ||
            (*list)[1].AsInt() == nullptr || (*list)[2].AsString() == nullptr ||
            (*list)[3].AsString() == nullptr || (*list)[4].AsInt() == nullptr ||
            (*list)[5].AsInt() == nullptr) {
            return ::hearth::errors::Internal("the timer of a restore is damaged");
        }
        return PendingRestore{
            *(*list)[0].AsString(),
            *(*list)[1].AsInt(),
            *(*list)[2].AsString(),
            *(*list)[3].AsString(),
            *(*list)[4].AsInt(),
            static_cast<int32_t>(*(*list)[5].AsInt())};
    }

    // Keys of objects may be longer than those of timers.
    std::string TimerKey() const {
        return fmt::format("{}/{}", bucket_id, codec::Sha256Hex(key + '\0' + version_id));
    }
};

// The archive an object is in, by class or by tier; empty: it can be read as it is.
std::string_view ArchiveOf(const ObjectRecord& record) {
    if (record.storage_class == "GLACIER" || record.tier == "ARCHIVE") {
        return "GLACIER";
    }
    if (record.storage_class == "DEEP_ARCHIVE" || record.tier == "DEEP_ARCHIVE") {
        return "DEEP_ARCHIVE";
    }
    return {};
}

bool IsTiered(const ObjectRecord& record) {
    return record.storage_class == "INTELLIGENT_TIERING";
}

WallClock::time_point EndOf(CloudClock::time_point now, int32_t days) {
    return WallClock::time_point(LifecycleMidnight(now, days).time_since_epoch());
}

// What one request means for the version as it is.
struct Plan {
    bool extends = false;
    std::chrono::minutes takes{0};
};

Result<Plan> Decide(
    const ObjectRecord& record,
    const model::RestoreRequest& request,
    std::string_view tier,
    CloudClock::time_point now) {
    const std::string_view archive = ArchiveOf(record);
    if (archive.empty()) {
        return NotRestorable(record.storage_class);
    }
    if (IsTiered(record) && request.days) {
        return errors::InvalidArgument(
            "Days cannot be specified for objects in the Intelligent-Tiering storage class",
            "Days",
            std::to_string(*request.days));
    }
    if (!IsTiered(record) && (!request.days || *request.days < 1 || *request.days > kDaysMax)) {
        return request.days ? errors::InvalidArgument(
                                  "restoration days should be at least 1",
                                  "Days",
                                  std::to_string(*request.days))
                            : errors::MalformedXml();
    }
    if (record.restore_ongoing) {
        return Error(
            Error::Kind::kConflict,
            "RestoreAlreadyInProgress",
            "Object restore is already in progress",
            409);
    }
    Plan plan;
    plan.extends = record.restored_until && UnixMs(*record.restored_until) > UnixMs(now);
    const auto takes = RestoreTime(archive, tier);
    if (!takes) {
        return errors::InvalidArgument(
            fmt::format("{} retrieval is not available for this storage class", tier),
            "Tier",
            tier);
    }
    plan.takes = *takes;
    return plan;
}

}  // namespace

std::optional<std::chrono::minutes> RestoreTime(std::string_view archive, std::string_view tier) {
    using std::chrono::hours;
    using std::chrono::minutes;
    const bool deep = archive == "DEEP_ARCHIVE";
    if (tier == "Expedited") {
        return deep ? std::nullopt : std::optional<minutes>(5);
    }
    if (tier == "Standard") {
        return deep ? hours(12) : hours(5);
    }
    if (tier == "Bulk") {
        return deep ? hours(48) : hours(12);
    }
    return std::nullopt;
}

ObjectRestores::ObjectRestores(
    const ServiceDeps& deps, S3Store& store, BodyMoves& moves, Notifications& notifications)
    : deps_(deps), store_(store), moves_(moves), notifications_(notifications) {
    deps_.schedule.Register(
        kTimerKind, [this](const flow::DueTimer& timer) { return Finish(timer); });
}

void ObjectRestores::AddTo(aws::OperationTable& table) {
    table.Add<model::RestoreObject>(this, &ObjectRestores::RestoreObject);
}

Task<Result<model::RestoreObject::Output>> ObjectRestores::RestoreObject(
    aws::RequestContext& context, model::RestoreObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket, co_await store_.FindBucket(ValueOrEmpty(input.bucket)));
    if (input.expected_bucket_owner &&
        *input.expected_bucket_owner != bucket->record.account.text()) {
        co_return errors::AccessDenied();
    }
    const model::RestoreRequest request = ValueOrEmpty(std::move(input.restore_request));
    if (request.type || request.select_parameters || request.output_location) {
        co_return errors::NotImplemented("Restoring with SELECT is not implemented.", "Type");
    }
    std::string tier = "Standard";
    if (request.tier) {
        tier = *request.tier;
    } else if (request.glacier_job_parameters && request.glacier_job_parameters->tier) {
        tier = *request.glacier_job_parameters->tier;
    }
    const std::string key = ValueOrEmpty(input.key);
    const CloudClock::time_point now = deps_.cloud_clock.Now();
    std::optional<CloudClock::time_point> due;
    Announcement announcement = notifications_.Announce(*bucket, &context);
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        due.reset();
        announcement.Begin();
        HEARTH_CO_TRY(
            const BucketRecord known, co_await store_.ReadBucket(transaction, bucket->record));
        HEARTH_CO_TRY(
            S3Store::Located found,
            co_await store_.FindObject(transaction, known, key, input.version_id));
        ObjectRecord& record = found.record;
        HEARTH_CO_TRY(const Plan plan, Decide(record, request, tier, now));
        if (plan.extends) {
            record.restored_until = EndOf(now, request.days.value_or(0));
            S3Store::Store(transaction, known, found);
            co_return Status();
        }
        record.restore_ongoing = true;
        record.restored_until.reset();
        S3Store::Store(transaction, known, found);
        const PendingRestore pending{
            known.name,
            known.id,
            key,
            record.version_id,
            record.sequence,
            request.days.value_or(0)};
        due = now + plan.takes;
        HEARTH_CO_RETURN_IF_ERROR(
            announcement.Add(transaction, NotificationEvent::kRestorePost, record));
        co_return co_await deps_.schedule.Put(
            transaction, {kTimerKind, pending.TimerKey(), *due, pending.Encode()});
    };
    const Status committed = co_await store_.kv().Transact(body);
    announcement.End(committed);
    HEARTH_CO_RETURN_IF_ERROR(committed);
    if (due) {
        deps_.schedule.Arm(*due);
        context.response_status = kAccepted;
    }
    co_return model::RestoreObject::Output();
}

Task<Status> ObjectRestores::Finish(const flow::DueTimer& timer) {
    HEARTH_CO_TRY(const PendingRestore pending, PendingRestore::Decode(timer.payload));
    const CloudClock::time_point now = deps_.cloud_clock.Now();
    const auto bucket = co_await store_.FindBucket(pending.bucket);
    if (!bucket.ok() || (*bucket)->record.id != pending.bucket_id) {
        co_return bucket.ok() || bucket.error().code() == "NoSuchBucket" ? Status()
                                                                         : bucket.error();
    }
    // A timer that fires again, after a crash, finds its work done and goes on to the next step.
    std::optional<CloudClock::time_point> ends;
    // What the change is, for who wants to know.
    std::optional<NotificationEvent> event;
    std::optional<WallClock::time_point> restored_until;
    const auto change = [&](ObjectRecord& record) -> Status {
        ends.reset();
        event.reset();
        if (record.sequence != pending.sequence) {
            return errors::NoSuchKey(pending.key);
        }
        if (record.restore_ongoing && pending.days != kEnd) {
            record.restore_ongoing = false;
            event = NotificationEvent::kRestoreCompleted;
            if (IsTiered(record)) {
                // Back to where it is read often.
                record.tier.clear();
                record.accessed_cloud_ms = UnixMs(now);
            } else {
                record.restored_until = EndOf(now, pending.days);
            }
        }
        if (record.restored_until) {
            ends = CloudClock::time_point(record.restored_until->time_since_epoch());
            restored_until = record.restored_until;
            if (*ends <= now) {
                if (!event) {
                    event = NotificationEvent::kRestoreDelete;
                }
                record.restored_until.reset();
                ends.reset();
            }
        }
        return Status();
    };
    Announcement announcement = notifications_.Announce(**bucket, nullptr);
    const BodyMoves::Within tell = [&](Transaction& transaction,
                                       const ObjectRecord& record) -> Status {
        announcement.Begin();
        return event ? announcement.Add(transaction, *event, record, restored_until) : Status();
    };
    Status done;
    for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
        const auto found = co_await store_.FindObject(
            (*bucket)->record, pending.key, std::optional<std::string>(pending.version_id));
        if (!found.ok()) {
            done = found.error();
            break;
        }
        const ObjectRecord& record = found->record;
        if (record.sequence != pending.sequence) {
            co_return Status();
        }
        if (!record.restore_ongoing || pending.days == kEnd) {
            done = co_await moves_.Update((*bucket)->record, record, change, tell);
        } else if (IsTiered(record)) {
            done = co_await moves_.Move(
                (*bucket)->record, record, storage::BodyTier::kStandard, change, tell);
        } else {
            done = co_await moves_.Restore((*bucket)->record, record, change, tell);
        }
        announcement.End(done);
        // Its bytes were moved while they were copied.
        if (done.ok() || done.error().code() != storage::kBodyGone) {
            break;
        }
    }
    if (!done.ok()) {
        const std::string& code = done.error().code();
        co_return code == "NoSuchBucket" || code == "NoSuchKey" || code == "NoSuchVersion" ||
                code == "MethodNotAllowed"
            ? Status()
            : done;
    }
    if (ends) {
        PendingRestore end = pending;
        end.days = kEnd;
        co_return co_await deps_.schedule.PutAlone(
            {kTimerKind, end.TimerKey() + "/end", *ends, end.Encode()});
    }
    co_return Status();
}

}  // namespace hearth::s3
