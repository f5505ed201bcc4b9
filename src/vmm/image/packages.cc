#include "vmm/image/packages.h"

#include "vmm/image/run_program.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hearth::vmm {
namespace {

namespace fs = std::filesystem;

// apt's options for a machine on which nothing is installed, with folders of our own.
std::vector<std::string> Apt(const std::string& cache, const std::string& archives) {
    return {
        "apt-get",
        "-q",
        "-y",
        "--no-install-recommends",
        "-o",
        "Dir::State::status=" + cache + "/nothing-installed",
        "-o",
        "Dir::Cache::archives=" + archives,
        "-o",
        "Debug::NoLocking=1",
        "-o",
        "APT::Sandbox::User="};
}

Status MakeDirectories(const std::string& path) {
    std::error_code error;
    fs::create_directories(path, error);
    return error ? Status(errors::Unavailable(path + ": " + error.message())) : Status();
}

// The newest "NAME_*.deb" in a folder.
std::string Newest(const std::string& directory, const std::string& name) {
    std::string found;
    fs::file_time_type newest = fs::file_time_type::min();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
        const std::string leaf = entry.path().filename().string();
        if (leaf.starts_with(name + "_") && leaf.ends_with(".deb") &&
            entry.last_write_time(error) > newest) {
            newest = entry.last_write_time(error);
            found = entry.path().string();
        }
    }
    return found;
}

}  // namespace

ImagePackage PackageOf(const std::string& path) {
    const std::string leaf = fs::path(path).filename().string();
    const size_t first = std::min(leaf.find('_'), leaf.size());
    const size_t second = std::min(leaf.find('_', first + 1), leaf.size());
    ImagePackage package{leaf.substr(0, first), ""};
    if (second > first) {
        package.version = leaf.substr(first + 1, second - first - 1);
    }
    // An epoch's colon is no character of a file name for apt.
    if (const size_t colon = package.version.find("%3a"); colon != std::string::npos) {
        package.version.replace(colon, 3, ":");
    }
    return package;
}

Result<std::vector<PackageFile>> FetchWithDependencies(
    const std::vector<std::string>& names, const std::string& cache) {
    const std::string archives = cache + "/packages";
    const std::string none = cache + "/no-packages";
    HEARTH_RETURN_IF_ERROR(MakeDirectories(archives + "/partial"));
    HEARTH_RETURN_IF_ERROR(MakeDirectories(none + "/partial"));
    std::ofstream(cache + "/nothing-installed", std::ios::trunc);
    const auto with = [&names](std::vector<std::string> words, const std::string& option) {
        words.push_back(option);
        words.push_back("install");
        words.push_back("--");
        words.insert(words.end(), names.begin(), names.end());
        return words;
    };
    // What belongs to it: with an empty cache, all is to be fetched.
    HEARTH_TRY(const std::string uris, RunProgram(with(Apt(cache, none), "--print-uris")));
    HEARTH_RETURN_IF_ERROR(RunProgram(with(Apt(cache, archives), "--download-only")));
    std::vector<PackageFile> files;
    std::istringstream lines(uris);
    for (std::string line; std::getline(lines, line);) {
        // 'http://...' name_version_arch.deb SIZE HASH
        if (!line.starts_with('\'')) {
            continue;
        }
        std::istringstream words(line);
        std::string uri;
        std::string leaf;
        words >> uri >> leaf;
        const std::string path = archives + "/" + leaf;
        if (leaf.find('/') != std::string::npos || !fs::exists(path)) {
            return errors::Unavailable("apt-get did not fetch " + leaf);
        }
        files.push_back({path, PackageOf(path)});
    }
    std::ranges::sort(files, {}, &PackageFile::path);
    return files;
}

Result<PackageFile> FetchKernelPackage(const std::string& name, const std::string& cache) {
    HEARTH_RETURN_IF_ERROR(MakeDirectories(cache + "/packages"));
    std::string wanted = name;
    if (const auto depends = RunProgram({"apt-cache", "depends", "--important", name});
        depends.ok()) {
        std::istringstream lines(*depends);
        for (std::string line; std::getline(lines, line);) {
            constexpr std::string_view kDepends = "Depends: linux-image-";
            if (const size_t at = line.find(kDepends); at != std::string::npos) {
                wanted = line.substr(at + std::string_view("Depends: ").size());
                break;
            }
        }
    }
    std::string file = Newest(cache + "/packages", wanted);
    if (file.empty()) {
        HEARTH_RETURN_IF_ERROR(RunProgram(
            {"sh",
             "-c",
             "cd \"$1\" && exec apt-get -q -o APT::Sandbox::User= download \"$2\"",
             "sh",
             cache + "/packages",
             wanted}));
        file = Newest(cache + "/packages", wanted);
    }
    if (file.empty()) {
        return errors::Unavailable("apt-get did not fetch " + wanted);
    }
    return PackageFile{file, PackageOf(file)};
}

Status UnpackPackage(const std::string& file, const std::string& directory) {
    HEARTH_RETURN_IF_ERROR(RunProgram({"dpkg-deb", "-x", file, directory}));
    return {};
}

}  // namespace hearth::vmm
