#pragma once

#include "sandbox/sandbox.h"

#include <string>

namespace hearth::lambda {

// "exit status 1" or "signal: killed", as Go's os/exec says it, which is what AWS's own supervisor
// is written in.
std::string ExitStatusText(const sandbox::ExitReport& report);

}  // namespace hearth::lambda
