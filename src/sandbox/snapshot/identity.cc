#include "sandbox/snapshot/identity.h"

#include "os/file.h"
#include "sandbox/snapshot/elf.h"

#include <cpuid.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace hearth::snapshot {
namespace {

// Leaf and subleaf of all that says what code may use.
constexpr std::array<std::pair<uint32_t, uint32_t>, 9> kLeaves = {{
    {0x0, 0},
    {0x1, 0},
    {0x7, 0},
    {0x7, 1},
    {0xd, 0},
    {0xd, 1},
    {0x19, 0},
    {0x80000001, 0},
    {0x80000008, 0},
}};

constexpr uint64_t kTileData = 1ULL << 18;
// The x87 and SSE registers and the header, which every XSAVE area begins with.
constexpr uint64_t kLegacyXsaveBytes = 576;

CpuidLeaf ReadLeaf(uint32_t leaf, uint32_t subleaf) {
    CpuidLeaf read{.leaf = leaf, .subleaf = subleaf, .registers = {}};
    if (__get_cpuid_max(leaf & 0x80000000U, nullptr) >= leaf) {
        auto& r = read.registers;
        __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
    }
    if (leaf == 1) {
        // The number of the processor that happens to run us, and how many there are.
        read.registers[1] &= 0x0000ffffU;
    }
    if (leaf == 0xd) {
        // The bytes that the components enabled right now take; xcr0 says which those are.
        read.registers[1] = 0;
    }
    if (leaf == 0x80000008) {
        read.registers[2] = 0;
    }
    return read;
}

[[gnu::target("xsave")]] uint64_t ReadXcr0() {
    return __builtin_ia32_xgetbv(0);
}

uint64_t Fnv1a(std::string_view bytes) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : bytes) {
        hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    }
    return hash;
}

Error Differs(const std::string& what) {
    return errors::Unavailable("the snapshot does not fit: " + what);
}

}  // namespace

std::string_view OwnVdso() {
    const auto start = ::getauxval(AT_SYSINFO_EHDR);
    const auto maps = os::ReadFile(AT_FDCWD, "/proc/self/maps", 4 << 20);
    // Its length stands nowhere else: "7ffd12345000-7ffd12347000 r-xp ... [vdso]".
    const std::string found = fmt::format("{:x}-", start);
    const size_t at = start != 0 && maps.ok() ? maps->find(found) : std::string::npos;
    uint64_t end = 0;
    if (at == std::string::npos ||
        std::from_chars(maps->data() + at + found.size(), maps->data() + maps->size(), end, 16)
                .ec != std::errc{} ||
        end <= start) {
        return {};
    }
    return {reinterpret_cast<const char*>(start), end - start};
}

namespace {

Result<MachineIdentity> ReadMachine() {
    MachineIdentity machine;
    utsname names{};
    if (::uname(&names) != 0) {
        return errors::System("uname", errno);
    }
    machine.kernel_release = names.release;
    machine.kernel_version = names.version;
    HEARTH_TRY(machine.boot_id, os::ReadFile(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64));
    while (!machine.boot_id.empty() && machine.boot_id.back() == '\n') {
        machine.boot_id.pop_back();
    }
    for (const auto& [leaf, subleaf] : kLeaves) {
        machine.cpuid.push_back(ReadLeaf(leaf, subleaf));
    }
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) {
        return errors::Unavailable("snapshots need a CPU with XSAVE");
    }
    // AMX's tiles are given to a thread on request only; frames of others leave them out.
    machine.xcr0 = ReadXcr0() & ~kTileData;
    machine.xsave_bytes = kLegacyXsaveBytes;
    for (uint32_t component = 2; component < 63; ++component) {
        if ((machine.xcr0 >> component & 1) != 0) {
            __cpuid_count(0xd, component, a, b, c, d);
            machine.xsave_bytes = std::max<uint64_t>(machine.xsave_bytes, uint64_t{a} + b);
        }
    }
    machine.page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    machine.vdso_checksum = Fnv1a(OwnVdso());
    return machine;
}

}  // namespace

// In a virtual machine each CPUID leaves it: half a millisecond for all of them.
Result<MachineIdentity> CurrentMachine() {
    static const Result<MachineIdentity> machine = ReadMachine();
    return machine;
}

Result<OpenedFile> OpenInRoot(int root_fd, const std::string& path) {
    const auto open = [&](uint64_t flags) {
        struct open_how how{};
        how.flags = flags | O_CLOEXEC;
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        return os::Fd(
            static_cast<int>(::syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof(how))));
    };
    // First only the name: opening a pipe or a device would do something.
    const os::Fd named = open(O_PATH);
    if (!named.valid()) {
        return errors::System(path, errno);
    }
    struct stat status{};
    if (::fstat(named.get(), &status) != 0) {
        return errors::System(path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return errors::Malformed(path + " is no regular file");
    }
    OpenedFile opened;
    opened.fd = os::Fd(::open(
        fmt::format("/proc/self/fd/{}", named.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened.fd.valid()) {
        // Without /proc, as in a helper that has left its root: by name again, and compared.
        opened.fd = open(O_RDONLY | O_NONBLOCK);
    }
    struct stat again{};
    if (!opened.fd.valid() || ::fstat(opened.fd.get(), &again) != 0) {
        return errors::System(path, errno);
    }
    if (again.st_dev != status.st_dev || again.st_ino != status.st_ino) {
        return errors::Malformed(path + " changes while it is read");
    }
    struct statfs system{};
    const bool overlay =
        ::fstatfs(opened.fd.get(), &system) == 0 && system.f_type == OVERLAYFS_SUPER_MAGIC;
    opened.file.path = path;
    opened.file.device = overlay ? 0 : again.st_dev;
    opened.file.inode = again.st_ino;
    opened.file.size = static_cast<uint64_t>(again.st_size);
    opened.file.mtime_s = again.st_mtim.tv_sec;
    opened.file.mtime_ns = static_cast<uint32_t>(again.st_mtim.tv_nsec);
    if (const auto elf = ElfFile::Open(opened.fd.get())) {
        opened.file.build_id = elf->BuildId();
    }
    return opened;
}

Result<os::Fd> OpenMappedFile(int root_fd, const MappedFile& file) {
    auto opened = OpenInRoot(root_fd, file.path);
    if (!opened.ok()) {
        return Differs(opened.error().message());
    }
    const MappedFile& now = opened->file;
    if (now.device != file.device || now.inode != file.inode) {
        return Differs(file.path + " is another file");
    }
    if (now.size != file.size || now.mtime_s != file.mtime_s || now.mtime_ns != file.mtime_ns ||
        now.build_id != file.build_id) {
        return Differs(file.path + " has changed");
    }
    return std::move(opened->fd);
}

Status CheckMachine(const Image& image) {
    HEARTH_TRY(const MachineIdentity now, CurrentMachine());
    const MachineIdentity& then = image.machine;
    if (now.kernel_release != then.kernel_release || now.kernel_version != then.kernel_version) {
        return Differs(
            fmt::format("kernel {} instead of {}", now.kernel_release, then.kernel_release));
    }
    if (now.cpuid != then.cpuid || now.xcr0 != then.xcr0 || now.xsave_bytes != then.xsave_bytes) {
        return Differs("another kind of CPU");
    }
    if (now.page_bytes != then.page_bytes || now.vdso_checksum != then.vdso_checksum) {
        return Differs("another vdso");
    }
    if (now.boot_id != then.boot_id) {
        return Differs("the machine has been started anew");
    }
    return {};
}

Status CheckIdentity(const Image& image, int root_fd) {
    HEARTH_RETURN_IF_ERROR(CheckMachine(image));
    for (const MappedFile& file : image.files) {
        HEARTH_RETURN_IF_ERROR(OpenMappedFile(root_fd, file));
    }
    return {};
}

}  // namespace hearth::snapshot
