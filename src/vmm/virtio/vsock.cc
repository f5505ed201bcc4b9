#include "vmm/virtio/vsock.h"

#include "vmm/virtio/guest_log.h"
#include "vmm/virtio/vsock_muxer.h"

#include <sys/epoll.h>

#include <array>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

constexpr std::array<std::uint16_t, 3> kQueueSizes = {
    VsockDevice::kQueueSize, VsockDevice::kQueueSize, VsockDevice::kQueueSize};

}  // namespace

VsockDevice::VsockDevice(const VsockOptions& options) : options_(options) {}

VsockDevice::~VsockDevice() = default;

Result<std::shared_ptr<VsockDevice>> VsockDevice::Create(
    const VsockOptions& options, std::shared_ptr<MonotonicClock> clock) {
    auto device = std::shared_ptr<VsockDevice>(new VsockDevice(options));
    HEARTH_TRY(
        device->muxer_,
        VsockMuxer::Create(
            options.guest_cid, options.uds_path, device->metrics_, std::move(clock)));
    return device;
}

std::size_t VsockDevice::connection_count() const {
    return muxer_->connection_count();
}

std::size_t VsockDevice::buffered_bytes() const {
    return muxer_->buffered_bytes();
}

std::uint64_t VsockDevice::features() const {
    return kCommonFeatures;
}

std::span<const std::uint16_t> VsockDevice::queue_sizes() const {
    return kQueueSizes;
}

void VsockDevice::ReadConfig(std::uint64_t offset, std::span<std::byte> data) {
    const std::uint64_t cid = options_.guest_cid;
    CopyConfig(std::as_bytes(std::span(&cid, 1)), offset, data);
}

void VsockDevice::WriteConfig(std::uint64_t offset, std::span<const std::byte> data) {
    Add(metrics_.cfg_fails);
    WarnAboutGuest("vsock: the guest writes {} bytes of configuration at {}", data.size(), offset);
}

std::vector<EventSource> VsockDevice::event_sources() {
    // Sockets are taken care of before the driver is ready, too: a client of the host may be early.
    return {{muxer_->epoll(), EPOLLIN, [this](std::uint32_t) {
                 muxer_->OnEvents();
                 if (active()) {
                     ProcessRx();
                 }
             }}};
}

void VsockDevice::Reset() {
    muxer_->Reset();
}

void VsockDevice::Kick(std::uint16_t queue) {
    switch (queue) {
        case kRx:
            Add(metrics_.rx_queue_event_count);
            ProcessRx();
            return;
        case kTx:
            Add(metrics_.tx_queue_event_count);
            ProcessTx();
            // Most packets are answered.
            ProcessRx();
            return;
        default:
            // Buffers for events (a transport that was reset); they wait until there is one.
            return;
    }
}

void VsockDevice::ProcessTx() {
    Queue& queue = queues_[kTx];
    unsigned done = 0;
    while (!IsTurnOver(done, kTx)) {
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.tx_queue_event_fails);
            return Break(popped.error());
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (!more.ok()) {
                Add(metrics_.tx_queue_event_fails);
                return Break(more.error());
            }
            if (*more) {
                continue;
            }
            break;
        }
        muxer_->FromGuest(chain_);
        queue.Push(chain_.head, 0);
    }
    Notify(kTx);
}

void VsockDevice::ProcessRx() {
    Queue& queue = queues_[kRx];
    unsigned done = 0;
    while (muxer_->has_pending() && !IsTurnOver(done, kRx)) {
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.rx_queue_event_fails);
            return Break(popped.error());
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (!more.ok()) {
                Add(metrics_.rx_queue_event_fails);
                return Break(more.error());
            }
            if (*more) {
                continue;
            }
            break;
        }
        if (chain_.writable_bytes < kVsockHeaderBytes) {
            Add(metrics_.rx_queue_event_fails);
            queue.Push(chain_.head, 0);
            continue;
        }
        const std::uint32_t bytes = muxer_->ToGuest(chain_);
        if (bytes == 0 && !muxer_->has_pending()) {
            queue.UndoPop();
            break;
        }
        // Zero bytes: there is data, but the buffer holds no more than a header.
        queue.Push(chain_.head, bytes);
    }
    Notify(kRx);
}

}  // namespace hearth::vmm::virtio
