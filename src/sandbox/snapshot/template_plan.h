#pragma once

#include "base/result.h"
#include "sandbox/snapshot/image.h"
#include "sandbox/snapshot/restorer/plan.h"

#include <cstdint>
#include <string>
#include <vector>

// What the restorer needs of an image, as the bytes of its zone (restorer/plan.h). Everything that
// can be decided ahead is decided here, so that the restorer only executes.
namespace hearth::snapshot {

struct AddressRange {
    uint64_t start = 0;
    uint64_t end = 0;
};

// The middle of the largest free part of the user's addresses, so that neither heap nor stacks nor
// mappings soon grow into it. `occupied` in any order, may overlap. 0: there is none.
uint64_t FindHole(std::vector<AddressRange> occupied, uint64_t bytes);

// The process that makes the template.
struct MakerFacts {
    std::vector<AddressRange> occupied;

    // [vdso] and [vvar*], with their names.
    struct Special {
        AddressRange range;
        std::string name;
    };

    std::vector<Special> specials;
    uint64_t rseq_address = 0;
    uint32_t rseq_bytes = 0;
    uint32_t rseq_signature = 0;
};

Result<MakerFacts> ReadMaker();

struct PlanInputs {
    const Image* image = nullptr;
    const MakerFacts* maker = nullptr;
    // Descriptors of Image::files, -1 for those that are not mapped.
    std::vector<int> file_fds;
    int control_fd = -1;
    int image_fd = -1;
    int null_fd = -1;
    int pid_namespace_fd = -1;
    uint32_t uid = kNone;
    uint32_t gid = kNone;
    bool no_new_privs = false;
    std::string filter;
    // As in a WorkingSetRequest.
    std::vector<PlanRange> working_set;
};

// A part of the zone with contents; the rest is zero.
struct ZonePart {
    uint64_t address = 0;
    std::string bytes;
    bool executable = false;
};

struct Zone {
    uint64_t start = 0;
    uint64_t bytes = 0;
    std::vector<ZonePart> parts;
    uint64_t entry = 0;
    uint64_t plan = 0;
    uint64_t stack_top = 0;
};

// errors    Unavailable: the image's vdso is not this machine's; no room; too many numbers.
Result<Zone> BuildZone(const PlanInputs& inputs);

// Bytes of a signal frame whose return gives the thread its registers; a multiple of 64. `address`
// is where it will stand; rsp is to be `address` + 8 when rt_sigreturn is called.
std::string SignalFrame(const Thread& thread, uint64_t address);

}  // namespace hearth::snapshot
