#include "hearth/cli/image_store.h"

#include "vmm/image/build_image.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

std::string Variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

std::string Below(const char* variable, const char* in_home) {
    const std::string base = Variable(variable);
    if (!base.empty()) {
        return base + "/hearth/images";
    }
    const std::string home = Variable("HOME");
    return (home.empty() ? std::string("/var/tmp") : home + "/" + in_home) + "/hearth/images";
}

}  // namespace

std::string ImagesDirectory(const std::string& chosen) {
    if (!chosen.empty()) {
        return fs::absolute(chosen).string();
    }
    const std::string configured = Variable("HEARTH_IMAGES");
    return configured.empty() ? Below("XDG_DATA_HOME", ".local/share")
                              : fs::absolute(configured).string();
}

std::string ImagesCacheDirectory() {
    return Below("XDG_CACHE_HOME", ".cache");
}

Result<std::string> ImagePath(const std::string& directory, const std::string& image) {
    if (image.find('/') != std::string::npos) {
        return fs::absolute(image).string();
    }
    if (!vmm::IsImageName(image)) {
        return errors::Malformed("no name of an image: " + image);
    }
    return ImagesDirectory(directory) + "/" + image;
}

Result<std::string> SiblingProgram(const std::string& name) {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    // As installed, programs that nobody calls by hand lie apart from `hearth`.
    for (const fs::path& folder :
         {self.parent_path(), self.parent_path().parent_path() / "lib/hearth"}) {
        if (const fs::path program = folder / name; ::access(program.c_str(), X_OK) == 0) {
            return program.string();
        }
    }
    return errors::Unavailable(name + " is not beside " + self.string());
}

}  // namespace hearth::cli
