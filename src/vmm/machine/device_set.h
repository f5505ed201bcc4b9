#pragma once

#include "base/result.h"
#include "vmm/boot/acpi.h"
#include "vmm/config/config.h"
#include "vmm/event/bus.h"
#include "vmm/event/event_loop.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/mmds/data_store.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/block.h"
#include "vmm/virtio/entropy.h"
#include "vmm/virtio/mmio_transport.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/vsock.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hearth::vmm {

// A machine's virtio devices: made from its configuration, each behind a transport on the
// memory-mapped bus, its kicks and interrupts connected to KVM. Order, addresses and interrupts are
// Firecracker's: balloon, drives (the root drive first), network interfaces, vsock, entropy.
//
// VMM thread.
class DeviceSet final {
  public:
    // `memory`, `loop` and `mmds` outlive the set.
    static Result<DeviceSet> Create(
        const VmConfig& config,
        const GuestMemory& memory,
        EventLoop& loop,
        Vm& vm,
        Bus& mmio,
        const std::shared_ptr<MmdsDataStore>& mmds);

    DeviceSet(DeviceSet&&) = default;
    DeviceSet& operator=(DeviceSet&&) = delete;
    // Nothing of it is watched by the loop afterwards; vCPUs must have stopped.
    ~DeviceSet();

    // What the guest is told of them.
    const std::vector<boot::AcpiMmioDevice>& windows() const { return windows_; }

    Status UpdateDrive(const DriveUpdate& update);
    Status UpdateNetworkInterface(const NetworkInterfaceUpdate& update);

    // Afterwards the kernel reads and writes no memory of the guest until a device is driven again.
    // vCPUs stand still.
    void Drain() const;

    // Null where the machine has none.
    virtio::BalloonDevice* balloon() const { return balloon_.get(); }

    // Their counters, as they are, into the monitor's metrics.
    void CollectMetrics() const;

  private:
    DeviceSet() = default;

    struct Place;

    std::vector<std::shared_ptr<virtio::MmioTransport>> transports_;
    std::vector<boot::AcpiMmioDevice> windows_;
    std::shared_ptr<virtio::BalloonDevice> balloon_;
    std::map<std::string, std::shared_ptr<virtio::BlockDevice>> drives_;
    std::map<std::string, std::shared_ptr<virtio::NetDevice>> interfaces_;
    std::shared_ptr<virtio::VsockDevice> vsock_;
    std::shared_ptr<virtio::EntropyDevice> entropy_;
};

}  // namespace hearth::vmm
