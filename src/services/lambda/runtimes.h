#pragma once

#include "base/result.h"
#include "rt/blocking_pool.h"
#include "rt/task.h"
#include "sandbox/sandbox.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Runtimes are data: which interpreter and which bootstrap serve a runtime id such as "python3.12".
//
// Hearth has no images of its own; it takes the nearest interpreter of the machine. A different
// minor version is named in INIT_START and in `hearth functions`; with `--runtimes exact` it is
// refused.
namespace hearth::lambda {

// One interpreter of the machine.
struct Interpreter {
    std::string path;  // "/usr/bin/python3.11", no symbolic link
    int major = 0;
    int minor = 0;
};

// How a function of one runtime is started.
struct RuntimePlan {
    // Inside the environment. Empty for provided.*: the function brings its bootstrap.
    std::vector<std::string> argv;
    std::vector<sandbox::Mount> mounts;
    // Beyond what every function gets: PYTHONPATH, NODE_PATH, AWS_EXECUTION_ENV.
    std::vector<std::pair<std::string, std::string>> environment;
    // "python:3.11" or "provided:al2023", for INIT_START.
    std::string version;
    // Says so when the interpreter is not the one asked for: "python3.12 runs on python3.11
    // (/usr/bin/python3.11)".
    std::string substitution;
};

class RuntimeCatalog final {
  public:
    struct Options {
        // Bootstraps are in `<library_directory>/runtimes/<language>`.
        std::string library_directory;
        // "python3.13" -> "/opt/python/bin/python3.13"
        std::map<std::string, std::string> paths;
        bool exact = false;
        // Where interpreters are looked for, in this order, after `paths`.
        std::vector<std::string> search_directories;
    };

    RuntimeCatalog(Options options, rt::BlockingPool& pool);

    // /usr/bin, then PATH, then /usr/local/bin.
    static std::vector<std::string> DefaultSearchDirectories();

    // The plan for a runtime id; looks at the machine once per language. Any loop.
    //   errors  Runtime.Unavailable (no interpreter of that language, or no exact one)
    Task<Result<RuntimePlan>> Plan(std::string runtime);

  private:
    const std::vector<Interpreter>& Pythons();
    const std::vector<Interpreter>& Nodes();
    Result<RuntimePlan> PlanNow(const std::string& runtime);
    Result<Interpreter> Choose(
        const std::string& runtime, const std::vector<Interpreter>& found, int major, int minor);

    Options options_;
    rt::BlockingPool& pool_;
    // Guards what follows. Held while the machine is looked at, which happens on the pool only.
    std::mutex mutex_;
    std::map<std::string, RuntimePlan> plans_;
    std::optional<std::vector<Interpreter>> pythons_;
    std::optional<std::vector<Interpreter>> nodes_;
};

// Exposed for tests: "python3.12" -> {"python", 3, 12}; "nodejs20.x" -> {"nodejs", 20, 0};
// "provided.al2023" -> {"provided", 0, 0}. Empty language: not a runtime Hearth knows.
struct RuntimeId {
    std::string language;
    int major = 0;
    int minor = 0;
};

RuntimeId ParseRuntimeId(std::string_view runtime);

// Of several versions the wanted one, else the nearest newer, else the nearest older.
const Interpreter* Nearest(const std::vector<Interpreter>& found, int major, int minor);

}  // namespace hearth::lambda
