#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/names.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"

#include <algorithm>

// DeleteObject and DeleteObjects.
namespace hearth::s3 {
namespace {

// One key to delete, and what became of it.
struct Deletion {
    std::string key;
    std::optional<std::string> version_id;
    std::optional<std::string> if_match;
    std::optional<uint64_t> if_size;
    std::optional<WallClock::time_point> if_modified;
    std::string unique;

    // After the transaction.
    std::optional<Error> error;
    bool delete_marker = false;
    std::optional<std::string> shown_version;
};

// If-Match and its like of deletions; `current` null: no object.
Status DecideDelete(const Deletion& deletion, const ObjectRecord* current) {
    if (deletion.if_match && *deletion.if_match != "*") {
        if (current == nullptr) {
            return errors::NoSuchKey(deletion.key);
        }
        if (current->delete_marker || !EtagMatches(*deletion.if_match, current->etag)) {
            return errors::PreconditionFailed("If-Match");
        }
    } else if (deletion.if_match && current == nullptr) {
        return errors::PreconditionFailed("If-Match");
    }
    if (current != nullptr && deletion.if_size && *deletion.if_size != current->size) {
        return errors::PreconditionFailed("x-amz-if-match-size");
    }
    if (current != nullptr && deletion.if_modified &&
        std::chrono::floor<std::chrono::seconds>(*deletion.if_modified) !=
            std::chrono::floor<std::chrono::seconds>(current->modified)) {
        return errors::PreconditionFailed("x-amz-if-match-last-modified-time");
    }
    return Status();
}

struct DeleteContext {
    WallClock::time_point now;
    CloudClock::time_point cloud_now;
    bool bypass_governance = false;
};

// One deletion within a transaction; fills what became of it. Errors of its own are returned;
// those of the store, too.
Task<Status> DeleteOne(
    S3Store& store,
    storage::Transaction& transaction,
    const BucketRecord& bucket,
    const DeleteContext& context,
    Deletion& deletion,
    std::vector<ObjectRecord>& displaced,
    Announcement& announcement) {
    deletion.delete_marker = false;
    deletion.shown_version.reset();
    if (!deletion.version_id) {
        ObjectRecord marker;
        marker.key = deletion.key;
        marker.modified = context.now;
        marker.modified_cloud_ms = UnixMs(context.cloud_now);
        marker.unique = deletion.unique;
        const S3Store::Check check = [&](const ObjectRecord* current) {
            return DecideDelete(deletion, current);
        };
        HEARTH_CO_TRY(
            S3Store::Written written,
            co_await store.Delete(transaction, bucket, std::move(marker), check));
        if (written.record.delete_marker) {
            deletion.delete_marker = true;
            deletion.shown_version = written.record.version_id;
            HEARTH_CO_RETURN_IF_ERROR(announcement.Add(
                transaction, NotificationEvent::kRemovedDeleteMarkerCreated, written.record));
        } else if (!written.displaced.empty()) {
            // Of a key that was not there nothing is told.
            HEARTH_CO_RETURN_IF_ERROR(announcement.Add(
                transaction, NotificationEvent::kRemovedDelete, written.displaced.front()));
        }
        std::move(
            written.displaced.begin(), written.displaced.end(), std::back_inserter(displaced));
        co_return Status();
    }
    const S3Store::Check check = [&](const ObjectRecord* version) -> Status {
        HEARTH_RETURN_IF_ERROR(DecideDelete(deletion, version));
        if (version != nullptr && !version->delete_marker) {
            return MayDeleteVersion(
                version->retention,
                version->legal_hold,
                context.bypass_governance,
                context.cloud_now);
        }
        return Status();
    };
    HEARTH_CO_TRY(
        auto written,
        co_await store.DeleteVersion(
            transaction, bucket, deletion.key, *deletion.version_id, check));
    if (bucket.versioning != Versioning::kNever) {
        deletion.shown_version = *deletion.version_id;
    }
    if (written) {
        deletion.delete_marker = written->record.delete_marker;
        HEARTH_CO_RETURN_IF_ERROR(
            announcement.Add(transaction, NotificationEvent::kRemovedDelete, written->record));
        std::move(
            written->displaced.begin(), written->displaced.end(), std::back_inserter(displaced));
    }
    co_return Status();
}

}  // namespace

Task<Result<model::DeleteObject::Output>> S3Service::DeleteObject(
    aws::RequestContext& context, model::DeleteObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    Deletion deletion;
    deletion.key = input.key.value_or(std::string());
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(deletion.key));
    deletion.version_id = input.version_id;
    deletion.if_match = input.if_match;
    if (input.if_match_size) {
        deletion.if_size = static_cast<uint64_t>(*input.if_match_size);
    }
    deletion.if_modified = input.if_match_last_modified_time;
    deletion.unique = store_.Unique();
    if (input.mfa) {
        co_return errors::NotImplemented("Hearth does not have MFA delete.", "x-amz-mfa");
    }
    const DeleteContext how{
        .now = context.now,
        .cloud_now = deps_.cloud_clock.Now(),
        .bypass_governance = input.bypass_governance_retention.value_or(false)};
    std::vector<ObjectRecord> displaced;
    Announcement announcement = notifications_.Announce(*bucket, &context);
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        displaced.clear();
        announcement.Begin();
        HEARTH_CO_TRY(
            const BucketRecord now, co_await store_.ReadBucket(transaction, bucket->record));
        co_return co_await DeleteOne(
            store_, transaction, now, how, deletion, displaced, announcement);
    };
    const Status committed = co_await Transact(body);
    announcement.End(committed);
    HEARTH_CO_RETURN_IF_ERROR(committed);
    co_await store_.Release(bucket->record, std::move(displaced));
    model::DeleteObject::Output output;
    output.version_id = deletion.shown_version;
    if (deletion.delete_marker) {
        output.delete_marker = true;
    }
    co_return output;
}

Task<Result<model::DeleteObjects::Output>> S3Service::DeleteObjects(
    aws::RequestContext& context, model::DeleteObjects::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.delete_ || !input.delete_->objects || input.delete_->objects->empty() ||
        input.delete_->objects->size() > kDeleteObjectsMax) {
        co_return errors::MalformedXml();
    }
    if (input.mfa) {
        co_return errors::NotImplemented("Hearth does not have MFA delete.", "x-amz-mfa");
    }
    const bool quiet = input.delete_->quiet.value_or(false);
    const DeleteContext how{
        .now = context.now,
        .cloud_now = deps_.cloud_clock.Now(),
        .bypass_governance = input.bypass_governance_retention.value_or(false)};
    std::vector<Deletion> deletions;
    deletions.reserve(input.delete_->objects->size());
    for (model::ObjectIdentifier& object : *input.delete_->objects) {
        Deletion& deletion = deletions.emplace_back();
        deletion.key = std::move(object.key).value_or(std::string());
        deletion.version_id = std::move(object.version_id);
        if (deletion.version_id && deletion.version_id->empty()) {
            deletion.version_id.reset();
        }
        deletion.if_match = std::move(object.e_tag);
        if (object.size) {
            deletion.if_size = static_cast<uint64_t>(*object.size);
        }
        deletion.if_modified = object.last_modified_time;
        deletion.unique = store_.Unique();
        if (auto checked = CheckKey(deletion.key); !checked.ok()) {
            deletion.error = std::move(checked).error();
        }
    }
    for (size_t first = 0; first < deletions.size(); first += kDeleteBatch) {
        const std::span batch(
            deletions.begin() + static_cast<std::ptrdiff_t>(first),
            std::min(kDeleteBatch, deletions.size() - first));
        std::vector<ObjectRecord> displaced;
        Announcement announcement = notifications_.Announce(*bucket, &context);
        // What an earlier run of the body decided is undone; keys that are none stay refused.
        std::vector<std::optional<Error>> errors_before;
        for (const Deletion& deletion : batch) {
            errors_before.push_back(deletion.error);
        }
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            displaced.clear();
            announcement.Begin();
            HEARTH_CO_TRY(
                const BucketRecord now, co_await store_.ReadBucket(transaction, bucket->record));
            for (size_t i = 0; i < batch.size(); ++i) {
                Deletion& deletion = batch[i];
                deletion.error = errors_before[i];
                if (deletion.error) {
                    continue;
                }
                auto deleted = co_await DeleteOne(
                    store_, transaction, now, how, deletion, displaced, announcement);
                if (!deleted.ok()) {
                    // A deletion that is refused writes nothing; the others go on.
                    if (deleted.error().http_status() >= 500) {
                        co_return std::move(deleted).error();
                    }
                    deletion.error = std::move(deleted).error();
                }
            }
            co_return Status();
        };
        const Status committed = co_await Transact(body);
        announcement.End(committed);
        if (!committed.ok()) {
            for (Deletion& deletion : batch) {
                if (!deletion.error) {
                    deletion.error = errors::InternalError();
                }
            }
            continue;
        }
        co_await store_.Release(bucket->record, std::move(displaced));
    }
    model::DeleteObjects::Output output;
    for (Deletion& deletion : deletions) {
        if (deletion.error) {
            if (!output.errors) {
                output.errors.emplace();
            }
            auto& error = output.errors->emplace_back();
            error.key = std::move(deletion.key);
            error.version_id = deletion.version_id;
            error.code = deletion.error->code();
            error.message = deletion.error->message();
            continue;
        }
        if (quiet) {
            continue;
        }
        if (!output.deleted) {
            output.deleted.emplace();
        }
        auto& deleted = output.deleted->emplace_back();
        deleted.key = std::move(deletion.key);
        deleted.version_id = deletion.version_id;
        if (deletion.delete_marker) {
            deleted.delete_marker = true;
            deleted.delete_marker_version_id = deletion.shown_version;
        }
    }
    co_return output;
}

}  // namespace hearth::s3
