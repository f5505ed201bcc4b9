#include "codec/crypto/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::codec {
namespace {

class OpenFile final {
  public:
    explicit OpenFile(int fd) : fd_(fd) {}

    ~OpenFile() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    int get() const { return fd_; }

  private:
    int fd_;
};

std::string DirectoryOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncDirectory(const std::string& directory) {
    const OpenFile file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file.get() < 0 || ::fsync(file.get()) != 0) {
        return errors::System("sync " + directory, errno);
    }
    return Status();
}

// A whole file or none: written beside, synced, and linked into place only where nothing is yet, so
// that of two makers one wins and both then read the same key.
Status WriteNewFile(const std::string& path, std::string_view text) {
    const std::string temporary = path + ".new." + std::to_string(::getpid());
    ::unlink(temporary.c_str());
    {
        const OpenFile file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (file.get() < 0) {
            return errors::System("create " + temporary, errno);
        }
        if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
            ::fsync(file.get()) != 0) {
            return errors::System("write " + temporary, errno);
        }
    }
    const int linked = ::link(temporary.c_str(), path.c_str());
    const int link_errno = errno;
    ::unlink(temporary.c_str());
    if (linked != 0 && link_errno != EEXIST) {
        return errors::System("create " + path, link_errno);
    }
    return SyncDirectory(DirectoryOf(path));
}

}  // namespace

Result<std::string> ReadSmallFile(int fd) {
    std::string text;
    char buffer[512];
    while (text.size() <= kSmallFileBytesMax) {
        const ssize_t got = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errors::System("read a private file", errno);
        }
        if (got == 0) {
            return text;
        }
        text.append(buffer, static_cast<size_t>(got));
    }
    return errors::Malformed("the file is too large");
}

Result<std::string> ReadOrMakePrivateFile(
    const std::string& path, const std::function<std::string()>& make) {
    for (int attempt = 0;; ++attempt) {
        const OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (file.get() >= 0) {
            struct stat info{};
            if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
                return errors::Malformed(path + " is not a regular file");
            }
            if ((info.st_mode & 077) != 0 && ::fchmod(file.get(), 0600) != 0) {
                return errors::System("make " + path + " private", errno);
            }
            return ReadSmallFile(file.get());
        }
        if (errno != ENOENT || attempt > 0) {
            return errors::System("open " + path, errno);
        }
        HEARTH_RETURN_IF_ERROR(WriteNewFile(path, make()));
    }
}

}  // namespace hearth::codec
