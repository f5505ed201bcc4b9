#pragma once

#include "base/result.h"
#include "vmm/event/bus.h"
#include "vmm/event/event_fd.h"
#include "vmm/event/event_loop.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/device.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

// virtio over MMIO, version 2 (virtio 1.2, section 4.2): 4 KiB of registers per device.
//
// Registers are read and written by vCPU threads under a lock of their own. What a driver may do
// depends on the status it has reached; what it may not do is ignored with a line in the log.
// DRIVER_OK is answered at once and the device activated on the VMM thread, in order with resets
// and kicks. A reset, in contrast, has let go of guest memory when the register write returns:
// Linux frees its rings right after it, without reading the status back.
namespace hearth::vmm::virtio {

// Bits of the status register.
inline constexpr std::uint32_t kStatusAcknowledge = 1;
inline constexpr std::uint32_t kStatusDriver = 2;
inline constexpr std::uint32_t kStatusDriverOk = 4;
inline constexpr std::uint32_t kStatusFeaturesOk = 8;
inline constexpr std::uint32_t kStatusNeedsReset = 0x40;
inline constexpr std::uint32_t kStatusFailed = 0x80;

class MmioTransport final : public BusDevice, public std::enable_shared_from_this<MmioTransport> {
  public:
    static constexpr std::uint64_t kWindowBytes = 0x1000;
    // Where KVM's ioeventfds go: base + this, four bytes, the queue's number as data.
    static constexpr std::uint64_t kQueueNotify = 0x50;

    // `memory` and `loop` outlive the transport. `irq` is given to KVM as irqfd.
    static Result<std::shared_ptr<MmioTransport>> Create(
        const GuestMemory& memory, EventLoop& loop, std::shared_ptr<Device> device, EventFd irq);

    ~MmioTransport() override;

    // Watches the kicks of the queues and the device's own descriptors. VMM thread, once.
    Status Start();

    // Forgets them again and detaches the device. VMM thread, before the loop ends.
    void Stop();

    // One eventfd per queue.
    const std::vector<EventFd>& queue_events() const { return queue_events_; }

    int irq() const { return irq_.fd(); }

    const std::shared_ptr<Device>& device() const { return device_; }

    void Read(std::uint64_t offset, std::span<std::byte> data) override;
    void Write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    class Trigger;

    MmioTransport(
        const GuestMemory& memory, EventLoop& loop, std::shared_ptr<Device> device, EventFd irq);

    std::uint32_t ReadRegister(std::uint64_t offset);
    void WriteRegister(std::uint64_t offset, std::uint32_t value);
    void SetStatus(std::uint32_t value);
    void Reset();
    // Has the VMM thread do what a reset or an activation left to it.
    void PostSettle();
    void Settle();
    void Activate(const std::vector<QueueConfig>& configs, std::uint64_t features);
    void WriteQueueRegister(std::uint64_t offset, std::uint32_t value);
    QueueConfig* selected_queue();

    const GuestMemory& memory_;
    EventLoop& loop_;
    std::shared_ptr<Device> device_;
    EventFd irq_;
    std::vector<EventFd> queue_events_;
    std::vector<int> watched_;
    std::unique_ptr<Trigger> trigger_;

    // Lock order: registers_mutex_, then the device's mutex.
    std::mutex registers_mutex_;
    std::uint32_t device_features_page_ = 0;
    std::uint32_t driver_features_page_ = 0;
    std::uint64_t driver_features_ = 0;
    std::uint32_t selected_ = 0;
    std::vector<QueueConfig> queues_;
    // What Settle has to do, and whether it is posted: one at a time, however fast a guest resets.
    bool settle_posted_ = false;
    bool reset_due_ = false;
    bool activate_due_ = false;

    // Changed by the VMM thread too (NEEDS_RESET), with the device's mutex held.
    std::atomic<std::uint32_t> status_{0};
    std::atomic<std::uint32_t> interrupt_status_{0};
    std::atomic<std::uint32_t> config_generation_{0};
    // Counts resets, with the device's mutex held: an activation overtaken by one does not happen.
    std::atomic<std::uint64_t> generation_{0};
};

}  // namespace hearth::vmm::virtio
