#include "codec/base64/base64.h"
#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

namespace hearth::cli {
namespace {

struct InvokeOptions {
    std::string name;
    std::string payload_file;
    std::string payload;
    std::string qualifier;
    bool show_log = false;
};

Result<std::string> Payload(const InvokeOptions& options) {
    if (options.payload_file.empty()) {
        return options.payload.empty() ? std::string("{}") : options.payload;
    }
    std::ostringstream text;
    if (options.payload_file == "-") {
        text << std::cin.rdbuf();
        return text.str();
    }
    std::ifstream file(options.payload_file, std::ios::binary);
    if (!file) {
        return errors::System(options.payload_file, errno);
    }
    text << file.rdbuf();
    return text.str();
}

Result<int> Invoke(CloudClient& cloud, const CloudOptions& common, const InvokeOptions& options) {
    HEARTH_TRY(const std::string payload, Payload(options));
    std::string target = "/2015-03-31/functions/" + Encoded(options.name) + "/invocations";
    if (!options.qualifier.empty()) {
        target += "?Qualifier=" + Encoded(options.qualifier);
    }
    const auto started = std::chrono::steady_clock::now();
    HEARTH_TRY(
        const auto response,
        cloud.Rest("lambda", "POST", target, payload, {{"X-Amz-Log-Type", "Tail"}}));
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - started;
    std::string log;
    if (const auto* header = response.Find("x-amz-log-result")) {
        if (auto decoded = codec::Base64Decode(*header); decoded.ok()) {
            log = *std::move(decoded);
        }
    }
    const auto* function_error = response.Find("x-amz-function-error");
    if (common.json) {
        codec::Json answer;
        answer.Set("StatusCode", response.status);
        if (function_error != nullptr) {
            answer.Set("FunctionError", *function_error);
        }
        if (const auto* version = response.Find("x-amz-executed-version")) {
            answer.Set("ExecutedVersion", *version);
        }
        auto parsed = codec::ParseJson(response.body);
        answer.Set("Payload", parsed.ok() ? *std::move(parsed) : codec::Json(response.body));
        answer.Set("Log", log);
        answer.Set("DurationMs", took.count());
        Print(Pretty(codec::WriteJson(answer)) + "\n");
    } else {
        if (options.show_log || function_error != nullptr) {
            fmt::print(stderr, "{}{}", log, log.empty() || log.ends_with('\n') ? "" : "\n");
        }
        Print(response.body + (response.body.ends_with('\n') ? "" : "\n"));
    }
    return function_error == nullptr ? 0 : 2;
}

}  // namespace

void AddInvokeCommand(CLI::App* app, int* exit_status) {
    auto options = std::make_shared<InvokeOptions>();
    CLI::App* command = AddCloudCommand(
        app,
        "invoke",
        "Call a function and print what it returns (exit status 2: the function failed)",
        exit_status,
        [options](CloudClient& cloud, const CloudOptions& common) {
            return Invoke(cloud, common, *options);
        });
    command->add_option("NAME", options->name, "Function name or ARN")->required();
    command->add_option(
        "-p,--payload-file", options->payload_file, "File with the event (-: stdin)");
    command->add_option("-d,--payload", options->payload, "The event itself (default {})");
    command->add_option("--qualifier", options->qualifier, "Version or alias");
    command->add_flag("--log", options->show_log, "Print the call's log on stderr");
}

}  // namespace hearth::cli
