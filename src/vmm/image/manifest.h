#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

// What an image is: a folder with a kernel, an initramfs, for larger ones a read-only root file
// system, and manifest.json, which has the SHA-256 of each. Nothing of an image is used that is not
// as the manifest says.
namespace hearth::vmm {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kKernelFile = "kernel";
inline constexpr const char* kInitrdFile = "initrd";
inline constexpr const char* kRootFile = "root.erofs";

struct ImageFile {
    std::string name;
    uint64_t bytes = 0;
    std::string sha256;

    bool operator==(const ImageFile&) const = default;
};

struct ImagePackage {
    std::string name;
    std::string version;

    bool operator==(const ImagePackage&) const = default;
};

struct ImageManifest {
    std::string name;
    // The kernel's package with its version: the number of exits until the guest's init is only
    // worth comparing for the same.
    std::string kernel_package;
    std::vector<ImageFile> files;
    std::vector<ImagePackage> packages;

    const ImageFile* Find(const std::string& file) const;

    // SHA-256 over names and digests of all files: what names the image as a whole.
    std::string Digest() const;

    bool operator==(const ImageManifest&) const = default;
};

std::string WriteManifest(const ImageManifest& manifest);
Result<ImageManifest> ParseManifest(const std::string& text);

Result<ImageFile> DescribeFile(const std::string& directory, const std::string& name);

// Reads the manifest of an image's folder and compares all its files.
//   errors   Unavailable: no image there; Malformed: damaged, with the file's name
Result<ImageManifest> VerifyImage(const std::string& directory);

}  // namespace hearth::vmm
