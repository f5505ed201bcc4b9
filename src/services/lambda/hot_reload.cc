#include "services/lambda/hot_reload.h"

#include "codec/crypto/crypto.h"
#include "services/lambda/errors.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

namespace hearth::lambda {
namespace {

constexpr std::string_view kCodePrefix = "hot-reload:";
// A directory with more is no function's code, and would make each call slow.
constexpr size_t kEntriesMax = 50'000;
constexpr size_t kDepthMax = 64;
constexpr size_t kSeenMax = 1'000;

Error Refuse(std::string_view code, std::string_view why) {
    return errors::InvalidParameterValue(fmt::format(
        "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}", code, why));
}

os::Fd OpenBeneath(int directory_fd, const char* path, uint64_t flags) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return os::Fd(static_cast<int>(syscall(SYS_openat2, directory_fd, path, &how, sizeof how)));
}

// Adds what `fd` holds, and below it, to `text`. Returns 0 or an errno.
int Collect(os::Fd fd, size_t depth, size_t& entries, std::string& text) {
    struct Closer {
        void operator()(DIR* d) const { closedir(d); }
    };

    const std::unique_ptr<DIR, Closer> stream(fdopendir(fd.get()));
    if (!stream) {
        return errno;
    }
    const int directory_fd = fd.Release();
    std::vector<std::string> names;
    while (const dirent* entry = readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    // The order of a directory may change without a change of it.
    std::ranges::sort(names);
    for (const std::string& name : names) {
        if (++entries > kEntriesMax) {
            return EFBIG;
        }
        struct stat about{};
        if (fstatat(directory_fd, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) {
                continue;  // an editor's temporary file
            }
            return errno;
        }
        text += fmt::format(
            "{}\n{} {} {} {} {} {}\n",
            name,
            about.st_ino,
            about.st_mode,
            about.st_size,
            about.st_mtim.tv_sec,
            about.st_mtim.tv_nsec,
            about.st_ctim.tv_nsec);
        if (S_ISDIR(about.st_mode)) {
            if (depth == kDepthMax) {
                return ELOOP;
            }
            os::Fd below = OpenBeneath(directory_fd, name.c_str(), O_RDONLY | O_DIRECTORY);
            if (!below.valid()) {
                if (errno == ENOENT || errno == ENOTDIR) {
                    continue;
                }
                return errno;
            }
            text += "{\n";
            if (const int error_number = Collect(std::move(below), depth + 1, entries, text)) {
                return error_number;
            }
            text += "}\n";
        }
    }
    return 0;
}

}  // namespace

HotReload::HotReload(std::string root, int root_fd, rt::BlockingPool& blocking_pool)
    : root_(std::move(root)), root_fd_(root_fd), blocking_pool_(blocking_pool) {
    while (root_.size() > 1 && root_.ends_with('/')) {
        root_.pop_back();
    }
    if (!root_.empty() && !root_fd_.valid()) {
        root_fd_ = os::Fd(open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
}

Result<std::string> HotReload::ReadPath(std::string_view path) const {
    if (root_.empty()) {
        return Refuse(
            "NoSuchBucket",
            "The bucket hot-reload is there only with `hearth up --hot-reload DIR`, in open mode "
            "on "
            "loopback.");
    }
    if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) {
        return Refuse("NoSuchKey", "S3Key must be the absolute path of a directory.");
    }
    std::string plain;
    for (std::string_view rest = path; !rest.empty();) {
        const size_t slash = rest.find('/');
        const std::string_view part = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
        if (part == "..") {
            return Refuse("NoSuchKey", "S3Key must not contain '..'.");
        }
        if (!part.empty() && part != ".") {
            plain.append("/").append(part);
        }
    }
    const std::string below = root_ == "/" ? root_ : root_ + "/";
    if (plain != root_ && !plain.starts_with(below)) {
        return Refuse(
            "NoSuchKey",
            fmt::format("{} is not below {}, the --hot-reload directory.", path, root_));
    }
    return plain;
}

Result<os::Fd> HotReload::OpenDirectory(const std::string& directory) const {
    std::string rest = directory.substr(std::min(directory.size(), root_.size()));
    rest.erase(0, rest.find_first_not_of('/'));
    os::Fd fd =
        OpenBeneath(root_fd_.get(), rest.empty() ? "." : rest.c_str(), O_RDONLY | O_DIRECTORY);
    if (!fd.valid()) {
        return Refuse(
            "NoSuchKey",
            fmt::format(
                "{} cannot be read by functions: {}.",
                directory,
                errno == ELOOP ? "there is a symbolic link on the way" : strerror(errno)));
    }
    return fd;
}

Result<std::string> HotReload::Stamp(const std::string& directory) const {
    HEARTH_TRY(os::Fd fd, OpenDirectory(directory));
    struct stat about{};
    fstat(fd.get(), &about);
    // A directory that was removed and made anew is another one.
    std::string text = fmt::format("{} {}\n", about.st_dev, about.st_ino);
    size_t entries = 0;
    if (const int error_number = Collect(std::move(fd), 0, entries, text)) {
        return Refuse(
            "NoSuchKey",
            error_number == EFBIG
                ? fmt::format("{} holds more than {} files.", directory, kEntriesMax)
                : fmt::format("{} cannot be read: {}.", directory, strerror(error_number)));
    }
    return codec::Sha256Hex(text).substr(0, 16);
}

Task<Status> HotReload::Check(std::string directory) const {
    const auto stamp = co_await blocking_pool_.Run([&] { return Stamp(directory); });
    co_return stamp.ok() ? Status() : Status(stamp.error());
}

bool HotReload::IsHot(const FunctionVersion& function) {
    return function.code_id.starts_with(kCodePrefix);
}

std::string HotReload::CodeId(std::string_view directory) {
    return fmt::format("{}{}", kCodePrefix, directory);
}

std::string_view HotReload::DirectoryOf(std::string_view code_id) {
    return code_id.starts_with(kCodePrefix) ? code_id.substr(kCodePrefix.size())
                                            : std::string_view();
}

Task<Result<HotReload::Current>> HotReload::Look(std::shared_ptr<const FunctionVersion> function) {
    // Checked again: the cloud may have been started with another directory, or none.
    HEARTH_CO_TRY(const std::string directory, ReadPath(DirectoryOf(function->code_id)));
    HEARTH_CO_TRY(
        const std::string stamp, co_await blocking_pool_.Run([&] { return Stamp(directory); }));
    const std::string revision = function->revision + "-" + stamp;
    const std::lock_guard lock(mutex_);
    if (seen_.size() >= kSeenMax) {
        seen_.clear();
    }
    Seen& seen = seen_[function->revision];
    Current current;
    if (!seen.function || seen.function->revision != revision) {
        auto changed = std::make_shared<FunctionVersion>(*function);
        changed->revision = revision;
        current.changed = seen.function != nullptr;
        seen.function = std::move(changed);
    }
    current.function = seen.function;
    co_return current;
}

}  // namespace hearth::lambda
