#pragma once

#include "base/result.h"

#include <string>

// Where the commands about microVMs find images and programs.
namespace hearth::cli {

// `chosen`, else HEARTH_IMAGES, else hearth/images below XDG_DATA_HOME or ~/.local/share.
std::string ImagesDirectory(const std::string& chosen);

// hearth/images below XDG_CACHE_HOME or ~/.cache.
std::string ImagesCacheDirectory();

// An image's folder: by its name, or by a path with a '/'.
Result<std::string> ImagePath(const std::string& directory, const std::string& image);

// A program that was built or installed together with this one.
Result<std::string> SiblingProgram(const std::string& name);

}  // namespace hearth::cli
