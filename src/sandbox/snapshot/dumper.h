#pragma once

#include "base/result.h"
#include "sandbox/snapshot/descriptor_scan.h"
#include "sandbox/snapshot/image.h"

#include <cstdint>
#include <string>
#include <vector>

// Makes an image of a process at rest.
//
// The process is hostile: whoever dumps is privileged and reads what the process chose. So Dump is
// to run in a helper forked for it, with no descriptors but those of the request and with a
// deadline of its maker's: killing the helper kills the process too, never anything else. Dump
// follows no pointer of the process but to read, opens files only below the process's root and
// writes nothing but the image.
namespace hearth::snapshot {

struct DumpRequest {
    // In the helper's pid namespace. One process with all its threads, without children.
    int pid = -1;
    // Empty, for writing. What is in it after an error is no image (the header is written last).
    int image_fd = -1;
    // Connections and pipes that each clone gets anew from the engine.
    std::vector<StandIn> stand_ins;
    // Names of the layers with the contents of /tmp and /dev/shm, for the image's reader.
    std::string tmp_layer;
    std::string shm_layer;
    // Directories of its root in which nothing may be: what a process keeps there is lost to its
    // clones unless a layer brings it.
    std::vector<std::string> empty_directories;
    // The process is killed when its memory has been read; otherwise it goes on.
    bool kill = true;
    // More memory than this is refused; the helper needs as much again while it dumps.
    uint64_t memory_bytes_max = 4ULL << 30;
};

struct DumpReport {
    uint64_t image_bytes = 0;
    uint64_t pages = 0;
    uint64_t zero_pages = 0;  // there, but left out
    uint32_t areas = 0;
    uint32_t threads = 0;
    uint32_t descriptors = 0;
    // From the first thread's stop until the process was killed or went on, of which the memory;
    // and the writing of the file afterwards.
    uint64_t frozen_ns = 0;
    uint64_t memory_ns = 0;
    uint64_t write_ns = 0;
};

// Blocks. After an error the process goes on as if nothing had happened, unless it is gone.
//   errors    Kind::kUnimplemented (NotSnapshottable): a clause for the function's owner
//             Kind::kUnavailable (NotQuiet): worth another try a little later
//             anything else: the machine failed us
Result<DumpReport> Dump(const DumpRequest& request);

}  // namespace hearth::snapshot
