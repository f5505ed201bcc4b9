#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What a microVM is to be, as its API sets it before the start: plain values, already parsed and
// valid on their own. What only shows when things are put together (two root drives, a balloon
// larger than memory) is checked by Resources (resources.h); what only the host knows (no such
// tap) by the machine when it starts.
//
// Names and defaults: Firecracker's public API description, version 1.17.
namespace hearth::vmm {

inline constexpr std::uint32_t kVcpuCountMax = 32;
inline constexpr std::uint64_t kDefaultMemoryMib = 128;

// A bucket of `size` tokens that fills up in `refill_time_ms`. A bucket of no size or of no refill
// time limits nothing (in an update: it takes an existing limit away).
struct TokenBucketConfig {
    std::uint64_t size = 0;
    std::optional<std::uint64_t> one_time_burst;
    std::uint64_t refill_time_ms = 0;

    bool unlimited() const { return size == 0 || refill_time_ms == 0; }

    bool operator==(const TokenBucketConfig&) const = default;
};

struct RateLimiterConfig {
    std::optional<TokenBucketConfig> bandwidth;  // tokens are bytes
    std::optional<TokenBucketConfig> ops;        // tokens are requests

    bool operator==(const RateLimiterConfig&) const = default;
};

enum class HugePages { kNone, kTransparent, k2M };

struct MachineConfig {
    std::uint32_t vcpu_count = 1;
    std::uint64_t mem_size_mib = kDefaultMemoryMib;
    bool smt = false;
    bool track_dirty_pages = false;
    HugePages huge_pages = HugePages::kNone;

    bool operator==(const MachineConfig&) const = default;
};

// PATCH /machine-config: only what is set changes.
struct MachineConfigUpdate {
    std::optional<std::uint64_t> vcpu_count;
    std::optional<std::uint64_t> mem_size_mib;
    std::optional<bool> smt;
    std::optional<bool> track_dirty_pages;
    std::optional<HugePages> huge_pages;
};

// The command line of a kernel whose boot source names none.
inline constexpr const char* kDefaultBootArguments =
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd "
    "swiotlb=noforce";

struct BootSourceConfig {
    std::string kernel_image_path;
    std::optional<std::string> initrd_path;
    std::optional<std::string> boot_args;
};

enum class CacheType { kUnsafe, kWriteback };  // kUnsafe: the guest is not offered a flush
enum class IoEngine { kSync, kAsync };

struct DriveConfig {
    std::string drive_id;
    std::string path_on_host;
    std::optional<std::string> partuuid;
    bool is_root_device = false;
    bool is_read_only = false;
    CacheType cache_type = CacheType::kUnsafe;
    IoEngine io_engine = IoEngine::kSync;
    std::optional<RateLimiterConfig> rate_limiter;
};

// PATCH /drives/{id}. In a rate limiter, a bucket that is not there stays as it is.
struct DriveUpdate {
    std::string drive_id;
    std::optional<std::string> path_on_host;
    std::optional<RateLimiterConfig> rate_limiter;
};

using MacAddress = std::array<std::uint8_t, 6>;

struct NetworkInterfaceConfig {
    std::string iface_id;
    std::string host_dev_name;
    std::optional<MacAddress> guest_mac;
    std::optional<std::uint16_t> mtu;
    std::optional<RateLimiterConfig> rx_rate_limiter;
    std::optional<RateLimiterConfig> tx_rate_limiter;
};

struct NetworkInterfaceUpdate {
    std::string iface_id;
    std::optional<RateLimiterConfig> rx_rate_limiter;
    std::optional<RateLimiterConfig> tx_rate_limiter;
};

struct VsockConfig {
    std::optional<std::string> vsock_id;  // accepted and kept, of no meaning
    std::uint32_t guest_cid = 0;          // 3 or more
    std::string uds_path;
};

struct BalloonConfig {
    std::uint32_t amount_mib = 0;
    bool deflate_on_oom = false;
    std::uint16_t stats_polling_interval_s = 0;  // 0: no statistics
    bool free_page_hinting = false;              // refused at present
    bool free_page_reporting = false;
};

// GET /balloon/statistics. What the guest has not told is not there.
struct BalloonStatistics {
    std::uint64_t target_pages = 0;
    std::uint64_t actual_pages = 0;
    std::uint64_t target_mib = 0;
    std::uint64_t actual_mib = 0;
    std::optional<std::uint64_t> swap_in;
    std::optional<std::uint64_t> swap_out;
    std::optional<std::uint64_t> major_faults;
    std::optional<std::uint64_t> minor_faults;
    std::optional<std::uint64_t> free_memory;
    std::optional<std::uint64_t> total_memory;
    std::optional<std::uint64_t> available_memory;
    std::optional<std::uint64_t> disk_caches;
    std::optional<std::uint64_t> hugetlb_allocations;
    std::optional<std::uint64_t> hugetlb_failures;
    std::optional<std::uint64_t> oom_kill;
    std::optional<std::uint64_t> alloc_stall;
    std::optional<std::uint64_t> async_scan;
    std::optional<std::uint64_t> direct_scan;
    std::optional<std::uint64_t> async_reclaim;
    std::optional<std::uint64_t> direct_reclaim;
};

struct EntropyConfig {
    std::optional<RateLimiterConfig> rate_limiter;
};

struct SerialConfig {
    std::optional<std::string> serial_out_path;  // else the program's standard output
    std::optional<TokenBucketConfig> rate_limiter;
};

enum class LogLevel { kOff, kError, kWarning, kInfo, kDebug, kTrace };

// PUT /logger: what is not set stays as it is.
struct LoggerConfig {
    std::optional<std::string> log_path;
    std::optional<LogLevel> level;
    std::optional<bool> show_level;
    std::optional<bool> show_log_origin;
    std::optional<std::string> module;
};

struct MetricsConfig {
    std::string metrics_path;
};

enum class MmdsVersion { kV1, kV2 };

using Ipv4Address = std::array<std::uint8_t, 4>;

inline constexpr Ipv4Address kDefaultMmdsAddress = {169, 254, 169, 254};

struct MmdsConfig {
    MmdsVersion version = MmdsVersion::kV1;
    std::vector<std::string> network_interfaces;  // whose frames the data store may answer
    std::optional<Ipv4Address> ipv4_address;
    bool imds_compat = false;
};

// Everything. The root drive, where there is one, is the first of the drives.
struct VmConfig {
    MachineConfig machine;
    std::optional<BootSourceConfig> boot_source;
    std::vector<DriveConfig> drives;
    std::vector<NetworkInterfaceConfig> network_interfaces;
    std::optional<VsockConfig> vsock;
    std::optional<BalloonConfig> balloon;
    std::optional<EntropyConfig> entropy;
    std::optional<SerialConfig> serial;
    std::optional<LoggerConfig> logger;
    std::optional<MetricsConfig> metrics;
    std::optional<MmdsConfig> mmds;
};

}  // namespace hearth::vmm
