#pragma once

#include "services/lambda/slots.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// What Slots keeps: functions, their versions, and the environments of each. Private to Slots.
namespace hearth::lambda {

struct Slots::Slot {
    std::unique_ptr<ExecutionEnvironment> environment;
    Pool* pool = nullptr;
    bool busy = true;
    bool retired = false;
    // Of one that was restored ahead: how that went, for the log of its first call, and what it
    // holds besides the template.
    RestoreOutcome restored;
    uint64_t spare_bytes = 0;
};

// What all versions of a function have in common.
struct Slots::Function {
    Function(std::string function_key, ConcurrencyLimits& limits, const FunctionVersion& function)
        : key(std::move(function_key)),
          concurrency(limits, limits.Of(function.account, function.region), function.name) {}

    const std::string key;
    FunctionConcurrency concurrency;
    size_t pools = 0;
};

struct Slots::Pool {
    std::string key;
    std::shared_ptr<const FunctionVersion> function;
    Function* owner = nullptr;
    std::vector<std::unique_ptr<Slot>> slots;
    // Used last at the back.
    std::vector<Slot*> idle;
    // Restored and never called; the newest at the back.
    std::vector<Slot*> spares;
    bool filling = false;
    bool retired = false;
    std::chrono::steady_clock::time_point called;
    // How long the last start took, of whichever kind is next; and what a spare holds.
    std::chrono::nanoseconds start_cost{0};
    uint64_t spare_bytes = 2ull << 20;
    // Calls that hold a reference to this pool.
    size_t users = 0;
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t restores = 0;
    uint64_t spare_hits = 0;
    uint64_t errors = 0;
};

}  // namespace hearth::lambda
