#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"
#include "hearth/cli/image_store.h"
#include "os/file.h"
#include "vmm/guest/exec_protocol.h"
#include "vmm/guest/guest_client.h"
#include "vmm/image/manifest.h"

#include <CLI/CLI.hpp>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

// `hearth microvm run`: one command in a machine of its own, which ends with it.
namespace hearth::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The command's own status takes 0..255; this one says, as other programs that run programs do,
// that the command did not run.
constexpr int kNotRunStatus = 125;
constexpr int kEndWaitMs = 10'000;

struct MicrovmOptions {
    std::string image = "minimal";
    std::string directory;
    std::string kernel_arguments;
    std::string console;
    std::string working_directory;
    std::vector<std::string> environment;
    std::vector<std::string> command;
    uint32_t cpus = 1;
    uint32_t memory_mib = 256;
    int64_t timeout_s = 0;
    int64_t boot_timeout_s = 120;
    bool with_stdin = false;
    bool keep_quiet = false;
};

// What lies on disk while the machine runs. Fixed memory, because a signal's handler removes it.
struct Traces {
    std::array<char, 96> directory{};
    pid_t monitor = 0;
};

Traces traces;

constexpr const char* kLeaves[] = {"/machine.json", "/v.sock", "/v.sock_1025", "/console"};

void RemoveTraces() {
    if (traces.directory[0] == '\0') {
        return;
    }
    std::array<char, 128> path{};
    for (const char* leaf : kLeaves) {
        ::strcpy(path.data(), traces.directory.data());
        ::strcat(path.data(), leaf);
        ::unlink(path.data());
    }
    ::rmdir(traces.directory.data());
    traces.directory[0] = '\0';
}

void EndOnSignal(int number) {
    if (traces.monitor > 0) {
        ::kill(traces.monitor, SIGKILL);
    }
    RemoveTraces();
    ::_exit(128 + number);
}

// Ends the monitor and removes what it left, whatever happens.
class Machine final {
  public:
    Machine() = default;
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    ~Machine() {
        if (traces.monitor > 0) {
            ::kill(traces.monitor, SIGKILL);
            (void)Reap();
        }
        RemoveTraces();
    }

    Status MakeDirectory() {
        const char* runtime = std::getenv("XDG_RUNTIME_DIR");
        std::string name = std::string(runtime == nullptr ? "/tmp" : runtime) + "/hearth-vm.XXXXXX";
        if (name.size() >= traces.directory.size() || ::mkdtemp(name.data()) == nullptr) {
            name = "/tmp/hearth-vm.XXXXXX";
            if (::mkdtemp(name.data()) == nullptr) {
                return errors::System("make a folder in /tmp", errno);
            }
        }
        std::ranges::copy(name, traces.directory.begin());
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            ::signal(number, &EndOnSignal);
        }
        return {};
    }

    std::string directory() const { return traces.directory.data(); }

    std::string vsock() const { return directory() + "/v.sock"; }

    Status Start(const std::string& program, const os::Fd& console) {
        const std::string config = directory() + "/machine.json";
        const pid_t parent = ::getpid();
        const pid_t child = ::fork();
        if (child < 0) {
            return errors::System("fork", errno);
        }
        if (child == 0) {
            // A monitor without the one who started it is of no use to anybody.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) {
                ::_exit(1);
            }
            // Signals of the terminal are for the command line alone.
            ::setpgid(0, 0);
            const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            ::dup2(null, 0);
            ::dup2(console.get(), 1);
            ::dup2(console.get(), 2);
            ::execl(
                program.c_str(),
                "hearth-vmm",
                "--no-api",
                "--config-file",
                config.c_str(),
                static_cast<char*>(nullptr));
            ::_exit(127);
        }
        traces.monitor = child;
        process_ = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
        return process_.valid() ? Status() : Status(errors::System("pidfd_open", errno));
    }

    int process() const { return process_.get(); }

    // Waits for the end that the guest was asked for.
    void AwaitEnd() {
        pollfd waiting{process_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, kEndWaitMs) > 0) {
            (void)Reap();
        }
    }

  private:
    int Reap() {
        int status = 0;
        while (::waitpid(traces.monitor, &status, 0) < 0 && errno == EINTR) {
        }
        traces.monitor = 0;
        return status;
    }

    os::Fd process_;
};

std::string MachineJson(
    const MicrovmOptions& options,
    const std::string& image,
    bool has_root,
    const std::string& vsock) {
    std::string arguments =
        "console=ttyS0 quiet loglevel=4 reboot=k panic=-1 pci=off tsc=reliable "
        "random.trust_cpu=on cryptomgr.notests";
    if (has_root) {
        arguments += " hearth.root=/dev/vda";
    }
    if (!options.kernel_arguments.empty()) {
        arguments += " " + options.kernel_arguments;
    }
    codec::JsonWriter writer;
    const auto text = [&writer](std::string_view name, std::string_view value) {
        writer.Key(name);
        writer.String(value);
    };
    writer.BeginObject();
    writer.Key("boot-source");
    writer.BeginObject();
    text("kernel_image_path", image + "/" + vmm::kKernelFile);
    text("initrd_path", image + "/" + vmm::kInitrdFile);
    text("boot_args", arguments);
    writer.EndObject();
    writer.Key("drives");
    writer.BeginArray();
    if (has_root) {
        writer.BeginObject();
        text("drive_id", "root");
        text("path_on_host", image + "/" + vmm::kRootFile);
        writer.Key("is_root_device");
        writer.Bool(false);
        writer.Key("is_read_only");
        writer.Bool(true);
        writer.EndObject();
    }
    writer.EndArray();
    writer.Key("machine-config");
    writer.BeginObject();
    writer.Key("vcpu_count");
    writer.Uint(options.cpus);
    writer.Key("mem_size_mib");
    writer.Uint(options.memory_mib);
    writer.EndObject();
    writer.Key("vsock");
    writer.BeginObject();
    writer.Key("guest_cid");
    writer.Int(3);
    text("uds_path", vsock);
    writer.EndObject();
    writer.Key("entropy");
    writer.BeginObject();
    writer.EndObject();
    writer.EndObject();
    return writer.Take();
}

// Why a machine did not come up is on its console.
void ShowConsoleEnd(int console) {
    constexpr off_t kShownBytes = 2000;
    struct stat about{};
    if (::fstat(console, &about) != 0 || about.st_size == 0) {
        return;
    }
    std::string end(static_cast<size_t>(std::min<off_t>(about.st_size, kShownBytes)), '\0');
    const ssize_t bytes =
        ::pread(console, end.data(), end.size(), about.st_size - static_cast<off_t>(end.size()));
    if (bytes > 0) {
        end.resize(static_cast<size_t>(bytes));
        fmt::print(stderr, "hearth: the end of the machine's console:\n{}\n", end);
    }
}

Result<std::vector<std::pair<std::string, std::string>>> Variables(
    const std::vector<std::string>& given) {
    std::vector<std::pair<std::string, std::string>> variables;
    for (const std::string& one : given) {
        const size_t equals = one.find('=');
        if (equals == 0 || equals == std::string::npos) {
            return errors::Malformed("--env takes NAME=VALUE: " + one);
        }
        variables.emplace_back(one.substr(0, equals), one.substr(equals + 1));
    }
    return variables;
}

Result<int> RunMachine(const MicrovmOptions& options, Machine& machine, const os::Fd& console) {
    HEARTH_TRY(const std::string image, ImagePath(options.directory, options.image));
    HEARTH_TRY(const std::string monitor, SiblingProgram("hearth-vmm"));
    vmm::ExecRequest request;
    request.argv = options.command;
    request.directory = options.working_directory;
    request.with_stdin = options.with_stdin;
    HEARTH_TRY(request.environment, Variables(options.environment));
    HEARTH_TRY(const vmm::ImageManifest manifest, vmm::VerifyImage(image));
    const std::string json =
        MachineJson(options, image, manifest.Find(vmm::kRootFile) != nullptr, machine.vsock());
    HEARTH_RETURN_IF_ERROR(
        os::WriteFile(AT_FDCWD, machine.directory() + "/machine.json", json, O_CREAT | O_EXCL));
    HEARTH_TRY(const os::Fd ready, vmm::ListenForReady(machine.vsock()));
    HEARTH_RETURN_IF_ERROR(machine.Start(monitor, console));
    HEARTH_RETURN_IF_ERROR(
        vmm::AwaitReady(ready.get(), machine.process(), seconds(options.boot_timeout_s)));
    HEARTH_TRY(
        const os::Fd connection,
        vmm::ConnectGuest(machine.vsock(), vmm::kExecPort, seconds(options.boot_timeout_s)));
    const std::optional<milliseconds> timeout =
        options.timeout_s > 0 ? std::optional<milliseconds>(seconds(options.timeout_s))
                              : std::nullopt;
    HEARTH_TRY(
        const int status,
        vmm::ExecInGuest(
            connection.get(), request, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, timeout));
    // The machine is asked to end, so that a file system it writes is whole.
    if (const auto last = vmm::ConnectGuest(machine.vsock(), vmm::kExecPort, seconds(1));
        last.ok() && vmm::RebootGuest(last->get()).ok()) {
        machine.AwaitEnd();
    }
    return status;
}

int Run(const MicrovmOptions& options) {
    Machine machine;
    auto made = machine.MakeDirectory();
    const std::string path =
        options.console.empty() ? machine.directory() + "/console" : options.console;
    auto console = made.ok()
                       ? os::Open(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                       : Result<os::Fd>(made.error());
    if (!console.ok()) {
        fmt::print(stderr, "hearth: {}\n", console.error().message());
        return kNotRunStatus;
    }
    const auto status = RunMachine(options, machine, *console);
    if (!status.ok()) {
        fmt::print(stderr, "hearth: {}\n", status.error().message());
        if (!options.keep_quiet) {
            ShowConsoleEnd(console->get());
        }
        return kNotRunStatus;
    }
    return *status;
}

}  // namespace

void AddMicrovmCommand(CLI::App* app, int* exit_status) {
    CLI::App* microvm = app->add_subcommand("microvm", "Run commands in virtual machines");
    microvm->require_subcommand(1);
    CLI::App* run = microvm->add_subcommand(
        "run", "Boot a machine, run a command in it, end it; the status is the command's (or 125)");
    // Shared by CLI11's option bindings and the callback, which live as long as the app.
    auto options = std::make_shared<MicrovmOptions>();
    run->add_option(
        "--image", options->image, "An image of `hearth images build`, by name or path (minimal)");
    run->add_option("--directory", options->directory, "Where images lie");
    run->add_option("--cpus", options->cpus, "Virtual processors (1)")->check(CLI::Range(1, 32));
    run->add_option("--memory", options->memory_mib, "MiB of memory (256)")
        ->check(CLI::Range(64, 1 << 20));
    run->add_option("--env", options->environment, "NAME=VALUE for the command (may repeat)");
    run->add_option("--cwd", options->working_directory, "The command's folder");
    run->add_option(
        "--timeout", options->timeout_s, "Seconds that the command may take (no limit)");
    run->add_option(
        "--boot-timeout", options->boot_timeout_s, "Seconds until the machine must be up (120)");
    run->add_option("--console", options->console, "Keep the machine's console in this file");
    run->add_option("--kernel-arguments", options->kernel_arguments, "More for the kernel");
    run->add_flag("-i,--stdin", options->with_stdin, "The command reads standard input");
    run->add_option("command", options->command, "The command, after --")->required();
    run->callback([options, exit_status] { *exit_status = Run(*options); });
}

}  // namespace hearth::cli
