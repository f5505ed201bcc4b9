#include "services/lambda/mapping_poller.h"

#include "base/log.h"
#include "base/random.h"
#include "rt/loops.h"
#include "services/lambda/mapping_limits.h"
#include "services/lambda/recursion.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iterator>
#include <utility>

namespace hearth::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// After an error that is not the function's own: no environment, no such function.
constexpr milliseconds kPauseMin = seconds(1);
constexpr milliseconds kPauseMax = seconds(60);
// A message that is not taken over before its visibility ends would be worked on twice.
constexpr milliseconds kVisibilityMargin = seconds(1);

constexpr size_t kRecordsOverhead = 16;
constexpr std::string_view kRecursiveInvocationCode = "RecursiveInvocationException";

milliseconds BackOff(Random& random, milliseconds least, milliseconds most, int attempt) {
    const auto step = std::min<int64_t>(most.count(), least.count() << std::min(attempt, 16));
    uint32_t bits = 0;
    random.Fill({reinterpret_cast<uint8_t*>(&bits), sizeof bits});
    // Between half of it and all of it.
    return milliseconds(step / 2 + static_cast<int64_t>(bits) % (step / 2 + 1));
}

}  // namespace

std::string QueueWakeKey(std::string_view queue_arn) {
    // arn:aws:sqs:<region>:<account>:<name>
    std::vector<std::string_view> parts;
    while (parts.size() < 5) {
        const size_t colon = queue_arn.find(':');
        if (colon == std::string_view::npos) {
            return {};
        }
        parts.push_back(queue_arn.substr(0, colon));
        queue_arn.remove_prefix(colon + 1);
    }
    return fmt::format("sqs/{}/{}/{}", parts[4], parts[3], queue_arn);
}

void MappingActivity::Enter() {
    ++count_;
    quiet_.Reset();
}

void MappingActivity::Leave() {
    if (--count_ == 0) {
        quiet_.Set();
    }
}

Task<bool> MappingActivity::WaitForQuiet(seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    // Hints that are on their way become work first.
    co_await rt::Yield();
    while (count_ > 0) {
        if (!co_await quiet_.WaitUntil(deadline)) {
            co_return false;
        }
        co_await rt::Yield();
    }
    co_return true;
}

MappingPoller::MappingPoller(MappingWorld& world, MappingRecord record)
    : world_(world),
      record_(std::move(record)),
      function_arn_(record_.FunctionArn()),
      scale_(record_) {
    auto filters = MappingFilters::Compile(record_.filters);
    if (filters.ok()) {
        filters_ = *std::move(filters);
    } else {
        // Checked when it was stored; an older Hearth may have seen it otherwise.
        log::Error("lambda: filters of {}: {}", record_.Arn(), filters.error().message());
        stopped_ = true;
    }
}

MappingPoller::~MappingPoller() = default;

void MappingPoller::Start() {
    if (stopped_) {
        return;
    }
    watch_ = world_.wakes.Listen(QueueWakeKey(record_.source_arn), [this] { Pump(); });
    Pump();
}

void MappingPoller::Stop() {
    stopped_ = true;
    watch_.reset();
    window_.reset();
    growth_.reset();
    pause_.reset();
    for (MappingTurns::Turn* const turn : waiting_) {
        turn->event().Set();
    }
    std::vector<std::string> handles;
    for (Held& held : held_) {
        handles.push_back(std::move(held.handle));
    }
    held_.clear();
    held_bytes_ = 0;
    if (!handles.empty()) {
        world_.tasks.Spawn([self = shared_from_this(), handles = std::move(handles)]() mutable {
            return self->GiveBack(std::move(handles));
        });
    }
}

void MappingPoller::Pump() {
    again_ = true;
    if (pumping_ || stopped_) {
        return;
    }
    pumping_ = true;
    world_.tasks.Spawn([self = shared_from_this()] { return self->PumpAll(); });
}

Task<void> MappingPoller::PumpAll() {
    const MappingActivity::Unit active(world_.activity);
    while (again_ && !stopped_) {
        again_ = false;
        while (co_await Step()) {
        }
    }
    pumping_ = false;
}

bool MappingPoller::AtLimit() const {
    return running_ >= scale_.Allowed(world_.clock.Now());
}

Task<bool> MappingPoller::Step() {
    Launch();
    // What is taken now would only wait, and its visibility would run out.
    if (stopped_ || paused_ || throttled_ > 0) {
        co_return false;
    }
    if (AtLimit()) {
        scale_.Saturated(world_.clock.Now());
        ArmGrowth();
        co_return false;
    }
    // While others wait for the function, messages are taken when their turn has come: until then
    // they are better off in their queue.
    std::unique_ptr<MappingTurns::Turn> turn;
    if (held_.empty() && record_.batch_window.count() == 0 && world_.turns.Busy(Function())) {
        turn = std::make_unique<MappingTurns::Turn>(world_.turns, Function(), record_.id);
        if (!co_await WaitTurn(*turn, std::nullopt) || paused_ || throttled_ > 0 || AtLimit()) {
            co_return false;
        }
    }
    MessageQueues::ReceiveOptions options;
    options.max = record_.batch_size - static_cast<int32_t>(held_.size());
    options.bytes_max =
        limits::kBatchPayloadBytesMax - std::min(held_bytes_, limits::kBatchPayloadBytesMax - 1);
    auto messages = co_await world_.queues.Receive(record_.source_arn, options);
    if (stopped_) {
        if (messages.ok() && !messages->empty()) {
            std::vector<std::string> handles;
            for (MessageQueues::Message& message : *messages) {
                handles.push_back(std::move(message.receipt_handle));
            }
            co_await GiveBack(std::move(handles));
        }
        co_return false;
    }
    if (!messages.ok()) {
        if (messages.error().kind() == Error::Kind::kNotFound) {
            // A queue made again under this name wakes us with its first message.
            last_result_ = "PROBLEM: The specified queue does not exist.";
            co_return false;
        }
        Pause(messages.error());
        co_return false;
    }
    if (messages->empty()) {
        scale_.Drained();
        if (growth_) {
            growth_->Set(std::nullopt);
        }
        co_return false;
    }
    const bool full = messages->size() == static_cast<size_t>(options.max);
    size_t bytes = 0;
    for (const MessageQueues::Message& message : *messages) {
        bytes += message.body.size();
    }
    const bool took = co_await TakeIn(*std::move(messages));
    Launch(std::move(turn));
    // Fewer than asked for: there were no more, and who sends the next wakes us. Bytes may have
    // been the reason, or that a queue with groups gives them out in turns.
    co_return took && (full || record_.fifo || bytes > options.bytes_max / 2);
}

Task<bool> MappingPoller::TakeIn(std::vector<MessageQueues::Message> messages) {
    std::vector<std::string> unwanted;
    const bool was_empty = held_.empty();
    for (MessageQueues::Message& message : messages) {
        Held held;
        held.record = MakeQueueRecord(message, record_.source_arn, record_.region.text());
        if (!filters_.Match(held.record)) {
            unwanted.push_back(std::move(message.receipt_handle));
            continue;
        }
        held.message_id = std::move(message.message_id);
        held.handle = std::move(message.receipt_handle);
        if (const auto trace = message.system_attributes.find("AWSTraceHeader");
            trace != message.system_attributes.end()) {
            held.trace_header = std::move(trace->second);
            std::string lineage = held.trace_header;
            held.recursions = ExtendLineage(lineage, function_arn_, {});
        }
        held_bytes_ += held.record.size() + 1;
        held_.push_back(std::move(held));
    }
    if (was_empty && !held_.empty()) {
        held_since_ = world_.clock.Now();
        window_over_ = false;
        if (record_.batch_window.count() > 0) {
            if (!window_) {
                window_ = world_.due_times.Make([this] {
                    window_over_ = true;
                    Pump();
                });
            }
            window_->Set(held_since_ + record_.batch_window);
        }
    }
    if (!unwanted.empty()) {
        // Before the next batch, so that what does not match cannot pile up in flight.
        co_await Delete(std::move(unwanted));
    }
    co_return !stopped_;
}

bool MappingPoller::Ready() const {
    return !held_.empty() && (record_.batch_window.count() == 0 || window_over_ ||
                              held_.size() >= static_cast<size_t>(record_.batch_size) ||
                              held_bytes_ + kRecordsOverhead >= limits::kBatchPayloadBytesMax);
}

MappingPoller::Batch MappingPoller::TakeBatch() {
    Batch batch;
    batch.received = held_since_;
    size_t bytes = kRecordsOverhead;
    size_t count = 0;
    const auto recursive = [this](size_t index) {
        return held_[index].recursions >= kRecursionsMax;
    };
    for (; count < std::min(held_.size(), static_cast<size_t>(record_.batch_size)); ++count) {
        const size_t more = held_[count].record.size() + 1;
        if (count > 0 &&
            (bytes + more > limits::kBatchPayloadBytesMax || recursive(count) != recursive(0))) {
            break;
        }
        bytes += more;
        held_bytes_ -= more;
    }
    const auto end = held_.begin() + static_cast<std::ptrdiff_t>(count);
    batch.messages.assign(std::make_move_iterator(held_.begin()), std::make_move_iterator(end));
    held_.erase(held_.begin(), end);
    if (record_.fifo && !held_.empty()) {
        // They may be of the same groups and would overtake; their groups wait for this batch.
        std::vector<std::string> rest;
        for (Held& held : held_) {
            rest.push_back(std::move(held.handle));
        }
        held_.clear();
        held_bytes_ = 0;
        world_.tasks.Spawn([self = shared_from_this(), rest = std::move(rest)]() mutable {
            return self->GiveBack(std::move(rest));
        });
    }
    if (held_.empty()) {
        window_over_ = false;
        if (window_) {
            window_->Set(std::nullopt);
        }
    }
    return batch;
}

MappingTurns::Function MappingPoller::Function() const {
    return {record_.account, record_.region, record_.function_name};
}

void MappingPoller::Launch(std::unique_ptr<MappingTurns::Turn> turn) {
    while (!stopped_ && !paused_ && throttled_ == 0 && Ready() && !AtLimit()) {
        ++running_;
        world_.tasks.Spawn(
            [self = shared_from_this(), batch = TakeBatch(), turn = std::move(turn)]() mutable {
                return self->Run(std::move(batch), std::move(turn));
            });
    }
}

void MappingPoller::ArmGrowth() {
    const auto next = scale_.NextGrowth(world_.clock.Now());
    if (!growth_) {
        if (!next) {
            return;
        }
        growth_ = world_.due_times.Make([this] { Pump(); });
    }
    growth_->Set(next);
}

Task<bool> MappingPoller::WaitTurn(
    MappingTurns::Turn& turn, std::optional<CloudClock::time_point> until) {
    std::unique_ptr<flow::DueTimes::Entry> entry;
    if (until) {
        entry = world_.due_times.Make([&turn] { turn.event().Set(); });
        entry->Set(until);
    }
    // It may end by the cloud's clock, which must not wait for it.
    world_.activity.Leave();
    waiting_.insert(&turn);
    if (!stopped_) {
        co_await turn.event().Wait();
    }
    waiting_.erase(&turn);
    world_.activity.Enter();
    co_return turn.called() && !stopped_ && (!until || world_.clock.Now() < *until);
}

Task<CloudClock::time_point> MappingPoller::WorkableUntil(const Batch& batch) {
    const auto queue = co_await world_.queues.Find(record_.source_arn);
    co_return batch.received +
        (queue.ok() ? queue->visibility_timeout - kVisibilityMargin : milliseconds(0));
}

Task<void> MappingPoller::Run(Batch batch, std::unique_ptr<MappingTurns::Turn> turn) {
    const MappingActivity::Unit active(world_.activity);
    std::vector<std::string> records;
    // Of all chains that meet in this batch the one that has run longest goes on.
    std::string trace_header;
    int32_t recursions = -1;
    for (Held& held : batch.messages) {
        records.push_back(std::move(held.record));
        if (!held.trace_header.empty() && held.recursions > recursions) {
            trace_header = held.trace_header;
            recursions = held.recursions;
        }
    }
    std::string payload = MakeQueueEvent(records);
    records.clear();

    std::optional<CloudClock::time_point> until;
    for (;;) {
        if (!turn && world_.turns.Busy(Function())) {
            turn = std::make_unique<MappingTurns::Turn>(world_.turns, Function(), record_.id);
        }
        if (turn && !turn->called()) {
            ++throttled_;
            if (!until) {
                until = co_await WorkableUntil(batch);
            }
            const bool may_try = co_await WaitTurn(*turn, until);
            --throttled_;
            if (!may_try) {
                last_result_ = "PROBLEM: Function call was throttled";
                turn.reset();
                if (stopped_) {
                    std::vector<std::string> handles;
                    for (Held& held : batch.messages) {
                        handles.push_back(std::move(held.handle));
                    }
                    co_await GiveBack(std::move(handles));
                }
                break;
            }
        }
        const auto result = co_await Call(payload, trace_header);
        if (result.ok()) {
            errors_ = 0;
            // The function is free already; what is left is the queue's.
            if (turn) {
                turn->Used();
                turn.reset();
            }
            co_await Settle(batch, *result);
            break;
        }
        if (result.error().kind() == Error::Kind::kThrottled) {
            if (turn) {
                turn->Refused();
            } else {
                turn = std::make_unique<MappingTurns::Turn>(world_.turns, Function(), record_.id);
            }
            continue;
        }
        turn.reset();
        if (result.error().code() == kRecursiveInvocationCode) {
            co_await EndRecursion(batch);
        } else {
            // The messages come back when their visibility ends.
            if (!stopped_) {
                scale_.Failed(world_.clock.Now());
                Pause(result.error());
            }
        }
        break;
    }
    --running_;
    Pump();
}

Task<Result<InvokeResult>> MappingPoller::Call(
    const std::string& payload, const std::string& trace_header) {
    std::string what;
    try {
        co_return co_await world_.call(record_, payload, trace_header);
    } catch (const std::exception& thrown) {
        // A bug there must neither keep a place of this mapping nor end the others.
        what = thrown.what();
    }
    co_return hearth::errors::Internal(what);
}

Task<void> MappingPoller::Settle(const Batch& batch, const InvokeResult& result) {
    if (!result.function_error.empty()) {
        last_result_ = "PROBLEM: Function call failed";
        scale_.Failed(world_.clock.Now());
        co_return;
    }
    std::vector<std::string> done;
    if (record_.report_batch_item_failures) {
        std::set<std::string, std::less<>> ids;
        for (const Held& held : batch.messages) {
            ids.insert(held.message_id);
        }
        const BatchOutcome outcome = ReadBatchAnswer(result.payload, ids);
        if (outcome.all_failed) {
            last_result_ = "PROBLEM: Function call failed";
            scale_.Failed(world_.clock.Now());
            co_return;
        }
        for (const Held& held : batch.messages) {
            if (!outcome.failed.contains(held.message_id)) {
                done.push_back(held.handle);
            }
        }
    } else {
        for (const Held& held : batch.messages) {
            done.push_back(held.handle);
        }
    }
    last_result_ = "OK";
    scale_.Succeeded();
    if (!done.empty()) {
        co_await Delete(std::move(done));
    }
}

Task<void> MappingPoller::EndRecursion(const Batch& batch) {
    last_result_ = "PROBLEM: Recursive invocation was stopped";
    const auto queue = co_await world_.queues.Find(record_.source_arn);
    if (queue.ok() && queue->max_receive_count) {
        co_return;
    }
    std::vector<std::string> handles;
    for (const Held& held : batch.messages) {
        handles.push_back(held.handle);
    }
    co_await Delete(std::move(handles));
}

Task<void> MappingPoller::Delete(std::vector<std::string> handles) {
    const Status status = co_await world_.queues.Delete(record_.source_arn, std::move(handles));
    if (!status.ok() && status.error().kind() != Error::Kind::kNotFound) {
        // They come again, as anything may that is delivered at least once.
        log::Warn(
            "lambda: deleting messages of {}: {}", record_.source_arn, status.error().message());
    }
}

Task<void> MappingPoller::GiveBack(std::vector<std::string> handles) {
    const Status status =
        co_await world_.queues.ChangeVisibility(record_.source_arn, std::move(handles), seconds(0));
    if (!status.ok() && status.error().kind() != Error::Kind::kNotFound) {
        log::Warn(
            "lambda: giving back messages of {}: {}", record_.source_arn, status.error().message());
    }
}

void MappingPoller::Pause(const Error& error) {
    last_result_ = fmt::format("PROBLEM: {}", error.message());
    if (errors_ == 0) {
        log::Warn(
            "lambda: {} from {} to {}: {}",
            record_.Arn(),
            record_.source_arn,
            function_arn_,
            error.message());
    }
    if (paused_ || stopped_) {
        return;
    }
    paused_ = true;
    if (!pause_) {
        pause_ = world_.due_times.Make([this] {
            paused_ = false;
            Pump();
        });
    }
    pause_->Set(world_.clock.Now() + BackOff(world_.random, kPauseMin, kPauseMax, errors_));
    errors_ = std::min(errors_ + 1, 16);
}

}  // namespace hearth::lambda
