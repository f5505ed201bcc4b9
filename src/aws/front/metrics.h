#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

// What operators scrape at GET /_hearth/metrics, over prometheus-cpp, which stays hidden. Make the
// handles once (in constructors): the look-up takes a lock. Counters and gauges are one atomic
// each; a histogram's Observe takes a short lock.
namespace hearth::aws {

class Counter final {
  public:
    explicit Counter(prometheus::Counter* counter) : counter_(counter) {}

    void Add(double n = 1) const;
    double Value() const;

  private:
    prometheus::Counter* counter_;
};

class Gauge final {
  public:
    explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}

    void Set(double value) const;
    void Add(double n) const;
    double Value() const;

  private:
    prometheus::Gauge* gauge_;
};

class Histogram final {
  public:
    explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}

    void Observe(double value) const;

  private:
    prometheus::Histogram* histogram_;
};

class Metrics final {
  public:
    using Labels = std::map<std::string, std::string>;

    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    // Names as Prometheus wants them: hearth_<service>_<what>_<unit>[_total]. Asking again for the
    // same name and labels gives the same time series. From any thread.
    aws::Counter Counter(const std::string& name, const std::string& help, Labels labels = {});
    aws::Gauge Gauge(const std::string& name, const std::string& help, Labels labels = {});
    aws::Histogram Histogram(
        const std::string& name,
        const std::string& help,
        std::vector<double> upper_bounds,
        Labels labels = {});

    // Bounds in seconds from 100 us to 30 s, for durations of requests.
    static std::vector<double> RequestSeconds();

    // The text exposition format.
    std::string Render() const;

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace hearth::aws
