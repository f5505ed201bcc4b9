// hearth-vmm: one microVM, driven over a unix socket in Firecracker's words or by a configuration
// file. The first thread becomes the VMM thread; the API and each vCPU have one of their own.

#include "os/file.h"
#include "vmm/api/api_server.h"
#include "vmm/api/microvm_controller.h"
#include "vmm/config/command_line.h"
#include "vmm/event/event_fd.h"
#include "vmm/event/event_loop.h"
#include "vmm/machine/action_queue.h"
#include "vmm/machine/microvm.h"
#include "vmm/machine/signals.h"
#include "vmm/machine/terminal.h"
#include "vmm/observe/logger.h"
#include "vmm/observe/metrics.h"
#include "vmm/seccomp/thread_filters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace hearth::vmm {
namespace {

constexpr std::chrono::seconds kMetricsInterval{60};

// A configuration or a metadata file larger than this is refused.
constexpr std::size_t kConfigBytesMax = 4 << 20;

int Fail(int exit_code, const Error& error) {
    vmmlog::Error("{}", error.message());
    fmt::print(stderr, "hearth-vmm: {}\n", error.message());
    return exit_code;
}

MicrovmOptions MachineOptions(
    const CommandLine& line,
    const MicrovmController& controller,
    std::function<void(int exit_code)> ended) {
    MicrovmOptions options;
    options.mmds = controller.mmds();
    options.boot_timer = line.boot_timer;
    options.console_in = STDIN_FILENO;
    options.console_out = STDOUT_FILENO;
    if (!line.no_seccomp) {
        options.filter_vcpu_thread = [] { return InstallThreadFilter(ThreadKind::kVcpu); };
        options.filter_vmm_thread = [] { return InstallThreadFilter(ThreadKind::kVmm); };
    }
    options.ended = std::move(ended);
    return options;
}

// What the command line says of the machine, before anybody else may.
Status Configure(const CommandLine& line, Controller& controller) {
    if (line.metadata) {
        HEARTH_TRY(const std::string text, os::ReadFile(AT_FDCWD, *line.metadata, kConfigBytesMax));
        HEARTH_TRY(codec::Json value, codec::ParseJson(text));
        HEARTH_TRY(const ActionReply reply, controller.Do(PutMmds{std::move(value)}));
    }
    if (line.config_file) {
        HEARTH_TRY(
            const std::string text, os::ReadFile(AT_FDCWD, *line.config_file, kConfigBytesMax));
        HEARTH_RETURN_IF_ERROR(ConfigureFromFile(controller, text));
    }
    return {};
}

// The API on its thread, for as long as this lives.
class ApiThread final {
  public:
    static Result<std::unique_ptr<ApiThread>> Start(const CommandLine& line, ActionQueue& queue) {
        ApiServerOptions options;
        options.socket_path = line.api_sock;
        options.payload_bytes_max = line.http_api_max_payload_size;
        if (!line.no_seccomp) {
            options.before_serving = [] { return InstallThreadFilter(ThreadKind::kApi); };
        }
        HEARTH_TRY(
            auto server, ApiServer::Listen(std::move(options), [&queue](ActionRequest request) {
                return queue.Submit(std::move(request));
            }));
        return std::unique_ptr<ApiThread>(new ApiThread(std::move(server)));
    }

    ~ApiThread() {
        server_->Stop();
        thread_.join();
    }

  private:
    explicit ApiThread(std::unique_ptr<ApiServer> server)
        : server_(std::move(server)), thread_([this] {
              vmmlog::NameThread("fc_api");
              if (const Status served = server_->Run(); !served.ok()) {
                  vmmlog::Error("The API ended: {}", served.error().message());
              }
          }) {}

    std::unique_ptr<ApiServer> server_;
    std::thread thread_;
};

void StoreStartTimes(const CommandLine& line) {
    const auto microseconds = [](clockid_t clock) {
        timespec now = {};
        ::clock_gettime(clock, &now);
        return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
               static_cast<std::uint64_t>(now.tv_nsec) / 1000;
    };
    if (line.start_time_us) {
        metrics::Get("api_server", "process_startup_time_us", true)
            .Store(microseconds(CLOCK_MONOTONIC) - *line.start_time_us);
    }
    const std::uint64_t cpu_us = microseconds(CLOCK_PROCESS_CPUTIME_ID);
    metrics::Get("api_server", "process_startup_time_cpu_us", true)
        .Store(cpu_us - line.start_time_cpu_us.value_or(0) + line.parent_cpu_time_us.value_or(0));
    vmmlog::Info("Ready after {} us of CPU time", cpu_us);
}

int Run(const CommandLine& line) {
    vmmlog::SetInstanceId(line.id);
    vmmlog::NeverWaitForStandardOutput();
    if (const Status logged = vmmlog::Configure(line.logger); !logged.ok()) {
        return Fail(kExitGeneric, logged.error());
    }
    if (line.metrics_path) {
        if (const Status opened = metrics::Configure(*line.metrics_path); !opened.ok()) {
            return Fail(kExitGeneric, opened.error());
        }
    }
    for (const auto install :
         {InstallSignalHandlers, VcpuThread::InstallKickHandler, InstallBadSystemCallHandler}) {
        if (const Status installed = install(); !installed.ok()) {
            return Fail(kExitGeneric, installed.error());
        }
    }
    auto created = EventLoop::Create();
    auto timer = TimerFd::Create();
    if (!created.ok() || !timer.ok()) {
        return Fail(kExitGeneric, created.ok() ? timer.error() : created.error());
    }
    EventLoop& loop = **created;
    int exit_code = kExitOk;
    MicrovmController* controller_now = nullptr;
    const auto ended = [&](int code) {
        exit_code = code;
        loop.Stop();
    };
    MicrovmController controller(
        {.id = line.id,
         .version = HEARTH_VERSION,
         .mmds_bytes_max = line.mmds_size_limit.value_or(line.http_api_max_payload_size)},
        [&](const VmConfig& config) -> Result<std::unique_ptr<RunningMachine>> {
            HEARTH_TRY(
                auto machine,
                Microvm::Start(config, loop, MachineOptions(line, *controller_now, ended)));
            return std::unique_ptr<RunningMachine>(std::move(machine));
        });
    controller_now = &controller;
    const RawTerminal terminal(STDIN_FILENO);
    const Status watched = loop.Add(timer->fd(), EPOLLIN, [&](std::uint32_t) {
        timer->Drain();
        // Until somebody names a file this is an error, and nobody's.
        const Result<ActionReply> flushed = controller.Do(FlushMetrics{});
        static_cast<void>(flushed.ok());
    });
    if (!watched.ok()) {
        return Fail(kExitGeneric, watched.error());
    }
    timer->Arm(kMetricsInterval, kMetricsInterval);
    ActionQueue queue(loop, controller);
    std::unique_ptr<ApiThread> api;
    if (!line.no_api) {
        auto started = ApiThread::Start(line, queue);
        if (!started.ok()) {
            return Fail(kExitGeneric, started.error());
        }
        api = std::move(*started);
    }
    // Behind the API's socket and thread: a machine's start closes this thread in for good, and
    // neither could be made then. Requests wait for the loop.
    if (const Status configured = Configure(line, controller); !configured.ok()) {
        queue.Close();
        return Fail(kExitBadConfiguration, configured.error());
    }
    StoreStartTimes(line);
    loop.Run();
    queue.Close();
    api.reset();
    const Result<ActionReply> flushed = controller.Do(FlushMetrics{});
    static_cast<void>(flushed.ok());
    controller.DestroyMachine();
    vmmlog::Info("Ended with exit code {}", exit_code);
    return exit_code;
}

}  // namespace
}  // namespace hearth::vmm

int main(int argc, char** argv) {
    using namespace hearth;
    // One arena: each further one costs the address space and memory of a whole heap.
    ::mallopt(M_ARENA_MAX, 1);
    // The first line of a log would read the time zone's file, and whoever writes it may be a
    // thread that must not open files any more.
    ::tzset();
    os::EnsureStdio();
    const auto line = vmm::ParseCommandLine(
        std::span<const char* const>(argv, static_cast<std::size_t>(argc)).subspan(1),
        HEARTH_VERSION);
    if (!line.ok()) {
        fmt::print(stderr, "hearth-vmm: {}\n", line.error().message());
        return vmm::kExitArguments;
    }
    if (line->print) {
        fmt::print("{}", *line->print);
        return vmm::kExitOk;
    }
    return vmm::Run(*line);
}
