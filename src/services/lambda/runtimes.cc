#include "services/lambda/runtimes.h"

#include "base/log.h"
#include "os/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>

namespace hearth::lambda {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kVersionQuestionMax{10};

bool ParseInt(std::string_view text, int& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// What `path <argument>` prints, at most `bytes_max`; empty when it does not answer in time.
std::string AskProgram(const std::string& path, const char* argument) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return {};
    }
    const os::Fd reader(ends[0]);
    os::Fd writer(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    std::array<char*, 3> argv = {
        const_cast<char*>(path.c_str()), const_cast<char*>(argument), nullptr};
    std::array<char*, 1> environment = {nullptr};
    pid_t pid = 0;
    const int error =
        ::posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environment.data());
    ::posix_spawn_file_actions_destroy(&actions);
    writer.Close();
    if (error != 0) {
        return {};
    }
    std::string answer;
    const auto deadline = std::chrono::steady_clock::now() + kVersionQuestionMax;
    while (answer.size() < 256) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd poll{.fd = reader.get(), .events = POLLIN, .revents = 0};
        if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) <= 0) {
            break;
        }
        std::array<char, 256> buffer{};
        const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
        if (count <= 0) {
            break;
        }
        answer.append(buffer.data(), static_cast<size_t>(count));
    }
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return answer;
}

// The program behind links, when a function could run it too; says why not otherwise.
std::optional<std::string> RealProgram(const std::string& path, std::set<std::string>& told) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) {
        return std::nullopt;
    }
    const auto skip = [&](std::string_view why) {
        // A version manager has many: one line for each directory.
        if (told.insert(real.parent_path().string()).second) {
            log::Info("lambda: interpreters such as {} are skipped: {}", real.string(), why);
        }
        return std::nullopt;
    };
    const std::string text = real.string();
    if (text.starts_with("/root/") || text.starts_with("/home/")) {
        return skip("it is below a home directory, which functions cannot see");
    }
    for (fs::path part = real; part.has_relative_path(); part = part.parent_path()) {
        struct stat facts{};
        if (::stat(part.c_str(), &facts) != 0 || (facts.st_mode & S_IXOTH) == 0) {
            return skip("functions may not execute it");
        }
    }
    const os::Fd file(::open(text.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 4> magic{};
    if (!file.valid() || ::read(file.get(), magic.data(), magic.size()) != 4 ||
        std::string_view(magic.data(), 4) !=
            "\x7F"
            "ELF") {
        return skip("it is a script, not a program");
    }
    return text;
}

void AddOnce(std::vector<Interpreter>& found, Interpreter interpreter) {
    for (const Interpreter& one : found) {
        if (one.major == interpreter.major && one.minor == interpreter.minor) {
            return;
        }
    }
    found.push_back(std::move(interpreter));
}

}  // namespace

RuntimeId ParseRuntimeId(std::string_view runtime) {
    RuntimeId id;
    if (runtime.starts_with("python3.") && ParseInt(runtime.substr(8), id.minor)) {
        id.language = "python";
        id.major = 3;
    } else if (
        runtime.starts_with("nodejs") && runtime.ends_with(".x") &&
        ParseInt(runtime.substr(6, runtime.size() - 8), id.major)) {
        id.language = "nodejs";
    } else if (runtime == "provided.al2" || runtime == "provided.al2023") {
        id.language = "provided";
    }
    return id;
}

const Interpreter* Nearest(const std::vector<Interpreter>& found, int major, int minor) {
    const auto rank = [&](const Interpreter& one) {
        // Exact, then newer ones upwards, then older ones downwards.
        const int distance = (one.major - major) * 1000 + (one.minor - minor);
        return distance >= 0 ? std::pair(0, distance) : std::pair(1, -distance);
    };
    const auto best = std::min_element(
        found.begin(), found.end(), [&](const Interpreter& a, const Interpreter& b) {
            return rank(a) < rank(b);
        });
    return best == found.end() ? nullptr : &*best;
}

RuntimeCatalog::RuntimeCatalog(Options options, rt::BlockingPool& pool)
    : options_(std::move(options)), pool_(pool) {}

std::vector<std::string> RuntimeCatalog::DefaultSearchDirectories() {
    std::vector<std::string> directories = {"/usr/bin"};
    // Read once at start, by the thread that starts everything.
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
    std::string_view rest = path == nullptr ? "" : path;
    while (!rest.empty()) {
        const size_t end = rest.find(':');
        const std::string_view one = rest.substr(0, end);
        if (one.starts_with('/')) {
            directories.emplace_back(one);
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    directories.emplace_back("/usr/local/bin");
    return directories;
}

const std::vector<Interpreter>& RuntimeCatalog::Pythons() {
    if (pythons_.has_value()) {
        return *pythons_;
    }
    std::vector<Interpreter> found;
    std::set<std::string> told;
    for (const std::string& directory : options_.search_directories) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(directory, error)) {
            const std::string name = entry.path().filename().string();
            Interpreter interpreter{.major = 3};
            if (!name.starts_with("python3.") ||
                !ParseInt(std::string_view(name).substr(8), interpreter.minor)) {
                continue;
            }
            if (auto real = RealProgram(entry.path().string(), told)) {
                interpreter.path = *std::move(real);
                AddOnce(found, std::move(interpreter));
            }
        }
    }
    pythons_ = std::move(found);
    return *pythons_;
}

const std::vector<Interpreter>& RuntimeCatalog::Nodes() {
    if (nodes_.has_value()) {
        return *nodes_;
    }
    std::vector<Interpreter> found;
    std::set<std::string> told;
    for (const std::string& directory : options_.search_directories) {
        for (const char* name : {"node", "nodejs"}) {
            const auto real = RealProgram(directory + "/" + name, told);
            if (!real.has_value()) {
                continue;
            }
            // "v20.11.1"
            const std::string version = AskProgram(*real, "--version");
            Interpreter interpreter{.path = *real};
            const size_t dot = version.find('.');
            if (version.starts_with('v') && dot != std::string::npos &&
                ParseInt(std::string_view(version).substr(1, dot - 1), interpreter.major)) {
                AddOnce(found, std::move(interpreter));
            }
        }
    }
    nodes_ = std::move(found);
    return *nodes_;
}

Result<Interpreter> RuntimeCatalog::Choose(
    const std::string& runtime, const std::vector<Interpreter>& found, int major, int minor) {
    const Interpreter* const nearest = Nearest(found, major, minor);
    if (nearest == nullptr) {
        return errors::Unavailable(fmt::format("no interpreter for {} on this machine", runtime));
    }
    if (options_.exact && (nearest->major != major || nearest->minor != minor)) {
        return errors::Unavailable(
            fmt::format("no exact interpreter for {} on this machine (--runtimes exact)", runtime));
    }
    return *nearest;
}

Result<RuntimePlan> RuntimeCatalog::PlanNow(const std::string& runtime) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = plans_.find(runtime); known != plans_.end()) {
        return known->second;
    }
    const RuntimeId id = ParseRuntimeId(runtime);
    RuntimePlan plan;
    const std::string runtimes = options_.library_directory + "/runtimes/";
    if (id.language == "provided") {
        plan.version = "provided:" + runtime.substr(std::string_view("provided.").size());
        plans_.emplace(runtime, plan);
        return plan;
    }
    if (id.language.empty()) {
        return errors::Unavailable(fmt::format("Hearth has no runtime {}", runtime));
    }
    const bool python = id.language == "python";
    Interpreter interpreter{.major = id.major, .minor = id.minor};
    if (const auto chosen = options_.paths.find(runtime); chosen != options_.paths.end()) {
        std::error_code error;
        const fs::path real = fs::canonical(chosen->second, error);
        if (error) {
            return errors::Unavailable(
                fmt::format("--runtime {}={}: {}", runtime, chosen->second, error.message()));
        }
        interpreter.path = real.string();
    } else {
        HEARTH_TRY(interpreter, Choose(runtime, python ? Pythons() : Nodes(), id.major, id.minor));
    }
    if (python) {
        // Without `site`: the bootstrap sets up sys.path itself, quicker.
        plan.argv = {interpreter.path, "-S", "/var/runtime/start.py"};
        plan.environment.emplace_back("PYTHONPATH", "/var/runtime");
        plan.version = fmt::format("python:{}.{}", interpreter.major, interpreter.minor);
    } else {
        plan.argv = {interpreter.path, "/var/runtime/index.cjs"};
        plan.environment.emplace_back(
            "NODE_PATH",
            fmt::format(
                "/opt/nodejs/node{}/node_modules:/opt/nodejs/node_modules:/var/runtime/"
                "node_modules:/var/runtime:/var/task",
                id.major));
        plan.version = fmt::format("nodejs:{}", interpreter.major);
    }
    plan.mounts.push_back({runtimes + (python ? "python" : "node"), "/var/runtime"});
    plan.environment.emplace_back("AWS_EXECUTION_ENV", "AWS_Lambda_" + runtime);
    // The environment sees the machine's /usr; anything else of an interpreter has to be shown.
    const fs::path prefix = fs::path(interpreter.path).parent_path().parent_path();
    const std::string prefix_text = prefix.string();
    if (prefix_text != "/" && prefix_text != "/usr" && !prefix_text.starts_with("/usr/")) {
        plan.mounts.push_back({prefix_text, prefix_text});
    }
    if (interpreter.major != id.major || interpreter.minor != id.minor) {
        plan.substitution = fmt::format(
            "{} runs on {} ({})",
            runtime,
            python ? fmt::format("python{}.{}", interpreter.major, interpreter.minor)
                   : fmt::format("nodejs{}", interpreter.major),
            interpreter.path);
        log::Info("lambda: {}", plan.substitution);
    }
    plans_.emplace(runtime, plan);
    return plan;
}

Task<Result<RuntimePlan>> RuntimeCatalog::Plan(std::string runtime) {
    {
        // On a loop the lock is only tried: another loop's first look at the machine takes a while.
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (lock.owns_lock()) {
            if (const auto known = plans_.find(runtime); known != plans_.end()) {
                co_return known->second;
            }
        }
    }
    co_return co_await pool_.Run([&] { return PlanNow(runtime); });
}

}  // namespace hearth::lambda
