#include "vmm/memory/guest_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

// Linux 5.14; older headers do not know it, older kernels refuse it.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace hearth::vmm {
namespace {

constexpr std::size_t kPageBytes = 4096;

// For less, the call costs more than the faults.
constexpr std::size_t kPopulateBytesMin = 64 << 10;

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

}  // namespace

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
    : regions_(std::exchange(other.regions_, {})), hosts_(std::exchange(other.hosts_, {})) {}

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
    if (this != &other) {
        Unmap();
        regions_ = std::exchange(other.regions_, {});
        hosts_ = std::exchange(other.hosts_, {});
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
    std::memcpy(into.data(), slice->data(), into.size());
    return true;
}

bool GuestMemory::Write(GuestAddress at, std::span<const std::byte> from) const {
    const auto slice = Slice(at, from.size());
    if (!slice) {
        return false;
    }
    std::memcpy(slice->data(), from.data(), from.size());
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
    return slice->empty() || ::madvise(slice->data(), slice->size(), MADV_DONTNEED) == 0;
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
