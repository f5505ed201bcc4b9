#include "services/s3/s3_store.h"

#include "codec/timestamp/timestamp.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/s3_keys.h"
#include "services/s3/version_id.h"

#include <algorithm>

namespace hearth::s3 {
namespace {

using storage::Kv;
using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;
using Located = S3Store::Located;

constexpr int64_t kMicrosecondsPerMillisecond = 1'000;

// `record` as a version below "v".
void PutOld(Transaction& transaction, const BucketRecord& bucket, const ObjectRecord& record) {
    transaction.Put(keys::Version(bucket, record.key, record.sequence), record.Encode());
    if (record.version_id == kNullVersionId) {
        transaction.Put(keys::NullVersion(bucket, record.key), std::to_string(record.sequence));
    }
}

void DeleteOld(Transaction& transaction, const BucketRecord& bucket, const ObjectRecord& record) {
    transaction.Delete(keys::Version(bucket, record.key, record.sequence));
    if (record.version_id == kNullVersionId) {
        transaction.Delete(keys::NullVersion(bucket, record.key));
    }
}

// Reader is Kv or Transaction: both have Get and Range.
template <class Reader>
Task<Result<std::optional<ObjectRecord>>> GetCurrent(
    Reader& reader, const BucketRecord& bucket, std::string key) {
    HEARTH_CO_TRY(const auto bytes, co_await reader.Get(keys::Current(bucket, key)));
    if (!bytes) {
        co_return std::optional<ObjectRecord>();
    }
    HEARTH_CO_TRY(ObjectRecord record, ObjectRecord::Decode(std::move(key), *bytes));
    co_return std::optional<ObjectRecord>(std::move(record));
}

// The newest version below "v".
template <class Reader>
Task<Result<std::optional<ObjectRecord>>> NewestOld(
    Reader& reader, const BucketRecord& bucket, std::string key) {
    RangeRequest request = keys::VersionsOf(bucket, key);
    request.limit = 1;
    HEARTH_CO_TRY(const RangePage page, co_await reader.Range(std::move(request)));
    if (page.items.empty()) {
        co_return std::optional<ObjectRecord>();
    }
    HEARTH_CO_TRY(
        ObjectRecord record, ObjectRecord::Decode(std::move(key), page.items.front().value));
    co_return std::optional<ObjectRecord>(std::move(record));
}

template <class Reader>
Task<Result<std::optional<ObjectRecord>>> OldBySequence(
    Reader& reader, const BucketRecord& bucket, std::string key, int64_t sequence) {
    HEARTH_CO_TRY(const auto bytes, co_await reader.Get(keys::Version(bucket, key, sequence)));
    if (!bytes) {
        co_return std::optional<ObjectRecord>();
    }
    HEARTH_CO_TRY(ObjectRecord record, ObjectRecord::Decode(std::move(key), *bytes));
    co_return std::optional<ObjectRecord>(std::move(record));
}

template <class Reader>
Task<Result<std::optional<ObjectRecord>>> OldNull(
    Reader& reader, const BucketRecord& bucket, std::string key) {
    HEARTH_CO_TRY(const auto pointer, co_await reader.Get(keys::NullVersion(bucket, key)));
    if (!pointer) {
        co_return std::optional<ObjectRecord>();
    }
    co_return co_await OldBySequence(reader, bucket, std::move(key), std::stoll(*pointer));
}

template <class Reader>
Task<Result<std::optional<Located>>> FindCurrentIn(
    Reader& reader, const BucketRecord& bucket, std::string key) {
    HEARTH_CO_TRY(auto current, co_await GetCurrent(reader, bucket, key));
    if (current) {
        co_return std::optional<Located>(Located{.record = *std::move(current), .current = true});
    }
    if (bucket.versioning == Versioning::kNever) {
        co_return std::optional<Located>();
    }
    HEARTH_CO_TRY(auto marker, co_await NewestOld(reader, bucket, std::move(key)));
    if (!marker) {
        co_return std::optional<Located>();
    }
    co_return std::optional<Located>(Located{.record = *std::move(marker), .current = false});
}

template <class Reader>
Task<Result<std::optional<Located>>> FindVersionIn(
    Reader& reader, const BucketRecord& bucket, std::string key, std::string version_id) {
    const bool null = version_id == kNullVersionId;
    const std::optional<int64_t> sequence = SequenceOfVersionId(version_id);
    if (!null && !sequence) {
        co_return errors::InvalidArgument("Invalid version id specified", "versionId", version_id);
    }
    HEARTH_CO_TRY(auto current, co_await GetCurrent(reader, bucket, key));
    if (current && current->version_id == version_id) {
        co_return std::optional<Located>(Located{.record = *std::move(current), .current = true});
    }
    std::optional<ObjectRecord> old;
    if (null) {
        HEARTH_CO_TRY(old, co_await OldNull(reader, bucket, std::move(key)));
    } else {
        HEARTH_CO_TRY(old, co_await OldBySequence(reader, bucket, std::move(key), *sequence));
    }
    if (!old || old->version_id != version_id) {
        co_return std::optional<Located>();
    }
    co_return std::optional<Located>(Located{.record = *std::move(old), .current = false});
}

template <class Reader>
Task<Result<Located>> FindObjectIn(
    Reader& reader,
    const BucketRecord& bucket,
    std::string key,
    std::optional<std::string> version_id,
    S3Store::Headers* headers) {
    std::optional<Located> found;
    if (version_id) {
        HEARTH_CO_TRY(found, co_await FindVersionIn(reader, bucket, key, *version_id));
        if (!found) {
            co_return errors::NoSuchVersion(key, *version_id);
        }
    } else {
        HEARTH_CO_TRY(found, co_await FindCurrentIn(reader, bucket, key));
        if (!found) {
            co_return errors::NoSuchKey(key);
        }
    }
    if (!found->record.delete_marker) {
        co_return *std::move(found);
    }
    if (headers != nullptr) {
        headers->emplace_back("x-amz-delete-marker", "true");
        headers->emplace_back("x-amz-version-id", found->record.version_id);
    }
    if (!version_id) {
        co_return errors::NoSuchKey(key);
    }
    if (headers != nullptr) {
        headers->emplace_back("allow", "DELETE");
        headers->emplace_back("last-modified", codec::FormatRfc822(found->record.modified));
    }
    co_return errors::MethodNotAllowed("GET", "DeleteMarker");
}

// LastModified has whole seconds, in listings, too.
WallClock::time_point WholeSeconds(WallClock::time_point time) {
    return std::chrono::floor<std::chrono::seconds>(time);
}

// Sequences are the time in microseconds as long as clocks go forward.
int64_t NextSequence(WallClock::time_point now, std::optional<int64_t> newest) {
    const int64_t time = UnixMs(now) * kMicrosecondsPerMillisecond;
    return newest ? std::max(time, *newest + 1) : time;
}

// Whether S3Store::Release has anything to do for a version that is gone.
bool NeedsRelease(const ObjectRecord& record) {
    return (!record.body.empty() && !record.body_inline) || !record.restored_body.empty() ||
           !record.parts_id.empty();
}

}  // namespace

std::string S3Store::Unique() {
    std::string bytes(16, '\0');
    random_.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    return bytes;
}

Task<Result<std::optional<Located>>> S3Store::FindCurrent(
    const BucketRecord& bucket, std::string_view key) {
    return FindCurrentIn(kv_, bucket, std::string(key));
}

Task<Result<std::optional<Located>>> S3Store::FindCurrent(
    Transaction& transaction, const BucketRecord& bucket, std::string_view key) {
    return FindCurrentIn(transaction, bucket, std::string(key));
}

Task<Result<std::optional<Located>>> S3Store::FindVersion(
    const BucketRecord& bucket, std::string_view key, std::string_view version_id) {
    return FindVersionIn(kv_, bucket, std::string(key), std::string(version_id));
}

Task<Result<std::optional<Located>>> S3Store::FindVersion(
    Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view key,
    std::string_view version_id) {
    return FindVersionIn(transaction, bucket, std::string(key), std::string(version_id));
}

Task<Result<Located>> S3Store::FindObject(
    const BucketRecord& bucket,
    std::string_view key,
    const std::optional<std::string>& version_id,
    Headers* headers) {
    return FindObjectIn(kv_, bucket, std::string(key), version_id, headers);
}

Task<Result<Located>> S3Store::FindObject(
    Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view key,
    const std::optional<std::string>& version_id,
    Headers* headers) {
    return FindObjectIn(transaction, bucket, std::string(key), version_id, headers);
}

Task<Result<ObjectRecord>> S3Store::UpdateObject(
    const BucketRecord& bucket,
    std::string key,
    std::optional<std::string> version_id,
    std::function<Status(ObjectRecord&)> change,
    Headers* headers,
    Within within) {
    ObjectRecord updated;
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const BucketRecord now, co_await ReadBucket(transaction, bucket));
        Headers added;
        auto found = co_await FindObjectIn(transaction, now, key, version_id, &added);
        if (!found.ok()) {
            if (headers != nullptr) {
                headers->insert(headers->end(), added.begin(), added.end());
            }
            co_return std::move(found).error();
        }
        HEARTH_CO_RETURN_IF_ERROR(change(found->record));
        Store(transaction, now, *found);
        if (within) {
            HEARTH_CO_RETURN_IF_ERROR(within(transaction, found->record));
        }
        updated = std::move(found->record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    co_return updated;
}

Task<Result<std::string>> S3Store::InlineBody(
    const BucketRecord& bucket, const ObjectRecord& record) {
    if (!record.inline_bytes.empty()) {
        co_return record.inline_bytes;
    }
    co_return co_await InlineBody(bucket, record.unique);
}

Task<Result<std::string>> S3Store::InlineBody(const BucketRecord& bucket, std::string_view unique) {
    HEARTH_CO_TRY(auto bytes, co_await kv_.Get(keys::Inline(bucket, unique)));
    if (!bytes) {
        // The version was displaced since its record was read.
        co_return Error(
            Error::Kind::kNotFound, storage::kBodyGone, "the body of this version is gone", 404);
    }
    co_return *std::move(bytes);
}

Task<Result<S3Store::PartPage>> S3Store::Parts(
    const BucketRecord& bucket, std::string_view parts_id, std::optional<std::string> from) {
    RangeRequest request = keys::Parts(bucket, parts_id);
    if (from) {
        request.begin = *std::move(from);
    }
    HEARTH_CO_TRY(RangePage page, co_await kv_.Range(std::move(request)));
    PartPage parts;
    parts.parts.reserve(page.items.size());
    for (const storage::KeyValue& item : page.items) {
        HEARTH_CO_TRY(const int32_t number, keys::ParsePart(item.key));
        HEARTH_CO_TRY(PartRecord part, PartRecord::Decode(number, item.value));
        parts.parts.push_back(std::move(part));
    }
    parts.next = std::move(page.next);
    co_return parts;
}

void S3Store::Displace(
    Transaction& transaction, const BucketRecord& bucket, const ObjectRecord& record) {
    if (record.body_inline) {
        if (record.inline_bytes.empty()) {
            transaction.Delete(keys::Inline(bucket, record.unique));
        }
    } else if (!record.body.empty()) {
        // What does not decode was not written by us; its record goes all the same.
        if (auto body = storage::StoredBody::Decode(record.body); body.ok()) {
            bodies_.Drop(transaction, {*std::move(body)});
        }
    }
    if (!record.restored_body.empty()) {
        if (auto copy = storage::StoredBody::Decode(record.restored_body); copy.ok()) {
            bodies_.Drop(transaction, {*std::move(copy)});
        }
    }
    if (!record.parts_id.empty()) {
        part_removal_.Drop(transaction, bucket, record.parts_id);
    }
}

Task<Status> S3Store::DisplaceOldNull(
    Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view key,
    std::vector<ObjectRecord>& displaced) {
    HEARTH_CO_TRY(auto old, co_await OldNull(transaction, bucket, std::string(key)));
    if (old) {
        DeleteOld(transaction, bucket, *old);
        Displace(transaction, bucket, *old);
        displaced.push_back(*std::move(old));
    }
    co_return Status();
}

Task<void> S3Store::Release(const BucketRecord& bucket, std::vector<ObjectRecord> displaced) {
    std::vector<storage::StoredBody> bodies;
    for (const ObjectRecord& record : displaced) {
        if (!record.body.empty() && !record.body_inline) {
            if (auto body = storage::StoredBody::Decode(record.body); body.ok()) {
                // Drops are told one by one, as they were made: a list stands for one object.
                bodies_.Dropped({*std::move(body)});
            }
        }
        if (!record.restored_body.empty()) {
            if (auto copy = storage::StoredBody::Decode(record.restored_body); copy.ok()) {
                bodies_.Dropped({*std::move(copy)});
            }
        }
        if (!record.parts_id.empty()) {
            co_await part_removal_.Remove(bucket, record.parts_id);
        }
    }
}

Task<Result<S3Store::Written>> S3Store::Put(
    Transaction& transaction,
    const BucketRecord& bucket,
    ObjectRecord record,
    const std::string* inline_bytes,
    const Check& check) {
    const std::string current_key = keys::Current(bucket, record.key);
    HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(current_key));
    // Decoded here and not by GetCurrent: a record has a kilobyte of members, and each hand that it
    // goes through moves them all.
    std::optional<ObjectRecord> current;
    if (bytes) {
        HEARTH_CO_TRY(current, ObjectRecord::Decode(record.key, *bytes));
    }
    if (check) {
        HEARTH_CO_RETURN_IF_ERROR(check(current ? &*current : nullptr));
    }
    Written written;
    std::optional<int64_t> newest;
    if (current) {
        newest = current->sequence;
    } else if (bucket.versioning != Versioning::kNever) {
        HEARTH_CO_TRY(const auto old, co_await NewestOld(transaction, bucket, record.key));
        if (old) {
            newest = old->sequence;
        }
    }
    record.sequence = NextSequence(record.modified, newest);
    record.modified = WholeSeconds(record.modified);
    record.version_id = bucket.versioning == Versioning::kEnabled
                            ? MakeVersionId(record.sequence, record.unique)
                            : std::string(kNullVersionId);
    if (bucket.versioning == Versioning::kSuspended) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await DisplaceOldNull(transaction, bucket, record.key, written.displaced));
    }
    if (current) {
        if (record.version_id == kNullVersionId && current->version_id == kNullVersionId) {
            Displace(transaction, bucket, *current);
            if (NeedsRelease(*current)) {
                written.displaced.push_back(*std::move(current));
            }
        } else {
            PutOld(transaction, bucket, *current);
        }
    }
    record.inline_bytes.clear();
    if (record.body_inline && inline_bytes != nullptr) {
        if (inline_bytes->size() <= kBytesInRecordMax) {
            record.inline_bytes = *inline_bytes;
        } else {
            transaction.Put(keys::Inline(bucket, record.unique), *inline_bytes);
        }
    } else if (!record.body.empty()) {
        HEARTH_CO_TRY(const auto body, storage::StoredBody::Decode(record.body));
        bodies_.Refer(transaction, body, bucket.name + "/" + record.key);
    }
    transaction.Put(current_key, record.Encode());
    written.record = std::move(record);
    co_return written;
}

Task<Result<S3Store::Written>> S3Store::Delete(
    Transaction& transaction, const BucketRecord& bucket, ObjectRecord marker, const Check& check) {
    HEARTH_CO_TRY(auto current, co_await GetCurrent(transaction, bucket, marker.key));
    if (check) {
        HEARTH_CO_RETURN_IF_ERROR(check(current ? &*current : nullptr));
    }
    Written written;
    if (bucket.versioning == Versioning::kNever) {
        if (current) {
            transaction.Delete(keys::Current(bucket, marker.key));
            Displace(transaction, bucket, *current);
            written.displaced.push_back(*std::move(current));
        }
        written.record.key = std::move(marker.key);
        co_return written;
    }
    std::optional<int64_t> newest;
    if (current) {
        newest = current->sequence;
    } else {
        HEARTH_CO_TRY(const auto old, co_await NewestOld(transaction, bucket, marker.key));
        if (old) {
            newest = old->sequence;
        }
    }
    marker.delete_marker = true;
    marker.sequence = NextSequence(marker.modified, newest);
    marker.modified = WholeSeconds(marker.modified);
    if (bucket.versioning == Versioning::kEnabled) {
        marker.version_id = MakeVersionId(marker.sequence, marker.unique);
    } else {
        marker.version_id = kNullVersionId;
        HEARTH_CO_RETURN_IF_ERROR(
            co_await DisplaceOldNull(transaction, bucket, marker.key, written.displaced));
    }
    if (current) {
        transaction.Delete(keys::Current(bucket, marker.key));
        if (marker.version_id == kNullVersionId && current->version_id == kNullVersionId) {
            Displace(transaction, bucket, *current);
            written.displaced.push_back(*std::move(current));
        } else {
            PutOld(transaction, bucket, *current);
        }
    }
    PutOld(transaction, bucket, marker);
    written.record = std::move(marker);
    co_return written;
}

Task<Result<std::optional<S3Store::Written>>> S3Store::DeleteVersion(
    Transaction& transaction,
    const BucketRecord& bucket,
    std::string_view key,
    std::string_view version_id,
    const Check& check) {
    HEARTH_CO_TRY(
        auto found,
        co_await FindVersionIn(transaction, bucket, std::string(key), std::string(version_id)));
    if (check) {
        HEARTH_CO_RETURN_IF_ERROR(check(found ? &found->record : nullptr));
    }
    if (!found) {
        co_return std::optional<Written>();
    }
    if (found->current) {
        transaction.Delete(keys::Current(bucket, key));
    } else {
        DeleteOld(transaction, bucket, found->record);
    }
    Displace(transaction, bucket, found->record);
    // The newest that is left is the current one, unless it is a marker.
    HEARTH_CO_TRY(const auto current, co_await transaction.Get(keys::Current(bucket, key)));
    if (!current && bucket.versioning != Versioning::kNever) {
        HEARTH_CO_TRY(const auto newest, co_await NewestOld(transaction, bucket, std::string(key)));
        if (newest && !newest->delete_marker) {
            DeleteOld(transaction, bucket, *newest);
            transaction.Put(keys::Current(bucket, key), newest->Encode());
        }
    }
    Written written{.record = found->record, .displaced = {}};
    written.displaced.push_back(std::move(found->record));
    co_return std::optional<Written>(std::move(written));
}

void S3Store::Store(Transaction& transaction, const BucketRecord& bucket, const Located& located) {
    const ObjectRecord& record = located.record;
    transaction.Put(
        located.current ? keys::Current(bucket, record.key)
                        : keys::Version(bucket, record.key, record.sequence),
        record.Encode());
}

}  // namespace hearth::s3
