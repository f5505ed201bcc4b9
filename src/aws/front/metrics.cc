#include "aws/front/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace hearth::aws {

void Counter::Add(double n) const {
    counter_->Increment(n);
}

double Counter::Value() const {
    return counter_->Value();
}

void Gauge::Set(double value) const {
    gauge_->Set(value);
}

void Gauge::Add(double n) const {
    gauge_->Increment(n);
}

double Gauge::Value() const {
    return gauge_->Value();
}

void Histogram::Observe(double value) const {
    histogram_->Observe(value);
}

struct Metrics::State {
    prometheus::Registry registry;
    std::mutex mutex;
    // The registry refuses a second family of one name, so they are kept here.
    std::map<std::string, prometheus::Family<prometheus::Counter>*> counters;
    std::map<std::string, prometheus::Family<prometheus::Gauge>*> gauges;
    std::map<std::string, prometheus::Family<prometheus::Histogram>*> histograms;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}

Metrics::~Metrics() = default;

aws::Counter Metrics::Counter(const std::string& name, const std::string& help, Labels labels) {
    const std::lock_guard lock(state_->mutex);
    auto*& family = state_->counters[name];
    if (family == nullptr) {
        family = &prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
    }
    return aws::Counter(&family->Add(labels));
}

aws::Gauge Metrics::Gauge(const std::string& name, const std::string& help, Labels labels) {
    const std::lock_guard lock(state_->mutex);
    auto*& family = state_->gauges[name];
    if (family == nullptr) {
        family = &prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
    }
    return aws::Gauge(&family->Add(labels));
}

aws::Histogram Metrics::Histogram(
    const std::string& name,
    const std::string& help,
    std::vector<double> upper_bounds,
    Labels labels) {
    const std::lock_guard lock(state_->mutex);
    auto*& family = state_->histograms[name];
    if (family == nullptr) {
        family = &prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry);
    }
    return aws::Histogram(&family->Add(labels, upper_bounds));
}

std::vector<double> Metrics::RequestSeconds() {
    return {
        0.0001,
        0.00025,
        0.0005,
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2.5,
        5,
        10,
        30};
}

std::string Metrics::Render() const {
    return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace hearth::aws
