#include "vmm/virtio/mmio_transport.h"

#include "vmm/virtio/guest_log.h"
#include "vmm/virtio/metrics.h"

#include <sys/epoll.h>

#include <bit>
#include <cstring>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

// Registers, virtio 1.2, section 4.2.2.
constexpr std::uint64_t kMagicValue = 0x000;
constexpr std::uint64_t kVersion = 0x004;
constexpr std::uint64_t kDeviceId = 0x008;
constexpr std::uint64_t kVendorId = 0x00c;
constexpr std::uint64_t kDeviceFeatures = 0x010;
constexpr std::uint64_t kDeviceFeaturesSelect = 0x014;
constexpr std::uint64_t kDriverFeatures = 0x020;
constexpr std::uint64_t kDriverFeaturesSelect = 0x024;
constexpr std::uint64_t kQueueSelect = 0x030;
constexpr std::uint64_t kQueueSizeMax = 0x034;
constexpr std::uint64_t kQueueSize = 0x038;
constexpr std::uint64_t kQueueReady = 0x044;
constexpr std::uint64_t kInterruptStatus = 0x060;
constexpr std::uint64_t kInterruptAcknowledge = 0x064;
constexpr std::uint64_t kStatus = 0x070;
constexpr std::uint64_t kQueueDescriptorsLow = 0x080;
constexpr std::uint64_t kQueueDescriptorsHigh = 0x084;
constexpr std::uint64_t kQueueAvailableLow = 0x090;
constexpr std::uint64_t kQueueAvailableHigh = 0x094;
constexpr std::uint64_t kQueueUsedLow = 0x0a0;
constexpr std::uint64_t kQueueUsedHigh = 0x0a4;
constexpr std::uint64_t kSharedMemoryFirst = 0x0b0;
constexpr std::uint64_t kSharedMemoryLast = 0x0bc;
constexpr std::uint64_t kConfigGeneration = 0x0fc;
constexpr std::uint64_t kConfig = 0x100;

constexpr std::uint32_t kMagic = 0x74726976;  // "virt"
constexpr std::uint32_t kInterruptQueue = 1;
constexpr std::uint32_t kInterruptConfig = 2;

constexpr std::uint32_t kDriverBits =
    kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk;

// The states a driver goes through, one bit after the other.
constexpr std::uint32_t kSteps[] = {
    0,
    kStatusAcknowledge,
    kStatusAcknowledge | kStatusDriver,
    kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk,
    kDriverBits};

bool IsNextStep(std::uint32_t from, std::uint32_t to) {
    for (std::size_t i = 0; i + 1 < std::size(kSteps); ++i) {
        if (kSteps[i] == from && kSteps[i + 1] == to) {
            return true;
        }
    }
    return false;
}

void SetLow(GuestAddress& address, std::uint32_t value) {
    address = (address & ~GuestAddress{0xffff'ffff}) | value;
}

void SetHigh(GuestAddress& address, std::uint32_t value) {
    address = (address & 0xffff'ffff) | (GuestAddress{value} << 32);
}

}  // namespace

// The interrupt line and the two status registers that say what it was for.
class MmioTransport::Trigger final : public Interrupt {
  public:
    explicit Trigger(MmioTransport& transport) : transport_(transport) {}

    void Queue(std::uint16_t queue) override {
        static_cast<void>(queue);
        Give(kInterruptQueue);
    }

    void Config() override {
        transport_.config_generation_.fetch_add(1);
        Give(kInterruptConfig);
    }

    void Again(std::uint16_t queue) override { transport_.queue_events_[queue].Signal(); }

    void NeedsReset() override {
        const std::uint32_t before = transport_.status_.fetch_or(kStatusNeedsReset);
        // A driver that is not ready yet must not be interrupted (virtio 1.2, 2.1.2).
        if ((before & kStatusDriverOk) != 0) {
            Give(kInterruptConfig);
        }
    }

  private:
    void Give(std::uint32_t cause) {
        transport_.interrupt_status_.fetch_or(cause);
        Add(interrupt_metrics().triggers);
        transport_.irq_.Signal();
    }

    MmioTransport& transport_;
};

MmioTransport::MmioTransport(
    const GuestMemory& memory, EventLoop& loop, std::shared_ptr<Device> device, EventFd irq)
    : memory_(memory),
      loop_(loop),
      device_(std::move(device)),
      irq_(std::move(irq)),
      trigger_(std::make_unique<Trigger>(*this)) {}

MmioTransport::~MmioTransport() = default;

Result<std::shared_ptr<MmioTransport>> MmioTransport::Create(
    const GuestMemory& memory, EventLoop& loop, std::shared_ptr<Device> device, EventFd irq) {
    auto transport = std::shared_ptr<MmioTransport>(
        new MmioTransport(memory, loop, std::move(device), std::move(irq)));
    for (const std::uint16_t size : transport->device_->queue_sizes()) {
        HEARTH_TRY(EventFd event, EventFd::Create());
        transport->queue_events_.push_back(std::move(event));
        transport->queues_.push_back({.max_size = size});
    }
    return transport;
}

Status MmioTransport::Start() {
    for (std::size_t i = 0; i < queue_events_.size(); ++i) {
        const EventFd& event = queue_events_[i];
        HEARTH_RETURN_IF_ERROR(loop_.Add(event.fd(), EPOLLIN, [this, i, &event](std::uint32_t) {
            event.Drain();
            const std::lock_guard lock(device_->mutex());
            if (device_->active()) {
                device_->Kick(static_cast<std::uint16_t>(i));
            }
        }));
        watched_.push_back(event.fd());
    }
    for (EventSource& source : device_->event_sources()) {
        HEARTH_RETURN_IF_ERROR(loop_.Add(
            source.fd,
            source.events,
            [this, handle = std::move(source.handle)](std::uint32_t events) {
                const std::lock_guard lock(device_->mutex());
                handle(events);
            }));
        watched_.push_back(source.fd);
    }
    return {};
}

void MmioTransport::Stop() {
    for (const int fd : watched_) {
        loop_.Remove(fd);
    }
    watched_.clear();
    const std::lock_guard lock(device_->mutex());
    device_->Detach();
    device_->Reset();
}

void MmioTransport::Read(std::uint64_t offset, std::span<std::byte> data) {
    if (offset >= kConfig) {
        const std::lock_guard lock(device_->mutex());
        device_->ReadConfig(offset - kConfig, data);
        return;
    }
    if (data.size() != sizeof(std::uint32_t) || offset % sizeof(std::uint32_t) != 0) {
        WarnAboutGuest("virtio mmio: a read of {} bytes at {:#x}", data.size(), offset);
        return;
    }
    const std::lock_guard lock(registers_mutex_);
    const std::uint32_t value = ReadRegister(offset);
    std::memcpy(data.data(), &value, sizeof(value));
}

void MmioTransport::Write(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset >= kConfig) {
        // The driver's bit must be set and nothing have failed, as for all that configures.
        const std::uint32_t status = status_.load();
        if ((status & kStatusDriver) == 0 || (status & (kStatusFailed | kStatusNeedsReset)) != 0) {
            WarnAboutGuest("virtio mmio: configuration written in status {:#x}", status);
            return;
        }
        const std::lock_guard lock(device_->mutex());
        device_->WriteConfig(offset - kConfig, data);
        return;
    }
    if (data.size() != sizeof(std::uint32_t) || offset % sizeof(std::uint32_t) != 0) {
        WarnAboutGuest("virtio mmio: a write of {} bytes at {:#x}", data.size(), offset);
        return;
    }
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), sizeof(value));
    const std::lock_guard lock(registers_mutex_);
    WriteRegister(offset, value);
}

QueueConfig* MmioTransport::selected_queue() {
    return selected_ < queues_.size() ? &queues_[selected_] : nullptr;
}

std::uint32_t MmioTransport::ReadRegister(std::uint64_t offset) {
    const QueueConfig* const queue = selected_queue();
    switch (offset) {
        case kMagicValue:
            return kMagic;
        case kVersion:
            return 2;
        case kDeviceId:
            return device_->type();
        case kVendorId:
            return 0;
        case kDeviceFeatures:
            return device_features_page_ < 2
                       ? static_cast<std::uint32_t>(
                             device_->features() >> (32 * device_features_page_))
                       : 0;
        case kQueueSizeMax:
            return queue != nullptr ? queue->max_size : 0;
        case kQueueReady:
            return queue != nullptr && queue->ready ? 1 : 0;
        case kInterruptStatus:
            return interrupt_status_.load();
        case kStatus:
            return status_.load();
        case kConfigGeneration:
            return config_generation_.load();
        default:
            break;
    }
    if (offset >= kSharedMemoryFirst && offset <= kSharedMemoryLast) {
        // A region that is not there has the length -1.
        return 0xffff'ffff;
    }
    // Registers that are only written, and those of nobody.
    return 0;
}

void MmioTransport::WriteRegister(std::uint64_t offset, std::uint32_t value) {
    switch (offset) {
        case kDeviceFeaturesSelect:
            device_features_page_ = value;
            return;
        case kDriverFeaturesSelect:
            driver_features_page_ = value;
            return;
        case kDriverFeatures: {
            const std::uint32_t status = status_.load();
            if ((status & kStatusDriver) == 0 ||
                (status & (kStatusFeaturesOk | kStatusFailed | kStatusNeedsReset)) != 0) {
                WarnAboutGuest("virtio mmio: features accepted in status {:#x}", status);
                return;
            }
            if (driver_features_page_ < 2) {
                const unsigned shift = 32 * driver_features_page_;
                driver_features_ &= ~(std::uint64_t{0xffff'ffff} << shift);
                driver_features_ |= std::uint64_t{value} << shift;
            }
            return;
        }
        case kQueueSelect:
            selected_ = value;
            return;
        case kQueueNotify:
            // KVM signals the eventfd itself; this is for hosts without ioeventfd, and tests.
            if (value < queue_events_.size()) {
                queue_events_[value].Signal();
            }
            return;
        case kInterruptAcknowledge:
            interrupt_status_.fetch_and(~value);
            return;
        case kStatus:
            SetStatus(value);
            return;
        default:
            WriteQueueRegister(offset, value);
            return;
    }
}

void MmioTransport::WriteQueueRegister(std::uint64_t offset, std::uint32_t value) {
    QueueConfig* const queue = selected_queue();
    const std::uint32_t status = status_.load();
    if (queue == nullptr || (status & kStatusFeaturesOk) == 0 || (status & kStatusFailed) != 0) {
        WarnAboutGuest("virtio mmio: {:#x} of queue {} in status {:#x}", offset, selected_, status);
        return;
    }
    if (offset == kQueueReady) {
        if (value == 0 && queue->ready) {
            queue->ready = false;
            if ((status & kStatusDriverOk) != 0) {
                const std::lock_guard lock(device_->mutex());
                device_->StopQueue(static_cast<std::uint16_t>(selected_));
            }
        } else if (value == 1 && (status & kStatusDriverOk) == 0) {
            queue->ready = true;
        }
        return;
    }
    if ((status & kStatusDriverOk) != 0 || queue->ready) {
        // A queue in use keeps its place (virtio 1.2, 4.2.2.2).
        WarnAboutGuest("virtio mmio: {:#x} of queue {} written while in use", offset, selected_);
        return;
    }
    switch (offset) {
        case kQueueSize:
            // What does not fit is no size at all; the activation will say so.
            queue->size = value <= queue->max_size ? static_cast<std::uint16_t>(value) : 0;
            return;
        case kQueueDescriptorsLow:
            return SetLow(queue->descriptors, value);
        case kQueueDescriptorsHigh:
            return SetHigh(queue->descriptors, value);
        case kQueueAvailableLow:
            return SetLow(queue->available, value);
        case kQueueAvailableHigh:
            return SetHigh(queue->available, value);
        case kQueueUsedLow:
            return SetLow(queue->used, value);
        case kQueueUsedHigh:
            return SetHigh(queue->used, value);
        default:
            WarnAboutGuest("virtio mmio: a write to {:#x}", offset);
            return;
    }
}

void MmioTransport::SetStatus(std::uint32_t value) {
    const std::uint32_t status = status_.load();
    if (value == 0) {
        if (status != 0) {
            Reset();
        }
        return;
    }
    if ((value & kStatusFailed) != 0) {
        status_.fetch_or(kStatusFailed);
        return;
    }
    // What a driver reads back and writes again may hold our own bit.
    const std::uint32_t to = value & ~kStatusNeedsReset;
    if (to == status) {
        return;
    }
    if (!IsNextStep(status, to)) {
        WarnAboutGuest("virtio mmio: status {:#x} written in status {:#x}", value, status);
        return;
    }
    if (to == kSteps[3]) {
        const bool is_subset = (driver_features_ & ~device_->features()) == 0;
        if (!is_subset || (driver_features_ & kFeatureVersion1) == 0) {
            // The bit stays off, which tells the driver (virtio 1.2, 3.1.1).
            WarnAboutGuest("virtio mmio: the driver wants features {:#x}", driver_features_);
            return;
        }
    }
    status_.fetch_or(to);
    if (to == kDriverBits) {
        activate_due_ = true;
        PostSettle();
    }
}

void MmioTransport::PostSettle() {
    if (!settle_posted_) {
        settle_posted_ = true;
        loop_.Post([self = shared_from_this()] { self->Settle(); });
    }
}

void MmioTransport::Settle() {
    bool reset_due = false;
    bool activate_due = false;
    std::uint64_t generation = 0;
    std::vector<QueueConfig> configs;
    std::uint64_t features = 0;
    {
        const std::lock_guard lock(registers_mutex_);
        settle_posted_ = false;
        reset_due = std::exchange(reset_due_, false);
        activate_due = std::exchange(activate_due_, false);
        generation = generation_.load();
        configs = queues_;
        features = driver_features_;
    }
    const std::lock_guard lock(device_->mutex());
    if (reset_due) {
        device_->Reset();
    }
    if (activate_due && generation_.load() == generation) {
        Activate(configs, features);
    }
}

void MmioTransport::Activate(const std::vector<QueueConfig>& configs, std::uint64_t features) {
    std::vector<Queue> queues;
    for (const QueueConfig& config : configs) {
        if (!config.ready) {
            queues.emplace_back();
            continue;
        }
        auto queue = Queue::Create(memory_, config, features);
        if (!queue.ok()) {
            WarnAboutGuest("virtio device {}: {}", device_->type(), queue.error().message());
            trigger_->NeedsReset();
            return;
        }
        queues.push_back(*std::move(queue));
    }
    const Status activated = device_->Activate(memory_, std::move(queues), features, *trigger_);
    if (!activated.ok()) {
        WarnAboutGuest("virtio device {}: {}", device_->type(), activated.error().message());
        trigger_->NeedsReset();
        return;
    }
    // A kick may have come and gone between the driver's last step and this one.
    for (std::size_t i = 0; i < configs.size(); ++i) {
        if (configs[i].ready) {
            device_->Kick(static_cast<std::uint16_t>(i));
        }
    }
}

void MmioTransport::Reset() {
    {
        const std::lock_guard lock(device_->mutex());
        generation_.fetch_add(1);
        device_->Detach();
        status_.store(0);
        interrupt_status_.store(0);
    }
    device_features_page_ = 0;
    driver_features_page_ = 0;
    driver_features_ = 0;
    selected_ = 0;
    for (QueueConfig& queue : queues_) {
        queue = {.max_size = queue.max_size};
    }
    activate_due_ = false;
    reset_due_ = true;
    PostSettle();
}

}  // namespace hearth::vmm::virtio
