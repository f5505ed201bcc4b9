#include "aws/front/dispatcher.h"

#include "aws/protocol/protocol.h"
#include "base/check.h"

#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

namespace hearth::aws {
namespace {

// Nobody waits longer than Lambda's longest function and some time to start it.
constexpr std::chrono::minutes kRequestTimeMax{16};

}  // namespace

Dispatcher::Dispatcher(
    Metrics& metrics,
    const WallClock& wall_clock,
    const MonotonicClock& monotonic_clock,
    Random& random)
    : metrics_(metrics),
      wall_clock_(wall_clock),
      monotonic_clock_(monotonic_clock),
      random_(random) {}

Dispatcher::~Dispatcher() {
    for (const Service& service : table_) {
        for (size_t i = 0; i < service.model->operations.size(); ++i) {
            delete service.slots[i].metrics.load();
        }
    }
}

void Dispatcher::SetServices(std::vector<ServiceApi*> services) {
    services_ = std::move(services);
    for (ServiceApi* api : services_) {
        const model::Service& model = api->Model();
        Service& service = table_.emplace_back();
        service.api = api;
        service.model = &model;
        service.slots = std::make_unique<Slot[]>(model.operations.size());
        for (size_t i = 0; i < model.operations.size(); ++i) {
            service.slots[i].entry = api->Operations().Find(model.operations[i].name);
        }
    }
}

Dispatcher::Slot* Dispatcher::FindSlot(
    const model::Service& service, const model::Operation& operation) const {
    for (const Service& candidate : table_) {
        if (candidate.model == &service || candidate.model->query_form == &service) {
            const auto index = static_cast<size_t>(&operation - service.operations.data());
            return index < service.operations.size() ? &candidate.slots[index] : nullptr;
        }
    }
    return nullptr;
}

const OperationTable::Entry* Dispatcher::Find(
    const model::Service& service, const model::Operation& operation) const {
    const Slot* slot = FindSlot(service, operation);
    return slot == nullptr ? nullptr : slot->entry;
}

Task<Status> Dispatcher::Run(
    const OperationTable::Entry& entry, RequestContext& context, void* input, void* output) {
    try {
        co_return co_await entry.handler(context, input, output);
    } catch (const std::logic_error& bug) {
        // RequestBug, and what the library throws for the same reason (std::stoi, at()).
        co_return errors::Internal(bug.what());
    } catch (const std::bad_optional_access& bug) {
        co_return errors::Internal(bug.what());
    } catch (const std::bad_alloc& full) {
        co_return errors::Unavailable(full.what());
    }
}

Dispatcher::OperationMetrics* Dispatcher::MetricsOf(
    Slot& slot, const model::Service& service, const model::Operation& operation) {
    if (OperationMetrics* made = slot.metrics.load(std::memory_order_acquire)) {
        return made;
    }
    const std::lock_guard lock(make_metrics_);
    if (OperationMetrics* made = slot.metrics.load(std::memory_order_acquire)) {
        return made;
    }
    const auto counter = [&](const char* result) {
        return metrics_.Counter(
            "hearth_requests_total",
            "Requests answered.",
            {{"service", std::string(service.name)},
             {"operation", std::string(operation.name)},
             {"result", result}});
    };
    auto* made = new OperationMetrics{
        counter("success"),
        counter("client_error"),
        counter("server_error"),
        metrics_.Histogram(
            "hearth_request_seconds",
            "From the head of a request to its answer.",
            Metrics::RequestSeconds(),
            {{"service", std::string(service.name)}, {"operation", std::string(operation.name)}})};
    slot.metrics.store(made, std::memory_order_release);
    return made;
}

void Dispatcher::Count(
    const model::Service& service,
    const model::Operation& operation,
    int status,
    MonotonicClock::duration duration) {
    Slot* slot = FindSlot(service, operation);
    if (slot == nullptr) {
        return;
    }
    const OperationMetrics& counted = *MetricsOf(*slot, service, operation);
    const Counter& counter = status < 400   ? counted.success
                             : status < 500 ? counted.client_errors
                                            : counted.server_errors;
    counter.Add();
    counted.seconds.Observe(std::chrono::duration<double>(duration).count());
}

Task<Status> Dispatcher::CallErased(
    std::string_view service, const model::Operation& operation, As as, void* input, void* output) {
    const model::Service* model = nullptr;
    for (const Service& candidate : table_) {
        if (candidate.model->name == service) {
            model = candidate.model;
        }
    }
    const model::Operation* own = model == nullptr ? nullptr : model->FindOperation(operation.name);
    const OperationTable::Entry* entry = own == nullptr ? nullptr : Find(*model, *own);
    if (entry == nullptr) {
        co_return errors::Internal(
            fmt::format("no operation {} of {} inside this cloud", operation.name, service));
    }
    HEARTH_CO_RETURN_IF_ERROR(protocol::ValidateInput(*model, *own->input, input));
    const auto began = monotonic_clock_.Now();
    RequestContext context;
    context.request_id = random_.Uuid();
    context.service = model->name;
    context.operation = own->name;
    context.caller = std::move(as.caller);
    context.account = std::move(as.account);
    context.region = std::move(as.region);
    context.now = wall_clock_.Now();
    context.deadline = began + kRequestTimeMax;
    Status status = co_await Run(*entry, context, input, output);
    Count(
        *model,
        *own,
        status.ok() ? 200 : status.error().http_status(),
        monotonic_clock_.Now() - began);
    co_return status;
}

}  // namespace hearth::aws
