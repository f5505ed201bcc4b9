#include "storage/data_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string_view>
#include <thread>

namespace hearth::storage {
namespace {

constexpr char kVersionPrefix[] = "hearth data format ";

Error ForPeople(Error::Kind kind, std::string text) {
    return Error(kind, "", std::move(text), 500);
}

Status MakeDirectories(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        // Parents that are there need not be ours to write.
        if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) {
            return errors::System("making " + path.substr(0, slash), errno);
        }
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return errors::System("making " + path, errno);
    }
    return Status();
}

std::string ReadSmall(int fd) {
    char text[64];
    const ssize_t got = ::pread(fd, text, sizeof(text), 0);
    return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

int NumberAtStart(std::string_view text) {
    int number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// The file is replaced as a whole, so that a cut leaves the old or the new.
Status WriteVersion(int directory, const DataDirectoryOptions& options) {
    const os::Fd file(
        ::openat(directory, "version.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const std::string text = fmt::format("{}{}\n", kVersionPrefix, kDataFormatVersion);
    if (!file.valid() ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fchown(file.get(), options.uid, options.gid) != 0 || ::fsync(file.get()) != 0 ||
        ::renameat(directory, "version.new", directory, "version") != 0 ||
        ::fsync(directory) != 0) {
        return errors::System("writing the format version of the data directory", errno);
    }
    return Status();
}

// True: there is a version that we can read. False: none, and nothing else either.
Result<bool> CheckVersion(int directory, const std::string& path) {
    const os::Fd file(::openat(directory, "version", O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        if (errno != ENOENT) {
            return errors::System("opening " + path + "/version", errno);
        }
        if (::faccessat(directory, "kv", F_OK, 0) == 0) {
            return ForPeople(
                Error::Kind::kInternal,
                fmt::format("{} holds data but no format version; it is damaged", path));
        }
        return false;
    }
    const std::string text = ReadSmall(file.get());
    if (!text.starts_with(kVersionPrefix)) {
        return ForPeople(
            Error::Kind::kInternal, fmt::format("{}/version is not a format version", path));
    }
    const int version = NumberAtStart(std::string_view(text).substr(sizeof(kVersionPrefix) - 1));
    if (version < 1 || version > kDataFormatVersion) {
        return ForPeople(
            Error::Kind::kInternal,
            fmt::format(
                "{} was written by a newer hearth (data format {}, this one knows up to {}); "
                "start that version, or choose another --data directory",
                path,
                version,
                kDataFormatVersion));
    }
    return true;
}

bool IsAlive(pid_t pid) {
    return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

// The holder's id is only text for people and for telling a dead holder; the lock itself is the
// kernel's and cannot be left behind by a killed process.
Status Lock(int lock, const std::string& path, const DataDirectoryOptions& options) {
    const auto give_up = std::chrono::steady_clock::now() + options.dead_holder_wait;
    while (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return errors::System("locking " + path, errno);
        }
        const pid_t holder = NumberAtStart(ReadSmall(lock));
        // No id yet: the holder is between locking and writing it.
        if ((holder > 0 && IsAlive(holder)) || std::chrono::steady_clock::now() >= give_up) {
            return ForPeople(
                Error::Kind::kUnavailable,
                fmt::format(
                    "{} is in use by another hearth (process {}); stop that one, or choose another "
                    "--data directory",
                    path,
                    holder));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::string text = fmt::format("{}\n", ::getpid());
    if (::ftruncate(lock, 0) != 0 ||
        ::pwrite(lock, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return errors::System("writing " + path + "/lock", errno);
    }
    return Status();
}

}  // namespace

Result<DataDirectory> DataDirectory::Open(const std::string& path, DataDirectoryOptions options) {
    if (path.empty()) {
        return ForPeople(Error::Kind::kInternal, "the data directory needs a name");
    }
    HEARTH_RETURN_IF_ERROR(MakeDirectories(path));
    DataDirectory opened;
    opened.directory_ = os::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened.directory_.valid()) {
        return errors::System("opening the data directory " + path, errno);
    }
    char resolved[PATH_MAX];
    if (::realpath(path.c_str(), resolved) == nullptr) {
        return errors::System("resolving " + path, errno);
    }
    opened.path_ = resolved;
    const int directory = opened.directory_.get();
    opened.lock_ =
        os::Fd(::openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!opened.lock_.valid()) {
        return errors::System("opening " + opened.path_ + "/lock", errno);
    }
    HEARTH_RETURN_IF_ERROR(Lock(opened.lock_.get(), opened.path_, options));
    HEARTH_TRY(const bool known, CheckVersion(directory, opened.path_));
    if (::fchmod(directory, 0700) != 0 || ::fchown(directory, options.uid, options.gid) != 0 ||
        ::fchown(opened.lock_.get(), options.uid, options.gid) != 0) {
        return errors::System("taking " + opened.path_, errno);
    }
    if (!known) {
        HEARTH_RETURN_IF_ERROR(WriteVersion(directory, options));
        opened.is_new_ = true;
    }
    return opened;
}

}  // namespace hearth::storage
