#include "vmm/machine/device_set.h"

#include "vmm/boot/layout.h"
#include "vmm/machine/device_metrics.h"
#include "vmm/machine/mmds_detour.h"

#include <algorithm>

namespace hearth::vmm {
namespace {

std::optional<virtio::TokenBucketOptions> ToOptions(
    const std::optional<TokenBucketConfig>& bucket) {
    if (!bucket) {
        return std::nullopt;
    }
    return virtio::TokenBucketOptions{
        .size = bucket->size,
        .one_time_burst = bucket->one_time_burst.value_or(0),
        .refill_time_ms = bucket->refill_time_ms};
}

virtio::RateLimiterOptions ToOptions(const std::optional<RateLimiterConfig>& limiter) {
    if (!limiter) {
        return {};
    }
    return {.bandwidth = ToOptions(limiter->bandwidth), .ops = ToOptions(limiter->ops)};
}

virtio::RateLimiterUpdate ToUpdate(const std::optional<RateLimiterConfig>& limiter) {
    const virtio::RateLimiterOptions options = ToOptions(limiter);
    return {
        .bandwidth = virtio::BucketUpdate::From(options.bandwidth),
        .ops = virtio::BucketUpdate::From(options.ops)};
}

virtio::BlockOptions ToOptions(const DriveConfig& drive) {
    using Options = virtio::BlockOptions;
    return {
        .path = drive.path_on_host,
        .read_only = drive.is_read_only,
        .engine =
            drive.io_engine == IoEngine::kAsync ? Options::Engine::kAsync : Options::Engine::kSync,
        .cache = drive.cache_type == CacheType::kWriteback ? Options::Cache::kWriteback
                                                           : Options::Cache::kUnsafe,
        .limits = ToOptions(drive.rate_limiter)};
}

}  // namespace

// Where devices are connected to.
struct DeviceSet::Place {
    DeviceSet& set;
    const GuestMemory& memory;
    EventLoop& loop;
    Vm& vm;
    Bus& mmio;

    Status Attach(std::shared_ptr<virtio::Device> device) {
        const auto number = static_cast<std::uint32_t>(set.transports_.size());
        const std::uint32_t gsi = boot::kFirstVirtioGsi + number;
        if (gsi > boot::kLastGsi) {
            return errors::Malformed(fmt::format("more than {} devices", number));
        }
        const GuestAddress base = boot::kVirtioMmio + number * boot::kVirtioMmioBytes;
        HEARTH_TRY(EventFd interrupt, EventFd::Create());
        HEARTH_RETURN_IF_ERROR(vm.AddInterrupt(gsi, interrupt));
        HEARTH_TRY(
            auto transport,
            virtio::MmioTransport::Create(memory, loop, std::move(device), std::move(interrupt)));
        std::uint32_t queue = 0;
        for (const EventFd& kick : transport->queue_events()) {
            HEARTH_RETURN_IF_ERROR(
                vm.AddMmioKick(base + virtio::MmioTransport::kQueueNotify, queue, kick));
            ++queue;
        }
        HEARTH_RETURN_IF_ERROR(mmio.Insert(base, virtio::MmioTransport::kWindowBytes, transport));
        HEARTH_RETURN_IF_ERROR(transport->Start());
        set.transports_.push_back(std::move(transport));
        set.windows_.push_back({base, static_cast<std::uint32_t>(boot::kVirtioMmioBytes), gsi});
        return {};
    }
};

Result<DeviceSet> DeviceSet::Create(
    const VmConfig& config,
    const GuestMemory& memory,
    EventLoop& loop,
    Vm& vm,
    Bus& mmio,
    const std::shared_ptr<MmdsDataStore>& mmds) {
    DeviceSet set;
    Place place{set, memory, loop, vm, mmio};
    if (config.balloon) {
        const virtio::BalloonOptions options = {
            .amount_mib = config.balloon->amount_mib,
            .deflate_on_oom = config.balloon->deflate_on_oom,
            .stats_polling_interval_s = config.balloon->stats_polling_interval_s,
            .free_page_reporting = config.balloon->free_page_reporting};
        HEARTH_TRY(set.balloon_, virtio::BalloonDevice::Create(options));
        HEARTH_RETURN_IF_ERROR(place.Attach(set.balloon_));
    }
    for (const DriveConfig& drive : config.drives) {
        auto device = virtio::BlockDevice::Create(ToOptions(drive));
        if (!device.ok()) {
            return std::move(device).error().WithContext("drive " + drive.drive_id);
        }
        HEARTH_RETURN_IF_ERROR(place.Attach(device.value()));
        set.drives_[drive.drive_id] = std::move(device).value();
    }
    for (const NetworkInterfaceConfig& interface : config.network_interfaces) {
        virtio::NetOptions options = {
            .tap = interface.host_dev_name,
            .mac = interface.guest_mac,
            .mtu = interface.mtu,
            .rx_limits = ToOptions(interface.rx_rate_limiter),
            .tx_limits = ToOptions(interface.tx_rate_limiter),
            .detour = nullptr};
        const bool has_metadata =
            config.mmds && std::ranges::find(config.mmds->network_interfaces, interface.iface_id) !=
                               config.mmds->network_interfaces.end();
        if (has_metadata && mmds != nullptr) {
            options.detour = MakeMmdsDetour(mmds);
        }
        auto device = virtio::NetDevice::Create(options);
        if (!device.ok()) {
            return std::move(device).error().WithContext("network interface " + interface.iface_id);
        }
        HEARTH_RETURN_IF_ERROR(place.Attach(device.value()));
        set.interfaces_[interface.iface_id] = std::move(device).value();
    }
    if (config.vsock) {
        const virtio::VsockOptions options = {
            .guest_cid = config.vsock->guest_cid, .uds_path = config.vsock->uds_path};
        auto device = virtio::VsockDevice::Create(options);
        if (!device.ok()) {
            return std::move(device).error().WithContext("vsock");
        }
        set.vsock_ = std::move(device).value();
        HEARTH_RETURN_IF_ERROR(place.Attach(set.vsock_));
    }
    if (config.entropy) {
        const virtio::EntropyOptions options = {.limits = ToOptions(config.entropy->rate_limiter)};
        HEARTH_TRY(set.entropy_, virtio::EntropyDevice::Create(options));
        HEARTH_RETURN_IF_ERROR(place.Attach(set.entropy_));
    }
    return set;
}

DeviceSet::~DeviceSet() {
    for (const auto& transport : transports_) {
        transport->Stop();
    }
}

Status DeviceSet::UpdateDrive(const DriveUpdate& update) {
    const auto drive = drives_.find(update.drive_id);
    if (drive == drives_.end()) {
        return errors::Malformed("no such drive: " + update.drive_id);
    }
    if (update.path_on_host) {
        HEARTH_RETURN_IF_ERROR(drive->second->UpdatePath(*update.path_on_host));
    }
    if (update.rate_limiter) {
        drive->second->UpdateLimits(ToUpdate(update.rate_limiter));
    }
    return {};
}

Status DeviceSet::UpdateNetworkInterface(const NetworkInterfaceUpdate& update) {
    const auto interface = interfaces_.find(update.iface_id);
    if (interface == interfaces_.end()) {
        return errors::Malformed("no such network interface: " + update.iface_id);
    }
    interface->second->UpdateLimits(
        ToUpdate(update.rx_rate_limiter), ToUpdate(update.tx_rate_limiter));
    return {};
}

void DeviceSet::Drain() const {
    // All others are done with the guest's memory when they return.
    for (const auto& [id, drive] : drives_) {
        drive->Drain();
    }
}

void DeviceSet::CollectMetrics() const {
    if (balloon_ != nullptr) {
        StoreMetrics(balloon_->metrics());
    }
    for (const auto& [id, drive] : drives_) {
        StoreMetrics(id, drive->metrics());
    }
    for (const auto& [id, interface] : interfaces_) {
        StoreMetrics(id, interface->metrics());
    }
    if (vsock_ != nullptr) {
        StoreMetrics(vsock_->metrics());
    }
    if (entropy_ != nullptr) {
        StoreMetrics(entropy_->metrics());
    }
}

}  // namespace hearth::vmm
