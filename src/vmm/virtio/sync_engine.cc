#include "vmm/virtio/block_engine.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

// As many buffers as one system call takes; longer requests take several.
constexpr std::size_t kBuffersPerCall = 64;

class SyncEngine final : public BlockEngine {
  public:
    explicit SyncEngine(os::Fd file) : file_(std::move(file)) {}

    void SetFile(os::Fd file) override { file_ = std::move(file); }

    Submission Submit(
        Operation operation,
        std::uint16_t tag,
        std::span<const std::span<std::byte>> buffers,
        std::uint64_t offset,
        std::int64_t& result) override {
        static_cast<void>(tag);
        if (operation == Operation::kFlush) {
            result = ::fsync(file_.get()) == 0 ? 0 : -errno;
        } else {
            result = Move(operation, buffers, offset);
        }
        return Submission::kDone;
    }

  private:
    // Moves all of it, or as much as the file gives.
    std::int64_t Move(
        Operation operation, std::span<const std::span<std::byte>> buffers, std::uint64_t offset) {
        std::int64_t moved = 0;
        // How much of the first buffer has been moved already.
        std::size_t skip = 0;
        while (!buffers.empty()) {
            std::array<iovec, kBuffersPerCall> vectors;
            const std::size_t count = std::min(buffers.size(), kBuffersPerCall);
            for (std::size_t i = 0; i < count; ++i) {
                const auto buffer = buffers[i].subspan(i == 0 ? skip : 0);
                vectors[i] = {buffer.data(), buffer.size()};
            }
            const auto at = static_cast<off_t>(offset + static_cast<std::uint64_t>(moved));
            const auto vector_count = static_cast<int>(count);
            const ssize_t n = operation == Operation::kRead
                                  ? ::preadv(file_.get(), vectors.data(), vector_count, at)
                                  : ::pwritev(file_.get(), vectors.data(), vector_count, at);
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                return -errno;
            }
            if (n == 0) {
                return moved;
            }
            moved += n;
            skip += static_cast<std::size_t>(n);
            while (!buffers.empty() && skip >= buffers.front().size()) {
                skip -= buffers.front().size();
                buffers = buffers.subspan(1);
            }
        }
        return moved;
    }

    os::Fd file_;
};

}  // namespace

std::unique_ptr<BlockEngine> MakeSyncEngine(os::Fd file) {
    return std::make_unique<SyncEngine>(std::move(file));
}

}  // namespace hearth::vmm::virtio
