#include "storage/objects/body_files.h"

#include "os/fd.h"
#include "os/file.h"
#include "storage/objects/object_bodies.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::storage {
namespace {

Error Failed(const std::string& what, int error_number) {
    if (error_number == ENOSPC || error_number == EDQUOT) {
        return Error(
            Error::Kind::kUnavailable, kDiskFull, what + ": there is no room on the disk", 500);
    }
    if (error_number == ENOENT) {
        return Error(Error::Kind::kNotFound, kBodyGone, what + ": it is not there", 500);
    }
    return errors::System(what, error_number);
}

class PosixFile final : public BodyFiles::File {
  public:
    PosixFile(os::Fd fd, bool sync) : fd_(std::move(fd)), sync_(sync) {}

    Status Write(uint64_t offset, std::string_view bytes) override {
        while (!bytes.empty()) {
            const ssize_t count =
                ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (count <= 0) {
                return Failed("writing a body", count < 0 ? errno : EIO);
            }
            bytes.remove_prefix(static_cast<size_t>(count));
            offset += static_cast<uint64_t>(count);
        }
        return Status();
    }

    Status Read(uint64_t offset, std::span<iovec> parts) override {
        while (!parts.empty()) {
            if (parts.front().iov_len == 0) {
                parts = parts.subspan(1);
                continue;
            }
            const ssize_t count = ::preadv(
                fd_.get(),
                parts.data(),
                static_cast<int>(parts.size()),
                static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (count < 0) {
                return Failed("reading a body", errno);
            }
            if (count == 0) {
                return Error(
                    Error::Kind::kInternal, kBodyDamaged, "a body is shorter than it was", 500);
            }
            offset += static_cast<uint64_t>(count);
            auto left = static_cast<size_t>(count);
            while (left > 0) {
                iovec& part = parts.front();
                const size_t taken = std::min(left, part.iov_len);
                part.iov_base = static_cast<char*>(part.iov_base) + taken;
                part.iov_len -= taken;
                left -= taken;
                if (part.iov_len == 0) {
                    parts = parts.subspan(1);
                }
            }
        }
        return Status();
    }

    Status Sync() override {
        if (sync_ && ::fdatasync(fd_.get()) != 0) {
            return Failed("syncing a body", errno);
        }
        return Status();
    }

    Status Reserve(uint64_t bytes) override {
        if (::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) != 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EIO)) {
            return Failed("making room for a body", errno);
        }
        return Status();
    }

    void StartWriteBack(uint64_t offset, uint64_t bytes) override {
        if (sync_) {
            ::sync_file_range(
                fd_.get(),
                static_cast<off_t>(offset),
                static_cast<off_t>(bytes),
                SYNC_FILE_RANGE_WRITE);
        }
    }

    void WillReadAll() override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL); }

    Status EndAt(uint64_t bytes) override {
        if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
            return Failed("ending a body", errno);
        }
        return Status();
    }

    Result<uint64_t> Size() override {
        struct stat facts = {};
        if (::fstat(fd_.get(), &facts) != 0) {
            return Failed("looking at a body", errno);
        }
        return static_cast<uint64_t>(facts.st_size);
    }

  private:
    const os::Fd fd_;
    const bool sync_;
};

class PosixFiles final : public BodyFiles {
  public:
    PosixFiles(os::Fd root, bool sync) : root_(std::move(root)), sync_(sync) {}

    Result<std::unique_ptr<File>> Make(const std::string& path) override {
        return OpenWith(path, O_RDWR | O_CREAT | O_EXCL);
    }

    Result<std::unique_ptr<File>> Open(const std::string& path) override {
        return OpenWith(path, O_RDONLY);
    }

    Result<bool> MakeDirectory(const std::string& path) override {
        if (::mkdirat(root_.get(), path.c_str(), 0700) == 0) {
            return true;
        }
        if (errno == EEXIST) {
            return false;
        }
        return Failed("making a directory of bodies", errno);
    }

    Status SyncDirectory(const std::string& path) override {
        if (!sync_) {
            return Status();
        }
        const os::Fd directory(
            ::openat(root_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (!directory.valid() && errno == ENOENT) {
            return Status();
        }
        if (!directory.valid() || ::fsync(directory.get()) != 0) {
            return Failed("syncing a directory of bodies", errno);
        }
        return Status();
    }

    Result<bool> Remove(const std::string& path) override {
        if (::unlinkat(root_.get(), path.c_str(), 0) == 0) {
            return true;
        }
        if (errno == ENOENT) {
            return false;
        }
        return Failed("removing a body", errno);
    }

    Result<bool> RemoveDirectory(const std::string& path) override {
        if (::unlinkat(root_.get(), path.c_str(), AT_REMOVEDIR) == 0) {
            return true;
        }
        if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) {
            return false;
        }
        return Failed("removing a directory of bodies", errno);
    }

    Result<std::vector<std::string>> List(const std::string& path) override {
        if (::faccessat(root_.get(), path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno == ENOENT) {
            return std::vector<std::string>();
        }
        return os::ListDirectory(root_.get(), path);
    }

    Result<uint64_t> FreeBytes() override {
        struct statvfs facts = {};
        if (::fstatvfs(root_.get(), &facts) != 0) {
            return Failed("looking at the disk", errno);
        }
        return uint64_t{facts.f_bavail} * facts.f_frsize;
    }

  private:
    Result<std::unique_ptr<File>> OpenWith(const std::string& path, int flags) {
        os::Fd fd(::openat(root_.get(), path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd.valid()) {
            return Failed("opening a body", errno);
        }
        return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), sync_));
    }

    const os::Fd root_;
    const bool sync_;
};

}  // namespace

Result<std::unique_ptr<BodyFiles>> OpenBodyFiles(const std::string& directory, bool sync) {
    const bool made = ::mkdir(directory.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) {
        return errors::System("making " + directory, errno);
    }
    os::Fd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root.valid()) {
        return errors::System("opening " + directory, errno);
    }
    const os::Fd parent(::openat(root.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // One that was given to us may lie where we cannot look; its name is not ours to keep.
    if (sync && (parent.valid() ? ::fsync(parent.get()) != 0 : made)) {
        return errors::System("syncing the name of " + directory, errno);
    }
    return std::unique_ptr<BodyFiles>(std::make_unique<PosixFiles>(std::move(root), sync));
}

}  // namespace hearth::storage
