#pragma once

#include "base/result.h"
#include "vmm/memory/guest_memory.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// The device's side of a split virtqueue (virtio 1.2, section 2.7).
//
// The other side is hostile and runs at the same time: every index, address and length is read
// once, checked, and used from the copy. What a correct driver never does (a loop, an index that
// jumps, a buffer outside of memory, a writable buffer before a readable one, nested tables) is an
// error, upon which the device marks itself as needing a reset. The rings are resolved to host
// addresses when the queue is made, so that no check is left for the fast path but the indices.
namespace hearth::vmm::virtio {

// What the driver wrote into the transport's registers.
struct QueueConfig final {
    std::uint16_t max_size = 0;
    std::uint16_t size = 0;
    bool ready = false;
    GuestAddress descriptors = 0;
    GuestAddress available = 0;
    GuestAddress used = 0;
};

// One request: what the driver wrote for the device, and the room it left for the answer. Both are
// guest memory: read once, never trust twice. Reusable, so that a busy queue does not allocate.
struct Chain final {
    std::uint16_t head = 0;
    std::vector<std::span<std::byte>> readable;
    std::vector<std::span<std::byte>> writable;
    std::uint64_t readable_bytes = 0;
    std::uint64_t writable_bytes = 0;

    // Copies bytes [at, at + into.size()) of the readable part; false when it is shorter.
    bool Read(std::uint64_t at, std::span<std::byte> into) const;

    // Copies to bytes [at, at + from.size()) of the writable part; false when it is shorter.
    bool Write(std::uint64_t at, std::span<const std::byte> from) const;

    // Byte `at` of the writable part, which must be there.
    std::byte* WritableByte(std::uint64_t at) const;
};

class Queue final {
  public:
    // A closed queue: nothing comes, nothing goes.
    Queue() = default;

    // Checks sizes, alignment, that each ring is in memory, and that none overlaps another.
    static Result<Queue> Create(
        const GuestMemory& memory, const QueueConfig& config, std::uint64_t accepted_features);

    bool open() const { return memory_ != nullptr; }

    void Close() { memory_ = nullptr; }

    std::uint16_t size() const { return size_; }

    // Takes the next request; false when there is none.
    Result<bool> Pop(Chain& into);

    // Puts back what the last Pop took.
    void UndoPop() { --next_available_; }

    // Puts back the last `count` Pops, none of which has been pushed.
    void UndoPops(std::uint16_t count) {
        next_available_ = static_cast<std::uint16_t>(next_available_ - count);
    }

    // Whether there is a request, or an error. Does not take it.
    Result<bool> HasAvailable() const;

    // How many requests wait.
    Result<std::uint16_t> available() const;

    // Gives a buffer back with `bytes` written; visible to the driver at once.
    void Push(std::uint16_t head, std::uint32_t bytes);

    // The two halves of Push, for buffers that must appear together (merged receive buffers).
    void Stage(std::uint16_t offset, std::uint16_t head, std::uint32_t bytes);
    void Publish(std::uint16_t count);

    // Whether the driver wants an interrupt for what was pushed since this was asked last.
    bool ShouldNotify();

    // Asks the driver to kick at the next request; true when one came meanwhile, which must be
    // looked at now. Without EVENT_IDX a driver always kicks.
    Result<bool> EnableKicks();

    // Room for saving: what a restored queue needs beside its registers.
    struct State final {
        std::uint16_t next_available = 0;
        std::uint16_t next_used = 0;
    };

    State state() const { return {next_available_, next_used_}; }

    void Restore(const State& state);

  private:
    Status Walk(std::uint16_t head, Chain& into) const;

    const GuestMemory* memory_ = nullptr;
    std::byte* descriptors_ = nullptr;
    std::byte* available_ = nullptr;
    std::byte* used_ = nullptr;
    std::uint16_t size_ = 0;
    bool event_idx_ = false;
    bool indirect_ = false;
    std::uint16_t next_available_ = 0;
    std::uint16_t next_used_ = 0;
    // Buffers pushed since ShouldNotify was asked.
    std::uint16_t pushed_ = 0;
};

}  // namespace hearth::vmm::virtio
