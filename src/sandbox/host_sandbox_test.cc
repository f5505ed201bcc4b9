// Whole environments on the real hearth-host, as root; skipped loudly elsewhere. Escape attempts
// are in tests/hostile.

#include "sandbox/host_sandbox.h"

#include "os/channel.h"
#include "os/file.h"
#include "rt/timer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace hearth::sandbox {
namespace {

std::string ProgramDirectory() {
    char path[PATH_MAX];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
    std::string program(path, static_cast<size_t>(size));
    // Test binaries lie somewhere below the build directory, programs in its root.
    while (!program.empty() && ::access((program + "/hearth-host").c_str(), X_OK) != 0) {
        program.resize(program.rfind('/') == std::string::npos ? 0 : program.rfind('/'));
    }
    return program;
}

std::string ReadAll(const os::Fd& fd) {
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t count = ::read(fd.get(), buffer, sizeof(buffer));
        if (count <= 0) {
            return text;
        }
        text.append(buffer, static_cast<size_t>(count));
    }
}

class HostSandboxTest : public ::testing::TestWithParam<const char*> {
  protected:
    template <class F>
    auto Run(F function) {
        return rt::BlockOn(*loops_, 0, std::move(function));
    }

    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "SKIPPED: environments need root";
        }
        char name[] = "/tmp/hearth-sandbox-test-XXXXXX";
        data_ = ::mkdtemp(name);
        // Mounts reach into directories that functions could not; plain processes cannot.
        ::chmod(data_.c_str(), std::string(GetParam()) == "none" ? 0711 : 0700);
        std::filesystem::create_directories(data_ + "/code");
        std::ofstream(data_ + "/code/hello.txt") << "hello";
        ::chmod((data_ + "/code").c_str(), 0755);
        auto ends = os::MakeChannel();
        ASSERT_TRUE(ends.ok());
        cloud_end_ = std::move(ends->first);
        host_end_ = std::move(ends->second);
        StartHost();
        loops_ = std::make_unique<rt::Loops>(1);
        auto copy = os::Duplicate(cloud_end_.get());
        ASSERT_TRUE(copy.ok());
        sandbox_ = std::make_unique<HostSandbox>(*loops_, *std::move(copy), Random::System());
        Run([this]() -> Task<void> {
            auto status = co_await sandbox_->Start();
            EXPECT_TRUE(status.ok());
            auto facts = co_await sandbox_->WaitFacts(std::chrono::seconds(30));
            CHECK(facts.ok(), "{}", facts.error().message());
            facts_ = *facts;
        });
    }

    void TearDown() override {
        if (sandbox_) {
            Run([this]() -> Task<void> { co_await sandbox_->Stop(); });
            sandbox_.reset();
        }
        loops_.reset();
        StopHost(SIGTERM);
        if (!data_.empty()) {
            std::filesystem::remove_all(data_);
        }
    }

    void StartHost() {
        const std::string program = ProgramDirectory() + "/hearth-host";
        host_ = ::fork();
        if (host_ == 0) {
            ::dup2(host_end_.get(), 10);
            ::execl(
                program.c_str(),
                "hearth-host",
                "--channel-fd",
                "10",
                "--data-name",
                data_.c_str(),
                "--uid",
                "61166",
                "--gid",
                "61166",
                "--isolation",
                GetParam(),
                "--pool",
                "2",
                nullptr);
            ::_exit(127);
        }
    }

    void StopHost(int signal) {
        if (host_ > 0) {
            ::kill(host_, signal);
            int status = 0;
            ::waitpid(host_, &status, 0);
            host_ = -1;
            if (signal == SIGTERM) {
                EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
            }
        }
    }

    // A runtime that waits on one connection, saved into the new file `image`.
    Task<void> SaveInto(std::string image, EnvironmentSpec spec) {
        auto environment = co_await sandbox_->Create(std::move(spec));
        CHECK(environment.ok());
        const os::Fd listener = (*environment)->TakeRuntimeApiListener();
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        ::fcntl(listener.get(), F_SETFL, 0);
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        const os::Fd connection(
            ::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
        char next[4];
        EXPECT_EQ(::recv(connection.get(), next, sizeof(next), MSG_WAITALL), 4);
        SaveRequest request;
        request.image = os::Fd(::open(image.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        request.ports = {ntohs(peer.sin_port)};
        const auto report = co_await (*environment)->Save(std::move(request));
        CHECK(report.ok(), "{}", report.error().message());
        EXPECT_EQ(report->refusal, "");
        EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
    }

    EnvironmentSpec Shell(const std::string& script) const {
        EnvironmentSpec spec;
        spec.id = "test";
        spec.argv = {"/bin/sh", "-c", script};
        spec.environment = {"PATH=/usr/bin:/bin", "CODE=/var/task/hello.txt"};
        spec.mounts = {{"code", "/var/task"}};
        return spec;
    }

    struct Outcome {
        ExitReport exit;
        Usage usage;
        std::string output;
        std::string error;
    };

    // Runs a script to its end.
    Outcome RunScript(EnvironmentSpec spec) {
        return Run([&]() -> Task<Outcome> {
            Outcome outcome;
            auto environment = co_await sandbox_->Create(std::move(spec));
            CHECK(environment.ok(), "{}", environment.error().message());
            os::Fd output = (*environment)->TakeStdout();
            os::Fd error = (*environment)->TakeStderr();
            CHECK((co_await (*environment)->Start()).ok());
            auto exit = co_await (*environment)->WaitExit();
            CHECK(exit.ok(), "{}", exit.error().message());
            outcome.exit = *exit;
            auto usage = co_await (*environment)->ReadUsage();
            CHECK(usage.ok(), "{}", usage.error().message());
            outcome.usage = *usage;
            EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
            outcome.output = ReadAll(output);
            outcome.error = ReadAll(error);
            co_return outcome;
        });
    }

    std::string data_;
    os::Fd cloud_end_;
    os::Fd host_end_;
    pid_t host_ = -1;
    HostFacts facts_;
    std::unique_ptr<rt::Loops> loops_;
    std::unique_ptr<HostSandbox> sandbox_;
};

INSTANTIATE_TEST_SUITE_P(
    Isolation, HostSandboxTest, ::testing::Values("namespaces", "none"), [](const auto& test) {
        return std::string(test.param);
    });

TEST_P(HostSandboxTest, ProgramSeesItsCodeAndItsExitComesBack) {
    const Outcome outcome = RunScript(Shell("cat $CODE; pwd >&2; exit 7"));
    EXPECT_EQ(outcome.output, "hello");
    EXPECT_EQ(outcome.exit.exit_code, 7) << outcome.error << outcome.exit.start_error;
    EXPECT_FALSE(outcome.exit.out_of_memory);
    if (facts_.backend == "namespaces") {
        EXPECT_EQ(outcome.error, "/var/task\n");
    }
}

TEST_P(HostSandboxTest, ProgramThatIsNotThereIsAStartError) {
    EnvironmentSpec spec = Shell("");
    spec.argv = {"/var/task/bootstrap"};
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_TRUE(outcome.exit.start_error.contains("No such file")) << outcome.exit.start_error;
}

TEST_P(HostSandboxTest, SignalThatEndsTheProgramIsReported) {
    const Outcome outcome = RunScript(Shell("kill -SEGV $$"));
    EXPECT_EQ(outcome.exit.signal, SIGSEGV);
}

TEST_P(HostSandboxTest, MemoryLimitKillsAndSaysSo) {
    if (!facts_.memory_limit) {
        GTEST_SKIP() << "SKIPPED: no memory control group here";
    }
    EnvironmentSpec spec = Shell("");
    spec.argv = {"/usr/bin/python3", "-S", "-c", "x = bytearray(300 << 20)"};
    spec.memory_mb = 64;
    spec.ephemeral_storage_mb = 10;
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_EQ(outcome.exit.signal, SIGKILL) << outcome.error;
    EXPECT_TRUE(outcome.exit.out_of_memory);
}

TEST_P(HostSandboxTest, MemoryLimitDoesNotLendTheRoomOfTmp) {
    if (!facts_.memory_limit) {
        GTEST_SKIP() << "SKIPPED: no memory control group here";
    }
    // Within memory + /tmp, above memory: the hard limit would let it pass.
    EnvironmentSpec spec = Shell("");
    spec.argv = {
        "/usr/bin/python3", "-S", "-c", "import time; x = bytearray(120 << 20); time.sleep(100)"};
    spec.memory_mb = 64;
    spec.ephemeral_storage_mb = 512;
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_EQ(outcome.exit.signal, SIGKILL) << outcome.error;
    EXPECT_TRUE(outcome.exit.out_of_memory);
}

TEST_P(HostSandboxTest, FullTmpIsNotMemory) {
    if (!facts_.memory_limit || facts_.backend != "namespaces") {
        GTEST_SKIP() << "SKIPPED: no memory control group here";
    }
    EnvironmentSpec spec = Shell("");
    spec.argv = {
        "/usr/bin/python3",
        "-S",
        "-c",
        "import os\n"
        "f = os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)\n"
        "n = 0\n"
        "try:\n"
        "    while n < 400: n += os.write(f, b'x' * (1 << 20)) >> 20\n"
        "except OSError as e: print(e.errno)\n"
        "print(n)\n"};
    spec.memory_mb = 64;
    spec.ephemeral_storage_mb = 200;
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_EQ(outcome.output, "28\n200\n") << outcome.error;
    EXPECT_EQ(outcome.exit.exit_code, 0);
}

TEST_P(HostSandboxTest, UsageCountsMemoryWithoutTmp) {
    if (!facts_.memory_limit || facts_.backend != "namespaces") {
        GTEST_SKIP() << "SKIPPED: no memory control group here";
    }
    EnvironmentSpec spec = Shell("dd if=/dev/zero of=/tmp/x bs=1M count=50 2>/dev/null; echo ok");
    spec.ephemeral_storage_mb = 100;
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_EQ(outcome.output, "ok\n");
    EXPECT_LT(outcome.usage.memory_bytes_max, 30U << 20);
    EXPECT_GT(outcome.usage.memory_bytes_max, 100U << 10);
    EXPECT_GT(outcome.usage.cpu_ns, 0U);
}

TEST_P(HostSandboxTest, EnvironmentOutlivesNothing) {
    // A daemonised grandchild that ignores signals dies with the environment.
    const std::string mark = fmt::format("8{:07}", ::getpid() % 10'000'000);
    RunScript(Shell(fmt::format(
        "(trap '' TERM INT HUP; setsid sleep {} >/dev/null 2>&1 </dev/null &) ; exit 0", mark)));
    for (int i = 0; i < 3000; ++i) {
        if (std::system(("pgrep -f 'slee[p] " + mark + "' >/dev/null").c_str()) != 0) {  // NOLINT
            return;
        }
        ::usleep(10'000);
    }
    FAIL() << "a process outlived its environment";
}

TEST_P(HostSandboxTest, FrozenStandsStillAndThawedGoesOn) {
    if (!facts_.freezer) {
        GTEST_SKIP() << "SKIPPED: no freezer here";
    }
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(
            Shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"));
        CHECK(environment.ok());
        os::Fd output = (*environment)->TakeStdout();
        ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        char buffer[4096];
        const auto await_output = [&]() -> bool {
            for (int i = 0; i < 3000; ++i) {
                if (::read(output.get(), buffer, sizeof(buffer)) > 0) {
                    return true;
                }
                ::usleep(10'000);
            }
            return false;
        };
        EXPECT_TRUE(await_output());
        EXPECT_TRUE((co_await (*environment)->Freeze()).ok());
        // Freezing is not instant: wait until nothing comes for a while.
        int silent = 0;
        for (int i = 0; i < 3000 && silent < 20; ++i) {
            silent = ::read(output.get(), buffer, sizeof(buffer)) > 0 ? 0 : silent + 1;
            ::usleep(10'000);
        }
        EXPECT_EQ(silent, 20);
        EXPECT_TRUE((co_await (*environment)->Thaw()).ok());
        EXPECT_TRUE(await_output());
        // Destroying a frozen one works, too.
        EXPECT_TRUE((co_await (*environment)->Freeze()).ok());
        EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
        auto exit = co_await (*environment)->WaitExit();
        EXPECT_TRUE(exit.ok() && exit->signal == SIGKILL);
    });
}

TEST_P(HostSandboxTest, NewHostAfterAKilledOneSweepsAndWorks) {
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(Shell("sleep 1000"));
        CHECK(environment.ok());
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        EXPECT_TRUE((co_await (*environment)->Freeze()).ok());
        StopHost(SIGKILL);
        StartHost();
        auto exit = co_await (*environment)->WaitExit();
        EXPECT_TRUE(exit.ok() && exit->signal == SIGKILL);
    });
    EXPECT_EQ(RunScript(Shell("echo again")).output, "again\n");
}

TEST_P(HostSandboxTest, HangUpDestroysEnvironments) {
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(Shell("sleep 1000"));
        CHECK(environment.ok());
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        ::kill(host_, SIGHUP);
        auto exit = co_await (*environment)->WaitExit();
        EXPECT_TRUE(exit.ok() && exit->signal == SIGKILL);
    });
}

TEST_P(HostSandboxTest, SourceOutsideTheExposedDirectoriesIsRefused) {
    for (const char* source : {"/etc", "../", "code/../..", "/root"}) {
        Run([&]() -> Task<void> {
            EnvironmentSpec spec = Shell("true");
            spec.mounts = {{source, "/opt"}};
            auto environment = co_await sandbox_->Create(std::move(spec));
            EXPECT_FALSE(environment.ok()) << source;
        });
    }
}

// Hostile trees, too: a link in a later one stands for itself and never for what it points to, and
// nothing in any of them can be changed.
TEST_P(HostSandboxTest, MountsOnOneTargetAreLaidOverEachOtherAndLaterOnesWin) {
    if (!sandbox_->StacksMounts()) {
        GTEST_SKIP() << "no overlayfs for this backend here";
    }
    namespace fs = std::filesystem;
    const auto put = [&](const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(data_ + "/" + path).parent_path());
        std::ofstream(data_ + "/" + path) << text;
    };
    put("a/bin/tool", "a");
    put("a/bin/only-a", "a");
    put("a/hidden/file", "a");
    put("a/link-to-be", "a");
    put("b/bin/tool", "b");
    put("b/bin/only-b", "b");
    put("b/hidden", "b is a file");
    put("c/bin/tool", "c");
    fs::create_symlink("bin", data_ + "/c/link-to-be");
    fs::create_symlink("/etc", data_ + "/c/etc");
    EnvironmentSpec spec = Shell(
        "cd /opt; cat bin/tool bin/only-a bin/only-b hidden link-to-be/tool; echo; ls; "
        "cat etc/passwd | head -1; echo x 2>/dev/null > new || echo read-only; "
        "rm -f bin/tool 2>/dev/null || echo kept");
    spec.mounts.push_back({"a", "/opt"});
    spec.mounts.push_back({"b", "/opt"});
    spec.mounts.push_back({"c", "/opt"});
    const Outcome outcome = RunScript(std::move(spec));
    EXPECT_EQ(
        outcome.output,
        "cabb is a filec\nbin\netc\nhidden\nlink-to-be\n"
        "root:x:0:0:root:/root:/sbin/nologin\nread-only\nkept\n")
        << outcome.error;
}

TEST_P(HostSandboxTest, ListenersAreReachableFromInside) {
    EnvironmentSpec spec = Shell("");
    spec.argv = {
        "/usr/bin/python3",
        "-S",
        "-c",
        "import os, socket\n"
        "for a in (os.environ['AWS_LAMBDA_RUNTIME_API'], os.environ['AWS_ENDPOINT_URL'][7:]):\n"
        "    h, p = a.split(':')\n"
        "    s = socket.create_connection((h, int(p)))\n"
        "    print(s.recv(100).decode())\n"};
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(std::move(spec));
        CHECK(environment.ok());
        os::Fd output = (*environment)->TakeStdout();
        os::Fd api = (*environment)->TakeRuntimeApiListener();
        os::Fd door = (*environment)->TakeDoorListener();
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        for (const auto& [listener, text] : {std::pair{&api, "api"}, {&door, "door"}}) {
            ::fcntl(listener->get(), F_SETFL, 0);
            const os::Fd connection(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
            EXPECT_TRUE(connection.valid());
            EXPECT_GT(::send(connection.get(), text, std::strlen(text), MSG_NOSIGNAL), 0);
        }
        auto exit = co_await (*environment)->WaitExit();
        EXPECT_TRUE(exit.ok() && exit->exit_code == 0);
        EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
        EXPECT_EQ(ReadAll(output), "api\ndoor\n");
    });
}

// Waits for an event as a runtime does, and answers what it got with what it had before.
constexpr const char* kWaitingRuntime =
    "import os, socket, sys\n"
    "h, p = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')\n"
    "memory = 'made before'\n"
    "s = socket.create_connection((h, int(p)))\n"
    "print('ready', flush=True)\n"
    "s.sendall(b'next')\n"
    "while True:\n"
    "    event = s.recv(100).decode()\n"
    "    if not event: break\n"
    "    print(event, memory, flush=True)\n"
    "    s.sendall((event + ' ' + memory).encode())\n";

TEST_P(HostSandboxTest, AWaitingRuntimeIsSavedAndEndsWithIt) {
    if (std::string(GetParam()) == "none") {
        GTEST_SKIP() << "nothing to save without namespaces";
    }
    EnvironmentSpec spec = Shell("");
    spec.argv = {"/usr/bin/python3", "-S", "-c", kWaitingRuntime};
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(std::move(spec));
        CHECK(environment.ok());
        const os::Fd listener = (*environment)->TakeRuntimeApiListener();
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        ::fcntl(listener.get(), F_SETFL, 0);
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        const os::Fd connection(
            ::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
        char next[4];
        EXPECT_EQ(::recv(connection.get(), next, sizeof(next), MSG_WAITALL), 4);
        const std::string image = data_ + "/image";
        SaveRequest request;
        request.image = os::Fd(::open(image.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        request.ports = {ntohs(peer.sin_port)};
        const auto report = co_await (*environment)->Save(std::move(request));
        CHECK(report.ok(), "{}", report.error().message());
        EXPECT_EQ(report->refusal, "");
        EXPECT_GT(report->image_bytes, 1u << 20);
        EXPECT_EQ(std::filesystem::file_size(image), report->image_bytes);
        const auto exit = co_await (*environment)->WaitExit();
        EXPECT_TRUE(exit.ok() && exit->signal == SIGKILL);
        EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
    });
}

// Saved once, it goes on in as many environments as are asked for, each with its own connections,
// output and end.
TEST_P(HostSandboxTest, ASavedRuntimeGoesOnInOthers) {
    if (std::string(GetParam()) == "none") {
        GTEST_SKIP() << "nothing to save without namespaces";
    }
    Run([&]() -> Task<void> {
        const std::string image = data_ + "/image";
        const auto spec = [&] {
            EnvironmentSpec made = Shell("");
            made.argv = {"/usr/bin/python3", "-S", "-c", kWaitingRuntime};
            return made;
        };
        co_await SaveInto(image, spec());
        auto made = co_await sandbox_->MakeTemplate(
            spec(),
            {.image = os::Fd(::open(image.c_str(), O_RDONLY | O_CLOEXEC)), .memory_use = {}});
        CHECK(made.ok(), "{}", made.error().message());
        std::vector<std::unique_ptr<Environment>> clones;
        std::vector<os::Fd> connections;
        for (int i = 0; i < 5; ++i) {
            EnvironmentSpec clone = spec();
            clone.from = made->get();
            clone.connections = 1;
            auto environment = co_await sandbox_->Create(std::move(clone));
            CHECK(environment.ok(), "{}", environment.error().message());
            auto ends = (*environment)->TakeConnections();
            CHECK(ends.size() == 1);
            connections.push_back(std::move(ends[0]));
            clones.push_back(*std::move(environment));
            // It may not be there yet, and finds this when it is.
            const std::string event = "event " + std::to_string(i);
            EXPECT_GT(
                ::send(connections.back().get(), event.data(), event.size(), MSG_NOSIGNAL), 0);
        }
        for (const auto& clone : clones) {
            EXPECT_TRUE((co_await clone->WaitRestored()).ok());
            EXPECT_TRUE(clone->restore_phases().has_value());
        }
        // The template is not needed any more once they are there.
        made->reset();
        for (int i = 0; i < 5; ++i) {
            const std::string event = "event " + std::to_string(i);
            const os::Fd& connection = connections[static_cast<size_t>(i)];
            char answer[100];
            const ssize_t count = ::recv(connection.get(), answer, sizeof(answer), 0);
            EXPECT_EQ(
                std::string(answer, static_cast<size_t>(std::max<ssize_t>(count, 0))),
                event + " made before");
        }
        for (int i = 0; i < 5; ++i) {
            auto& environment = clones[static_cast<size_t>(i)];
            const os::Fd output = environment->TakeStdout();
            // The end of its connection ends the program, by itself and with its own exit status.
            connections[static_cast<size_t>(i)].Close();
            const auto exit = co_await environment->WaitExit();
            EXPECT_TRUE(exit.ok() && exit->exit_code == 0);
            const auto usage = co_await environment->ReadUsage();
            EXPECT_TRUE(usage.ok());
            EXPECT_TRUE((co_await environment->Destroy()).ok());
            EXPECT_EQ(ReadAll(output), "event " + std::to_string(i) + " made before\n");
        }
    });
}

// A process of the host's writes it, some time after it was asked to.
Task<std::string> WaitForLearned(const std::string& path) {
    std::string learned;
    for (int i = 0; i < 6000 && !learned.starts_with("HWS2"); ++i) {
        co_await rt::Sleep(std::chrono::milliseconds(10));
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        learned = text.str();
    }
    co_return learned;
}

// What one environment's calls used is told to those made ahead of theirs; a file that says
// something else is no harm.
TEST_P(HostSandboxTest, WhichMemoryCallsUseIsLearned) {
    if (std::string(GetParam()) == "none") {
        GTEST_SKIP() << "nothing to save without namespaces";
    }
    Run([&]() -> Task<void> {
        const std::string image = data_ + "/image";
        const std::string use = image + ".use";
        const auto spec = [&] {
            EnvironmentSpec made = Shell("");
            made.argv = {"/usr/bin/python3", "-S", "-c", kWaitingRuntime};
            return made;
        };
        co_await SaveInto(image, spec());
        std::ofstream(use) << "no such file";
        for (const bool ahead : {false, true, true}) {
            SavedImage saved{
                .image = os::Fd(::open(image.c_str(), O_RDONLY | O_CLOEXEC)),
                .memory_use = os::Fd(::open(use.c_str(), O_RDWR | O_CLOEXEC))};
            auto made = co_await sandbox_->MakeTemplate(spec(), std::move(saved));
            CHECK(made.ok(), "{}", made.error().message());
            EnvironmentSpec clone = spec();
            clone.from = made->get();
            clone.connections = 1;
            clone.ahead = ahead;
            auto environment = co_await sandbox_->Create(std::move(clone));
            CHECK(environment.ok(), "{}", environment.error().message());
            auto ends = (*environment)->TakeConnections();
            CHECK(ends.size() == 1);
            EXPECT_EQ(::send(ends[0].get(), "event", 5, MSG_NOSIGNAL), 5);
            char answer[100];
            EXPECT_GT(::recv(ends[0].get(), answer, sizeof(answer), 0), 0);
            if (!ahead) {
                (*environment)->Answered();
                const std::string learned = co_await WaitForLearned(use);
                EXPECT_TRUE(learned.starts_with("HWS2")) << learned.size();
            }
            EXPECT_TRUE((co_await (*environment)->Freeze()).ok());
            EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
        }
    });
}

// Calls in a row end their environments before any is frozen, so the first two of a template are
// looked at after their first call; the third one when it is frozen.
TEST_P(HostSandboxTest, WhichMemoryCallsUseIsLearnedOfThree) {
    if (std::string(GetParam()) == "none") {
        GTEST_SKIP() << "nothing to save without namespaces";
    }
    Run([&]() -> Task<void> {
        const std::string image = data_ + "/image";
        const std::string use = image + ".use";
        EnvironmentSpec spec = Shell("");
        spec.argv = {"/usr/bin/python3", "-S", "-c", kWaitingRuntime};
        co_await SaveInto(image, spec);
        std::ofstream(use) << "";
        SavedImage saved{
            .image = os::Fd(::open(image.c_str(), O_RDONLY | O_CLOEXEC)),
            .memory_use = os::Fd(::open(use.c_str(), O_RDWR | O_CLOEXEC))};
        auto made = co_await sandbox_->MakeTemplate(spec, std::move(saved));
        CHECK(made.ok(), "{}", made.error().message());
        for (const bool frozen : {false, false, true}) {
            EnvironmentSpec clone = spec;
            clone.from = made->get();
            clone.connections = 1;
            auto environment = co_await sandbox_->Create(std::move(clone));
            CHECK(environment.ok(), "{}", environment.error().message());
            auto ends = (*environment)->TakeConnections();
            CHECK(ends.size() == 1);
            EXPECT_EQ(::send(ends[0].get(), "event", 5, MSG_NOSIGNAL), 5);
            char answer[100];
            EXPECT_GT(::recv(ends[0].get(), answer, sizeof(answer), 0), 0);
            // Of the one before.
            EXPECT_EQ(::truncate(use.c_str(), 0), 0);
            (*environment)->Answered();
            if (frozen) {
                EXPECT_TRUE((co_await (*environment)->Freeze()).ok());
            }
            const std::string learned = co_await WaitForLearned(use);
            EXPECT_TRUE(learned.starts_with("HWS2")) << learned.size();
            EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
        }
    });
}

TEST_P(HostSandboxTest, ARuntimeWithAChildCannotBeSavedAndSaysWhy) {
    if (std::string(GetParam()) == "none") {
        GTEST_SKIP() << "nothing to save without namespaces";
    }
    Run([&]() -> Task<void> {
        auto environment = co_await sandbox_->Create(Shell("sleep 1000 & echo ready; sleep 1000"));
        CHECK(environment.ok());
        os::Fd output = (*environment)->TakeStdout();
        EXPECT_TRUE((co_await (*environment)->Start()).ok());
        ::fcntl(output.get(), F_SETFL, 0);
        char ready[6];
        EXPECT_EQ(::read(output.get(), ready, sizeof(ready)), 6);
        SaveRequest request;
        request.image =
            os::Fd(::open((data_ + "/image").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        const auto report = co_await (*environment)->Save(std::move(request));
        CHECK(report.ok(), "{}", report.error().message());
        EXPECT_TRUE(report->refusal.contains("child")) << report->refusal;
        EXPECT_TRUE((co_await (*environment)->Destroy()).ok());
    });
}

TEST_P(HostSandboxTest, CompanionsStartBeforeTheRuntimeAndOutliveIt) {
    const std::string companion = data_ + "/code/companion";
    std::ofstream(companion) << "#!/bin/sh\n"
                                "echo companion $MARK $PWD\n"
                                "trap 'exit 3' TERM\n"
                                "while :; do sleep 0.01; done\n";
    ::chmod(companion.c_str(), 0755);
    Run([&]() -> Task<void> {
        EnvironmentSpec spec = Shell("echo runtime $$; exit 5");
        spec.companions = {"/var/task/companion", "/var/task/missing"};
        spec.companion_environment = {"PATH=/usr/bin:/bin", "MARK=here"};
        auto made = co_await sandbox_->Create(std::move(spec));
        CHECK(made.ok(), "{}", made.error().message());
        Environment& environment = **made;
        os::Fd output = environment.TakeStdout();
        os::Fd companion_output = environment.TakeCompanionOutput(1);
        EXPECT_TRUE((co_await environment.StartCompanions()).ok());
        std::array<char, 64> buffer{};
        const ssize_t count = ::read(companion_output.get(), buffer.data(), buffer.size());
        EXPECT_EQ(std::string(buffer.data(), static_cast<size_t>(count)), "companion here /\n");
        auto exit = co_await environment.WaitProcessExit();
        EXPECT_TRUE(exit.ok() && exit->process == 2);
        EXPECT_TRUE(exit->report.start_error.contains("No such file")) << exit->report.start_error;

        // A socket of the environment's own network.
        rt::TaskGroup group;
        std::optional<Result<ProcessExit>> next;
        group.Spawn([&]() -> Task<void> { next.emplace(co_await environment.WaitProcessExit()); });
        const auto socket = co_await environment.MakeSocket();
        EXPECT_TRUE(socket.ok() && socket->valid());
        EXPECT_TRUE((co_await environment.Start()).ok());
        co_await group.Join();
        EXPECT_TRUE(next->ok());
        EXPECT_EQ((*next)->process, kRuntimeProcess);
        EXPECT_EQ((*next)->report.exit_code, 5);
        if (facts_.backend == "namespaces") {
            EXPECT_EQ(ReadAll(output), "runtime 2\n");
        }

        EXPECT_TRUE(environment.SignalProcess(1, SIGTERM).ok());
        exit = co_await environment.WaitProcessExit();
        EXPECT_TRUE(exit.ok() && exit->process == 1 && exit->report.exit_code == 3);
        EXPECT_TRUE((co_await environment.Destroy()).ok());
        exit = co_await environment.WaitProcessExit();
        EXPECT_TRUE(exit.ok() && exit->report.lost);
    });
}

}  // namespace
}  // namespace hearth::sandbox
