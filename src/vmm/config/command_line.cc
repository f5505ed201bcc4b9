#include "vmm/config/command_line.h"

#include "vmm/config/config_json.h"
#include "vmm/config/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace hearth::vmm {
namespace {

struct Option {
    std::string_view name;
    bool takes_value;
    std::string_view help;
};

constexpr Option kOptions[] = {
    {"api-sock", true, "Path of the API's unix socket [/run/firecracker.socket]"},
    {"id", true, "Name of the microVM [anonymous-instance]"},
    {"config-file", true, "JSON file with the microVM's configuration; starts it at once"},
    {"no-api", false, "No API socket; needs --config-file"},
    {"metadata", true, "JSON file with the guest's metadata (MMDS)"},
    {"mmds-size-limit", true, "Bytes the metadata may have [as --http-api-max-payload-size]"},
    {"http-api-max-payload-size", true, "Bytes a request's body may have [51200]"},
    {"log-path", true, "File or named pipe for the log [standard output]"},
    {"level", true, "Off, Error, Warning, Info, Debug or Trace [Info]"},
    {"show-level", false, "Name the level in each line of the log"},
    {"show-log-origin", false, "Name the source file and line in each line of the log"},
    {"module", true, "Not supported"},
    {"metrics-path", true, "File or named pipe for the metrics"},
    {"boot-timer", false, "Give the guest a port that logs the time since its start"},
    {"no-seccomp", false, "No system call filters; not recommended"},
    {"seccomp-filter", true, "Not supported: the filters are built in"},
    {"start-time-us", true, "Start of the process, monotonic clock, for the metrics"},
    {"start-time-cpu-us", true, "Start of the process, CPU clock, for the metrics"},
    {"parent-cpu-time-us", true, "CPU time its parent used for it, for the metrics"},
    {"enable-pci", false, "Not supported: devices are on virtio-mmio"},
    {"snapshot-version", false, "Not supported: there are no snapshots yet"},
    {"describe-snapshot", true, "Not supported: there are no snapshots yet"},
    {"version", false, "Print the version"},
    {"help", false, "Print this"},
};

constexpr std::string_view kUnsupported[] = {
    "module", "seccomp-filter", "enable-pci", "snapshot-version", "describe-snapshot"};

std::string Help(const std::string& version) {
    std::string text = fmt::format(
        "hearth-vmm {}\nA microVM monitor with Firecracker's API.\n\nOptions:\n", version);
    for (const auto& option : kOptions) {
        text += fmt::format(
            "  {:<36}{}\n",
            fmt::format("--{}{}", option.name, option.takes_value ? " <value>" : ""),
            option.help);
    }
    return text;
}

Result<std::uint64_t> Number(std::string_view name, std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        return faults::Bad(
            fmt::format("'{}' parameter expected to be a whole number, not '{}'", name, text));
    }
    return value;
}

}  // namespace

Status CheckInstanceId(const std::string& id) {
    if (id.empty() || id.size() > 64) {
        return faults::Bad(fmt::format(
            "Invalid instance ID: Invalid len ({});  the length must be between 1 and 64",
            id.size()));
    }
    for (std::size_t i = 0; i < id.size(); ++i) {
        const char c = id[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-')) {
            return faults::Bad(
                fmt::format("Invalid instance ID: Invalid char ({}) at position {}", c, i));
        }
    }
    return {};
}

Result<CommandLine> ParseCommandLine(
    std::span<const char* const> arguments, const std::string& version) {
    std::map<std::string_view, std::string, std::less<>> given;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string_view argument = arguments[i];
        if (argument == "--") {
            break;  // what follows is not ours
        }
        if (argument == "-h") {
            argument = "--help";
        }
        const std::string_view name = argument.starts_with("--") ? argument.substr(2) : "";
        const auto* option = std::ranges::find(kOptions, name, &Option::name);
        if (name.empty() || option == std::end(kOptions)) {
            return faults::Bad(fmt::format(
                "Arguments parsing error: Found argument '{}' which wasn't expected, or isn't "
                "valid in this context.",
                name.empty() ? argument : name));
        }
        if (given.contains(name)) {
            return faults::Bad(fmt::format(
                "Arguments parsing error: The argument '{}' was provided more than once.", name));
        }
        std::string value;
        if (option->takes_value) {
            if (i + 1 == arguments.size() || std::string_view(arguments[i + 1]).starts_with("--")) {
                return faults::Bad(fmt::format(
                    "Arguments parsing error: The argument '{}' requires a value, but none "
                    "was supplied.",
                    name));
            }
            value = arguments[++i];
        }
        given.emplace(option->name, std::move(value));
    }

    CommandLine line;
    if (given.contains("help")) {
        line.print = Help(version);
        return line;
    }
    if (given.contains("version")) {
        line.print = fmt::format("hearth-vmm {}\n", version);
        return line;
    }
    for (const auto name : kUnsupported) {
        if (given.contains(name)) {
            return faults::Bad(fmt::format("--{} is not supported by hearth-vmm.", name));
        }
    }

    const auto text = [&](std::string_view name) -> std::optional<std::string> {
        const auto found = given.find(name);
        return found == given.end() ? std::nullopt : std::optional(found->second);
    };
    std::optional<Error> bad_number;
    const auto number = [&](std::string_view name) -> std::optional<std::uint64_t> {
        const auto value = text(name);
        if (!value) {
            return std::nullopt;
        }
        auto parsed = Number(name, *value);
        if (!parsed.ok()) {
            bad_number = parsed.error();
            return std::nullopt;
        }
        return *parsed;
    };

    line.api_sock = text("api-sock").value_or(line.api_sock);
    line.id = text("id").value_or(line.id);
    line.config_file = text("config-file");
    line.metadata = text("metadata");
    line.metrics_path = text("metrics-path");
    line.no_api = given.contains("no-api");
    line.no_seccomp = given.contains("no-seccomp");
    line.boot_timer = given.contains("boot-timer");
    line.logger.log_path = text("log-path");
    if (given.contains("show-level")) {
        line.logger.show_level = true;
    }
    if (given.contains("show-log-origin")) {
        line.logger.show_log_origin = true;
    }
    line.start_time_us = number("start-time-us");
    line.start_time_cpu_us = number("start-time-cpu-us");
    line.parent_cpu_time_us = number("parent-cpu-time-us");
    line.http_api_max_payload_size =
        number("http-api-max-payload-size").value_or(line.http_api_max_payload_size);
    line.mmds_size_limit = number("mmds-size-limit");
    if (bad_number) {
        return *bad_number;
    }
    if (const auto level = text("level")) {
        line.logger.level = ParseLogLevel(*level);
        if (!line.logger.level) {
            return faults::Bad(fmt::format(
                "Invalid value for logger level: {}. Possible values: [Off, Error, Warning, "
                "Info, Debug, Trace]",
                *level));
        }
    }
    HEARTH_RETURN_IF_ERROR(CheckInstanceId(line.id));
    if (line.no_api && !line.config_file) {
        return faults::Bad(
            "Arguments parsing error: Argument 'config-file' required, but not found.");
    }
    return line;
}

}  // namespace hearth::vmm
