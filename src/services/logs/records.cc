#include "services/logs/records.h"

#include <fmt/format.h>

namespace hearth::logs {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

constexpr int64_t kFormat = 1;
// Components of every key of ours before its own: account, region, "logs" and the kind.
constexpr size_t kCommonComponents = 4;

Error Damaged() {
    return hearth::errors::Internal("a stored log record is damaged");
}

Key Base(const AccountId& account, const Region& region, std::string_view kind) {
    return Key(account, region).Add("logs").Add(kind);
}

// Values are tuples, too: the encoding is compact and exists already.
Key NewValue() {
    return Key::AboveAccounts().Add(kFormat);
}

Status CheckFormat(KeyReader& reader) {
    HEARTH_TRY(const int64_t format, reader.Integer());
    if (format != kFormat) {
        return Damaged();
    }
    return Status();
}

void PutVarint(std::string& out, uint64_t number) {
    while (number >= 0x80) {
        out.push_back(static_cast<char>(number | 0x80));
        number >>= 7;
    }
    out.push_back(static_cast<char>(number));
}

Result<uint64_t> TakeVarint(std::string_view& rest) {
    uint64_t number = 0;
    for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
        const auto byte = static_cast<uint8_t>(rest.front());
        rest.remove_prefix(1);
        number |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return number;
        }
    }
    return Damaged();
}

}  // namespace

Key GroupKey(const GroupName& group) {
    return AllGroupsKey(group.account, group.region).Add(group.name);
}

Key AllGroupsKey(const AccountId& account, const Region& region) {
    return Base(account, region, "group");
}

Key StreamKey(const GroupName& group, std::string_view group_id, std::string_view stream) {
    return AllStreamsKey(group, group_id).Add(stream);
}

Key AllStreamsKey(const GroupName& group, std::string_view group_id) {
    return Base(group.account, group.region, "stream").Add(group_id);
}

Key AllChunksKey(const GroupName& group, std::string_view group_id, std::string_view stream_id) {
    return Base(group.account, group.region, "chunk").Add(group_id).Add(stream_id);
}

Key ChunkKey(
    const GroupName& group,
    std::string_view group_id,
    std::string_view stream_id,
    int64_t first_ms,
    int64_t first_sequence) {
    return AllChunksKey(group, group_id, stream_id).Add(first_ms).Add(first_sequence);
}

Key AllEntriesKey(const GroupName& group, std::string_view group_id) {
    return Base(group.account, group.region, "time").Add(group_id);
}

Key EntryKey(
    const GroupName& group,
    std::string_view group_id,
    int64_t first_ms,
    std::string_view stream_id,
    int64_t first_sequence) {
    return AllEntriesKey(group, group_id).Add(first_ms).Add(stream_id).Add(first_sequence);
}

std::string EventId(const Event& event, std::string_view stream_id) {
    // Eight bytes of hexadecimal have at most 20 decimal digits.
    const uint64_t stream = std::stoull(std::string(stream_id), nullptr, 16);
    return fmt::format("{:014}{:020}{:022}", event.timestamp_ms, stream, event.sequence);
}

Result<std::string> NameInKey(std::string_view key) {
    KeyReader reader(key);
    HEARTH_RETURN_IF_ERROR(reader.Skip(kCommonComponents));
    HEARTH_TRY(std::string name, reader.String());
    if (!reader.AtEnd()) {
        // A stream's key: that was the group's id.
        HEARTH_TRY(name, reader.String());
    }
    return name;
}

std::string Encode(const GroupRecord& record) {
    Key value = NewValue()
                    .Add(record.id)
                    .Add(record.created_ms)
                    .Add(record.retention_days)
                    .Add(record.log_class)
                    .Add(int64_t{record.deletion_protection});
    for (const auto& [name, text] : record.tags) {
        value.Add(name).Add(text);
    }
    return value.bytes();
}

Result<GroupRecord> DecodeGroup(std::string_view value) {
    KeyReader reader(value);
    GroupRecord record;
    HEARTH_RETURN_IF_ERROR(CheckFormat(reader));
    HEARTH_TRY(record.id, reader.String());
    HEARTH_TRY(record.created_ms, reader.Integer());
    HEARTH_TRY(record.retention_days, reader.Integer());
    HEARTH_TRY(record.log_class, reader.String());
    HEARTH_TRY(const int64_t protection, reader.Integer());
    record.deletion_protection = protection != 0;
    while (!reader.AtEnd()) {
        HEARTH_TRY(std::string name, reader.String());
        HEARTH_TRY(record.tags[std::move(name)], reader.String());
    }
    return record;
}

std::string Encode(const StreamRecord& record) {
    return NewValue()
        .Add(record.id)
        .Add(record.created_ms)
        .Add(record.first_event_ms)
        .Add(record.last_event_ms)
        .Add(record.last_ingestion_ms)
        .Add(record.events)
        .Add(record.bytes);
}

Result<StreamRecord> DecodeStream(std::string_view value) {
    KeyReader reader(value);
    StreamRecord record;
    HEARTH_RETURN_IF_ERROR(CheckFormat(reader));
    HEARTH_TRY(record.id, reader.String());
    HEARTH_TRY(record.created_ms, reader.Integer());
    HEARTH_TRY(record.first_event_ms, reader.Integer());
    HEARTH_TRY(record.last_event_ms, reader.Integer());
    HEARTH_TRY(record.last_ingestion_ms, reader.Integer());
    HEARTH_TRY(record.events, reader.Integer());
    HEARTH_TRY(record.bytes, reader.Integer());
    return record;
}

std::string Encode(const Chunk& chunk) {
    CHECK(!chunk.events.empty());
    std::string out;
    size_t bytes = 64;
    for (const Event& event : chunk.events) {
        bytes += event.message.size() + 16;
    }
    out.reserve(bytes);
    PutVarint(out, kFormat);
    PutVarint(out, static_cast<uint64_t>(chunk.ingestion_ms));
    PutVarint(out, static_cast<uint64_t>(chunk.cloud_offset_ms));
    PutVarint(out, static_cast<uint64_t>(chunk.events.front().sequence));
    int64_t previous_ms = 0;
    for (const Event& event : chunk.events) {
        PutVarint(out, static_cast<uint64_t>(event.timestamp_ms - previous_ms));
        previous_ms = event.timestamp_ms;
        PutVarint(out, event.message.size());
        out += event.message;
    }
    return out;
}

Result<Chunk> DecodeChunk(std::string_view value) {
    Chunk chunk;
    HEARTH_TRY(const uint64_t format, TakeVarint(value));
    if (format != static_cast<uint64_t>(kFormat)) {
        return Damaged();
    }
    HEARTH_TRY(const uint64_t ingestion_ms, TakeVarint(value));
    HEARTH_TRY(const uint64_t cloud_offset_ms, TakeVarint(value));
    HEARTH_TRY(const uint64_t first_sequence, TakeVarint(value));
    chunk.ingestion_ms = static_cast<int64_t>(ingestion_ms);
    chunk.cloud_offset_ms = static_cast<int64_t>(cloud_offset_ms);
    auto sequence = static_cast<int64_t>(first_sequence);
    int64_t timestamp_ms = 0;
    while (!value.empty()) {
        HEARTH_TRY(const uint64_t later_ms, TakeVarint(value));
        HEARTH_TRY(const uint64_t size, TakeVarint(value));
        if (size > value.size()) {
            return Damaged();
        }
        timestamp_ms += static_cast<int64_t>(later_ms);
        chunk.events.push_back(
            {.timestamp_ms = timestamp_ms,
             .sequence = sequence++,
             .ingestion_ms = chunk.ingestion_ms,
             .message = std::string(value.substr(0, size))});
        value.remove_prefix(size);
    }
    return chunk;
}

std::string EncodeEntry(const ChunkEntry& entry) {
    return NewValue().Add(entry.last_ms).Add(entry.cloud_offset_ms).Add(entry.stream_name);
}

Result<ChunkEntry> DecodeEntry(const storage::KeyValue& item) {
    ChunkEntry entry;
    KeyReader key(item.key);
    HEARTH_RETURN_IF_ERROR(key.Skip(kCommonComponents + 1));
    HEARTH_TRY(entry.first_ms, key.Integer());
    HEARTH_TRY(entry.stream_id, key.String());
    HEARTH_TRY(entry.first_sequence, key.Integer());
    KeyReader value(item.value);
    HEARTH_RETURN_IF_ERROR(CheckFormat(value));
    HEARTH_TRY(entry.last_ms, value.Integer());
    HEARTH_TRY(entry.cloud_offset_ms, value.Integer());
    HEARTH_TRY(entry.stream_name, value.String());
    return entry;
}

}  // namespace hearth::logs
