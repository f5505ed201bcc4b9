#include "vmm/config/config_json.h"

#include "vmm/config/faults.h"
#include "vmm/config/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace hearth::vmm {
namespace {

using codec::Json;
using codec::JsonWriter;

constexpr std::uint64_t kU8Max = std::numeric_limits<std::uint8_t>::max();
constexpr std::uint64_t kU16Max = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint64_t kU32Max = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kU64Max = std::numeric_limits<std::uint64_t>::max();

constexpr std::string_view kHugePages[] = {"None", "Transparent", "2M"};
constexpr std::string_view kCpuTemplates[] = {"C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None"};
constexpr std::string_view kCacheTypes[] = {"Unsafe", "Writeback"};
constexpr std::string_view kIoEngines[] = {"Sync", "Async"};
constexpr std::string_view kMmdsVersions[] = {"V1", "V2"};
constexpr std::string_view kLogLevels[] = {"Off", "Error", "Warning", "Info", "Debug", "Trace"};

template <class Enum>
std::string_view NameOf(std::span<const std::string_view> names, Enum value) {
    return names[static_cast<std::size_t>(value)];
}

Result<TokenBucketConfig> ParseTokenBucket(const Json& json) {
    JsonReader reader(json, "TokenBucketConfig", {"size", "one_time_burst", "refill_time"});
    TokenBucketConfig bucket;
    bucket.size = reader.Unsigned("size", kU64Max, "u64");
    bucket.one_time_burst = reader.OptionalUnsigned("one_time_burst", kU64Max, "u64");
    bucket.refill_time_ms = reader.Unsigned("refill_time", kU64Max, "u64");
    HEARTH_RETURN_IF_ERROR(reader.status());
    return bucket;
}

template <class T>
std::optional<T> Nested(
    JsonReader& reader, std::string_view name, Result<T> (*parse)(const Json&)) {
    const Json* value = reader.OptionalValue(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    auto parsed = parse(*value);
    if (!parsed.ok()) {
        reader.Fail(parsed.error());
        return std::nullopt;
    }
    return std::move(*parsed);
}

Result<RateLimiterConfig> ParseRateLimiter(const Json& json) {
    JsonReader reader(json, "RateLimiterConfig", {"bandwidth", "ops"});
    RateLimiterConfig limiter;
    limiter.bandwidth = Nested(reader, "bandwidth", &ParseTokenBucket);
    limiter.ops = Nested(reader, "ops", &ParseTokenBucket);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return limiter;
}

void WriteTokenBucket(JsonWriter& out, const TokenBucketConfig& bucket) {
    out.BeginObject();
    out.Key("size");
    out.Uint(bucket.size);
    out.Key("one_time_burst");
    if (bucket.one_time_burst && *bucket.one_time_burst != 0) {
        out.Uint(*bucket.one_time_burst);
    } else {
        out.Null();
    }
    out.Key("refill_time");
    out.Uint(bucket.refill_time_ms);
    out.EndObject();
}

void WriteRateLimiter(
    JsonWriter& out, std::string_view name, const std::optional<RateLimiterConfig>& limiter) {
    out.Key(name);
    if (!limiter || (!limiter->bandwidth && !limiter->ops)) {
        out.Null();
        return;
    }
    out.BeginObject();
    const auto bucket = [&](std::string_view key, const std::optional<TokenBucketConfig>& config) {
        out.Key(key);
        if (config && !config->unlimited()) {
            WriteTokenBucket(out, *config);
        } else {
            out.Null();
        }
    };
    bucket("bandwidth", limiter->bandwidth);
    bucket("ops", limiter->ops);
    out.EndObject();
}

void WriteText(JsonWriter& out, std::string_view name, const std::optional<std::string>& text) {
    out.Key(name);
    if (text) {
        out.String(*text);
    } else {
        out.Null();
    }
}

void Write(JsonWriter& out, const MachineConfig& config) {
    out.BeginObject();
    out.Key("vcpu_count");
    out.Uint(config.vcpu_count);
    out.Key("mem_size_mib");
    out.Uint(config.mem_size_mib);
    out.Key("smt");
    out.Bool(config.smt);
    out.Key("track_dirty_pages");
    out.Bool(config.track_dirty_pages);
    out.Key("huge_pages");
    out.String(NameOf(kHugePages, config.huge_pages));
    out.EndObject();
}

void Write(JsonWriter& out, const BalloonConfig& config) {
    out.BeginObject();
    out.Key("amount_mib");
    out.Uint(config.amount_mib);
    out.Key("deflate_on_oom");
    out.Bool(config.deflate_on_oom);
    out.Key("stats_polling_interval_s");
    out.Uint(config.stats_polling_interval_s);
    out.Key("free_page_hinting");
    out.Bool(config.free_page_hinting);
    out.Key("free_page_reporting");
    out.Bool(config.free_page_reporting);
    out.EndObject();
}

void Write(JsonWriter& out, const BootSourceConfig& config) {
    out.BeginObject();
    out.Key("kernel_image_path");
    out.String(config.kernel_image_path);
    WriteText(out, "initrd_path", config.initrd_path);
    if (config.boot_args) {
        out.Key("boot_args");
        out.String(*config.boot_args);
    }
    out.EndObject();
}

void Write(JsonWriter& out, const DriveConfig& drive) {
    out.BeginObject();
    out.Key("drive_id");
    out.String(drive.drive_id);
    WriteText(out, "partuuid", drive.partuuid);
    out.Key("is_root_device");
    out.Bool(drive.is_root_device);
    out.Key("cache_type");
    out.String(NameOf(kCacheTypes, drive.cache_type));
    out.Key("is_read_only");
    out.Bool(drive.is_read_only);
    out.Key("path_on_host");
    out.String(drive.path_on_host);
    WriteRateLimiter(out, "rate_limiter", drive.rate_limiter);
    out.Key("io_engine");
    out.String(NameOf(kIoEngines, drive.io_engine));
    out.Key("socket");
    out.Null();
    out.EndObject();
}

void Write(JsonWriter& out, const NetworkInterfaceConfig& interface) {
    out.BeginObject();
    out.Key("iface_id");
    out.String(interface.iface_id);
    out.Key("host_dev_name");
    out.String(interface.host_dev_name);
    out.Key("guest_mac");
    if (interface.guest_mac) {
        out.String(WriteMac(*interface.guest_mac));
    } else {
        out.Null();
    }
    if (interface.mtu) {
        out.Key("mtu");
        out.Uint(*interface.mtu);
    }
    WriteRateLimiter(out, "rx_rate_limiter", interface.rx_rate_limiter);
    WriteRateLimiter(out, "tx_rate_limiter", interface.tx_rate_limiter);
    out.EndObject();
}

void Write(JsonWriter& out, const VsockConfig& vsock) {
    out.BeginObject();
    if (vsock.vsock_id) {
        out.Key("vsock_id");
        out.String(*vsock.vsock_id);
    }
    out.Key("guest_cid");
    out.Uint(vsock.guest_cid);
    out.Key("uds_path");
    out.String(vsock.uds_path);
    out.EndObject();
}

void Write(JsonWriter& out, const MmdsConfig& mmds) {
    out.BeginObject();
    out.Key("version");
    out.String(NameOf(kMmdsVersions, mmds.version));
    out.Key("network_interfaces");
    out.BeginArray();
    for (const auto& id : mmds.network_interfaces) {
        out.String(id);
    }
    out.EndArray();
    out.Key("ipv4_address");
    out.String(WriteIpv4(mmds.ipv4_address.value_or(kDefaultMmdsAddress)));
    out.Key("imds_compat");
    out.Bool(mmds.imds_compat);
    out.EndObject();
}

void Write(JsonWriter& out, const LoggerConfig& logger) {
    out.BeginObject();
    WriteText(out, "log_path", logger.log_path);
    out.Key("level");
    if (logger.level) {
        out.String(NameOf(kLogLevels, *logger.level));
    } else {
        out.Null();
    }
    out.Key("show_level");
    out.Bool(logger.show_level.value_or(false));
    out.Key("show_log_origin");
    out.Bool(logger.show_log_origin.value_or(false));
    out.EndObject();
}

template <class T>
void WriteOptional(JsonWriter& out, std::string_view name, const std::optional<T>& value) {
    out.Key(name);
    if (value) {
        Write(out, *value);
    } else {
        out.Null();
    }
}

template <class T>
void WriteList(JsonWriter& out, std::string_view name, const std::vector<T>& values) {
    out.Key(name);
    out.BeginArray();
    for (const auto& value : values) {
        Write(out, value);
    }
    out.EndArray();
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        return (x >= 'A' && x <= 'Z' ? x + 32 : x) == (y >= 'A' && y <= 'Z' ? y + 32 : y);
    });
}

}  // namespace

Result<MachineConfigUpdate> ParseMachineConfig(const Json& json, bool all) {
    JsonReader reader(
        json,
        "MachineConfig",
        {"vcpu_count", "mem_size_mib", "smt", "cpu_template", "track_dirty_pages", "huge_pages"});
    MachineConfigUpdate update;
    if (all) {
        update.vcpu_count = reader.Unsigned("vcpu_count", kU8Max, "u8");
        update.mem_size_mib = reader.Unsigned("mem_size_mib", kU64Max, "usize");
        update.smt = reader.OptionalBool("smt").value_or(false);
        update.track_dirty_pages = reader.OptionalBool("track_dirty_pages").value_or(false);
        update.huge_pages =
            static_cast<HugePages>(reader.OptionalVariant("huge_pages", kHugePages).value_or(0));
    } else {
        update.vcpu_count = reader.OptionalUnsigned("vcpu_count", kU8Max, "u8");
        update.mem_size_mib = reader.OptionalUnsigned("mem_size_mib", kU64Max, "usize");
        update.smt = reader.OptionalBool("smt");
        update.track_dirty_pages = reader.OptionalBool("track_dirty_pages");
        if (const auto pages = reader.OptionalVariant("huge_pages", kHugePages)) {
            update.huge_pages = static_cast<HugePages>(*pages);
        }
    }
    const auto cpu_template = reader.OptionalVariant("cpu_template", kCpuTemplates);
    HEARTH_RETURN_IF_ERROR(reader.status());
    if (cpu_template && kCpuTemplates[*cpu_template] != "None") {
        return faults::NotSupported("CPU templates.");
    }
    if (!all && json.AsObject()->empty()) {
        return faults::Bad("Empty PATCH request.");
    }
    return update;
}

Result<BootSourceConfig> ParseBootSource(const Json& json) {
    JsonReader reader(json, "BootSourceConfig", {"kernel_image_path", "initrd_path", "boot_args"});
    BootSourceConfig config;
    config.kernel_image_path = reader.String("kernel_image_path");
    config.initrd_path = reader.OptionalString("initrd_path");
    config.boot_args = reader.OptionalString("boot_args");
    HEARTH_RETURN_IF_ERROR(reader.status());
    return config;
}

Result<DriveConfig> ParseDrive(const Json& json) {
    JsonReader reader(
        json,
        "BlockDeviceConfig",
        {"drive_id",
         "partuuid",
         "is_root_device",
         "cache_type",
         "is_read_only",
         "path_on_host",
         "rate_limiter",
         "io_engine",
         "socket"});
    DriveConfig drive;
    drive.drive_id = reader.String("drive_id");
    drive.partuuid = reader.OptionalString("partuuid");
    drive.is_root_device = reader.Bool("is_root_device");
    drive.cache_type =
        static_cast<CacheType>(reader.OptionalVariant("cache_type", kCacheTypes).value_or(0));
    drive.is_read_only = reader.OptionalBool("is_read_only").value_or(false);
    const auto path = reader.OptionalString("path_on_host");
    drive.rate_limiter = Nested(reader, "rate_limiter", &ParseRateLimiter);
    drive.io_engine =
        static_cast<IoEngine>(reader.OptionalVariant("io_engine", kIoEngines).value_or(0));
    const bool socket = reader.OptionalString("socket").has_value();
    HEARTH_RETURN_IF_ERROR(reader.status());
    if (socket) {
        return faults::NotSupported("drives of a vhost-user socket.");
    }
    if (!path) {
        return BodyFault("missing field `path_on_host`");
    }
    drive.path_on_host = *path;
    return drive;
}

Result<DriveUpdate> ParseDriveUpdate(const Json& json) {
    JsonReader reader(
        json, "BlockDeviceUpdateConfig", {"drive_id", "path_on_host", "rate_limiter"});
    DriveUpdate update;
    update.drive_id = reader.String("drive_id");
    update.path_on_host = reader.OptionalString("path_on_host");
    update.rate_limiter = Nested(reader, "rate_limiter", &ParseRateLimiter);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return update;
}

Result<NetworkInterfaceConfig> ParseNetworkInterface(const Json& json) {
    JsonReader reader(
        json,
        "NetworkInterfaceConfig",
        {"iface_id", "host_dev_name", "guest_mac", "mtu", "rx_rate_limiter", "tx_rate_limiter"});
    NetworkInterfaceConfig interface;
    interface.iface_id = reader.String("iface_id");
    interface.host_dev_name = reader.String("host_dev_name");
    if (const auto mac = reader.OptionalString("guest_mac")) {
        interface.guest_mac = ParseMac(*mac);
        if (!interface.guest_mac) {
            reader.Fail(fmt::format("The provided MAC address is invalid: {}", *mac));
        }
    }
    if (const auto mtu = reader.OptionalUnsigned("mtu", kU16Max, "u16")) {
        interface.mtu = static_cast<std::uint16_t>(*mtu);
        if (*mtu < 68) {
            reader.Fail(
                fmt::format("invalid value: integer `{}`, expected an MTU of at least 68", *mtu));
        }
    }
    interface.rx_rate_limiter = Nested(reader, "rx_rate_limiter", &ParseRateLimiter);
    interface.tx_rate_limiter = Nested(reader, "tx_rate_limiter", &ParseRateLimiter);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return interface;
}

Result<NetworkInterfaceUpdate> ParseNetworkInterfaceUpdate(const Json& json) {
    JsonReader reader(
        json, "NetworkInterfaceUpdateConfig", {"iface_id", "rx_rate_limiter", "tx_rate_limiter"});
    NetworkInterfaceUpdate update;
    update.iface_id = reader.String("iface_id");
    update.rx_rate_limiter = Nested(reader, "rx_rate_limiter", &ParseRateLimiter);
    update.tx_rate_limiter = Nested(reader, "tx_rate_limiter", &ParseRateLimiter);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return update;
}

Result<VsockConfig> ParseVsock(const Json& json) {
    JsonReader reader(json, "VsockDeviceConfig", {"vsock_id", "guest_cid", "uds_path"});
    VsockConfig vsock;
    vsock.vsock_id = reader.OptionalString("vsock_id");
    vsock.guest_cid = static_cast<std::uint32_t>(reader.Unsigned("guest_cid", kU32Max, "u32"));
    vsock.uds_path = reader.String("uds_path");
    HEARTH_RETURN_IF_ERROR(reader.status());
    // 0 to 2 are the hypervisor, the local and the host's address.
    if (vsock.guest_cid < 3) {
        return faults::Bad(fmt::format(
            "Vsock config error: the guest CID is {}, the least is 3.", vsock.guest_cid));
    }
    return vsock;
}

Result<BalloonConfig> ParseBalloon(const Json& json) {
    JsonReader reader(
        json,
        "BalloonDeviceConfig",
        {"amount_mib",
         "deflate_on_oom",
         "stats_polling_interval_s",
         "free_page_hinting",
         "free_page_reporting"});
    BalloonConfig balloon;
    balloon.amount_mib = static_cast<std::uint32_t>(reader.Unsigned("amount_mib", kU32Max, "u32"));
    balloon.deflate_on_oom = reader.Bool("deflate_on_oom");
    balloon.stats_polling_interval_s = static_cast<std::uint16_t>(
        reader.OptionalUnsigned("stats_polling_interval_s", kU16Max, "u16").value_or(0));
    balloon.free_page_hinting = reader.OptionalBool("free_page_hinting").value_or(false);
    balloon.free_page_reporting = reader.OptionalBool("free_page_reporting").value_or(false);
    HEARTH_RETURN_IF_ERROR(reader.status());
    if (balloon.free_page_hinting) {
        return faults::NotSupported("free page hinting; free page reporting is there.");
    }
    return balloon;
}

Result<EntropyConfig> ParseEntropy(const Json& json) {
    JsonReader reader(json, "EntropyDeviceConfig", {"rate_limiter"});
    EntropyConfig entropy;
    entropy.rate_limiter = Nested(reader, "rate_limiter", &ParseRateLimiter);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return entropy;
}

Result<SerialConfig> ParseSerial(const Json& json) {
    JsonReader reader(json, "SerialConfig", {"serial_out_path", "rate_limiter"});
    SerialConfig serial;
    serial.serial_out_path = reader.OptionalString("serial_out_path");
    serial.rate_limiter = Nested(reader, "rate_limiter", &ParseTokenBucket);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return serial;
}

Result<LoggerConfig> ParseLogger(const Json& json) {
    JsonReader reader(
        json, "LoggerConfig", {"log_path", "level", "show_level", "show_log_origin", "module"});
    LoggerConfig logger;
    logger.log_path = reader.OptionalString("log_path");
    if (const auto level = reader.OptionalString("level")) {
        logger.level = ParseLogLevel(*level);
        if (!logger.level) {
            reader.Fail(fmt::format(
                "unknown variant `{}`, expected one of `Off`, `Trace`, `Debug`, `Info`, "
                "`Warn`, `Error`",
                *level));
        }
    }
    logger.show_level = reader.OptionalBool("show_level");
    logger.show_log_origin = reader.OptionalBool("show_log_origin");
    logger.module = reader.OptionalString("module");
    HEARTH_RETURN_IF_ERROR(reader.status());
    if (logger.module) {
        return faults::NotSupported("a logger's module.");
    }
    return logger;
}

Result<MetricsConfig> ParseMetrics(const Json& json) {
    JsonReader reader(json, "MetricsConfig", {"metrics_path"});
    MetricsConfig metrics;
    metrics.metrics_path = reader.String("metrics_path");
    HEARTH_RETURN_IF_ERROR(reader.status());
    return metrics;
}

Result<MmdsConfig> ParseMmdsConfig(const Json& json) {
    JsonReader reader(
        json, "MmdsConfig", {"version", "network_interfaces", "ipv4_address", "imds_compat"});
    MmdsConfig mmds;
    mmds.version =
        static_cast<MmdsVersion>(reader.OptionalVariant("version", kMmdsVersions).value_or(0));
    if (reader.Value("network_interfaces") != nullptr) {
        mmds.network_interfaces =
            reader.OptionalStrings("network_interfaces").value_or(std::vector<std::string>());
    }
    if (const auto text = reader.OptionalString("ipv4_address")) {
        mmds.ipv4_address = ParseIpv4(*text);
        if (!mmds.ipv4_address) {
            reader.Fail("invalid IPv4 address syntax");
        }
    }
    mmds.imds_compat = reader.OptionalBool("imds_compat").value_or(false);
    HEARTH_RETURN_IF_ERROR(reader.status());
    return mmds;
}

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
    if (EqualIgnoringCase(text, "warn")) {
        return LogLevel::kWarning;
    }
    for (std::size_t i = 0; i < std::size(kLogLevels); ++i) {
        if (EqualIgnoringCase(text, kLogLevels[i])) {
            return static_cast<LogLevel>(i);
        }
    }
    return std::nullopt;
}

std::optional<MacAddress> ParseMac(std::string_view text) {
    // Six pairs of hexadecimal digits between colons.
    if (text.size() != 17) {
        return std::nullopt;
    }
    MacAddress mac{};
    for (std::size_t i = 0; i < 6; ++i) {
        const char* begin = text.data() + 3 * i;
        if (i > 0 && begin[-1] != ':') {
            return std::nullopt;
        }
        const auto [end, error] = std::from_chars(begin, begin + 2, mac[i], 16);
        if (error != std::errc() || end != begin + 2) {
            return std::nullopt;
        }
    }
    return mac;
}

std::optional<Ipv4Address> ParseIpv4(std::string_view text) {
    Ipv4Address address{};
    const char* at = text.data();
    const char* const end = at + text.size();
    for (std::size_t i = 0; i < 4; ++i) {
        if (i > 0 && (at == end || *at++ != '.')) {
            return std::nullopt;
        }
        const auto [next, error] = std::from_chars(at, end, address[i]);
        // No leading zeros: some readers take those for octal.
        if (error != std::errc() || (*at == '0' && next != at + 1)) {
            return std::nullopt;
        }
        at = next;
    }
    return at == end ? std::optional(address) : std::nullopt;
}

std::string WriteMac(const MacAddress& mac) {
    return fmt::format("{:02x}", fmt::join(mac, ":"));
}

std::string WriteIpv4(const Ipv4Address& address) {
    return fmt::format("{}", fmt::join(address, "."));
}

std::string WriteMachineConfig(const MachineConfig& config) {
    JsonWriter out;
    Write(out, config);
    return out.Take();
}

std::string WriteBalloon(const BalloonConfig& config) {
    JsonWriter out;
    Write(out, config);
    return out.Take();
}

std::string WriteBalloonStatistics(const BalloonStatistics& statistics) {
    JsonWriter out;
    out.BeginObject();
    const auto number = [&](std::string_view name, std::optional<std::uint64_t> value) {
        if (value) {
            out.Key(name);
            out.Uint(*value);
        }
    };
    number("target_pages", statistics.target_pages);
    number("actual_pages", statistics.actual_pages);
    number("target_mib", statistics.target_mib);
    number("actual_mib", statistics.actual_mib);
    number("swap_in", statistics.swap_in);
    number("swap_out", statistics.swap_out);
    number("major_faults", statistics.major_faults);
    number("minor_faults", statistics.minor_faults);
    number("free_memory", statistics.free_memory);
    number("total_memory", statistics.total_memory);
    number("available_memory", statistics.available_memory);
    number("disk_caches", statistics.disk_caches);
    number("hugetlb_allocations", statistics.hugetlb_allocations);
    number("hugetlb_failures", statistics.hugetlb_failures);
    number("oom_kill", statistics.oom_kill);
    number("alloc_stall", statistics.alloc_stall);
    number("async_scan", statistics.async_scan);
    number("direct_scan", statistics.direct_scan);
    number("async_reclaim", statistics.async_reclaim);
    number("direct_reclaim", statistics.direct_reclaim);
    out.EndObject();
    return out.Take();
}

std::string WriteVmConfig(const VmConfig& config) {
    JsonWriter out;
    out.BeginObject();
    WriteOptional(out, "balloon", config.balloon);
    WriteList(out, "drives", config.drives);
    out.Key("boot-source");
    Write(out, config.boot_source.value_or(BootSourceConfig{}));
    out.Key("cpu-config");
    out.Null();
    WriteOptional(out, "logger", config.logger);
    out.Key("machine-config");
    Write(out, config.machine);
    out.Key("metrics");
    if (config.metrics) {
        out.BeginObject();
        out.Key("metrics_path");
        out.String(config.metrics->metrics_path);
        out.EndObject();
    } else {
        out.Null();
    }
    WriteOptional(out, "mmds-config", config.mmds);
    WriteList(out, "network-interfaces", config.network_interfaces);
    WriteOptional(out, "vsock", config.vsock);
    out.Key("entropy");
    if (config.entropy) {
        out.BeginObject();
        WriteRateLimiter(out, "rate_limiter", config.entropy->rate_limiter);
        out.EndObject();
    } else {
        out.Null();
    }
    out.Key("pmem");
    out.BeginArray();
    out.EndArray();
    out.Key("memory-hotplug");
    out.Null();
    if (config.serial) {
        out.Key("serial");
        out.BeginObject();
        WriteText(out, "serial_out_path", config.serial->serial_out_path);
        if (config.serial->rate_limiter) {
            out.Key("rate_limiter");
            WriteTokenBucket(out, *config.serial->rate_limiter);
        }
        out.EndObject();
    }
    out.EndObject();
    return out.Take();
}

}  // namespace hearth::vmm
