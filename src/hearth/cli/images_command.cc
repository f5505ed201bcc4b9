#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"
#include "hearth/cli/image_store.h"
#include "os/file.h"
#include "vmm/image/build_image.h"
#include "vmm/image/manifest.h"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

// `hearth images`: what microVMs boot.
namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

struct ImagesOptions {
    vmm::BuildImageOptions build;
    std::string directory;
    std::string name;
    bool json = false;
};

std::string Mebibytes(uint64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1U << 20U));
}

uint64_t BytesOf(const vmm::ImageManifest& manifest) {
    uint64_t bytes = 0;
    for (const vmm::ImageFile& file : manifest.files) {
        bytes += file.bytes;
    }
    return bytes;
}

Result<int> Build(ImagesOptions& options) {
    vmm::BuildImageOptions& build = options.build;
    build.images_directory = ImagesDirectory(options.directory);
    build.cache_directory = ImagesCacheDirectory();
    HEARTH_TRY(build.init_program, SiblingProgram("hearth-guest-init"));
    const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
    const auto progress = [&](std::string_view step) {
        if (on_terminal) {
            fmt::print(stderr, "\r{:78}\r{}", "", step);
        } else {
            fmt::print(stderr, "{}\n", step);
        }
    };
    auto manifest = vmm::BuildImage(build, progress);
    if (on_terminal) {
        fmt::print(stderr, "\r{:78}\r", "");
    }
    if (!manifest.ok()) {
        return std::move(manifest).error();
    }
    const std::string path = build.images_directory + "/" + build.name;
    if (options.json) {
        HEARTH_TRY(codec::Json shown, codec::ParseJson(vmm::WriteManifest(*manifest)));
        shown.Set("path", path);
        Print(Pretty(codec::WriteJson(shown)) + "\n");
        return 0;
    }
    Print(fmt::format(
        "{}: {} with {} and {} packages\nsha256 {}\n",
        path,
        Mebibytes(BytesOf(*manifest)),
        manifest->kernel_package,
        manifest->packages.size(),
        manifest->Digest()));
    return 0;
}

Result<int> List(const ImagesOptions& options) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(ImagesDirectory(options.directory), error)) {
        if (vmm::IsImageName(entry.path().filename().string())) {
            names.push_back(entry.path().string());
        }
    }
    std::ranges::sort(names);
    codec::Json::Array shown;
    std::vector<std::vector<std::string>> rows = {{"NAME", "SIZE", "KERNEL", "SHA256"}};
    for (const std::string& path : names) {
        const auto text = os::ReadFile(AT_FDCWD, path + "/" + vmm::kManifestFile);
        if (!text.ok()) {
            continue;
        }
        const auto manifest = vmm::ParseManifest(*text);
        const std::string name = fs::path(path).filename().string();
        if (!manifest.ok()) {
            rows.push_back({name, "-", manifest.error().message(), "-"});
            continue;
        }
        rows.push_back(
            {name,
             Mebibytes(BytesOf(*manifest)),
             manifest->kernel_package,
             manifest->Digest().substr(0, 12)});
        HEARTH_TRY(codec::Json one, codec::ParseJson(*text));
        one.Set("path", path);
        shown.push_back(std::move(one));
    }
    Print(options.json ? Pretty(codec::WriteJson(shown)) + "\n" : Table(rows));
    return 0;
}

Result<int> Verify(const ImagesOptions& options) {
    HEARTH_TRY(const std::string path, ImagePath(options.directory, options.name));
    HEARTH_TRY(const vmm::ImageManifest manifest, vmm::VerifyImage(path));
    Print(fmt::format("{}: whole, sha256 {}\n", path, manifest.Digest()));
    return 0;
}

CLI::App* AddImagesSubcommand(
    CLI::App* images,
    const std::string& name,
    const std::string& description,
    const std::shared_ptr<ImagesOptions>& options,
    int* exit_status,
    Result<int> (*run)(ImagesOptions&)) {
    CLI::App* command = images->add_subcommand(name, description);
    command->add_option(
        "--directory", options->directory, "Where images lie (HEARTH_IMAGES, else in your home)");
    command->add_flag("--json", options->json, "Machine-readable output");
    command->callback([options, exit_status, run] {
        auto status = run(*options);
        if (!status.ok()) {
            fmt::print(stderr, "hearth: {}\n", status.error().message());
        }
        *exit_status = status.ok() ? *status : 1;
    });
    return command;
}

}  // namespace

void AddImagesCommand(CLI::App* app, int* exit_status) {
    CLI::App* images = app->add_subcommand("images", "Kernels and root file systems of microVMs");
    images->require_subcommand(1);
    // Shared by CLI11's option bindings and the callbacks, which live as long as the app.
    auto options = std::make_shared<ImagesOptions>();
    CLI::App* build = AddImagesSubcommand(
        images,
        "build",
        "Make an image from Debian packages; needs no root. Without --package: busybox, in memory",
        options,
        exit_status,
        &Build);
    build->add_option("name", options->build.name, "Its name (minimal)");
    build->add_option(
        "--package",
        options->build.packages,
        "A Debian package of the root file system, with what it depends on (may repeat)");
    build->add_option(
        "--kernel", options->build.kernel, "A linux-image package (.deb) or where one is unpacked");
    build->add_option(
        "--kernel-package", options->build.kernel_package, "The package that is fetched otherwise");
    AddImagesSubcommand(
        images, "list", "The images there are", options, exit_status, [](ImagesOptions& chosen) {
            return List(chosen);
        });
    AddImagesSubcommand(
        images,
        "verify",
        "Compare an image with its manifest",
        options,
        exit_status,
        [](ImagesOptions& chosen) { return Verify(chosen); })
        ->add_option("name", options->name, "Its name")
        ->required();
}

}  // namespace hearth::cli
