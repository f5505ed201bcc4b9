#pragma once

#include "storage/objects/body_core.h"

#include <atomic>

namespace hearth::storage {

// ObjectBodies::Check; ends with kUnavailable when `stopping` is set meanwhile.
Task<Result<BodyCheck>> CheckBody(
    BodyCore& core,
    const StoredBody& body,
    uint64_t bytes_per_second,
    const std::atomic<bool>& stopping);

}  // namespace hearth::storage
