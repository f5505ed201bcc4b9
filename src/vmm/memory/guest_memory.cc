#include "vmm/memory/guest_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

// Linux 5.14; older headers do not know it, older kernels refuse it.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace hearth::vmm {
namespace {

constexpr std::size_t kPageBytes = 4096;

// For less, the call costs more than the faults.
constexpr std::size_t kPopulateBytesMin = 64 << 10;

// A mapping in pieces costs the host a structure for each. Behind this many, pages of files are
// filled with zeros instead of being given back.
constexpr unsigned kPiecesMax = 1024;

// A large page of the host: a region that begins at one can use them.
constexpr std::size_t kHugePageBytes = 2 << 20;

// Maps `bytes` at an address that is a multiple of kHugePageBytes.
void* MapAligned(std::size_t bytes, GuestMemory::Backing backing) {
    const std::size_t reserved = bytes + kHugePageBytes;
    void* const place =
        ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) {
        return MAP_FAILED;
    }
    const auto first = reinterpret_cast<std::uintptr_t>(place);
    const std::uintptr_t aligned = (first + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    if (aligned != first) {
        ::munmap(place, aligned - first);
    }
    ::munmap(reinterpret_cast<void*>(aligned + bytes), first + reserved - aligned - bytes);
    // Pages that were set aside are reserved at once: a guest must not die of a missing one later.
    const int flags = backing == GuestMemory::Backing::kHugePages
                          ? MAP_HUGETLB | 21 << MAP_HUGE_SHIFT
                          : MAP_NORESERVE;
    void* const mapped = ::mmap(
        reinterpret_cast<void*>(aligned),
        bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags,
        -1,
        0);
    if (mapped == MAP_FAILED) {
        const int error_number = errno;
        ::munmap(reinterpret_cast<void*>(aligned), bytes);
        errno = error_number;
    }
    return mapped;
}

bool IsZero(std::span<const std::byte> page) {
    return page.front() == std::byte{0} &&
           std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

// The mappings of files, page by page: once replaced by memory, a page is as all others.
struct GuestMemory::Files {
    struct Range {
        std::byte* host;
        std::vector<bool> is_file;
    };

    mutable std::mutex mutex;
    bool is_huge = false;
    std::vector<Range> ranges;
    std::size_t mapped_bytes = 0;
    unsigned pieces = 0;

    // Calls `replace` with each run of pages between `begin` and `end` that are a file's; it says
    // whether they still are.
    template <class Replace>
    void ForEachRun(std::byte* begin, std::byte* end, Replace replace) {
        for (Range& range : ranges) {
            const auto index = [&](std::byte* at) {
                const std::ptrdiff_t page = (at - range.host) / std::ptrdiff_t{kPageBytes};
                return std::clamp<std::ptrdiff_t>(
                    page, 0, static_cast<std::ptrdiff_t>(range.is_file.size()));
            };
            const auto last = range.is_file.begin() + index(end);
            auto from = std::find(range.is_file.begin() + index(begin), last, true);
            while (from != last) {
                const auto to = std::find(from, last, false);
                const auto first_page = static_cast<std::size_t>(from - range.is_file.begin());
                const auto bytes = static_cast<std::size_t>(to - from) * kPageBytes;
                if (replace(std::span(range.host + first_page * kPageBytes, bytes))) {
                    std::fill(from, to, false);
                }
                from = std::find(to, last, true);
            }
        }
    }
};

GuestMemory::GuestMemory() : files_(std::make_unique<Files>()) {}

std::vector<GuestMemory::Region> GuestMemory::Layout(std::size_t bytes) {
    if (bytes <= kMmioGapStart) {
        return {{0, bytes}};
    }
    return {{0, kMmioGapStart}, {kMmioGapEnd, bytes - kMmioGapStart}};
}

Result<GuestMemory> GuestMemory::Create(std::span<const Region> regions, Backing backing) {
    std::vector<Region> sorted(regions.begin(), regions.end());
    std::ranges::sort(sorted, {}, &Region::start);
    GuestAddress end = 0;
    for (const Region& region : sorted) {
        const bool is_whole = region.start % kPageBytes == 0 && region.bytes % kPageBytes == 0;
        if (region.bytes == 0 || !is_whole || region.start < end ||
            region.start + region.bytes < region.start) {
            return errors::Malformed(fmt::format(
                "guest memory of {} bytes at {:#x} is empty, not whole pages or overlaps",
                region.bytes,
                region.start));
        }
        end = region.start + region.bytes;
    }
    GuestMemory memory;
    memory.files_->is_huge = backing == Backing::kHugePages;
    for (const Region& region : sorted) {
        void* const host = MapAligned(region.bytes, backing);
        if (host == MAP_FAILED) {
            return errors::System(
                fmt::format("cannot map {} bytes of guest memory", region.bytes), errno);
        }
        memory.regions_.push_back(region);
        memory.hosts_.push_back(static_cast<std::byte*>(host));
    }
    return memory;
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : regions_(std::exchange(other.regions_, {})),
      hosts_(std::exchange(other.hosts_, {})),
      files_(std::move(other.files_)) {}

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
    if (this != &other) {
        Unmap();
        regions_ = std::exchange(other.regions_, {});
        hosts_ = std::exchange(other.hosts_, {});
        files_ = std::move(other.files_);
    }
    return *this;
}

GuestMemory::~GuestMemory() {
    Unmap();
}

void GuestMemory::Unmap() {
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        ::munmap(hosts_[index], regions_[index].bytes);
    }
}

std::optional<std::span<std::byte>> GuestMemory::Slice(GuestAddress at, std::size_t bytes) const {
    for (std::size_t index = 0; index < regions_.size(); ++index) {
        const Region& region = regions_[index];
        if (at < region.start || at - region.start >= region.bytes) {
            continue;
        }
        const std::size_t offset = at - region.start;
        if (bytes > region.bytes - offset) {
            return std::nullopt;
        }
        return std::span(hosts_[index] + offset, bytes);
    }
    return std::nullopt;
}

bool GuestMemory::Read(GuestAddress at, std::span<std::byte> into) const {
    const auto slice = Slice(at, into.size());
    if (!slice) {
        return false;
    }
    // An empty span has no place to copy to.
    if (!into.empty()) {
        std::memcpy(into.data(), slice->data(), into.size());
    }
    return true;
}

bool GuestMemory::Write(GuestAddress at, std::span<const std::byte> from) const {
    const auto slice = Slice(at, from.size());
    if (!slice) {
        return false;
    }
    if (!from.empty()) {
        std::memcpy(slice->data(), from.data(), from.size());
    }
    return true;
}

bool GuestMemory::Discard(GuestAddress at, std::size_t bytes) const {
    if (at % kPageBytes != 0 || bytes % kPageBytes != 0) {
        return false;
    }
    const auto slice = Slice(at, bytes);
    if (!slice) {
        return false;
    }
    if (slice->empty()) {
        return true;
    }
    if (files_->is_huge) {
        return ZeroHugePages(*slice);
    }
    if (::madvise(slice->data(), slice->size(), MADV_DONTNEED) != 0) {
        return false;
    }
    ZeroFilePages(slice->data(), slice->size());
    return true;
}

bool GuestMemory::ZeroHugePages(std::span<std::byte> range) {
    // A region begins at a huge page, of the guest's and of the host's.
    const std::size_t into = reinterpret_cast<std::uintptr_t>(range.data()) % kHugePageBytes;
    const std::size_t before = std::min((kHugePageBytes - into) % kHugePageBytes, range.size());
    const std::span inner = range.subspan(before);
    const std::size_t whole = inner.size() / kHugePageBytes * kHugePageBytes;
    std::ranges::fill(range.first(before), std::byte{0});
    std::ranges::fill(inner.subspan(whole), std::byte{0});
    return whole == 0 || ::madvise(inner.data(), whole, MADV_DONTNEED) == 0;
}

bool GuestMemory::MapFile(GuestAddress at, std::size_t bytes, int fd, std::uint64_t offset) const {
    if (at % kPageBytes != 0 || bytes % kPageBytes != 0 || offset % kPageBytes != 0 || bytes == 0) {
        return false;
    }
    const auto slice = Slice(at, bytes);
    const std::lock_guard lock(files_->mutex);
    if (!slice || files_->is_huge) {
        return false;
    }
    void* const mapped = ::mmap(
        slice->data(),
        bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
        fd,
        static_cast<off_t>(offset));
    if (mapped == MAP_FAILED) {
        return false;
    }
    files_->ranges.push_back({slice->data(), std::vector<bool>(bytes / kPageBytes, true)});
    files_->mapped_bytes += bytes;
    return true;
}

std::size_t GuestMemory::file_bytes() const {
    const std::lock_guard lock(files_->mutex);
    return files_->mapped_bytes;
}

void GuestMemory::ZeroFilePages(std::byte* host, std::size_t bytes) const {
    const std::lock_guard lock(files_->mutex);
    files_->ForEachRun(host, host + bytes, [&](std::span<std::byte> run) {
        const bool is_replaced = files_->pieces < kPiecesMax &&
                                 ::mmap(
                                     run.data(),
                                     run.size(),
                                     PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                                     -1,
                                     0) != MAP_FAILED;
        if (is_replaced) {
            ++files_->pieces;
        } else {
            std::ranges::fill(run, std::byte{0});
        }
        return is_replaced;
    });
}

Status GuestMemory::DetachFiles() const {
    const std::lock_guard lock(files_->mutex);
    int error_number = 0;
    for (const Files::Range& range : files_->ranges) {
        std::byte* const end = range.host + range.is_file.size() * kPageBytes;
        files_->ForEachRun(range.host, end, [&](std::span<std::byte> run) {
            if (error_number != 0) {
                return false;
            }
            void* const place = ::mmap(
                nullptr,
                run.size(),
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1,
                0);
            if (place == MAP_FAILED) {
                error_number = errno;
                return false;
            }
            const std::span copy(static_cast<std::byte*>(place), run.size());
            for (std::size_t at = 0; at < run.size(); at += kPageBytes) {
                // Fresh memory is zero; only what is not takes any.
                if (const auto page = run.subspan(at, kPageBytes); !IsZero(page)) {
                    std::ranges::copy(page, copy.subspan(at).begin());
                }
            }
            const bool is_moved =
                ::mremap(
                    place, run.size(), run.size(), MREMAP_MAYMOVE | MREMAP_FIXED, run.data()) !=
                MAP_FAILED;
            if (!is_moved) {
                error_number = errno;
                ::munmap(place, run.size());
            }
            return is_moved;
        });
    }
    if (error_number != 0) {
        return errors::System("cannot copy the pages of a mapped file", error_number);
    }
    files_->ranges.clear();
    return {};
}

void GuestMemory::Populate(GuestAddress at, std::size_t bytes) const {
    const std::size_t before = at % kPageBytes;
    const auto slice = Slice(at - before, before + bytes);
    if (slice && bytes >= kPopulateBytesMin) {
        // The end of a region is the end of a page: rounding up stays inside.
        const std::size_t whole = (slice->size() + kPageBytes - 1) / kPageBytes * kPageBytes;
        ::madvise(slice->data(), whole, MADV_POPULATE_WRITE);
    }
}

void GuestMemory::PreferLargePages(GuestAddress at, std::size_t bytes) const {
    if (const auto slice = Slice(at, bytes)) {
        ::madvise(slice->data(), slice->size(), MADV_HUGEPAGE);
    }
}

GuestAddress GuestMemory::end() const {
    return regions_.empty() ? 0 : regions_.back().start + regions_.back().bytes;
}

std::size_t GuestMemory::bytes() const {
    std::size_t sum = 0;
    for (const Region& region : regions_) {
        sum += region.bytes;
    }
    return sum;
}

}  // namespace hearth::vmm
