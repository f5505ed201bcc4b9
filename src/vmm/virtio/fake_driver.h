#pragma once

#include "base/check.h"
#include "vmm/event/event_loop.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/mmio_transport.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

// The guest's side of a virtio device, for tests and fuzz targets: registers, rings and buffers in
// a small guest memory, no KVM. It does what a driver does, and on request what none should.
namespace hearth::vmm::virtio {

inline constexpr std::uint16_t kDescNext = 1;
inline constexpr std::uint16_t kDescWrite = 2;
inline constexpr std::uint16_t kDescIndirect = 4;

struct FakeDescriptor final {
    std::uint64_t address = 0;
    std::uint32_t bytes = 0;
    std::uint16_t flags = 0;
    std::uint16_t next = 0;
};

struct FakeUsed final {
    std::uint32_t head = 0;
    std::uint32_t bytes = 0;
};

// The rings of one queue, in guest memory.
class FakeQueue final {
  public:
    FakeQueue(const GuestMemory& memory, GuestAddress base, std::uint16_t size)
        : memory_(memory), base_(base), size_(size) {}

    GuestAddress descriptors() const { return base_; }

    GuestAddress available() const { return base_ + 0x4000; }

    GuestAddress used() const { return base_ + 0x8000; }

    std::uint16_t size() const { return size_; }

    void SetDescriptor(std::uint16_t index, const FakeDescriptor& descriptor) {
        memory_.Store(descriptors() + index * 16, descriptor);
    }

    // Puts the buffers into the next descriptors, as one chain; its head.
    std::uint16_t Chain(const std::vector<FakeDescriptor>& buffers) {
        const std::uint16_t head = next_descriptor_;
        for (std::size_t i = 0; i < buffers.size(); ++i) {
            FakeDescriptor descriptor = buffers[i];
            const std::uint16_t at = next_descriptor_;
            next_descriptor_ = static_cast<std::uint16_t>((next_descriptor_ + 1) % size_);
            if (i + 1 < buffers.size()) {
                descriptor.flags |= kDescNext;
                descriptor.next = next_descriptor_;
            }
            SetDescriptor(at, descriptor);
        }
        return head;
    }

    // Offers a head to the device.
    void Offer(std::uint16_t head) {
        memory_.Store<std::uint16_t>(available() + 4 + (index_ % size_) * 2, head);
        ++index_;
        memory_.StoreRelease<std::uint16_t>(available() + 2, index_);
    }

    std::uint16_t Add(const std::vector<FakeDescriptor>& buffers) {
        const std::uint16_t head = Chain(buffers);
        Offer(head);
        return head;
    }

    // Makes the index of the available ring any number.
    void SetIndex(std::uint16_t index) {
        index_ = index;
        memory_.StoreRelease<std::uint16_t>(available() + 2, index_);
    }

    // Asks for an interrupt when the used index passes `index` (EVENT_IDX), or for none.
    void SetUsedEvent(std::uint16_t index) {
        memory_.Store<std::uint16_t>(available() + 4 + size_ * 2, index);
    }

    void SetNoInterrupt(bool value) { memory_.Store<std::uint16_t>(available(), value ? 1 : 0); }

    std::uint16_t avail_event() const {
        return *memory_.Load<std::uint16_t>(used() + 4 + size_ * 8);
    }

    std::uint16_t used_index() const { return *memory_.LoadAcquire<std::uint16_t>(used() + 2); }

    // The next buffer the device gave back, or nothing.
    std::optional<FakeUsed> Take() {
        if (used_index() == taken_) {
            return std::nullopt;
        }
        const auto element = memory_.Load<FakeUsed>(used() + 4 + (taken_ % size_) * 8);
        ++taken_;
        return element;
    }

    void Forget() {
        next_descriptor_ = 0;
        index_ = 0;
        taken_ = 0;
        const std::vector<std::byte> zeros(0xc000);
        memory_.Write(base_, zeros);
    }

  private:
    const GuestMemory& memory_;
    GuestAddress base_;
    std::uint16_t size_;
    std::uint16_t next_descriptor_ = 0;
    std::uint16_t index_ = 0;
    std::uint16_t taken_ = 0;
};

class FakeDriver final {
  public:
    static constexpr std::size_t kMemoryBytes = 4 << 20;
    static constexpr GuestAddress kQueues = 0x10000;
    static constexpr GuestAddress kData = 0x100000;

    explicit FakeDriver(std::shared_ptr<Device> device, std::uint16_t queue_size_max = 256)
        : memory_(MakeMemory()), loop_(*EventLoop::Create()), device_(std::move(device)) {
        transport_ = *MmioTransport::Create(memory_, *loop_, device_, *EventFd::Create());
        CHECK(transport_->Start().ok());
        for (const std::uint16_t size : device_->queue_sizes()) {
            queues.emplace_back(
                memory_, kQueues + queues.size() * 0x10000, std::min(size, queue_size_max));
        }
    }

    ~FakeDriver() { transport_->Stop(); }

    FakeDriver(const FakeDriver&) = delete;
    FakeDriver& operator=(const FakeDriver&) = delete;

    std::uint32_t Read(std::uint64_t offset) {
        std::uint32_t value = 0xffff'ffff;
        transport_->Read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

    void Write(std::uint64_t offset, std::uint32_t value) {
        transport_->Write(offset, std::as_bytes(std::span(&value, 1)));
    }

    template <class T>
    T ReadConfig(std::uint64_t offset) {
        T value{};
        transport_->Read(0x100 + offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

    std::uint32_t status() { return Read(0x70); }

    void SetStatus(std::uint32_t value) { Write(0x70, value); }

    std::uint64_t OfferedFeatures() {
        Write(0x14, 0);
        const std::uint64_t low = Read(0x10);
        Write(0x14, 1);
        return low | (std::uint64_t{Read(0x10)} << 32);
    }

    void AcceptFeatures(std::uint64_t features) {
        Write(0x24, 0);
        Write(0x20, static_cast<std::uint32_t>(features));
        Write(0x24, 1);
        Write(0x20, static_cast<std::uint32_t>(features >> 32));
    }

    void SetQueue(std::uint16_t index) {
        const FakeQueue& queue = queues[index];
        Write(0x30, index);
        Write(0x38, queue.size());
        SetAddress(0x80, queue.descriptors());
        SetAddress(0x90, queue.available());
        SetAddress(0xa0, queue.used());
        Write(0x44, 1);
    }

    void SetAddress(std::uint64_t offset, GuestAddress address) {
        Write(offset, static_cast<std::uint32_t>(address));
        Write(offset + 4, static_cast<std::uint32_t>(address >> 32));
    }

    // Up to FEATURES_OK; the features are those offered and wanted.
    void Negotiate(std::uint64_t wanted = ~std::uint64_t{0}) {
        SetStatus(0);
        SetStatus(kStatusAcknowledge);
        SetStatus(kStatusAcknowledge | kStatusDriver);
        AcceptFeatures(OfferedFeatures() & wanted);
        SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
    }

    void DriverOk() {
        SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
        Run();
    }

    // All of it, with every queue.
    void Start(std::uint64_t wanted = ~std::uint64_t{0}) {
        for (FakeQueue& queue : queues) {
            queue.Forget();
        }
        Negotiate(wanted);
        for (std::uint16_t i = 0; i < queues.size(); ++i) {
            SetQueue(i);
        }
        DriverOk();
    }

    void Kick(std::uint16_t queue) {
        Write(MmioTransport::kQueueNotify, queue);
        Run();
    }

    // Lets the VMM thread do all it can do now.
    void Run() {
        for (int i = 0; i < 8; ++i) {
            loop_->RunOnce(0);
        }
    }

    // Lets it run until `done` says so; false after ten seconds.
    template <class Done>
    bool RunUntil(Done&& done) {
        for (int i = 0; i < 1000; ++i) {
            if (done()) {
                return true;
            }
            loop_->RunOnce(10);
        }
        return false;
    }

    bool NeedsReset() { return (status() & kStatusNeedsReset) != 0; }

    // Interrupts given since this was asked last, and their causes, which are acknowledged.
    std::uint64_t TakeInterrupts() {
        Write(0x64, Read(0x60));
        std::uint64_t count = 0;
        return ::read(transport_->irq(), &count, sizeof(count)) == sizeof(count) ? count : 0;
    }

    // Room for a buffer; never the same twice.
    GuestAddress Allocate(std::size_t bytes) {
        const GuestAddress at = next_data_;
        next_data_ += (bytes + 15) / 16 * 16;
        CHECK(next_data_ <= kMemoryBytes, "the fake guest is out of memory");
        return at;
    }

    GuestAddress Put(std::span<const std::byte> bytes) {
        const GuestAddress at = Allocate(bytes.size());
        if (!bytes.empty()) {
            memory_.Write(at, bytes);
        }
        return at;
    }

    template <class T>
    GuestAddress PutValue(const T& value) {
        return Put(std::as_bytes(std::span(&value, 1)));
    }

    std::vector<std::byte> Get(GuestAddress at, std::size_t bytes) {
        std::vector<std::byte> result(bytes);
        if (bytes > 0) {
            memory_.Read(at, result);
        }
        return result;
    }

    void FreeAll() { next_data_ = kData; }

    const GuestMemory& memory() const { return memory_; }

    MmioTransport& transport() { return *transport_; }

    EventLoop& loop() { return *loop_; }

    std::vector<FakeQueue> queues;

  private:
    static GuestMemory MakeMemory() {
        const std::array<GuestMemory::Region, 1> regions = {GuestMemory::Region{0, kMemoryBytes}};
        return *GuestMemory::Create(regions);
    }

    GuestMemory memory_;
    std::unique_ptr<EventLoop> loop_;
    std::shared_ptr<Device> device_;
    std::shared_ptr<MmioTransport> transport_;
    GuestAddress next_data_ = kData;
};

}  // namespace hearth::vmm::virtio
