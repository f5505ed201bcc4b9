#include "storage/blob/file_blob_store.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <vector>

namespace hearth::storage {
namespace {

constexpr size_t kIdBytesMax = 128;
// No id begins with a dot.
constexpr char kTemporaryPrefix[] = ".new-";

bool IsId(std::string_view id) {
    return !id.empty() && id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
}

Error NotFound(std::string_view id) {
    return Error(Error::Kind::kNotFound, "", fmt::format("there is no blob {}", id), 404);
}

Error BadId() {
    return errors::Malformed("a blob id is 1 to 128 letters, digits, '-' and '_'");
}

Status WriteAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return errors::System("writing a blob", errno);
        }
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return Status();
}

Result<std::vector<std::string>> NamesIn(const std::string& directory) {
    DIR* const stream = ::opendir(directory.c_str());
    if (stream == nullptr) {
        return errors::System("reading " + directory, errno);
    }
    std::vector<std::string> names;
    // The stream is this thread's own, which is all that readdir asks for.
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    while (const dirent* entry = ::readdir(stream)) {
        names.emplace_back(entry->d_name);
    }
    ::closedir(stream);
    return names;
}

class FilesInDirectory final : public FileBlobStore {
  public:
    FilesInDirectory(
        std::string directory, os::Fd fd, rt::BlockingPool& pool, FileBlobStoreOptions options)
        : directory_(std::move(directory)), fd_(std::move(fd)), pool_(pool), options_(options) {}

    Task<Status> Put(std::string_view id, std::string bytes) override {
        if (!IsId(id)) {
            co_return BadId();
        }
        const std::string name(id);
        auto work = [&] { return Write(name, bytes); };
        co_return co_await pool_.Run(work);
    }

    Task<Result<std::string>> Read(std::string_view id, uint64_t bytes_max) override {
        if (!IsId(id)) {
            co_return BadId();
        }
        const std::string name(id);
        auto work = [&] { return ReadFile(name, bytes_max); };
        co_return co_await pool_.Run(work);
    }

    Task<Status> Delete(std::string_view id) override {
        if (!IsId(id)) {
            co_return BadId();
        }
        const std::string name(id);
        auto work = [&] { return Remove(name); };
        co_return co_await pool_.Run(work);
    }

    std::string PathOf(std::string_view id) const override {
        return directory_ + "/" + std::string(id);
    }

    Task<Result<size_t>> Sweep(IsReferenced is_referenced, std::chrono::seconds min_age) override {
        auto list = [&] { return IdsOlderThan(min_age); };
        HEARTH_CO_TRY(const std::vector<std::string> ids, co_await pool_.Run(list));
        size_t swept = 0;
        for (const std::string& id : ids) {
            HEARTH_CO_TRY(const bool referenced, co_await is_referenced(id));
            if (!referenced) {
                HEARTH_CO_RETURN_IF_ERROR(co_await Delete(id));
                ++swept;
            }
        }
        co_return swept;
    }

  private:
    Status Write(const std::string& name, std::string_view bytes) {
        if (::faccessat(fd_.get(), name.c_str(), F_OK, 0) == 0) {
            // Another writer's rename may not be synced yet, and our caller commits after this.
            return SyncDirectory();
        }
        const std::string temporary = fmt::format("{}{}", kTemporaryPrefix, next_temporary_++);
        Status written = WriteTemporary(temporary, bytes);
        if (written.ok() &&
            ::renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0) {
            written = errors::System("naming a blob", errno);
        }
        if (!written.ok()) {
            ::unlinkat(fd_.get(), temporary.c_str(), 0);
            return written;
        }
        return SyncDirectory();
    }

    Status WriteTemporary(const std::string& temporary, std::string_view bytes) {
        const os::Fd file(::openat(
            fd_.get(),
            temporary.c_str(),
            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
            0600));
        if (!file.valid()) {
            return errors::System("making a blob", errno);
        }
        HEARTH_RETURN_IF_ERROR(WriteAll(file.get(), bytes));
        if (options_.sync && ::fsync(file.get()) != 0) {
            return errors::System("syncing a blob", errno);
        }
        return Status();
    }

    Status SyncDirectory() {
        if (options_.sync && ::fsync(fd_.get()) != 0) {
            return errors::System("syncing the blob directory", errno);
        }
        return Status();
    }

    Result<std::string> ReadFile(const std::string& name, uint64_t bytes_max) {
        const os::Fd file(::openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!file.valid()) {
            return errno == ENOENT ? NotFound(name) : errors::System("opening a blob", errno);
        }
        struct stat facts = {};
        if (::fstat(file.get(), &facts) != 0) {
            return errors::System("looking at a blob", errno);
        }
        const auto size = static_cast<uint64_t>(facts.st_size);
        if (size > bytes_max) {
            return errors::Internal(fmt::format(
                "blob {} has {} bytes; at most {} were expected", name, size, bytes_max));
        }
        std::string bytes(size, '\0');
        size_t filled = 0;
        while (filled < bytes.size()) {
            const ssize_t got = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0) {
                return errors::System("reading a blob", errno);
            }
            if (got == 0) {
                return errors::Internal(fmt::format("blob {} is shorter than it was", name));
            }
            filled += static_cast<size_t>(got);
        }
        return bytes;
    }

    Status Remove(const std::string& name) {
        // Not synced: a deletion that a power cut undoes leaves an orphan for the sweep.
        if (::unlinkat(fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
            return errors::System("deleting a blob", errno);
        }
        return Status();
    }

    Result<std::vector<std::string>> IdsOlderThan(std::chrono::seconds min_age) {
        HEARTH_TRY(std::vector<std::string> names, NamesIn(directory_));
        const time_t newest = ::time(nullptr) - static_cast<time_t>(min_age.count());
        std::erase_if(names, [&](const std::string& name) {
            struct stat facts = {};
            return !IsId(name) ||
                   ::fstatat(fd_.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
                   !S_ISREG(facts.st_mode) || facts.st_mtime > newest;
        });
        return names;
    }

    const std::string directory_;
    const os::Fd fd_;
    rt::BlockingPool& pool_;
    const FileBlobStoreOptions options_;
    std::atomic<uint64_t> next_temporary_{0};
};

}  // namespace

Result<std::unique_ptr<FileBlobStore>> OpenFileBlobStore(
    std::string directory, rt::BlockingPool& pool, FileBlobStoreOptions options) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return errors::System("making " + directory, errno);
    }
    os::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) {
        return errors::System("opening " + directory, errno);
    }
    const os::Fd parent(::openat(fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (options.sync && (!parent.valid() || ::fsync(parent.get()) != 0)) {
        return errors::System("syncing the name of " + directory, errno);
    }
    HEARTH_TRY(const std::vector<std::string> names, NamesIn(directory));
    for (const std::string& name : names) {
        if (name.starts_with(kTemporaryPrefix) && ::unlinkat(fd.get(), name.c_str(), 0) != 0) {
            return errors::System("removing " + directory + "/" + name, errno);
        }
    }
    return std::unique_ptr<FileBlobStore>(
        std::make_unique<FilesInDirectory>(std::move(directory), std::move(fd), pool, options));
}

}  // namespace hearth::storage
