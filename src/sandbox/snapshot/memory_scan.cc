#include "sandbox/snapshot/memory_scan.h"

#include "sandbox/snapshot/pagemap.h"
#include "sandbox/snapshot/refusal.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace hearth::snapshot {
namespace {

constexpr uint64_t kReadPages = 256;

struct Flag {
    std::string_view word;
    AreaFlag flag;
};

constexpr std::array kFlags = {
    Flag{"gd", kGrowsDown},
    Flag{"nr", kNoReserve},
    Flag{"wf", kWipeOnFork},
    Flag{"dc", kDontFork},
    Flag{"dd", kDontDump},
    Flag{"hg", kHugePage},
    Flag{"nh", kNoHugePage},
    Flag{"dp", kDroppable},
    Flag{"mg", kMergeable},
    Flag{"lo", kLocked},
    Flag{"rr", kRandomAdvice},
    Flag{"sr", kSequentialAdvice},
    Flag{"sl", kSealed}};

bool IsVvar(const std::string& name) {
    return name.starts_with("[vvar");
}

// Which flags mean that a copy of the bytes would not be the same thing.
Status RefuseKind(const MapsEntry& entry) {
    if (entry.Has("ht")) {
        return NotSnapshottable("it maps huge pages of hugetlbfs");
    }
    if (entry.Has("ss")) {
        return NotSnapshottable("it has a shadow stack");
    }
    if (entry.Has("um") || entry.Has("uw") || entry.Has("ui")) {
        return NotSnapshottable("it handles page faults by userfaultfd");
    }
    if ((entry.Has("pf") || entry.Has("io") || entry.Has("mm")) && !IsVvar(entry.name)) {
        return NotSnapshottable("it maps a device");
    }
    if (entry.name.ends_with(" (deleted)")) {
        return NotSnapshottable(
            entry.shared ? "it has shared memory (" + entry.name + ")"
                         : "it maps a deleted file (" + entry.name + ")");
    }
    if (entry.shared && (entry.inode == 0 || entry.Has("mw"))) {
        return NotSnapshottable("it has shared memory (" + entry.name + ")");
    }
    return {};
}

Result<AreaKind> KindOf(const MapsEntry& entry) {
    const std::string& name = entry.name;
    if (name == "[vdso]" || IsVvar(name)) {
        if (entry.Has("sl")) {
            return NotSnapshottable("this kernel seals the vdso in its place");
        }
        return name == "[vdso]" ? AreaKind::kVdso : AreaKind::kVvar;
    }
    if (name.starts_with('/')) {
        return entry.shared ? AreaKind::kSharedFile : AreaKind::kPrivateFile;
    }
    if (entry.inode == 0 && (name.empty() || name == "[heap]" || name.starts_with("[stack") ||
                             name.starts_with("[anon:"))) {
        return AreaKind::kAnonymous;
    }
    return NotSnapshottable("it maps something without a name in the file system (" + name + ")");
}

bool IsZero(const char* page) {
    // Whole lines of the cache at a time: the compiler makes vector instructions of it.
    for (size_t i = 0; i < kPageBytes; i += 64) {
        std::array<uint64_t, 8> words;
        std::memcpy(words.data(), page + i, sizeof(words));
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
             words[7]) != 0) {
            return false;
        }
    }
    return true;
}

}  // namespace

Result<PageBuffer> PageBuffer::Make(uint64_t bytes) {
    PageBuffer buffer;
    void* start = ::mmap(
        nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return errors::System("memory for a snapshot", errno);
    }
    // One fault instead of 512 while the process stands still.
    (void)::madvise(start, bytes, MADV_HUGEPAGE);
    buffer.start_ = static_cast<char*>(start);
    buffer.capacity_ = bytes;
    return buffer;
}

PageBuffer::PageBuffer(PageBuffer&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

PageBuffer::~PageBuffer() {
    if (start_ != nullptr) {
        ::munmap(start_, capacity_);
    }
}

void PageBuffer::Grow(uint64_t bytes) {
    CHECK(bytes <= room(), "a page buffer of {} bytes grows by {}", capacity_, bytes);
    size_ += bytes;
}

Result<ListedAreas> ListAreas(const std::vector<MapsEntry>& entries) {
    ListedAreas listed;
    std::unordered_map<std::string, uint32_t> files;
    for (const MapsEntry& entry : entries) {
        if (entry.name == "[vsyscall]") {
            continue;
        }
        HEARTH_RETURN_IF_ERROR(RefuseKind(entry));
        HEARTH_TRY(const AreaKind kind, KindOf(entry));
        Area area{
            .start = entry.start,
            .end = entry.end,
            .protection = entry.protection,
            .kind = kind,
            .flags = 0,
            .file = kNoFile,
            .file_offset = 0,
            .name = {}};
        for (const Flag& flag : kFlags) {
            area.flags |= entry.Has(flag.word) ? flag.flag : 0U;
        }
        if (kind == AreaKind::kPrivateFile || kind == AreaKind::kSharedFile) {
            const auto [found, inserted] =
                files.try_emplace(entry.name, static_cast<uint32_t>(listed.files.size()));
            if (inserted) {
                listed.files.push_back(entry.name);
                listed.inodes.push_back(entry.inode);
            } else if (listed.inodes[found->second] != entry.inode) {
                return NotSnapshottable("it maps two files of one name (" + entry.name + ")");
            }
            area.file = found->second;
            area.file_offset = entry.offset;
        } else if (kind != AreaKind::kAnonymous) {
            area.name = entry.name;
            // Their flags are the kernel's business.
            area.flags = 0;
        } else if (entry.name.starts_with("[anon:") && entry.name.ends_with(']')) {
            area.name = entry.name.substr(6, entry.name.size() - 7);
        }
        if (listed.areas.size() >= kAreasMax) {
            return NotSnapshottable(fmt::format("it has more than {} mappings", kAreasMax));
        }
        listed.areas.push_back(std::move(area));
        listed.present.push_back(entry.present_kb != 0);
    }
    return listed;
}

Result<ScannedMemory> ScanMemory(
    const Tracee& tracee, const ListedAreas& listed, uint64_t bytes_max, PageBuffer& pages) {
    ScannedMemory scanned;
    HEARTH_TRY(Pagemap pagemap, Pagemap::Open(tracee.pid()));
    uint64_t kept = 0;
    for (size_t i = 0; i < listed.areas.size(); ++i) {
        const Area& area = listed.areas[i];
        const bool has_pages =
            area.kind == AreaKind::kAnonymous || area.kind == AreaKind::kPrivateFile;
        // A guard does not count as present, but only anonymous memory has some.
        if (!has_pages || (area.kind == AreaKind::kPrivateFile && !listed.present[i])) {
            continue;
        }
        HEARTH_TRY(const auto found, pagemap.ScanOwn(area, listed.present[i]));
        for (const auto& [start, end] : found.guards.list()) {
            if (area.kind != AreaKind::kAnonymous) {
                return NotSnapshottable("it has guard pages in a mapped file");
            }
            scanned.guards.push_back({.address = start, .pages = (end - start) / kPageBytes});
        }
        if ((area.flags & (kDroppable | kWipeOnFork)) != 0) {
            continue;
        }
        for (const auto& [start, end] : found.pages.list()) {
            bool open_run = false;
            for (uint64_t at = start; at < end;) {
                const uint64_t bytes = std::min(kReadPages * kPageBytes, end - at);
                if (pages.room() < bytes || kept > bytes_max) {
                    return NotSnapshottable(
                        fmt::format("it has more than {} MB of memory", bytes_max >> 20));
                }
                char* into = pages.end();
                HEARTH_RETURN_IF_ERROR(tracee.Read(at, into, bytes));
                // Empty pages are dropped, those behind them move up.
                char* to = into;
                for (uint64_t done = 0; done < bytes; done += kPageBytes) {
                    if (area.kind == AreaKind::kAnonymous && IsZero(into + done)) {
                        ++scanned.zero_pages;
                        open_run = false;
                        continue;
                    }
                    if (to != into + done) {
                        std::memcpy(to, into + done, kPageBytes);
                    }
                    to += kPageBytes;
                    if (open_run) {
                        ++scanned.runs.back().pages;
                    } else {
                        scanned.runs.push_back({.address = at + done, .pages = 1, .offset = 0});
                        open_run = true;
                    }
                }
                pages.Grow(static_cast<uint64_t>(to - into));
                kept += static_cast<uint64_t>(to - into);
                at += bytes;
            }
        }
        if (scanned.runs.size() > kRunsMax || scanned.guards.size() > kRunsMax) {
            return NotSnapshottable("its memory is in too many pieces");
        }
    }
    return scanned;
}

}  // namespace hearth::snapshot
