#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

// How a disk's bytes move: system calls that block, or io_uring.
namespace hearth::vmm::virtio {

class BlockEngine {
  public:
    enum class Operation { kRead, kWrite, kFlush };

    struct Completion final {
        std::uint16_t tag = 0;
        // Bytes moved, or -errno.
        std::int64_t result = 0;
    };

    enum class Submission {
        kDone,       // `result` is set
        kSubmitted,  // comes out of Reap
        kFull,       // nothing happened; try again after the next Reap
    };

    virtual ~BlockEngine() = default;

    // Takes another file for what is submitted from now on; nothing is in flight.
    virtual void SetFile(os::Fd file) = 0;

    // `tag` is one of at most queue-size numbers, none of which is in flight twice. The buffers
    // stay valid until the completion.
    virtual Submission Submit(
        Operation operation,
        std::uint16_t tag,
        std::span<const std::span<std::byte>> buffers,
        std::uint64_t offset,
        std::int64_t& result) = 0;

    // Hands what was submitted to the kernel.
    virtual void Flush() {}

    // Appends what has completed.
    virtual void Reap(std::vector<Completion>& into) { static_cast<void>(into); }

    // Waits until nothing is in flight; what completes is appended.
    virtual void Drain(std::vector<Completion>& into) { static_cast<void>(into); }

    // Readable when there are completions; -1 when there never are.
    virtual int event() const { return -1; }
};

std::unique_ptr<BlockEngine> MakeSyncEngine(os::Fd file);

// Room for `entries` requests in flight. Fails where the host has no io_uring.
Result<std::unique_ptr<BlockEngine>> MakeAsyncEngine(os::Fd file, std::uint16_t entries);

}  // namespace hearth::vmm::virtio
