#include "services/lambda/async_invocations.h"

#include "base/log.h"
#include "rt/loops.h"
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"
#include "services/lambda/recursion.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hearth::lambda {
namespace {

constexpr std::string_view kEvents = "lambda-async";
constexpr std::string_view kReports = "lambda-destination";
// Of one function at once, and of all. Hearth's own: AWS's is the account's concurrency, which a
// machine of a few cores would only trip over.
constexpr int32_t kRunningPerFunction = 100;
constexpr size_t kRunningMax = 1'000;
constexpr size_t kReportsRunningPerTarget = 10;
constexpr size_t kReportsRunningMax = 200;
// How long a destination may be down before its records are given up.
constexpr std::chrono::hours kReportAgeMax{48};

bool IsKept(const Error& error) {
    return error.kind() != Error::Kind::kInvalid && error.kind() != Error::Kind::kUnimplemented;
}

// A header like the one the data plane makes for calls without one.
std::string NewTraceHeader(WallClock::time_point now, Random& random) {
    return fmt::format(
        "Root=1-{:08x}-{};Parent={};Sampled=0", UnixMs(now) / 1000, random.Hex(12), random.Hex(8));
}

}  // namespace

// Keeps a lane in memory for as long as a handler works with it.
class AsyncInvocations::LaneUse final {
  public:
    LaneUse(std::map<std::string, Lane, std::less<>>& lanes, const std::string& name)
        : lanes_(lanes), at_(lanes.try_emplace(name).first) {
        Lane& lane = at_->second;
        if (lane.window == 0) {
            lane.window = kRunningPerFunction;
        }
        ++lane.users;
    }

    LaneUse(const LaneUse&) = delete;
    LaneUse& operator=(const LaneUse&) = delete;

    ~LaneUse() {
        // One that was refused lately is remembered: its next rest is longer, its window small.
        Lane& lane = at_->second;
        if (--lane.users == 0 && (lane.rests == 0 || lane.dropped)) {
            lanes_.erase(at_);
        }
    }

    Lane& operator*() { return at_->second; }

    Lane* operator->() { return &at_->second; }

  private:
    std::map<std::string, Lane, std::less<>>& lanes_;
    std::map<std::string, Lane, std::less<>>::iterator at_;
};

AsyncInvocations::AsyncInvocations(LambdaService& service)
    : service_(service),
      lanes_(static_cast<size_t>(service.deps_.loops.size())),
      received_(service.deps_.metrics.Counter(
          "hearth_lambda_async_events_received_total",
          "Events that were accepted for asynchronous invocation.")),
      dropped_(service.deps_.metrics.Counter(
          "hearth_lambda_async_events_dropped_total",
          "Events that were given up: retries exhausted, too old, or not allowed to run.")),
      age_(service.deps_.metrics.Histogram(
          "hearth_lambda_async_event_age_seconds",
          "From the acceptance of an event to each of its attempts.",
          {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 180, 600, 3'600, 21'600})),
      dead_letter_errors_(service.deps_.metrics.Counter(
          "hearth_lambda_dead_letter_errors_total",
          "Dead letters that could not be delivered and were given up.")),
      destination_failures_(service.deps_.metrics.Counter(
          "hearth_lambda_destination_delivery_failures_total",
          "Invocation records that could not be delivered and were given up.")) {
    service.deps_.courier.Register(
        std::string(kEvents),
        [this](const flow::Delivery& delivery) { return Run(delivery); },
        {.running_per_lane = static_cast<size_t>(kRunningPerFunction), .running_max = kRunningMax});
    service.deps_.courier.Register(
        std::string(kReports),
        [this](const flow::Delivery& delivery) { return Report(delivery); },
        {.running_per_lane = kReportsRunningPerTarget, .running_max = kReportsRunningMax});
}

std::string AsyncInvocations::LaneOf(const FunctionKey& key, std::string_view function_id) {
    return fmt::format("{}/{}/{}/{}", key.account.text(), key.region.text(), key.name, function_id);
}

std::map<std::string, AsyncInvocations::Lane, std::less<>>& AsyncInvocations::Lanes() {
    return lanes_[static_cast<size_t>(rt::CurrentIndex())];
}

Task<Status> AsyncInvocations::Accept(
    FunctionReference reference, InvokeRequest request, std::string caller_arn) {
    if (request.payload.size() > limits::kAsyncPayloadBytesMax) {
        co_return errors::RequestEntityTooLarge(fmt::format(
            "{} byte payload is too large for the Event invocation type (limit {} bytes)",
            request.payload.size(),
            limits::kAsyncPayloadBytesMax));
    }
    const FunctionKey key{reference.account, reference.region, reference.name};
    // What the qualifier names has to be there now, whatever it names at the attempt.
    HEARTH_CO_RETURN_IF_ERROR(co_await service_.store_.Resolve(reference));
    HEARTH_CO_TRY(const auto head, co_await service_.store_.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(
            FunctionArn(key.account, key.region, key.name, reference.qualifier));
    }
    AsyncEvent event{
        .account = reference.account,
        .region = reference.region,
        .name = reference.name,
        .qualifier = reference.qualifier,
        .function_id = head->id,
        .request_id = std::move(request.request_id),
        .payload = std::move(request.payload),
        .client_context = std::move(request.client_context),
        .trace_header = std::move(request.trace_header)};
    if (event.trace_header.empty()) {
        // The chain that begins here is followed through the function's destination, too.
        event.trace_header = NewTraceHeader(service_.deps_.wall_clock.Now(), service_.deps_.random);
    }
    event.recursions = ExtendLineage(
        event.trace_header, FunctionArn(key.account, key.region, key.name), caller_arn);
    HEARTH_CO_RETURN_IF_ERROR(co_await service_.deps_.courier.Send(service_.deps_.courier.Make(
        std::string(kEvents), LaneOf(key, event.function_id), EncodeAsyncEvent(event))));
    received_.Add();
    co_return Status();
}

Task<void> AsyncInvocations::Drop(FunctionKey key, std::string function_id) {
    const std::string name = LaneOf(key, function_id);
    const Status dropped = co_await service_.deps_.courier.DropLane(std::string(kEvents), name);
    // Nor is it remembered that the function was refused.
    for (int i = 0; i < service_.deps_.loops.size(); ++i) {
        co_await rt::RunOn(service_.deps_.loops, i, [this, &name]() -> Task<void> {
            const auto lane = Lanes().find(name);
            if (lane != Lanes().end() && lane->second.users == 0) {
                Lanes().erase(lane);
            } else if (lane != Lanes().end()) {
                lane->second.dropped = true;
            }
            co_return;
        });
    }
    if (!dropped.ok()) {
        // They are dropped one by one as their turn comes: the function they are for is gone.
        log::Warn("lambda: events of {}: {}", key.name, dropped.error().message());
    }
}

Task<Result<flow::Verdict>> AsyncInvocations::Run(const flow::Delivery& delivery) {
    auto decoded = DecodeAsyncEvent(delivery.payload);
    if (!decoded.ok()) {
        log::Error("lambda: an event of {}: {}", delivery.lane, decoded.error().message());
        co_return flow::Verdict::Done();
    }
    AsyncEvent event = *std::move(decoded);
    const FunctionKey key{event.account, event.region, event.name};
    HEARTH_CO_TRY(const auto head, co_await service_.store_.FindHead(key));
    if (!head || head->id != event.function_id) {
        co_return flow::Verdict::Done();
    }
    LaneUse lane(Lanes(), delivery.lane);
    HEARTH_CO_TRY(
        const auto config,
        co_await FindEventInvokeConfig(service_.deps_.kv, key, event.function_id, event.qualifier));
    const EventInvokeConfigRecord rules_record = config.value_or(EventInvokeConfigRecord());
    const AsyncRules rules = rules_record.Rules();

    while (lane->running >= lane->window) {
        co_await lane->changed.Wait();
    }
    const auto age = [&] { return service_.deps_.cloud_clock.Now() - delivery.accepted; };
    Tried tried;
    bool called = false;
    for (;;) {
        if (age() >= rules.age_max) {
            tried = {.outcome = AsyncOutcome::kAged, .error_code = 200};
            break;
        }
        if (!std::exchange(called, true)) {
            age_.Observe(std::chrono::duration<double>(age()).count());
        }
        tried = co_await Try(event, *head, lane);
        if (tried.outcome != AsyncOutcome::kThrottled || lane->running == 0) {
            break;
        }
        // Others of this function run: there is room when one of them has ended.
        lane->window = std::max(1, lane->running);
        do {
            co_await lane->changed.Wait();
        } while (lane->running >= lane->window);
    }
    AsyncAttempt attempt{
        .outcome = tried.outcome,
        .failures = event.failures,
        .system_errors = std::max(0, delivery.attempts - event.failures),
        .age = age()};
    const AsyncStep step = NextAsyncStep(attempt, rules);
    if (step.kind == AsyncStep::Kind::kHold) {
        co_return flow::Verdict::Hold(Rest(lane, rules.age_max - attempt.age));
    }
    if (lane->rests != 0) {
        lane->rests = 0;
        lane->resting_until = {};
    }
    if (step.kind == AsyncStep::Kind::kRetry) {
        if (tried.outcome != AsyncOutcome::kFunctionFailed) {
            co_return flow::Verdict::Retry(step.after);
        }
        ++event.failures;
        co_return flow::Verdict::Retry(step.after, EncodeAsyncEvent(event));
    }
    if (step.kind == AsyncStep::Kind::kDrop) {
        dropped_.Add();
    }
    const int32_t invoke_count =
        event.failures +
        (tried.outcome == AsyncOutcome::kSucceeded || tried.outcome == AsyncOutcome::kFunctionFailed
             ? 1
             : 0);
    // As it is now: it may have changed while the function ran.
    HEARTH_CO_TRY(
        const auto latest_config,
        co_await FindEventInvokeConfig(service_.deps_.kv, key, event.function_id, event.qualifier));
    HEARTH_CO_TRY(
        std::vector<flow::Delivery> reports,
        co_await Reports(
            event,
            latest_config.value_or(EventInvokeConfigRecord()),
            step,
            std::move(tried),
            invoke_count));
    co_return flow::Verdict::Done(std::move(reports));
}

CloudClock::duration AsyncInvocations::Rest(LaneUse& lane, CloudClock::duration longest) {
    const auto now = service_.deps_.cloud_clock.Now();
    // Those that were refused together rest once.
    if (now >= lane->resting_until) {
        lane->resting_until = now + AsyncBackOff(lane->rests);
        ++lane->rests;
    }
    const CloudClock::duration rest = lane->resting_until - now;
    return std::clamp(rest, CloudClock::duration(1), std::max(longest, CloudClock::duration(1)));
}

Task<AsyncInvocations::Tried> AsyncInvocations::Try(
    const AsyncEvent& event, const FunctionHead& head, LaneUse& lane) {
    if (event.recursions >= kRecursionsMax && head.recursive_loop != "Allow") {
        const Error error = RecursiveInvocation();
        co_return Tried{
            .outcome = AsyncOutcome::kRefused,
            .error_code = error.http_status(),
            .error_message = error.message()};
    }

    struct Running {
        Lane& lane;

        explicit Running(Lane& of) : lane(of) { ++lane.running; }

        ~Running() {
            --lane.running;
            lane.changed.WakeAll();
        }
    };

    Tried tried;
    {
        const Running running(*lane);
        tried = co_await Call(event);
    }
    if (tried.outcome == AsyncOutcome::kThrottled && co_await IsStopped(event)) {
        tried.outcome = AsyncOutcome::kStopped;
    }
    if (tried.outcome == AsyncOutcome::kSucceeded ||
        tried.outcome == AsyncOutcome::kFunctionFailed) {
        lane->window = std::min(lane->window + 1, kRunningPerFunction);
    }
    co_return tried;
}

Task<AsyncInvocations::Tried> AsyncInvocations::Call(const AsyncEvent& event) {
    const auto failed = [](const Error& error) {
        Tried tried{.error_code = error.http_status(), .error_message = error.message()};
        if (error.http_status() == 429) {
            tried.outcome = AsyncOutcome::kThrottled;
        } else if (
            error.http_status() >= 500 || error.kind() == Error::Kind::kUnavailable ||
            error.kind() == Error::Kind::kConflict) {
            // A version whose snapshot is being made is a conflict now and none soon.
            tried.outcome = AsyncOutcome::kSystemError;
        } else {
            tried.outcome = AsyncOutcome::kRefused;
        }
        return tried;
    };
    const FunctionReference reference{event.account, event.region, event.name, event.qualifier};
    auto prepared = co_await service_.PrepareCall(reference);
    if (!prepared.ok()) {
        co_return failed(prepared.error());
    }
    if (!service_.invoker_) {
        co_return failed(hearth::errors::Unavailable("there is nothing to run functions with"));
    }
    InvokeRequest request{
        .request_id = event.request_id,
        .invoked_function_arn = std::move(prepared->resolved.invoked_arn),
        .payload = event.payload,
        .client_context = event.client_context,
        .trace_header = event.trace_header,
        .asynchronous = true,
        .can_wait = true,
        .snapshot = std::move(prepared->snapshot)};
    const std::string version = prepared->resolved.function->version;
    auto result = co_await service_.invoker_->Invoke(
        std::move(prepared->resolved.function), std::move(request));
    if (!result.ok()) {
        co_return failed(result.error());
    }
    Tried tried;
    tried.response = AsyncResponse{
        .executed_version = version,
        .function_error = std::move(result->function_error),
        .payload = std::move(result->payload)};
    if (!tried.response->function_error.empty()) {
        tried.outcome = AsyncOutcome::kFunctionFailed;
        tried.error_message = ErrorMessageOf(tried.response->payload);
    }
    co_return tried;
}

Task<bool> AsyncInvocations::IsStopped(const AsyncEvent& event) {
    const FunctionKey key{event.account, event.region, event.name};
    const auto reserve = co_await service_.store_.FindReserve(key);
    co_return reserve.ok() && *reserve == 0;
}

Task<Result<std::vector<flow::Delivery>>> AsyncInvocations::Reports(
    const AsyncEvent& event,
    const EventInvokeConfigRecord& config,
    const AsyncStep& step,
    Tried tried,
    int32_t invoke_count) {
    std::vector<flow::Delivery> deliveries;
    const bool failed = step.kind == AsyncStep::Kind::kDrop;
    const FunctionKey key{event.account, event.region, event.name};
    // Versions have the dead-letter queue of $LATEST.
    HEARTH_CO_TRY(const auto latest, co_await service_.store_.FindLatest(key));
    const std::string dead_letter_arn =
        failed && latest ? latest->dead_letter_target : std::string();
    const std::string& destination = failed ? config.on_failure : config.on_success;
    if (destination.empty() && dead_letter_arn.empty()) {
        co_return deliveries;
    }
    const auto now = service_.deps_.cloud_clock.Now();
    AsyncReport report{
        .account = event.account,
        .region = event.region,
        .function_arn = FunctionArn(key.account, key.region, key.name),
        .role_arn = latest ? latest->role : std::string(),
        .request_id = event.request_id,
        .trace_header = event.trace_header};
    const auto deliver = [&](const AsyncReport& one) -> Task<Status> {
        std::string payload = EncodeAsyncReport(one);
        if (payload.size() > flow::kDeliveryPayloadBytesMax) {
            co_return co_await Send(one);
        }
        deliveries.push_back(service_.deps_.courier.Make(
            std::string(kReports),
            fmt::format("{}/{}/{}", key.account.text(), key.region.text(), one.target_arn),
            std::move(payload)));
        co_return Status();
    };
    if (!dead_letter_arn.empty()) {
        AsyncReport letter = report;
        letter.target_arn = dead_letter_arn;
        letter.body = event.payload.empty() ? "{}" : event.payload;
        letter.dead_letter = true;
        letter.error_code = tried.error_code;
        letter.error_message = tried.error_message;
        HEARTH_CO_RETURN_IF_ERROR(co_await deliver(letter));
    }
    if (!destination.empty()) {
        report.target_arn = destination;
        report.body = InvocationRecord(
            event,
            {.now = now,
             .condition = step.condition,
             .invoke_count = invoke_count,
             .response = std::move(tried.response)});
        if (destination.find(":s3:") != std::string::npos) {
            // The same key each time this event is reported, so that one sent twice is kept once.
            report.object_key = RecordObjectKey(event.name, now, event.request_id);
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await deliver(report));
    }
    co_return deliveries;
}

Task<Status> AsyncInvocations::Send(const AsyncReport& report) {
    if (targets_ == nullptr) {
        co_return hearth::errors::Unavailable("there are no destinations");
    }
    EventTarget::Event event{
        .body = report.body, .trace_header = report.trace_header, .object_key = report.object_key};
    if (report.dead_letter) {
        event.attributes["RequestID"] = {.value = report.request_id};
        event.attributes["ErrorCode"] = {
            .type = "Number", .value = fmt::format("{}", report.error_code)};
        // An attribute of SQS is never empty.
        if (!report.error_message.empty()) {
            event.attributes["ErrorMessage"] = {.value = report.error_message};
        }
    }
    EventTarget::Origin origin{
        .account = report.account,
        .region = report.region,
        .source_arn = report.function_arn,
        .role_arn = report.role_arn};
    const Status sent =
        co_await targets_->Send(std::move(origin), report.target_arn, std::move(event));
    if (sent.ok() || IsKept(sent.error())) {
        co_return sent;
    }
    // It would be refused again each time.
    log::Warn(
        "lambda: {} of {} for {} is given up: {}",
        report.dead_letter ? "a dead letter" : "an invocation record",
        report.function_arn,
        report.target_arn,
        sent.error().message());
    (report.dead_letter ? dead_letter_errors_ : destination_failures_).Add();
    co_return Status();
}

Task<Result<flow::Verdict>> AsyncInvocations::Report(const flow::Delivery& delivery) {
    const auto report = DecodeAsyncReport(delivery.payload);
    if (!report.ok()) {
        log::Error("lambda: a record for {}: {}", delivery.lane, report.error().message());
        co_return flow::Verdict::Done();
    }
    // Apart from the lanes of functions, whose names hold no ARN.
    LaneUse lane(Lanes(), delivery.lane);
    const Status sent = co_await Send(*report);
    if (sent.ok()) {
        lane->rests = 0;
        lane->resting_until = {};
        co_return flow::Verdict::Done();
    }
    const auto age = service_.deps_.cloud_clock.Now() - delivery.accepted;
    if (age >= kReportAgeMax) {
        log::Warn(
            "lambda: {} could not be reached for {} h: {}",
            report->target_arn,
            kReportAgeMax.count(),
            sent.error().message());
        (report->dead_letter ? dead_letter_errors_ : destination_failures_).Add();
        co_return flow::Verdict::Done();
    }
    co_return flow::Verdict::Hold(Rest(lane, kReportAgeMax - age));
}

}  // namespace hearth::lambda
