#include "storage/objects/striped_files.h"

#include "base/check.h"
#include "base/log.h"
#include "codec/checksum/checksum.h"
#include "storage/objects/object_bodies.h"

#include <fmt/format.h>
#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>

namespace hearth::storage {
namespace {

constexpr size_t kData = kStripedDisks - kStripedDisksLostMax;
constexpr size_t kPieceBytes = size_t{16} << 10;
constexpr size_t kStripeBytes = kData * kPieceBytes;
constexpr size_t kSumBytes = 4;
constexpr size_t kFooterBytes = 20;
constexpr std::string_view kMagic = "HSTR";
// Pieces are computed in words of so many bytes.
constexpr size_t kPieceStep = 64;

template <class Number>
void PutNumber(char* at, Number number) {
    for (size_t i = 0; i < sizeof(Number); ++i) {
        at[i] = static_cast<char>(number >> (8 * i));
    }
}

template <class Number>
Number GetNumber(const char* at) {
    Number number = 0;
    for (size_t i = 0; i < sizeof(Number); ++i) {
        number |= static_cast<Number>(Number{static_cast<uint8_t>(at[i])} << (8 * i));
    }
    return number;
}

// Rows of the identity, then those that make the three computed pieces of the six.
const std::array<uint8_t, kStripedDisks * kData>& Matrix() {
    static const auto matrix = [] {
        std::array<uint8_t, kStripedDisks * kData> made;
        gf_gen_cauchy1_matrix(made.data(), kStripedDisks, kData);
        return made;
    }();
    return matrix;
}

// One piece per disk, kPieceBytes apart.
class Stripe final {
  public:
    Stripe() : bytes_(kStripedDisks * kPieceBytes, '\0') {}

    char* piece(size_t disk) { return bytes_.data() + disk * kPieceBytes; }

    // The six data pieces lie one behind the other when they are full; a shorter last stripe is
    // spread with `size` bytes in each.
    void Compute(size_t size) {
        std::array<uint8_t, 32 * kData * kStripedDisksLostMax> tables;
        std::array<uint8_t, kStripedDisks * kData> matrix = Matrix();
        ec_init_tables(kData, kStripedDisksLostMax, &matrix[kData * kData], tables.data());
        std::array<uint8_t*, kStripedDisks> pieces = Pieces();
        ec_encode_data(
            static_cast<int>(size),
            kData,
            kStripedDisksLostMax,
            tables.data(),
            pieces.data(),
            pieces.data() + kData);
    }

    // Computes the pieces that are not in `good` from those that are; at least six are.
    void Restore(const std::array<bool, kStripedDisks>& good, size_t size) {
        std::array<size_t, kData> from;
        size_t count = 0;
        for (size_t disk = 0; disk < kStripedDisks && count < kData; ++disk) {
            if (good[disk]) {
                from[count++] = disk;
            }
        }
        CHECK(count == kData);
        std::array<uint8_t, kData * kData> rows;
        std::array<uint8_t, kData * kData> inverse;
        std::array<uint8_t*, kData> sources;
        for (size_t i = 0; i < kData; ++i) {
            std::memcpy(&rows[i * kData], &Matrix()[from[i] * kData], kData);
            sources[i] = reinterpret_cast<uint8_t*>(piece(from[i]));
        }
        CHECK(gf_invert_matrix(rows.data(), inverse.data(), kData) == 0);
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            if (good[disk]) {
                continue;
            }
            // This disk's row of the matrix, expressed in the pieces that are there.
            std::array<uint8_t, kData> row{};
            for (size_t column = 0; column < kData; ++column) {
                for (size_t i = 0; i < kData; ++i) {
                    row[column] ^= gf_mul(Matrix()[disk * kData + i], inverse[i * kData + column]);
                }
            }
            std::array<uint8_t, 32 * kData> tables;
            ec_init_tables(kData, 1, row.data(), tables.data());
            uint8_t* target = reinterpret_cast<uint8_t*>(piece(disk));
            ec_encode_data(
                static_cast<int>(size), kData, 1, tables.data(), sources.data(), &target);
        }
    }

  private:
    std::array<uint8_t*, kStripedDisks> Pieces() {
        std::array<uint8_t*, kStripedDisks> pieces;
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            pieces[disk] = reinterpret_cast<uint8_t*>(piece(disk));
        }
        return pieces;
    }

    std::string bytes_;
};

// How many bytes of the file are in a stripe, and how many each piece has then.
struct StripeSize {
    StripeSize(uint64_t length, uint64_t index)
        : bytes(std::min<uint64_t>(kStripeBytes, length - index * kStripeBytes)),
          piece(
              bytes == kStripeBytes
                  ? kPieceBytes
                  : ((bytes + kData - 1) / kData + kPieceStep - 1) / kPieceStep * kPieceStep) {}

    size_t bytes;
    size_t piece;
};

constexpr uint64_t StripeOffset(uint64_t index) {
    return index * (kPieceBytes + kSumBytes);
}

uint64_t StripeCount(uint64_t length) {
    return (length + kStripeBytes - 1) / kStripeBytes;
}

uint64_t FooterOffset(uint64_t length) {
    const uint64_t count = StripeCount(length);
    if (count == 0) {
        return 0;
    }
    return StripeOffset(count - 1) + StripeSize(length, count - 1).piece + kSumBytes;
}

uint32_t SumOf(uint64_t stripe, size_t disk, std::string_view piece) {
    char facts[9];
    PutNumber(facts, stripe);
    facts[8] = static_cast<char>(disk);
    return codec::Crc32c(piece, codec::Crc32c({facts, sizeof(facts)}));
}

std::string Footer(size_t disk, uint64_t length) {
    std::string footer(kFooterBytes, '\0');
    footer.replace(0, kMagic.size(), kMagic);
    footer[4] = static_cast<char>(disk);
    PutNumber(footer.data() + 8, length);
    PutNumber(footer.data() + 16, codec::Crc32c(std::string_view(footer).substr(0, 16)));
    return footer;
}

std::optional<uint64_t> LengthIn(size_t disk, std::string_view footer) {
    const auto length = GetNumber<uint64_t>(footer.data() + 8);
    return footer == Footer(disk, length) ? std::optional(length) : std::nullopt;
}

using DiskFiles = std::array<std::unique_ptr<BodyFiles::File>, kStripedDisks>;

class StripedFile final : public BodyFiles::File {
  public:
    // A new file, or the open ones of an old file; null: that disk has none.
    StripedFile(DiskFiles files, bool is_new) : files_(std::move(files)), is_new_(is_new) {}

    Status Write(uint64_t offset, std::string_view bytes) override {
        CHECK(is_new_ && offset == length_, "a striped file is written in order");
        length_ += bytes.size();
        while (!bytes.empty()) {
            const size_t taken = std::min(bytes.size(), kStripeBytes - pending_.size());
            pending_ += bytes.substr(0, taken);
            bytes.remove_prefix(taken);
            if (pending_.size() == kStripeBytes) {
                HEARTH_RETURN_IF_ERROR(WriteStripe());
            }
        }
        return Status();
    }

    Status Sync() override {
        if (!pending_.empty()) {
            HEARTH_RETURN_IF_ERROR(WriteStripe());
        }
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            HEARTH_RETURN_IF_ERROR(On(disk, [&](File& file) -> Status {
                HEARTH_RETURN_IF_ERROR(file.Write(FooterOffset(length_), Footer(disk, length_)));
                return file.Sync();
            }));
        }
        return Status();
    }

    Status Read(uint64_t offset, std::span<iovec> parts) override {
        HEARTH_TRY(const uint64_t length, Size());
        for (const iovec& part : parts) {
            auto* to = static_cast<char*>(part.iov_base);
            size_t left = part.iov_len;
            while (left > 0) {
                if (offset >= length) {
                    return Damaged("it is shorter than it was");
                }
                HEARTH_RETURN_IF_ERROR(Load(offset / kStripeBytes));
                const size_t begin = offset % kStripeBytes;
                const size_t taken = std::min(left, loaded_.size() - begin);
                std::memcpy(to, loaded_.data() + begin, taken);
                to += taken;
                left -= taken;
                offset += taken;
            }
        }
        return Status();
    }

    // Nothing to reserve: what is written here was somewhere before.
    Status Reserve(uint64_t) override { return Status(); }

    void StartWriteBack(uint64_t, uint64_t) override {}

    void WillReadAll() override {
        for (const auto& file : files_) {
            if (file != nullptr) {
                file->WillReadAll();
            }
        }
    }

    Status EndAt(uint64_t bytes) override {
        CHECK(bytes == length_);
        return Status();
    }

    Result<uint64_t> Size() override {
        if (is_new_ || size_known_) {
            return length_;
        }
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            if (const auto length = LengthOn(disk)) {
                length_ = *length;
                size_known_ = true;
                return length_;
            }
        }
        return Damaged("no disk has its end");
    }

    // Which disks have all of it.
    Result<std::array<bool, kStripedDisks>> Whole() {
        HEARTH_TRY(const uint64_t length, Size());
        std::array<bool, kStripedDisks> whole;
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            whole[disk] = LengthOn(disk) == length;
        }
        for (uint64_t index = 0; index < StripeCount(length); ++index) {
            const StripeSize size(length, index);
            for (size_t disk = 0; disk < kStripedDisks; ++disk) {
                whole[disk] = whole[disk] && ReadPiece(index, disk, size.piece);
            }
        }
        return whole;
    }

    // Writes the piece of one disk to a new file of it.
    Status Restore(size_t disk, File& to) {
        HEARTH_TRY(const uint64_t length, Size());
        for (uint64_t index = 0; index < StripeCount(length); ++index) {
            const StripeSize size(length, index);
            std::array<bool, kStripedDisks> good;
            for (size_t other = 0; other < kStripedDisks; ++other) {
                good[other] = other != disk && ReadPiece(index, other, size.piece);
            }
            if (static_cast<size_t>(std::count(good.begin(), good.end(), true)) < kData) {
                return Damaged("too many of its disks are lost");
            }
            stripe_.Restore(good, size.piece);
            HEARTH_RETURN_IF_ERROR(WritePiece(to, index, disk, size.piece));
        }
        HEARTH_RETURN_IF_ERROR(to.Write(FooterOffset(length), Footer(disk, length)));
        return to.Sync();
    }

  private:
    static Error Damaged(std::string_view what) {
        return Error(
            Error::Kind::kInternal, kBodyDamaged, fmt::format("a striped file: {}", what), 500);
    }

    // A disk that fails is left out from then on, as long as six others are there. One that is full
    // is not lost.
    template <class F>
    Status On(size_t disk, F function) {
        if (files_[disk] != nullptr) {
            Status done = function(*files_[disk]);
            if (done.ok() || done.error().code() == kDiskFull) {
                return done;
            }
            log::Warn("objects: disk {} of nine fails: {}", disk + 1, done.error().message());
            files_[disk].reset();
        }
        const auto left = std::count_if(
            files_.begin(), files_.end(), [](const auto& file) { return file != nullptr; });
        return static_cast<size_t>(left) >= kData ? Status()
                                                  : Damaged("too many of its disks fail");
    }

    Status WriteStripe() {
        const uint64_t index = written_++;
        const StripeSize size(index * kStripeBytes + pending_.size(), index);
        pending_.resize(size.piece * kData);
        for (size_t disk = 0; disk < kData; ++disk) {
            std::memcpy(stripe_.piece(disk), pending_.data() + disk * size.piece, size.piece);
        }
        pending_.clear();
        stripe_.Compute(size.piece);
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            HEARTH_RETURN_IF_ERROR(
                On(disk, [&](File& file) { return WritePiece(file, index, disk, size.piece); }));
        }
        return Status();
    }

    Status WritePiece(File& file, uint64_t index, size_t disk, size_t size) {
        std::string piece(stripe_.piece(disk), size);
        char sum[kSumBytes];
        PutNumber(sum, SumOf(index, disk, piece));
        piece.append(sum, sizeof(sum));
        return file.Write(StripeOffset(index), piece);
    }

    bool ReadPiece(uint64_t index, size_t disk, size_t size) {
        if (files_[disk] == nullptr) {
            return false;
        }
        char sum[kSumBytes];
        std::array<iovec, 2> parts = {
            iovec{.iov_base = stripe_.piece(disk), .iov_len = size},
            iovec{.iov_base = sum, .iov_len = sizeof(sum)}};
        return files_[disk]->Read(StripeOffset(index), parts).ok() &&
               GetNumber<uint32_t>(sum) == SumOf(index, disk, {stripe_.piece(disk), size});
    }

    std::optional<uint64_t> LengthOn(size_t disk) {
        if (files_[disk] == nullptr) {
            return std::nullopt;
        }
        const auto size = files_[disk]->Size();
        if (!size.ok() || *size < kFooterBytes) {
            return std::nullopt;
        }
        char footer[kFooterBytes];
        iovec part{.iov_base = footer, .iov_len = sizeof(footer)};
        if (!files_[disk]->Read(*size - kFooterBytes, {&part, 1}).ok()) {
            return std::nullopt;
        }
        const auto length = LengthIn(disk, {footer, sizeof(footer)});
        return length && FooterOffset(*length) == *size - kFooterBytes ? length : std::nullopt;
    }

    Status Load(uint64_t index) {
        if (loaded_index_ == index) {
            return Status();
        }
        const StripeSize size(length_, index);
        std::array<bool, kStripedDisks> good{};
        size_t count = 0;
        // The computed ones only where one of the others is lost.
        for (size_t disk = 0; disk < kStripedDisks && count < kData; ++disk) {
            good[disk] = ReadPiece(index, disk, size.piece);
            count += good[disk] ? 1 : 0;
        }
        if (count < kData) {
            return Damaged("too many of its disks are lost");
        }
        if (!std::all_of(
                good.begin(), good.begin() + kData, [](bool is_good) { return is_good; })) {
            stripe_.Restore(good, size.piece);
        }
        loaded_.clear();
        for (size_t disk = 0; disk < kData; ++disk) {
            loaded_.append(stripe_.piece(disk), size.piece);
        }
        loaded_.resize(size.bytes);
        loaded_index_ = index;
        return Status();
    }

    DiskFiles files_;
    const bool is_new_;
    bool size_known_ = false;
    uint64_t length_ = 0;
    // Not yet a whole stripe, and how many were written.
    std::string pending_;
    uint64_t written_ = 0;
    Stripe stripe_;
    // The stripe that was read last.
    std::string loaded_;
    std::optional<uint64_t> loaded_index_;
};

class StripedFiles final : public BodyFiles {
  public:
    explicit StripedFiles(std::vector<std::unique_ptr<BodyFiles>> disks)
        : disks_(std::move(disks)) {}

    Result<std::unique_ptr<File>> Make(const std::string& path) override {
        DiskFiles files;
        HEARTH_RETURN_IF_ERROR(OnAll([&](size_t disk, BodyFiles& place) -> Status {
            HEARTH_TRY(files[disk], place.Make(path));
            return Status();
        }));
        return std::unique_ptr<File>(std::make_unique<StripedFile>(std::move(files), true));
    }

    Result<std::unique_ptr<File>> Open(const std::string& path) override {
        HEARTH_TRY(DiskFiles files, OpenAll(path));
        return std::unique_ptr<File>(std::make_unique<StripedFile>(std::move(files), false));
    }

    Result<bool> MakeDirectory(const std::string& path) override {
        return AnyOf([&](BodyFiles& place) { return place.MakeDirectory(path); });
    }

    Status SyncDirectory(const std::string& path) override {
        return OnAll([&](size_t, BodyFiles& place) { return place.SyncDirectory(path); });
    }

    Result<bool> Remove(const std::string& path) override {
        return AnyOf([&](BodyFiles& place) { return place.Remove(path); });
    }

    Result<bool> RemoveDirectory(const std::string& path) override {
        return AnyOf([&](BodyFiles& place) { return place.RemoveDirectory(path); });
    }

    Result<std::vector<std::string>> List(const std::string& path) override {
        std::set<std::string> names;
        HEARTH_RETURN_IF_ERROR(OnAll([&](size_t, BodyFiles& place) -> Status {
            HEARTH_TRY(const auto listed, place.List(path));
            names.insert(listed.begin(), listed.end());
            return Status();
        }));
        return std::vector<std::string>(names.begin(), names.end());
    }

    Result<uint64_t> FreeBytes() override {
        uint64_t least = UINT64_MAX / kData;
        HEARTH_RETURN_IF_ERROR(OnAll([&](size_t, BodyFiles& place) -> Status {
            HEARTH_TRY(const uint64_t free, place.FreeBytes());
            least = std::min(least, free);
            return Status();
        }));
        return least * kData;
    }

    Result<bool> Mend(const std::string& path) override {
        HEARTH_TRY(DiskFiles files, OpenAll(path));
        StripedFile file(std::move(files), false);
        HEARTH_TRY(const auto whole, file.Whole());
        bool mended = false;
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            if (whole[disk] || disks_[disk] == nullptr) {
                continue;
            }
            // A cut in between leaves one piece too few, which is found again.
            BodyFiles& place = *disks_[disk];
            HEARTH_RETURN_IF_ERROR(MakeParents(place, path));
            HEARTH_TRY([[maybe_unused]] const bool removed, place.Remove(path));
            HEARTH_TRY(const auto to, place.Make(path));
            HEARTH_RETURN_IF_ERROR(file.Restore(disk, *to));
            HEARTH_RETURN_IF_ERROR(place.SyncDirectory(path.substr(0, path.rfind('/'))));
            mended = true;
        }
        return mended;
    }

  private:
    static Status MakeParents(BodyFiles& place, const std::string& path) {
        for (size_t slash = path.find('/'); slash != std::string::npos;
             slash = path.find('/', slash + 1)) {
            HEARTH_TRY(
                [[maybe_unused]] const bool made, place.MakeDirectory(path.substr(0, slash)));
        }
        return Status();
    }

    // Six of nine must do it; a full disk is an error of its own.
    template <class F>
    Status OnAll(F function) {
        size_t good = 0;
        std::optional<Error> last;
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            if (disks_[disk] == nullptr) {
                continue;
            }
            Status done = function(disk, *disks_[disk]);
            if (done.ok()) {
                ++good;
            } else if (done.error().code() == kDiskFull) {
                return done;
            } else {
                last = std::move(done).error();
            }
        }
        if (good >= kData) {
            return Status();
        }
        return last ? *std::move(last)
                    : errors::Unavailable("too many of the nine disks are not there");
    }

    template <class F>
    Result<bool> AnyOf(F function) {
        bool any = false;
        HEARTH_RETURN_IF_ERROR(OnAll([&](size_t, BodyFiles& place) -> Status {
            HEARTH_TRY(const bool done, function(place));
            any = any || done;
            return Status();
        }));
        return any;
    }

    // Those that are there, wherever at least one is: fewer than six show when it is read.
    Result<DiskFiles> OpenAll(const std::string& path) {
        DiskFiles files;
        bool any = false;
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            if (disks_[disk] == nullptr) {
                continue;
            }
            if (auto opened = disks_[disk]->Open(path); opened.ok()) {
                files[disk] = *std::move(opened);
                any = true;
            }
        }
        if (!any) {
            return Error(Error::Kind::kNotFound, kBodyGone, "no disk has the body", 500);
        }
        return files;
    }

    const std::vector<std::unique_ptr<BodyFiles>> disks_;
};

}  // namespace

Result<std::unique_ptr<BodyFiles>> MakeStripedFiles(std::vector<std::unique_ptr<BodyFiles>> disks) {
    if (disks.size() != kStripedDisks) {
        return Error(
            Error::Kind::kInvalid,
            "",
            fmt::format("a tier has one directory or {}, not {}", kStripedDisks, disks.size()),
            500);
    }
    if (static_cast<size_t>(std::count(disks.begin(), disks.end(), nullptr)) >
        kStripedDisksLostMax) {
        return errors::Unavailable("more than three of the nine disks are not there");
    }
    return std::unique_ptr<BodyFiles>(std::make_unique<StripedFiles>(std::move(disks)));
}

}  // namespace hearth::storage
