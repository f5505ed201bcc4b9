#pragma once

#include "base/result.h"
#include "services/message_queues.h"
#include "services/sqs/queue_engine.h"
#include "storage/keys/key.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

// What the queue engine keeps in storage: keys and values. Layout and the reasons for it:
// docs/internals/queues.md; docs/internals/storage-keys.md lists the keys.
namespace hearth::sqs {

// The identity of one life of a queue: a queue made again under its name has another number, so
// nothing of its former life can show.
using QueueId = int64_t;

// A message's place in the order of sending; also its FIFO sequence number.
using Sequence = int64_t;

// A sequence as FIFO queues show it: 20 digits, as AWS's.
std::string SequenceNumber(Sequence sequence);

// A message as it was sent; never rewritten.
struct MessageRecord {
    std::string message_id;
    int64_t sent_ms = 0;
    // Not receivable before; FIFO queues with a delay only (standard ones have a place for it).
    int64_t ready_ms = 0;
    std::string sender_id;
    std::string trace_header;
    // Says that there is a group: an empty group id is none.
    std::string group;
    std::string deduplication_id;
    std::string dead_letter_source;
    // In the queues it was in before: dead letters keep their history.
    int64_t earlier_receives = 0;
    int64_t first_received_ms = 0;
    std::string body;
    std::string body_md5;
    std::map<std::string, MessageQueues::AttributeValue> attributes;
    std::string attributes_md5;
};

std::string EncodeMessage(const MessageRecord& message);
Result<MessageRecord> DecodeMessage(std::string_view bytes);

// Of an encoded message, without decoding the rest.
struct MessageTimes {
    int64_t sent_ms = 0;
    int64_t ready_ms = 0;
};

Result<MessageTimes> TimesOfMessage(std::string_view bytes);

// Where a message stands that is not in its lane any more: delayed, in flight, or given back. The
// key carries when it is (again) receivable and its sequence.
struct Place {
    int64_t ready_ms = 0;
    Sequence sequence = 0;
    // The lane that the message was sent to; empty: the one without a group.
    std::string group;
    // How often it was received.
    int32_t receives = 0;
    // Which receipt handle is the last one.
    int32_t generation = 0;
    int64_t sent_ms = 0;
    int64_t first_received_ms = 0;
    // Of the last receipt: visibility ends 12 hours later at the latest.
    int64_t received_ms = 0;
    // Its body is kept among those that were sent with a delay.
    bool was_delayed = false;
    // Its dead-letter queue did not take it; in memory only.
    bool undeliverable = false;
};

std::string EncodePlace(const Place& place);
// Everything but ready_ms and sequence, which the key has.
Result<Place> DecodePlace(std::string_view bytes);

// A lane has what was sent to one message group and never received, in order of sending.
struct LaneRecord {
    // No message before this is in the lane.
    Sequence first = 0;
    int64_t count = 0;
};

std::string EncodeLane(const LaneRecord& lane);
Result<LaneRecord> DecodeLane(std::string_view bytes);

// What a shard has to know at once when it is loaded; rewritten by each of its transactions, so it
// is exact after any crash.
struct ShardRecord {
    // Grows with each purge: what was before it is not looked at any more.
    int64_t epoch = 0;
    Sequence next_sequence = 1;
    // All messages there are.
    int64_t total = 0;
    // Lanes that are not empty.
    int64_t lanes = 0;
    // Messages in lanes; the others have a place.
    int64_t fresh = 0;
    // No message was sent before that; where retention looks first.
    int64_t oldest_ms = 0;
    int64_t purged_ms = 0;
};

std::string EncodeShard(const ShardRecord& shard);
Result<ShardRecord> DecodeShard(std::string_view bytes);

// A sent message's answer, kept for five minutes by its deduplication id.
struct DuplicateRecord {
    std::string message_id;
    Sequence sequence = 0;
    int64_t sent_ms = 0;
};

std::string EncodeDuplicate(const DuplicateRecord& record);
Result<DuplicateRecord> DecodeDuplicate(std::string_view bytes);

struct StoredQueue {
    QueueId id = 0;
    QueueRecord record;
};

std::string EncodeQueue(const StoredQueue& queue);
Result<StoredQueue> DecodeQueue(std::string_view bytes);

std::string EncodeMoveTask(const MoveTask& task);
Result<MoveTask> DecodeMoveTask(std::string_view bytes);

// Keys of the catalogue of one account and region.
class CatalogueKeys final {
  public:
    using Key = storage::keys::Key;

    CatalogueKeys(const AccountId& account, const Region& region)
        : base_(Key(account, region).Add("sqs")) {}

    Key Queues() const { return Key(base_).Add("queue"); }

    Key Queue(std::string_view name) const { return Queues().Add(name); }

    Key Deleted(std::string_view name) const { return Key(base_).Add("deleted").Add(name); }

    Key Sources(std::string_view dead_letter_queue) const {
        return Key(base_).Add("source").Add(dead_letter_queue);
    }

    Key Source(std::string_view dead_letter_queue, std::string_view name) const {
        return Sources(dead_letter_queue).Add(name);
    }

    Key MoveTasks(std::string_view source) const { return Key(base_).Add("move").Add(source); }

    Key MoveTask(std::string_view source, std::string_view id) const {
        return MoveTasks(source).Add(id);
    }

  private:
    const Key base_;
};

// Keys of one queue's life; short, because each message has one to three of them.
class QueueKeys final {
  public:
    using Key = storage::keys::Key;

    QueueKeys(const QueueAddress& queue, QueueId id)
        : base_(Key(queue.account, queue.region).Add("sqs").Add("m").Add(id)) {}

    // Everything of this life.
    const Key& base() const { return base_; }

    Key Shard() const { return Key(base_).Add("s"); }

    Key Duplicates() const { return Key(base_).Add("u"); }

    Key Duplicate(int64_t minute, std::string_view id) const {
        return Duplicates().Add(minute).Add(id);
    }

    // Everything of one epoch.
    Key Epoch(int64_t epoch) const { return Key(base_).Add("e").Add(epoch); }

  private:
    const Key base_;
};

class EpochKeys final {
  public:
    using Key = storage::keys::Key;

    EpochKeys(const QueueKeys& queue, int64_t epoch) : base_(queue.Epoch(epoch)) {}

    Key Bodies(std::string_view group, bool delayed = false) const {
        return Key(base_).Add(delayed ? "h" : "b").Add(group);
    }

    Key Body(std::string_view group, Sequence sequence, bool delayed) const {
        return Bodies(group, delayed).Add(sequence);
    }

    // Of messages that were received: in flight or given back.
    Key Places() const { return Key(base_).Add("p"); }

    Key PlaceOf(int64_t ready_ms, Sequence sequence) const {
        return Places().Add(ready_ms).Add(sequence);
    }

    // Of messages that were sent with a delay and never received.
    Key Delays() const { return Key(base_).Add("d"); }

    Key Delay(int64_t ready_ms, Sequence sequence) const {
        return Delays().Add(ready_ms).Add(sequence);
    }

    // How many messages become receivable in one tenth of a second.
    Key Tenths() const { return Key(base_).Add("t"); }

    Key Tenth(int64_t tenth) const { return Tenths().Add(tenth); }

    Key Lanes() const { return Key(base_).Add("l"); }

    Key Lane(std::string_view group) const { return Lanes().Add(group); }

    // Messages that another queue has taken over and that are still counted here.
    Key Gone() const { return Key(base_).Add("x"); }

    Key Gone(Sequence sequence) const { return Gone().Add(sequence); }

    // How many components stand before those that tell the keys of one range apart.
    static constexpr size_t kComponents = 8;

  private:
    const Key base_;
};

// What is still to be taken away, of whole lives and of purged epochs: its value is the key whose
// children go.
inline storage::keys::Key GarbageKeys() {
    return storage::keys::Key::AboveAccounts().Add("sqs").Add("garbage");
}

// Move tasks that run, so that a start finds them: the value is account, region, source, id.
inline storage::keys::Key RunningMoves() {
    return storage::keys::Key::AboveAccounts().Add("sqs").Add("moving");
}

}  // namespace hearth::sqs
