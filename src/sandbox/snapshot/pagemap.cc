#include "sandbox/snapshot/pagemap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace hearth::snapshot {
namespace {

// PAGEMAP_SCAN, which Debian 12's headers do not have yet.
struct ScanRegion {
    uint64_t start = 0, end = 0, categories = 0;
};

struct ScanArgument {
    uint64_t size = sizeof(ScanArgument);
    uint64_t flags = 0;
    uint64_t start = 0, end = 0, walk_end = 0;
    uint64_t regions = 0, regions_count = 0, pages_max = 0;
    uint64_t inverted = 0, mask = 0, any_of = 0, wanted = 0;
};

constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr uint64_t kIsFile = 1 << 2;
constexpr uint64_t kIsPresent = 1 << 3;
constexpr uint64_t kIsSwapped = 1 << 4;
constexpr uint64_t kIsZeroPage = 1 << 5;
constexpr uint64_t kIsGuard = 1 << 8;
// The same in the numbers of /proc/<pid>/pagemap.
constexpr uint64_t kEntryGuard = 1ULL << 58;
constexpr uint64_t kEntryFile = 1ULL << 61;
constexpr uint64_t kEntrySwapped = 1ULL << 62;
constexpr uint64_t kEntryPresent = 1ULL << 63;

// Calls `see` for each region that the kernel finds; the errno of the call, or 0.
template <class See>
int Scan(int file, const Area& area, const ScanArgument& question, See see) {
    std::array<ScanRegion, 512> regions;
    ScanArgument argument = question;
    argument.end = area.end;
    argument.regions = reinterpret_cast<uint64_t>(regions.data());
    argument.regions_count = regions.size();
    for (uint64_t at = area.start; at < area.end;) {
        argument.start = at;
        const int count = ::ioctl(file, kPagemapScan, &argument);
        if (count < 0) {
            return errno;
        }
        std::for_each(regions.begin(), regions.begin() + count, see);
        if (argument.walk_end <= at) {
            break;
        }
        at = argument.walk_end;
    }
    return 0;
}

}  // namespace

Result<Pagemap> Pagemap::Open(int pid, bool fast) {
    Pagemap pagemap;
    pagemap.mode_ = fast ? Mode::kWithGuards : Mode::kEntries;
    pagemap.file_ =
        os::Fd(::open(fmt::format("/proc/{}/pagemap", pid).c_str(), O_RDONLY | O_CLOEXEC));
    if (!pagemap.file_.valid()) {
        return errors::System("opening pagemap", errno);
    }
    return pagemap;
}

int Pagemap::ScanFast(const Area& area, OwnPages& found) {
    const uint64_t guard = mode_ == Mode::kWithGuards ? kIsGuard : 0;
    ScanArgument question;
    // Not of a file and not the zero page, but there or guarded.
    question.inverted = kIsFile | kIsZeroPage;
    question.mask = kIsFile | kIsZeroPage;
    question.any_of = kIsPresent | kIsSwapped | guard;
    question.wanted = kIsPresent | kIsSwapped | guard;
    return Scan(file_.get(), area, question, [&](const ScanRegion& region) {
        const bool guards = (region.categories & kIsGuard) != 0;
        (guards ? found.guards : found.pages).Add(region.start, region.end);
    });
}

Result<Pagemap::OwnPages> Pagemap::ScanOwn(const Area& area, bool present) {
    OwnPages found;
    while (mode_ != Mode::kEntries) {
        const int error = ScanFast(area, found);
        if (error == 0) {
            return found;
        }
        // A kernel that does not know guards refuses their bit, an older one the whole call.
        if (error != EINVAL && error != ENOTTY) {
            return errors::System("PAGEMAP_SCAN", error);
        }
        mode_ = mode_ == Mode::kWithGuards ? Mode::kWithoutGuards : Mode::kEntries;
    }
    if (present) {
        HEARTH_RETURN_IF_ERROR(ScanEntries(area, found));
    }
    return found;
}

Status Pagemap::ScanEntries(const Area& area, OwnPages& found) const {
    std::vector<uint64_t> entries(4'096);
    uint64_t page = area.start / kPageBytes;
    const uint64_t last = area.end / kPageBytes;
    while (page < last) {
        const uint64_t wanted = std::min<uint64_t>(entries.size(), last - page);
        const ssize_t got = ::pread(
            file_.get(),
            entries.data(),
            wanted * sizeof(uint64_t),
            static_cast<off_t>(page * sizeof(uint64_t)));
        if (got < static_cast<ssize_t>(sizeof(uint64_t))) {
            return errors::System("reading pagemap", got < 0 ? errno : EIO);
        }
        for (uint64_t i = 0; i < static_cast<uint64_t>(got) / sizeof(uint64_t); ++i, ++page) {
            const uint64_t address = page * kPageBytes;
            if ((entries[i] & kEntryGuard) != 0) {
                found.guards.Add(address, address + kPageBytes);
            } else if (
                (entries[i] & (kEntryPresent | kEntrySwapped)) != 0 &&
                (entries[i] & kEntryFile) == 0) {
                found.pages.Add(address, address + kPageBytes);
            }
        }
    }
    return {};
}

}  // namespace hearth::snapshot
