#include "codec/zip/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hearth::codec::zip {
namespace {

constexpr size_t kPathBytesMax = 1024;
constexpr size_t kPathDepthMax = 64;
constexpr size_t kNameBytesMax = 255;
constexpr size_t kLinkBytesMax = 1024;

struct ArchiveCloser {
    void operator()(archive* a) const { archive_read_free(a); }
};

// Owns a file descriptor; os/fd.h is a neighbour that this folder may not include.
class Descriptor final {
  public:
    Descriptor() = default;

    explicit Descriptor(int fd) : fd_(fd) {}

    Descriptor(const Descriptor&) = delete;

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    ~Descriptor() { Close(); }

    int get() const { return fd_; }

    bool valid() const { return fd_ >= 0; }

    void Close() {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }

  private:
    int fd_ = -1;
};

// libarchive converts names marked as UTF-8 into the thread's character set; without this a server
// started in the C locale would lose them.
class Utf8Scope final {
  public:
    Utf8Scope() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
        if (utf8_ != nullptr) {
            before_ = uselocale(utf8_);
        }
    }

    Utf8Scope(const Utf8Scope&) = delete;
    Utf8Scope& operator=(const Utf8Scope&) = delete;

    ~Utf8Scope() {
        if (utf8_ != nullptr) {
            uselocale(before_);
            freelocale(utf8_);
        }
    }

  private:
    locale_t utf8_;
    locale_t before_{};
};

// The components of an entry's name, or nothing when it is not a plain path that stays inside. "."
// and doubled slashes are dropped; a name of nothing else has no components (the directory itself).
std::optional<std::vector<std::string>> SplitPath(std::string_view path) {
    if (path.empty() || path.size() > kPathBytesMax || path[0] == '/') {
        return std::nullopt;
    }
    std::vector<std::string> components;
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string_view component = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (component.empty() || component == ".") {
            continue;
        }
        if (component == ".." || component.size() > kNameBytesMax ||
            component.find('\0') != std::string_view::npos || components.size() == kPathDepthMax) {
            return std::nullopt;
        }
        components.emplace_back(component);
    }
    return components;
}

// Whether a link of `depth` directories below the root stays inside with this target, step by step.
bool LinkStaysInside(std::string_view target, size_t depth) {
    if (target.empty() || target.size() > kLinkBytesMax || target[0] == '/') {
        return false;
    }
    while (!target.empty()) {
        const size_t slash = target.find('/');
        const std::string_view component = target.substr(0, slash);
        target = slash == std::string_view::npos ? std::string_view() : target.substr(slash + 1);
        if (component.empty() || component == ".") {
            continue;
        }
        if (component == "..") {
            if (depth == 0) {
                return false;
            }
            --depth;
        } else {
            ++depth;
        }
    }
    return true;
}

// Never follows a link, so an entry cannot be written through a link that an earlier entry made.
int OpenBeneath(int directory_fd, const char* path, uint64_t flags, uint64_t mode) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(syscall(SYS_openat2, directory_fd, path, &how, sizeof how));
}

// Errors of the file system that only a strange archive brings about: a file where a directory
// should be, a link where a directory should be, a directory where a file should be.
bool IsArchivesFault(int error_number) {
    return error_number == ENOTDIR || error_number == ELOOP || error_number == EISDIR ||
           error_number == EXDEV || error_number == EINVAL || error_number == ENAMETOOLONG ||
           error_number == EEXIST || error_number == ENOTEMPTY || error_number == EILSEQ;
}

// Writes entries below one directory. Every call returns 0 or an errno.
class Writer final {
  public:
    explicit Writer(int root_fd) : root_fd_(root_fd) {}

    // Makes the directories of all components but the last `leave`, and opens the innermost.
    int EnterParent(const std::vector<std::string>& components, size_t leave) {
        std::string path;
        for (size_t i = 0; i + leave < components.size(); ++i) {
            path += components[i];
            path += '/';
        }
        if (path == current_path_ && current_.valid()) {
            return 0;
        }
        current_ = Descriptor(OpenBeneath(root_fd_, ".", O_PATH | O_DIRECTORY, 0));
        for (size_t i = 0; i + leave < components.size() && current_.valid(); ++i) {
            const char* name = components[i].c_str();
            if (mkdirat(current_.get(), name, 0755) == 0) {
                // Whatever the umask says: others than we read it.
                if (fchmodat(current_.get(), name, 0755, 0) != 0) {
                    return errno;
                }
            } else if (errno != EEXIST) {
                return errno;
            }
            Descriptor next(OpenBeneath(current_.get(), name, O_PATH | O_DIRECTORY, 0));
            if (!next.valid()) {
                const int error_number = errno;
                current_.Close();
                return error_number;
            }
            current_ = std::move(next);
        }
        current_path_ = path;
        return current_.valid() ? 0 : errno;
    }

    // Takes away what an earlier entry of the same name left, except a directory.
    int Remove(const std::string& name) {
        return unlinkat(current_.get(), name.c_str(), 0) == 0 || errno == ENOENT ? 0 : errno;
    }

    int CreateFile(const std::string& name, Descriptor& file) {
        file = Descriptor(OpenBeneath(
            current_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        return file.valid() ? 0 : errno;
    }

    int Link(const std::string& name, const std::string& target) {
        return symlinkat(target.c_str(), current_.get(), name.c_str()) == 0 ? 0 : errno;
    }

  private:
    int root_fd_;
    Descriptor current_;
    std::string current_path_;
};

Status WriteAll(int fd, const char* data, size_t size) {
    while (size > 0) {
        const ssize_t written = ::write(fd, data, size);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errors::System("writing an unpacked file", errno);
        }
        data += written;
        size -= static_cast<size_t>(written);
    }
    return Status();
}

class Unpacker final {
  public:
    Unpacker(std::string_view bytes, int directory_fd, const Limits& limits)
        : bytes_(bytes), limits_(limits), writer_(directory_fd), write_(directory_fd >= 0) {}

    Result<Outcome> Run() {
        // An archive without entries is only its end record, which libarchive does not take for
        // one.
        constexpr size_t kEndRecordBytes = 22;
        if (bytes_.starts_with("PK\x05\x06") && bytes_.size() >= kEndRecordBytes) {
            return Flawed(Flaw::kEmpty);
        }
        // libarchive would also look for an archive behind other bytes.
        if (!bytes_.starts_with("PK\x03\x04")) {
            return Flawed(Flaw::kNotAZip);
        }
        const std::unique_ptr<archive, ArchiveCloser> reader(archive_read_new());
        if (!reader || archive_read_support_format_zip_seekable(reader.get()) != ARCHIVE_OK ||
            archive_read_open_memory(reader.get(), bytes_.data(), bytes_.size()) != ARCHIVE_OK) {
            return Flawed(Flaw::kNotAZip);
        }
        for (;;) {
            archive_entry* entry = nullptr;
            const int code = archive_read_next_header(reader.get(), &entry);
            if (code == ARCHIVE_EOF) {
                return Flawed(outcome_.entries == 0 ? Flaw::kEmpty : Flaw::kNone);
            }
            if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
                return Flawed(Flaw::kNotAZip);
            }
            if (++outcome_.entries > limits_.entries_max) {
                return Flawed(Flaw::kTooMany);
            }
            HEARTH_TRY(const Flaw flaw, One(*reader, *entry));
            if (flaw != Flaw::kNone) {
                return Flawed(flaw);
            }
        }
    }

  private:
    Outcome Flawed(Flaw flaw) {
        outcome_.flaw = flaw;
        return outcome_;
    }

    static Result<Flaw> Judge(int error_number, const char* what) {
        if (error_number == 0) {
            return Flaw::kNone;
        }
        if (IsArchivesFault(error_number)) {
            return Flaw::kHostile;
        }
        return errors::System(what, error_number);
    }

    Result<Flaw> One(archive& reader, archive_entry& entry) {
        if (archive_entry_is_encrypted(&entry)) {
            return Flaw::kNotAZip;
        }
        // The raw bytes of the name; null when it cannot be told.
        const char* name = archive_entry_pathname(&entry);
        if (name == nullptr) {
            return Flaw::kHostile;
        }
        const auto components = SplitPath(name);
        if (!components || archive_entry_hardlink(&entry) != nullptr) {
            return Flaw::kHostile;
        }
        switch (archive_entry_filetype(&entry)) {
            case AE_IFDIR:
                return write_ ? Judge(writer_.EnterParent(*components, 0), "making a directory")
                              : Result<Flaw>(Flaw::kNone);
            case AE_IFLNK:
                return Link(reader, entry, *components);
            case AE_IFREG:
            case 0:  // made on a system without types
                return File(reader, entry, *components);
            default:
                return Flaw::kHostile;
        }
    }

    Result<Flaw> Place(const std::vector<std::string>& components) {
        if (components.empty()) {
            return Flaw::kHostile;
        }
        if (!write_) {
            return Flaw::kNone;
        }
        int error_number = writer_.EnterParent(components, 1);
        if (error_number == 0) {
            error_number = writer_.Remove(components.back());
        }
        return Judge(error_number, "making an unpacked file");
    }

    Result<Flaw> Link(
        archive& reader, archive_entry& entry, const std::vector<std::string>& components) {
        // A zip keeps a link's target as the file's content; libarchive reads it with the header,
        // and when it could not, the content is still there.
        std::string target;
        if (const char* known = archive_entry_symlink(&entry); known != nullptr) {
            target = known;
        } else {
            char buffer[kLinkBytesMax + 1];
            const la_ssize_t size = archive_read_data(&reader, buffer, sizeof buffer);
            if (size < 0) {
                return Flaw::kNotAZip;
            }
            target.assign(buffer, static_cast<size_t>(size));
        }
        if (components.empty() || target.find('\0') != std::string::npos ||
            !LinkStaysInside(target, components.size() - 1)) {
            return Flaw::kHostile;
        }
        HEARTH_TRY(const Flaw flaw, Place(components));
        if (flaw != Flaw::kNone || !write_) {
            return flaw;
        }
        return Judge(writer_.Link(components.back(), target), "making an unpacked link");
    }

    Result<Flaw> File(
        archive& reader, archive_entry& entry, const std::vector<std::string>& components) {
        HEARTH_TRY(const Flaw flaw, Place(components));
        if (flaw != Flaw::kNone) {
            return flaw;
        }
        Descriptor file;
        if (write_) {
            HEARTH_TRY(
                const Flaw created,
                Judge(writer_.CreateFile(components.back(), file), "making an unpacked file"));
            if (created != Flaw::kNone) {
                return created;
            }
        }
        for (;;) {
            const void* data = nullptr;
            size_t size = 0;
            la_int64_t offset = 0;
            const int code = archive_read_data_block(&reader, &data, &size, &offset);
            if (code == ARCHIVE_EOF) {
                break;
            }
            // A warning here is a wrong checksum or size: damaged.
            if (code != ARCHIVE_OK) {
                return Flaw::kNotAZip;
            }
            outcome_.bytes += size;
            if (outcome_.bytes > limits_.bytes_max) {
                return Flaw::kTooLarge;
            }
            if (write_) {
                HEARTH_RETURN_IF_ERROR(WriteAll(file.get(), static_cast<const char*>(data), size));
            }
        }
        if (write_) {
            const bool executable = (archive_entry_perm(&entry) & 0111) != 0;
            if (fchmod(file.get(), executable ? 0555 : 0444) != 0) {
                return errors::System("chmod of an unpacked file", errno);
            }
        }
        return Flaw::kNone;
    }

    std::string_view bytes_;
    const Limits& limits_;
    Writer writer_;
    bool write_;
    Outcome outcome_;
};

}  // namespace

Result<Outcome> Unpack(std::string_view archive, int directory_fd, const Limits& limits) {
    const Utf8Scope utf8;
    return Unpacker(archive, directory_fd, limits).Run();
}

}  // namespace hearth::codec::zip
