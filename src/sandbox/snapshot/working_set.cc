#include "sandbox/snapshot/working_set.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace hearth::snapshot {
namespace {

constexpr uint64_t kPresent = 1ULL << 63;
constexpr uint64_t kFileOrShared = 1ULL << 61;
constexpr uint64_t kExclusive = 1ULL << 56;
// Entries of pagemap read at once.
constexpr uint64_t kChunkPages = 4096;
// Reading a gap of file pages that are in the page cache is cheaper than another range; a written
// page too many costs memory of each spare.
constexpr uint64_t kReadGapPages = 8;
// What one entry of the page tables maps where the page cache has a file in large pieces.
constexpr uint64_t kBlockPages = 512;
// Reservations of terabytes have next to nothing in them.
constexpr uint64_t kAreaPagesMax = 1 << 20;
constexpr uint64_t kMagic = 0x0000000132535748;  // "HWS2", version 1

struct Head {
    uint64_t magic;
    uint64_t image;     // checksum of its pages
    uint64_t count;     // entries that follow
    uint64_t checksum;  // of them
};

struct Entry {
    uint64_t address;
    uint64_t pages_and_written;  // pages * 2 + written
};

void Extend(
    std::vector<WorkingSetRange>& ranges, uint64_t address, bool written, uint64_t area_start) {
    if (!ranges.empty()) {
        WorkingSetRange& last = ranges.back();
        const uint64_t end = last.address + last.pages * kPageBytes;
        const uint64_t gap_max = written ? 0 : kReadGapPages * kPageBytes;
        if (last.written == written && last.address >= area_start && address - end <= gap_max) {
            last.pages = (address - last.address) / kPageBytes + 1;
            return;
        }
    }
    ranges.push_back({address, 1, written});
}

bool PresentOfFile(uint64_t entry) {
    return (entry & kPresent) != 0 && (entry & kFileOrShared) != 0;
}

// Mapped as one: a clone finds it by one fault, and which of its pages were used nobody knows.
bool IsWholeBlock(uint64_t address, std::span<const uint64_t> entries) {
    return address % (kBlockPages * kPageBytes) == 0 && entries.size() >= kBlockPages &&
           std::ranges::all_of(entries.first(kBlockPages), PresentOfFile);
}

uint64_t ChecksumOf(std::string_view bytes) {
    uint64_t sum = 0xcbf29ce484222325;  // FNV-1a
    for (const char byte : bytes) {
        sum = (sum ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    }
    return sum;
}

}  // namespace

Result<std::vector<WorkingSetRange>> ReadWorkingSet(const Image& image, int32_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/pagemap";
    const os::Fd pagemap(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!pagemap.valid()) {
        return errors::Unavailable("no " + path);
    }
    std::vector<WorkingSetRange> ranges;
    std::vector<uint64_t> entries(kChunkPages);
    for (const Area& area : image.areas) {
        const bool file = area.kind == AreaKind::kPrivateFile;
        if ((area.kind != AreaKind::kAnonymous && !file) || area.protection == PROT_NONE ||
            (area.flags & (kDroppable | kWipeOnFork | kDontFork)) != 0 ||
            (area.end - area.start) / kPageBytes > kAreaPagesMax) {
            continue;
        }
        for (uint64_t at = area.start; at < area.end; at += kChunkPages * kPageBytes) {
            const uint64_t pages = std::min(kChunkPages, (area.end - at) / kPageBytes);
            const ssize_t got = ::pread(
                pagemap.get(),
                entries.data(),
                pages * sizeof(uint64_t),
                static_cast<off_t>(at / kPageBytes * sizeof(uint64_t)));
            if (got < 0) {
                return errors::System("read " + path, errno);
            }
            if (got == 0) {
                return errors::Unavailable("the clone has ended");
            }
            const std::span<const uint64_t> known(
                entries.data(), static_cast<uint64_t>(got) / sizeof(uint64_t));
            for (uint64_t i = 0; i < known.size(); ++i) {
                const uint64_t entry = known[i];
                if ((entry & kPresent) == 0) {
                    continue;
                }
                if ((entry & kFileOrShared) != 0) {
                    if (file && IsWholeBlock(at + i * kPageBytes, known.subspan(i))) {
                        i += kBlockPages - 1;
                    } else if (file) {
                        Extend(ranges, at + i * kPageBytes, false, area.start);
                    }
                } else if ((entry & kExclusive) != 0 && (area.protection & PROT_WRITE) != 0) {
                    Extend(ranges, at + i * kPageBytes, true, area.start);
                }
            }
        }
    }
    if (ranges.size() > kWorkingSetRangesMax) {
        ranges.resize(kWorkingSetRangesMax);
    }
    return ranges;
}

std::string EncodeWorkingSet(const std::vector<WorkingSetRange>& ranges, const Image& image) {
    std::string text(sizeof(Head) + ranges.size() * sizeof(Entry), '\0');
    size_t offset = sizeof(Head);
    for (const WorkingSetRange& range : ranges) {
        const Entry entry{range.address, range.pages * 2 + (range.written ? 1 : 0)};
        std::memcpy(text.data() + offset, &entry, sizeof(entry));
        offset += sizeof(entry);
    }
    const Head head{
        kMagic,
        image.pages_checksum,
        ranges.size(),
        ChecksumOf(std::string_view(text).substr(sizeof(Head)))};
    std::memcpy(text.data(), &head, sizeof(head));
    return text;
}

Result<std::vector<WorkingSetRange>> DecodeWorkingSet(std::string_view text, const Image& image) {
    Head head{};
    if (text.size() < sizeof(head) || text.size() > kWorkingSetBytesMax) {
        return errors::Malformed("working set: its size");
    }
    std::memcpy(&head, text.data(), sizeof(head));
    if (head.magic != kMagic || head.image != image.pages_checksum) {
        return errors::Malformed("working set: not of this image");
    }
    if (head.count != (text.size() - sizeof(head)) / sizeof(Entry) ||
        (text.size() - sizeof(head)) % sizeof(Entry) != 0 ||
        head.checksum != ChecksumOf(text.substr(sizeof(head)))) {
        return errors::Malformed("working set: damaged");
    }
    std::vector<WorkingSetRange> ranges;
    uint64_t free_from = 0;
    for (size_t at = sizeof(head); at < text.size(); at += sizeof(Entry)) {
        Entry entry{};
        std::memcpy(&entry, text.data() + at, sizeof(entry));
        const WorkingSetRange range{
            entry.address, entry.pages_and_written / 2, (entry.pages_and_written & 1) != 0};
        if (range.address % kPageBytes != 0 || range.address < free_from ||
            range.address >= kUserEnd || range.pages == 0 ||
            range.pages > (kUserEnd - range.address) / kPageBytes) {
            return errors::Malformed("working set: a range");
        }
        const uint64_t end = range.address + range.pages * kPageBytes;
        const auto area = std::upper_bound(
            image.areas.begin(),
            image.areas.end(),
            range.address,
            [](uint64_t address, const Area& candidate) { return address < candidate.end; });
        if (area == image.areas.end() || area->start > range.address || area->end < end) {
            return errors::Malformed("working set: a range outside of the image");
        }
        free_from = end;
        ranges.push_back(range);
    }
    return ranges;
}

}  // namespace hearth::snapshot
