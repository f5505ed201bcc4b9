#include "testing/process_sandbox.h"

#include "base/check.h"
#include "rt/timer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace hearth::testing {

namespace {

os::Fd Listen(uint16_t& port) {
    os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(::listen(fd.get(), 64) == 0);
    CHECK(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
    return fd;
}

class ProcessEnvironment final : public sandbox::Environment {
  public:
    ProcessEnvironment(sandbox::EnvironmentSpec spec, std::shared_ptr<std::atomic<int>> live)
        : spec_(std::move(spec)), live_(std::move(live)), processes_(1 + spec_.companions.size()) {
        ++*live_;
        uint16_t port = 0;
        listener_ = Listen(port);
        for (auto* variables : {&spec_.environment, &spec_.companion_environment}) {
            variables->push_back(fmt::format("{}=127.0.0.1:{}", spec_.runtime_api_variable, port));
        }
        for (const auto& mount : spec_.mounts) {
            for (auto* texts :
                 {&spec_.argv,
                  &spec_.environment,
                  &spec_.companions,
                  &spec_.companion_environment}) {
                for (std::string& text : *texts) {
                    Replace(text, mount);
                }
            }
            Replace(spec_.working_directory, mount);
        }
        MakePipe(stdout_, child_stdout_);
        MakePipe(stderr_, child_stderr_);
        for (size_t i = 1; i < processes_.size(); ++i) {
            MakePipe(processes_[i].output, processes_[i].child_output);
        }
    }

    ~ProcessEnvironment() override {
        Kill();
        for (const Process& process : processes_) {
            if (process.pid > 0 && !process.reaped) {
                ::waitpid(process.pid, nullptr, 0);
            }
        }
        Gone();
    }

    os::Fd TakeRuntimeApiListener() override { return std::move(listener_); }

    os::Fd TakeDoorListener() override { return {}; }

    os::Fd TakeStdout() override { return std::move(stdout_); }

    os::Fd TakeStderr() override { return std::move(stderr_); }

    os::Fd TakeCompanionOutput(size_t companion) override {
        return std::move(processes_.at(companion).output);
    }

    Task<Status> StartCompanions() override {
        for (size_t i = 1; i < processes_.size(); ++i) {
            std::vector<std::string> argv = {spec_.companions[i - 1]};
            Launch(
                processes_[i],
                argv,
                spec_.companion_environment,
                "/",
                processes_[i].child_output.get(),
                processes_[i].child_output.get());
            processes_[i].child_output.Close();
        }
        co_return Status();
    }

    Task<Status> Start() override {
        Launch(
            processes_[0],
            spec_.argv,
            spec_.environment,
            spec_.working_directory,
            child_stdout_.get(),
            child_stderr_.get());
        child_stdout_.Close();
        child_stderr_.Close();
        co_return Status();
    }

    Status SignalProcess(size_t process, int signal) override {
        if (processes_.at(process).pid > 0 && !processes_[process].reaped) {
            ::kill(processes_[process].pid, signal);
        }
        return {};
    }

    Task<Result<os::Fd>> MakeSocket() override {
        co_return os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }

    Task<Status> Freeze() override {
        SignalGroups(SIGSTOP);
        co_return Status();
    }

    Task<Status> Thaw() override {
        SignalGroups(SIGCONT);
        co_return Status();
    }

    Task<Result<sandbox::ExitReport>> WaitExit() override {
        HEARTH_CO_TRY(sandbox::ProcessExit exit, co_await WaitProcessExit());
        co_return std::move(exit.report);
    }

    Task<Result<sandbox::ProcessExit>> WaitProcessExit() override {
        while (true) {
            for (size_t i = 0; i < processes_.size(); ++i) {
                Process& process = processes_[i];
                int status = 0;
                if (process.pid <= 0 || process.reaped ||
                    ::waitpid(process.pid, &status, WNOHANG) != process.pid) {
                    continue;
                }
                process.reaped = true;
                sandbox::ProcessExit exit{.process = i, .report = {}};
                if (!WIFEXITED(status)) {
                    exit.report.signal = WTERMSIG(status);
                } else if (WEXITSTATUS(status) == kNotStarted) {
                    exit.report.start_error = "execve: it did not start";
                } else {
                    exit.report.exit_code = WEXITSTATUS(status);
                }
                co_return exit;
            }
            // What was killed is reaped first: its end tells more than that all is gone.
            const bool all_reaped = std::ranges::all_of(processes_, [](const Process& process) {
                return process.pid <= 0 || process.reaped;
            });
            if (gone_ && all_reaped) {
                co_return sandbox::ProcessExit{
                    .report = {.signal = SIGKILL, .lost = true}, .last = true};
            }
            // A test can do with looking often.
            co_await rt::Sleep(std::chrono::milliseconds(2));
        }
    }

    Task<Result<sandbox::Usage>> ReadUsage() override {
        co_return sandbox::Usage{.memory_bytes_max = 20u << 20};
    }

    Task<Status> ResetMemoryPeak() override { co_return Status(); }

    Task<Status> Destroy() override {
        Kill();
        Gone();
        co_return Status();
    }

  private:
    static void Replace(std::string& text, const sandbox::Mount& mount) {
        for (size_t at = text.find(mount.target); at != std::string::npos;
             at = text.find(mount.target, at + mount.source.size())) {
            text.replace(at, mount.target.size(), mount.source);
        }
    }

    static void MakePipe(os::Fd& read, os::Fd& write) {
        std::array<int, 2> ends{};
        CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
        read = os::Fd(ends[0]);
        write = os::Fd(ends[1]);
    }

    struct Process {
        pid_t pid = 0;
        bool reaped = false;
        os::Fd output;
        os::Fd child_output;
    };

    static constexpr int kNotStarted = 126;

    static void Launch(
        Process& process,
        std::vector<std::string>& arguments,
        std::vector<std::string>& variables,
        const std::string& directory,
        int out,
        int err) {
        const auto pointers = [](std::vector<std::string>& texts) {
            std::vector<char*> list;
            for (std::string& text : texts) {
                list.push_back(text.data());
            }
            list.push_back(nullptr);
            return list;
        };
        std::vector<char*> argv = pointers(arguments);
        std::vector<char*> environment = pointers(variables);
        process.pid = ::fork();
        if (process.pid == 0) {
            ::setpgid(0, 0);
            ::dup2(out, 1);
            ::dup2(err, 2);
            if (::chdir(directory.c_str()) == 0) {
                ::execve(argv[0], argv.data(), environment.data());
            }
            ::_exit(kNotStarted);
        }
        ::setpgid(process.pid, process.pid);
    }

    void SignalGroups(int signal) {
        for (const Process& process : processes_) {
            if (process.pid > 0 && !process.reaped) {
                ::kill(-process.pid, signal);
            }
        }
    }

    void Kill() { SignalGroups(SIGKILL); }

    void Gone() {
        if (!std::exchange(gone_, true)) {
            --*live_;
        }
    }

    sandbox::EnvironmentSpec spec_;
    std::shared_ptr<std::atomic<int>> live_;
    os::Fd listener_;
    os::Fd stdout_;
    os::Fd stderr_;
    os::Fd child_stdout_;
    os::Fd child_stderr_;
    std::vector<Process> processes_;
    bool gone_ = false;
};

}  // namespace

ProcessSandbox::ProcessSandbox() : live_(std::make_shared<std::atomic<int>>(0)) {}

ProcessSandbox::~ProcessSandbox() = default;

Task<Result<std::unique_ptr<sandbox::Environment>>> ProcessSandbox::Create(
    sandbox::EnvironmentSpec spec) {
    if (failing_ > 0) {
        --failing_;
        co_return errors::Unavailable("the test wants it so");
    }
    ++made_;
    std::unique_ptr<sandbox::Environment> environment =
        std::make_unique<ProcessEnvironment>(std::move(spec), live_);
    co_return environment;
}

}  // namespace hearth::testing
