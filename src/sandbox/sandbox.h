#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "rt/task.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Where functions run. Backends: `namespaces` (namespaces/), `none` (plain processes, for machines
// where nothing else works; says so at start), later `microvm`. Nothing above this header knows
// which.
namespace hearth::sandbox {

// A directory of the outside that the environment sees read-only. Several on one target are laid
// over each other where Sandbox::StacksMounts: later ones hide what earlier ones have at the same
// path, directories are merged.
struct Mount {
    std::string source;  // absolute, or relative to the data directory
    std::string target;  // absolute inside, such as "/var/task"
};

// A saved runtime, held by the host as a process that never runs; environments are made from it in
// about a millisecond (docs/internals/snapshots.md). Destroying the object ends that process;
// environments made from it live on.
class Template {
  public:
    virtual ~Template() = default;
};

// Where the time of an environment made from a template went.
struct RestorePhases {
    std::chrono::nanoseconds sandbox{0};      // a prepared one is found, with mounts and limits
    std::chrono::nanoseconds clone{0};        // the fork
    std::chrono::nanoseconds join{0};         // namespaces, groups, rights
    std::chrono::nanoseconds descriptors{0};  // opened anew
    std::chrono::nanoseconds threads{0};
    std::chrono::nanoseconds filter{0};
};

struct EnvironmentSpec {
    // Shows up in cgroup and log names: [a-z0-9-]{1,64}.
    std::string id;
    // The program and its environment variables inside the sandbox.
    std::vector<std::string> argv;
    std::vector<std::string> environment;
    std::string working_directory = "/var/task";
    std::vector<Mount> mounts;
    int64_t memory_mb = 128;
    int64_t ephemeral_storage_mb = 512;
    int32_t pids_max = 1024;
    int32_t open_files_max = 1024;
    // Share of CPU in proportion to memory; 0 means no hard quota.
    int64_t cpu_quota_millis = 0;
    // Names of variables that the backend adds to `environment`, because only it knows the
    // addresses: the Runtime API ("127.0.0.1:9001") and the door to Hearth
    // ("http://127.0.0.1:4566"). Empty: none.
    std::string runtime_api_variable = "AWS_LAMBDA_RUNTIME_API";
    std::string door_variable = "AWS_ENDPOINT_URL";
    bool egress = false;
    // Further programs, each a path inside, started by StartCompanions before the runtime. All have
    // the variables of `companion_environment` (and those two that the backend adds) and start in
    // /.
    std::vector<std::string> companions;
    std::vector<std::string> companion_environment;
    // The runtime goes on from here instead of being started: Start must not be called, `argv` and
    // `environment` are the saved ones. It must live until Environment::WaitRestored ends.
    const Template* from = nullptr;
    // Of a runtime that goes on: the connections it waits on, as many as it was saved with.
    uint32_t connections = 0;
    // Of a runtime that goes on: no call waits for it, so the memory that calls use is made ready
    // first.
    bool ahead = false;
};

// What a template is made from.
struct SavedImage {
    // That Save wrote, open for reading.
    os::Fd image;
    // Beside it: which memory calls use, as the backend finds out. Open for reading and writing,
    // empty at first; what is no such file is ignored and written over. Invalid: none.
    os::Fd memory_use;
};

struct SaveRequest {
    // A new file, open for reading and writing.
    os::Fd image;
    // The connections to the Runtime API on which the runtime waits for us: their local ports,
    // inside. Everything it sent on them must have been read. In this order Environment::
    // TakeConnections gives them back.
    std::vector<uint16_t> ports;
};

struct SaveReport {
    // What the process has that no image can hold, for people: "it has 2 child processes". Empty:
    // it was saved.
    std::string refusal;
    uint64_t image_bytes = 0;
    // How long the process stood still.
    std::chrono::nanoseconds frozen{0};
};

// How an environment's first process ended.
struct ExitReport {
    // As waitpid's: exit code, or signal number.
    std::optional<int> exit_code;
    std::optional<int> signal;
    // The memory limit killed something in it.
    bool out_of_memory = false;
    // It ended with the machinery around it (the host process crashed), by no fault of the program.
    bool lost = false;
    // Set when the program never ran: "execve /var/runtime/bootstrap: No such file or directory".
    std::string start_error;
};

// Which process of an environment: the runtime, or one of EnvironmentSpec::companions, counted from
// 1.
inline constexpr size_t kRuntimeProcess = 0;

struct ProcessExit {
    size_t process = kRuntimeProcess;
    ExitReport report;
    // All that was left of the environment has ended with this one; there is no further exit.
    bool last = false;
};

struct Usage {
    // Highest memory of the processes, without /tmp; of a runtime that was made from a template,
    // with the template's memory, which it would have itself otherwise.
    uint64_t memory_bytes_max = 0;
    // Of that, the template's.
    uint64_t template_bytes = 0;
    uint64_t cpu_ns = 0;
};

// One environment. All calls from one loop thread at a time. Destroying the object destroys the
// environment.
class Environment {
  public:
    virtual ~Environment() = default;

    // The Runtime API's listening socket, open inside the environment's network. Taken once.
    virtual os::Fd TakeRuntimeApiListener() = 0;
    // The listening socket through which the function calls Hearth itself (the address in
    // `door_variable`); whoever accepts on it knows which environment calls. Taken once.
    virtual os::Fd TakeDoorListener() = 0;
    // Read ends of the function's stdout and stderr. Taken once each.
    virtual os::Fd TakeStdout() = 0;
    virtual os::Fd TakeStderr() = 0;
    // Read end of the output (stdout and stderr) of one companion, counted from 1. Taken once.
    virtual os::Fd TakeCompanionOutput(size_t companion) = 0;

    // Starts all companions. Called once, before Start.
    virtual Task<Status> StartCompanions() = 0;
    // Starts the runtime. Called once. A program that cannot be started ends at once: see
    // ExitReport::start_error.
    virtual Task<Status> Start() = 0;

    // Sends a signal (SIGTERM, say) to the runtime process, or to a companion.
    virtual Status Signal(int signal) { return SignalProcess(kRuntimeProcess, signal); }

    virtual Status SignalProcess(size_t process, int signal) = 0;
    // A new TCP socket inside the environment's network, not connected yet, non-blocking: what it
    // connects to is what the function's programs would reach. The environment must not be frozen.
    virtual Task<Result<os::Fd>> MakeSocket() = 0;

    // Its runtime has answered a call: what it holds in memory now is what calls use.
    virtual void Answered() {}

    virtual Task<Status> Freeze() = 0;
    virtual Task<Status> Thaw() = 0;
    // Ends when the runtime has ended, by itself or by Destroy. May be called once.
    virtual Task<Result<ExitReport>> WaitExit() = 0;
    // With companions this is called instead, again after each exit: the environment lives on when
    // one of its processes ends, until Destroy. Must be waiting whenever MakeSocket is called.
    virtual Task<Result<ProcessExit>> WaitProcessExit() = 0;
    // Writes the runtime, which must be waiting, into an image. It ends with it, whatever comes of
    // it: destroy the environment afterwards.
    //   errors  Unimplemented where nothing can be saved
    virtual Task<Result<SaveReport>> Save(SaveRequest request);

    // Our ends of the connections that a runtime made from a template waits on. Taken once.
    virtual std::vector<os::Fd> TakeConnections() { return {}; }

    // Of a runtime made from a template: ends when it goes on, or when it is known that it never
    // will, and why. Create may end before that: what is written to its connections meanwhile is
    // there when it looks. May be called once.
    //   errors  Conflict: it has never run; others: nobody knows (the host crashed)
    virtual Task<Status> WaitRestored() { co_return Status(); }

    // Of a runtime made from a template, where that is known, after WaitRestored.
    virtual std::optional<RestorePhases> restore_phases() const { return std::nullopt; }

    // From now on everything in it together gets at most these thousandths of one processor.
    //   errors  Unimplemented where nothing can limit it
    virtual Status SetCpuQuota(int64_t cpu_quota_millis);

    virtual Task<Result<Usage>> ReadUsage() = 0;
    // Starts the high-water mark of memory anew (for Max Memory Used per invocation), where
    // possible.
    virtual Task<Status> ResetMemoryPeak() = 0;
    // Kills everything in it and gives back what it held. Idempotent.
    virtual Task<Status> Destroy() = 0;
};

class Sandbox {
  public:
    virtual ~Sandbox() = default;
    // Makes an environment ready to Start: mounts, limits, network. Nothing runs yet.
    virtual Task<Result<std::unique_ptr<Environment>>> Create(EnvironmentSpec spec) = 0;

    // Whether an environment may have several mounts on one target.
    virtual bool StacksMounts() const { return false; }

    // Makes a template from an image that Save wrote. `spec` as of the environments that will be
    // made from it.
    //   errors  Conflict when the image does not fit this machine or its files any more: make a new
    //           one; Unimplemented where nothing can be restored
    virtual Task<Result<std::unique_ptr<Template>>> MakeTemplate(
        EnvironmentSpec spec, SavedImage saved);

    // Whether Save and MakeTemplate do anything.
    virtual bool CanSave() const { return false; }

    // "namespaces" or "none".
    virtual const std::string& backend() const = 0;
};

}  // namespace hearth::sandbox
