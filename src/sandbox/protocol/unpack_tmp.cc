#include "sandbox/protocol/unpack_tmp.h"

#include "sandbox/protocol/init_protocol.h"
#include "sandbox/protocol/tmp_archive.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::sandbox {

namespace {

// Links lead to at most this.
constexpr uint64_t kLinkBytesMax = 4095;

// errno, which is never 0 after a failure.
int Failure() {
    return errno != 0 ? errno : EIO;
}

// Where the footer begins; 0 when there is none. An errno in `error`, or 0.
uint64_t ReadFooter(int image, TmpFooter& footer, int& error) {
    struct stat facts{};
    error = 0;
    if (fstat(image, &facts) != 0) {
        error = Failure();
        return 0;
    }
    const auto end = static_cast<uint64_t>(facts.st_size) - sizeof(footer);
    if (facts.st_size < static_cast<off_t>(sizeof(footer)) ||
        pread(image, &footer, sizeof(footer), static_cast<off_t>(end)) !=
            static_cast<ssize_t>(sizeof(footer))) {
        error = EINVAL;
        return 0;
    }
    return footer.magic == kTmpMagic ? end : 0;
}

class Unpacker final {
  public:
    Unpacker(int image, int tmp) : image_(image), tmp_(tmp) {}

    int Run() {
        TmpFooter footer{};
        int error = 0;
        end_ = ReadFooter(image_, footer, error);
        if (end_ == 0) {
            return error;
        }
        offset_ = footer.offset;
        if (footer.offset > end_ || footer.entries > kTmpEntriesMax) {
            return EINVAL;
        }
        for (uint64_t i = 0; i < footer.entries; ++i) {
            if (error = One(); error != 0) {
                return error;
            }
        }
        return offset_ == end_ ? 0 : EINVAL;
    }

  private:
    int Read(void* into, uint64_t bytes) {
        if (bytes > end_ - offset_) {
            return EINVAL;
        }
        auto* position = static_cast<char*>(into);
        while (bytes > 0) {
            const ssize_t got = pread(image_, position, bytes, static_cast<off_t>(offset_));
            if (got <= 0) {
                return got < 0 ? Failure() : EINVAL;
            }
            position += got;
            bytes -= static_cast<uint64_t>(got);
            offset_ += static_cast<uint64_t>(got);
        }
        return 0;
    }

    // The directory that `path_` is in, never outside of /tmp; `name` becomes the rest.
    int OpenParent(char*& name) {
        char* const slash = strrchr(path_, '/');
        name = slash == nullptr ? path_ : slash + 1;
        if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            errno = EINVAL;
            return -1;
        }
        if (slash != nullptr) {
            *slash = '\0';
        }
        open_how how{};
        how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        return static_cast<int>(
            syscall(SYS_openat2, tmp_, slash == nullptr ? "." : path_, &how, sizeof(how)));
    }

    int One() {
        TmpEntry entry{};
        if (const int error = Read(&entry, sizeof(entry)); error != 0) {
            return error;
        }
        if (entry.path_bytes == 0 || entry.path_bytes > kTmpPathBytesMax ||
            (entry.mode & ~07777U) != 0) {
            return EINVAL;
        }
        if (const int error = Read(path_, entry.path_bytes); error != 0) {
            return error;
        }
        path_[entry.path_bytes] = '\0';
        if (strlen(path_) != entry.path_bytes) {
            return EINVAL;
        }
        char* name = nullptr;
        const int parent = OpenParent(name);
        if (parent < 0) {
            return Failure();
        }
        const int error = Make(entry, parent, name);
        close(parent);
        return error;
    }

    int Make(const TmpEntry& entry, int parent, const char* name) {
        const timespec times[2] = {
            {.tv_sec = 0, .tv_nsec = UTIME_NOW},
            {.tv_sec = entry.modified_s, .tv_nsec = static_cast<long>(entry.modified_ns)}};
        const bool contents = entry.kind == kTmpFile || entry.kind == kTmpLink;
        if (!contents && entry.bytes != 0) {
            return EINVAL;
        }
        switch (entry.kind) {
            case kTmpDirectory:
                if (mkdirat(parent, name, 0700) != 0) {
                    return Failure();
                }
                break;
            case kTmpDirectoryEnd:
                return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : Failure();
            case kTmpLink: {
                if (entry.bytes == 0 || entry.bytes > kLinkBytesMax) {
                    return EINVAL;
                }
                if (const int error = Read(target_, entry.bytes); error != 0) {
                    return error;
                }
                target_[entry.bytes] = '\0';
                if (symlinkat(target_, parent, name) != 0) {
                    return Failure();
                }
                break;
            }
            case kTmpFile:
                if (const int error = Copy(entry.bytes, parent, name); error != 0) {
                    return error;
                }
                break;
            default:
                return EINVAL;
        }
        // Where the environment's map has one user only, that is the runtime's user, too.
        if (fchownat(parent, name, kRuntimeUid, kRuntimeGid, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != EINVAL && errno != EPERM) {
            return Failure();
        }
        // After the change of owner, which clears bits.
        if (entry.kind != kTmpLink && fchmodat(parent, name, entry.mode, 0) != 0) {
            return Failure();
        }
        return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : Failure();
    }

    int Copy(uint64_t bytes, int parent, const char* name) {
        if (bytes > end_ - offset_) {
            return EINVAL;
        }
        const int file =
            openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file < 0) {
            return Failure();
        }
        int error = 0;
        while (bytes > 0 && error == 0) {
            auto from = static_cast<off_t>(offset_);
            const ssize_t got = sendfile(file, image_, &from, bytes);
            if (got <= 0) {
                error = got < 0 ? Failure() : EINVAL;
            } else {
                bytes -= static_cast<uint64_t>(got);
                offset_ += static_cast<uint64_t>(got);
            }
        }
        close(file);
        return error;
    }

    int image_;
    int tmp_;
    uint64_t offset_ = 0;
    uint64_t end_ = 0;
    char path_[kTmpPathBytesMax + 1];
    char target_[kLinkBytesMax + 1];
};

}  // namespace

int UnpackTmp(int image, int directory) {
    return Unpacker(image, directory).Run();
}

unsigned long long BytesWithoutTmp(int image) {
    TmpFooter footer{};
    int error = 0;
    if (const uint64_t end = ReadFooter(image, footer, error); end != 0 && footer.offset <= end) {
        return footer.offset;
    }
    struct stat facts{};
    return fstat(image, &facts) == 0 ? static_cast<unsigned long long>(facts.st_size) : 0;
}

}  // namespace hearth::sandbox
