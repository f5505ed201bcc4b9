#include "vmm/virtio/entropy.h"

#include "base/log.h"

#include <sys/epoll.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace hearth::vmm::virtio {
namespace {

constexpr std::array<std::uint16_t, 1> kQueueSizes = {EntropyDevice::kQueueSize};

}  // namespace

Result<std::shared_ptr<EntropyDevice>> EntropyDevice::Create(
    const EntropyOptions& options, std::shared_ptr<MonotonicClock> clock) {
    HEARTH_TRY(RateLimiter limiter, RateLimiter::Create(options.limits, std::move(clock)));
    return std::shared_ptr<EntropyDevice>(new EntropyDevice(std::move(limiter)));
}

std::span<const std::uint16_t> EntropyDevice::queue_sizes() const {
    return kQueueSizes;
}

void EntropyDevice::ReadConfig(std::uint64_t offset, std::span<std::byte> data) {
    CopyConfig({}, offset, data);
}

std::vector<EventSource> EntropyDevice::event_sources() {
    return {{limiter_.timer(), EPOLLIN, [this](std::uint32_t) {
                 Add(metrics_.rate_limiter_event_count);
                 if (limiter_.Unblock() && active()) {
                     ProcessQueue();
                 }
             }}};
}

void EntropyDevice::Kick(std::uint16_t queue) {
    static_cast<void>(queue);
    Add(metrics_.entropy_event_count);
    if (!limiter_.blocked()) {
        ProcessQueue();
    }
}

void EntropyDevice::ProcessQueue() {
    Queue& queue = queues_[0];
    unsigned turn = 0;
    while (!IsTurnOver(turn, 0)) {
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.entropy_event_fails);
            return Break(popped.error());
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (!more.ok()) {
                Add(metrics_.entropy_event_fails);
                return Break(more.error());
            }
            if (*more) {
                continue;
            }
            break;
        }
        const std::size_t wanted = std::min<std::uint64_t>(chain_.writable_bytes, kRequestBytesMax);
        if (!limiter_.ConsumeOperation(wanted)) {
            Add(metrics_.entropy_rate_limiter_throttled);
            queue.UndoPop();
            break;
        }
        std::size_t done = 0;
        for (const std::span<std::byte>& buffer : chain_.writable) {
            const std::size_t piece = std::min(buffer.size(), wanted - done);
            std::size_t filled = 0;
            while (filled < piece) {
                const ssize_t got = ::getrandom(buffer.data() + filled, piece - filled, 0);
                if (got < 0 && errno == EINTR) {
                    continue;
                }
                if (got <= 0) {
                    Add(metrics_.host_rng_fails);
                    log::Error("entropy: {}", errors::System("getrandom", errno).message());
                    break;
                }
                filled += static_cast<std::size_t>(got);
            }
            done += filled;
            if (filled < piece || done == wanted) {
                break;
            }
        }
        Add(metrics_.entropy_bytes, done);
        queue.Push(chain_.head, static_cast<std::uint32_t>(done));
    }
    Notify(0);
}

}  // namespace hearth::vmm::virtio
