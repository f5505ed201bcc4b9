#include "vmm/config/resources.h"

#include "os/fd.h"
#include "vmm/config/config_json.h"
#include "vmm/config/faults.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hearth::vmm {
namespace {

// As Rust's standard library, and so Firecracker, shows one.
std::string OsError(int number) {
    return fmt::format("{} (os error {})", std::strerror(number), number);
}

// 0, or the error of opening the file.
int TryOpen(const std::string& path, int flags) {
    const os::Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    return fd.valid() ? 0 : errno;
}

// 169.254.1.0 to 169.254.254.255: RFC 3927 keeps the first and the last 256 for later.
bool IsLinkLocal(const Ipv4Address& address) {
    return address[0] == 169 && address[1] == 254 && address[2] >= 1 && address[2] <= 254;
}

// A kernel takes 2047 bytes and the machine adds its own.
constexpr std::size_t kBootArgumentsBytesMax = 2048;

}  // namespace

Status Resources::Set(const MachineConfigUpdate& update) {
    MachineConfig next = config_.machine;
    const std::uint64_t vcpu_count = update.vcpu_count.value_or(next.vcpu_count);
    next.mem_size_mib = update.mem_size_mib.value_or(next.mem_size_mib);
    next.smt = update.smt.value_or(next.smt);
    next.track_dirty_pages = update.track_dirty_pages.value_or(next.track_dirty_pages);
    next.huge_pages = update.huge_pages.value_or(next.huge_pages);
    if (vcpu_count == 0 || vcpu_count > kVcpuCountMax ||
        (next.smt && vcpu_count > 1 && vcpu_count % 2 == 1)) {
        return faults::Bad(fmt::format(
            "Machine config error: The number of vCPUs must be greater than 0, less than {} "
            "and must be 1 or an even number if SMT is enabled.",
            kVcpuCountMax));
    }
    next.vcpu_count = static_cast<std::uint32_t>(vcpu_count);
    if (next.mem_size_mib == 0 ||
        (next.huge_pages == HugePages::k2M && next.mem_size_mib % 2 != 0)) {
        return faults::Bad(
            "Machine config error: The memory size (MiB) is either 0, or not a multiple of the "
            "configured page size.");
    }
    if (next.track_dirty_pages) {
        return faults::NotSupported("track_dirty_pages: there are no snapshots yet.");
    }
    if (config_.balloon && next.mem_size_mib < config_.balloon->amount_mib) {
        return faults::Bad(
            "Machine config error: The memory size (MiB) is smaller than the previously set "
            "balloon device target size.");
    }
    config_.machine = next;
    return {};
}

Status Resources::Set(const BootSourceConfig& source) {
    if (const int error = TryOpen(source.kernel_image_path, O_RDONLY); error != 0) {
        return faults::Bad(
            fmt::format("Boot source error: The kernel file cannot be opened: {}", OsError(error)));
    }
    if (source.initrd_path) {
        if (const int error = TryOpen(*source.initrd_path, O_RDONLY); error != 0) {
            return faults::Bad(fmt::format(
                "Boot source error: The initrd file cannot be opened due to invalid path or "
                "invalid permissions. {}",
                OsError(error)));
        }
    }
    if (source.boot_args) {
        if (source.boot_args->size() >= kBootArgumentsBytesMax) {
            return faults::Bad(
                "Boot source error: The kernel command line is invalid: Insufficient capacity");
        }
        if (std::ranges::any_of(*source.boot_args, [](char c) { return c < ' ' || c > '~'; })) {
            return faults::Bad(
                "Boot source error: The kernel command line is invalid: Invalid character found "
                "in string");
        }
    }
    config_.boot_source = source;
    return {};
}

Status Resources::Set(const DriveConfig& drive) {
    auto& drives = config_.drives;
    const auto same = std::ranges::find(drives, drive.drive_id, &DriveConfig::drive_id);
    if (drive.is_root_device && !drives.empty() && drives.front().is_root_device &&
        same != drives.begin()) {
        return faults::Bad("Drive config error: A root block device already exists!");
    }
    const int flags = drive.is_read_only ? O_RDONLY : O_RDWR;
    if (const int error = TryOpen(drive.path_on_host, flags); error != 0) {
        return faults::Bad(fmt::format(
            "Drive config error: Unable to create the virtio block device: Virtio backend "
            "error: Error manipulating the backing file: {} {}",
            OsError(error),
            drive.path_on_host));
    }
    if (same == drives.end()) {
        drives.insert(drive.is_root_device ? drives.begin() : drives.end(), drive);
        return {};
    }
    *same = drive;
    if (drive.is_root_device) {
        std::iter_swap(drives.begin(), same);
    }
    return {};
}

Status Resources::Set(const NetworkInterfaceConfig& interface) {
    auto& interfaces = config_.network_interfaces;
    for (const auto& other : interfaces) {
        if (other.iface_id == interface.iface_id) {
            continue;
        }
        if (interface.guest_mac && other.guest_mac == interface.guest_mac) {
            return faults::Bad(fmt::format(
                "Network config error: The MAC address is already in use: {}",
                WriteMac(*interface.guest_mac)));
        }
        if (other.host_dev_name == interface.host_dev_name) {
            return faults::Bad(
                "Network config error: Could not create the network device: Open tap device "
                "failed: Error while creating ifreq structure: Device or resource busy (os error "
                "16). Invalid TUN/TAP Backend provided by " +
                interface.host_dev_name + ".");
        }
    }
    // An interface's name in the kernel: 15 bytes.
    if (interface.host_dev_name.empty() || interface.host_dev_name.size() > 15) {
        return faults::Bad(
            "Network config error: Could not create the network device: Open tap device failed: "
            "Invalid interface name");
    }
    const auto same =
        std::ranges::find(interfaces, interface.iface_id, &NetworkInterfaceConfig::iface_id);
    if (same == interfaces.end()) {
        interfaces.push_back(interface);
    } else {
        *same = interface;
    }
    return {};
}

Status Resources::Set(const VsockConfig& vsock) {
    // sun_path, less what a guest's port number adds ("_4294967295").
    constexpr std::size_t kPathBytesMax = 107 - 11;
    if (vsock.uds_path.empty() || vsock.uds_path.size() > kPathBytesMax) {
        return faults::Bad(
            "Vsock config error: Cannot create backend for vsock device: Error binding to the "
            "host-side Unix socket: path must be shorter than SUN_LEN");
    }
    config_.vsock = vsock;
    return {};
}

Status Resources::Set(const BalloonConfig& balloon) {
    if (balloon.amount_mib > config_.machine.mem_size_mib) {
        return faults::Bad("Balloon config error: Amount of pages requested is too large.");
    }
    config_.balloon = balloon;
    return {};
}

Status Resources::Set(const EntropyConfig& entropy) {
    config_.entropy = entropy;
    return {};
}

Status Resources::Set(const SerialConfig& serial) {
    config_.serial = serial;
    return {};
}

Status Resources::Set(const MmdsConfig& mmds) {
    if (mmds.ipv4_address && !IsLinkLocal(*mmds.ipv4_address)) {
        return faults::Bad("MMDS config error: The MMDS IPv4 address is not link local.");
    }
    if (mmds.network_interfaces.empty()) {
        return faults::Bad(
            "MMDS config error: The list of network interface IDs that allow forwarding MMDS "
            "requests is empty.");
    }
    for (const auto& id : mmds.network_interfaces) {
        if (std::ranges::find(config_.network_interfaces, id, &NetworkInterfaceConfig::iface_id) ==
            config_.network_interfaces.end()) {
            return faults::Bad(
                "MMDS config error: The list of network interface IDs provided contains at least "
                "one ID that does not correspond to any existing network interface.");
        }
    }
    config_.mmds = mmds;
    return {};
}

}  // namespace hearth::vmm
