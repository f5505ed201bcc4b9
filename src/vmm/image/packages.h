#pragma once

#include "base/result.h"
#include "vmm/image/manifest.h"

#include <string>
#include <vector>

// Debian packages through the machine's own apt and dpkg, in private folders: nothing is installed,
// and who is not root can do it.
namespace hearth::vmm {

struct PackageFile {
    std::string path;
    ImagePackage package;
};

// A package file's name and version, from "name_version_arch.deb".
ImagePackage PackageOf(const std::string& path);

// The packages and all they depend on (not what they recommend), as if nothing was installed.
// Files that `cache` has are not fetched again.
Result<std::vector<PackageFile>> FetchWithDependencies(
    const std::vector<std::string>& names, const std::string& cache);

// One package without what it depends on; of a kernel's meta package, the kernel that it names.
Result<PackageFile> FetchKernelPackage(const std::string& name, const std::string& cache);

Status UnpackPackage(const std::string& file, const std::string& directory);

}  // namespace hearth::vmm
