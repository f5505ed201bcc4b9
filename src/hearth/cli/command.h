#pragma once

#include "base/result.h"
#include "hearth/cli/cloud_client.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <functional>
#include <memory>
#include <string>

// How the commands are made. Each lives in a file of its own with one function, listed in
// commands.h.
namespace hearth::cli {

// A subcommand with the options that every command has (--endpoint, --data, --region, --json,
// --help). `run` is called when it was chosen; its Result<int> is the exit status, its error a line
// on stderr.
CLI::App* AddCloudCommand(
    CLI::App* app,
    const std::string& name,
    const std::string& description,
    int* exit_status,
    std::function<Result<int>(CloudClient&, const CloudOptions&)> run);

// Columns aligned with two blanks between them; the first row is the heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);

// A JSON text over several lines, for people; other texts come back as they are.
std::string Pretty(const std::string& json);

void Print(std::string_view text);

}  // namespace hearth::cli
