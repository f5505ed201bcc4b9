#include "flow/delivery_records.h"

#include "storage/keys/key.h"
#include "storage/records/record_codec.h"

#include <fmt/format.h>

namespace hearth::flow {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

enum Field : uint8_t {
    kAttempts = 1,
    kAccepted = 2,
    kDue = 3,
    kPayload = 4,
    kPayloadBytes = 5,
};

Key Deliveries() {
    return Key::AboveAccounts().Add("courier").Add("delivery");
}

Key LaneKey(std::string_view kind, std::string_view lane) {
    return Deliveries().Add(kind).Add(lane);
}

CloudClock::time_point TimeOf(int64_t ms) {
    return CloudClock::time_point(CloudClock::duration(ms));
}

}  // namespace

Rank RankOf(const Delivery& delivery, bool ordered) {
    return {UnixMs(ordered ? delivery.accepted : delivery.due), delivery.id};
}

std::string DeliveryKey(std::string_view kind, std::string_view lane, const Rank& rank) {
    return LaneKey(kind, lane).Add(rank.time_ms).Add(rank.id);
}

std::string DeliveryPayloadKey(std::string_view kind, std::string_view lane, std::string_view id) {
    return Key::AboveAccounts().Add("courier").Add("payload").Add(kind).Add(lane).Add(id);
}

std::string EncodeDelivery(const Delivery& delivery, bool apart, size_t payload_bytes) {
    storage::FieldWriter writer;
    writer.Integer(kAttempts, delivery.attempts);
    writer.Integer(kAccepted, UnixMs(delivery.accepted));
    writer.Integer(kDue, UnixMs(delivery.due));
    if (apart) {
        writer.Integer(kPayloadBytes, static_cast<int64_t>(payload_bytes));
    } else {
        writer.Text(kPayload, delivery.payload);
    }
    return writer.Take();
}

Result<Rank> RankOfDeliveryKey(std::string_view key) {
    Rank rank;
    KeyReader reader(key);
    // "courier", "delivery", kind, lane.
    HEARTH_RETURN_IF_ERROR(reader.Skip(4));
    HEARTH_TRY(rank.time_ms, reader.Integer());
    HEARTH_TRY(rank.id, reader.String());
    return rank;
}

Result<StoredDelivery> DecodeDelivery(std::string_view key, std::string_view record) {
    StoredDelivery stored;
    HEARTH_TRY(stored.rank, RankOfDeliveryKey(key));
    stored.delivery.id = stored.rank.id;
    HEARTH_TRY(storage::FieldReader fields, storage::FieldReader::Open(record));
    while (true) {
        HEARTH_TRY(const auto field, fields.Next());
        if (!field) {
            break;
        }
        if (field->number == kPayload) {
            stored.delivery.payload = field->bytes;
            stored.payload_bytes = field->bytes.size();
            continue;
        }
        if (field->number > kPayloadBytes) {
            continue;
        }
        HEARTH_TRY(const int64_t number, storage::FieldReader::Integer(*field));
        switch (field->number) {
            case kAttempts:
                stored.delivery.attempts = static_cast<int>(number);
                break;
            case kAccepted:
                stored.delivery.accepted = TimeOf(number);
                break;
            case kDue:
                stored.delivery.due = TimeOf(number);
                break;
            case kPayloadBytes:
                stored.payload_apart = true;
                stored.payload_bytes = static_cast<size_t>(number);
                break;
            default:
                break;
        }
    }
    return stored;
}

storage::RangeRequest LaneRange(std::string_view kind, std::string_view lane, const Rank& from) {
    storage::RangeRequest range = LaneKey(kind, lane).Children();
    if (from > Rank()) {
        range.begin = DeliveryKey(kind, lane, from);
    }
    return range;
}

storage::RangeRequest LanePayloadRange(std::string_view kind, std::string_view lane) {
    return Key::AboveAccounts().Add("courier").Add("payload").Add(kind).Add(lane).Children();
}

storage::RangeRequest AllDeliveries() {
    return Deliveries().Children();
}

Result<LaneName> LaneOfDeliveryKey(std::string_view key) {
    LaneName name;
    KeyReader reader(key);
    HEARTH_RETURN_IF_ERROR(reader.Skip(2));
    HEARTH_TRY(name.kind, reader.String());
    HEARTH_TRY(name.lane, reader.String());
    return name;
}

Status CheckDelivery(const Delivery& delivery) {
    const auto within = [](std::string_view text, size_t bytes_max) {
        return !text.empty() && text.size() <= bytes_max;
    };
    if (!within(delivery.kind, kDeliveryKindBytesMax) ||
        !within(delivery.lane, kDeliveryLaneBytesMax) ||
        !within(delivery.id, kDeliveryIdBytesMax) ||
        delivery.payload.size() > kDeliveryPayloadBytesMax) {
        return errors::Internal(fmt::format(
            "a delivery of the kind '{}' is out of bounds: lane of {} bytes, id of {}, payload of "
            "{}",
            delivery.kind,
            delivery.lane.size(),
            delivery.id.size(),
            delivery.payload.size()));
    }
    return Status();
}

}  // namespace hearth::flow
