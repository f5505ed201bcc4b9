#pragma once

#include "base/result.h"
#include "sandbox/snapshot/image.h"

#include <cstdint>
#include <vector>

// The open files of a stopped process, as an image describes them.
namespace hearth::snapshot {

// A pipe or socket that the restoring side will replace: the number that stands in
// /proc/<pid>/fd ("socket:[123]"), which fstat gives as st_ino, and the engine's name for it.
struct StandIn {
    uint64_t inode = 0;
    uint32_t id = 0;
};

struct ScannedDescriptors {
    std::vector<OpenFile> open_files;
    std::vector<Descriptor> descriptors;
};

// `root_fd` is the process's root: regular files must be found there by their names again.
//   errors    NotSnapshottable: what has no description (io_uring, inotify, deleted files, locks,
//             sockets of unknown families, ...)
//             NotQuiet: bytes wait on a stand-in
// Opens some of the process's files for a moment; the process must be stopped.
Result<ScannedDescriptors> ScanDescriptors(
    int pid, int root_fd, const std::vector<StandIn>& stand_ins);

}  // namespace hearth::snapshot
