#include "storage/objects/body_download.h"

#include "base/check.h"
#include "rt/completion.h"
#include "storage/objects/body_frames.h"
#include "storage/objects/body_packer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

// A download has two buffers: one is with the caller while a job fills the other.
namespace hearth::storage {
namespace {

constexpr size_t kFramesPerBuffer = BufferBudget::kLargeBytes / kFrameBytes;
// From here on the kernel should read ahead more than it does by itself.
constexpr uint64_t kSequentialBytesMin = uint64_t{1} << 20;

char* ThreadScratch() {
    constexpr size_t kBytes = BufferBudget::kLargeBytes +
                              (kFramesPerBuffer + 1) * FrameTailBytes(BodyEncryption::kManaged);
    thread_local const std::unique_ptr<char[]> scratch =
        std::make_unique_for_overwrite<char[]>(kBytes);
    return scratch.get();
}

// Reads the range of all bodies in order. One thread at a time.
class Reading final {
  public:
    Reading(BodyCore& core, std::vector<StoredBody> bodies, const OpenOptions& options)
        : core_(core), bodies_(std::move(bodies)), customer_key_(options.customer_key) {
        uint64_t total = 0;
        for (const StoredBody& body : bodies_) {
            total += body.length;
        }
        CHECK_REQUEST(
            options.offset <= total && options.length.value_or(0) <= total - options.offset,
            "a range outside of the object");
        left_ = options.length.value_or(total - options.offset);
        offset_ = options.offset;
        SkipEnded();
    }

    ~Reading() {
        if (pin_ != 0) {
            core_.pins.Unpin(pin_);
        }
    }

    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    uint64_t left() const { return left_; }

    // So that all files stay until the last was opened.
    Status Pin() {
        const uint64_t first_id = bodies_.size() > 1 ? FirstFileId(bodies_) : 0;
        if (first_id != 0) {
            if (!core_.pins.Pin(first_id)) {
                return Error(Error::Kind::kNotFound, kBodyGone, "the object is being removed", 500);
            }
            pin_ = first_id;
        }
        return Status();
    }

    bool IsInMemory() const { return bodies_.size() == 1 && bodies_.front().is_inline(); }

    // What a buffer needs for Fill to do as much as it can.
    size_t BufferBytes(size_t bytes_max) const {
        const uint64_t frames = FrameCount(std::min<uint64_t>(left_, bytes_max)) + 1;
        return std::min<uint64_t>(frames * kFrameBytes, bytes_max);
    }

    // The next bytes, somewhere in `buffer`; not empty while left() is not 0.
    Result<std::string_view> Fill(char* buffer, size_t buffer_bytes) {
        if (codec_ == std::nullopt) {
            HEARTH_RETURN_IF_ERROR(OpenCurrent());
        }
        const StoredBody& body = bodies_[index_];
        if (body.packed_length) {
            return FillUnpacked(buffer, buffer_bytes);
        }
        const uint64_t end = std::min(body.length, offset_ + left_);
        const uint64_t first = offset_ / kFrameBytes;
        const uint64_t frames =
            std::min<uint64_t>(FrameCount(end) - first, buffer_bytes / kFrameBytes);
        HEARTH_RETURN_IF_ERROR(OpenFrames(first, frames, buffer));
        const uint64_t to = std::min(end, (first + frames) * kFrameBytes);
        const std::string_view bytes(buffer + offset_ % kFrameBytes, to - offset_);
        Advance(bytes.size());
        return bytes;
    }

  private:
    void Advance(uint64_t bytes) {
        left_ -= bytes;
        offset_ += bytes;
        SkipEnded();
    }

    // A compressed body is unpacked from its beginning, wherever the range begins.
    Result<std::string_view> FillUnpacked(char* buffer, size_t buffer_bytes) {
        const StoredBody& body = bodies_[index_];
        const uint64_t frames = FrameCount(*body.packed_length);
        while (true) {
            if (packed_.empty() && next_frame_ < frames) {
                if (packed_buffer_ == nullptr) {
                    packed_buffer_ =
                        std::make_unique_for_overwrite<char[]>(BufferBudget::kLargeBytes);
                }
                const uint64_t count = std::min<uint64_t>(kFramesPerBuffer, frames - next_frame_);
                HEARTH_RETURN_IF_ERROR(OpenFrames(next_frame_, count, packed_buffer_.get()));
                const uint64_t to =
                    std::min(*body.packed_length, (next_frame_ + count) * kFrameBytes);
                packed_ = {packed_buffer_.get(), to - next_frame_ * kFrameBytes};
                next_frame_ += count;
            }
            const std::optional<size_t> count = unpacker_->Unpack(packed_, {buffer, buffer_bytes});
            if (!count || (*count == 0 && packed_.empty() && next_frame_ == frames)) {
                return BodyDamaged(body.id, "it does not unpack");
            }
            const uint64_t begin = unpacked_;
            unpacked_ += *count;
            if (unpacked_ > body.length) {
                return BodyDamaged(body.id, "it unpacks to more than it was");
            }
            if (unpacked_ > offset_) {
                const uint64_t skipped = offset_ - begin;
                const uint64_t size = std::min(unpacked_ - offset_, left_);
                Advance(size);
                return std::string_view(buffer + skipped, size);
            }
        }
    }

    // Goes on to the body that has the next byte.
    void SkipEnded() {
        while (left_ > 0 && offset_ >= bodies_[index_].length) {
            offset_ -= bodies_[index_].length;
            ++index_;
            codec_.reset();
            file_.reset();
        }
        if (left_ == 0) {
            codec_.reset();
            file_.reset();
        }
    }

    Status OpenCurrent() {
        const StoredBody& body = bodies_[index_];
        uint64_t size = body.inline_bytes.size();
        if (!body.is_inline()) {
            HEARTH_TRY(file_, core_.places.Of(body.tier).Open(BodyEpochs::PathOf(body.id)));
            HEARTH_TRY(size, file_->Size());
            if (left_ >= kSequentialBytesMin) {
                file_->WillReadAll();
            }
        }
        if (size != BytesOnDisk(body.encryption, body.framed_length())) {
            return BodyDamaged(body.id, "its size is not what it was");
        }
        std::string head(HeadBytes(body.encryption), '\0');
        iovec part{.iov_base = head.data(), .iov_len = head.size()};
        HEARTH_RETURN_IF_ERROR(Read(0, {&part, 1}));
        HEARTH_TRY(const BodyHead decoded, BodyHead::Decode(head));
        HEARTH_TRY(
            const BodyKey key,
            core_.keys.Open(decoded, body, customer_key_ ? &*customer_key_ : nullptr));
        codec_.emplace(body.encryption, body.id, &key);
        packed_ = {};
        next_frame_ = 0;
        unpacked_ = 0;
        if (body.packed_length) {
            unpacker_.emplace();
        }
        return Status();
    }

    Status Read(uint64_t at, std::span<iovec> parts) {
        if (file_ != nullptr) {
            return file_->Read(at, parts);
        }
        for (const iovec& part : parts) {
            std::memcpy(part.iov_base, bodies_[index_].inline_bytes.data() + at, part.iov_len);
            at += part.iov_len;
        }
        return Status();
    }

    // Plain frames are read to where they go, encrypted ones to the scratch and opened to there.
    // With the last frame the end mark is looked at, too.
    Status OpenFrames(uint64_t first, uint64_t count, char* buffer) {
        const StoredBody& body = bodies_[index_];
        const bool in_place = body.encryption == BodyEncryption::kNone;
        const size_t tail_bytes = FrameTailBytes(body.encryption);
        const bool with_end = first + count == FrameCount(body.framed_length());
        std::array<iovec, 2 * kFramesPerBuffer + 1> parts;
        std::array<std::array<char, 20>, kFramesPerBuffer + 1> tails;
        char* place = in_place ? buffer : ThreadScratch();
        for (uint64_t i = 0; i < count; ++i) {
            parts[2 * i] = {.iov_base = place, .iov_len = FrameSize(body, first + i)};
            parts[2 * i + 1] = {.iov_base = tails[i].data(), .iov_len = tail_bytes};
            place += kFrameBytes;
        }
        parts[2 * count] = {.iov_base = tails[count].data(), .iov_len = tail_bytes};
        HEARTH_RETURN_IF_ERROR(Read(
            FrameOffset(body.encryption, first),
            std::span(parts).subspan(0, 2 * count + (with_end ? 1 : 0))));
        const char* stored = in_place ? buffer : ThreadScratch();
        for (uint64_t i = 0; i < count; ++i) {
            HEARTH_RETURN_IF_ERROR(codec_->Open(
                first + i,
                {stored + i * kFrameBytes, FrameSize(body, first + i)},
                {tails[i].data(), tail_bytes},
                buffer + i * kFrameBytes));
        }
        if (with_end) {
            return codec_->OpenEnd(body.framed_length(), {tails[count].data(), tail_bytes});
        }
        return Status();
    }

    static size_t FrameSize(const StoredBody& body, uint64_t index) {
        return std::min<uint64_t>(kFrameBytes, body.framed_length() - index * kFrameBytes);
    }

    BodyCore& core_;
    const std::vector<StoredBody> bodies_;
    const std::optional<CustomerKey> customer_key_;
    uint64_t left_ = 0;
    // The next byte: of which body, and where in it.
    size_t index_ = 0;
    uint64_t offset_ = 0;
    std::unique_ptr<BodyFiles::File> file_;
    std::optional<FrameCodec> codec_;
    // Of a compressed body: what was read of it and not yet unpacked, the next frame to read, and
    // how much it gave so far.
    std::optional<BodyUnpacker> unpacker_;
    std::unique_ptr<char[]> packed_buffer_;
    std::string_view packed_;
    uint64_t next_frame_ = 0;
    uint64_t unpacked_ = 0;
    uint64_t pin_ = 0;
};

class Download final : public BodySource {
  public:
    Download(BodyCore& core, std::vector<StoredBody> bodies, const OpenOptions& options)
        : core_(core),
          share_(core.budget),
          state_(std::make_shared<State>(core, std::move(bodies), options)) {}

    Task<Status> Begin() {
        HEARTH_CO_RETURN_IF_ERROR(state_->reading.Pin());
        left_ = state_->reading.left();
        if (left_ == 0) {
            co_return Status();
        }
        const size_t bytes_max =
            left_ > BufferBudget::kSmallBytes ? share_.BufferBytes() : BufferBudget::kSmallBytes;
        buffer_bytes_ = state_->reading.BufferBytes(bytes_max);
        if (state_->reading.IsInMemory()) {
            HEARTH_CO_TRY(first_, state_->Fill(0, buffer_bytes_));
        } else {
            Ask();
            HEARTH_CO_TRY(first_, co_await Receive());
        }
        co_return Status();
    }

    Task<Result<std::string_view>> Next() override {
        std::string_view bytes = std::exchange(first_, {});
        if (bytes.empty() && left_ > 0) {
            if (coming_ == nullptr) {
                Ask();
            }
            HEARTH_CO_TRY(bytes, co_await Receive());
        }
        CHECK_REQUEST(bytes.size() <= left_, "more bytes than there are");
        left_ -= bytes.size();
        if (left_ > 0) {
            Ask();
        }
        co_return bytes;
    }

  private:
    using Filled = Result<std::string_view>;

    struct State {
        State(BodyCore& core, std::vector<StoredBody> bodies, const OpenOptions& options)
            : reading(core, std::move(bodies), options) {}

        Filled Fill(size_t index, size_t bytes) {
            if (buffers[index] == nullptr) {
                buffers[index] = std::make_unique_for_overwrite<char[]>(bytes);
            }
            return reading.Fill(buffers[index].get(), bytes);
        }

        std::array<std::unique_ptr<char[]>, BufferBudget::kBuffers> buffers;
        Reading reading;
    };

    void Ask() {
        const auto coming = std::make_shared<rt::Completion<Filled>>();
        coming_ = coming;
        core_.read_pool.Post(
            [state = state_, coming, index = next_, bytes = buffer_bytes_]() mutable {
                Filled filled = state->Fill(index, bytes);
                // Files may close here, which the pool should not wait for.
                state.reset();
                coming->Set(std::move(filled));
            });
        next_ = 1 - next_;
    }

    Task<Filled> Receive() {
        const auto coming = std::exchange(coming_, nullptr);
        co_return co_await coming->Wait();
    }

    BodyCore& core_;
    BufferBudget::Share share_;
    // Shared with a job that may still run when the download has gone.
    std::shared_ptr<State> state_;
    size_t buffer_bytes_ = 0;
    size_t next_ = 0;
    std::string_view first_;
    std::shared_ptr<rt::Completion<Filled>> coming_;
    // Not yet returned.
    uint64_t left_ = 0;
};

}  // namespace

Task<Result<std::unique_ptr<BodySource>>> OpenDownload(
    BodyCore& core, std::vector<StoredBody> bodies, OpenOptions options) {
    auto download = std::make_unique<Download>(core, std::move(bodies), options);
    HEARTH_CO_RETURN_IF_ERROR(co_await download->Begin());
    co_return std::unique_ptr<BodySource>(std::move(download));
}

}  // namespace hearth::storage
