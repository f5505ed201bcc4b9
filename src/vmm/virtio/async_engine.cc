#include "base/check.h"
#include "vmm/event/event_fd.h"
#include "vmm/virtio/block_engine.h"
#include "vmm/virtio/guest_log.h"

#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

// io_uring by its system calls: no library is needed for three operations and two rings.
namespace hearth::vmm::virtio {
namespace {

static_assert(sizeof(io_uring_sqe) == 64 && sizeof(io_uring_cqe) == 16);
static_assert(sizeof(io_uring_params) == 120 && sizeof(io_uring_restriction) == 16);

// The kernel takes no more buffers in one request (UIO_MAXIOV).
constexpr std::size_t kBuffersMax = 1024;

int Setup(unsigned entries, io_uring_params* params) {
    return static_cast<int>(::syscall(SYS_io_uring_setup, entries, params));
}

int Enter(int ring, unsigned submit, unsigned wait, unsigned flags) {
    return static_cast<int>(::syscall(SYS_io_uring_enter, ring, submit, wait, flags, nullptr, 0));
}

int Register(int ring, unsigned operation, const void* argument, unsigned count) {
    return static_cast<int>(::syscall(SYS_io_uring_register, ring, operation, argument, count));
}

// A piece of shared memory with the kernel.
class Mapping final {
  public:
    Mapping() = default;

    Mapping(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}

    Mapping(Mapping&& other) noexcept
        : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(at_, other.at_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    ~Mapping() {
        if (at_ != nullptr) {
            ::munmap(at_, bytes_);
        }
    }

    template <class T>
    T* at(std::size_t offset) const {
        return reinterpret_cast<T*>(static_cast<std::byte*>(at_) + offset);
    }

    static Result<Mapping> Map(int ring, std::size_t bytes, off_t offset) {
        void* const at =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
        if (at == MAP_FAILED) {
            return errors::System("mmap of an io_uring", errno);
        }
        return Mapping(at, bytes);
    }

  private:
    void* at_ = nullptr;
    std::size_t bytes_ = 0;
};

class AsyncEngine final : public BlockEngine {
  public:
    static Result<std::unique_ptr<BlockEngine>> Create(os::Fd file, std::uint16_t entries) {
        // Disabled at first, so that it can be restricted to what a disk needs.
        io_uring_params params = {};
        params.flags = IORING_SETUP_R_DISABLED;
        os::Fd ring(Setup(entries, &params));
        if (!ring.valid()) {
            return errors::System("io_uring_setup", errno);
        }
        HEARTH_TRY(EventFd event, EventFd::Create());
        const int event_fd = event.fd();
        std::array<io_uring_restriction, 3> restrictions = {};
        constexpr std::array<std::uint8_t, 3> kOperations = {
            IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC};
        for (std::size_t i = 0; i < kOperations.size(); ++i) {
            restrictions[i].opcode = IORING_RESTRICTION_SQE_OP;
            restrictions[i].sqe_op = kOperations[i];
        }
        if (Register(ring.get(), IORING_REGISTER_EVENTFD, &event_fd, 1) != 0 ||
            Register(
                ring.get(),
                IORING_REGISTER_RESTRICTIONS,
                restrictions.data(),
                static_cast<unsigned>(restrictions.size())) != 0 ||
            Register(ring.get(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0) != 0) {
            return errors::System("io_uring_register", errno);
        }
        HEARTH_TRY(
            Mapping submissions,
            Mapping::Map(
                ring.get(),
                params.sq_off.array + params.sq_entries * sizeof(std::uint32_t),
                IORING_OFF_SQ_RING));
        HEARTH_TRY(
            Mapping completions,
            Mapping::Map(
                ring.get(),
                params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe),
                IORING_OFF_CQ_RING));
        HEARTH_TRY(
            Mapping entries_mapping,
            Mapping::Map(ring.get(), params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        auto engine = std::unique_ptr<AsyncEngine>(
            new AsyncEngine(std::move(file), std::move(ring), std::move(event), params));
        engine->submissions_ = std::move(submissions);
        engine->completions_ = std::move(completions);
        engine->entries_ = std::move(entries_mapping);
        engine->buffers_.resize(entries);
        return std::unique_ptr<BlockEngine>(std::move(engine));
    }

    void SetFile(os::Fd file) override { file_ = std::move(file); }

    Submission Submit(
        Operation operation,
        std::uint16_t tag,
        std::span<const std::span<std::byte>> buffers,
        std::uint64_t offset,
        std::int64_t& result) override {
        if (in_flight_ + queued_ >= buffers_.size()) {
            return Submission::kFull;
        }
        if (buffers.size() > kBuffersMax) {
            result = -EINVAL;
            return Submission::kDone;
        }
        CHECK(tag < buffers_.size(), "tag {} of {}", tag, buffers_.size());
        const unsigned tail = *submissions_.at<std::uint32_t>(params_.sq_off.tail);
        const unsigned slot = tail & *submissions_.at<std::uint32_t>(params_.sq_off.ring_mask);
        io_uring_sqe& entry = entries_.at<io_uring_sqe>(0)[slot];
        std::memset(&entry, 0, sizeof(entry));
        entry.fd = file_.get();
        entry.user_data = tag;
        if (operation == Operation::kFlush) {
            entry.opcode = IORING_OP_FSYNC;
        } else {
            std::vector<iovec>& vectors = buffers_[tag];
            vectors.clear();
            for (const std::span<std::byte>& buffer : buffers) {
                vectors.push_back({buffer.data(), buffer.size()});
            }
            entry.opcode = operation == Operation::kRead ? IORING_OP_READV : IORING_OP_WRITEV;
            entry.addr = reinterpret_cast<std::uint64_t>(vectors.data());
            entry.len = static_cast<std::uint32_t>(vectors.size());
            entry.off = offset;
        }
        submissions_.at<std::uint32_t>(params_.sq_off.array)[slot] = slot;
        std::atomic_ref(*submissions_.at<std::uint32_t>(params_.sq_off.tail))
            .store(tail + 1, std::memory_order_release);
        ++queued_;
        return Submission::kSubmitted;
    }

    void Flush() override {
        while (queued_ > 0) {
            const int taken = Enter(ring_.get(), queued_, 0, 0);
            if (taken < 0) {
                if (errno == EINTR) {
                    continue;
                }
                // The kernel is short of something; the next Flush or Drain tries again.
                WarnAboutGuest("{}", errors::System("io_uring_enter", errno).message());
                return;
            }
            queued_ -= static_cast<unsigned>(taken);
            in_flight_ += static_cast<unsigned>(taken);
        }
    }

    void Reap(std::vector<Completion>& into) override {
        event_.Drain();
        TakeCompletions(into);
    }

    void Drain(std::vector<Completion>& into) override {
        while (true) {
            Flush();
            TakeCompletions(into);
            if (in_flight_ == 0 && queued_ == 0) {
                return;
            }
            // With nothing in flight there is nothing to wait for: what the kernel had no memory
            // for is handed over again.
            if (in_flight_ == 0) {
                ::sched_yield();
                continue;
            }
            if (Enter(ring_.get(), 0, 1, IORING_ENTER_GETEVENTS) < 0 && errno != EINTR &&
                errno != EAGAIN && errno != EBUSY) {
                // Requests hold addresses of the guest: going on would give them up while in use.
                CHECK(false, "io_uring_enter: {}", errno);
            }
        }
    }

    int event() const override { return event_.fd(); }

  private:
    AsyncEngine(os::Fd file, os::Fd ring, EventFd event, const io_uring_params& params)
        : file_(std::move(file)),
          ring_(std::move(ring)),
          event_(std::move(event)),
          params_(params) {}

    void TakeCompletions(std::vector<Completion>& into) {
        const std::atomic_ref tail(*completions_.at<std::uint32_t>(params_.cq_off.tail));
        const std::atomic_ref head(*completions_.at<std::uint32_t>(params_.cq_off.head));
        const unsigned mask = *completions_.at<std::uint32_t>(params_.cq_off.ring_mask);
        unsigned at = head.load(std::memory_order_relaxed);
        const unsigned end = tail.load(std::memory_order_acquire);
        for (; at != end; ++at) {
            const io_uring_cqe& entry =
                completions_.at<io_uring_cqe>(params_.cq_off.cqes)[at & mask];
            into.push_back({static_cast<std::uint16_t>(entry.user_data), entry.res});
            --in_flight_;
        }
        head.store(at, std::memory_order_release);
    }

    os::Fd file_;
    os::Fd ring_;
    EventFd event_;
    io_uring_params params_;
    Mapping submissions_;
    Mapping completions_;
    Mapping entries_;
    // Where the buffers of each tag are; the kernel reads it until the request is done.
    std::vector<std::vector<iovec>> buffers_;
    unsigned queued_ = 0;
    unsigned in_flight_ = 0;
};

}  // namespace

Result<std::unique_ptr<BlockEngine>> MakeAsyncEngine(os::Fd file, std::uint16_t entries) {
    return AsyncEngine::Create(std::move(file), entries);
}

}  // namespace hearth::vmm::virtio
