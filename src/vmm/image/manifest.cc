#include "vmm/image/manifest.h"

#include "codec/crypto/crypto.h"
#include "codec/json/json.h"
#include "os/file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace hearth::vmm {
namespace {

using codec::Json;

constexpr int kFormat = 1;
const std::set<std::string> kFileNames = {kKernelFile, kInitrdFile, kRootFile};

bool IsDigest(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<std::string> Text(const Json& json, const std::string& name) {
    const std::string* text = json.FindString(name);
    if (text == nullptr) {
        return errors::Malformed(std::string(kManifestFile) + " lacks " + name);
    }
    return *text;
}

const Json::Array& List(const Json& json, const std::string& name) {
    static const Json::Array kNone;
    const Json* list = json.Find(name);
    return list != nullptr && list->AsArray() != nullptr ? *list->AsArray() : kNone;
}

}  // namespace

const ImageFile* ImageManifest::Find(const std::string& file) const {
    const auto found = std::ranges::find(files, file, &ImageFile::name);
    return found == files.end() ? nullptr : &*found;
}

std::string ImageManifest::Digest() const {
    std::string all;
    for (const ImageFile& file : files) {
        all += file.name + " " + file.sha256 + "\n";
    }
    return codec::Sha256Hex(all);
}

std::string WriteManifest(const ImageManifest& manifest) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("format");
    writer.Int(kFormat);
    writer.Key("name");
    writer.String(manifest.name);
    writer.Key("digest");
    writer.String(manifest.Digest());
    writer.Key("kernel_package");
    writer.String(manifest.kernel_package);
    writer.Key("files");
    writer.BeginArray();
    for (const ImageFile& file : manifest.files) {
        writer.BeginObject();
        writer.Key("name");
        writer.String(file.name);
        writer.Key("bytes");
        writer.Uint(file.bytes);
        writer.Key("sha256");
        writer.String(file.sha256);
        writer.EndObject();
    }
    writer.EndArray();
    writer.Key("packages");
    writer.BeginArray();
    for (const ImagePackage& package : manifest.packages) {
        writer.BeginObject();
        writer.Key("name");
        writer.String(package.name);
        writer.Key("version");
        writer.String(package.version);
        writer.EndObject();
    }
    writer.EndArray();
    writer.EndObject();
    return writer.Take() + "\n";
}

Result<ImageManifest> ParseManifest(const std::string& text) {
    HEARTH_TRY(const Json json, codec::ParseJson(text));
    const Json* format = json.Find("format");
    if (format == nullptr || format->AsInt() == nullptr || *format->AsInt() != kFormat) {
        return errors::Malformed("the manifest has a format that this version does not know");
    }
    ImageManifest manifest;
    HEARTH_TRY(manifest.name, Text(json, "name"));
    HEARTH_TRY(manifest.kernel_package, Text(json, "kernel_package"));
    for (const Json& one : List(json, "files")) {
        ImageFile file;
        HEARTH_TRY(file.name, Text(one, "name"));
        HEARTH_TRY(file.sha256, Text(one, "sha256"));
        const Json* bytes = one.Find("bytes");
        // Names are a closed list: a manifest must not lead out of its folder.
        if (!kFileNames.contains(file.name) || manifest.Find(file.name) != nullptr ||
            !IsDigest(file.sha256) || bytes == nullptr || bytes->AsInt() == nullptr ||
            *bytes->AsInt() < 0) {
            return errors::Malformed("the manifest has a file that an image cannot have");
        }
        file.bytes = static_cast<uint64_t>(*bytes->AsInt());
        manifest.files.push_back(std::move(file));
    }
    for (const Json& one : List(json, "packages")) {
        ImagePackage package;
        HEARTH_TRY(package.name, Text(one, "name"));
        HEARTH_TRY(package.version, Text(one, "version"));
        manifest.packages.push_back(std::move(package));
    }
    HEARTH_TRY(const std::string digest, Text(json, "digest"));
    if (digest != manifest.Digest()) {
        return errors::Malformed("the manifest's own digest does not fit its files");
    }
    if (manifest.Find(kKernelFile) == nullptr || manifest.Find(kInitrdFile) == nullptr) {
        return errors::Malformed("the manifest has no kernel or no initrd");
    }
    return manifest;
}

Result<ImageFile> DescribeFile(const std::string& directory, const std::string& name) {
    HEARTH_TRY(
        const os::Fd file,
        os::Open(AT_FDCWD, directory + "/" + name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    codec::Sha256Stream digest;
    std::vector<char> buffer(1U << 20U);
    ImageFile described{.name = name};
    for (;;) {
        const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes < 0) {
            return errors::System("read " + name, errno);
        }
        if (bytes == 0) {
            break;
        }
        digest.Update({buffer.data(), static_cast<size_t>(bytes)});
        described.bytes += static_cast<uint64_t>(bytes);
    }
    described.sha256 = codec::Hex(digest.Finish());
    return described;
}

Result<ImageManifest> VerifyImage(const std::string& directory) {
    auto text = os::ReadFile(AT_FDCWD, directory + "/" + kManifestFile);
    if (!text.ok()) {
        return errors::Unavailable(
            "no image in " + directory +
            " (hearth images build makes one): " + text.error().message());
    }
    HEARTH_TRY(ImageManifest manifest, ParseManifest(*text));
    for (const ImageFile& file : manifest.files) {
        HEARTH_TRY(const ImageFile found, DescribeFile(directory, file.name));
        if (found != file) {
            return errors::Malformed(
                directory + "/" + file.name +
                " is not what was built: its SHA-256 or its size differs from the manifest's");
        }
    }
    return manifest;
}

}  // namespace hearth::vmm
