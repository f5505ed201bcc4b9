#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "storage/keys/key.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the logs service stores and under which keys; the only file that knows the layout. All times
// are milliseconds since 1970. Layout: docs/internals/storage-keys.md, "logs".
namespace hearth::logs {

struct GroupName {
    AccountId account;
    Region region;
    std::string name;
};

struct GroupRecord {
    // Of this life of the group: a group made again under the same name has another id, so what is
    // still being deleted of the old one never shows in the new one.
    std::string id;
    int64_t created_ms = 0;
    // 0: events never expire.
    int64_t retention_days = 0;
    std::string log_class = "STANDARD";
    bool deletion_protection = false;
    std::map<std::string, std::string> tags;
};

struct StreamRecord {
    // As GroupRecord::id.
    std::string id;
    int64_t created_ms = 0;
    // All zero before the first event.
    int64_t first_event_ms = 0;
    int64_t last_event_ms = 0;
    int64_t last_ingestion_ms = 0;
    // Events so far; the next event's sequence.
    int64_t events = 0;
    int64_t bytes = 0;
};

struct Event {
    int64_t timestamp_ms = 0;
    // Unique and rising in the stream; orders events of the same millisecond.
    int64_t sequence = 0;
    int64_t ingestion_ms = 0;
    std::string message;
};

// Events of one stream that came together, sorted by time, spanning at most kChunkSpanMax.
struct Chunk {
    int64_t ingestion_ms = 0;
    // CloudClock minus WallClock at ingestion: expiry counts on CloudClock, timestamps on
    // WallClock.
    int64_t cloud_offset_ms = 0;
    std::vector<Event> events;
};

// What stands in the index by time for a chunk.
struct ChunkEntry {
    int64_t first_ms = 0;
    std::string stream_id;
    int64_t first_sequence = 0;
    int64_t last_ms = 0;
    int64_t cloud_offset_ms = 0;
    std::string stream_name;
};

storage::keys::Key GroupKey(const GroupName& group);
storage::keys::Key AllGroupsKey(const AccountId& account, const Region& region);
storage::keys::Key StreamKey(
    const GroupName& group, std::string_view group_id, std::string_view stream);
storage::keys::Key AllStreamsKey(const GroupName& group, std::string_view group_id);
storage::keys::Key AllChunksKey(
    const GroupName& group, std::string_view group_id, std::string_view stream_id);
storage::keys::Key ChunkKey(
    const GroupName& group,
    std::string_view group_id,
    std::string_view stream_id,
    int64_t first_ms,
    int64_t first_sequence);
storage::keys::Key AllEntriesKey(const GroupName& group, std::string_view group_id);
storage::keys::Key EntryKey(
    const GroupName& group,
    std::string_view group_id,
    int64_t first_ms,
    std::string_view stream_id,
    int64_t first_sequence);

// As AWS: 56 digits that are unique in the group and rise with time.
std::string EventId(const Event& event, std::string_view stream_id);

// The name at the end of a group's or stream's key.
Result<std::string> NameInKey(std::string_view key);

std::string Encode(const GroupRecord& record);
std::string Encode(const StreamRecord& record);
std::string Encode(const Chunk& chunk);
// The value of an entry; the rest is in its key.
std::string EncodeEntry(const ChunkEntry& entry);

Result<GroupRecord> DecodeGroup(std::string_view value);
Result<StreamRecord> DecodeStream(std::string_view value);
Result<Chunk> DecodeChunk(std::string_view value);
Result<ChunkEntry> DecodeEntry(const storage::KeyValue& item);

}  // namespace hearth::logs
