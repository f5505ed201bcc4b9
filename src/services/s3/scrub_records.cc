#include "services/s3/scrub_records.h"

#include "storage/records/record_codec.h"

namespace hearth::s3 {
namespace {

using storage::FieldReader;
using storage::FieldWriter;

// Field numbers are never reused.
namespace state_field {
enum : uint8_t {
    kBegun = 1,
    kRunning = 2,
    kObjects = 3,
    kBytes = 4,
    kMended = 5,
    kBucket = 6,
    kTable = 7,
    kPosition = 8,
    kFinished = 9,
    kFinishedObjects = 10,
    kFinishedBytes = 11,
    kFinishedMended = 12,
};
}  // namespace state_field

namespace damage_field {
enum : uint8_t {
    kAccount = 1,
    kBucket = 2,
    kKey = 3,
    kVersionId = 4,
    kWhat = 5,
    kFound = 6,
};
}  // namespace damage_field

int64_t* NumberOf(ScrubState& state, uint8_t field) {
    switch (field) {
        case state_field::kBegun:
            return &state.begun_ms;
        case state_field::kObjects:
            return &state.totals.objects;
        case state_field::kBytes:
            return &state.totals.bytes;
        case state_field::kMended:
            return &state.totals.mended;
        case state_field::kFinished:
            return &state.finished_ms;
        case state_field::kFinishedObjects:
            return &state.finished.objects;
        case state_field::kFinishedBytes:
            return &state.finished.bytes;
        case state_field::kFinishedMended:
            return &state.finished.mended;
        default:
            return nullptr;
    }
}

}  // namespace

std::string ScrubState::Encode() const {
    using namespace state_field;
    FieldWriter writer;
    writer.Integer(kBegun, begun_ms);
    writer.Integer(kRunning, running ? 1 : 0);
    writer.Integer(kObjects, totals.objects);
    writer.Integer(kBytes, totals.bytes);
    writer.Integer(kMended, totals.mended);
    writer.Text(kBucket, bucket);
    writer.Text(kTable, table);
    writer.Text(kPosition, position);
    writer.Integer(kFinished, finished_ms);
    writer.Integer(kFinishedObjects, finished.objects);
    writer.Integer(kFinishedBytes, finished.bytes);
    writer.Integer(kFinishedMended, finished.mended);
    return writer.Take();
}

Result<ScrubState> ScrubState::Decode(std::string_view bytes) {
    using namespace state_field;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    ScrubState state;
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return state;
        }
        int64_t* const number = NumberOf(state, field->number);
        if (number != nullptr) {
            HEARTH_TRY(*number, FieldReader::Integer(*field));
        } else if (field->number == kRunning) {
            HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
            state.running = value != 0;
        } else if (field->number == kBucket) {
            state.bucket = field->bytes;
        } else if (field->number == kTable) {
            state.table = field->bytes;
        } else if (field->number == kPosition) {
            state.position = field->bytes;
        }
    }
}

std::string DamageRecord::Encode() const {
    using namespace damage_field;
    FieldWriter writer;
    writer.Text(kAccount, account.text());
    writer.Text(kBucket, bucket);
    writer.Text(kKey, key);
    writer.Text(kVersionId, version_id);
    writer.Text(kWhat, what);
    writer.Integer(kFound, found_ms);
    return writer.Take();
}

Result<DamageRecord> DamageRecord::Decode(std::string_view bytes) {
    using namespace damage_field;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    DamageRecord record;
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kAccount:
                record.account = AccountId(std::string(field->bytes));
                break;
            case kBucket:
                record.bucket = field->bytes;
                break;
            case kKey:
                record.key = field->bytes;
                break;
            case kVersionId:
                record.version_id = field->bytes;
                break;
            case kWhat:
                record.what = field->bytes;
                break;
            case kFound: {
                HEARTH_TRY(record.found_ms, FieldReader::Integer(*field));
                break;
            }
            default:
                break;
        }
    }
}

namespace keys {

using storage::keys::Key;

Key Scrub() {
    return Key::AboveAccounts().Add("s3").Add("scrub");
}

Key Damages() {
    return Key::AboveAccounts().Add("s3").Add("damage");
}

std::string Damage(const BucketRecord& bucket, std::string_view unique) {
    return Damages().Add(bucket.id).Add(unique);
}

}  // namespace keys

}  // namespace hearth::s3
