#include "hearth/keeper/data_directory.h"

#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace hearth::keeper {
namespace {

constexpr const char* kLockFile = "hearth.lock";
// How long the processes of a killed keeper may take to end; SIGKILL is on its way to them.
constexpr unsigned kOrphanWaitSeconds = 20;

Error UserError(const std::string& path, const std::string& problem) {
    return errors::Malformed(fmt::format("data directory {}: {}", path, problem));
}

Status CreateWithParents(const std::string& path) {
    std::error_code error;
    const std::filesystem::path directory(path);
    if (directory.has_parent_path()) {
        std::filesystem::create_directories(directory.parent_path(), error);
        if (error) {
            return UserError(path, error.message());
        }
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return UserError(path, std::strerror(errno));
    }
    return {};
}

// Hearth marks a directory as its own with the lock file; anything else in there is somebody's
// work.
Result<bool> IsEmptyOrHearths(int fd, const std::string& path) {
    if (::faccessat(fd, kLockFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return true;
    }
    DIR* stream = ::fdopendir(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == nullptr) {
        return UserError(path, std::strerror(errno));
    }
    bool empty = true;
    while (const dirent* entry = ::readdir(stream)) {
        const std::string_view name = entry->d_name;
        empty = empty && (name == "." || name == ".." || name == "lost+found");
    }
    ::closedir(stream);
    return empty;
}

void OnAlarm(int) {}

Status WaitForOrphans(int lock_file, const std::string& path) {
    // The handler's only use is to end the wait with EINTR.
    struct sigaction action = {};
    action.sa_handler = OnAlarm;
    ::sigaction(SIGALRM, &action, nullptr);
    ::alarm(kOrphanWaitSeconds);
    const bool locked = ::flock(lock_file, LOCK_EX) == 0;
    const int error = errno;
    ::alarm(0);
    if (locked) {
        return {};
    }
    return error == EINTR ? UserError(path, "processes of an earlier Hearth on it do not end")
                          : errors::System("flock", error);
}

}  // namespace

// Entries that vanish meanwhile are none of ours.
void GiveAway(int fd, Credentials owner) {
    DIR* stream = ::fdopendir(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == nullptr) {
        return;
    }
    const int directory = ::dirfd(stream);
    while (const dirent* entry = ::readdir(stream)) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == ".." || name == kLockFile) {
            continue;
        }
        if (::fchownat(directory, entry->d_name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        const os::Fd child(
            ::openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (child.valid()) {
            GiveAway(child.get(), owner);
        }
    }
    ::closedir(stream);
    // Last, so that a pass that was interrupted is repeated.
    if (::fchown(fd, owner.uid, owner.gid) != 0) {
        log::Warn("cannot give a directory away: {}", std::strerror(errno));
    }
}

Result<DataDirectory> DataDirectory::Open(
    const std::string& path, bool give_away, Credentials owner) {
    HEARTH_RETURN_IF_ERROR(CreateWithParents(path));
    DataDirectory data;
    std::error_code ignored;
    data.path_ = std::filesystem::absolute(path, ignored).lexically_normal().string();
    data.keeper_lock_ = os::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!data.keeper_lock_.valid()) {
        return UserError(path, std::strerror(errno));
    }
    if (::flock(data.keeper_lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        return UserError(
            data.path_,
            "another hearth up is running on it (stop that one, or choose another --data)");
    }
    // Opened anew: a descriptor that shares the keeper's file description would share its lock.
    data.children_fd_ =
        os::Fd(::openat(data.keeper_lock_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    HEARTH_TRY(const bool usable, IsEmptyOrHearths(data.fd(), data.path_));
    if (!usable) {
        return UserError(data.path_, "is not empty and was not made by Hearth");
    }
    data.lock_file_ =
        os::Fd(::openat(data.fd(), kLockFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!data.lock_file_.valid()) {
        return UserError(data.path_, std::strerror(errno));
    }
    HEARTH_RETURN_IF_ERROR(WaitForOrphans(data.lock_file_.get(), data.path_));
    struct stat info = {};
    if (give_away && ::fstat(data.fd(), &info) == 0 &&
        (info.st_uid != owner.uid || info.st_gid != owner.gid)) {
        GiveAway(data.fd(), owner);
    }
    return data;
}

Status DataDirectory::WriteFile(const std::string& name, std::string_view text) const {
    RemoveFile(name);
    const os::Fd file(
        ::openat(fd(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file.valid() ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return errors::System("writing " + name, errno);
    }
    return {};
}

void DataDirectory::RemoveFile(const std::string& name) const {
    ::unlinkat(fd(), name.c_str(), 0);
}

}  // namespace hearth::keeper
