#include "vmm/observe/metrics.h"

#include "codec/json/json.h"
#include "os/fd.h"
#include "vmm/config/faults.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace hearth::vmm::metrics {
namespace {

// Kinds of devices of which there may be several, each with a group of its own.
constexpr std::string_view kKinds[] = {"block", "net", "vhost_user", "pmem"};

// What every line has, counted yet or not: a reader of metrics asks for names, not for luck.
struct KnownGroup {
    std::string_view group;
    std::initializer_list<std::string_view> names;
};

constexpr KnownGroup kKnown[] = {
    {"api_server", {"process_startup_time_us", "process_startup_time_cpu_us"}},
    {"deprecated_api", {"deprecated_http_api_calls"}},
    {"get_api_requests",
     {"instance_info_count",
      "machine_cfg_count",
      "mmds_count",
      "vmm_version_count",
      "hotplug_memory_count"}},
    {"put_api_requests",
     {"actions_count",        "actions_fails",       "boot_source_count", "boot_source_fails",
      "drive_count",          "drive_fails",         "logger_count",      "logger_fails",
      "machine_cfg_count",    "machine_cfg_fails",   "cpu_cfg_count",     "cpu_cfg_fails",
      "metrics_count",        "metrics_fails",       "network_count",     "network_fails",
      "mmds_count",           "mmds_fails",          "vsock_count",       "vsock_fails",
      "pmem_count",           "pmem_fails",          "serial_count",      "serial_fails",
      "hotplug_memory_count", "hotplug_memory_fails"}},
    {"patch_api_requests",
     {"drive_count",
      "drive_fails",
      "network_count",
      "network_fails",
      "machine_cfg_count",
      "machine_cfg_fails",
      "mmds_count",
      "mmds_fails",
      "pmem_count",
      "pmem_fails",
      "hotplug_memory_count",
      "hotplug_memory_fails"}},
    {"latencies_us", {"pause_vm", "resume_vm", "vmm_pause_vm", "vmm_resume_vm"}},
    {"logger", {"missed_metrics_count", "metrics_fails", "missed_log_count"}},
    {"mmds",
     {"rx_accepted",
      "rx_accepted_err",
      "rx_accepted_unusual",
      "rx_bad_eth",
      "rx_invalid_token",
      "rx_no_token",
      "rx_count",
      "tx_bytes",
      "tx_count",
      "tx_errors",
      "tx_frames",
      "connections_created",
      "connections_destroyed"}},
};

// The groups whose values are no counts.
bool IsStored(std::string_view group) {
    return group == "api_server" || group == "latencies_us";
}

struct Entry {
    std::string name;
    bool stored;
    Counter counter;
    std::uint64_t flushed = 0;  // what the counter was at the last flush
    std::uint64_t taken = 0;    // what it is in the line that is being written

    Entry(std::string_view entry_name, bool is_stored) : name(entry_name), stored(is_stored) {}
};

struct Group {
    std::string name;
    std::deque<Entry> entries;  // addresses stay

    explicit Group(std::string_view group_name) : name(group_name) {}
};

struct Registry {
    std::mutex mutex;
    std::deque<Group> groups;
    os::Fd file;
    std::string rest;  // of a line that a pipe did not take whole
};

// One per process, never destroyed: counters outlive every thread.
Group& FindGroup(Registry& registry, std::string_view name) {
    for (auto& group : registry.groups) {
        if (group.name == name) {
            return group;
        }
    }
    return registry.groups.emplace_back(name);
}

Registry& TheRegistry() {
    static Registry* const registry = [] {
        auto* made = new Registry;
        for (const auto& known : kKnown) {
            auto& group = FindGroup(*made, known.group);
            for (const auto name : known.names) {
                group.entries.emplace_back(name, IsStored(known.group));
            }
        }
        return made;
    }();
    return *registry;
}

std::uint64_t Shown(const Entry& entry) {
    return entry.stored ? entry.taken : entry.taken - entry.flushed;
}

// The kind of a device's own group, or nothing.
std::string_view KindOf(std::string_view group) {
    for (const auto kind : kKinds) {
        if (group.size() > kind.size() + 1 && group.starts_with(kind) &&
            group[kind.size()] == '_') {
            return kind;
        }
    }
    return {};
}

std::string LineOf(Registry& registry) {
    // Sums of the kinds, in the order of their first entries.
    std::vector<
        std::pair<std::string_view, std::vector<std::pair<std::string_view, std::uint64_t>>>>
        sums;
    for (auto& group : registry.groups) {
        for (auto& entry : group.entries) {
            entry.taken = entry.counter.Load();
        }
        const auto kind = KindOf(group.name);
        if (kind.empty()) {
            continue;
        }
        auto* sum = [&] {
            for (auto& [name, values] : sums) {
                if (name == kind) {
                    return &values;
                }
            }
            return &sums.emplace_back(
                            kind, std::vector<std::pair<std::string_view, std::uint64_t>>())
                        .second;
        }();
        for (const auto& entry : group.entries) {
            bool found = false;
            for (auto& [name, value] : *sum) {
                if (name == entry.name) {
                    value += Shown(entry);
                    found = true;
                }
            }
            if (!found) {
                sum->emplace_back(entry.name, Shown(entry));
            }
        }
    }

    codec::JsonWriter out;
    // "read_agg.min_us" is member "min_us" of the object "read_agg"; such names come together.
    std::string_view open;
    const auto close = [&] {
        if (!open.empty()) {
            out.EndObject();
            open = {};
        }
    };
    const auto member = [&](std::string_view name, std::uint64_t value) {
        const auto dot = name.find('.');
        const auto object =
            dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
        if (object != open) {
            close();
            if (!object.empty()) {
                out.Key(object);
                out.BeginObject();
                open = object;
            }
        }
        out.Key(object.empty() ? name : name.substr(dot + 1));
        out.Uint(value);
    };
    out.BeginObject();
    out.Key("utc_timestamp_ms");
    out.Int(std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count());
    for (const auto& group : registry.groups) {
        out.Key(group.name);
        out.BeginObject();
        for (const auto& entry : group.entries) {
            member(entry.name, Shown(entry));
        }
        close();
        out.EndObject();
    }
    for (const auto& [kind, values] : sums) {
        out.Key(kind);
        out.BeginObject();
        for (const auto& [name, value] : values) {
            member(name, value);
        }
        close();
        out.EndObject();
    }
    out.EndObject();
    return out.Take();
}

// Writes what the file takes of `text` and cuts that off; the error number, or 0.
int WriteSome(int fd, std::string& text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        text.erase(0, static_cast<std::size_t>(written));
    }
    return 0;
}

}  // namespace

Counter& Get(std::string_view group, std::string_view name, bool stored) {
    auto& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    auto& entries = FindGroup(registry, group).entries;
    for (auto& entry : entries) {
        if (entry.name == name) {
            return entry.counter;
        }
    }
    return entries.emplace_back(name, stored).counter;
}

Status Configure(const std::string& path) {
    auto& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    constexpr std::string_view kPrefix =
        "Metrics error: Cannot initialize the metrics system due to bad user input: ";
    if (registry.file.valid()) {
        return faults::Bad(fmt::format("{}Reinitialization of metrics not allowed.", kPrefix));
    }
    registry.file =
        os::Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0644));
    if (!registry.file.valid()) {
        const int error = errno;
        return faults::Bad(fmt::format("{}{} (os error {})", kPrefix, std::strerror(error), error));
    }
    return {};
}

bool configured() {
    auto& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    return registry.file.valid();
}

std::string Line() {
    auto& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    return LineOf(registry);
}

Status Flush() {
    static Counter& missed = Get("logger", "missed_metrics_count");
    auto& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    if (!registry.file.valid()) {
        return {};
    }
    int error = WriteSome(registry.file.get(), registry.rest);
    if (error == 0) {
        std::string line = LineOf(registry) + '\n';
        const std::size_t bytes = line.size();
        error = WriteSome(registry.file.get(), line);
        if (line.size() < bytes) {
            // It is out, or its rest will be.
            registry.rest = std::move(line);
            error = 0;
            for (auto& group : registry.groups) {
                for (auto& entry : group.entries) {
                    entry.flushed = entry.taken;
                }
            }
        }
    }
    if (error != 0) {
        missed.Add();
        return faults::Bad(fmt::format(
            "Internal VMM error: Failed to write metrics: {} (os error {})",
            std::strerror(error),
            error));
    }
    return {};
}

}  // namespace hearth::vmm::metrics
