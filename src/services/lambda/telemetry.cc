#include "services/lambda/telemetry.h"

#include "base/log.h"
#include "rt/timeout.h"
#include "rt/timer.h"
#include "services/lambda/platform_log.h"
#include "services/lambda/platform_records.h"
#include "services/lambda/telemetry_client.h"

#include <algorithm>
#include <utility>

namespace hearth::lambda {

namespace {

using std::chrono::steady_clock;

// What is kept for subscribers to come.
constexpr size_t kHistoryBytesMax = 256 * 1024;
constexpr std::chrono::seconds kAttemptMax{5};
constexpr int kAttemptsMax = 3;
constexpr std::chrono::milliseconds kBackoff{100};
constexpr std::string_view kDroppedReason =
    "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";

}  // namespace

struct Telemetry::Subscriber {
    std::string extension;
    TelemetrySubscription subscription;
    // Events with commas or newlines between them.
    std::string batch;
    size_t items = 0;
    steady_clock::time_point due;
    bool sending = false;
    size_t dropped_bytes = 0;
    size_t dropped_items = 0;
    // Of a TCP subscriber, kept.
    os::Fd connection;
    // The subscription has changed since.
    bool reconnect = false;
    rt::Event work;

    bool full() const {
        return items >= subscription.items_max || batch.size() >= subscription.bytes_max;
    }
};

Telemetry::Telemetry(MakeSocket make_socket, const WallClock& clock)
    : make_socket_(std::move(make_socket)), clock_(clock) {}

Telemetry::~Telemetry() = default;

Status Telemetry::Subscribe(const std::string& extension, TelemetrySubscription subscription) {
    const auto known = std::find_if(
        subscribers_.begin(), subscribers_.end(), [&](const std::shared_ptr<Subscriber>& one) {
            return one->extension == extension;
        });
    if (known != subscribers_.end()) {
        if ((*known)->subscription.logs_api() != subscription.logs_api()) {
            return errors::Malformed(
                subscription.logs_api()
                    ? "the extension has subscribed to the Telemetry API already"
                    : "the extension has subscribed to the Logs API already");
        }
        (*known)->subscription = std::move(subscription);
        (*known)->reconnect = true;
        return {};
    }
    auto subscriber = std::make_shared<Subscriber>();
    subscriber->extension = extension;
    subscriber->subscription = std::move(subscription);
    subscribers_.push_back(subscriber);
    for (const Past& past : history_) {
        if (past.event.has_value()) {
            Give(*subscriber, past.at, *past.event);
        } else {
            Give(*subscriber, past.stream, LogLine{.at = past.at, .text = past.text});
        }
    }
    tasks_.Spawn(Run(std::move(subscriber)));
    return {};
}

void Telemetry::CloseHistory() {
    history_open_ = false;
    history_.clear();
    history_.shrink_to_fit();
}

void Telemetry::Publish(WallClock::time_point at, const PlatformEvent& event) {
    for (const auto& subscriber : subscribers_) {
        Give(*subscriber, at, event);
    }
    if (history_open_ && history_bytes_ < kHistoryBytesMax) {
        history_bytes_ += 512;
        history_.push_back(Past{.at = at, .event = event});
    }
}

void Telemetry::Publish(TelemetryStream stream, const LogLine& line) {
    for (const auto& subscriber : subscribers_) {
        Give(*subscriber, stream, line);
    }
    if (history_open_ && history_bytes_ < kHistoryBytesMax) {
        history_bytes_ += line.text.size() + sizeof(Past);
        history_.push_back(Past{.at = line.at, .event = {}, .stream = stream, .text = line.text});
    }
}

void Telemetry::Give(Subscriber& subscriber, WallClock::time_point at, const PlatformEvent& event) {
    const TelemetrySubscription& subscription = subscriber.subscription;
    if (!subscription.Wants(TelemetryStream::kPlatform)) {
        return;
    }
    const bool logs = subscription.logs_api();
    const std::string_view type = logs ? event.logs_type : event.type;
    if (type.empty() || (logs && event.logs_20210318_only &&
                         subscription.schema != TelemetrySchema::kLogs20210318)) {
        return;
    }
    Add(subscriber, at, type, codec::WriteJson(logs ? event.logs_record : event.record));
}

void Telemetry::Give(Subscriber& subscriber, TelemetryStream stream, const LogLine& line) {
    const TelemetrySubscription& subscription = subscriber.subscription;
    if (!subscription.Wants(stream)) {
        return;
    }
    if (subscriber.full()) {
        subscriber.dropped_bytes += line.text.size();
        ++subscriber.dropped_items;
        return;
    }
    std::string record;
    // What is JSON already stays it; older schemas have texts only.
    if (subscription.schema >= TelemetrySchema::kTelemetry20221213 && line.text.starts_with('{')) {
        if (const auto json = codec::ParseJson(line.text); json.ok() && json->is_object()) {
            record = codec::WriteJson(*json);
        }
    }
    if (record.empty()) {
        codec::AppendJsonString(record, line.text);
    }
    Add(subscriber,
        line.at,
        stream == TelemetryStream::kFunction ? "function" : "extension",
        record);
}

void Telemetry::Add(
    Subscriber& subscriber,
    WallClock::time_point at,
    std::string_view type,
    std::string_view record) {
    if (subscriber.full()) {
        // The batch before it is still on its way.
        subscriber.dropped_bytes += record.size();
        ++subscriber.dropped_items;
        return;
    }
    const auto append = [&](WallClock::time_point time,
                            std::string_view event_type,
                            std::string_view event_record) {
        std::string& batch = subscriber.batch;
        if (subscriber.items > 0) {
            batch += subscriber.subscription.tcp ? '\n' : ',';
        }
        batch += "{\"time\":\"";
        batch += LogTime(time);
        batch += "\",\"type\":\"";
        batch += event_type;
        batch += "\",\"record\":";
        batch += event_record;
        batch += '}';
        ++subscriber.items;
    };
    const bool first = subscriber.items == 0;
    if (subscriber.dropped_items > 0 && subscriber.subscription.Wants(TelemetryStream::kPlatform)) {
        append(
            clock_.Now(),
            "platform.logsDropped",
            codec::WriteJson(codec::Json(LogsDroppedRecord(
                std::exchange(subscriber.dropped_bytes, 0),
                std::exchange(subscriber.dropped_items, 0),
                kDroppedReason))));
    }
    append(at, type, record);
    if (first) {
        subscriber.due = steady_clock::now() + subscriber.subscription.timeout;
    }
    if (first || subscriber.full()) {
        subscriber.work.WakeAll();
    }
}

bool Telemetry::idle() const {
    return std::all_of(subscribers_.begin(), subscribers_.end(), [](const auto& subscriber) {
        return subscriber->items == 0 && !subscriber->sending;
    });
}

void Telemetry::FlushSoon() {
    const auto now = steady_clock::now();
    for (const auto& subscriber : subscribers_) {
        subscriber->due = std::min(subscriber->due, now);
        subscriber->work.WakeAll();
    }
}

Task<bool> Telemetry::Flush(steady_clock::time_point deadline) {
    FlushSoon();
    bool in_time = true;
    while (!idle() && in_time) {
        in_time = co_await progress_.WaitUntil(deadline);
    }
    co_return idle();
}

void Telemetry::Pause() {
    paused_ = true;
    ++pauses_;
    resumed_.Reset();
}

void Telemetry::Resume() {
    paused_ = false;
    resumed_.Set();
}

Task<void> Telemetry::Stop() {
    tasks_.Cancel();
    co_await tasks_.Join();
}

Task<void> Telemetry::Run(std::shared_ptr<Subscriber> subscriber) {
    while (true) {
        while (paused_) {
            co_await resumed_.Wait();
        }
        if (subscriber->items == 0) {
            co_await subscriber->work.Wait();
            continue;
        }
        if (!subscriber->full() && steady_clock::now() < subscriber->due) {
            co_await subscriber->work.WaitUntil(subscriber->due);
            continue;
        }
        subscriber->sending = true;
        std::string batch = std::exchange(subscriber->batch, {});
        const size_t items = std::exchange(subscriber->items, 0);
        co_await Deliver(*subscriber, std::move(batch), items);
        subscriber->sending = false;
        progress_.WakeAll();
    }
}

Task<void> Telemetry::Deliver(Subscriber& subscriber, std::string batch, size_t items) {
    const size_t bytes = batch.size();
    if (subscriber.subscription.tcp) {
        batch += '\n';
    } else {
        batch.insert(batch.begin(), '[');
        batch += ']';
    }
    for (int attempt = 0; attempt < kAttemptsMax;) {
        while (paused_) {
            co_await resumed_.Wait();
        }
        const uint64_t pauses = pauses_;
        const Status sent = co_await TimedAttempt(subscriber, batch);
        if (sent.ok()) {
            co_return;
        }
        log::Debug("lambda: telemetry for {}: {}", subscriber.extension, sent.error().message());
        // A subscriber that was frozen meanwhile could not answer.
        if (pauses == pauses_) {
            ++attempt;
            co_await rt::Sleep(kBackoff * (1 << attempt));
        }
    }
    subscriber.dropped_bytes += bytes;
    subscriber.dropped_items += items;
}

Task<Status> Telemetry::TimedAttempt(Subscriber& subscriber, const std::string& batch) {
    auto sent = co_await rt::WithTimeout(Attempt(subscriber, batch), kAttemptMax);
    if (!sent.has_value()) {
        subscriber.connection.Close();
        co_return errors::Unavailable("the subscriber did not take it in time");
    }
    co_return *std::move(sent);
}

Task<Status> Telemetry::Attempt(Subscriber& subscriber, const std::string& batch) {
    // A copy: the subscription may change while this waits.
    const TelemetrySubscription subscription = subscriber.subscription;
    if (!subscription.tcp) {
        HEARTH_CO_TRY(const os::Fd socket, co_await make_socket_());
        HEARTH_CO_RETURN_IF_ERROR(co_await ConnectTelemetry(socket.get(), subscription.port));
        co_return co_await PostTelemetry(socket.get(), subscription, batch);
    }
    if (!subscriber.connection.valid() || std::exchange(subscriber.reconnect, false)) {
        HEARTH_CO_TRY(os::Fd socket, co_await make_socket_());
        HEARTH_CO_RETURN_IF_ERROR(co_await ConnectTelemetry(socket.get(), subscription.port));
        subscriber.connection = std::move(socket);
    }
    Status sent = co_await SendTelemetry(subscriber.connection.get(), batch);
    if (!sent.ok()) {
        subscriber.connection.Close();
    }
    co_return sent;
}

}  // namespace hearth::lambda
