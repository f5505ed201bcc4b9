#pragma once

#include "hearth/keeper/options.h"

namespace hearth::keeper {

// Runs a cloud in the foreground until SIGTERM or SIGINT; returns the exit status of the program.
int Up(UpOptions options);

}  // namespace hearth::keeper
