#include "vmm/virtio/queue.h"

#include "base/check.h"
#include "vmm/virtio/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

namespace hearth::vmm::virtio {
namespace {

// Offsets and sizes of virtio 1.2, sections 2.7.5 to 2.7.8. "Entries" are of the descriptor table,
// the available ring and the used ring.
constexpr std::size_t kDescriptorBytes = 16;
constexpr std::size_t kRingHeaderBytes = 4;
constexpr std::size_t kRingIndexOffset = 2;
constexpr std::size_t kAvailableEntryBytes = 2;
constexpr std::size_t kUsedEntryBytes = 8;
constexpr std::size_t kEventBytes = 2;

constexpr std::uint16_t kFlagNext = 1;
constexpr std::uint16_t kFlagWrite = 2;
constexpr std::uint16_t kFlagIndirect = 4;
constexpr std::uint16_t kAvailableNoInterrupt = 1;

// More descriptors than this in an indirect table are refused; no driver comes near.
constexpr std::size_t kIndirectDescriptorsMax = 1024;

// One access that the compiler may neither split nor repeat.
template <class T>
T LoadOnce(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof(value));
    // Memory may have changed from here on, so `value` must stay a copy.
    __asm__ volatile("" ::: "memory");
    return value;
}

// An index of a ring, which is always aligned.
std::atomic_ref<std::uint16_t> Index(std::byte* at) {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(at));
}

struct Descriptor final {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags;
    std::uint16_t next;
};

static_assert(sizeof(Descriptor) == kDescriptorBytes);

Error Broken(std::string what) {
    return errors::Malformed("virtqueue: " + std::move(what));
}

struct Range final {
    std::uint64_t start;
    std::uint64_t bytes;
};

bool Overlap(const Range& a, const Range& b) {
    // Both are inside of guest memory, so their ends do not wrap.
    return a.start < b.start + b.bytes && b.start < a.start + a.bytes;
}

// Copies between `bytes` and the buffers, from byte `at` of the buffers on. The callback moves one
// piece: (buffer piece, offset in `bytes`).
template <class Move>
bool ForEachPiece(
    const std::vector<std::span<std::byte>>& buffers,
    std::uint64_t at,
    std::size_t bytes,
    Move&& move) {
    std::size_t done = 0;
    for (const std::span<std::byte>& buffer : buffers) {
        if (done == bytes) {
            return true;
        }
        if (at >= buffer.size()) {
            at -= buffer.size();
            continue;
        }
        const std::size_t piece = std::min<std::size_t>(buffer.size() - at, bytes - done);
        move(buffer.subspan(at, piece), done);
        done += piece;
        at = 0;
    }
    return done == bytes;
}

}  // namespace

bool Chain::Read(std::uint64_t at, std::span<std::byte> into) const {
    if (at > readable_bytes || into.size() > readable_bytes - at) {
        return false;
    }
    const bool done = ForEachPiece(
        readable, at, into.size(), [into](std::span<std::byte> piece, std::size_t offset) {
            std::memcpy(into.data() + offset, piece.data(), piece.size());
        });
    __asm__ volatile("" ::: "memory");
    return done;
}

bool Chain::Write(std::uint64_t at, std::span<const std::byte> from) const {
    if (at > writable_bytes || from.size() > writable_bytes - at) {
        return false;
    }
    return ForEachPiece(
        writable, at, from.size(), [from](std::span<std::byte> piece, std::size_t offset) {
            std::memcpy(piece.data(), from.data() + offset, piece.size());
        });
}

std::byte* Chain::WritableByte(std::uint64_t at) const {
    for (const std::span<std::byte>& buffer : writable) {
        if (at < buffer.size()) {
            return buffer.data() + at;
        }
        at -= buffer.size();
    }
    CHECK(false, "byte {} of {} writable ones", at, writable_bytes);
    return nullptr;
}

Result<Queue> Queue::Create(
    const GuestMemory& memory, const QueueConfig& config, std::uint64_t accepted_features) {
    if (!std::has_single_bit(config.size) || config.size > config.max_size) {
        return Broken(
            fmt::format("size {} is not a power of two up to {}", config.size, config.max_size));
    }
    if (config.descriptors % 16 != 0 || config.available % 2 != 0 || config.used % 4 != 0) {
        return Broken("a ring is not aligned");
    }
    const std::size_t size = config.size;
    const std::array<Range, 3> rings = {
        Range{config.descriptors, size * kDescriptorBytes},
        Range{config.available, kRingHeaderBytes + size * kAvailableEntryBytes + kEventBytes},
        Range{config.used, kRingHeaderBytes + size * kUsedEntryBytes + kEventBytes}};
    std::array<std::byte*, 3> hosts{};
    for (std::size_t i = 0; i < rings.size(); ++i) {
        const auto slice = memory.Slice(rings[i].start, rings[i].bytes);
        if (!slice) {
            return Broken(fmt::format("a ring at {:#x} is outside of memory", rings[i].start));
        }
        hosts[i] = slice->data();
    }
    if (Overlap(rings[0], rings[1]) || Overlap(rings[0], rings[2]) || Overlap(rings[1], rings[2])) {
        return Broken("its rings overlap");
    }
    Queue queue;
    queue.memory_ = &memory;
    queue.descriptors_ = hosts[0];
    queue.available_ = hosts[1];
    queue.used_ = hosts[2];
    queue.size_ = config.size;
    queue.event_idx_ = (accepted_features & kFeatureEventIdx) != 0;
    queue.indirect_ = (accepted_features & kFeatureIndirectDescriptors) != 0;
    return queue;
}

Result<std::uint16_t> Queue::available() const {
    if (!open()) {
        return std::uint16_t{0};
    }
    const std::uint16_t index =
        Index(available_ + kRingIndexOffset).load(std::memory_order_acquire);
    const auto count = static_cast<std::uint16_t>(index - next_available_);
    if (count > size_) {
        return Broken(fmt::format(
            "the available index jumped from {} to {}, the size is {}",
            next_available_,
            index,
            size_));
    }
    return count;
}

Result<bool> Queue::HasAvailable() const {
    HEARTH_TRY(const std::uint16_t count, available());
    return count != 0;
}

Result<bool> Queue::Pop(Chain& into) {
    HEARTH_TRY(const bool has_one, HasAvailable());
    if (!has_one) {
        return false;
    }
    const std::size_t slot = next_available_ % size_;
    const auto head =
        LoadOnce<std::uint16_t>(available_ + kRingHeaderBytes + slot * kAvailableEntryBytes);
    HEARTH_RETURN_IF_ERROR(Walk(head, into));
    ++next_available_;
    return true;
}

Status Queue::Walk(std::uint16_t head, Chain& into) const {
    into.head = head;
    into.readable.clear();
    into.writable.clear();
    into.readable_bytes = 0;
    into.writable_bytes = 0;

    const std::byte* table = descriptors_;
    std::size_t table_size = size_;
    bool in_indirect = false;
    std::size_t index = head;
    // Each table is walked at most once around: more steps than entries is a loop.
    std::size_t steps = 0;
    while (true) {
        if (index >= table_size) {
            return Broken(fmt::format("descriptor {} of a table of {}", index, table_size));
        }
        if (++steps > table_size) {
            return Broken("a chain of descriptors is a loop");
        }
        const auto descriptor = LoadOnce<Descriptor>(table + index * kDescriptorBytes);
        if ((descriptor.flags & kFlagIndirect) != 0) {
            if (!indirect_ || in_indirect) {
                return Broken("an indirect descriptor where none may be");
            }
            if ((descriptor.flags & kFlagNext) != 0) {
                return Broken("an indirect descriptor with a successor");
            }
            const std::size_t entries = descriptor.bytes / kDescriptorBytes;
            if (descriptor.bytes % kDescriptorBytes != 0 || entries == 0 ||
                entries > kIndirectDescriptorsMax) {
                return Broken(fmt::format("an indirect table of {} bytes", descriptor.bytes));
            }
            const auto slice = memory_->Slice(descriptor.address, descriptor.bytes);
            if (!slice) {
                return Broken(fmt::format(
                    "an indirect table at {:#x} is outside of memory", descriptor.address));
            }
            table = slice->data();
            table_size = entries;
            in_indirect = true;
            index = 0;
            steps = 0;
            continue;
        }
        if (descriptor.bytes == 0) {
            return Broken("a buffer without bytes");
        }
        const auto buffer = memory_->Slice(descriptor.address, descriptor.bytes);
        if (!buffer) {
            return Broken(fmt::format(
                "a buffer of {} bytes at {:#x} is outside of memory",
                descriptor.bytes,
                descriptor.address));
        }
        if ((descriptor.flags & kFlagWrite) != 0) {
            into.writable.push_back(*buffer);
            into.writable_bytes += buffer->size();
        } else {
            if (!into.writable.empty()) {
                return Broken("a readable buffer behind a writable one");
            }
            into.readable.push_back(*buffer);
            into.readable_bytes += buffer->size();
        }
        // The used ring counts in 32 bits, and a chain must fit (virtio 1.2, 2.7.4.2).
        if (into.readable_bytes + into.writable_bytes > std::numeric_limits<std::uint32_t>::max()) {
            return Broken("a chain of more than 4 GiB");
        }
        if ((descriptor.flags & kFlagNext) == 0) {
            return {};
        }
        index = descriptor.next;
    }
}

void Queue::Stage(std::uint16_t offset, std::uint16_t head, std::uint32_t bytes) {
    if (!open()) {
        return;
    }
    const std::size_t slot = static_cast<std::uint16_t>(next_used_ + offset) % size_;
    const std::array<std::uint32_t, 2> element = {head, bytes};
    std::memcpy(used_ + kRingHeaderBytes + slot * kUsedEntryBytes, element.data(), kUsedEntryBytes);
}

void Queue::Publish(std::uint16_t count) {
    if (!open()) {
        return;
    }
    next_used_ = static_cast<std::uint16_t>(next_used_ + count);
    pushed_ = static_cast<std::uint16_t>(pushed_ + count);
    Index(used_ + kRingIndexOffset).store(next_used_, std::memory_order_release);
}

void Queue::Push(std::uint16_t head, std::uint32_t bytes) {
    Stage(0, head, bytes);
    Publish(1);
}

bool Queue::ShouldNotify() {
    if (!open() || pushed_ == 0) {
        return false;
    }
    // The driver must see the new used index before its wishes are read, or both sides might wait.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint16_t pushed = pushed_;
    pushed_ = 0;
    if (!event_idx_) {
        return (LoadOnce<std::uint16_t>(available_) & kAvailableNoInterrupt) == 0;
    }
    const auto used_event =
        LoadOnce<std::uint16_t>(available_ + kRingHeaderBytes + size_ * kAvailableEntryBytes);
    // Whether the index the driver waits for is among the last `pushed`.
    return static_cast<std::uint16_t>(next_used_ - used_event - 1) < pushed;
}

Result<bool> Queue::EnableKicks() {
    if (!open()) {
        return false;
    }
    if (event_idx_) {
        Index(used_ + kRingHeaderBytes + size_ * kUsedEntryBytes)
            .store(next_available_, std::memory_order_relaxed);
        // Pairs with the driver's barrier between its index and this wish.
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    return HasAvailable();
}

void Queue::Restore(const State& state) {
    next_available_ = state.next_available;
    next_used_ = state.next_used;
}

}  // namespace hearth::vmm::virtio
