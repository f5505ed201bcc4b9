#include "os/file.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace hearth::os {

void EnsureStdio() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            // The lowest free number is `fd`, since all below are open by now.
            if (::open("/dev/null", O_RDWR) != fd) {
                std::abort();
            }
        }
    }
}

void RaiseOpenFilesLimit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

Result<Fd> Open(int directory, const std::string& path, int flags, unsigned mode) {
    const int fd = ::openat(directory, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0) {
        return errors::System("open " + path, errno);
    }
    return Fd(fd);
}

Result<Fd> OpenBeneath(int directory, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how));
    if (fd < 0) {
        return errors::System("open " + path, errno);
    }
    return Fd(static_cast<int>(fd));
}

Result<std::string> ReadFile(int directory, const std::string& path, size_t bytes_max) {
    HEARTH_TRY(Fd file, Open(directory, path, O_RDONLY));
    std::string text;
    while (text.size() < bytes_max) {
        char buffer[16384];
        const ssize_t count =
            ::read(file.get(), buffer, std::min(sizeof(buffer), bytes_max - text.size()));
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errors::System("read " + path, errno);
        }
        if (count == 0) {
            break;
        }
        text.append(buffer, static_cast<size_t>(count));
    }
    return text;
}

Status WriteFile(int directory, const std::string& path, std::string_view text, int flags) {
    HEARTH_TRY(Fd file, Open(directory, path, O_WRONLY | flags, 0644));
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0) {
        return errors::System("write " + path, errno);
    }
    if (static_cast<size_t>(count) != text.size()) {
        return errors::Internal("write " + path + ": short");
    }
    return {};
}

Result<std::string> ReadAt(int fd, size_t bytes_max) {
    std::string text(std::min<size_t>(bytes_max, 16384), '\0');
    const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
    if (count < 0) {
        return errors::System("read", errno);
    }
    text.resize(static_cast<size_t>(count));
    return text;
}

Status MakeDirectory(int directory, const std::string& path, unsigned mode) {
    if (::mkdirat(directory, path.c_str(), mode) != 0) {
        return errors::System("mkdir " + path, errno);
    }
    return {};
}

Result<std::pair<Fd, Fd>> Pipe(int flags) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | flags) != 0) {
        return errors::System("pipe", errno);
    }
    return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

Result<std::vector<std::string>> ListDirectory(int directory, const std::string& path) {
    HEARTH_TRY(Fd fd, Open(directory, path, O_RDONLY | O_DIRECTORY));
    DIR* stream = ::fdopendir(fd.get());
    if (stream == nullptr) {
        return errors::System("list " + path, errno);
    }
    fd.Release();
    std::vector<std::string> names;
    // Directory streams are per call here, so readdir is safe.
    while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
        const std::string name = entry->d_name;
        if (name != "." && name != "..") {
            names.push_back(name);
        }
    }
    ::closedir(stream);
    return names;
}

Result<Fd> Duplicate(int fd) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return errors::System("dup", errno);
    }
    return Fd(copy);
}

Result<Fd> SealedMemory(const std::string& name, std::string_view bytes) {
    const int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return errors::System("memfd_create", errno);
    }
    Fd file(fd);
    if (::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        return errors::System("write memfd", errno);
    }
    if (::fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        return errors::System("seal memfd", errno);
    }
    return file;
}

}  // namespace hearth::os
