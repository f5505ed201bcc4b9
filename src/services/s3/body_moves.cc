#include "services/s3/body_moves.h"

#include "codec/crypto/crypto.h"
#include "services/s3/s3_keys.h"
#include "services/s3/storage_places.h"

#include <utility>

namespace hearth::s3 {
namespace {

using storage::BodyTier;
using storage::FinishedBody;
using storage::StoredBody;
using storage::Transaction;

Error Changed() {
    return Error(Error::Kind::kNotFound, storage::kBodyGone, "the version changed meanwhile", 404);
}

std::string OwnerName(const BucketRecord& bucket, const std::string& key) {
    return bucket.name + "/" + key;
}

bool IsUnknown(const Status& status) {
    return !status.ok() && status.error().code() == "Unknown";
}

}  // namespace

Task<Status> BodyMoves::Move(
    BucketRecord bucket, ObjectRecord record, BodyTier place, Change change, Within within) {
    if (!CanMove(record)) {
        co_return co_await Commit(bucket, record, change, within, {}, nullptr);
    }
    if (record.parts_id.empty()) {
        HEARTH_CO_TRY(const StoredBody body, StoredBody::Decode(record.body));
        if (body.tier == place) {
            co_return co_await Commit(bucket, record, change, within, {}, nullptr);
        }
        HEARTH_CO_TRY(FinishedBody copy, co_await Copy({body}, place));
        Moved moved;
        moved.body = copy.body();
        co_return co_await Commit(bucket, record, change, within, moved, &copy);
    }
    if (record.parts_place == static_cast<int32_t>(place)) {
        co_return co_await Commit(bucket, record, change, within, {}, nullptr);
    }
    const std::string unique = store_.Unique();
    Moved moved;
    moved.parts_id = codec::Hex({reinterpret_cast<const uint8_t*>(unique.data()), unique.size()});
    moved.parts_place = place;
    Status done = co_await CopyParts(bucket, record, place, *moved.parts_id);
    if (done.ok()) {
        done = co_await Commit(bucket, record, change, within, moved, nullptr);
    }
    if (!done.ok() && !IsUnknown(done)) {
        co_await part_removal_.Remove(bucket, *moved.parts_id);
    }
    co_return done;
}

Task<Status> BodyMoves::Restore(
    BucketRecord bucket, ObjectRecord record, Change change, Within within) {
    if (!CanMove(record)) {
        // Readable where it is, with the customer's key if it has one.
        co_return co_await Commit(bucket, record, change, within, {}, nullptr);
    }
    HEARTH_CO_TRY(std::vector<StoredBody> bodies, co_await BodiesOf(bucket, record));
    HEARTH_CO_TRY(FinishedBody copy, co_await Copy(std::move(bodies), BodyTier::kStandard));
    Moved moved;
    moved.restored = copy.body();
    co_return co_await Commit(bucket, record, change, within, moved, &copy);
}

Task<Status> BodyMoves::Update(
    BucketRecord bucket, ObjectRecord record, Change change, Within within) {
    co_return co_await Commit(bucket, record, change, within, {}, nullptr);
}

Task<Status> BodyMoves::Commit(
    const BucketRecord& bucket,
    const ObjectRecord& seen,
    const Change& change,
    const Within& within,
    const Moved& moved,
    FinishedBody* finished) {
    // Each was an object's alone, so each is given up alone.
    std::vector<StoredBody> dropped;
    const storage::Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        dropped.clear();
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        HEARTH_CO_TRY(
            S3Store::Located found,
            co_await store_.FindObject(transaction, now, seen.key, seen.version_id));
        ObjectRecord& record = found.record;
        if (record.sequence != seen.sequence || record.body != seen.body ||
            record.parts_id != seen.parts_id) {
            co_return Changed();
        }
        HEARTH_CO_RETURN_IF_ERROR(change(record));
        if (moved.body) {
            HEARTH_CO_TRY(StoredBody old, StoredBody::Decode(record.body));
            bodies_.Drop(transaction, {old});
            dropped.push_back(std::move(old));
            bodies_.Refer(transaction, *moved.body, OwnerName(now, record.key));
            record.body = moved.body->Encode();
        }
        if (moved.parts_id) {
            part_removal_.Drop(transaction, now, record.parts_id);
            part_removal_.Keep(transaction, now, *moved.parts_id);
            record.parts_id = *moved.parts_id;
            record.parts_place = static_cast<int32_t>(*moved.parts_place);
        }
        if (!record.restored_body.empty() && (moved.restored || !record.restored_until)) {
            HEARTH_CO_TRY(StoredBody old, StoredBody::Decode(record.restored_body));
            bodies_.Drop(transaction, {old});
            dropped.push_back(std::move(old));
            record.restored_body.clear();
        }
        if (moved.restored) {
            bodies_.Refer(transaction, *moved.restored, OwnerName(now, record.key));
            record.restored_body = moved.restored->Encode();
        }
        S3Store::Store(transaction, now, found);
        co_return within ? within(transaction, record) : Status();
    };
    const Status committed = co_await store_.kv().Transact(body);
    if (!committed.ok()) {
        if (finished != nullptr && IsUnknown(committed)) {
            finished->Leave();
        }
        co_return committed;
    }
    if (finished != nullptr) {
        finished->Keep();
    }
    for (StoredBody& old : dropped) {
        bodies_.Dropped({std::move(old)});
    }
    if (moved.parts_id) {
        co_await part_removal_.Remove(bucket, seen.parts_id);
    }
    co_return Status();
}

Task<Result<FinishedBody>> BodyMoves::Copy(std::vector<StoredBody> bodies, BodyTier place) {
    storage::BodyOptions options;
    options.hashes = {};
    options.always_file = true;
    options.tier = place;
    uint64_t length = 0;
    for (const StoredBody& body : bodies) {
        length += body.length;
    }
    options.expected_length = length;
    HEARTH_CO_TRY(const auto source, co_await bodies_.Open(std::move(bodies), {}));
    HEARTH_CO_TRY(const auto sink, co_await bodies_.Create(std::move(options)));
    while (true) {
        HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
        if (bytes.empty()) {
            break;
        }
        if (stopping_) {
            co_return ::hearth::errors::Unavailable("stopping; the bytes are moved later");
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
    }
    co_return co_await sink->Finish();
}

Task<Status> BodyMoves::CopyParts(
    const BucketRecord& bucket,
    const ObjectRecord& record,
    BodyTier place,
    const std::string& parts_id) {
    part_removal_.Hold(parts_id);
    const storage::Kv::Body note = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        part_removal_.Drop(transaction, now, parts_id);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Transact(note));
    int32_t count = 0;
    std::optional<std::string> from;
    do {
        HEARTH_CO_TRY(S3Store::PartPage page, co_await store_.Parts(bucket, record.parts_id, from));
        for (PartRecord& part : page.parts) {
            HEARTH_CO_RETURN_IF_ERROR(co_await CopyPart(bucket, std::move(part), place, parts_id));
            ++count;
        }
        from = std::move(page.next);
    } while (from);
    co_return count == record.parts_count ? Status() : Status(Changed());
}

Task<Status> BodyMoves::CopyPart(
    const BucketRecord& bucket, PartRecord part, BodyTier place, const std::string& parts_id) {
    HEARTH_CO_TRY(const StoredBody body, StoredBody::Decode(part.body));
    std::optional<FinishedBody> copy;
    std::string inline_bytes;
    if (part.body_inline) {
        HEARTH_CO_TRY(inline_bytes, co_await store_.InlineBody(bucket, part.unique));
        part.unique = store_.Unique();
    } else {
        HEARTH_CO_TRY(copy, co_await Copy({body}, place));
        part.body = copy->body().Encode();
    }
    const storage::Kv::Body put = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const BucketRecord now, co_await store_.ReadBucket(transaction, bucket));
        transaction.Put(keys::Part(now, parts_id, part.number), part.Encode());
        if (copy) {
            bodies_.Refer(transaction, copy->body(), OwnerName(now, "(parts)"));
        } else {
            transaction.Put(keys::Inline(now, part.unique), inline_bytes);
        }
        co_return Status();
    };
    const Status committed = co_await store_.kv().Transact(put);
    if (copy && committed.ok()) {
        copy->Keep();
    } else if (copy && IsUnknown(committed)) {
        copy->Leave();
    }
    co_return committed;
}

Task<Result<std::vector<StoredBody>>> BodyMoves::BodiesOf(
    const BucketRecord& bucket, const ObjectRecord& record) {
    std::vector<StoredBody> bodies;
    if (record.parts_id.empty()) {
        HEARTH_CO_TRY(StoredBody body, StoredBody::Decode(record.body));
        bodies.push_back(std::move(body));
        co_return bodies;
    }
    std::optional<std::string> from;
    do {
        HEARTH_CO_TRY(S3Store::PartPage page, co_await store_.Parts(bucket, record.parts_id, from));
        for (const PartRecord& part : page.parts) {
            HEARTH_CO_TRY(StoredBody body, StoredBody::Decode(part.body));
            if (part.body_inline) {
                HEARTH_CO_TRY(body.inline_bytes, co_await store_.InlineBody(bucket, part.unique));
            }
            bodies.push_back(std::move(body));
        }
        from = std::move(page.next);
    } while (from);
    if (bodies.size() != static_cast<size_t>(record.parts_count)) {
        co_return Changed();
    }
    co_return bodies;
}

}  // namespace hearth::s3
