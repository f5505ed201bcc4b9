#pragma once

#include "base/result.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/queue.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

// A virtio device as the transport sees it.
//
// Two kinds of threads reach a device: the VMM thread (kicks, tap frames, timers, API requests) and
// the vCPU threads (configuration space, resets). mutex() is held around every member below, so a
// device is written as if it had one thread. The transport takes it; so do the public members that
// a concrete device adds for the API.
//
// Life: constructed; then any number of times Activate (the driver said DRIVER_OK) and Detach +
// Reset (it wrote status 0, or the machine ends).
namespace hearth::vmm::virtio {

// How a device reaches its driver. Thread-safe.
class Interrupt {
  public:
    virtual ~Interrupt() = default;

    // Buffers of `queue` were used. The device has asked Queue::ShouldNotify() before.
    virtual void Queue(std::uint16_t queue) = 0;

    // The configuration space changed.
    virtual void Config() = 0;

    // Has the device kicked for `queue` again, after others on the VMM thread had their turn.
    virtual void Again(std::uint16_t queue) = 0;

    // The driver broke the rules: DEVICE_NEEDS_RESET is set and a configuration interrupt given.
    // The device does nothing more until it is reset.
    virtual void NeedsReset() = 0;
};

// A descriptor that a device wants watched for as long as it lives. `handle` runs on the VMM thread
// with the device's mutex held, also while the device is not active: level-triggered sources must
// not be left readable then.
struct EventSource final {
    int fd = -1;
    std::uint32_t events = 0;  // EPOLLIN, EPOLLET ...
    std::function<void(std::uint32_t events)> handle;
};

// Device ids of virtio 1.2, section 5.
inline constexpr std::uint32_t kDeviceNet = 1;
inline constexpr std::uint32_t kDeviceBlock = 2;
inline constexpr std::uint32_t kDeviceEntropy = 4;
inline constexpr std::uint32_t kDeviceBalloon = 5;
inline constexpr std::uint32_t kDeviceVsock = 19;

// Feature bits every device may offer (virtio 1.2, section 6).
inline constexpr std::uint64_t kFeatureIndirectDescriptors = std::uint64_t{1} << 28;
inline constexpr std::uint64_t kFeatureEventIdx = std::uint64_t{1} << 29;
inline constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kCommonFeatures =
    kFeatureIndirectDescriptors | kFeatureEventIdx | kFeatureVersion1;

class Device {
  public:
    // How many requests of one queue are done before others have their turn.
    static constexpr unsigned kRequestsPerTurn = 256;

    virtual ~Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    std::mutex& mutex() { return mutex_; }

    // What is offered; constant for the life of the device.
    virtual std::uint32_t type() const = 0;
    virtual std::uint64_t features() const = 0;
    // The largest size of each queue, a power of two.
    virtual std::span<const std::uint16_t> queue_sizes() const = 0;

    // The configuration space. Any thread. Reads beyond it give zeros, writes beyond it nothing.
    virtual void ReadConfig(std::uint64_t offset, std::span<std::byte> data) = 0;

    virtual void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) {
        static_cast<void>(offset);
        static_cast<void>(data);
    }

    // Watched from the start of the machine to its end; asked for once.
    virtual std::vector<EventSource> event_sources() { return {}; }

    // The driver is ready. On the VMM thread. `queues` has one element per queue of
    // queue_sizes(); those the driver did not make ready are closed (Queue::open()). Memory and
    // interrupt outlive the activation.
    Status Activate(
        const GuestMemory& memory,
        std::vector<Queue> queues,
        std::uint64_t accepted_features,
        Interrupt& interrupt);

    // The driver wrote to the queue's notification register. On the VMM thread; only while active.
    virtual void Kick(std::uint16_t queue) = 0;

    // The driver stopped one queue: after this its rings and buffers are not touched. Any thread.
    void StopQueue(std::uint16_t queue);

    // The driver reset the device: when this returns no byte of guest memory is touched until the
    // next Activate, so work in flight has been waited for. Any thread.
    void Detach();

    // What is left of the reset, on the VMM thread after Detach: connections are closed, statistics
    // forgotten.
    virtual void Reset() {}

    bool active() const { return memory_ != nullptr; }

  protected:
    Device() = default;

    // Called by Activate with the members below set; an error deactivates.
    virtual Status Started() { return {}; }

    // Waits until nothing in flight touches guest memory. Called with the members still set.
    virtual void Quiesce() {}

    // The driver broke the rules; the device stays attached but its queues are closed.
    void Break(const Error& why);

    bool Accepted(std::uint64_t feature) const { return (accepted_features_ & feature) != 0; }

    // Interrupts the driver if it wants to hear of the queue's used buffers.
    void Notify(std::uint16_t queue);

    // To be asked before each request of a turn, with the count of those done: true when the turn
    // is over. A guest that refills a queue as fast as it is emptied would else have the VMM thread
    // for itself, and its other devices and the API would wait for ever.
    bool IsTurnOver(unsigned& done, std::uint16_t queue) {
        if (done++ < kRequestsPerTurn) {
            return false;
        }
        interrupt_->Again(queue);
        return true;
    }

    // Set while active.
    const GuestMemory* memory_ = nullptr;
    Interrupt* interrupt_ = nullptr;
    std::vector<Queue> queues_;
    std::uint64_t accepted_features_ = 0;

  private:
    std::mutex mutex_;
};

// For ReadConfig: the bytes of `config` from `offset` on, zeros behind it.
void CopyConfig(std::span<const std::byte> config, std::uint64_t offset, std::span<std::byte> data);

}  // namespace hearth::vmm::virtio
