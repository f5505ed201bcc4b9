#pragma once

#include "aws/front/internal_client.h"
#include "aws/front/metrics.h"
#include "aws/front/service.h"
#include "base/clock.h"
#include "base/random.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

namespace hearth::aws {

// The services by name, and the one way to call an operation: used by the gateway for requests from
// outside and as the internal client for calls between services.
class Dispatcher final : public InternalClient {
  public:
    Dispatcher(
        Metrics& metrics,
        const WallClock& wall_clock,
        const MonotonicClock& monotonic_clock,
        Random& random);
    ~Dispatcher() override;

    // All services, once, before the first request. They must outlive the requests.
    void SetServices(std::vector<ServiceApi*> services);

    // Null when the operation has no handler.
    const OperationTable::Entry* Find(
        const model::Service& service, const model::Operation& operation) const;

    // Runs the handler. A RequestBug becomes InternalFailure here and nowhere else.
    Task<Status> Run(
        const OperationTable::Entry& entry, RequestContext& context, void* input, void* output);

    // Counts a request that was answered with `status`.
    void Count(
        const model::Service& service,
        const model::Operation& operation,
        int status,
        MonotonicClock::duration duration);

    Task<Status> CallErased(
        std::string_view service,
        const model::Operation& operation,
        As as,
        void* input,
        void* output) override;

    const std::vector<ServiceApi*>& services() const { return services_; }

  private:
    struct OperationMetrics {
        Counter success;
        Counter client_errors;
        Counter server_errors;
        Histogram seconds;
    };

    // One operation of a model, at its place in the model's table.
    struct Slot {
        const OperationTable::Entry* entry = nullptr;
        // Made with the first request, so that idle operations cost nothing.
        std::atomic<OperationMetrics*> metrics = nullptr;
    };

    struct Service {
        ServiceApi* api = nullptr;
        const model::Service* model = nullptr;
        std::unique_ptr<Slot[]> slots;
    };

    Slot* FindSlot(const model::Service& service, const model::Operation& operation) const;
    OperationMetrics* MetricsOf(
        Slot& slot, const model::Service& service, const model::Operation& operation);

    Metrics& metrics_;
    const WallClock& wall_clock_;
    const MonotonicClock& monotonic_clock_;
    Random& random_;
    std::vector<ServiceApi*> services_;
    std::vector<Service> table_;
    std::mutex make_metrics_;
};

}  // namespace hearth::aws
