#pragma once

#include "aws/front/metrics.h"
#include "base/result.h"
#include "flow/courier.h"
#include "rt/event.h"
#include "rt/task.h"
#include "services/event_target.h"
#include "services/lambda/async_decision.h"
#include "services/lambda/async_event.h"
#include "services/lambda/async_record.h"
#include "services/lambda/event_invoke_config_store.h"
#include "services/lambda/function_name.h"
#include "services/lambda/function_store.h"
#include "services/lambda/invoker.h"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

class LambdaService;

// Asynchronous invocations: events are durable before they are accepted, run at least once, and are
// retried, aged and reported as AWS does it (async_decision.h). Each function has one lane of the
// courier; what became of an event goes to its destination as a delivery of its own, put in the
// transaction that removes the event, so nothing is lost between the two.
//
// A function without room (429) keeps its events waiting: while others of its events run, the
// refused one waits for one of those to end; when none runs, all of the lane rests, for 1 s, 2 s,
// 4 s ... 5 minutes.
class AsyncInvocations final {
  public:
    // Registers the kinds of deliveries. `service` outlives this.
    explicit AsyncInvocations(LambdaService& service);

    // `targets`: where destinations and dead letters go. Before Start.
    void UseTargets(EventTarget* targets) { targets_ = targets; }

    // Keeps the event; it runs from then on.
    //   request     payload checked as JSON; its request id, client context and trace header stay
    //               with the event
    //   caller_arn  of the function that calls or whose record this is; empty: none
    //   errors      ResourceNotFoundException, RequestEntityTooLargeException
    Task<Status> Accept(FunctionReference reference, InvokeRequest request, std::string caller_arn);

    // Forgets the events of a deleted function.
    Task<void> Drop(FunctionKey key, std::string function_id);

  private:
    // What the events of one function share; on the lane's loop.
    struct Lane {
        // Calls in the data plane, and how many may be there.
        int32_t running = 0;
        int32_t window = 0;
        // Handlers that use this, which keep it alive.
        int32_t users = 0;
        int32_t rests = 0;
        // The function is gone, so nothing is remembered of it.
        bool dropped = false;
        CloudClock::time_point resting_until;
        rt::Event changed;
    };

    struct Tried {
        AsyncOutcome outcome = AsyncOutcome::kSucceeded;
        std::optional<AsyncResponse> response;
        int32_t error_code = 200;
        std::string error_message;
    };

    class LaneUse;

    Task<Result<flow::Verdict>> Run(const flow::Delivery& delivery);
    Task<Result<flow::Verdict>> Report(const flow::Delivery& delivery);
    Task<Tried> Try(const AsyncEvent& event, const FunctionHead& head, LaneUse& lane);
    Task<Tried> Call(const AsyncEvent& event);
    Task<bool> IsStopped(const AsyncEvent& event);
    // The deliveries of records and dead letters.
    Task<Result<std::vector<flow::Delivery>>> Reports(
        const AsyncEvent& event,
        const EventInvokeConfigRecord& config,
        const AsyncStep& step,
        Tried tried,
        int32_t invoke_count);
    // Sends now what is too large for the courier.
    Task<Status> Send(const AsyncReport& report);
    // How long a lane rests that has to: longer with each time in a row.
    CloudClock::duration Rest(LaneUse& lane, CloudClock::duration longest);
    // A function made anew under its old name has another one, which forgetting the old leaves
    // alone.
    static std::string LaneOf(const FunctionKey& key, std::string_view function_id);
    std::map<std::string, Lane, std::less<>>& Lanes();

    LambdaService& service_;
    EventTarget* targets_ = nullptr;
    // By loop.
    std::vector<std::map<std::string, Lane, std::less<>>> lanes_;
    aws::Counter received_;
    aws::Counter dropped_;
    aws::Histogram age_;
    aws::Counter dead_letter_errors_;
    aws::Counter destination_failures_;
};

}  // namespace hearth::lambda
