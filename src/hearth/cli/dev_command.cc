#include "codec/base64/base64.h"
#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"
#include "hearth/cli/zip_writer.h"
#include "os/fd.h"

#include <CLI/CLI.hpp>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

// Lambda takes no larger zip in a call.
constexpr uint64_t kZipBytesMax = 50ULL << 20U;
// Editors write a file in several steps; the upload waits until nothing happened for this long.
constexpr int kQuietMs = 15;
const std::set<std::string> kSkipped = {".git", "__pycache__", ".venv", ".idea", ".vscode"};

struct DevOptions {
    std::string directory;
    std::string name;
    std::string runtime;
    std::string handler;
    std::string role = "arn:aws:iam::000000000000:role/hearth-dev";
    int64_t memory_mb = 512;
    int64_t timeout_s = 30;
    bool once = false;
};

Result<std::string> ZipOf(const fs::path& root) {
    ZipWriter zip;
    uint64_t bytes = 0;
    std::error_code error;
    std::set<fs::path> files;
    for (auto it = fs::recursive_directory_iterator(root, error); it != fs::end(it);
         it.increment(error)) {
        if (it->is_directory() && kSkipped.contains(it->path().filename().string())) {
            it.disable_recursion_pending();
        } else if (it->is_regular_file(error)) {
            files.insert(it->path());
        }
    }
    if (error) {
        return errors::Malformed(root.string() + ": " + error.message());
    }
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        if (!file) {
            continue;  // Removed between listing and reading; its event is on the way.
        }
        std::ostringstream content;
        content << file.rdbuf();
        bytes += content.str().size();
        if (bytes > kZipBytesMax) {
            return errors::Malformed(fmt::format(
                "{} holds more than {} MB, more than Lambda takes in one call",
                root.string(),
                kZipBytesMax >> 20U));
        }
        const bool executable =
            (fs::status(path, error).permissions() & fs::perms::owner_exec) != fs::perms::none;
        zip.Add(fs::relative(path, root, error).string(), content.str(), executable ? 0755 : 0644);
    }
    if (files.empty()) {
        return errors::Malformed(root.string() + " holds no files");
    }
    return std::move(zip).Finish();
}

// Runtime and handler of a new function, from what is in the directory.
void Guess(const fs::path& root, DevOptions* options) {
    const auto has = [&](const char* name) { return fs::exists(root / name); };
    std::string runtime = "provided.al2023";
    std::string handler = "bootstrap";
    if (has("bootstrap")) {
    } else if (has("index.mjs") || has("index.js") || has("index.cjs")) {
        runtime = "nodejs20.x";
        handler = "index.handler";
    } else {
        runtime = "python3.12";
        handler = "lambda_function.lambda_handler";
        for (const char* module : {"lambda_function", "handler", "app", "main"}) {
            if (has((std::string(module) + ".py").c_str())) {
                const bool classic = std::string_view(module) == "lambda_function";
                handler = std::string(module) + (classic ? ".lambda_handler" : ".handler");
                break;
            }
        }
    }
    if (options->runtime.empty()) {
        options->runtime = runtime;
    }
    if (options->handler.empty()) {
        options->handler = handler;
    }
}

Result<int> Deploy(CloudClient& cloud, const fs::path& root, DevOptions* options) {
    HEARTH_TRY(const std::string zip, ZipOf(root));
    codec::Json update;
    update.Set("ZipFile", codec::Base64Encode(zip));
    const std::string path = "/2015-03-31/functions/";
    auto updated = cloud.Rest(
        "lambda", "PUT", path + Encoded(options->name) + "/code", codec::WriteJson(update));
    if (updated.ok()) {
        return 0;
    }
    if (!updated.error().message().starts_with("ResourceNotFoundException")) {
        return std::move(updated).error();
    }
    Guess(root, options);
    codec::Json code;
    code.Set("ZipFile", codec::Base64Encode(zip));
    codec::Json create;
    create.Set("FunctionName", options->name);
    create.Set("Runtime", options->runtime);
    create.Set("Handler", options->handler);
    create.Set("Role", options->role);
    create.Set("MemorySize", options->memory_mb);
    create.Set("Timeout", options->timeout_s);
    create.Set("Code", std::move(code));
    HEARTH_TRY(const auto created, cloud.Rest("lambda", "POST", path, codec::WriteJson(create)));
    Print(fmt::format(
        "created {} ({}, handler {})\n", options->name, options->runtime, options->handler));
    return 0;
}

// Watches a directory tree; directories made later are watched, too.
class TreeWatch final {
  public:
    explicit TreeWatch(fs::path root)
        : root_(std::move(root)), fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
        AddTree();
    }

    // Blocks until something changed and then was quiet.
    void Wait() {
        Poll(-1);
        do {
            Drain();
        } while (Poll(kQuietMs));
        AddTree();
    }

  private:
    void AddTree() {
        constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                     IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF;
        ::inotify_add_watch(fd_.get(), root_.c_str(), kEvents);
        std::error_code error;
        for (auto it = fs::recursive_directory_iterator(root_, error); it != fs::end(it);
             it.increment(error)) {
            if (!it->is_directory(error)) {
                continue;
            }
            if (kSkipped.contains(it->path().filename().string())) {
                it.disable_recursion_pending();
                continue;
            }
            ::inotify_add_watch(fd_.get(), it->path().c_str(), kEvents);
        }
    }

    bool Poll(int timeout_ms) {
        pollfd watched = {fd_.get(), POLLIN, 0};
        return ::poll(&watched, 1, timeout_ms) > 0;
    }

    void Drain() {
        char buffer[16384];
        while (::read(fd_.get(), buffer, sizeof(buffer)) > 0) {
        }
    }

    fs::path root_;
    os::Fd fd_;
};

Result<int> Dev(CloudClient& cloud, DevOptions options) {
    std::error_code error;
    const fs::path root = fs::canonical(options.directory, error);
    if (error || !fs::is_directory(root)) {
        return errors::Malformed(options.directory + ": not a directory");
    }
    // Before the first upload, so that no save falls in between.
    TreeWatch watch(root);
    for (bool first = true;; first = false) {
        const auto started = std::chrono::steady_clock::now();
        auto deployed = Deploy(cloud, root, &options);
        if (!deployed.ok() && (first || options.once)) {
            return deployed;
        }
        if (deployed.ok()) {
            const std::chrono::duration<double, std::milli> took =
                std::chrono::steady_clock::now() - started;
            Print(fmt::format("{} is live ({:.0f} ms)\n", options.name, took.count()));
        } else {
            fmt::print(stderr, "hearth: {}\n", deployed.error().message());
        }
        if (options.once) {
            return 0;
        }
        if (first) {
            Print(fmt::format("watching {}; ^C stops\n", root.string()));
        }
        watch.Wait();
    }
}

}  // namespace

void AddDevCommand(CLI::App* app, int* exit_status) {
    auto options = std::make_shared<DevOptions>();
    CLI::App* command = AddCloudCommand(
        app,
        "dev",
        "Keep a function equal to a directory: a saved file is live on the next call",
        exit_status,
        [options](CloudClient& cloud, const CloudOptions&) { return Dev(cloud, *options); });
    command->add_option("DIR", options->directory, "Directory with the function's code")
        ->required();
    command->add_option("NAME", options->name, "Function name; created if it is not there")
        ->required();
    command->add_option(
        "--runtime", options->runtime, "For a new function (default: from the files)");
    command->add_option(
        "--handler", options->handler, "For a new function (default: from the files)");
    command->add_option("--role", options->role, "For a new function")->capture_default_str();
    command->add_option("--memory", options->memory_mb, "MB, for a new function")
        ->capture_default_str();
    command->add_option("--timeout", options->timeout_s, "Seconds, for a new function")
        ->capture_default_str();
    command->add_flag("--once", options->once, "Deploy and return");
}

}  // namespace hearth::cli
