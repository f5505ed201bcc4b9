#include "services/sqs/queue_records.h"

#include "storage/records/record_codec.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::sqs {
namespace {

using storage::FieldReader;
using storage::FieldWriter;

// Walks the fields of a record; `take` gets each and may refuse.
template <class Take>
Status ForEachField(std::string_view bytes, Take take) {
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    while (true) {
        HEARTH_TRY(const std::optional<FieldReader::Field> field, reader.Next());
        if (!field) {
            return Status();
        }
        HEARTH_RETURN_IF_ERROR(take(*field));
    }
}

Status Into(int64_t& target, const FieldReader::Field& field) {
    HEARTH_TRY(target, FieldReader::Integer(field));
    return Status();
}

Status Into(int32_t& target, const FieldReader::Field& field) {
    HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
    target = static_cast<int32_t>(value);
    return Status();
}

Status Into(bool& target, const FieldReader::Field& field) {
    HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
    target = value != 0;
    return Status();
}

Status Into(std::string& target, const FieldReader::Field& field) {
    target = field.bytes;
    return Status();
}

Status Into(std::chrono::seconds& target, const FieldReader::Field& field) {
    HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
    target = std::chrono::seconds(value);
    return Status();
}

Status Into(CloudClock::time_point& target, const FieldReader::Field& field) {
    HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
    target = CloudClock::time_point(CloudClock::duration(value));
    return Status();
}

void PutText(FieldWriter& writer, uint8_t number, std::string_view text) {
    if (!text.empty()) {
        writer.Text(number, text);
    }
}

// Small records of fixed numbers: one version byte, then varints. Half of all that a busy queue
// writes is these.
class NumberWriter final {
  public:
    NumberWriter() : bytes_(1, '\x01') {}

    void Add(int64_t value) {
        auto rest = static_cast<uint64_t>(value);
        while (rest >= 0x80) {
            bytes_.push_back(static_cast<char>(rest | 0x80));
            rest >>= 7;
        }
        bytes_.push_back(static_cast<char>(rest));
    }

    void Rest(std::string_view text) { bytes_.append(text); }

    std::string Take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

class NumberReader final {
  public:
    explicit NumberReader(std::string_view bytes) : rest_(bytes) {
        ok_ = !rest_.empty() && rest_.front() == '\x01';
        if (ok_) {
            rest_.remove_prefix(1);
        }
    }

    int64_t Next() {
        uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) {
                ok_ = false;
                return 0;
            }
            const auto byte = static_cast<uint8_t>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if ((byte & 0x80) == 0) {
                return static_cast<int64_t>(value);
            }
        }
        ok_ = false;
        return 0;
    }

    // A number that older programs did not write.
    int64_t NextOr(int64_t missing) { return rest_.empty() ? missing : Next(); }

    std::string_view rest() const { return rest_; }

    Status Done() const {
        return ok_ ? Status() : Status(hearth::errors::Internal("sqs: a damaged record"));
    }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

// The times come first and have a fixed size, so that they can be read without the rest.
constexpr size_t kTimesBytes = 16;

void PutFixed(std::string& out, int64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift & 0xff));
    }
}

int64_t ReadFixed(std::string_view bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < 8; ++i) {
        value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return static_cast<int64_t>(value);
}

}  // namespace

std::string SequenceNumber(Sequence sequence) {
    return fmt::format("188{:017}", sequence);
}

std::string EncodeMessage(const MessageRecord& message) {
    FieldWriter writer;
    PutText(writer, 1, message.message_id);
    PutText(writer, 2, message.body);
    PutText(writer, 3, message.body_md5);
    PutText(writer, 4, message.sender_id);
    PutText(writer, 5, message.trace_header);
    PutText(writer, 6, message.group);
    PutText(writer, 7, message.deduplication_id);
    PutText(writer, 8, message.dead_letter_source);
    PutText(writer, 9, message.attributes_md5);
    if (message.earlier_receives > 0) {
        writer.Integer(11, message.earlier_receives);
        writer.Integer(12, message.first_received_ms);
    }
    for (const auto& [name, value] : message.attributes) {
        // Types are words without a zero byte.
        std::string typed = value.data_type;
        typed.push_back('\0');
        typed += value.value;
        writer.Pair(10, name, typed);
    }
    const std::string fields = writer.Take();
    std::string bytes;
    bytes.reserve(kTimesBytes + fields.size());
    PutFixed(bytes, message.sent_ms);
    PutFixed(bytes, message.ready_ms);
    bytes += fields;
    return bytes;
}

Result<MessageTimes> TimesOfMessage(std::string_view bytes) {
    if (bytes.size() < kTimesBytes) {
        return hearth::errors::Internal("sqs: a damaged message");
    }
    return MessageTimes{.sent_ms = ReadFixed(bytes), .ready_ms = ReadFixed(bytes.substr(8))};
}

Result<MessageRecord> DecodeMessage(std::string_view bytes) {
    MessageRecord message;
    HEARTH_TRY(const MessageTimes times, TimesOfMessage(bytes));
    message.sent_ms = times.sent_ms;
    message.ready_ms = times.ready_ms;
    const auto take = [&](const FieldReader::Field& field) -> Status {
        switch (field.number) {
            case 1:
                return Into(message.message_id, field);
            case 2:
                return Into(message.body, field);
            case 3:
                return Into(message.body_md5, field);
            case 4:
                return Into(message.sender_id, field);
            case 5:
                return Into(message.trace_header, field);
            case 6:
                return Into(message.group, field);
            case 7:
                return Into(message.deduplication_id, field);
            case 8:
                return Into(message.dead_letter_source, field);
            case 9:
                return Into(message.attributes_md5, field);
            case 11:
                return Into(message.earlier_receives, field);
            case 12:
                return Into(message.first_received_ms, field);
            case 10: {
                HEARTH_TRY(const FieldReader::KeyAndValue pair, FieldReader::Pair(field));
                const size_t end = pair.value.find('\0');
                if (end == std::string_view::npos) {
                    return hearth::errors::Internal("sqs: a damaged attribute");
                }
                message.attributes.emplace(
                    pair.key,
                    MessageQueues::AttributeValue{
                        .data_type = std::string(pair.value.substr(0, end)),
                        .value = std::string(pair.value.substr(end + 1))});
                return Status();
            }
            default:
                return Status();
        }
    };
    HEARTH_RETURN_IF_ERROR(ForEachField(bytes.substr(kTimesBytes), take));
    return message;
}

std::string EncodePlace(const Place& place) {
    NumberWriter writer;
    writer.Add(place.receives);
    writer.Add(place.generation);
    writer.Add(place.sent_ms);
    writer.Add(place.first_received_ms);
    writer.Add(place.received_ms);
    writer.Add(place.was_delayed ? 1 : 0);
    writer.Rest(place.group);
    return writer.Take();
}

Result<Place> DecodePlace(std::string_view bytes) {
    NumberReader reader(bytes);
    Place place;
    place.receives = static_cast<int32_t>(reader.Next());
    place.generation = static_cast<int32_t>(reader.Next());
    place.sent_ms = reader.Next();
    place.first_received_ms = reader.Next();
    place.received_ms = reader.Next();
    place.was_delayed = (reader.Next() & 1) != 0;
    place.group = reader.rest();
    HEARTH_RETURN_IF_ERROR(reader.Done());
    return place;
}

std::string EncodeLane(const LaneRecord& lane) {
    NumberWriter writer;
    writer.Add(lane.first);
    writer.Add(lane.count);
    return writer.Take();
}

Result<LaneRecord> DecodeLane(std::string_view bytes) {
    NumberReader reader(bytes);
    LaneRecord lane;
    lane.first = reader.Next();
    lane.count = reader.Next();
    HEARTH_RETURN_IF_ERROR(reader.Done());
    return lane;
}

std::string EncodeShard(const ShardRecord& shard) {
    NumberWriter writer;
    writer.Add(shard.epoch);
    writer.Add(shard.next_sequence);
    writer.Add(shard.total);
    writer.Add(shard.lanes);
    writer.Add(shard.fresh);
    writer.Add(shard.oldest_ms);
    writer.Add(shard.purged_ms);
    return writer.Take();
}

Result<ShardRecord> DecodeShard(std::string_view bytes) {
    NumberReader reader(bytes);
    ShardRecord shard;
    shard.epoch = reader.Next();
    shard.next_sequence = reader.Next();
    shard.total = reader.Next();
    shard.lanes = reader.Next();
    shard.fresh = reader.Next();
    shard.oldest_ms = reader.Next();
    shard.purged_ms = reader.Next();
    HEARTH_RETURN_IF_ERROR(reader.Done());
    return shard;
}

std::string EncodeDuplicate(const DuplicateRecord& record) {
    NumberWriter writer;
    writer.Add(record.sequence);
    writer.Add(record.sent_ms);
    writer.Rest(record.message_id);
    return writer.Take();
}

Result<DuplicateRecord> DecodeDuplicate(std::string_view bytes) {
    NumberReader reader(bytes);
    DuplicateRecord record;
    record.sequence = reader.Next();
    record.sent_ms = reader.Next();
    record.message_id = reader.rest();
    HEARTH_RETURN_IF_ERROR(reader.Done());
    return record;
}

std::string EncodeQueue(const StoredQueue& queue) {
    const QueueRecord& record = queue.record;
    const QueueSettings& settings = record.settings;
    FieldWriter writer;
    writer.Integer(1, queue.id);
    writer.Integer(2, UnixMs(record.created));
    writer.Integer(3, UnixMs(record.modified));
    writer.Integer(4, settings.fifo ? 1 : 0);
    writer.Integer(5, settings.content_based_deduplication ? 1 : 0);
    writer.Integer(6, settings.deduplication_by_group ? 1 : 0);
    writer.Integer(7, settings.delay.count());
    writer.Integer(8, settings.visibility.count());
    writer.Integer(9, settings.retention.count());
    writer.Integer(10, settings.receive_wait.count());
    if (settings.redrive) {
        writer.Text(11, settings.redrive->dead_letter_arn);
        writer.Integer(12, settings.redrive->max_receive_count);
    }
    for (const auto& [name, value] : record.attributes) {
        writer.Pair(13, name, value);
    }
    for (const auto& [name, value] : record.tags) {
        writer.Pair(14, name, value);
    }
    return writer.Take();
}

Result<StoredQueue> DecodeQueue(std::string_view bytes) {
    StoredQueue queue;
    QueueRecord& record = queue.record;
    QueueSettings& settings = record.settings;
    RedrivePolicy redrive;
    const auto take = [&](const FieldReader::Field& field) -> Status {
        switch (field.number) {
            case 1:
                return Into(queue.id, field);
            case 2:
                return Into(record.created, field);
            case 3:
                return Into(record.modified, field);
            case 4:
                return Into(settings.fifo, field);
            case 5:
                return Into(settings.content_based_deduplication, field);
            case 6:
                return Into(settings.deduplication_by_group, field);
            case 7:
                return Into(settings.delay, field);
            case 8:
                return Into(settings.visibility, field);
            case 9:
                return Into(settings.retention, field);
            case 10:
                return Into(settings.receive_wait, field);
            case 11:
                return Into(redrive.dead_letter_arn, field);
            case 12:
                return Into(redrive.max_receive_count, field);
            case 13:
            case 14: {
                HEARTH_TRY(const FieldReader::KeyAndValue pair, FieldReader::Pair(field));
                (field.number == 13 ? record.attributes : record.tags)
                    .emplace(pair.key, pair.value);
                return Status();
            }
            default:
                return Status();
        }
    };
    HEARTH_RETURN_IF_ERROR(ForEachField(bytes, take));
    if (!redrive.dead_letter_arn.empty()) {
        settings.redrive = std::move(redrive);
    }
    return queue;
}

std::string EncodeMoveTask(const MoveTask& task) {
    FieldWriter writer;
    PutText(writer, 1, task.handle);
    PutText(writer, 2, task.source_arn);
    PutText(writer, 3, task.destination_arn);
    if (task.rate) {
        writer.Integer(4, *task.rate);
    }
    PutText(writer, 5, task.status);
    PutText(writer, 6, task.failure_reason);
    writer.Integer(7, task.moved);
    writer.Integer(8, task.to_move);
    writer.Integer(9, UnixMs(task.started));
    return writer.Take();
}

Result<MoveTask> DecodeMoveTask(std::string_view bytes) {
    MoveTask task;
    const auto take = [&](const FieldReader::Field& field) -> Status {
        switch (field.number) {
            case 1:
                return Into(task.handle, field);
            case 2:
                return Into(task.source_arn, field);
            case 3:
                return Into(task.destination_arn, field);
            case 4:
                return Into(task.rate.emplace(), field);
            case 5:
                return Into(task.status, field);
            case 6:
                return Into(task.failure_reason, field);
            case 7:
                return Into(task.moved, field);
            case 8:
                return Into(task.to_move, field);
            case 9:
                return Into(task.started, field);
            default:
                return Status();
        }
    };
    HEARTH_RETURN_IF_ERROR(ForEachField(bytes, take));
    return task;
}

}  // namespace hearth::sqs
