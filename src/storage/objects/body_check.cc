#include "storage/objects/body_check.h"

#include "rt/timer.h"
#include "storage/objects/body_frames.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

namespace hearth::storage {
namespace {

constexpr uint64_t kFramesPerStep = 16;

// Reads a file frame by frame and compares the check sums, without a key. One thread at a time.
class FileCheck final {
  public:
    FileCheck(BodyCore& core, const StoredBody& body)
        : core_(core), body_(body), codec_(body.encryption, body.id, nullptr) {}

    // The next frames; whether there are more.
    Result<bool> Step() {
        if (file_ == nullptr) {
            HEARTH_RETURN_IF_ERROR(Begin());
        }
        const uint64_t frames = FrameCount(body_.framed_length());
        const uint64_t end = std::min(frames, next_ + kFramesPerStep);
        const size_t tail_bytes = FrameTailBytes(body_.encryption);
        std::string tail(tail_bytes, '\0');
        while (next_ < end) {
            std::string frame(
                std::min<uint64_t>(kFrameBytes, body_.framed_length() - next_ * kFrameBytes), '\0');
            std::array<iovec, 2> parts = {
                iovec{.iov_base = frame.data(), .iov_len = frame.size()},
                iovec{.iov_base = tail.data(), .iov_len = tail.size()}};
            HEARTH_RETURN_IF_ERROR(file_->Read(FrameOffset(body_.encryption, next_), parts));
            HEARTH_RETURN_IF_ERROR(codec_.Check(next_, frame, tail));
            bytes_ += frame.size();
            ++next_;
        }
        if (next_ < frames) {
            return true;
        }
        iovec part{.iov_base = tail.data(), .iov_len = tail.size()};
        HEARTH_RETURN_IF_ERROR(file_->Read(size_ - tail_bytes, {&part, 1}));
        HEARTH_RETURN_IF_ERROR(codec_.CheckEnd(body_.framed_length(), tail));
        return false;
    }

    uint64_t bytes() const { return bytes_; }

  private:
    Status Begin() {
        HEARTH_TRY(file_, core_.places.Of(body_.tier).Open(BodyEpochs::PathOf(body_.id)));
        HEARTH_TRY(size_, file_->Size());
        if (size_ != BytesOnDisk(body_.encryption, body_.framed_length())) {
            return BodyDamaged(body_.id, "its size is not what it was");
        }
        std::string head(HeadBytes(body_.encryption), '\0');
        iovec part{.iov_base = head.data(), .iov_len = head.size()};
        HEARTH_RETURN_IF_ERROR(file_->Read(0, {&part, 1}));
        HEARTH_TRY(const BodyHead decoded, BodyHead::Decode(head));
        if (decoded.id != body_.id || decoded.encryption != body_.encryption) {
            return BodyDamaged(body_.id, "another body is in its place");
        }
        return Status();
    }

    BodyCore& core_;
    const StoredBody body_;
    const FrameCodec codec_;
    std::unique_ptr<BodyFiles::File> file_;
    uint64_t size_ = 0;
    uint64_t next_ = 0;
    uint64_t bytes_ = 0;
};

}  // namespace

Task<Result<BodyCheck>> CheckBody(
    BodyCore& core,
    const StoredBody& body,
    uint64_t bytes_per_second,
    const std::atomic<bool>& stopping) {
    BodyCheck result;
    const BodyTier tier = body.tier;
    const std::string path = BodyEpochs::PathOf(body.id);
    FileCheck check(core, body);
    const auto mend = [&] { return core.places.Of(tier).Mend(path); };
    HEARTH_CO_TRY(result.mended, co_await core.read_pool.Run(mend));
    const auto step = [&] { return check.Step(); };
    bool more = true;
    while (more) {
        if (stopping) {
            co_return errors::Unavailable("objects: stopping");
        }
        const auto begin = std::chrono::steady_clock::now();
        HEARTH_CO_TRY(more, co_await core.read_pool.Run(step));
        const uint64_t bytes = check.bytes() - result.bytes;
        result.bytes = check.bytes();
        if (bytes_per_second > 0 && more) {
            const std::chrono::duration<double> due(
                static_cast<double>(bytes) / static_cast<double>(bytes_per_second));
            const auto wait = due - (std::chrono::steady_clock::now() - begin);
            if (wait.count() > 0) {
                co_await rt::Sleep(std::chrono::duration_cast<std::chrono::nanoseconds>(wait));
            }
        }
    }
    co_return result;
}

}  // namespace hearth::storage
