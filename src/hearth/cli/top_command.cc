#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <sstream>

namespace hearth::cli {
namespace {

constexpr int kRefreshMs = 1000;

// Time series of the Prometheus text format, "name{labels}" to value.
using Series = std::map<std::string, double, std::less<>>;

Series ParseMetrics(const std::string& text) {
    Series series;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t blank = line.rfind(' ');
        if (line.starts_with('#') || blank == std::string::npos) {
            continue;
        }
        double value = 0;
        const char* begin = line.data() + blank + 1;
        if (std::from_chars(begin, line.data() + line.size(), value).ec == std::errc()) {
            series[line.substr(0, blank)] = value;
        }
    }
    return series;
}

double Value(const Series& series, std::string_view name) {
    const auto it = series.find(name);
    return it == series.end() ? 0 : it->second;
}

// "<count> at <mean> ms" of one phase's histogram.
std::string Phase(const Series& series, const std::string& phase) {
    const std::string labels = "{phase=\"" + phase + "\"}";
    const double count = Value(series, "hearth_lambda_phase_seconds_count" + labels);
    const double sum = Value(series, "hearth_lambda_phase_seconds_sum" + labels);
    return count == 0 ? "-" : fmt::format("{:.0f} at {:.2f} ms", count, sum / count * 1000);
}

// "<mean> ms".
std::string Mean(const Series& series, const std::string& phase) {
    const std::string whole = Phase(series, phase);
    const size_t at = whole.find(" at ");
    return at == std::string::npos ? whole : whole.substr(at + 4);
}

// A row for each kind of delivery that there was any of; empty when there was none.
std::string DeliveryTable(const Series& series) {
    constexpr std::string_view kPending = "hearth_courier_pending{";
    std::vector<std::vector<std::string>> rows = {
        {"DELIVERIES", "PENDING", "RUNNING", "DELIVERED", "RETRIED", "FAILED", "HELD", "MEAN AGE"}};
    for (auto at = series.lower_bound(kPending);
         at != series.end() && at->first.starts_with(kPending);
         ++at) {
        const std::string labels = at->first.substr(kPending.size() - 1);
        const auto of = [&](std::string_view name) {
            return Value(series, fmt::format("hearth_courier_{}{}", name, labels));
        };
        std::vector<std::string> row;
        double sum = at->second;
        row.push_back(labels.substr(0, labels.rfind('"')).substr(labels.find('"') + 1));
        row.push_back(fmt::format("{:.0f}", at->second));
        for (const std::string_view name :
             {"running", "delivered_total", "retried_total", "failed_total", "held_total"}) {
            row.push_back(fmt::format("{:.0f}", of(name)));
            sum += of(name);
        }
        const double aged = of("age_seconds_count");
        row.push_back(
            aged == 0 ? "-" : fmt::format("{:.1f} ms", of("age_seconds_sum") / aged * 1000));
        if (sum > 0) {
            rows.push_back(std::move(row));
        }
    }
    return rows.size() == 1 ? std::string() : "\n" + Table(rows);
}

std::string Text(const codec::Json& object, std::string_view name) {
    const auto* value = object.Find(name);
    if (value == nullptr || value->is_null()) {
        return "-";
    }
    const auto* text = value->AsString();
    return text != nullptr ? *text : codec::WriteJson(*value);
}

std::string Screen(const std::string& endpoint, const Series& series, const codec::Json& slots) {
    std::string screen = fmt::format(
        "{}   environments {:.0f}, busy {:.0f}   hits {:.0f} warm, {:.0f} frozen, {:.0f} spare   "
        "misses {:.0f} cold, {:.0f} restored   errors {:.0f}   throttles {:.0f}\n"
        "prepare {}   init {}   invoke {}\n"
        "restore {}: sandbox {}, clone {}, join {}, descriptors {}, threads {}, filter {}\n"
        "templates {:.0f} of {:.1f} MB   spares {:.0f} of {:.1f} MB\n\n",
        endpoint,
        Value(series, "hearth_lambda_environments"),
        Value(series, "hearth_lambda_environments_busy"),
        Value(series, "hearth_lambda_slot_hits_total{kind=\"warm\"}"),
        Value(series, "hearth_lambda_slot_hits_total{kind=\"frozen\"}"),
        Value(series, "hearth_lambda_slot_hits_total{kind=\"spare\"}"),
        Value(series, "hearth_lambda_slot_misses_total{kind=\"cold\"}"),
        Value(series, "hearth_lambda_slot_misses_total{kind=\"restored\"}"),
        Value(series, "hearth_lambda_function_errors_total"),
        Value(series, "hearth_lambda_throttles_total"),
        Phase(series, "prepare"),
        Phase(series, "init"),
        Phase(series, "invoke"),
        Phase(series, "restore"),
        Mean(series, "restore_sandbox"),
        Mean(series, "restore_clone"),
        Mean(series, "restore_join"),
        Mean(series, "restore_descriptors"),
        Mean(series, "restore_threads"),
        Mean(series, "restore_filter"),
        Value(series, "hearth_lambda_templates"),
        Value(series, "hearth_lambda_template_bytes") / 1e6,
        Value(series, "hearth_lambda_spares"),
        Value(series, "hearth_lambda_spare_bytes") / 1e6);
    std::vector<std::vector<std::string>> rows = {
        {"FUNCTION",
         "VERSION",
         "RUNTIME",
         "BUSY",
         "IDLE",
         "FROZEN",
         "SPARE",
         "HITS",
         "MISSES",
         "RESTORES",
         "ERRORS"}};
    const auto* functions = slots.Find("functions");
    if (functions == nullptr || functions->AsArray() == nullptr) {
        return screen + DeliveryTable(series);
    }
    for (const auto& function : *functions->AsArray()) {
        std::map<std::string, int> states;
        const auto* environments = function.Find("environments");
        if (environments != nullptr && environments->AsArray() != nullptr) {
            for (const auto& environment : *environments->AsArray()) {
                ++states[Text(environment, "state")];
            }
        }
        rows.push_back(
            {Text(function, "function"),
             Text(function, "version"),
             Text(function, "runtime"),
             std::to_string(states["busy"]),
             std::to_string(states["idle"]),
             std::to_string(states["frozen"]),
             std::to_string(states["spare"]),
             Text(function, "hits"),
             Text(function, "misses"),
             Text(function, "restores"),
             Text(function, "errors")});
    }
    return screen + Table(rows) + DeliveryTable(series);
}

Result<int> Top(CloudClient& cloud, const CloudOptions& options, bool once) {
    const bool live = !once && !options.json && ::isatty(STDOUT_FILENO) == 1;
    while (true) {
        HEARTH_TRY(const std::string metrics, cloud.Admin("GET", "/_hearth/metrics"));
        HEARTH_TRY(const std::string body, cloud.Admin("GET", "/_hearth/slots"));
        HEARTH_TRY(auto slots, codec::ParseJson(body));
        const Series series = ParseMetrics(metrics);
        if (options.json) {
            codec::Json shown;
            for (const auto& [name, value] : series) {
                if ((name.starts_with("hearth_lambda_") || name.starts_with("hearth_courier_")) &&
                    name.find("_bucket{") == std::string::npos) {
                    shown.Set(name, value);
                }
            }
            slots.Set("metrics", std::move(shown));
            Print(Pretty(codec::WriteJson(slots)) + "\n");
            return 0;
        }
        // Home, then clear what is below: no flicker.
        Print((live ? "\033[H\033[J" : "") + Screen(cloud.endpoint(), series, slots));
        if (!live) {
            return 0;
        }
        ::poll(nullptr, 0, kRefreshMs);
    }
}

}  // namespace

void AddTopCommand(CLI::App* app, int* exit_status) {
    auto once = std::make_shared<bool>(false);
    CLI::App* command = AddCloudCommand(
        app,
        "top",
        "Show the execution environments and deliveries live: hits, misses, time per phase; ^C "
        "ends",
        exit_status,
        [once](CloudClient& cloud, const CloudOptions& options) {
            return Top(cloud, options, *once);
        });
    command->add_flag("--once", *once, "Print once and return (also when not on a terminal)");
}

}  // namespace hearth::cli
