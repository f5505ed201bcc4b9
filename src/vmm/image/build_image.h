#pragma once

#include "base/result.h"
#include "vmm/image/manifest.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Makes images (manifest.h) from Debian packages, without root and without running anything of
// them: packages are unpacked, never installed, so no maintainer script runs. Needs apt-get,
// dpkg-deb and, for a root file system, mkfs.erofs.
namespace hearth::vmm {

struct BuildImageOptions {
    std::string name = "minimal";
    // Images lie in folders of their names here.
    std::string images_directory;
    // Packages that were fetched and kernels that were unpacked, for the next time.
    std::string cache_directory;
    // hearth-guest-init.
    std::string init_program;
    // A linux-image package (file), a folder that one was unpacked into, or empty: fetched.
    std::string kernel;
    std::string kernel_package = "linux-image-cloud-amd64";
    // Debian packages of the root file system, besides a small base. None: no root file system, but
    // an initramfs with busybox, made in a second.
    std::vector<std::string> packages;
};

// Called with what is done next.
using BuildProgress = std::function<void(std::string_view step)>;

// Replaces an image of the same name at once: a reader sees the old or the new one.
//   errors   Unavailable: a program or a package is missing; Malformed: a name that is no name
Result<ImageManifest> BuildImage(const BuildImageOptions& options, const BuildProgress& progress);

// Letters, digits, '.', '_' and '-', not starting with '.', at most 64.
bool IsImageName(std::string_view name);

}  // namespace hearth::vmm
