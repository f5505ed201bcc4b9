#pragma once

#include "storage/objects/body_core.h"

#include <atomic>

namespace hearth::storage {

// One walk over all bodies with files; ends early when `stopping` is set.
Task<Result<ScrubReport>> ScrubBodies(
    BodyCore& core, uint64_t bytes_per_second, const std::atomic<bool>& stopping);

}  // namespace hearth::storage
