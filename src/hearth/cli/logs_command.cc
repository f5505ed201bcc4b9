#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

#include <chrono>

namespace hearth::cli {
namespace {

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

// One event of GET /_hearth/logs, or the empty line that keeps a silent connection alive.
void PrintLine(std::string_view line, bool json) {
    if (line.empty()) {
        return;
    }
    if (json) {
        Print(std::string(line) + "\n");
        return;
    }
    const auto event = codec::ParseJson(line);
    const std::string* message = event.ok() ? event->FindString("message") : nullptr;
    if (message != nullptr) {
        Print(*message + (message->ends_with('\n') ? "" : "\n"));
    }
}

// The cloud pushes the events as they are written; nothing here polls.
Result<int> Logs(CloudClient& cloud, const CloudOptions& common, const LogsOptions& options) {
    const std::string group =
        options.name.starts_with('/') ? options.name : "/aws/lambda/" + options.name;
    const int64_t since_ms = std::max<int64_t>(0, NowMs() - options.since_s * 1000);
    const std::string target = fmt::format(
        "/_hearth/logs?group={}&since={}&filter={}{}",
        Encoded(group),
        since_ms,
        Encoded(options.filter),
        options.follow ? "&follow=1" : "");
    std::string partial;
    const auto print = [&](std::string_view piece) {
        partial += piece;
        size_t begin = 0;
        for (size_t end = partial.find('\n'); end != std::string::npos;
             end = partial.find('\n', begin)) {
            PrintLine(std::string_view(partial).substr(begin, end - begin), common.json);
            begin = end + 1;
        }
        partial.erase(0, begin);
        return true;
    };
    HEARTH_RETURN_IF_ERROR(cloud.AdminStream(target, print));
    return 0;
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
