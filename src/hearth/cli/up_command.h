#pragma once

#include <CLI/App.hpp>

namespace hearth::cli {

// `hearth up`. When it is the chosen command, it runs and puts the program's status into
// `*exit_status`.
void AddUpCommand(CLI::App* app, int* exit_status);

}  // namespace hearth::cli
