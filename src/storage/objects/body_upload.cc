#include "storage/objects/body_upload.h"

#include "base/check.h"
#include "rt/completion.h"
#include "storage/objects/body_frames.h"
#include "storage/objects/body_hasher.h"
#include "storage/objects/body_packer.h"
#include "storage/objects/serial_lane.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

// An upload has two buffers. A full one goes down two lanes at once, one that hashes it and one
// that seals and writes it, while the caller fills the other.
namespace hearth::storage {
namespace {

// The disk begins to write after each so many, so that little is left for the sync at the end.
constexpr uint64_t kWriteBackBytes = uint64_t{8} << 20;
// Room is reserved for bodies from this size on.
constexpr uint64_t kReserveBytesMin = uint64_t{1} << 20;
// Nothing is written when less would be left: deletions need room in the store, too.
constexpr uint64_t kSpareBytes = uint64_t{32} << 20;

// What was sealed and is about to be written; one for each thread instead of one for each upload.
char* ThreadScratch(size_t bytes) {
    struct Scratch {
        std::unique_ptr<char[]> bytes;
        size_t capacity = 0;
    };

    thread_local Scratch scratch;
    if (scratch.capacity < bytes) {
        scratch.bytes = std::make_unique_for_overwrite<char[]>(bytes);
        scratch.capacity = bytes;
    }
    return scratch.bytes.get();
}

// A buffer on its way down the lanes.
struct Flight {
    explicit Flight(int lanes) : left(lanes) {}

    void End() {
        if (left.fetch_sub(1) == 1) {
            done.Set(true);
        }
    }

    std::atomic<int> left;
    rt::Completion<bool> done;
};

// The half of an upload that its jobs share: it ends when the sink and all jobs are gone.
class Writing final {
  public:
    Writing(BodyCore& core, BodyOptions options)
        : core_(core), options_(std::move(options)), hasher_(options_.hashes) {}

    ~Writing() {
        if (id_ && !finished_) {
            file_.reset();
            core_.Discard(*id_, options_.tier);
        }
    }

    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

    BodyEncryption encryption() const {
        if (options_.customer_key) {
            return BodyEncryption::kCustomer;
        }
        return core_.options.encrypt ? BodyEncryption::kManaged : BodyEncryption::kNone;
    }

    void Hash(std::string_view bytes) {
        if (!given_up_) {
            hasher_.Update(bytes);
        }
    }

    // Whole frames, except for the last bytes of all.
    void Store(std::string_view bytes) {
        if (given_up_ || error()) {
            return;
        }
        Note(StoreNow(bytes, false));
    }

    // The last bytes. Durable after Sync and SyncName, which may run at the same time: then the
    // disk has both in one go.
    void StoreLast(std::string_view bytes) {
        Status stored = StoreNow(bytes, true);
        if (stored.ok() && reserved_) {
            stored = file_->EndAt(offset_);
        }
        Note(std::move(stored));
    }

    void Sync() {
        if (file_ != nullptr && !error()) {
            Note(file_->Sync());
        }
    }

    void SyncName() {
        if (!id_ || error()) {
            return;
        }
        if (core_.places.IsApart(options_.tier)) {
            Note(core_.places.Of(options_.tier).SyncDirectory(BodyEpochs::DirectoryOf(*id_)));
        } else {
            Note(core_.epochs->SyncName(*id_));
        }
    }

    // Without a file, at once.
    StoredBody StoreInline(std::string_view bytes) {
        const uint64_t id = core_.InlineId();
        const std::string head = MakeKey(id);
        StoredBody body = Describe(id, bytes.size());
        body.inline_bytes = head;
        body.inline_bytes.resize(head.size() + SealedBytes(bytes.size(), true));
        Seal(body.inline_bytes.data() + head.size(), bytes, true);
        return body;
    }

    // Room stays, so that the store can write deletions, its tables, and records of others.
    Status CheckRoom(uint64_t bytes) {
        HEARTH_TRY(const uint64_t free, core_.places.Of(options_.tier).FreeBytes());
        if (free < kSpareBytes || free - kSpareBytes < bytes) {
            return Error(Error::Kind::kUnavailable, kDiskFull, "there is no room for a body", 500);
        }
        return Status();
    }

    void GiveUp() { given_up_ = true; }

    StoredBody Finish() {
        finished_ = true;
        file_.reset();
        StoredBody body = Describe(*id_, packer_ ? packer_->bytes_taken() : length_);
        if (packer_) {
            body.packed_length = length_;
        }
        return body;
    }

    BodyDigests Digests() { return hasher_.Finish(); }

    std::optional<Error> error() const {
        const std::lock_guard lock(mutex_);
        return error_;
    }

  private:
    void Note(Status status) {
        if (!status.ok()) {
            const std::lock_guard lock(mutex_);
            error_ = std::move(status).error();
        }
    }

    StoredBody Describe(uint64_t id, uint64_t length) const {
        return {
            .id = id,
            .length = length,
            .encryption = encryption(),
            .tier = options_.tier,
            .customer_key_check = customer_key_check_,
            .packed_length = {},
            .inline_bytes = {}};
    }

    // Returns the head.
    std::string MakeKey(uint64_t id) {
        BodyKeys::NewKey made = core_.keys.Make(
            id, encryption(), options_.customer_key ? &*options_.customer_key : nullptr);
        customer_key_check_ = std::move(made.customer_key_check);
        codec_.emplace(encryption(), id, &made.key);
        return BodyHead{.encryption = encryption(), .id = id, .sealed_key = std::move(made.sealed)}
            .Encode();
    }

    size_t SealedBytes(size_t bytes, bool is_last) const {
        return bytes + (FrameCount(bytes) + (is_last ? 1 : 0)) * FrameTailBytes(encryption());
    }

    // Frames, and the end mark.
    void Seal(char* stored, std::string_view bytes, bool is_last) {
        length_ += bytes.size();
        while (!bytes.empty()) {
            const std::string_view frame = bytes.substr(0, kFrameBytes);
            codec_->Seal(next_frame_++, frame, stored);
            stored += frame.size() + FrameTailBytes(encryption());
            bytes.remove_prefix(frame.size());
        }
        if (is_last) {
            codec_->SealEnd(length_, stored);
        }
    }

    Status StoreNow(std::string_view bytes, bool is_last) {
        std::string head;
        if (file_ == nullptr) {
            HEARTH_TRY(head, Begin());
        }
        std::string packed;
        if (packer_) {
            packed = std::exchange(packed_rest_, {});
            packer_->Pack(bytes, is_last, packed);
            if (!is_last) {
                packed_rest_ = packed.substr(packed.size() / kFrameBytes * kFrameBytes);
                packed.resize(packed.size() - packed_rest_.size());
            }
            bytes = packed;
        }
        const size_t size = head.size() + SealedBytes(bytes.size(), is_last);
        if (size == 0) {
            // What was packed does not fill a frame yet.
            return Status();
        }
        char* stored = ThreadScratch(size);
        std::memcpy(stored, head.data(), head.size());
        Seal(stored + head.size(), bytes, is_last);
        HEARTH_RETURN_IF_ERROR(file_->Write(offset_, {stored, size}));
        offset_ += size;
        if (offset_ - written_back_ >= kWriteBackBytes) {
            file_->StartWriteBack(written_back_, offset_ - written_back_);
            written_back_ = offset_;
            HEARTH_RETURN_IF_ERROR(CheckRoom(0));
        }
        return Status();
    }

    // Returns the head.
    Result<std::string> Begin() {
        const uint64_t expected = options_.expected_length.value_or(0);
        HEARTH_RETURN_IF_ERROR(CheckRoom(expected));
        HEARTH_TRY(const uint64_t id, core_.epochs->NewId());
        id_ = id;
        BodyFiles& files = core_.places.Of(options_.tier);
        if (core_.places.IsApart(options_.tier)) {
            HEARTH_RETURN_IF_ERROR(MakeDirectories(files, id));
        }
        HEARTH_TRY(file_, files.Make(BodyEpochs::PathOf(id)));
        if (options_.tier == BodyTier::kArchive || options_.tier == BodyTier::kDeep) {
            packer_.emplace();
        } else if (expected >= kReserveBytesMin) {
            HEARTH_RETURN_IF_ERROR(file_->Reserve(BytesOnDisk(encryption(), expected)));
            reserved_ = true;
        }
        return MakeKey(id);
    }

    static Status MakeDirectories(BodyFiles& files, uint64_t id) {
        HEARTH_TRY(const bool new_parent, files.MakeDirectory(BodyEpochs::ParentOf(id)));
        if (new_parent) {
            HEARTH_RETURN_IF_ERROR(files.SyncDirectory("."));
        }
        HEARTH_TRY(const bool made, files.MakeDirectory(BodyEpochs::DirectoryOf(id)));
        return made ? files.SyncDirectory(BodyEpochs::ParentOf(id)) : Status();
    }

    BodyCore& core_;
    const BodyOptions options_;
    BodyHasher hasher_;
    std::atomic<bool> given_up_ = false;
    bool finished_ = false;

    // Of the lane that stores, and then of StoreLast.
    std::optional<uint64_t> id_;
    std::string customer_key_check_;
    std::optional<FrameCodec> codec_;
    std::unique_ptr<BodyFiles::File> file_;
    std::optional<BodyPacker> packer_;
    // Packed bytes that do not fill a frame yet.
    std::string packed_rest_;
    bool reserved_ = false;
    uint64_t next_frame_ = 0;
    uint64_t length_ = 0;
    uint64_t offset_ = 0;
    uint64_t written_back_ = 0;

    mutable std::mutex mutex_;
    std::optional<Error> error_;
};

struct Buffer {
    std::unique_ptr<char[]> bytes;
    size_t capacity = 0;
    size_t filled = 0;
    std::shared_ptr<Flight> flight;
};

class Upload final : public BodySink {
  public:
    Upload(BodyCore& core, BodyOptions options)
        : core_(core),
          expected_length_(options.expected_length),
          always_file_(options.always_file),
          share_(core.budget),
          state_(std::make_shared<State>(core, std::move(options))),
          hashing_(core.work_pool),
          storing_(core.work_pool) {}

    ~Upload() override { state_->writing.GiveUp(); }

    Task<Result<std::span<char>>> Space() override {
        while (true) {
            Buffer& buffer = Current();
            if (buffer.flight != nullptr) {
                HEARTH_CO_RETURN_IF_ERROR(co_await Land(buffer));
            }
            if (buffer.filled < buffer.capacity) {
                break;
            }
            if (!MakeLarger(buffer)) {
                Dispatch(buffer);
                current_ = 1 - current_;
            }
        }
        Buffer& buffer = Current();
        co_return std::span<char>(
            buffer.bytes.get() + buffer.filled, buffer.capacity - buffer.filled);
    }

    void Filled(size_t bytes) override {
        Buffer& buffer = Current();
        CHECK(bytes <= buffer.capacity - buffer.filled);
        buffer.filled += bytes;
        bytes_written_ += bytes;
    }

    Task<Status> Write(std::string_view bytes) override {
        while (!bytes.empty()) {
            HEARTH_CO_TRY(const std::span<char> space, co_await Space());
            const size_t taken = std::min(space.size(), bytes.size());
            std::memcpy(space.data(), bytes.data(), taken);
            Filled(taken);
            bytes.remove_prefix(taken);
        }
        co_return Status();
    }

    Task<Result<FinishedBody>> Finish() override {
        Buffer& last = Current();
        if (last.flight != nullptr) {
            HEARTH_CO_RETURN_IF_ERROR(co_await Land(last));
        }
        const std::string_view bytes(last.bytes.get(), last.filled);
        const std::shared_ptr<State> state = state_;
        if (!dispatched_ && !always_file_ && bytes.size() <= core_.options.inline_bytes_max) {
            HEARTH_CO_RETURN_IF_ERROR(state->writing.CheckRoom(bytes.size()));
            state->writing.Hash(bytes);
            StoredBody body = state->writing.StoreInline(bytes);
            co_return FinishedBody(std::move(body), state->writing.Digests(), nullptr);
        }
        const auto hashed = std::make_shared<Flight>(1);
        hashing_.Post([state, bytes, hashed] {
            state->writing.Hash(bytes);
            hashed->End();
        });
        Status landed;
        if (Buffer& other = state->buffers[1 - current_]; other.flight != nullptr) {
            landed = co_await Land(other);
        }
        if (landed.ok()) {
            auto store = [&] { state->writing.StoreLast(bytes); };
            co_await core_.work_pool.Run(store);
            const auto synced = std::make_shared<Flight>(2);
            // Let go of before the pool does, because its end may give the pool work.
            core_.sync_pool.Post([state = state_, synced]() mutable {
                state->writing.Sync();
                state.reset();
                synced->End();
            });
            core_.sync_pool.Post([state = state_, synced]() mutable {
                state->writing.SyncName();
                state.reset();
                synced->End();
            });
            co_await synced->done.Wait();
        }
        co_await hashed->done.Wait();
        if (auto error = state->writing.error()) {
            co_return *std::move(error);
        }
        StoredBody body = state->writing.Finish();
        auto fate = std::make_unique<FileFate>(core_, body.id, body.tier);
        co_return FinishedBody(std::move(body), state->writing.Digests(), std::move(fate));
    }

    uint64_t bytes_written() const override { return bytes_written_; }

  private:
    // The jobs' share: buffers and what is made of them.
    struct State {
        State(BodyCore& core, BodyOptions options) : writing(core, std::move(options)) {}

        // First, so that it ends last: a job's view into it may be on a lane.
        std::array<Buffer, BufferBudget::kBuffers> buffers;
        Writing writing;
    };

    class FileFate final : public FinishedBody::Fate {
      public:
        FileFate(BodyCore& core, uint64_t id, BodyTier tier) : core_(core), id_(id), tier_(tier) {}

        ~FileFate() override {
            if (!decided_) {
                core_.remover.Abandoned(id_, tier_);
            }
        }

        void Keep() override {
            decided_ = true;
            core_.sync_pool.Post([&core = core_, id = id_] { core.epochs->Settle(id); });
        }

        void Leave() override { decided_ = true; }

      private:
        BodyCore& core_;
        const uint64_t id_;
        const BodyTier tier_;
        bool decided_ = false;
    };

    Buffer& Current() { return state_->buffers[current_]; }

    // Waits until a buffer is free again.
    Task<Status> Land(Buffer& buffer) {
        const std::shared_ptr<Flight> flight = buffer.flight;
        co_await flight->done.Wait();
        buffer.flight.reset();
        buffer.filled = 0;
        if (auto error = state_->writing.error()) {
            co_return *std::move(error);
        }
        co_return Status();
    }

    // A buffer begins as small as the rest of the body is expected to be. False when it is as large
    // as this upload's get: whole frames.
    bool MakeLarger(Buffer& buffer) {
        const size_t full = !expected_length_ || *expected_length_ > BufferBudget::kSmallBytes
                                ? share_.BufferBytes()
                                : BufferBudget::kSmallBytes;
        size_t capacity = full;
        if (buffer.capacity == 0 && expected_length_ && *expected_length_ >= bytes_written_) {
            // One more than expected, so that there is room to ask for the end.
            capacity = std::min<uint64_t>(full, *expected_length_ - bytes_written_ + 1);
        }
        if (buffer.capacity >= full) {
            return false;
        }
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        if (buffer.filled > 0) {
            std::memcpy(larger.get(), buffer.bytes.get(), buffer.filled);
        }
        buffer.bytes = std::move(larger);
        buffer.capacity = capacity;
        return true;
    }

    void Dispatch(Buffer& buffer) {
        dispatched_ = true;
        buffer.flight = std::make_shared<Flight>(2);
        const std::string_view bytes(buffer.bytes.get(), buffer.filled);
        hashing_.Post([state = state_, bytes, flight = buffer.flight] {
            state->writing.Hash(bytes);
            flight->End();
        });
        storing_.Post([state = state_, bytes, flight = buffer.flight] {
            state->writing.Store(bytes);
            flight->End();
        });
    }

    BodyCore& core_;
    const std::optional<uint64_t> expected_length_;
    const bool always_file_;
    BufferBudget::Share share_;
    std::shared_ptr<State> state_;
    SerialLane hashing_;
    SerialLane storing_;
    size_t current_ = 0;
    bool dispatched_ = false;
    uint64_t bytes_written_ = 0;
};

}  // namespace

std::unique_ptr<BodySink> MakeUpload(BodyCore& core, BodyOptions options) {
    return std::make_unique<Upload>(core, std::move(options));
}

}  // namespace hearth::storage
