// Cold starts of an environment and thaws, against a plain fork and exec of the same program. As
// root:
//   build/release/src/sandbox/host_sandbox_bench

#include "os/channel.h"
#include "os/file.h"
#include "rt/timer.h"
#include "sandbox/host_sandbox.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace hearth::sandbox {
namespace {

const std::vector<std::string>& Program() {
    static const std::vector<std::string> kProgram = {
        "/usr/bin/python3", "-S", "-E", "-c", "import json"};
    return kProgram;
}

struct World {
    World() {
        auto ends = os::MakeChannel();
        char path[PATH_MAX];
        const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
        std::string directory(path, static_cast<size_t>(size));
        while (::access((directory + "/hearth-host").c_str(), X_OK) != 0) {
            directory.resize(directory.rfind('/'));
        }
        const std::string program = directory + "/hearth-host";
        host = ::fork();
        if (host == 0) {
            ::dup2(ends->second.get(), 10);
            ::execl(
                program.c_str(),
                "hearth-host",
                "--channel-fd",
                "10",
                "--data-name",
                "/tmp",
                "--pool",
                "4",
                nullptr);
            ::_exit(127);
        }
        sandbox = std::make_unique<HostSandbox>(loops, std::move(ends->first), Random::System());
        rt::BlockOn(loops, 0, [this]() -> Task<void> {
            CHECK((co_await sandbox->Start()).ok());
            CHECK((co_await sandbox->WaitFacts(std::chrono::seconds(30))).ok());
        });
    }

    ~World() {
        rt::BlockOn(loops, 0, [this]() -> Task<void> { co_await sandbox->Stop(); });
        ::kill(host, SIGTERM);
        ::waitpid(host, nullptr, 0);
    }

    static EnvironmentSpec Spec(std::vector<std::string> argv) {
        EnvironmentSpec spec;
        spec.id = "bench";
        spec.argv = std::move(argv);
        spec.environment = {"PATH=/usr/bin:/bin"};
        spec.working_directory = "/tmp";
        spec.memory_mb = 1769;
        return spec;
    }

    pid_t host = -1;
    rt::Loops loops{1};
    std::unique_ptr<HostSandbox> sandbox;
};

World& Shared() {
    static World world;
    return world;
}

void BM_PlainExec(benchmark::State& state) {
    for (auto _ : state) {
        std::vector<char*> arguments;
        for (const std::string& argument : Program()) {
            arguments.push_back(const_cast<char*>(argument.c_str()));
        }
        arguments.push_back(nullptr);
        pid_t pid = 0;
        ::posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
        ::waitpid(pid, nullptr, 0);
    }
}

// Arg 1: a pause between starts, so that the pool is full each time.
void BM_Environment(benchmark::State& state) {
    World& world = Shared();
    for (auto _ : state) {
        rt::BlockOn(world.loops, 0, [&]() -> Task<void> {
            auto spec = World::Spec(Program());
            auto environment = co_await world.sandbox->Create(std::move(spec));
            CHECK(environment.ok());
            CHECK((co_await (*environment)->Start()).ok());
            auto exit = co_await (*environment)->WaitExit();
            CHECK(exit.ok() && exit->exit_code == 0);
            state.PauseTiming();
            CHECK((co_await (*environment)->Destroy()).ok());
            if (state.range(0) != 0) {
                co_await rt::Sleep(std::chrono::milliseconds(state.range(0)));
            }
            state.ResumeTiming();
        });
    }
}

void BM_CreateOnly(benchmark::State& state) {
    World& world = Shared();
    for (auto _ : state) {
        rt::BlockOn(world.loops, 0, [&]() -> Task<void> {
            auto spec = World::Spec(Program());
            auto environment = co_await world.sandbox->Create(std::move(spec));
            CHECK(environment.ok());
            state.PauseTiming();
            CHECK((co_await (*environment)->Destroy()).ok());
            co_await rt::Sleep(std::chrono::milliseconds(state.range(0)));
            state.ResumeTiming();
        });
    }
}

void BM_FreezeThaw(benchmark::State& state) {
    World& world = Shared();
    rt::BlockOn(world.loops, 0, [&]() -> Task<void> {
        auto spec = World::Spec({"/bin/sleep", "1000"});
        auto environment = co_await world.sandbox->Create(std::move(spec));
        CHECK(environment.ok());
        CHECK((co_await (*environment)->Start()).ok());
        for (auto _ : state) {
            state.PauseTiming();
            CHECK((co_await (*environment)->Freeze()).ok());
            co_await rt::Sleep(std::chrono::milliseconds(5));
            state.ResumeTiming();
            CHECK((co_await (*environment)->Thaw()).ok());
        }
        CHECK((co_await (*environment)->Destroy()).ok());
    });
}

void BM_ReadUsage(benchmark::State& state) {
    World& world = Shared();
    rt::BlockOn(world.loops, 0, [&]() -> Task<void> {
        auto spec = World::Spec({"/bin/sleep", "1000"});
        auto environment = co_await world.sandbox->Create(std::move(spec));
        CHECK(environment.ok());
        CHECK((co_await (*environment)->Start()).ok());
        for (auto _ : state) {
            CHECK((co_await (*environment)->ReadUsage()).ok());
        }
        CHECK((co_await (*environment)->Destroy()).ok());
    });
}

BENCHMARK(BM_PlainExec)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(60);
BENCHMARK(BM_Environment)->Arg(30)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(60);
BENCHMARK(BM_Environment)->Arg(0)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(60);
BENCHMARK(BM_CreateOnly)->Arg(30)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(60);
BENCHMARK(BM_FreezeThaw)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(100);
BENCHMARK(BM_ReadUsage)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(1000);

}  // namespace
}  // namespace hearth::sandbox
