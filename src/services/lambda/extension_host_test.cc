// Environments with extensions as plain processes: the phases, and what ends them.
#include "services/lambda/extension_host.h"

#include "services/lambda/execution_environment.h"
#include "testing/process_sandbox.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace hearth::lambda {
namespace {

namespace fs = std::filesystem;

class TestCode final : public CodeDirectory {
  public:
    explicit TestCode(std::string path) : path_(std::move(path)) {}

    const std::string& path() const override { return path_; }

  private:
    std::string path_;
};

// The code id is the directory.
class TestCodeCache final : public CodeCache {
  public:
    Task<Result<std::shared_ptr<const CodeDirectory>>> Open(std::string code_id) override {
        std::shared_ptr<const CodeDirectory> code = std::make_shared<TestCode>(code_id);
        co_return code;
    }

    Task<Result<std::shared_ptr<const CodeDirectory>>> OpenMerged(
        std::vector<std::string>) override {
        co_return errors::Unavailable("not in this test");
    }
};

class KeepingLogSink final : public LogSink {
  public:
    Task<Status> Append(const LogDestination&, std::vector<LogLine> batch) override {
        for (LogLine& line : batch) {
            lines.push_back(std::move(line.text));
        }
        co_return Status();
    }

    size_t Count(std::string_view part) const {
        return static_cast<size_t>(
            std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
                return line.find(part) != std::string::npos;
            }));
    }

    std::vector<std::string> lines;
};

// What extensions of these tests start with. argv[0] is where the file lies on this machine.
constexpr std::string_view kScript = R"(#!/usr/bin/env python3
import http.client, json, os, sys, time
def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers = {"Lambda-Extension-" + name: value for name, value in headers.items()}
    connection.request(method, "/2020-01-01/extension/" + path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()
def register():
    answer = call("POST", "register", {"events": ["INVOKE", "SHUTDOWN"]}, Name="one")
    return answer[1]["Lambda-Extension-Identifier"]
def next_event(identifier):
    return json.loads(call("GET", "event/next", Identifier=identifier)[2])
)";

constexpr std::string_view kHandler = "def handler(event, context):\n    return 1\n";

class ExtensionHostTest : public ::testing::Test {
  protected:
    ExtensionHostTest()
        : root_(fs::temp_directory_path() / ("hearth_extensions_" + Random::System()->Hex(6))),
          catalog_(
              RuntimeCatalog::Options{
                  .library_directory = root_.string(),
                  .paths = {},
                  .search_directories = RuntimeCatalog::DefaultSearchDirectories()},
              pool_),
          deps_{
              .sandbox = sandbox_,
              .runtimes = catalog_,
              .code = code_,
              .logs = log_,
              .wall_clock = *clock_,
              .random = *random_} {
        fs::create_directories(root_ / "runtimes");
        fs::create_directory_symlink(HEARTH_RUNTIMES_SOURCE_DIR, root_ / "runtimes" / "python");
    }

    ~ExtensionHostTest() override { fs::remove_all(root_); }

    std::shared_ptr<FunctionVersion> Function(
        std::string_view source, const std::map<std::string, std::string>& extensions) {
        auto function = std::make_shared<FunctionVersion>();
        function->account = AccountId("123456789012");
        function->region = Region("us-east-1");
        function->name = "f";
        function->version = "$LATEST";
        function->revision = random_->Uuid();
        function->runtime = "python3.11";
        function->handler = "app.handler";
        function->role_arn = "arn:aws:iam::123456789012:role/r";
        function->timeout_s = 60;
        function->log_group = "/aws/lambda/f";
        fs::create_directories(root_ / "code");
        std::ofstream(root_ / "code" / "app.py") << source;
        function->code_id = (root_ / "code").string();
        if (!extensions.empty()) {
            fs::create_directories(root_ / "layer" / "extensions" / "a-folder");
            for (const auto& [name, text] : extensions) {
                const fs::path file = root_ / "layer" / "extensions" / name;
                std::ofstream(file) << kScript << text;
                fs::permissions(file, fs::perms(0755));
            }
            function->layer_code_ids = {(root_ / "layer").string()};
        }
        return function;
    }

    InvokeRequest Request() {
        InvokeRequest request;
        request.request_id = random_->Uuid();
        request.invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        request.payload = "{}";
        return request;
    }

    // Runs `body(environment)` after Prepare and ends the environment.
    template <class Body>
    void With(std::shared_ptr<FunctionVersion> function, Body body) {
        rt::RunTask(Run(std::move(function), body));
        EXPECT_EQ(sandbox_.live(), 0);
    }

    template <class Body>
    Task<void> Run(std::shared_ptr<FunctionVersion> function, Body& body) {
        ExecutionEnvironment environment(deps_, limits_, std::move(function), "stream");
        const Status prepared = co_await environment.Prepare();
        CHECK(prepared.ok(), "{}", prepared.error().message());
        environment.WriteInitStart();
        co_await body(environment);
        co_await environment.Stop();
    }

    fs::path root_;
    rt::BlockingPool pool_{{}};
    RuntimeCatalog catalog_;
    testing::ProcessSandbox sandbox_;
    TestCodeCache code_;
    KeepingLogSink log_;
    std::shared_ptr<const WallClock> clock_ = WallClock::System();
    std::shared_ptr<Random> random_ = Random::System();
    EnvironmentDeps deps_;
    EnvironmentLimits limits_{.init_max = std::chrono::seconds(60)};
};

TEST_F(ExtensionHostTest, AnExtensionHearsOfEachCallAndOfTheEnd) {
    const auto function = Function(
        kHandler,
        {{"one",
          "identifier = register()\nwhile True:\n    event = next_event(identifier)\n"
          "    print(event['eventType'], event.get('shutdownReason'), flush=True)\n"
          "    if event['eventType'] == 'SHUTDOWN': break\n"}});
    With(function, [&](ExecutionEnvironment& environment) -> Task<void> {
        const InitOutcome init = co_await environment.Init(limits_.init_max);
        EXPECT_TRUE(init.ok) << init.error_type << init.fault;
        for (int i = 0; i < 2; ++i) {
            const InvokeOutcome outcome =
                co_await environment.Invoke(Request(), std::nullopt, std::nullopt);
            EXPECT_TRUE(outcome.delivered);
            EXPECT_EQ(outcome.result.payload, "1");
        }
    });
    EXPECT_EQ(log_.Count("INVOKE None"), 2u);
    EXPECT_EQ(log_.Count("SHUTDOWN spindown"), 1u);
    EXPECT_EQ(log_.Count("REPORT RequestId"), 2u);
    EXPECT_EQ(log_.Count("EXTENSION\tName: one\tState: Ready\tEvents: [INVOKE, SHUTDOWN]"), 1u);
}

TEST_F(ExtensionHostTest, AnExtensionThatEndsInInitFailsTheInit) {
    const auto function = Function(kHandler, {{"one", "register()\nsys.exit(4)\n"}});
    With(function, [&](ExecutionEnvironment& environment) -> Task<void> {
        const InitOutcome init = co_await environment.Init(limits_.init_max);
        EXPECT_FALSE(init.ok);
        EXPECT_EQ(init.error_type, "Extension.Crash");
        EXPECT_EQ(init.fault, "exit status 4");
        EXPECT_FALSE(environment.usable());
    });
}

TEST_F(ExtensionHostTest, AnExtensionThatEndsInACallFailsTheCall) {
    const auto function = Function(
        "import time\ndef handler(event, context):\n    time.sleep(60)\n",
        {{"one", "next_event(register())\nos.kill(os.getpid(), 9)\n"}});
    With(function, [&](ExecutionEnvironment& environment) -> Task<void> {
        EXPECT_TRUE((co_await environment.Init(limits_.init_max)).ok);
        const InvokeOutcome outcome =
            co_await environment.Invoke(Request(), std::nullopt, std::nullopt);
        EXPECT_EQ(outcome.result.function_error, "Unhandled");
        EXPECT_NE(outcome.result.payload.find("Extension.Crash"), std::string::npos);
        EXPECT_NE(outcome.result.payload.find("signal: killed"), std::string::npos);
        EXPECT_FALSE(environment.usable());
    });
}

TEST_F(ExtensionHostTest, TheAnswerDoesNotWaitForAnExtensionThatWorksOn) {
    auto function = Function(kHandler, {{"one", "next_event(register())\ntime.sleep(1000)\n"}});
    function->timeout_s = 1;
    With(function, [&](ExecutionEnvironment& environment) -> Task<void> {
        EXPECT_TRUE((co_await environment.Init(limits_.init_max)).ok);
        const InvokeOutcome outcome =
            co_await environment.Invoke(Request(), std::nullopt, std::nullopt);
        EXPECT_EQ(outcome.result.payload, "1");
        EXPECT_FALSE(environment.ready());
        // The end of its time is the end of the environment.
        rt::Event expired;
        environment.BecomeIdle([&] { expired.Set(); });
        co_await expired.Wait();
        EXPECT_FALSE(environment.usable());
    });
    EXPECT_EQ(log_.Count("Task timed out after 1.00 seconds"), 1u);
}

TEST_F(ExtensionHostTest, StopEndsACallThatAnExtensionStillWorksOn) {
    const auto function = Function(
        kHandler, {{"one", "identifier = register()\nnext_event(identifier)\ntime.sleep(1000)\n"}});
    With(function, [&](ExecutionEnvironment& environment) -> Task<void> {
        EXPECT_TRUE((co_await environment.Init(limits_.init_max)).ok);
        const InvokeOutcome outcome =
            co_await environment.Invoke(Request(), std::nullopt, std::nullopt);
        EXPECT_TRUE(outcome.delivered);
    });
    EXPECT_EQ(log_.Count("REPORT RequestId"), 1u);
}

TEST(ListExtensions, FilesOfTheTopLevelInOrderAndTheLastLayerDecides) {
    const fs::path root = fs::temp_directory_path() / ("hearth_list_" + Random::System()->Hex(6));
    fs::create_directories(root / "a" / "extensions" / "folder");
    fs::create_directories(root / "a" / "extensions" / "turned");
    fs::create_directories(root / "b" / "extensions");
    fs::create_directories(root / "c");
    for (const char* file : {"a/extensions/z", "a/extensions/b", "b/extensions/turned"}) {
        std::ofstream(root / file) << "x";
    }
    EXPECT_EQ(
        ListExtensions({(root / "a").string(), (root / "b").string(), (root / "c").string()}),
        (std::vector<std::string>{"b", "turned", "z"}));
    EXPECT_EQ(
        ListExtensions({(root / "b").string(), (root / "a").string()}),
        (std::vector<std::string>{"b", "z"}));
    for (int i = 0; i < 20; ++i) {
        std::ofstream(root / "b" / "extensions" / fmt::format("n{}", i)) << "x";
    }
    EXPECT_EQ(ListExtensions({(root / "b").string()}).size(), ExtensionsApi::kExtensionsMax + 1);
    fs::remove_all(root);
}

TEST(ExtensionVariables, LeaveOutWhatIsTheRuntimes) {
    EXPECT_EQ(
        ExtensionVariables({"A=1", "_HANDLER=x", "LAMBDA_TASK_ROOT=/var/task", "TZ=:UTC"}),
        (std::vector<std::string>{"A=1", "TZ=:UTC"}));
}

}  // namespace
}  // namespace hearth::lambda
