#pragma once

#include "base/check.h"
#include "base/result.h"
#include "sandbox/snapshot/image.h"
#include "sandbox/snapshot/proc.h"
#include "sandbox/snapshot/tracee.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// Which memory of a stopped process must be kept, and its contents.
namespace hearth::snapshot {

struct ScannedMemory {
    std::vector<PageRun> runs;  // without offsets
    std::vector<GuardRun> guards;
    uint64_t zero_pages = 0;  // pages that were there but empty, and are left out
};

// A growing piece of anonymous memory outside of the heap, given back as a whole.
class PageBuffer final {
  public:
    // Reserves `bytes` of address space; memory comes with use.
    static Result<PageBuffer> Make(uint64_t bytes);
    PageBuffer(PageBuffer&& other) noexcept;
    PageBuffer& operator=(PageBuffer&&) = delete;
    ~PageBuffer();

    char* end() { return start_ + size_; }

    uint64_t room() const { return capacity_ - size_; }

    void Grow(uint64_t bytes);

    std::string_view view() const { return {start_, size_}; }

  private:
    PageBuffer() = default;

    char* start_ = nullptr;
    uint64_t size_ = 0;
    uint64_t capacity_ = 0;
};

// Turns the kernel's list into areas. `files` gets the paths of mapped files in the order of their
// first use; the areas' `file` are indexes into it.
//   errors    NotSnapshottable: shared memory, deleted files, devices, huge pages of hugetlbfs,
//             userfaultfd, shadow stacks, sealed or missing vdso
struct ListedAreas {
    std::vector<Area> areas;
    // Of each area: whether anything is resident or swapped, so that empty ones are not scanned.
    std::vector<bool> present;
    std::vector<std::string> files;
    // Device and inode as the kernel's list shows them; the inode only, of each file.
    std::vector<uint64_t> inodes;
};

Result<ListedAreas> ListAreas(const std::vector<MapsEntry>& entries);

// The pages of the process that differ from zeros or from the mapped file; drops those that hold
// zeros only. Appends the contents to `pages`, run after run.
//   errors    NotSnapshottable: more than `bytes_max`
Result<ScannedMemory> ScanMemory(
    const Tracee& tracee, const ListedAreas& listed, uint64_t bytes_max, PageBuffer& pages);

}  // namespace hearth::snapshot
