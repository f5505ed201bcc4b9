#pragma once

#include "hearth/keeper/options.h"

#include <string>

namespace hearth::keeper {

// The file in the data directory that names the running cloud's endpoint, for the other commands.
inline constexpr const char* kEndpointFile = "endpoint";

// What `hearth up` prints when it is ready: the endpoint, lines to paste into a shell that work
// with the client installed here, and what the chosen options leave open.
std::string ReadyText(
    const UpOptions& options, const std::string& endpoint, const std::string& data_path);

}  // namespace hearth::keeper
