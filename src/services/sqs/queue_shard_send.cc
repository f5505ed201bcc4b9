// Sending: deduplication, sequence numbers, and messages that other queues give.

#include "codec/crypto/crypto.h"
#include "services/sqs/queue_errors.h"
#include "services/sqs/queue_shard.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::sqs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::keys::KeyReader;

constexpr int64_t kDuplicateMs = 5 * 60 * 1'000;
constexpr int64_t kMinuteMs = 60 * 1'000;
constexpr size_t kSweepPage = 300;

}  // namespace

Task<Result<std::optional<DuplicateRecord>>> QueueShard::FindDuplicate(
    const std::string& key, int64_t now_ms) {
    if (const auto found = memory_->duplicates.find(key); found != memory_->duplicates.end()) {
        co_return found->second;
    }
    const int64_t minute = now_ms / kMinuteMs;
    for (int64_t back = 0; back <= kDuplicateMs / kMinuteMs; ++back) {
        HEARTH_CO_TRY(
            const std::optional<std::string> stored,
            co_await shared_.kv.Get(keys_->Duplicate(minute - back, key)));
        if (stored) {
            HEARTH_CO_TRY(const DuplicateRecord record, DecodeDuplicate(*stored));
            if (record.sent_ms + kDuplicateMs > now_ms) {
                co_return record;
            }
        }
    }
    co_return std::nullopt;
}

Task<Status> QueueShard::SweepDuplicates() {
    Memory& memory = *memory_;
    if (!record_->settings.fifo) {
        co_return Status();
    }
    const int64_t minute = memory.advanced_ms / kMinuteMs;
    if (memory.duplicates_swept >= minute) {
        co_return Status();
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    RangeRequest range = keys_->Duplicates().ChildrenBetween(0, minute - kDuplicateMs / kMinuteMs);
    range.limit = kSweepPage;
    HEARTH_CO_TRY(const RangePage page, co_await shared_.kv.Range(std::move(range)));
    for (const KeyValue& item : page.items) {
        Erase(item.key);
    }
    if (!page.next) {
        memory.duplicates_swept = minute;
    }
    co_return Status();
}

Task<Result<std::vector<SentMessage>>> QueueShard::Send(std::vector<OutgoingMessage>& messages) {
    HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
    Memory& memory = *memory_;
    const QueueSettings& settings = record_->settings;
    const int64_t now_ms = NowMs();
    std::vector<SentMessage> sent;
    sent.reserve(messages.size());
    for (OutgoingMessage& message : messages) {
        // From here on an error leaves memory in between, so it ends the whole transaction.
        std::string duplicate_key;
        if (settings.fifo) {
            if (!message.deduplication_id) {
                message.deduplication_id = codec::Sha256Hex(message.body);
            }
            duplicate_key = settings.deduplication_by_group
                                ? message.group_id.value_or("") + '\n' + *message.deduplication_id
                                : *message.deduplication_id;
            const Result<std::optional<DuplicateRecord>> found =
                co_await FindDuplicate(duplicate_key, now_ms);
            if (!found.ok()) {
                co_return Break(found.error());
            }
            if (*found) {
                sent.push_back({(*found)->message_id, SequenceNumber((*found)->sequence)});
                continue;
            }
        }
        const Sequence sequence = memory.shard.next_sequence++;
        MessageRecord record{
            .message_id = shared_.random.Uuid(),
            .sent_ms = now_ms,
            .ready_ms = now_ms,
            .sender_id = std::move(message.sender_id),
            .trace_header = std::move(message.trace_header),
            .group = std::move(message.group_id).value_or(""),
            .deduplication_id = std::move(message.deduplication_id).value_or(""),
            .dead_letter_source = {},
            .body = std::move(message.body),
            .body_md5 = std::move(message.body_md5),
            .attributes = std::move(message.attributes),
            .attributes_md5 = std::move(message.attributes_md5)};
        const std::chrono::milliseconds delay =
            settings.fifo ? settings.delay : message.delay.value_or(settings.delay);
        record.ready_ms += delay.count();
        sent.push_back({record.message_id, settings.fifo ? SequenceNumber(sequence) : ""});
        if (settings.fifo) {
            const DuplicateRecord duplicate{
                .message_id = record.message_id, .sequence = sequence, .sent_ms = now_ms};
            Put(keys_->Duplicate(now_ms / kMinuteMs, duplicate_key), EncodeDuplicate(duplicate));
            memory.duplicates.emplace(std::move(duplicate_key), duplicate);
        }
        Status added = !settings.fifo && delay.count() > 0
                           ? co_await AddDelayed(std::move(record), sequence)
                           : co_await AddFresh(std::move(record), sequence);
        if (!added.ok()) {
            co_return Break(std::move(added).error());
        }
    }
    co_return sent;
}

Task<Status> QueueShard::Accept(std::vector<ArrivingMessage>& messages) {
    const int64_t now_ms = NowMs();
    for (ArrivingMessage& message : messages) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
        Result<MessageRecord> decoded = DecodeMessage(message.encoded);
        if (!decoded.ok()) {
            co_return Break(std::move(decoded).error());
        }
        MessageRecord record = *std::move(decoded);
        record.ready_ms = now_ms;
        if (message.anew) {
            record.message_id = shared_.random.Uuid();
            record.dead_letter_source.clear();
            record.earlier_receives = 0;
            record.first_received_ms = 0;
        } else {
            record.dead_letter_source = message.source_arn;
            record.earlier_receives += message.receives;
            if (record.first_received_ms == 0) {
                record.first_received_ms = message.first_received_ms;
            }
        }
        // A standard queue's dead letters keep their age.
        if (message.anew || record_->settings.fifo) {
            record.sent_ms = now_ms;
        }
        const Sequence sequence = memory_->shard.next_sequence++;
        if (Status added = co_await AddFresh(std::move(record), sequence); !added.ok()) {
            co_return Break(std::move(added).error());
        }
        for (std::string& key : message.deletes) {
            Erase(std::move(key));
        }
        Put(std::move(message.gone_key), "");
    }
    co_return Status();
}

}  // namespace hearth::sqs
