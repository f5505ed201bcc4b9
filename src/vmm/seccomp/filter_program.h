#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

// System call filters as BPF programs. Written by hand rather than by libseccomp: it takes a few
// microseconds at each start instead of milliseconds, and a program of a hundred instructions can
// be read.
namespace hearth::vmm {

// An argument's low 32 bits, masked, must be `value`. (What the kernel takes for an int has no
// other bits; of flags, all that matters is there.)
struct ArgumentRule {
    unsigned index = 0;
    std::uint32_t mask = ~0U;
    std::uint32_t value = 0;
};

// A call that is allowed when all its argument rules hold. Several rules of one call are
// alternatives.
struct CallRule {
    long call = 0;
    std::vector<ArgumentRule> arguments;
};

// Allows what a rule allows, in the order of the rules (the frequent ones first); anything else,
// and any other architecture's calls, raise SIGSYS.
std::vector<sock_filter> CompileFilter(std::span<const CallRule> rules);

}  // namespace hearth::vmm
