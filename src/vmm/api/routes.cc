#include "vmm/api/routes.h"

#include "vmm/config/config_json.h"
#include "vmm/config/faults.h"
#include "vmm/config/json_reader.h"
#include "vmm/observe/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace hearth::vmm {
namespace {

using codec::Json;

constexpr std::string_view kActions[] = {"FlushMetrics", "InstanceStart", "SendCtrlAltDel"};
constexpr std::string_view kVmStates[] = {"Paused", "Resumed"};

// The parts of a path; an empty one at the end does not count, as in "/drives/".
std::vector<std::string_view> Split(std::string_view path) {
    std::vector<std::string_view> parts;
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    while (!path.empty()) {
        const auto end = std::min(path.find('/'), path.size());
        parts.push_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return parts;
}

struct Call {
    std::string_view method;
    std::vector<std::string_view> parts;
    const HttpRequest& request;

    std::string_view part(std::size_t index) const {
        return index < parts.size() ? parts[index] : std::string_view();
    }

    Result<Json> Body() const { return ParseBody(request.body); }
};

Error InvalidPath(const Call& call, std::string_view path) {
    return faults::Bad(
        fmt::format("Invalid request method and/or path: {} {}.", call.method, path));
}

Status CheckId(const Call& call) {
    const auto id = call.part(1);
    if (id.empty()) {
        return faults::Bad("The ID cannot be empty.");
    }
    // Letters beyond ASCII come percent-encoded and are not taken, as by Firecracker.
    if (!std::ranges::all_of(id, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_';
        })) {
        return faults::Bad(
            "API Resource IDs can only contain alphanumeric characters and underscores.");
    }
    return {};
}

template <class T>
Result<ParsedRequest> Plain(T action) {
    return ParsedRequest{.action = std::move(action), .deprecation = {}};
}

template <class T>
Result<ParsedRequest> FromBody(const Call& call, Result<T> (*parse)(const Json&)) {
    HEARTH_TRY(const auto json, call.Body());
    HEARTH_TRY(auto parsed, parse(json));
    return Plain(std::move(parsed));
}

template <class T>
Result<ParsedRequest> DriveOf(const Call& call, Result<T> (*parse)(const Json&)) {
    HEARTH_RETURN_IF_ERROR(CheckId(call));
    HEARTH_TRY(const auto json, call.Body());
    HEARTH_TRY(auto drive, parse(json));
    if (drive.drive_id != call.part(1)) {
        return faults::Bad("The id from the path does not match the id from the body!");
    }
    return Plain(std::move(drive));
}

template <class T>
Result<ParsedRequest> InterfaceOf(const Call& call, Result<T> (*parse)(const Json&)) {
    HEARTH_RETURN_IF_ERROR(CheckId(call));
    HEARTH_TRY(const auto json, call.Body());
    HEARTH_TRY(auto interface, parse(json));
    if (interface.iface_id != call.part(1)) {
        return faults::Bad(fmt::format(
            "The id from the path [{}] does not match the id from the body [{}]!",
            call.part(1),
            interface.iface_id));
    }
    return Plain(std::move(interface));
}

Result<ParsedRequest> MachineConfigOf(const Call& call, bool all) {
    HEARTH_TRY(const auto json, call.Body());
    HEARTH_TRY(auto update, ParseMachineConfig(json, all));
    ParsedRequest parsed{.action = std::move(update), .deprecation = {}};
    if (json.Find("cpu_template") != nullptr) {
        parsed.deprecation = all ? "PUT /machine-config: cpu_template field is deprecated."
                                 : "PATCH /machine-config: cpu_template field is deprecated.";
    }
    return parsed;
}

Result<ParsedRequest> PutActions(const Call& call) {
    HEARTH_TRY(const auto json, call.Body());
    JsonReader reader(json, "ActionBody", {"action_type"});
    const auto action = reader.Variant("action_type", kActions);
    HEARTH_RETURN_IF_ERROR(reader.status());
    switch (action) {
        case 0:
            return Plain(FlushMetrics{});
        case 1:
            return Plain(StartInstance{});
        default:
            return Plain(SendCtrlAltDel{});
    }
}

Result<ParsedRequest> PutVsock(const Call& call) {
    HEARTH_TRY(const auto json, call.Body());
    HEARTH_TRY(auto vsock, ParseVsock(json));
    ParsedRequest parsed{.action = vsock, .deprecation = {}};
    if (vsock.vsock_id) {
        parsed.deprecation = "PUT /vsock: vsock_id field is deprecated.";
    }
    return parsed;
}

Result<ParsedRequest> PutMmdsOrConfig(const Call& call) {
    if (call.parts.size() > 1 && call.part(1) != "config") {
        return faults::Bad(fmt::format("Unrecognized PUT request path `{}`.", call.part(1)));
    }
    HEARTH_TRY(auto json, call.Body());
    if (call.parts.size() == 1) {
        return Plain(PutMmds{std::move(json)});
    }
    HEARTH_TRY(auto config, ParseMmdsConfig(json));
    ParsedRequest parsed{.action = config, .deprecation = {}};
    if (config.version == MmdsVersion::kV1) {
        parsed.deprecation = "PUT /mmds/config: V1 is deprecated. Use V2 instead.";
    }
    return parsed;
}

Result<ParsedRequest> PatchVm(const Call& call) {
    HEARTH_TRY(const auto json, call.Body());
    JsonReader reader(json, "Vm", {"state"});
    const auto state = reader.Variant("state", kVmStates);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return state == 0 ? Plain(PauseVm{}) : Plain(ResumeVm{});
}

Error NoSnapshots() {
    return faults::NotSupported("snapshots.");
}

Error NoHinting() {
    return faults::NotSupported("free page hinting; free page reporting is there.");
}

Error NoPmem() {
    return faults::NotSupported("pmem devices.");
}

Error NoHotplug() {
    return faults::NotSupported("memory hotplug.");
}

Result<ParsedRequest> Get(const Call& call) {
    const auto path = call.part(0);
    if (call.request.has_body) {
        return faults::Bad("GET request cannot have a body.");
    }
    if (path.empty()) {
        return Plain(GetInstanceInformation{});
    }
    if (path == "version") {
        return Plain(GetVersion{});
    }
    if (path == "vm" && call.part(1) == "config") {
        return Plain(GetVmConfig{});
    }
    if (path == "machine-config") {
        return Plain(GetMachineConfig{});
    }
    if (path == "mmds") {
        return Plain(GetMmds{});
    }
    if (path == "hotplug" && call.part(1) == "memory") {
        return NoHotplug();
    }
    if (path == "balloon") {
        const auto what = call.part(1);
        if (what.empty()) {
            return Plain(GetBalloon{});
        }
        if (what == "statistics") {
            return Plain(GetBalloonStatistics{});
        }
        if (what == "hinting") {
            if (call.part(2) == "status") {
                return NoHinting();
            }
            return faults::Bad(
                fmt::format("Unrecognized GET request path `/hinting/{}`.", call.part(2)));
        }
        return faults::Bad(fmt::format("Unrecognized GET request path `{}`.", what));
    }
    return InvalidPath(call, path);
}

Result<ParsedRequest> Put(const Call& call) {
    const auto path = call.part(0);
    if (!call.request.has_body) {
        return faults::Bad("Empty PUT request.");
    }
    if (path == "actions") {
        return PutActions(call);
    }
    if (path == "balloon") {
        return FromBody(call, &ParseBalloon);
    }
    if (path == "boot-source") {
        return FromBody(call, &ParseBootSource);
    }
    if (path == "cpu-config") {
        return faults::NotSupported("CPU templates.");
    }
    if (path == "drives") {
        return DriveOf(call, &ParseDrive);
    }
    if (path == "pmem") {
        return NoPmem();
    }
    if (path == "logger") {
        return FromBody(call, &ParseLogger);
    }
    if (path == "serial") {
        return FromBody(call, &ParseSerial);
    }
    if (path == "machine-config") {
        return MachineConfigOf(call, true);
    }
    if (path == "metrics") {
        return FromBody(call, &ParseMetrics);
    }
    if (path == "mmds") {
        return PutMmdsOrConfig(call);
    }
    if (path == "network-interfaces") {
        return InterfaceOf(call, &ParseNetworkInterface);
    }
    if (path == "snapshot") {
        if (call.parts.size() == 1) {
            return faults::Bad("Missing snapshot operation type.");
        }
        if (call.part(1) == "create" || call.part(1) == "load") {
            return NoSnapshots();
        }
        return InvalidPath(call, fmt::format("/snapshot/{}", call.part(1)));
    }
    if (path == "vsock") {
        return PutVsock(call);
    }
    if (path == "entropy") {
        return FromBody(call, &ParseEntropy);
    }
    if (path == "hotplug" && call.part(1) == "memory") {
        return NoHotplug();
    }
    return InvalidPath(call, path);
}

Result<ParsedRequest> PatchBalloon(const Call& call) {
    if (call.part(1) == "hinting") {
        if (call.part(2) == "start" || call.part(2) == "stop") {
            return NoHinting();
        }
        return faults::Bad(
            fmt::format("Unrecognized PATCH request path `/hinting/{}`.", call.part(2)));
    }
    if (!call.request.has_body) {
        return faults::Bad("Empty PATCH request.");
    }
    HEARTH_TRY(const auto json, call.Body());
    if (call.part(1) == "statistics") {
        JsonReader reader(json, "BalloonUpdateStatsConfig", {"stats_polling_interval_s"});
        const auto interval = reader.Unsigned(
            "stats_polling_interval_s", std::numeric_limits<std::uint16_t>::max(), "u16");
        HEARTH_RETURN_IF_ERROR(reader.status());
        return Plain(UpdateBalloonStatistics{static_cast<std::uint16_t>(interval)});
    }
    JsonReader reader(json, "BalloonUpdateConfig", {"amount_mib"});
    const auto amount =
        reader.Unsigned("amount_mib", std::numeric_limits<std::uint32_t>::max(), "u32");
    HEARTH_RETURN_IF_ERROR(reader.status());
    return Plain(UpdateBalloon{static_cast<std::uint32_t>(amount)});
}

Result<ParsedRequest> Patch(const Call& call) {
    const auto path = call.part(0);
    if (path == "balloon") {
        return PatchBalloon(call);
    }
    if (!call.request.has_body) {
        return faults::Bad("Empty PATCH request.");
    }
    if (path == "drives") {
        return DriveOf(call, &ParseDriveUpdate);
    }
    if (path == "machine-config") {
        return MachineConfigOf(call, false);
    }
    if (path == "mmds") {
        HEARTH_TRY(auto json, call.Body());
        return Plain(PatchMmds{std::move(json)});
    }
    if (path == "network-interfaces") {
        return InterfaceOf(call, &ParseNetworkInterfaceUpdate);
    }
    if (path == "vm") {
        return PatchVm(call);
    }
    if (path == "pmem") {
        return NoPmem();
    }
    if (path == "hotplug" && call.part(1) == "memory") {
        return NoHotplug();
    }
    return InvalidPath(call, path);
}

// The names under which Firecracker counts requests.
struct CountedPath {
    std::string_view path;
    std::string_view name;
};

constexpr CountedPath kCounted[] = {
    {"", "instance_info"},
    {"version", "vmm_version"},
    {"actions", "actions"},
    {"boot-source", "boot_source"},
    {"cpu-config", "cpu_cfg"},
    {"drives", "drive"},
    {"hotplug", "hotplug_memory"},
    {"logger", "logger"},
    {"machine-config", "machine_cfg"},
    {"metrics", "metrics"},
    {"mmds", "mmds"},
    {"network-interfaces", "network"},
    {"pmem", "pmem"},
    {"serial", "serial"},
    {"vsock", "vsock"},
};

void CountRequest(const Call& call, bool failed) {
    const auto* counted = std::ranges::find(kCounted, call.part(0), &CountedPath::path);
    if (counted == std::end(kCounted)) {
        return;
    }
    const std::string_view group = call.method == "GET"   ? "get_api_requests"
                                   : call.method == "PUT" ? "put_api_requests"
                                                          : "patch_api_requests";
    metrics::Get(group, fmt::format("{}_count", counted->name)).Add();
    auto& fails = metrics::Get(group, fmt::format("{}_fails", counted->name));
    if (failed) {
        fails.Add();
    }
}

}  // namespace

Result<ParsedRequest> ParseApiRequest(const HttpRequest& request) {
    const Call call{.method = request.method, .parts = Split(request.path), .request = request};
    auto parsed = call.method == "GET" ? Get(call) : call.method == "PUT" ? Put(call) : Patch(call);
    CountRequest(call, !parsed.ok());
    if (parsed.ok() && !parsed->deprecation.empty()) {
        metrics::Get("deprecated_api", "deprecated_http_api_calls").Add();
    }
    return parsed;
}

}  // namespace hearth::vmm
