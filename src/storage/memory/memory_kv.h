#pragma once

#include "base/clock.h"
#include "storage/kv.h"

#include <cstdint>
#include <memory>

namespace hearth::storage {

struct MemoryKvOptions {
    // Faults come from this seed alone, so the same calls meet the same faults.
    uint64_t seed = 0;
    // Of 1,000 commits, so many end in Conflict although nobody interfered.
    uint32_t conflict_per_mille = 0;
    // Of 1,000 commits, so many answer Unknown; half of those have been applied.
    uint32_t unknown_per_mille = 0;
    // Measures the 5 s that a transaction may take.
    std::shared_ptr<MonotonicClock> clock = MonotonicClock::System();
};

// The contract of kv.h to the letter, in memory: what passes here holds on any engine. For tests,
// and for clouds that keep nothing. Safe to use from several loops.
std::unique_ptr<Kv> MakeMemoryKv(MemoryKvOptions options = {});

}  // namespace hearth::storage
