// A guest memory full of any bytes, read as a queue: popping and pushing ends, touches nothing but
// guest memory, and never gives a buffer outside of it.
#include "vmm/virtio/device.h"
#include "vmm/virtio/queue.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

using hearth::vmm::GuestMemory;
using hearth::vmm::virtio::Chain;
using hearth::vmm::virtio::Queue;
using hearth::vmm::virtio::QueueConfig;

constexpr std::size_t kMemoryBytes = 0x10000;

const GuestMemory& Memory() {
    static const GuestMemory memory = [] {
        const GuestMemory::Region region = {0, kMemoryBytes};
        return *GuestMemory::Create(std::span(&region, 1));
    }();
    return memory;
}

void Check(const Chain& chain) {
    const auto all = *Memory().Slice(0, kMemoryBytes);
    const auto check = [&](const auto& buffers, std::uint64_t expected) {
        std::uint64_t bytes = 0;
        for (const auto& buffer : buffers) {
            if (buffer.empty() || buffer.data() < all.data() ||
                buffer.data() + buffer.size() > all.data() + all.size()) {
                std::abort();
            }
            bytes += buffer.size();
        }
        if (bytes != expected) {
            std::abort();
        }
    };
    check(chain.readable, chain.readable_bytes);
    check(chain.writable, chain.writable_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    // The first bytes say where the rings are and what was accepted.
    constexpr std::size_t kHeaderBytes = 8;
    if (size < kHeaderBytes) {
        return 0;
    }
    const auto all = *Memory().Slice(0, kMemoryBytes);
    std::ranges::fill(all, std::byte{0});
    std::memcpy(all.data(), data + kHeaderBytes, std::min(size - kHeaderBytes, kMemoryBytes));
    const QueueConfig config = {
        .max_size = 256,
        .size = static_cast<std::uint16_t>(1U << (data[0] % 10)),
        .ready = true,
        .descriptors = std::uint64_t{data[1]} * 16,
        .available = std::uint64_t{data[2]} * 16,
        .used = std::uint64_t{data[3]} * 256};
    const std::uint64_t features = (std::uint64_t{data[4]} & 3) << 28;
    auto queue = Queue::Create(Memory(), config, features);
    if (!queue.ok()) {
        return 0;
    }
    Chain chain;
    // Pushing changes the memory, descriptors included, as a guest may.
    for (int i = 0; i < 300; ++i) {
        const auto popped = queue->Pop(chain);
        if (!popped.ok()) {
            return 0;
        }
        if (!*popped) {
            if (const auto more = queue->EnableKicks(); !more.ok() || !*more) {
                return 0;
            }
            continue;
        }
        Check(chain);
        if (data[5] == i) {
            queue->UndoPop();
        }
        queue->Push(chain.head, static_cast<std::uint32_t>(chain.writable_bytes));
        static_cast<void>(queue->ShouldNotify());
    }
    return 0;
}
