#include "vmm/image/build_image.h"

#include "os/file.h"
#include "vmm/image/initramfs.h"
#include "vmm/image/kernel_modules.h"
#include "vmm/image/packages.h"
#include "vmm/image/run_program.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hearth::vmm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameBytesMax = 64;
constexpr size_t kFileBytesMax = 512U << 20U;

// Debian's kernels have the drivers of virtual devices as modules. PCI: so that an image boots
// under other monitors, too.
const std::vector<std::string> kModules = {
    "virtio_mmio",
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "virtio_balloon",
    "vmw_vsock_virtio_transport",
    "libcrc32c",
    "erofs",
    "overlay"};

// What every root file system gets: a shell, and what scripts expect of one.
const std::vector<std::string> kBasePackages = {
    "base-files", "bash", "coreutils", "dash", "findutils", "grep", "hostname", "iproute2", "sed"};

// Names that maintainer scripts would have made.
struct Alternative {
    const char* link;
    const char* target;
};

constexpr Alternative kAlternatives[] = {
    {"usr/bin/sh", "dash"}, {"usr/bin/awk", "mawk"}, {"usr/bin/which", "which.debianutils"}};

std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Removes a folder with all that is in it when it goes.
class ScratchDirectory final {
  public:
    static Result<ScratchDirectory> Make(const std::string& parent) {
        std::string name = parent + "/.building.XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) {
            return errors::System("make a folder in " + parent, errno);
        }
        (void)::chmod(name.c_str(), 0755);
        return ScratchDirectory(std::move(name));
    }

    ScratchDirectory(ScratchDirectory&& other) noexcept
        : path_(std::exchange(other.path_, std::string())) {}

    ScratchDirectory& operator=(ScratchDirectory&&) = delete;

    ~ScratchDirectory() {
        if (!path_.empty()) {
            std::error_code ignored;
            fs::remove_all(path_, ignored);
        }
    }

    const std::string& path() const { return path_; }

  private:
    explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}

    std::string path_;
};

Status WriteNew(const std::string& path, std::string_view bytes) {
    HEARTH_TRY(
        const os::Fd file,
        os::Open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    while (!bytes.empty()) {
        const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
        if (wrote < 0 && errno != EINTR) {
            return errors::System("write " + path, errno);
        }
        bytes.remove_prefix(wrote < 0 ? 0 : static_cast<size_t>(wrote));
    }
    return ::fsync(file.get()) == 0 ? Status() : Status(errors::System("sync " + path, errno));
}

struct Kernel {
    std::string image;    // vmlinuz
    std::string modules;  // .../lib/modules/VERSION
    ImagePackage package;
};

Result<Kernel> KernelIn(const std::string& directory, ImagePackage package) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory + "/boot", error)) {
        const std::string leaf = entry.path().filename().string();
        if (!leaf.starts_with("vmlinuz-")) {
            continue;
        }
        const std::string version = leaf.substr(std::string_view("vmlinuz-").size());
        for (const char* base : {"/lib/modules/", "/usr/lib/modules/"}) {
            if (const std::string modules = directory + base + version; fs::exists(modules)) {
                return Kernel{entry.path().string(), modules, std::move(package)};
            }
        }
    }
    return errors::Unavailable("no kernel with modules under " + directory);
}

// Unpacks a kernel's package once for each file; another build that does the same loses nothing.
Result<Kernel> UnpackedKernel(const PackageFile& file, const std::string& cache) {
    std::error_code error;
    const std::string directory = fmt::format(
        "{}/kernels/{}-{}-{}",
        cache,
        file.package.name,
        file.package.version,
        fs::file_size(file.path, error));
    if (!fs::exists(directory)) {
        fs::create_directories(cache + "/kernels", error);
        HEARTH_TRY(const ScratchDirectory scratch, ScratchDirectory::Make(cache + "/kernels"));
        HEARTH_RETURN_IF_ERROR(UnpackPackage(file.path, scratch.path() + "/unpacked"));
        if (::rename((scratch.path() + "/unpacked").c_str(), directory.c_str()) != 0 &&
            !fs::exists(directory)) {
            return errors::System("keep " + directory, errno);
        }
    }
    return KernelIn(directory, file.package);
}

Result<Kernel> FindKernel(const BuildImageOptions& options, const BuildProgress& progress) {
    if (options.kernel.empty()) {
        progress("fetching the kernel " + options.kernel_package);
        HEARTH_TRY(
            const PackageFile file,
            FetchKernelPackage(options.kernel_package, options.cache_directory));
        return UnpackedKernel(file, options.cache_directory);
    }
    if (fs::is_directory(options.kernel)) {
        return KernelIn(options.kernel, PackageOf(fs::path(options.kernel).filename().string()));
    }
    if (!fs::exists(options.kernel)) {
        return errors::Unavailable("no kernel package at " + options.kernel);
    }
    return UnpackedKernel({options.kernel, PackageOf(options.kernel)}, options.cache_directory);
}

// A busybox that needs no libraries: the machine's, or a fetched one.
Result<std::string> FindBusybox(
    const BuildImageOptions& options,
    const BuildProgress& progress,
    std::vector<ImagePackage>* packages) {
    for (const char* path : {"/usr/bin/busybox", "/bin/busybox"}) {
        // A dynamic program names its loader.
        if (const std::string bytes = Read(path);
            !bytes.empty() && bytes.find("/ld-linux") == std::string::npos) {
            packages->push_back({"busybox", "of this machine"});
            return std::string(path);
        }
    }
    progress("fetching busybox-static");
    HEARTH_TRY(
        const std::vector<PackageFile> files,
        FetchWithDependencies({"busybox-static"}, options.cache_directory));
    for (const PackageFile& file : files) {
        if (file.package.name == "busybox-static") {
            const std::string directory =
                options.cache_directory + "/busybox-" + file.package.version;
            HEARTH_RETURN_IF_ERROR(UnpackPackage(file.path, directory));
            packages->push_back(file.package);
            for (const char* path : {"/bin/busybox", "/usr/bin/busybox"}) {
                if (fs::exists(directory + path)) {
                    return directory + path;
                }
            }
        }
    }
    return errors::Unavailable("busybox-static has no busybox");
}

Status AddBusybox(const std::string& busybox, Initramfs* initramfs) {
    HEARTH_TRY(const std::string applets, RunProgram({busybox, "--list"}));
    initramfs->AddFile("bin/busybox", Read(busybox), 0755);
    std::istringstream lines(applets);
    for (std::string applet; std::getline(lines, applet);) {
        if (!applet.empty() && applet != "busybox" && applet.find('/') == std::string::npos) {
            initramfs->AddLink("bin/" + applet, "busybox");
        }
    }
    initramfs->AddFile(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n");
    initramfs->AddFile("etc/group", "root:x:0:\nnogroup:x:65534:\n");
    initramfs->AddFile("etc/hosts", "127.0.0.1 localhost\n");
    return {};
}

// `busybox` is empty for an image with a root file system.
Result<std::string> MakeInitramfs(
    const BuildImageOptions& options, const Kernel& kernel, const std::string& busybox) {
    Initramfs initramfs;
    for (const char* folder :
         {"bin", "dev", "etc", "lib", "modules", "proc", "root", "run", "sys"}) {
        initramfs.AddDirectory(folder);
    }
    initramfs.AddDirectory("tmp", 01777);
    initramfs.AddCharacterDevice("dev/console", 0600, 5, 1);
    const auto init = os::ReadFile(AT_FDCWD, options.init_program, kFileBytesMax);
    if (!init.ok()) {
        return errors::Unavailable("no first process: " + init.error().message());
    }
    initramfs.AddFile("init", *init, 0755);
    HEARTH_TRY(const auto modules, SelectModules(kernel.modules, kModules));
    std::string order;
    for (const KernelModule& module : modules) {
        const std::string path = "modules/" + module.name + ".ko";
        initramfs.AddFile(path, module.bytes);
        order += "/" + path + "\n";
    }
    initramfs.AddFile("modules.load", order);
    if (!busybox.empty()) {
        HEARTH_RETURN_IF_ERROR(AddBusybox(busybox, &initramfs));
    }
    return std::move(initramfs).Finish();
}

// Debian's folders lie below /usr; packages of this release still bring them at the top, too.
Status MergeUsr(const std::string& root) {
    for (const char* folder : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
        const std::string top = root + "/" + folder;
        const std::string merged = root + "/usr/" + folder;
        if (fs::is_symlink(fs::symlink_status(top))) {
            continue;
        }
        const bool there = fs::is_directory(top);
        std::error_code error;
        if (there) {
            fs::create_directories(merged, error);
            HEARTH_RETURN_IF_ERROR(RunProgram({"cp", "-a", "--", top + "/.", merged + "/"}));
            fs::remove_all(top, error);
        }
        if (there || fs::is_directory(merged)) {
            fs::create_symlink(std::string("usr/") + folder, top, error);
        }
        if (error) {
            return errors::Unavailable(top + ": " + error.message());
        }
    }
    return {};
}

// What the packages' scripts would have made, as far as programs need it.
Status FinishRoot(const std::string& root) {
    HEARTH_RETURN_IF_ERROR(MergeUsr(root));
    std::error_code error;
    for (const char* folder :
         {"dev", "proc", "sys", "run", "tmp", "root", "etc", "mnt", "var/tmp"}) {
        fs::create_directories(root + "/" + folder, error);
    }
    for (const char* folder : {"/tmp", "/var/tmp"}) {
        (void)::chmod((root + folder).c_str(), 01777);
    }
    for (const Alternative& one : kAlternatives) {
        const fs::path link = root + "/" + one.link;
        if (!fs::exists(fs::symlink_status(link)) && fs::exists(link.parent_path() / one.target)) {
            fs::create_symlink(one.target, link, error);
        }
    }
    const auto give = [&root](const char* path, std::string_view text) -> Status {
        if (fs::exists(fs::symlink_status(root + path))) {
            return {};
        }
        return WriteNew(root + path, text);
    };
    HEARTH_RETURN_IF_ERROR(give(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\n"
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"));
    HEARTH_RETURN_IF_ERROR(
        give("/etc/group", "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n"));
    HEARTH_RETURN_IF_ERROR(give("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"));
    HEARTH_RETURN_IF_ERROR(give("/etc/hostname", "hearth\n"));
    HEARTH_RETURN_IF_ERROR(give("/etc/resolv.conf", ""));
    const std::string authorities = root + "/usr/share/ca-certificates/mozilla";
    if (fs::is_directory(authorities)) {
        std::vector<std::string> files;
        for (const auto& entry : fs::directory_iterator(authorities, error)) {
            files.push_back(entry.path().string());
        }
        std::ranges::sort(files);
        std::string all;
        for (const std::string& file : files) {
            all += Read(file);
        }
        fs::create_directories(root + "/etc/ssl/certs", error);
        HEARTH_RETURN_IF_ERROR(give("/etc/ssl/certs/ca-certificates.crt", all));
    }
    return {};
}

Status MakeRoot(
    const BuildImageOptions& options,
    const std::string& image,
    const BuildProgress& progress,
    std::vector<ImagePackage>* packages) {
    std::vector<std::string> names = kBasePackages;
    names.insert(names.end(), options.packages.begin(), options.packages.end());
    progress("fetching packages with what they depend on");
    HEARTH_TRY(
        const std::vector<PackageFile> files,
        FetchWithDependencies(names, options.cache_directory));
    HEARTH_TRY(const ScratchDirectory scratch, ScratchDirectory::Make(options.images_directory));
    const std::string root = scratch.path() + "/root";
    size_t done = 0;
    for (const PackageFile& file : files) {
        progress(fmt::format("unpacking {} ({} of {})", file.package.name, ++done, files.size()));
        HEARTH_RETURN_IF_ERROR(UnpackPackage(file.path, root));
        packages->push_back(file.package);
    }
    HEARTH_RETURN_IF_ERROR(FinishRoot(root));
    progress("packing the root file system");
    // No times, no owners, always the same identity: the same packages make the same bytes.
    HEARTH_RETURN_IF_ERROR(RunProgram(
        {"mkfs.erofs",
         "--quiet",
         "-zlz4hc",
         "-T0",
         "-x-1",
         "-U00000000-0000-0000-0000-000000000001",
         "--all-root",
         image,
         root}));
    return {};
}

// The new folder takes the name; the old one, if there is one, goes.
Status Publish(const ScratchDirectory& built, const std::string& target) {
    if (::renameat2(AT_FDCWD, built.path().c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) ==
        0) {
        return {};  // The old image lies where the new one was made, and is removed with it.
    }
    if (errno == ENOENT && ::rename(built.path().c_str(), target.c_str()) == 0) {
        return {};
    }
    return errors::System("put the image at " + target, errno);
}

bool IsPackageName(std::string_view name) {
    return !name.empty() && (std::isalnum(static_cast<unsigned char>(name[0])) != 0) &&
           std::ranges::all_of(name, [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.' || c == ':' ||
                      c == '=' || c == '~';
           });
}

}  // namespace

bool IsImageName(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && name[0] != '.' && name[0] != '-' &&
           std::ranges::all_of(name, [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
           });
}

Result<ImageManifest> BuildImage(const BuildImageOptions& options, const BuildProgress& progress) {
    if (!IsImageName(options.name)) {
        return errors::Malformed("an image's name has letters, digits, '.', '_' and '-'");
    }
    for (const std::string& package : options.packages) {
        if (!IsPackageName(package)) {
            return errors::Malformed("no name of a package: " + package);
        }
    }
    std::error_code error;
    fs::create_directories(options.images_directory, error);
    fs::create_directories(options.cache_directory, error);
    HEARTH_TRY(const Kernel kernel, FindKernel(options, progress));
    ImageManifest manifest;
    manifest.name = options.name;
    manifest.kernel_package = kernel.package.name + " " + kernel.package.version;
    HEARTH_TRY(const ScratchDirectory built, ScratchDirectory::Make(options.images_directory));
    std::string busybox;
    if (options.packages.empty()) {
        HEARTH_TRY(busybox, FindBusybox(options, progress, &manifest.packages));
    } else {
        HEARTH_RETURN_IF_ERROR(
            MakeRoot(options, built.path() + "/" + kRootFile, progress, &manifest.packages));
    }
    progress("packing the initramfs");
    HEARTH_TRY(const std::string initramfs, MakeInitramfs(options, kernel, busybox));
    HEARTH_RETURN_IF_ERROR(WriteNew(built.path() + "/" + kInitrdFile, initramfs));
    HEARTH_TRY(const std::string vmlinuz, os::ReadFile(AT_FDCWD, kernel.image, kFileBytesMax));
    HEARTH_RETURN_IF_ERROR(WriteNew(built.path() + "/" + kKernelFile, vmlinuz));
    progress("writing the manifest");
    for (const char* file : {kKernelFile, kInitrdFile, kRootFile}) {
        if (fs::exists(built.path() + "/" + file)) {
            HEARTH_TRY(ImageFile described, DescribeFile(built.path(), file));
            manifest.files.push_back(std::move(described));
        }
    }
    HEARTH_RETURN_IF_ERROR(WriteNew(built.path() + "/" + kManifestFile, WriteManifest(manifest)));
    HEARTH_RETURN_IF_ERROR(Publish(built, options.images_directory + "/" + options.name));
    return manifest;
}

}  // namespace hearth::vmm
