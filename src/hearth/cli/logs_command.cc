#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>
#include <poll.h>

#include <chrono>
#include <set>

namespace hearth::cli {
namespace {

// How often --follow asks, as `aws logs tail --follow` does.
constexpr int kFollowIntervalMs = 500;
// Events that arrive late carry earlier timestamps; this far back --follow still looks for them.
constexpr int64_t kLateArrivalsMs = 10'000;

struct LogsOptions {
    std::string name;
    bool follow = false;
    std::string filter;
    int64_t since_s = 24 * 3600;
};

int64_t NowMs() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// Prints the events from `start_ms` on that were not printed before; returns the latest timestamp
// seen.
Result<int64_t> PrintNewEvents(
    CloudClient& cloud,
    const CloudOptions& common,
    const LogsOptions& options,
    const std::string& group,
    int64_t start_ms,
    std::set<std::string>* printed) {
    int64_t latest_ms = start_ms;
    std::set<std::string> recent;
    std::string token;
    do {
        codec::Json input;
        input.Set("logGroupName", group);
        input.Set("startTime", start_ms);
        if (!options.filter.empty()) {
            input.Set("filterPattern", options.filter);
        }
        if (!token.empty()) {
            input.Set("nextToken", token);
        }
        HEARTH_TRY(const auto page, cloud.Json11("logs", "Logs_20140328.FilterLogEvents", input));
        if (const auto* events = page.Find("events"); events != nullptr && events->AsArray()) {
            for (const auto& event : *events->AsArray()) {
                const auto* id = event.FindString("eventId");
                const auto* message = event.FindString("message");
                const auto* timestamp = event.Find("timestamp");
                if (id == nullptr || message == nullptr) {
                    continue;
                }
                if (timestamp != nullptr && timestamp->AsInt() != nullptr) {
                    latest_ms = std::max(latest_ms, *timestamp->AsInt());
                }
                recent.insert(*id);
                if (printed->contains(*id)) {
                    continue;
                }
                Print(
                    common.json ? codec::WriteJson(event) + "\n"
                                : *message + (message->ends_with('\n') ? "" : "\n"));
            }
        }
        const auto* next = page.FindString("nextToken");
        token = next != nullptr ? *next : std::string();
    } while (!token.empty());
    *printed = std::move(recent);
    return latest_ms;
}

Result<int> Logs(CloudClient& cloud, const CloudOptions& common, const LogsOptions& options) {
    const std::string group =
        options.name.starts_with('/') ? options.name : "/aws/lambda/" + options.name;
    std::set<std::string> printed;
    int64_t start_ms = std::max<int64_t>(0, NowMs() - options.since_s * 1000);
    const int64_t first_ms = start_ms;
    while (true) {
        auto latest = PrintNewEvents(cloud, common, options, group, start_ms, &printed);
        const bool not_yet =
            !latest.ok() && latest.error().message().starts_with("ResourceNotFoundException");
        if (!latest.ok() && !(options.follow && not_yet)) {
            return std::move(latest).error();
        }
        if (!options.follow) {
            return 0;
        }
        if (latest.ok()) {
            start_ms = std::max(first_ms, *latest - kLateArrivalsMs);
        }
        ::poll(nullptr, 0, kFollowIntervalMs);
    }
}

}  // namespace

void AddLogsCommand(CLI::App* app, int* exit_status) {
    auto options = std::make_shared<LogsOptions>();
    CLI::App* command = AddCloudCommand(
        app,
        "logs",
        "Print what a function logged",
        exit_status,
        [options](CloudClient& cloud, const CloudOptions& common) {
            return Logs(cloud, common, *options);
        });
    command->add_option("NAME", options->name, "Function name, or a log group beginning with /")
        ->required();
    command->add_flag("-f,--follow", options->follow, "Go on printing what comes");
    command->add_option("--filter", options->filter, "CloudWatch Logs filter pattern");
    command->add_option("--since", options->since_s, "How far back, in seconds")
        ->capture_default_str();
}

}  // namespace hearth::cli
