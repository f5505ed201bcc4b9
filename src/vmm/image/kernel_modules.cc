#include "vmm/image/kernel_modules.h"

#include "os/file.h"
#include "vmm/image/run_program.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

namespace hearth::vmm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kModuleBytesMax = 64U << 20U;

std::string WithUnderscores(std::string name) {
    std::ranges::replace(name, '-', '_');
    return name;
}

// "virtio-blk.ko.xz" is virtio_blk; empty for what is no module.
std::string NameOf(const fs::path& file) {
    const std::string leaf = file.filename().string();
    const size_t end = leaf.find(".ko");
    return end == std::string::npos ? std::string() : WithUnderscores(leaf.substr(0, end));
}

Result<std::string> ReadModule(const fs::path& file) {
    const std::string ending = file.extension().string();
    if (ending == ".ko") {
        return os::ReadFile(AT_FDCWD, file.string(), kModuleBytesMax);
    }
    if (ending == ".xz" || ending == ".zst" || ending == ".gz") {
        const std::string program = ending == ".xz" ? "xz" : ending == ".zst" ? "zstd" : "gzip";
        return RunProgram({program, "-dc", file.string()});
    }
    return errors::Unavailable("a module that is packed in an unknown way: " + file.string());
}

}  // namespace

std::vector<std::string> ModuleNeeds(std::string_view bytes) {
    constexpr std::string_view kKey{"\0depends=", 9};
    std::vector<std::string> needs;
    const size_t found = bytes.find(kKey);
    if (found == std::string_view::npos) {
        return needs;
    }
    std::string_view list = bytes.substr(found + kKey.size());
    list = list.substr(0, list.find('\0'));
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        if (comma > 0) {
            needs.push_back(WithUnderscores(std::string(list.substr(0, comma))));
        }
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return needs;
}

Result<std::vector<KernelModule>> SelectModules(
    const std::string& directory, const std::vector<std::string>& names) {
    std::map<std::string, fs::path> files;
    std::error_code error;
    for (auto it = fs::recursive_directory_iterator(directory + "/kernel", error);
         !error && it != fs::end(it);
         it.increment(error)) {
        if (const std::string name = NameOf(it->path()); !name.empty()) {
            files.emplace(name, it->path());
        }
    }
    if (error) {
        return errors::Unavailable(directory + ": " + error.message());
    }
    std::vector<KernelModule> chosen;
    std::set<std::string> seen;
    const std::function<Status(const std::string&)> visit = [&](const std::string& name) -> Status {
        const auto file = files.find(name);
        if (file == files.end() || !seen.insert(name).second) {
            return {};
        }
        HEARTH_TRY(std::string bytes, ReadModule(file->second));
        for (const std::string& need : ModuleNeeds(bytes)) {
            HEARTH_RETURN_IF_ERROR(visit(need));
        }
        chosen.push_back({name, std::move(bytes)});
        return {};
    };
    for (const std::string& name : names) {
        HEARTH_RETURN_IF_ERROR(visit(WithUnderscores(name)));
    }
    return chosen;
}

}  // namespace hearth::vmm
