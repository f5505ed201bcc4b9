#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "sandbox/snapshot/image.h"

#include <cstdint>
#include <utility>
#include <vector>

// Which pages of a process are there, by PAGEMAP_SCAN (Linux 6.7) or, on older kernels, by reading
// /proc/<pid>/pagemap entry by entry.
namespace hearth::snapshot {

// Half-open, by address; neighbouring ones joined.
class AddressRanges final {
  public:
    void Add(uint64_t start, uint64_t end) {
        if (!ranges_.empty() && ranges_.back().second == start) {
            ranges_.back().second = end;
        } else {
            ranges_.emplace_back(start, end);
        }
    }

    const std::vector<std::pair<uint64_t, uint64_t>>& list() const { return ranges_; }

  private:
    std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

class Pagemap final {
  public:
    struct OwnPages {
        AddressRanges pages;   // present or swapped, no file's and not the zero page
        AddressRanges guards;  // MADV_GUARD_INSTALL
    };

    // `fast` false: as on an old kernel.
    static Result<Pagemap> Open(int pid, bool fast = true);

    // `present`: whether smaps says that anything is there. Where an old kernel is asked, areas
    // without it are left out, since reservations can be a terabyte.
    Result<OwnPages> ScanOwn(const Area& area, bool present);

  private:
    enum class Mode : uint8_t { kWithGuards, kWithoutGuards, kEntries };

    int ScanFast(const Area& area, OwnPages& found);
    Status ScanEntries(const Area& area, OwnPages& found) const;

    os::Fd file_;
    Mode mode_ = Mode::kWithGuards;
};

}  // namespace hearth::snapshot
