#include "testing/process_sandbox.h"

#include "base/check.h"
#include "rt/completion.h"
#include "rt/fd_watch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
        : spec_(std::move(spec)), live_(std::move(live)) {
        ++*live_;
        uint16_t port = 0;
        listener_ = Listen(port);
        spec_.environment.push_back(
            fmt::format("{}=127.0.0.1:{}", spec_.runtime_api_variable, port));
        for (const auto& mount : spec_.mounts) {
            for (auto* texts : {&spec_.argv, &spec_.environment}) {
                for (std::string& text : *texts) {
                    Replace(text, mount);
                }
            }
            Replace(spec_.working_directory, mount);
        }
        MakePipe(stdout_, child_stdout_);
        MakePipe(stderr_, child_stderr_);
    }

    ~ProcessEnvironment() override {
        Kill();
        if (pid_ > 0 && !reaped_) {
            ::waitpid(pid_, nullptr, 0);
        }
        Gone();
    }

    os::Fd TakeRuntimeApiListener() override { return std::move(listener_); }

    os::Fd TakeDoorListener() override { return {}; }

    os::Fd TakeStdout() override { return std::move(stdout_); }

    os::Fd TakeStderr() override { return std::move(stderr_); }

    Task<Status> Start() override {
        std::vector<char*> argv;
        for (std::string& text : spec_.argv) {
            argv.push_back(text.data());
        }
        argv.push_back(nullptr);
        std::vector<char*> environment;
        for (std::string& text : spec_.environment) {
            environment.push_back(text.data());
        }
        environment.push_back(nullptr);
        const int out = child_stdout_.get();
        const int err = child_stderr_.get();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setpgid(0, 0);
            ::dup2(out, 1);
            ::dup2(err, 2);
            if (::chdir(spec_.working_directory.c_str()) == 0) {
                ::execve(argv[0], argv.data(), environment.data());
            }
            ::_exit(127);
        }
        ::setpgid(pid_, pid_);
        child_stdout_.Close();
        child_stderr_.Close();
        pidfd_ = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        co_return Status();
    }

    Status Signal(int signal) override {
        ::kill(pid_, signal);
        return {};
    }

    Task<Status> Freeze() override {
        ::kill(-pid_, SIGSTOP);
        co_return Status();
    }

    Task<Status> Thaw() override {
        ::kill(-pid_, SIGCONT);
        co_return Status();
    }

    Task<Result<sandbox::ExitReport>> WaitExit() override {
        HEARTH_CO_TRY(auto watch, rt::FdWatch::Make(pidfd_.get()));
        HEARTH_CO_RETURN_IF_ERROR(co_await watch.Readable());
        int status = 0;
        ::waitpid(pid_, &status, 0);
        reaped_ = true;
        sandbox::ExitReport report;
        if (WIFEXITED(status)) {
            report.exit_code = WEXITSTATUS(status);
        } else {
            report.signal = WTERMSIG(status);
        }
        co_return report;
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

    void Kill() {
        if (pid_ > 0 && !reaped_) {
            ::kill(-pid_, SIGKILL);
        }
    }

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
    os::Fd pidfd_;
    pid_t pid_ = 0;
    bool reaped_ = false;
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
