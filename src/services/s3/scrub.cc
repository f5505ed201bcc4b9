#include "services/s3/scrub.h"

#include "base/log.h"
#include "codec/crypto/crypto.h"
#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"
#include "rt/blocking_pool.h"
#include "rt/timer.h"
#include "services/s3/checksums.h"
#include "services/s3/s3_keys.h"
#include "services/s3/upload_store.h"
#include "storage/objects/body_hasher.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace hearth::s3 {
namespace {

using codec::Json;
using storage::RangePage;
using storage::RangeRequest;
using storage::StoredBody;

constexpr int64_t kDayMs = 86'400'000;
// Ten terabytes in a week.
constexpr uint64_t kBytesPerSecond = uint64_t{16} << 20;
// What a version costs at least, however small it is.
constexpr uint64_t kVersionBytesMin = 4'096;
constexpr std::chrono::minutes kRetryAfter{10};
constexpr std::chrono::milliseconds kProgressEvery{500};
constexpr size_t kVersionsPerPage = 256;
constexpr size_t kDamageShownMax = 1'000;
constexpr size_t kForgottenAtOnce = 500;
constexpr std::string_view kTables[] = {"o", "u", "v"};
constexpr int32_t kPartsUnknown = -1;

Error Stopping() {
    return hearth::errors::Unavailable("Hearth is stopping");
}

// An MD5 of the bytes; those of multipart objects and of what customers seal are none.
bool IsMd5(std::string_view etag) {
    return etag.size() == 32 && etag.find('-') == std::string_view::npos;
}

Json ShownDamage(const DamageRecord& damage) {
    Json shown;
    shown.Set("bucket", damage.bucket);
    shown.Set("key", damage.key);
    shown.Set("version_id", damage.version_id);
    shown.Set("what", damage.what);
    return shown;
}

void ShowTotals(Json& json, const ScrubTotals& totals) {
    json.Set("objects", totals.objects);
    json.Set("bytes", totals.bytes);
    json.Set("mended", totals.mended);
}

std::string TimeOf(int64_t ms) {
    return codec::FormatIso8601(WallClock::time_point(std::chrono::milliseconds(ms)));
}

}  // namespace

// Holds a walk to its rate.
struct Scrub::Pace {
    uint64_t bytes_per_second = 0;
    std::chrono::steady_clock::time_point due = std::chrono::steady_clock::now();

    Task<void> After(uint64_t bytes) {
        if (bytes_per_second == 0) {
            co_return;
        }
        const auto now = std::chrono::steady_clock::now();
        due = std::max(due, now - std::chrono::seconds(1));
        due += std::chrono::nanoseconds(bytes * 1'000'000'000 / bytes_per_second);
        // Few long sleeps instead of many short ones.
        if (due > now + std::chrono::milliseconds(100)) {
            co_await rt::SleepUntil(due);
        }
    }
};

struct Scrub::Walk {
    Pace pace;
    ScrubTotals totals;
    // Called with each version that is damaged, and after each page with where it ends. An error
    // ends the walk.
    std::function<Task<Status>(const DamageRecord&)> on_damage;
    std::function<Task<Status>(const BucketRecord&, const std::string&, const std::string&)>
        on_page;
    // After each version, and often while a large one is read.
    std::function<Task<Status>()> on_step;
};

// A body and what its record says of it.
struct Scrub::Piece {
    StoredBody body;
    std::string etag;
    // Of ParseChecksumName; empty: none of all its bytes.
    std::string algorithm;
    std::string checksum;
};

// The copy of an archived object; it says nothing of itself but what is on the disk.
Result<Scrub::Piece> Scrub::RestoredCopy(const ObjectRecord& record) {
    HEARTH_TRY(StoredBody body, StoredBody::Decode(record.restored_body));
    Piece piece;
    piece.body = std::move(body);
    return piece;
}

Scrub::Scrub(const Deps& deps, S3Store& store, storage::ObjectBodies& bodies)
    : deps_(deps),
      store_(store),
      bodies_(bodies),
      damaged_(deps.metrics.Gauge(
          "hearth_s3_damaged_objects",
          "Versions of objects whose stored bytes are not what was put.")),
      objects_(deps.metrics.Counter(
          "hearth_s3_scrubbed_objects_total", "Versions of objects compared with the disk.")),
      bytes_(deps.metrics.Counter("hearth_s3_scrubbed_bytes_total", "Their bytes.")),
      mended_(deps.metrics.Counter(
          "hearth_s3_mended_bodies_total", "Bodies that had lost shares and have them again.")) {
    deps.admin.Add("GET", "/_hearth/s3/scrub", [this](aws::AdminRequest request) {
        return Show(std::move(request));
    });
    deps.admin.Add("POST", "/_hearth/s3/scrub", [this](aws::AdminRequest request) {
        return RunNow(std::move(request));
    });
    deps.admin.OnStop([this] { stopping_ = true; });
}

Task<Status> Scrub::Start() {
    background_.Spawn(Live());
    co_return Status();
}

Task<void> Scrub::Stop() {
    stopping_ = true;
    stop_.Set();
    co_await background_.Join();
}

Task<void> Scrub::WaitUntil(int64_t wall_ms) {
    const int64_t left_ms = std::max<int64_t>(0, wall_ms - UnixMs(deps_.wall_clock.Now()));
    co_await stop_.WaitFor(std::chrono::milliseconds(left_ms));
}

Task<void> Scrub::Live() {
    if (const Status counted = co_await CountDamage(); !counted.ok()) {
        log::Warn("s3: the list of damaged objects: {}", counted.error().message());
    }
    if (deps_.days <= 0) {
        co_return;
    }
    const std::string state_key = keys::Scrub();
    ScrubState state;
    const auto stored = co_await store_.kv().Get(state_key);
    if (stored.ok() && *stored) {
        if (auto decoded = ScrubState::Decode(**stored); decoded.ok()) {
            state = *std::move(decoded);
        }
    }
    if (state.begun_ms == 0) {
        // Days count from here, also over restarts.
        state.begun_ms = UnixMs(deps_.wall_clock.Now());
        (void)co_await store_.kv().Put(state_key, state.Encode());
    }
    while (!stopping_) {
        if (!state.running) {
            const int64_t due_ms = state.begun_ms + deps_.days * kDayMs;
            if (UnixMs(deps_.wall_clock.Now()) < due_ms) {
                co_await WaitUntil(due_ms);
                continue;
            }
            state.begun_ms = UnixMs(deps_.wall_clock.Now());
            state.running = true;
            state.totals = {};
        }
        const Status passed = co_await RunPass(state);
        if (!passed.ok() && !stopping_) {
            log::Warn("s3: the scrub goes on later: {}", passed.error().message());
            co_await stop_.WaitFor(kRetryAfter);
        }
    }
}

Task<Status> Scrub::RunPass(ScrubState& state) {
    Walk walk{.pace = {.bytes_per_second = kBytesPerSecond}, .totals = state.totals};
    const auto save = [&]() -> Task<Status> {
        state.totals = walk.totals;
        co_return co_await store_.kv().Put(keys::Scrub(), state.Encode());
    };
    walk.on_page = [&](const BucketRecord& bucket,
                       const std::string& table,
                       const std::string& position) -> Task<Status> {
        state.bucket = bucket.name;
        state.table = table;
        state.position = position;
        co_return co_await save();
    };
    const std::string first = state.bucket;
    RangeRequest range = storage::keys::Key::AboveAccounts().Add("s3").Add("bucket").Children();
    if (!first.empty()) {
        range.begin = keys::Bucket(first);
    }
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await store_.kv().Range(range));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(const BucketRecord bucket, BucketRecord::Decode(item.value));
            const bool goes_on = bucket.name == first && !state.table.empty() &&
                                 state.position.starts_with(keys::Table(bucket, state.table));
            HEARTH_CO_RETURN_IF_ERROR(co_await WalkBucket(
                bucket,
                goes_on ? state.table : std::string(kTables[0]),
                goes_on ? state.position : std::string(),
                walk));
        }
        if (!page.next) {
            break;
        }
        range.begin = *page.next;
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Forget({}, {}, state.begun_ms));
    state.running = false;
    state.bucket.clear();
    state.table.clear();
    state.position.clear();
    state.finished = walk.totals;
    state.finished_ms = UnixMs(deps_.wall_clock.Now());
    HEARTH_CO_RETURN_IF_ERROR(co_await save());
    log::Info(
        "s3: {} objects of {} bytes compared with the disk, {} damaged",
        walk.totals.objects,
        walk.totals.bytes,
        damaged_.Value());
    co_return Status();
}

Task<Status> Scrub::WalkBucket(
    const BucketRecord& bucket, std::string table, std::string position, Walk& walk) {
    for (const std::string_view each : kTables) {
        if (each < table) {
            continue;
        }
        RangeRequest range = keys::All(bucket, each);
        range.limit = kVersionsPerPage;
        if (each == table && !position.empty()) {
            range.begin = position;
        }
        while (true) {
            HEARTH_CO_TRY(const RangePage page, co_await store_.kv().Range(range));
            for (const storage::KeyValue& item : page.items) {
                if (each == "u") {
                    HEARTH_CO_RETURN_IF_ERROR(
                        co_await CheckUpload(bucket, item.key, item.value, walk));
                    continue;
                }
                HEARTH_CO_TRY(
                    auto parsed,
                    each == "o" ? keys::ParseCurrent(bucket, item.key)
                                : keys::ParseVersion(bucket, item.key));
                HEARTH_CO_TRY(
                    const ObjectRecord record,
                    ObjectRecord::Decode(std::move(parsed.key), item.value));
                HEARTH_CO_RETURN_IF_ERROR(co_await CheckVersion(bucket, record, walk));
            }
            if (!page.next) {
                break;
            }
            range.begin = *page.next;
            if (walk.on_page) {
                HEARTH_CO_RETURN_IF_ERROR(
                    co_await walk.on_page(bucket, std::string(each), range.begin));
            }
        }
    }
    co_return Status();
}

Task<Status> Scrub::CheckVersion(
    const BucketRecord& bucket, const ObjectRecord& record, Walk& walk) {
    if (stopping_) {
        co_return Stopping();
    }
    if (record.delete_marker) {
        co_return Status();
    }
    HEARTH_CO_TRY(const auto what, co_await Look(bucket, record, walk));
    ++walk.totals.objects;
    walk.totals.bytes += static_cast<int64_t>(record.size);
    objects_.Add();
    bytes_.Add(static_cast<double>(record.size));
    if (what) {
        // It may have been overwritten, deleted or moved while it was read.
        const auto now = co_await store_.FindVersion(bucket, record.key, record.version_id);
        const bool same = now.ok() && *now && (*now)->record.unique == record.unique &&
                          (*now)->record.body == record.body &&
                          (*now)->record.restored_body == record.restored_body &&
                          (*now)->record.parts_id == record.parts_id;
        if (same) {
            const DamageRecord damage{
                .account = bucket.account,
                .bucket = bucket.name,
                .key = record.key,
                .version_id = record.version_id,
                .what = *what,
                .found_ms = UnixMs(deps_.wall_clock.Now())};
            HEARTH_CO_RETURN_IF_ERROR(co_await Report(bucket, record.unique, damage, walk));
        }
    }
    if (record.size < kVersionBytesMin) {
        co_await walk.pace.After(kVersionBytesMin);
    }
    if (walk.on_step) {
        co_return co_await walk.on_step();
    }
    co_return Status();
}

Task<Status> Scrub::Report(
    const BucketRecord& bucket,
    std::string_view damage_of,
    const DamageRecord& damage,
    Walk& walk) {
    log::Error(
        "s3: object {} of bucket {}, version {}, is damaged: {}",
        damage.key,
        damage.bucket,
        damage.version_id,
        damage.what);
    const std::string key = keys::Damage(bucket, damage_of);
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Put(key, damage.Encode()));
    HEARTH_CO_RETURN_IF_ERROR(co_await CountDamage());
    if (walk.on_damage) {
        HEARTH_CO_RETURN_IF_ERROR(co_await walk.on_damage(damage));
    }
    co_return Status();
}

Task<Status> Scrub::CheckUpload(
    const BucketRecord& bucket, std::string storage_key, std::string value, Walk& walk) {
    if (stopping_) {
        co_return Stopping();
    }
    HEARTH_CO_TRY(const UploadRecord upload, UploadStore::Read(bucket, storage_key, value));
    ObjectRecord parts = upload.object;
    parts.parts_id = upload.parts_id;
    parts.parts_count = kPartsUnknown;
    std::optional<std::string> what;
    // A part may be uploaded again while its former bytes are looked at, but hardly twice.
    for (int attempt = 0; attempt < 2; ++attempt) {
        HEARTH_CO_TRY(what, co_await Look(bucket, parts, walk));
        if (!what) {
            co_return walk.on_step ? co_await walk.on_step() : Status();
        }
        HEARTH_CO_TRY(const auto now, co_await store_.kv().Get(storage_key));
        if (now != value) {
            co_return Status();
        }
    }
    const DamageRecord damage{
        .account = bucket.account,
        .bucket = bucket.name,
        .key = upload.key,
        .version_id = "upload " + upload.id,
        .what = *what,
        .found_ms = UnixMs(deps_.wall_clock.Now())};
    co_return co_await Report(bucket, upload.parts_id, damage, walk);
}

Task<Result<std::optional<std::string>>> Scrub::Look(
    const BucketRecord& bucket, const ObjectRecord& record, Walk& walk) {
    const bool sealed = record.encryption == Encryption::kCustomer;
    const auto body_of = [&](const auto& piece) -> Task<Result<StoredBody>> {
        HEARTH_CO_TRY(StoredBody body, StoredBody::Decode(piece.body));
        if (piece.body_inline) {
            if constexpr (std::is_same_v<std::decay_t<decltype(piece)>, ObjectRecord>) {
                HEARTH_CO_TRY(body.inline_bytes, co_await store_.InlineBody(bucket, piece));
            } else {
                HEARTH_CO_TRY(body.inline_bytes, co_await store_.InlineBody(bucket, piece.unique));
            }
        }
        co_return body;
    };
    if (!record.restored_body.empty()) {
        HEARTH_CO_TRY(Piece copy, RestoredCopy(record));
        HEARTH_CO_TRY(const auto what, co_await LookAtPiece(std::move(copy), walk));
        if (what) {
            co_return std::optional(fmt::format("its restored copy: {}", *what));
        }
    }
    if (record.parts_id.empty()) {
        auto body = co_await body_of(record);
        if (!body.ok()) {
            co_return std::optional(body.error().message());
        }
        Piece piece{.body = *std::move(body)};
        if (!sealed) {
            piece.etag = record.etag;
        }
        if (record.checksum_type == "FULL_OBJECT") {
            piece.algorithm = record.checksum_algorithm;
            piece.checksum = record.checksum;
        }
        co_return co_await LookAtPiece(std::move(piece), walk);
    }
    int32_t count = 0;
    std::optional<std::string> from;
    do {
        HEARTH_CO_TRY(S3Store::PartPage page, co_await store_.Parts(bucket, record.parts_id, from));
        for (const PartRecord& part : page.parts) {
            ++count;
            auto body = co_await body_of(part);
            if (!body.ok()) {
                co_return std::optional(
                    fmt::format("part {}: {}", part.number, body.error().message()));
            }
            Piece piece{.body = *std::move(body)};
            if (!sealed) {
                piece.etag = part.etag;
            }
            if (!part.checksums.empty()) {
                piece.algorithm = part.checksums.begin()->first;
                piece.checksum = part.checksums.begin()->second;
            }
            HEARTH_CO_TRY(const auto what, co_await LookAtPiece(std::move(piece), walk));
            if (what) {
                co_return std::optional(fmt::format("part {}: {}", part.number, *what));
            }
        }
        from = std::move(page.next);
    } while (from);
    if (record.parts_count != kPartsUnknown && count != record.parts_count) {
        co_return std::optional(fmt::format("{} parts are there of {}", count, record.parts_count));
    }
    co_return std::nullopt;
}

Task<Result<std::optional<std::string>>> Scrub::LookAtPiece(Piece piece, Walk& walk) {
    if (stopping_) {
        co_return Stopping();
    }
    const auto found = [this](const Error& error) -> Result<std::optional<std::string>> {
        if (stopping_) {
            return Stopping();
        }
        if (error.code() == storage::kBodyGone) {
            return std::optional<std::string>("its file is not there");
        }
        return std::optional(error.message());
    };
    const bool sealed = piece.body.encryption == storage::BodyEncryption::kCustomer;
    if (!piece.body.is_inline() && (sealed || piece.body.tier == storage::BodyTier::kDeep)) {
        const auto checked = co_await bodies_.Check(piece.body, walk.pace.bytes_per_second);
        if (!checked.ok()) {
            co_return found(checked.error());
        }
        if (checked->mended) {
            ++walk.totals.mended;
            mended_.Add();
        }
    }
    if (sealed) {
        co_return std::nullopt;
    }
    storage::BodyHashes hashes{.md5 = false};
    const auto algorithm = ParseChecksumName(piece.algorithm);
    const bool by_checksum = algorithm && !piece.checksum.empty();
    const bool by_md5 = !by_checksum && IsMd5(piece.etag);
    if (by_checksum) {
        AskFor(hashes, *algorithm);
    } else {
        hashes.md5 = by_md5;
    }
    storage::BodyHasher hasher(hashes);
    auto source = co_await bodies_.Open({piece.body}, {});
    if (!source.ok()) {
        co_return found(source.error());
    }
    while (true) {
        if (stopping_) {
            co_return Stopping();
        }
        const auto bytes = co_await (*source)->Next();
        if (!bytes.ok()) {
            co_return found(bytes.error());
        }
        if (bytes->empty()) {
            break;
        }
        const auto hash = [&] { hasher.Update(*bytes); };
        if (bytes->size() <= kVersionBytesMin) {
            hash();
        } else {
            co_await deps_.blocking_pool.Run(hash);
        }
        co_await walk.pace.After(bytes->size());
        if (walk.on_step) {
            HEARTH_CO_RETURN_IF_ERROR(co_await walk.on_step());
        }
    }
    const storage::BodyDigests digests = hasher.Finish();
    if (by_checksum && ChecksumValue(*algorithm, digests) != piece.checksum) {
        co_return std::optional(
            fmt::format("its {} is not what was promised", ChecksumName(*algorithm)));
    }
    if (by_md5 && codec::Hex(*digests.md5) != piece.etag) {
        co_return std::optional<std::string>("its MD5 is not its entity tag");
    }
    co_return std::nullopt;
}

Task<Status> Scrub::Forget(std::string account, std::string bucket, int64_t before_ms) {
    RangeRequest range = keys::Damages().Children();
    range.limit = kForgottenAtOnce;
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await store_.kv().Range(range));
        const storage::Kv::Body forget = [&](storage::Transaction& transaction) -> Task<Status> {
            for (const storage::KeyValue& item : page.items) {
                HEARTH_CO_TRY(const DamageRecord damage, DamageRecord::Decode(item.value));
                if (damage.found_ms < before_ms &&
                    (account.empty() || damage.account.text() == account) &&
                    (bucket.empty() || damage.bucket == bucket)) {
                    transaction.Delete(item.key);
                }
            }
            co_return Status();
        };
        if (!page.items.empty()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await store_.kv().Transact(forget));
        }
        if (!page.next) {
            break;
        }
        range.begin = *page.next;
    }
    co_return co_await CountDamage();
}

Task<Result<std::vector<DamageRecord>>> Scrub::Damaged(std::string account, std::string bucket) {
    std::vector<DamageRecord> all;
    RangeRequest range = keys::Damages().Children();
    while (true) {
        HEARTH_CO_TRY(const RangePage page, co_await store_.kv().Range(range));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(DamageRecord damage, DamageRecord::Decode(item.value));
            if ((account.empty() || damage.account.text() == account) &&
                (bucket.empty() || damage.bucket == bucket)) {
                all.push_back(std::move(damage));
            }
        }
        if (!page.next) {
            co_return all;
        }
        range.begin = *page.next;
    }
}

Task<Status> Scrub::CountDamage() {
    HEARTH_CO_TRY(const auto all, co_await Damaged({}, {}));
    damaged_.Set(static_cast<double>(all.size()));
    co_return Status();
}

Task<Result<aws::AdminAnswer>> Scrub::Show(aws::AdminRequest request) {
    HEARTH_CO_TRY(const auto stored, co_await store_.kv().Get(keys::Scrub()));
    ScrubState state;
    if (stored) {
        HEARTH_CO_TRY(state, ScrubState::Decode(*stored));
    }
    HEARTH_CO_TRY(
        const auto damaged, co_await Damaged(request.account.text(), request.Query("bucket")));
    Json shown;
    shown.Set("days", static_cast<int64_t>(deps_.days));
    shown.Set("running", state.running);
    if (state.running) {
        shown.Set("begun", TimeOf(state.begun_ms));
    }
    if (state.finished_ms != 0) {
        shown.Set("finished", TimeOf(state.finished_ms));
        ShowTotals(shown, state.finished);
    }
    shown.Set("damaged_count", static_cast<int64_t>(damaged.size()));
    Json::Array list;
    for (size_t i = 0; i < std::min(damaged.size(), kDamageShownMax); ++i) {
        Json one = ShownDamage(damaged[i]);
        one.Set("found", TimeOf(damaged[i].found_ms));
        list.push_back(std::move(one));
    }
    shown.Set("damaged", Json(std::move(list)));
    aws::AdminAnswer answer;
    answer.body = codec::WriteJson(shown) + "\n";
    co_return answer;
}

Task<Result<aws::AdminAnswer>> Scrub::RunNow(aws::AdminRequest request) {
    std::optional<BucketRecord> only;
    if (const std::string name = request.Query("bucket"); !name.empty()) {
        HEARTH_CO_TRY(const BucketHandle bucket, co_await store_.FindBucket(name));
        if (bucket->record.account != request.account) {
            co_return hearth::errors::Malformed("the bucket belongs to another account");
        }
        only = bucket->record;
    }
    aws::AdminAnswer answer;
    answer.content_type = "application/x-ndjson";
    answer.stream = [this, account = request.account.text(), only = std::move(only)](
                        aws::AdminStream& stream) { return StreamRun(account, only, stream); };
    co_return answer;
}

Task<void> Scrub::StreamRun(
    std::string account, std::optional<BucketRecord> only, aws::AdminStream& stream) {
    const int64_t begun_ms = UnixMs(deps_.wall_clock.Now());
    int64_t damaged = 0;
    auto shown_at = std::chrono::steady_clock::now();
    Walk walk;
    const auto line = [&]() {
        Json json;
        ShowTotals(json, walk.totals);
        json.Set("damaged_count", damaged);
        return json;
    };
    walk.on_damage = [&](const DamageRecord& damage) -> Task<Status> {
        ++damaged;
        Json json;
        json.Set("damage", ShownDamage(damage));
        co_return co_await stream.Write(codec::WriteJson(json) + "\n");
    };
    walk.on_step = [&]() -> Task<Status> {
        const auto now = std::chrono::steady_clock::now();
        if (now - shown_at < kProgressEvery) {
            co_return Status();
        }
        shown_at = now;
        co_return co_await stream.Write(codec::WriteJson(line()) + "\n");
    };
    const auto run = [&]() -> Task<Status> {
        // The client learns at once that it has begun.
        HEARTH_CO_RETURN_IF_ERROR(co_await stream.Write(codec::WriteJson(line()) + "\n"));
        if (only) {
            HEARTH_CO_RETURN_IF_ERROR(
                co_await WalkBucket(*only, std::string(kTables[0]), {}, walk));
            co_return co_await Forget(account, only->name, begun_ms);
        }
        std::string after;
        while (true) {
            HEARTH_CO_TRY(
                const auto buckets,
                co_await store_.Buckets(AccountId(account), {}, after, kVersionsPerPage));
            for (const BucketRecord& bucket : buckets) {
                HEARTH_CO_RETURN_IF_ERROR(
                    co_await WalkBucket(bucket, std::string(kTables[0]), {}, walk));
                after = bucket.name;
            }
            if (buckets.size() < kVersionsPerPage) {
                co_return co_await Forget(account, {}, begun_ms);
            }
        }
    };
    const Status done = co_await run();
    Json last = line();
    last.Set("complete", done.ok());
    if (!done.ok()) {
        last.Set("error", done.error().message());
    }
    // Nobody may be there any more to read it.
    (void)co_await stream.Write(codec::WriteJson(last) + "\n");
}

}  // namespace hearth::s3
