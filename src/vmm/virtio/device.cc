#include "vmm/virtio/device.h"

#include "vmm/virtio/guest_log.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hearth::vmm::virtio {

Status Device::Activate(
    const GuestMemory& memory,
    std::vector<Queue> queues,
    std::uint64_t accepted_features,
    Interrupt& interrupt) {
    memory_ = &memory;
    interrupt_ = &interrupt;
    queues_ = std::move(queues);
    accepted_features_ = accepted_features;
    Status started = Started();
    if (!started.ok()) {
        Detach();
    }
    return started;
}

void Device::StopQueue(std::uint16_t queue) {
    if (active() && queue < queues_.size()) {
        Quiesce();
        queues_[queue].Close();
    }
}

void Device::Detach() {
    if (!active()) {
        return;
    }
    Quiesce();
    queues_.clear();
    accepted_features_ = 0;
    memory_ = nullptr;
    interrupt_ = nullptr;
}

void Device::Break(const Error& why) {
    if (!active()) {
        return;
    }
    WarnAboutGuest("virtio device {}: {}; it needs a reset", type(), why.message());
    Quiesce();
    for (Queue& queue : queues_) {
        queue.Close();
    }
    interrupt_->NeedsReset();
}

void Device::Notify(std::uint16_t queue) {
    if (active() && queues_[queue].ShouldNotify()) {
        interrupt_->Queue(queue);
    }
}

void CopyConfig(
    std::span<const std::byte> config, std::uint64_t offset, std::span<std::byte> data) {
    std::ranges::fill(data, std::byte{0});
    if (offset < config.size()) {
        const std::size_t bytes = std::min<std::size_t>(data.size(), config.size() - offset);
        std::memcpy(data.data(), config.data() + offset, bytes);
    }
}

}  // namespace hearth::vmm::virtio
