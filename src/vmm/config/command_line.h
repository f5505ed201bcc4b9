#pragma once

#include "base/result.h"
#include "vmm/config/config.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

// The program's command line, with Firecracker's options.
namespace hearth::vmm {

struct CommandLine {
    std::string api_sock = "/run/firecracker.socket";
    std::string id = "anonymous-instance";
    std::optional<std::string> config_file;
    std::optional<std::string> metadata;  // a file with JSON for the MMDS
    std::optional<std::string> metrics_path;
    LoggerConfig logger;
    bool no_api = false;
    bool no_seccomp = false;
    bool boot_timer = false;
    std::optional<std::uint64_t> start_time_us;
    std::optional<std::uint64_t> start_time_cpu_us;
    std::optional<std::uint64_t> parent_cpu_time_us;
    std::size_t http_api_max_payload_size = 51'200;
    std::optional<std::size_t> mmds_size_limit;  // else as large as a payload may be

    // Something to print, then a successful end: --help, --version.
    std::optional<std::string> print;
};

// `arguments` without the program's name.
//   errors  the text for standard error; the program's exit code is then 153, as Firecracker's.
Result<CommandLine> ParseCommandLine(
    std::span<const char* const> arguments, const std::string& version);

// Letters, digits and dashes, 1 to 64 of them.
Status CheckInstanceId(const std::string& id);

}  // namespace hearth::vmm
