#include "sandbox/host/tmp_archive.h"

#include "os/file.h"
#include "sandbox/protocol/tmp_archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace hearth::sandbox {

namespace {

constexpr int kDepthMax = 64;
constexpr size_t kPieceBytes = 256 << 10;

Error NotPackable(std::string clause) {
    return Error(Error::Kind::kUnimplemented, "", std::move(clause), 500);
}

class Packer final {
  public:
    Packer(int file, uint64_t offset) : file_(file), start_(offset), offset_(offset) {}

    Status Directory(int directory, const std::string& path, int depth) {
        if (depth > kDepthMax) {
            return NotPackable(fmt::format("/tmp has more than {} levels", kDepthMax));
        }
        HEARTH_TRY(auto names, os::ListDirectory(directory, "."));
        std::ranges::sort(names);
        for (const std::string& name : names) {
            HEARTH_RETURN_IF_ERROR(
                One(directory, name, path.empty() ? name : path + "/" + name, depth));
        }
        return {};
    }

    Result<uint64_t> Finish() {
        const TmpFooter footer{.magic = kTmpMagic, .offset = start_, .entries = entries_};
        HEARTH_RETURN_IF_ERROR(Write(&footer, sizeof(footer)));
        return offset_ - start_;
    }

  private:
    Status One(int directory, const std::string& name, const std::string& path, int depth) {
        if (path.size() > kTmpPathBytesMax) {
            return NotPackable("/tmp has a path that is too long");
        }
        // A name first: opening a pipe would wait for its other end.
        HEARTH_TRY(const auto named, os::Open(directory, name, O_PATH | O_NOFOLLOW));
        struct stat facts{};
        if (::fstat(named.get(), &facts) != 0) {
            return errors::System("stat in /tmp", errno);
        }
        TmpEntry entry{
            .kind = kTmpDirectory,
            .mode = facts.st_mode & 07777,
            .path_bytes = static_cast<uint32_t>(path.size()),
            .modified_ns = static_cast<uint32_t>(facts.st_mtim.tv_nsec),
            .modified_s = facts.st_mtim.tv_sec,
            .bytes = 0};
        if (S_ISDIR(facts.st_mode)) {
            HEARTH_RETURN_IF_ERROR(Head(entry, path));
            HEARTH_TRY(
                const auto inner, os::Open(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            HEARTH_RETURN_IF_ERROR(Directory(inner.get(), path, depth + 1));
            entry.kind = kTmpDirectoryEnd;
            return Head(entry, path);
        }
        if (facts.st_nlink > 1) {
            return NotPackable(fmt::format("/tmp/{} has several names", path));
        }
        if (S_ISLNK(facts.st_mode)) {
            std::string target(static_cast<size_t>(facts.st_size), '\0');
            const ssize_t bytes = ::readlinkat(named.get(), "", target.data(), target.size());
            if (bytes < 0 || static_cast<size_t>(bytes) != target.size()) {
                return errors::System("readlink in /tmp", errno);
            }
            entry.kind = kTmpLink;
            entry.bytes = target.size();
            HEARTH_RETURN_IF_ERROR(Head(entry, path));
            return Write(target.data(), target.size());
        }
        if (!S_ISREG(facts.st_mode)) {
            return NotPackable(fmt::format("/tmp/{} is no regular file", path));
        }
        entry.kind = kTmpFile;
        entry.bytes = static_cast<uint64_t>(facts.st_size);
        if (entry.bytes > kTmpBytesMax || offset_ - start_ + entry.bytes > kTmpBytesMax) {
            return NotPackable(fmt::format("/tmp holds more than {} MB", kTmpBytesMax >> 20));
        }
        HEARTH_RETURN_IF_ERROR(Head(entry, path));
        HEARTH_TRY(const auto source, os::Open(directory, name, O_RDONLY | O_NOFOLLOW));
        std::string piece(std::min<uint64_t>(entry.bytes, kPieceBytes), '\0');
        for (uint64_t left = entry.bytes; left > 0;) {
            const ssize_t got =
                ::read(source.get(), piece.data(), std::min<uint64_t>(left, piece.size()));
            if (got <= 0) {
                return errors::System("reading a file of /tmp", got < 0 ? errno : ENODATA);
            }
            HEARTH_RETURN_IF_ERROR(Write(piece.data(), static_cast<size_t>(got)));
            left -= static_cast<uint64_t>(got);
        }
        return {};
    }

    Status Head(const TmpEntry& entry, const std::string& path) {
        if (++entries_ > kTmpEntriesMax) {
            return NotPackable(fmt::format("/tmp holds more than {} files", kTmpEntriesMax));
        }
        HEARTH_RETURN_IF_ERROR(Write(&entry, sizeof(entry)));
        return Write(path.data(), path.size());
    }

    Status Write(const void* data, size_t bytes) {
        const auto* position = static_cast<const char*>(data);
        while (bytes > 0) {
            const ssize_t written = ::pwrite(file_, position, bytes, static_cast<off_t>(offset_));
            if (written < 0) {
                return errors::System("writing the image", errno);
            }
            position += written;
            bytes -= static_cast<size_t>(written);
            offset_ += static_cast<uint64_t>(written);
        }
        return {};
    }

    int file_;
    uint64_t start_;
    uint64_t offset_;
    uint64_t entries_ = 0;
};

}  // namespace

Result<bool> HoldsAnything(int directory) {
    HEARTH_TRY(const auto names, os::ListDirectory(directory, "."));
    return !names.empty();
}

Result<uint64_t> PackTmp(int directory, int file) {
    struct stat facts{};
    if (::fstat(file, &facts) != 0) {
        return errors::System("stat of the image", errno);
    }
    Packer packer(file, static_cast<uint64_t>(facts.st_size));
    HEARTH_RETURN_IF_ERROR(packer.Directory(directory, "", 0));
    return packer.Finish();
}

}  // namespace hearth::sandbox
