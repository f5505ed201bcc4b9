#include "services/s3/part_removal.h"

#include "base/log.h"
#include "services/s3/s3_keys.h"
#include "storage/keys/key.h"
#include "storage/objects/stored_body.h"

#include <optional>
#include <utility>
#include <vector>

namespace hearth::s3 {
namespace {

using storage::keys::Key;

// A part is up to two keys (record, inline bytes); far below a transaction's 1,000.
constexpr size_t kPartsAtOnce = 200;
constexpr size_t kUploadsAtOnce = 200;
constexpr std::string_view kNotes = "dropped-parts";

Key NoteKey(const BucketRecord& bucket, std::string_view parts_id) {
    return Key::AboveAccounts().Add("s3").Add(kNotes).Add(bucket.id).Add(parts_id);
}

}  // namespace

void PartRemoval::Drop(
    storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id) {
    CHECK_REQUEST(!parts_id.empty(), "a note without parts id would stand for the whole bucket");
    transaction.Put(NoteKey(bucket, parts_id), bucket.Encode());
}

void PartRemoval::DropAll(storage::Transaction& transaction, const BucketRecord& bucket) {
    transaction.Put(NoteKey(bucket, {}), bucket.Encode());
}

void PartRemoval::Hold(std::string parts_id) {
    const std::lock_guard lock(mutex_);
    if (!been_through_) {
        held_.insert(std::move(parts_id));
    }
}

bool PartRemoval::IsHeld(const std::string& parts_id) {
    const std::lock_guard lock(mutex_);
    return held_.contains(parts_id);
}

void PartRemoval::Keep(
    storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id) {
    transaction.Delete(NoteKey(bucket, parts_id));
}

Task<void> PartRemoval::Remove(BucketRecord bucket, std::string parts_id) {
    const Status removed = co_await RemoveNoted(bucket, parts_id);
    if (!removed.ok()) {
        log::Warn(
            "s3: parts in bucket {} are not removed yet; the next start tries again: {}",
            bucket.name,
            removed.error().message());
    }
}

Task<Status> PartRemoval::RemoveNoted(const BucketRecord& bucket, const std::string& parts_id) {
    if (parts_id.empty()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveTable(keys::All(bucket, "u")));
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveTable(keys::All(bucket, "m")));
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveParts(bucket, keys::All(bucket, "p")));
    } else {
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveParts(bucket, keys::Parts(bucket, parts_id)));
    }
    co_return co_await kv_.Delete(NoteKey(bucket, parts_id));
}

Task<Status> PartRemoval::RemoveTable(storage::RangeRequest range) {
    range.limit = kUploadsAtOnce;
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(range));
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            for (const storage::KeyValue& item : page.items) {
                transaction.Delete(item.key);
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
        if (!page.next) {
            co_return Status();
        }
        if (stopping_) {
            co_return hearth::errors::Unavailable("Hearth is stopping");
        }
        range.begin = *page.next;
    }
}

Task<Status> PartRemoval::RemoveParts(const BucketRecord& bucket, storage::RangeRequest range) {
    range.limit = kPartsAtOnce;
    for (;;) {
        std::vector<storage::StoredBody> bodies;
        std::optional<std::string> next;
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            bodies.clear();
            // Read inside, so that of two removals at once only one gives a body up.
            HEARTH_CO_TRY(auto page, co_await transaction.Range(range));
            for (const storage::KeyValue& item : page.items) {
                HEARTH_CO_TRY(const int32_t number, keys::ParsePart(item.key));
                HEARTH_CO_TRY(const PartRecord part, PartRecord::Decode(number, item.value));
                transaction.Delete(item.key);
                if (part.body_inline) {
                    transaction.Delete(keys::Inline(bucket, part.unique));
                } else {
                    HEARTH_CO_TRY(auto stored, storage::StoredBody::Decode(part.body));
                    bodies.push_back(std::move(stored));
                }
            }
            if (!bodies.empty()) {
                bodies_.Drop(transaction, bodies);
            }
            next = std::move(page.next);
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
        if (!bodies.empty()) {
            bodies_.Dropped(bodies);
        }
        if (!next) {
            co_return Status();
        }
        if (stopping_) {
            co_return hearth::errors::Unavailable("Hearth is stopping");
        }
        range.begin = *std::move(next);
    }
}

Task<Status> PartRemoval::Start() {
    background_.Spawn(GoOn());
    co_return Status();
}

Task<void> PartRemoval::Stop() {
    stopping_ = true;
    co_await background_.Join();
}

Task<void> PartRemoval::GoOn() {
    co_await GoThroughNotes();
    const std::lock_guard lock(mutex_);
    been_through_ = true;
    held_.clear();
}

Task<void> PartRemoval::GoThroughNotes() {
    storage::RangeRequest range = Key::AboveAccounts().Add("s3").Add(kNotes).Children();
    for (;;) {
        const auto page = co_await kv_.Range(range);
        if (!page.ok()) {
            log::Warn("s3: parts left by an earlier process: {}", page.error().message());
            co_return;
        }
        for (const storage::KeyValue& item : page->items) {
            storage::keys::KeyReader reader(item.key);
            const auto bucket = BucketRecord::Decode(item.value);
            // Above accounts; "s3"; the notes; the bucket's id.
            const Status skipped = reader.Skip(3);
            const auto parts_id =
                skipped.ok() ? reader.String() : Result<std::string>(skipped.error());
            if (!bucket.ok() || !parts_id.ok()) {
                log::Warn("s3: a note of dropped parts that nobody wrote");
                continue;
            }
            if (!parts_id->empty() && IsHeld(*parts_id)) {
                continue;
            }
            co_await Remove(*bucket, *parts_id);
            if (stopping_) {
                co_return;
            }
        }
        if (!page->next) {
            co_return;
        }
        range.begin = *page->next;
    }
}

}  // namespace hearth::s3
