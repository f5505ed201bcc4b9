#pragma once

#include "storage/objects/body_files.h"

#include <memory>
#include <vector>

namespace hearth::storage {

inline constexpr size_t kStripedDisks = 9;
inline constexpr size_t kStripedDisksLostMax = 3;

// Nine directories, on nine disks, as one: each file is cut into stripes of six pieces, to which
// three more are computed (Reed-Solomon), and each directory gets one of the nine. Any six give the
// file back, so three disks may be lost, or return other bytes than were written: each piece has a
// check sum. Files are written once, from the beginning to the end, and are whole after Sync.
//
// A piece is up to 16 KiB, then a CRC-32C of stripe, disk and bytes. The last stripe's pieces are
// shorter. Each of a file's nine ends with "HSTR", disk, the file's length, and a CRC-32C of these.
//
// `disks`: nine; null for one that is lost.
Result<std::unique_ptr<BodyFiles>> MakeStripedFiles(std::vector<std::unique_ptr<BodyFiles>> disks);

}  // namespace hearth::storage
