// Receiving, deleting, visibility: what happens to messages once they left their lane.

#include "base/log.h"
#include "services/sqs/queue_errors.h"
#include "services/sqs/queue_shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace hearth::sqs {
namespace {

using storage::KeyValue;
using storage::RangePage;
using storage::RangeRequest;
using storage::keys::KeyReader;

constexpr int64_t kHoursTwelveMs = 12LL * 3'600 * 1'000;
constexpr int64_t kAttemptMs = 5 * 60 * 1'000;
constexpr size_t kAttemptsMax = 1'000;
// How long a message that moves is hidden; it comes back if the move never ended.
constexpr int64_t kMoveMs = 5 * 60 * 1'000;
// Dead letters that leave together, as long as the queue over there has not taken them.
constexpr size_t kLeavingMax = 100;
constexpr size_t kMoveBytesMax = 2 * 1024 * 1024;
// Retention is looked at in steps, so that a big queue goes on working meanwhile.
constexpr size_t kSweepLanes = 32;
constexpr size_t kSweepPlaces = 256;
constexpr size_t kSweepPops = 2'000;

Error ExpiredHandle(const std::string& handle) {
    return queue_errors::InvalidParameterValue(fmt::format(
        "Value {} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
        handle));
}

Error NoMessageToChange(const std::string& handle) {
    return queue_errors::InvalidParameterValue(fmt::format(
        "Value {} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
        "available for visibility timeout change.",
        handle));
}

}  // namespace

bool QueueShard::Expired(int64_t sent_ms) const {
    return sent_ms + std::chrono::milliseconds(record_->settings.retention).count() <= NowMs();
}

bool QueueShard::IsDead(const Place& place) const {
    return record_->settings.redrive && !place.undeliverable &&
           place.receives >= record_->settings.redrive->max_receive_count;
}

bool QueueShard::InFlightFull() const {
    return memory_->in_flight.size() + memory_->moving.size() >= shared_.sizes.in_flight_max;
}

bool QueueShard::Receivable() const {
    const Memory& memory = *memory_;
    return !memory.active.empty() || memory.lanes_here < memory.shard.lanes ||
           !memory.returned.places.empty() || memory.returned.more ||
           (!memory.delays.places.empty() &&
            memory.delays.places.begin()->first.first <= memory.advanced_ms);
}

bool QueueShard::LeavingFull() const {
    return leaving_.size() >= kLeavingMax || leaving_bytes_ >= kMoveBytesMax;
}

Task<Result<std::optional<std::string>>> QueueShard::BodyOf(const Place& place) {
    const std::string key =
        memory_->keys->Body(place.group, place.sequence, place.was_delayed).bytes();
    HEARTH_CO_TRY(std::optional<std::string> body, co_await shared_.kv.Get(key));
    if (!body && !writes_.empty()) {
        // It may be in the transaction that is being gathered.
        HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        HEARTH_CO_TRY(body, co_await shared_.kv.Get(key));
    }
    co_return body;
}

void QueueShard::Remove(const Place& place) {
    const EpochKeys& keys = *memory_->keys;
    Erase(keys.Body(place.group, place.sequence, place.was_delayed));
    // Never received: it still stands among the delays.
    if (place.was_delayed && place.generation == 0) {
        Erase(keys.Delay(place.ready_ms, place.sequence));
    } else {
        Erase(keys.PlaceOf(place.ready_ms, place.sequence));
    }
    --memory_->shard.total;
}

void QueueShard::LeaveFlight(const Place& place) {
    const auto found = memory_->lanes.find(place.group);
    if (found == memory_->lanes.end()) {
        return;
    }
    Lane& lane = *found->second;
    --lane.in_flight;
    Rerank(lane);
}

void QueueShard::GiveBack(Place place) {
    Memory& memory = *memory_;
    memory.by_end.erase({place.ready_ms, place.sequence});
    memory.in_flight.erase(place.sequence);
    receivable_news_ = true;
    if (!record_->settings.fifo) {
        LeaveFlight(place);
        AddToWindow(memory.returned, std::move(place));
        return;
    }
    Lane& lane = LaneStub(place.group);
    const Place counted = place;
    lane.returned.emplace(place.sequence, std::move(place));
    LeaveFlight(counted);
}

// Takes out of its place, into flight or on its way.
void QueueShard::Take(Picking& picking, Place place, std::string encoded) {
    Memory& memory = *memory_;
    const int64_t now_ms = memory.advanced_ms;
    if (place.was_delayed && place.generation == 0) {
        Erase(memory.keys->Delay(place.ready_ms, place.sequence));
    } else if (place.generation > 0) {
        Erase(memory.keys->PlaceOf(place.ready_ms, place.sequence));
    }
    ++place.generation;
    ++LaneStub(place.group).in_flight;
    picking.bytes += encoded.size();
    if (picking.options.moving) {
        place.ready_ms = now_ms + kMoveMs;
        memory.moving.emplace(place.sequence, place);
    } else {
        ++place.receives;
        if (place.first_received_ms == 0) {
            place.first_received_ms = now_ms;
        }
        place.received_ms = now_ms;
        place.ready_ms = now_ms + std::chrono::milliseconds(picking.options.visibility).count();
        memory.in_flight.emplace(place.sequence, place);
        memory.by_end.emplace(place.ready_ms, place.sequence);
        if (place.ready_ms <= now_ms) {
            picking.visible_again.push_back(place);
        }
    }
    Put(memory.keys->PlaceOf(place.ready_ms, place.sequence), EncodePlace(place));
    picking.picked.push_back({.place = std::move(place), .encoded = std::move(encoded)});
}

void QueueShard::LeaveForDeadLetters(Place place, std::string encoded) {
    ++LaneStub(place.group).in_flight;
    memory_->moving.emplace(place.sequence, place);
    leaving_bytes_ += encoded.size();
    leaving_.push_back(
        {.place = std::move(place), .epoch = memory_->shard.epoch, .encoded = std::move(encoded)});
}

Task<Status> QueueShard::Pick(Picking& picking) {
    Status picked =
        record_->settings.fifo ? co_await PickFifo(picking) : co_await PickStandard(picking);
    for (Place& place : picking.visible_again) {
        GiveBack(std::move(place));
    }
    picking.visible_again.clear();
    if (!picked.ok()) {
        // Some of it is in memory already.
        co_return Break(std::move(picked).error());
    }
    co_return Status();
}

Task<Status> QueueShard::PickStandard(Picking& picking) {
    Memory& memory = *memory_;
    bool full = false;
    while (!full && picking.picked.size() < picking.options.max && !InFlightFull() &&
           !LeavingFull()) {
        if (FlushIsDue()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        }
        if (memory.returned.places.empty() && memory.returned.more) {
            HEARTH_CO_RETURN_IF_ERROR(co_await FillReturned());
        }
        if (memory.delays.places.empty() && memory.delays.more) {
            HEARTH_CO_RETURN_IF_ERROR(co_await FillDelays());
        }
        if (memory.lanes_here < memory.shard.lanes &&
            memory.picks_since_walk >= static_cast<int64_t>(memory.active.size())) {
            HEARTH_CO_RETURN_IF_ERROR(co_await WalkLanes());
        }
        PlaceWindow* places = memory.returned.places.empty() ? nullptr : &memory.returned;
        if (!memory.delays.places.empty()) {
            const PlaceKey first = memory.delays.places.begin()->first;
            if (first.first <= memory.advanced_ms &&
                (places == nullptr || first < places->places.begin()->first)) {
                places = &memory.delays;
            }
        }
        Lane* const lane = memory.active.empty() ? nullptr : memory.active.begin()->second;
        if (places == nullptr && lane == nullptr) {
            if (memory.returned.more || memory.delays.more) {
                // A page of places that are all on their way, or none is due.
                if (memory.returned.more) {
                    continue;
                }
            }
            break;
        }
        // Turn by turn: what comes back does not wait for the whole backlog, and messages that
        // fail again and again do not hold up the others.
        const bool take_place = places != nullptr && (lane == nullptr || memory.turn_of_places);
        if (places != nullptr && lane != nullptr) {
            memory.turn_of_places = !memory.turn_of_places;
        }
        HEARTH_CO_RETURN_IF_ERROR(
            take_place ? co_await PickPlace(picking, *places, full)
                       : co_await PickFresh(picking, *lane, full));
    }
    co_return Status();
}

Task<Status> QueueShard::PickPlace(Picking& picking, PlaceWindow& from, bool& full) {
    const auto first = from.places.begin();
    const PlaceKey key = first->first;
    Place place = first->second;
    if (Expired(place.sent_ms)) {
        from.places.erase(key);
        co_return co_await Expire(place);
    }
    HEARTH_CO_TRY(std::optional<std::string> encoded, co_await BodyOf(place));
    if (!encoded) {
        from.places.erase(key);
        co_return co_await ForgetPlace(place);
    }
    if (!picking.options.moving && IsDead(place)) {
        from.places.erase(key);
        LeaveForDeadLetters(std::move(place), *std::move(encoded));
        co_return Status();
    }
    if (!picking.HasRoomFor(encoded->size())) {
        full = true;
        co_return Status();
    }
    from.places.erase(key);
    const std::string group = place.group;
    Take(picking, std::move(place), *std::move(encoded));
    if (!group.empty()) {
        Rerank(LaneStub(group));
    }
    co_return Status();
}

Task<Status> QueueShard::PickFresh(Picking& picking, Lane& lane, bool& full) {
    if (lane.head >= lane.window.size()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FillWindow(lane));
        if (lane.head >= lane.window.size()) {
            Rerank(lane);
            co_return Status();
        }
    }
    if (!picking.HasRoomFor(lane.window[lane.head].encoded.size())) {
        full = true;
        co_return Status();
    }
    Fresh fresh = PopFresh(lane);
    lane.turn = ++memory_->turn;
    ++memory_->picks_since_walk;
    if (Expired(fresh.sent_ms)) {
        Erase(memory_->keys->Body(lane.group, fresh.sequence, false));
        --memory_->shard.total;
    } else {
        Take(
            picking,
            {.ready_ms = fresh.ready_ms,
             .sequence = fresh.sequence,
             .group = lane.group,
             .sent_ms = fresh.sent_ms},
            std::move(fresh.encoded));
    }
    // The only lane of a queue stays where it is.
    if (!lane.group.empty() || memory_->active.size() > 1 || !lane.HasFresh()) {
        Rerank(lane);
    }
    co_return Status();
}

Task<Status> QueueShard::PickFifo(Picking& picking) {
    Memory& memory = *memory_;
    bool full = false;
    while (!full && picking.picked.size() < picking.options.max && !InFlightFull() &&
           !LeavingFull()) {
        // Lanes in storage get their turn, however much comes to those that are here.
        if (memory.lanes_here < memory.shard.lanes &&
            memory.picks_since_walk >= static_cast<int64_t>(memory.active.size())) {
            HEARTH_CO_RETURN_IF_ERROR(co_await WalkLanes());
        }
        if (memory.active.empty()) {
            break;
        }
        Lane& lane = *memory.active.begin()->second;
        ++memory.picks_since_walk;
        Status picked = co_await PickFromFifoLane(picking, lane, full);
        Rerank(lane);
        HEARTH_CO_RETURN_IF_ERROR(std::move(picked));
    }
    co_return Status();
}

// As many of one group as there is room for; then the group is blocked.
Task<Status> QueueShard::PickFromFifoLane(Picking& picking, Lane& lane, bool& full) {
    if (!lane.loaded) {
        HEARTH_CO_RETURN_IF_ERROR(co_await LoadLane(lane));
    }
    while (picking.picked.size() < picking.options.max && !InFlightFull()) {
        if (FlushIsDue()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        }
        if (!lane.returned.empty()) {
            Place place = lane.returned.begin()->second;
            if (Expired(place.sent_ms)) {
                lane.returned.erase(lane.returned.begin());
                HEARTH_CO_RETURN_IF_ERROR(co_await Expire(place));
                continue;
            }
            HEARTH_CO_TRY(std::optional<std::string> encoded, co_await BodyOf(place));
            if (!encoded) {
                lane.returned.erase(place.sequence);
                HEARTH_CO_RETURN_IF_ERROR(co_await ForgetPlace(place));
                continue;
            }
            if (!picking.options.moving && IsDead(place)) {
                // What follows waits until it is over there, as order demands.
                lane.returned.erase(place.sequence);
                LeaveForDeadLetters(std::move(place), *std::move(encoded));
                co_return Status();
            }
            if (!picking.HasRoomFor(encoded->size())) {
                full = true;
                co_return Status();
            }
            lane.returned.erase(place.sequence);
            Take(picking, std::move(place), *std::move(encoded));
            continue;
        }
        if (lane.head >= lane.window.size()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await FillWindow(lane));
            if (lane.head >= lane.window.size()) {
                co_return Status();
            }
        }
        const Fresh& next = lane.window[lane.head];
        if (Expired(next.sent_ms)) {
            const Fresh expired = PopFresh(lane);
            Erase(memory_->keys->Body(lane.group, expired.sequence, false));
            --memory_->shard.total;
            continue;
        }
        if (next.ready_ms > memory_->advanced_ms) {
            co_return Status();
        }
        if (!picking.HasRoomFor(next.encoded.size())) {
            full = true;
            co_return Status();
        }
        Fresh fresh = PopFresh(lane);
        Take(
            picking,
            {.ready_ms = fresh.ready_ms,
             .sequence = fresh.sequence,
             .group = lane.group,
             .sent_ms = fresh.sent_ms},
            std::move(fresh.encoded));
    }
    co_return Status();
}

// Receiving --------------------------------------------------------------------------------------

Task<void> QueueShard::Receive(ReceiveCall& call) {
    const ReceiveRequest& request = call.request;
    const bool fifo = record_->settings.fifo;
    call.waits_ = false;
    if (fifo && !request.attempt_id.empty()) {
        const Result<bool> served = co_await ServeAttempt(call);
        if (!served.ok()) {
            call.result_.emplace(served.error());
            co_return;
        }
        if (*served) {
            co_return;
        }
    }
    Picking picking;
    picking.options = {
        .max = static_cast<size_t>(std::max(request.max, 1)),
        .bytes_max = request.bytes_max,
        .visibility = request.visibility.value_or(record_->settings.visibility)};
    if (Status picked = co_await Pick(picking); !picked.ok()) {
        call.result_.emplace(std::move(picked).error());
        co_return;
    }
    if (picking.picked.empty()) {
        if (request.wait.count() > 0) {
            call.waits_ = true;
        } else if (!fifo && InFlightFull()) {
            call.result_.emplace(queue_errors::OverLimit(
                "The maximum number of in flight messages is reached. To avoid reaching the limit, "
                "delete messages from the queue after they have been processed."));
        } else {
            call.result_.emplace(ReceiveCall::Messages());
        }
        co_return;
    }
    ReceiveCall::Messages messages;
    messages.reserve(picking.picked.size());
    for (const Candidate& candidate : picking.picked) {
        Result<MessageRecord> record = DecodeMessage(candidate.encoded);
        if (!record.ok()) {
            log::Error(
                "sqs: a message of {} cannot be read: {}",
                address_.Arn(),
                record.error().message());
            continue;
        }
        messages.push_back(Show(candidate.place, *std::move(record)));
        call.taken_.emplace_back(candidate.place.sequence, candidate.place.generation);
    }
    if (fifo && !request.attempt_id.empty()) {
        NoteAttempt(call, messages);
    }
    call.result_.emplace(std::move(messages));
}

void QueueShard::NoteAttempt(const ReceiveCall& call, const ReceiveCall::Messages& messages) {
    DropAttempts(kAttemptsMax - 1);
    const std::string& id = call.request.attempt_id;
    const int64_t until_ms = NowMs() + kAttemptMs;
    memory_->attempts[id] = {.until_ms = until_ms, .taken = call.taken_, .messages = messages};
    memory_->attempts_by_end.emplace_back(until_ms, id);
}

void QueueShard::DropAttempts(size_t most) {
    auto& attempts = memory_->attempts;
    auto& by_end = memory_->attempts_by_end;
    while (!by_end.empty() && (by_end.front().first <= NowMs() || attempts.size() > most ||
                               by_end.size() > 2 * kAttemptsMax)) {
        const auto found = attempts.find(by_end.front().second);
        if (found != attempts.end() && found->second.until_ms == by_end.front().first) {
            attempts.erase(found);
        }
        by_end.pop_front();
    }
}

Task<Result<bool>> QueueShard::ServeAttempt(ReceiveCall& call) {
    Memory& memory = *memory_;
    const auto attempt = memory.attempts.find(call.request.attempt_id);
    if (attempt == memory.attempts.end()) {
        co_return false;
    }
    for (const auto& [sequence, generation] : attempt->second.taken) {
        const auto found = memory.in_flight.find(sequence);
        if (found == memory.in_flight.end() || found->second.generation != generation) {
            memory.attempts.erase(attempt);
            co_return false;
        }
    }
    const int64_t ready_ms =
        NowMs() +
        std::chrono::milliseconds(call.request.visibility.value_or(record_->settings.visibility))
            .count();
    for (const auto& [sequence, generation] : attempt->second.taken) {
        Reset(memory.in_flight.at(sequence), ready_ms);
    }
    call.taken_ = attempt->second.taken;
    call.result_.emplace(attempt->second.messages);
    co_return true;
}

// Another end of visibility for a message in flight.
void QueueShard::Reset(Place& place, int64_t ready_ms) {
    if (place.ready_ms == ready_ms) {
        return;
    }
    Erase(memory_->keys->PlaceOf(place.ready_ms, place.sequence));
    memory_->by_end.erase({place.ready_ms, place.sequence});
    place.ready_ms = ready_ms;
    memory_->by_end.emplace(ready_ms, place.sequence);
    Put(memory_->keys->PlaceOf(ready_ms, place.sequence), EncodePlace(place));
}

MessageQueues::Message QueueShard::Show(const Place& place, MessageRecord record) const {
    MessageQueues::Message message;
    message.message_id = std::move(record.message_id);
    message.receipt_handle = shared_.receipts.Seal(
        {.queue = id_,
         .epoch = memory_->shard.epoch,
         .sequence = place.sequence,
         .generation = place.generation,
         .ready_ms = place.ready_ms,
         .was_delayed = place.was_delayed,
         .group = place.group});
    message.body = std::move(record.body);
    message.body_md5 = std::move(record.body_md5);
    auto& facts = message.system_attributes;
    facts["SenderId"] = std::move(record.sender_id);
    facts["SentTimestamp"] = std::to_string(record.sent_ms);
    facts["ApproximateReceiveCount"] = std::to_string(record.earlier_receives + place.receives);
    facts["ApproximateFirstReceiveTimestamp"] = std::to_string(
        record.first_received_ms > 0 ? record.first_received_ms : place.first_received_ms);
    if (!record.group.empty()) {
        facts["MessageGroupId"] = std::move(record.group);
    }
    if (!record.deduplication_id.empty()) {
        facts["MessageDeduplicationId"] = std::move(record.deduplication_id);
    }
    if (record_->settings.fifo) {
        facts["SequenceNumber"] = SequenceNumber(place.sequence);
    }
    if (!record.trace_header.empty()) {
        facts["AWSTraceHeader"] = std::move(record.trace_header);
    }
    if (!record.dead_letter_source.empty()) {
        facts["DeadLetterQueueSourceArn"] = std::move(record.dead_letter_source);
    }
    message.attributes = std::move(record.attributes);
    message.attributes_md5 = std::move(record.attributes_md5);
    return message;
}

Task<void> QueueShard::ServeWaiters() {
    while (!waiting_.empty() && !broken_ && Receivable()) {
        const std::shared_ptr<ReceiveCall> call = waiting_.front();
        waiting_.pop_front();
        if (call->abandoned()) {
            continue;
        }
        co_await Receive(*call);
        if (call->waits_) {
            // What seemed receivable was not; who waited longest stays first.
            if (no_waits_) {
                call->done.Set(ReceiveCall::Messages());
            } else {
                waiting_.push_front(call);
            }
            co_return;
        }
        ran_.push_back(call);
    }
    // Who went away while nothing came leaves the list now and then.
    waiting_.remove_if([](const auto& call) { return call->abandoned(); });
}

void QueueShard::TakeBack(const ReceiveCall& call) {
    if (memory_ == nullptr || call.taken_.empty()) {
        return;
    }
    auto release = [taken = call.taken_](QueueShard& shard) { return shard.Release(taken); };
    Push(std::make_shared<ShardCallOf<void>>(std::move(release)));
}

Task<Status> QueueShard::Release(std::vector<std::pair<Sequence, int32_t>> taken) {
    Memory& memory = *memory_;
    for (const auto& [sequence, generation] : taken) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
        const auto found = memory.in_flight.find(sequence);
        if (found == memory.in_flight.end() || found->second.generation != generation) {
            continue;
        }
        // Nobody saw it, so it was not received.
        Place& place = found->second;
        --place.receives;
        Reset(place, memory.advanced_ms);
        Put(memory.keys->PlaceOf(place.ready_ms, sequence), EncodePlace(place));
        const Place copy = place;
        GiveBack(copy);
    }
    co_return Status();
}

// Handles ----------------------------------------------------------------------------------------

Result<Receipt> QueueShard::OpenHandle(const std::string& handle) const {
    HEARTH_TRY(Receipt receipt, shared_.receipts.Open(handle));
    if (receipt.queue != id_) {
        return queue_errors::ReceiptHandleIsInvalid(handle);
    }
    return receipt;
}

Task<Result<std::vector<Status>>> QueueShard::DeleteMessages(
    const std::vector<std::string>& handles) {
    std::vector<Status> results;
    results.reserve(handles.size());
    for (const std::string& handle : handles) {
        if (FlushIsDue()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
        }
        const Result<Receipt> receipt = OpenHandle(handle);
        if (!receipt.ok()) {
            results.emplace_back(receipt.error());
            continue;
        }
        std::optional<Status> deleted = DeleteAtOnce(*receipt, handle);
        if (!deleted) {
            deleted.emplace(co_await DeleteStored(*receipt, handle));
            HEARTH_CO_RETURN_IF_ERROR(broken_ ? Status(*broken_) : Status());
        }
        results.push_back(*std::move(deleted));
    }
    co_return results;
}

std::optional<Status> QueueShard::DeleteAtOnce(const Receipt& receipt, const std::string& handle) {
    Memory& memory = *memory_;
    if (receipt.epoch != memory.shard.epoch) {
        // Purged, which is as good as deleted.
        return Status();
    }
    if (const auto found = memory.in_flight.find(receipt.sequence);
        found != memory.in_flight.end()) {
        if (found->second.generation != receipt.generation) {
            // Received again since: the later receipt is the one that counts.
            return record_->settings.fifo ? Status(ExpiredHandle(handle)) : Status();
        }
        const Place place = std::move(found->second);
        memory.in_flight.erase(found);
        memory.by_end.erase({place.ready_ms, place.sequence});
        Remove(place);
        LeaveFlight(place);
        return Status();
    }
    if (memory.moving.contains(receipt.sequence)) {
        return Status();
    }
    return std::nullopt;
}

// Of a message that is visible again, or gone.
Task<Status> QueueShard::DeleteStored(const Receipt& receipt, const std::string& handle) {
    Memory& memory = *memory_;
    Place place{
        .ready_ms = receipt.ready_ms,
        .sequence = receipt.sequence,
        .group = receipt.group,
        .generation = receipt.generation,
        .was_delayed = receipt.was_delayed};
    if (Status flushed = co_await Flush(); !flushed.ok()) {
        co_return flushed;
    }
    Result<std::optional<std::string>> body = co_await BodyOf(place);
    if (!body.ok()) {
        co_return Break(std::move(body).error());
    }
    if (!*body) {
        co_return Status();
    }
    if (record_->settings.fifo) {
        co_return ExpiredHandle(handle);
    }
    // If its place is another one, that is noticed when its turn comes.
    memory.returned.places.erase({place.ready_ms, place.sequence});
    Remove(place);
    co_return Status();
}

Task<Result<std::vector<Status>>> QueueShard::ChangeVisibility(
    const std::vector<QueueEngine::VisibilityChange>& changes) {
    std::vector<Status> results;
    results.reserve(changes.size());
    for (const QueueEngine::VisibilityChange& change : changes) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
        Status changed = co_await ChangeOne(change);
        HEARTH_CO_RETURN_IF_ERROR(broken_ ? Status(*broken_) : Status());
        results.push_back(std::move(changed));
    }
    co_return results;
}

Task<Status> QueueShard::ChangeOne(const QueueEngine::VisibilityChange& change) {
    HEARTH_CO_TRY(const Receipt receipt, OpenHandle(change.handle));
    Memory& memory = *memory_;
    if (receipt.epoch != memory.shard.epoch) {
        co_return NoMessageToChange(change.handle);
    }
    const auto found = memory.in_flight.find(receipt.sequence);
    if (found == memory.in_flight.end() || found->second.generation != receipt.generation) {
        if (found == memory.in_flight.end() && !memory.moving.contains(receipt.sequence)) {
            const Place place{
                .sequence = receipt.sequence,
                .group = receipt.group,
                .was_delayed = receipt.was_delayed};
            if (Status flushed = co_await Flush(); !flushed.ok()) {
                co_return flushed;
            }
            Result<std::optional<std::string>> body = co_await BodyOf(place);
            if (!body.ok()) {
                co_return Break(std::move(body).error());
            }
            if (*body) {
                co_return queue_errors::MessageNotInflight();
            }
        }
        co_return NoMessageToChange(change.handle);
    }
    Place& place = found->second;
    const int64_t ready_ms = NowMs() + std::chrono::milliseconds(change.timeout).count();
    if (ready_ms > place.received_ms + kHoursTwelveMs) {
        co_return queue_errors::InvalidParameterValue(fmt::format(
            "Value {} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout "
            "for the message is beyond the limit [43200 seconds].",
            change.timeout.count()));
    }
    Reset(place, ready_ms);
    if (change.timeout.count() == 0) {
        const Place copy = place;
        GiveBack(copy);
    }
    co_return Status();
}

// To other queues --------------------------------------------------------------------------------

Task<Result<QueueShard::Departures>> QueueShard::TakeForMove(int max) {
    Picking picking;
    picking.options = {.max = static_cast<size_t>(max), .bytes_max = kMoveBytesMax, .moving = true};
    HEARTH_CO_RETURN_IF_ERROR(co_await Pick(picking));
    Departures departures;
    departures.reserve(picking.picked.size());
    for (Candidate& candidate : picking.picked) {
        LeavingMessage leaving{
            .place = std::move(candidate.place),
            .epoch = memory_->shard.epoch,
            .encoded = std::move(candidate.encoded)};
        ArrivingMessage arriving = Departure(leaving, true);
        leaving.encoded.clear();
        departures.emplace_back(std::move(leaving), std::move(arriving));
    }
    co_return departures;
}

ArrivingMessage QueueShard::Departure(const LeavingMessage& message, bool anew) const {
    const EpochKeys keys(*keys_, message.epoch);
    const Place& place = message.place;
    ArrivingMessage arriving;
    arriving.encoded = message.encoded;
    arriving.source_arn = address_.Arn();
    arriving.anew = anew;
    arriving.receives = place.receives;
    arriving.first_received_ms = place.first_received_ms;
    arriving.deletes.push_back(keys.Body(place.group, place.sequence, place.was_delayed));
    arriving.deletes.push_back(keys.PlaceOf(place.ready_ms, place.sequence));
    arriving.gone_key = keys.Gone(place.sequence).bytes();
    return arriving;
}

Task<void> QueueShard::MoveAway(std::vector<LeavingMessage> messages) {
    bool moved = false;
    if (record_ != nullptr && record_->settings.redrive) {
        const Result<QueueAddress> target =
            QueueAddress::FromArn(record_->settings.redrive->dead_letter_arn);
        // A queue that is its own dead-letter queue would wait for itself for ever.
        if (target.ok() && *target != address_) {
            std::vector<ArrivingMessage> arriving;
            arriving.reserve(messages.size());
            for (const LeavingMessage& message : messages) {
                arriving.push_back(Departure(message, false));
            }
            const Status given = co_await shared_.give(*target, std::move(arriving));
            moved = given.ok();
            if (!moved) {
                log::Warn(
                    "sqs: {} cannot give messages to its dead-letter queue: {}",
                    address_.Arn(),
                    given.error().message());
            }
        }
    }
    --moves_running_;
    auto done = [messages = std::move(messages), moved](QueueShard& shard) -> Task<Status> {
        return shard.Moved(messages, moved);
    };
    Push(std::make_shared<ShardCallOf<void>>(std::move(done)));
}

Task<Status> QueueShard::Moved(std::vector<LeavingMessage> messages, bool moved) {
    Memory& memory = *memory_;
    // Who came while no more could leave was sent away empty-handed.
    receivable_news_ = true;
    for (LeavingMessage& message : messages) {
        HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
        const Place& place = message.place;
        if (message.epoch != memory.shard.epoch) {
            continue;
        }
        const std::string gone = memory.keys->Gone(place.sequence).bytes();
        const auto found = memory.moving.find(place.sequence);
        if (found == memory.moving.end()) {
            // The shard was read anew meanwhile: whether it counted this as gone already is what
            // the mark says.
            HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
            Result<std::optional<std::string>> mark = co_await shared_.kv.Get(gone);
            if (!mark.ok()) {
                co_return Break(std::move(mark).error());
            }
            if (*mark) {
                --memory.shard.total;
                Erase(gone);
            }
            continue;
        }
        memory.moving.erase(found);
        if (moved) {
            --memory.shard.total;
            Erase(gone);
            LeaveFlight(place);
            continue;
        }
        // Delivered as if there were no dead-letter queue, until the next try.
        Place back = place;
        back.undeliverable = true;
        receivable_news_ = true;
        if (record_->settings.fifo) {
            LaneStub(back.group).returned.emplace(back.sequence, std::move(back));
        } else {
            const PlaceKey key{back.ready_ms, back.sequence};
            memory.returned.places.emplace(key, std::move(back));
        }
        LeaveFlight(place);
    }
    co_return Status();
}

// Retention --------------------------------------------------------------------------------------

Task<Status> QueueShard::Expire(const Place& place) {
    HEARTH_CO_TRY(const std::optional<std::string> body, co_await BodyOf(place));
    if (!body) {
        co_return co_await ForgetPlace(place);
    }
    Remove(place);
    const auto tenth = memory_->tenths.find((place.ready_ms + 99) / 100);
    if (place.was_delayed && place.generation == 0 && tenth != memory_->tenths.end()) {
        --tenth->second;
        Put(memory_->keys->Tenth(tenth->first), std::to_string(tenth->second));
    }
    co_return Status();
}

// A place without its message: that was deleted when nobody knew its place, or another queue took
// it over and the answer was lost.
Task<Status> QueueShard::ForgetPlace(const Place& place) {
    if (place.was_delayed && place.generation == 0) {
        Erase(memory_->keys->Delay(place.ready_ms, place.sequence));
    } else {
        Erase(memory_->keys->PlaceOf(place.ready_ms, place.sequence));
    }
    const std::string gone = memory_->keys->Gone(place.sequence).bytes();
    HEARTH_CO_TRY(const std::optional<std::string> mark, co_await shared_.kv.Get(gone));
    if (mark) {
        --memory_->shard.total;
        Erase(gone);
    }
    co_return Status();
}

// One step of a walk over everything that has an age: lanes from their heads, then places, then
// delays. Inside a lane age follows order, but for dead letters that came later and are older; they
// expire when their turn comes.
Task<Status> QueueShard::SweepStep() {
    Memory& memory = *memory_;
    if (!memory.sweeping) {
        memory.sweeping = true;
        memory.sweep_phase = 0;
        memory.sweep_from.reset();
        memory.sweep_oldest_ms = memory.advanced_ms;
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Flush());
    const EpochKeys& keys = *memory.keys;
    RangeRequest range = memory.sweep_phase == 0   ? keys.Lanes().Children()
                         : memory.sweep_phase == 1 ? keys.Places().Children()
                                                   : keys.Delays().Children();
    if (memory.sweep_from) {
        range.begin = *memory.sweep_from;
    }
    range.limit = memory.sweep_phase == 0 ? kSweepLanes : kSweepPlaces;
    HEARTH_CO_TRY(RangePage page, co_await shared_.kv.Range(std::move(range)));
    size_t pops = 0;
    for (const KeyValue& item : page.items) {
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(EpochKeys::kComponents));
        if (memory.sweep_phase == 0) {
            HEARTH_CO_TRY(const std::string group, reader.String());
            HEARTH_CO_TRY(Lane* const lane, co_await LaneOf(group));
            while (true) {
                HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
                HEARTH_CO_RETURN_IF_ERROR(co_await FillWindow(*lane));
                if (lane->head >= lane->window.size()) {
                    break;
                }
                const int64_t sent_ms = lane->window[lane->head].sent_ms;
                if (!Expired(sent_ms)) {
                    memory.sweep_oldest_ms = std::min(memory.sweep_oldest_ms, sent_ms);
                    break;
                }
                if (++pops > kSweepPops) {
                    // Go on here.
                    memory.sweep_from = item.key;
                    Rerank(*lane);
                    co_return Status();
                }
                const Fresh expired = PopFresh(*lane);
                Erase(keys.Body(group, expired.sequence, false));
                --memory.shard.total;
            }
            Rerank(*lane);
            continue;
        }
        HEARTH_CO_TRY(Place place, DecodePlace(item.value));
        HEARTH_CO_TRY(place.ready_ms, reader.Integer());
        HEARTH_CO_TRY(place.sequence, reader.Integer());
        if (!Expired(place.sent_ms)) {
            memory.sweep_oldest_ms = std::min(memory.sweep_oldest_ms, place.sent_ms);
            continue;
        }
        if (memory.moving.contains(place.sequence)) {
            continue;
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await FlushIfLarge());
        const PlaceKey key{place.ready_ms, place.sequence};
        memory.returned.places.erase(key);
        memory.delays.places.erase(key);
        HEARTH_CO_RETURN_IF_ERROR(co_await Expire(place));
        if (memory.in_flight.erase(place.sequence) > 0) {
            memory.by_end.erase(key);
            LeaveFlight(place);
        } else if (const auto lane = memory.lanes.find(place.group); lane != memory.lanes.end()) {
            if (lane->second->returned.erase(place.sequence) > 0) {
                Rerank(*lane->second);
            }
        }
    }
    if (page.next) {
        memory.sweep_from = *std::move(page.next);
        co_return Status();
    }
    memory.sweep_from.reset();
    if (++memory.sweep_phase <= 2) {
        co_return Status();
    }
    memory.sweeping = false;
    memory.shard.oldest_ms = memory.sweep_oldest_ms;
    // Not more often than retention is exact.
    constexpr int64_t kRestMs = 1'000;
    memory.next_sweep_ms = memory.advanced_ms + kRestMs;
    co_return Status();
}

}  // namespace hearth::sqs
