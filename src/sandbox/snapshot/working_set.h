#pragma once

#include "base/result.h"
#include "sandbox/snapshot/image.h"
#include "sandbox/snapshot/template.h"

#include <string>
#include <string_view>
#include <vector>

// Which pages a clone's first request touched: written ones, which it has as copies of its own, and
// pages of files that it has mapped. Stored beside the image, so that spares are made with these
// pages and clones with these page tables.
namespace hearth::snapshot {

// Of a clone that has answered its first request. Neighbours are joined over gaps of a few pages:
// a longer list costs more than a page too many.
//   errors    Unavailable: it has ended
Result<std::vector<WorkingSetRange>> ReadWorkingSet(const Image& image, int32_t pid);

inline constexpr size_t kWorkingSetRangesMax = 2048;
inline constexpr size_t kWorkingSetBytesMax = 32 + 16 * kWorkingSetRangesMax;

std::string EncodeWorkingSet(const std::vector<WorkingSetRange>& ranges, const Image& image);

// Trusts nothing: it is whole, of this image, and ranges lie within areas of it, sorted, without
// overlaps.
//   errors    Malformed
Result<std::vector<WorkingSetRange>> DecodeWorkingSet(std::string_view text, const Image& image);

}  // namespace hearth::snapshot
