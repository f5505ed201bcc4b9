#pragma once

#include "base/result.h"

#include <functional>
#include <string>

namespace hearth::codec {

// Reads the small regular file `path`; where there is none, first writes what `make` returns: mode
// 0600, whole or not at all, and durable (file and directory) before this returns.
Result<std::string> ReadOrMakePrivateFile(
    const std::string& path, const std::function<std::string()>& make);

inline constexpr size_t kSmallFileBytesMax = 4096;

// From its beginning, wherever the descriptor stands.
Result<std::string> ReadSmallFile(int fd);

}  // namespace hearth::codec
