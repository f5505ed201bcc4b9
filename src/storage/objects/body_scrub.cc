#include "storage/objects/body_scrub.h"

#include "base/log.h"
#include "rt/timer.h"
#include "storage/keys/key.h"
#include "storage/objects/body_frames.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

namespace hearth::storage {
namespace {

constexpr uint64_t kFramesPerStep = 16;
constexpr size_t kDamagedReportedMax = 1'000;

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

struct Claim {
    StoredBody body;
    std::string owner;
};

class Scrub final {
  public:
    Scrub(BodyCore& core, uint64_t bytes_per_second, const std::atomic<bool>& stopping)
        : core_(core), bytes_per_second_(bytes_per_second), stopping_(stopping) {}

    Task<Result<ScrubReport>> Run() {
        RangeRequest range = AllClaims();
        while (!stopping_) {
            HEARTH_CO_TRY(const RangePage page, co_await core_.kv.Range(range));
            for (const KeyValue& item : page.items) {
                std::string_view value = item.value;
                auto body = TakeBody(value);
                if (!body.ok()) {
                    continue;
                }
                co_await CheckOne({*std::move(body), std::string(value)});
                if (stopping_) {
                    break;
                }
            }
            if (!page.next) {
                report_.is_complete = !stopping_;
                break;
            }
            range.begin = *page.next;
        }
        // A file goes before its claim does: those whose claim went in the meantime were removed.
        for (const Claim& claim : missing_) {
            HEARTH_CO_TRY(const auto still, co_await core_.kv.Get(ClaimKey(claim.body.id)));
            if (still) {
                Report(claim, "its file is not there");
            }
        }
        co_return std::move(report_);
    }

  private:
    Task<void> CheckOne(Claim claim) {
        const auto check = std::make_shared<FileCheck>(core_, claim.body);
        uint64_t counted = 0;
        bool mended = false;
        while (!stopping_) {
            const auto begin = std::chrono::steady_clock::now();
            auto step = [&]() -> Result<bool> {
                if (!mended) {
                    mended = true;
                    HEARTH_TRY(
                        const bool was_needed,
                        core_.places.Of(claim.body.tier).Mend(BodyEpochs::PathOf(claim.body.id)));
                    report_.mended += was_needed ? 1 : 0;
                }
                return check->Step();
            };
            const Result<bool> more = co_await core_.read_pool.Run(step);
            report_.bytes += check->bytes() - counted;
            const std::chrono::duration<double> due(
                bytes_per_second_ == 0 ? 0
                                       : static_cast<double>(check->bytes() - counted) /
                                             static_cast<double>(bytes_per_second_));
            counted = check->bytes();
            if (!more.ok()) {
                if (more.error().code() == kBodyGone) {
                    missing_.push_back(std::move(claim));
                } else {
                    Report(claim, more.error().message());
                }
                co_return;
            }
            const auto wait = due - (std::chrono::steady_clock::now() - begin);
            if (wait.count() > 0) {
                co_await rt::Sleep(std::chrono::duration_cast<std::chrono::nanoseconds>(wait));
            }
            if (!*more) {
                ++report_.bodies;
                co_return;
            }
        }
    }

    void Report(const Claim& claim, const std::string& what) {
        log::Error("objects: {}: {}", claim.owner, what);
        ++report_.damaged_count;
        if (report_.damaged.size() < kDamagedReportedMax) {
            report_.damaged.push_back({claim.body.id, claim.owner, what});
        }
    }

    BodyCore& core_;
    const uint64_t bytes_per_second_;
    const std::atomic<bool>& stopping_;
    ScrubReport report_;
    std::vector<Claim> missing_;
};

}  // namespace

Task<Result<ScrubReport>> ScrubBodies(
    BodyCore& core, uint64_t bytes_per_second, const std::atomic<bool>& stopping) {
    Scrub scrub(core, bytes_per_second, stopping);
    co_return co_await scrub.Run();
}

}  // namespace hearth::storage
