#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace hearth::vmm {

// Runs a program of this machine (searched in PATH and the folders for administration) and returns
// what it wrote to its output; standard input is empty.
//   errors   Unavailable: it is not there, or it failed; with the end of what it said
Result<std::string> RunProgram(const std::vector<std::string>& words);

}  // namespace hearth::vmm
