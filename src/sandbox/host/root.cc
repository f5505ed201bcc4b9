#include "sandbox/host/root.h"

#include "base/log.h"
#include "os/file.h"
#include "os/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace hearth::sandbox {

namespace {

bool IsDirectory(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Status MakePath(const std::string& root, const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        (void)::mkdir((root + path.substr(0, slash)).c_str(), 0755);
    }
    if (::mkdir((root + path).c_str(), 0755) != 0 && errno != EEXIST) {
        return errors::System("mkdir " + root + path, errno);
    }
    return {};
}

Status Put(const std::string& path, std::string_view text, unsigned mode = 0644) {
    HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, path, text, O_CREAT | O_TRUNC));
    ::chmod(path.c_str(), mode);
    return {};
}

// A copy of a small file of the machine, where there is one.
void CopyIfThere(const std::string& root, const std::string& path) {
    if (auto text = os::ReadFile(AT_FDCWD, path, 4 << 20); text.ok()) {
        (void)Put(root + path, *text).ok();
    }
}

Status BindIfThere(const std::string& root, const std::string& path) {
    if (!IsDirectory(path)) {
        return {};
    }
    HEARTH_RETURN_IF_ERROR(MakePath(root, path));
    return os::BindReadOnly(path, root + path);
}

std::optional<std::string> RealPath(const std::string& path) {
    char buffer[PATH_MAX];
    if (::realpath(path.c_str(), buffer) == nullptr) {
        return std::nullopt;
    }
    return std::string(buffer);
}

// The part of `path` below `directory`; "." when it is the directory itself.
std::optional<std::string> Below(const std::string& path, const std::string& directory) {
    if (path == directory) {
        return ".";
    }
    if (path.starts_with(directory + "/")) {
        return path.substr(directory.size() + 1);
    }
    return std::nullopt;
}

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    "sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n";
constexpr std::string_view kGroup = "root:x:0:\nnogroup:x:65534:\nsbx_user1051:x:990:\n";
// AWS's name of the environment for itself: where telemetry is sent to.
constexpr std::string_view kHosts =
    "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 sandbox.localdomain sandbox\n";
constexpr std::string_view kNsswitch =
    "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";

// Mounts made from here on must not appear on the machine. In a chroot "/" is no mount point, so
// this is said at the top of the namespace; afterwards the chroot is entered again.
Status MakeMountsPrivate() {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) {
        return {};
    }
    HEARTH_TRY(os::Fd root, os::Open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    HEARTH_TRY(os::Fd own, os::Open(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY));
    if (::setns(own.get(), CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::fchdir(root.get()) != 0 || ::chroot(".") != 0) {
        return errors::System("private mounts", errno);
    }
    return {};
}

// A directory of the machine that environments see at the same path, and where it is mounted by
// now.
struct Shown {
    std::string path;
    std::string source;
};

// The root that every environment starts from, at `root`, which is a directory of the host's tmpfs.
Status BuildTemplate(
    const std::string& root, const std::vector<Shown>& shown, const std::string& dns) {
    HEARTH_RETURN_IF_ERROR(
        os::Mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m"));
    for (const char* path :
         {"/dev",
          "/etc/ssl",
          "/home/sbx_user1051",
          "/mnt",
          "/opt",
          "/proc",
          "/run",
          "/sys",
          "/tmp",
          "/usr",
          "/var/runtime",
          "/var/task",
          "/root"}) {
        HEARTH_RETURN_IF_ERROR(MakePath(root, path));
    }
    // ES modules of a function look for packages in each node_modules above /var/task and not along
    // NODE_PATH; so those of layers and of the runtime are there, in this order. A function without
    // layers has a link that leads nowhere, which is like none.
    if (::symlink("/opt/nodejs/node_modules", (root + "/var/node_modules").c_str()) != 0 ||
        ::symlink("/var/runtime/node_modules", (root + "/node_modules").c_str()) != 0) {
        return errors::System("symlink " + root + "/node_modules", errno);
    }
    HEARTH_RETURN_IF_ERROR(os::BindReadOnly("/usr", root + "/usr"));
    for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
        struct stat status{};
        if (::lstat(path, &status) != 0) {
            continue;
        }
        if (S_ISLNK(status.st_mode)) {
            char target[PATH_MAX];
            const ssize_t size = ::readlink(path, target, sizeof(target) - 1);
            if (size > 0) {
                target[size] = '\0';
                (void)::symlink(target, (root + path).c_str());
            }
        } else {
            HEARTH_RETURN_IF_ERROR(BindIfThere(root, path));
        }
    }
    // What interpreters and TLS libraries read; nothing that tells who uses the machine.
    for (const char* path :
         {"/etc/ssl/certs",
          "/etc/alternatives",
          "/etc/ca-certificates",
          "/etc/pki",
          "/etc/crypto-policies",
          "/etc/python3",
          "/etc/python3.11",
          "/etc/python3.12",
          "/etc/python3.13",
          "/etc/java-17-openjdk",
          "/etc/java-21-openjdk",
          "/etc/fonts"}) {
        HEARTH_RETURN_IF_ERROR(BindIfThere(root, path));
    }
    for (const char* path :
         {"/etc/ld.so.cache",
          "/etc/ld.so.conf",
          "/etc/localtime",
          "/etc/os-release",
          "/etc/mime.types",
          "/etc/protocols",
          "/etc/services",
          "/etc/ssl/openssl.cnf",
          "/etc/inputrc",
          "/etc/magic"}) {
        CopyIfThere(root, path);
    }
    HEARTH_RETURN_IF_ERROR(Put(root + "/etc/passwd", kPasswd));
    HEARTH_RETURN_IF_ERROR(Put(root + "/etc/group", kGroup));
    HEARTH_RETURN_IF_ERROR(Put(root + "/etc/hosts", kHosts));
    HEARTH_RETURN_IF_ERROR(Put(root + "/etc/hostname", "localhost\n"));
    HEARTH_RETURN_IF_ERROR(Put(root + "/etc/nsswitch.conf", kNsswitch));
    HEARTH_RETURN_IF_ERROR(
        Put(root + "/etc/resolv.conf",
            dns.empty() ? "" : "nameserver " + dns + "\noptions timeout:5 attempts:2\n"));
    for (const char* device :
         {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
        HEARTH_RETURN_IF_ERROR(Put(root + device, ""));
        HEARTH_RETURN_IF_ERROR(os::BindReadOnly(device, root + device, true));
    }
    (void)::symlink("/proc/self/fd", (root + "/dev/fd").c_str());
    (void)::symlink("/proc/self/fd/0", (root + "/dev/stdin").c_str());
    (void)::symlink("/proc/self/fd/1", (root + "/dev/stdout").c_str());
    (void)::symlink("/proc/self/fd/2", (root + "/dev/stderr").c_str());
    for (const Shown& one : shown) {
        if (!one.path.starts_with("/usr/")) {
            HEARTH_RETURN_IF_ERROR(MakePath(root, one.path));
            HEARTH_RETURN_IF_ERROR(os::BindReadOnly(one.source, root + one.path));
        }
    }
    if (::mount(
            nullptr,
            root.c_str(),
            nullptr,
            MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
            nullptr) != 0) {
        return errors::System("template read-only", errno);
    }
    return {};
}

}  // namespace

Result<HostRoot> HostRoot::Enter(const RootOptions& options) {
    HEARTH_RETURN_IF_ERROR(MakeMountsPrivate());
    std::string scratch;
    for (const char* path : {"/tmp", "/mnt", "/run", "/var"}) {
        if (IsDirectory(path)) {
            scratch = path;
            break;
        }
    }
    if (scratch.empty()) {
        return errors::Internal("no directory to mount on");
    }

    // Sources are looked up before the scratch directory covers /tmp: descriptors of this
    // namespace.
    HostRoot root;
    root.data_name_ = options.data_name;
    std::vector<std::pair<std::string, os::Fd>> sources;
    const auto add = [&](const std::string& path) -> Status {
        HEARTH_TRY(os::Fd fd, os::Open(AT_FDCWD, path, O_PATH | O_DIRECTORY));
        sources.emplace_back(path, std::move(fd));
        return {};
    };
    HEARTH_RETURN_IF_ERROR(add(options.data_name));
    if (options.data_fd >= 0) {
        struct stat meant{};
        struct stat found{};
        if (::fstat(options.data_fd, &meant) != 0 ||
            ::fstat(sources[0].second.get(), &found) != 0 || meant.st_dev != found.st_dev ||
            meant.st_ino != found.st_ino) {
            return errors::Internal(options.data_name + " is not the directory of --data-fd");
        }
    }
    std::vector<Shown> shown;
    for (const std::string& given : options.shown) {
        if (const auto path = RealPath(given); path.has_value() && add(*path).ok()) {
            shown.push_back({*path, fmt::format("{}/source/{}", scratch, sources.size() - 1)});
        } else {
            log::Warn("host: {} cannot be shown to functions: not a directory", given);
        }
    }
    for (const std::string& given : options.exposed) {
        const auto path = RealPath(given);
        if (!path.has_value() || !add(*path).ok()) {
            log::Warn("host: {} cannot be exposed: not a directory", given);
        } else {
            // Requests use the path as it was given.
            sources.back().first = given;
        }
    }
    HEARTH_TRY(const std::string init, os::ReadFile(AT_FDCWD, options.init_program, 64 << 20));

    HEARTH_RETURN_IF_ERROR(os::Mount("tmpfs", scratch, "tmpfs", MS_NOSUID, "mode=755,size=64m"));
    HEARTH_TRY(os::Fd top, os::Open(AT_FDCWD, scratch, O_PATH | O_DIRECTORY));
    for (size_t i = 0; i < sources.size(); ++i) {
        const std::string target = fmt::format("/source/{}", i);
        HEARTH_RETURN_IF_ERROR(MakePath(scratch, target));
        HEARTH_TRY(os::Fd tree, os::CloneTreeReadOnly(sources[i].second.get(), ""));
        HEARTH_RETURN_IF_ERROR(os::AttachTree(tree.get(), scratch + target));
    }
    HEARTH_RETURN_IF_ERROR(MakePath(scratch, "/proc"));
    HEARTH_RETURN_IF_ERROR(MakePath(scratch, "/template"));
    // For templates, whose processes begin in this root.
    HEARTH_RETURN_IF_ERROR(MakePath(scratch, "/dev"));
    HEARTH_RETURN_IF_ERROR(Put(scratch + "/dev/null", ""));
    HEARTH_RETURN_IF_ERROR(os::BindReadOnly("/dev/null", scratch + "/dev/null", true));
    // Without root the machine's pid namespace is not ours to mount; a copy of what is there will
    // do.
    if (!os::Mount("proc", scratch + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC).ok()) {
        HEARTH_RETURN_IF_ERROR(os::Mount("/proc", scratch + "/proc", "", MS_BIND | MS_REC));
    }
    HEARTH_RETURN_IF_ERROR(Put(scratch + "/hearth-init", init, 0755));
    HEARTH_RETURN_IF_ERROR(BuildTemplate(scratch + "/template", shown, options.dns));
    HEARTH_RETURN_IF_ERROR(os::PivotTo(scratch));
    for (size_t i = 0; i < sources.size(); ++i) {
        HEARTH_TRY(
            os::Fd directory,
            os::Open(AT_FDCWD, fmt::format("/source/{}", i), O_PATH | O_DIRECTORY));
        root.exposed_.push_back({sources[i].first, std::move(directory)});
    }
    root.init_path_ = "/hearth-init";
    return root;
}

Result<HostRoot> HostRoot::Stay(const RootOptions& options) {
    HostRoot root;
    root.data_name_ = options.data_name;
    root.init_path_ = options.init_program;
    std::vector<std::string> paths = options.shown;
    paths.insert(paths.end(), options.exposed.begin(), options.exposed.end());
    HEARTH_TRY(os::Fd data, os::Open(AT_FDCWD, options.data_name, O_PATH | O_DIRECTORY));
    root.exposed_.push_back({options.data_name, std::move(data)});
    for (const std::string& given : paths) {
        const auto path = RealPath(given);
        if (!path.has_value()) {
            log::Warn("host: {} cannot be exposed: not there", given);
            continue;
        }
        HEARTH_TRY(os::Fd directory, os::Open(AT_FDCWD, *path, O_PATH | O_DIRECTORY));
        root.exposed_.push_back({given, std::move(directory)});
    }
    return root;
}

Result<os::Fd> HostRoot::Find(const std::string& source) const {
    if (!source.starts_with('/')) {
        return os::OpenBeneath(exposed_[0].directory.get(), source, O_PATH);
    }
    // The longest match: an exposed directory may lie in another one.
    const Exposed* found = nullptr;
    std::string rest;
    for (const Exposed& exposed : exposed_) {
        if (auto below = Below(source, exposed.path);
            below.has_value() && (found == nullptr || exposed.path.size() > found->path.size())) {
            found = &exposed;
            rest = *below;
        }
    }
    if (found == nullptr) {
        return errors::Malformed(source + " is not in an exposed directory");
    }
    return os::OpenBeneath(found->directory.get(), rest, O_PATH);
}

Result<os::Fd> HostRoot::OpenSource(const std::string& source) const {
    HEARTH_TRY(os::Fd place, Find(source));
    return os::CloneTreeReadOnly(place.get(), "");
}

Result<os::Fd> HostRoot::OpenSources(const std::vector<std::string>& sources) const {
    if (sources.size() == 1) {
        return OpenSource(sources.front());
    }
    std::vector<os::Fd> places;
    std::vector<int> directories;
    for (const std::string& source : sources) {
        HEARTH_TRY(os::Fd place, Find(source));
        directories.push_back(place.get());
        places.push_back(std::move(place));
    }
    return os::OverlayReadOnly(directories);
}

bool HostRoot::CanOverlay() const {
    // The data directory itself, since not every file system can be a layer, over something else,
    // since a directory cannot lie over itself.
    auto other = os::Open(AT_FDCWD, "/template", O_PATH | O_DIRECTORY);
    return other.ok() && os::OverlayReadOnly({other->get(), exposed_[0].directory.get()}).ok();
}

Result<std::string> HostRoot::SourcePath(const std::string& source) const {
    HEARTH_TRY(os::Fd place, Find(source));
    return source.starts_with('/') ? source : data_name_ + "/" + source;
}

Result<os::Fd> HostRoot::OpenInit() const {
    return os::Open(AT_FDCWD, init_path_, O_PATH);
}

}  // namespace hearth::sandbox
