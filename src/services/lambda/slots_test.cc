// The data plane with real runtimes as plain processes: what a caller gets and what the log says.
#include "services/lambda/slots.h"

#include "rt/timer.h"
#include "testing/process_sandbox.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unordered_set>

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
        co_return errors::Unavailable("not in these tests");
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

    std::string All() const {
        std::string all;
        for (const std::string& line : lines) {
            all += line + "\n";
        }
        return all;
    }

    std::vector<std::string> lines;
};

class SlotsTest : public ::testing::Test {
  protected:
    SlotsTest()
        : root_(fs::temp_directory_path() / ("hearth_slots_" + Random::System()->Hex(6))),
          pool_({}),
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
        options_.limits.freeze_after = std::chrono::hours(1);
        options_.memory_reserve_bytes = 0;
    }

    ~SlotsTest() override { fs::remove_all(root_); }

    std::shared_ptr<FunctionVersion> Python(const std::string& source) {
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
        const fs::path directory = root_ / function->revision;
        fs::create_directories(directory);
        std::ofstream(directory / "app.py") << source;
        function->code_id = directory.string();
        return function;
    }

    std::shared_ptr<FunctionVersion> Script(const std::string& source, bool executable = true) {
        auto function = Python("");
        function->runtime = "provided.al2023";
        const fs::path file = fs::path(function->code_id) / "bootstrap";
        std::ofstream(file) << source;
        if (executable) {
            fs::permissions(file, fs::perms(0755));
        }
        return function;
    }

    InvokeRequest Request(std::string payload = "{}") {
        return InvokeRequest{
            .request_id = random_->Uuid(),
            .invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f",
            .payload = std::move(payload),
            .client_context = {},
            .trace_header = {},
            .log_tail = true};
    }

    // Runs `body(slots)` and stops the slots.
    template <class Body>
    void With(Body body) {
        rt::RunTask(Run(body));
        EXPECT_EQ(sandbox_.live(), 0);
    }

    template <class Body>
    Task<void> Run(Body& body) {
        metrics_ = std::make_unique<aws::Metrics>();
        slot_metrics_ = std::make_unique<SlotMetrics>(*metrics_);
        ConcurrencyLimits concurrency(
            concurrency_max_, [this](AccountId, Region) { return ReadReserves(); });
        concurrency_ = &concurrency;
        Slots slots(deps_, options_, concurrency, *slot_metrics_);
        co_await body(slots);
        co_await slots.Stop();
    }

    Task<Result<ConcurrencyLimits::Reserves>> ReadReserves() { co_return reserves_; }

    fs::path root_;
    rt::BlockingPool pool_;
    RuntimeCatalog catalog_;
    testing::ProcessSandbox sandbox_;
    TestCodeCache code_;
    KeepingLogSink log_;
    std::shared_ptr<WallClock> clock_ = WallClock::System();
    std::shared_ptr<Random> random_ = Random::System();
    EnvironmentDeps deps_;
    Slots::Options options_;
    int32_t concurrency_max_ = 1000;
    ConcurrencyLimits::Reserves reserves_;
    ConcurrencyLimits* concurrency_ = nullptr;
    std::unique_ptr<aws::Metrics> metrics_;
    std::unique_ptr<SlotMetrics> slot_metrics_;
};

TEST_F(SlotsTest, SecondCallRunsInTheSameEnvironment) {
    const auto function = Python(
        "import os\nn = 0\ndef handler(event, context):\n    global n\n    n += 1\n"
        "    print('call', n)\n    return {'n': n, 'in': event}\n");
    With([&](Slots& slots) -> Task<void> {
        auto first = co_await slots.Invoke(function, Request("{\"a\": 1}"));
        EXPECT_TRUE(first.ok());
        EXPECT_EQ(first->payload, "{\"n\": 1, \"in\": {\"a\": 1}}");
        EXPECT_EQ(first->function_error, "");
        EXPECT_NE(first->log_tail.find("call 1\nEND RequestId: "), std::string::npos)
            << first->log_tail;
        EXPECT_NE(first->log_tail.find("\tInit Duration: "), std::string::npos);
        auto second = co_await slots.Invoke(function, Request());
        EXPECT_EQ(second->payload, "{\"n\": 2, \"in\": {}}");
        EXPECT_EQ(second->log_tail.find("Init Duration"), std::string::npos);
    });
    EXPECT_EQ(sandbox_.made(), 1);
    EXPECT_TRUE(log_.lines.at(0).starts_with("INIT_START Runtime Version: python:3."));
}

TEST_F(SlotsTest, AnExceptionIsAnUnhandledErrorAndTheEnvironmentStays) {
    const auto function =
        Python("def handler(event, context):\n    raise ValueError('bad \"x\"')\n");
    With([&](Slots& slots) -> Task<void> {
        const InvokeRequest request = Request();
        auto result = co_await slots.Invoke(function, request);
        EXPECT_EQ(result->function_error, "Unhandled");
        EXPECT_TRUE(result->payload.starts_with(
            "{\"errorMessage\": \"bad \\\"x\\\"\", \"errorType\": \"ValueError\", \"requestId\": "
            "\"" +
            request.request_id + "\", \"stackTrace\": [\"  File \\\""))
            << result->payload;
        EXPECT_NE(
            result->log_tail.find("[ERROR] ValueError: bad \"x\"\nTraceback"), std::string::npos)
            << result->log_tail;
        EXPECT_NE(
            result->log_tail.find("\tStatus: error\tError Type: ValueError"), std::string::npos);
        (void)co_await slots.Invoke(function, Request());
    });
    EXPECT_EQ(sandbox_.made(), 1);
}

TEST_F(SlotsTest, ImportErrorIsReportedAfterTheInitWasRepeated) {
    const auto function = Python("import not_there\n");
    With([&](Slots& slots) -> Task<void> {
        auto result = co_await slots.Invoke(function, Request());
        EXPECT_EQ(result->function_error, "Unhandled");
        EXPECT_NE(
            result->payload.find("\"errorType\": \"Runtime.ImportModuleError\""), std::string::npos)
            << result->payload;
    });
    EXPECT_EQ(sandbox_.made(), 2);
    EXPECT_NE(log_.All().find("Phase: init\tStatus: error"), std::string::npos) << log_.All();
    EXPECT_NE(log_.All().find("Phase: invoke\tStatus: error"), std::string::npos);
}

TEST_F(SlotsTest, ExitInsideACallIsRuntimeExitError) {
    const auto function = Python("import os\ndef handler(event, context):\n    os._exit(3)\n");
    With([&](Slots& slots) -> Task<void> {
        const InvokeRequest request = Request();
        auto result = co_await slots.Invoke(function, request);
        EXPECT_EQ(
            result->payload,
            "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: " +
                request.request_id + " Error: Runtime exited with error: exit status 3\"}");
        EXPECT_NE(result->log_tail.find("Error Type: Runtime.ExitError"), std::string::npos);
    });
}

TEST_F(SlotsTest, ACallThatTakesTooLongIsKilledAndSaysSo) {
    auto function = Python("import time\ndef handler(event, context):\n    time.sleep(600)\n");
    function->timeout_s = 1;
    With([&](Slots& slots) -> Task<void> {
        const InvokeRequest request = Request();
        auto result = co_await slots.Invoke(function, request);
        EXPECT_EQ(
            result->payload,
            "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: " +
                request.request_id + " Error: Task timed out after 1.00 seconds\"}");
        EXPECT_NE(
            result->log_tail.find(request.request_id + " Task timed out after 1.00 seconds"),
            std::string::npos);
        EXPECT_NE(result->log_tail.find("\tStatus: timeout"), std::string::npos);
    });
}

TEST_F(SlotsTest, TheLogOfACallIsCompleteAndInOrderThoughItsCallerDoesNotWaitForIt) {
    const auto function = Python("def handler(event, context):\n    print('in', event)\n");
    With([&](Slots& slots) -> Task<void> {
        for (int call = 0; call < 20; ++call) {
            InvokeRequest request = Request(std::to_string(call));
            request.log_tail = false;
            EXPECT_TRUE((co_await slots.Invoke(function, std::move(request))).ok());
        }
    });
    std::string order;
    for (const std::string& line : log_.lines) {
        if (!line.starts_with("INIT_START")) {
            order.push_back(line[0]);
        }
    }
    std::string wanted;
    for (int call = 0; call < 20; ++call) {
        wanted += "SiER";
    }
    EXPECT_EQ(order, wanted) << log_.All();
}

TEST_F(SlotsTest, ARuntimeRehearsesBeforeItIsSavedAndTheFunctionSeesNothingOfIt) {
    const auto function = Python(R"(import os
from snapshot_restore_py import register_before_snapshot
def handler(event, context):
    print("called")
@register_before_snapshot
def tell():
    print("trace", os.environ.get("_X_AMZN_TRACE_ID"))
)");
    With([&](Slots& slots) -> Task<void> {
        const auto outcome = co_await slots.SaveSnapshot(function, (root_ / "image").string());
        EXPECT_TRUE(outcome.ok());
        if (!outcome.ok()) {
            co_return;
        }
        // Plain processes cannot be saved; this one came as far as that.
        EXPECT_EQ(outcome->kind, SnapshotOutcome::Kind::kNotPossible);
    });
    EXPECT_NE(log_.All().find("trace None"), std::string::npos) << log_.All();
    EXPECT_EQ(log_.All().find("called"), std::string::npos) << log_.All();
    EXPECT_EQ(log_.All().find("rehearsal"), std::string::npos) << log_.All();
}

TEST_F(SlotsTest, AnInitThatIsToBeSavedHasALimitOfItsOwn) {
    options_.limits.init_max = std::chrono::nanoseconds(1);
    options_.snapshot_init_max = std::chrono::hours(1);
    const auto quick = Python("def handler(event, context):\n    pass\n");
    With([&](Slots& slots) -> Task<void> {
        const auto outcome = co_await slots.SaveSnapshot(quick, (root_ / "image").string());
        EXPECT_TRUE(outcome.ok());
        if (!outcome.ok()) {
            co_return;
        }
        EXPECT_EQ(outcome->kind, SnapshotOutcome::Kind::kNotPossible) << outcome->reason;
    });
    options_.snapshot_init_max = std::chrono::milliseconds(1);
    const auto slow = Python("import time\ntime.sleep(600)\n");
    slow->timeout_s = 1;
    With([&](Slots& slots) -> Task<void> {
        const auto outcome = co_await slots.SaveSnapshot(slow, (root_ / "image").string());
        EXPECT_TRUE(outcome.ok());
        if (!outcome.ok()) {
            co_return;
        }
        EXPECT_EQ(outcome->kind, SnapshotOutcome::Kind::kInitFailed);
        EXPECT_EQ(outcome->reason_code, "FunctionError.InitTimeout");
        EXPECT_EQ(outcome->reason, "The function's init did not end within 1 seconds.");
    });
    EXPECT_NE(log_.All().find("Status: timeout"), std::string::npos) << log_.All();
}

TEST_F(SlotsTest, AnInitBeyondItsLimitIsRepeatedWithinTheCall) {
    options_.limits.init_max = std::chrono::milliseconds(20);
    const auto function =
        Python("import time\ntime.sleep(1)\ndef handler(event, context):\n    return 'slow'\n");
    With([&](Slots& slots) -> Task<void> {
        EXPECT_EQ((co_await slots.Invoke(function, Request()))->payload, "\"slow\"");
    });
    EXPECT_EQ(sandbox_.made(), 2);
    EXPECT_NE(log_.All().find("Phase: init\tStatus: timeout"), std::string::npos) << log_.All();
}

TEST_F(SlotsTest, StopDoesNotWaitForALongCall) {
    options_.stop_grace = std::chrono::milliseconds(1);
    const auto function =
        Python("import time\ndef handler(event, context):\n    time.sleep(600)\n");
    With([&](Slots& slots) -> Task<void> {
        rt::TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            const auto result = co_await slots.Invoke(function, Request());
            EXPECT_EQ(result->function_error, "Unhandled");
        });
        while (log_.All().find("START RequestId") == std::string::npos) {
            co_await rt::Sleep(std::chrono::milliseconds(2));
        }
        co_await slots.Stop();
        co_await group.Join();
    });
}

TEST_F(SlotsTest, ConcurrentCallsGetAnEnvironmentEach) {
    const auto function = Python(
        "import os, time\ndef handler(event, context):\n    time.sleep(0.3)\n    return "
        "os.getpid()\n");
    With([&](Slots& slots) -> Task<void> {
        std::unordered_set<std::string> answers;
        rt::TaskGroup group;
        for (int i = 0; i < 5; ++i) {
            group.Spawn([&]() -> Task<void> {
                auto result = co_await slots.Invoke(function, Request());
                answers.insert(result->payload);
            });
        }
        co_await group.Join();
        EXPECT_GE(answers.size(), 2u);
    });
}

TEST_F(SlotsTest, NewRevisionNeverRunsInAnOldEnvironment) {
    const auto old_function = Python("def handler(event, context):\n    return 'old'\n");
    const auto new_function = Python("def handler(event, context):\n    return 'new'\n");
    With([&](Slots& slots) -> Task<void> {
        EXPECT_EQ((co_await slots.Invoke(old_function, Request()))->payload, "\"old\"");
        slots.Retire(
            old_function->account, old_function->region, "f", "$LATEST", new_function->revision);
        EXPECT_EQ((co_await slots.Invoke(new_function, Request()))->payload, "\"new\"");
        codec::Json::Array described;
        slots.Describe(described);
        EXPECT_EQ(described.size(), 1u);
    });
}

TEST_F(SlotsTest, AnIdleEnvironmentFreezesAndThawsForTheNextCallAndFreezesAgain) {
    options_.limits.freeze_after = std::chrono::milliseconds(1);
    const auto function = Python("def handler(event, context):\n    return 1\n");
    With([&](Slots& slots) -> Task<void> {
        for (int call = 0; call < 3; ++call) {
            EXPECT_EQ((co_await slots.Invoke(function, Request()))->payload, "1");
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
            std::string state;
            while (state != "frozen" && std::chrono::steady_clock::now() < deadline) {
                co_await rt::Sleep(std::chrono::milliseconds(2));
                codec::Json::Array described;
                slots.Describe(described);
                state = *described.at(0).Find("environments")->AsArray()->at(0).FindString("state");
            }
            EXPECT_EQ(state, "frozen");
        }
    });
    EXPECT_EQ(sandbox_.made(), 1);
}

TEST_F(SlotsTest, AnEnvironmentIdleForLongIsPutAway) {
    options_.limits.freeze_after = std::chrono::milliseconds(1);
    options_.limits.evict_after = std::chrono::milliseconds(20);
    const auto function = Python("def handler(event, context):\n    return 1\n");
    With([&](Slots& slots) -> Task<void> {
        (void)co_await slots.Invoke(function, Request());
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (sandbox_.live() > 0 && std::chrono::steady_clock::now() < deadline) {
            co_await rt::Sleep(std::chrono::milliseconds(2));
        }
        EXPECT_EQ(sandbox_.live(), 0);
        codec::Json::Array described;
        slots.Describe(described);
        EXPECT_TRUE(described.empty());
    });
}

TEST_F(SlotsTest, IdleEnvironmentsMakeRoomForNewOnes) {
    options_.memory_reserve_bytes = uint64_t{1} << 60;
    auto first = Python("def handler(event, context):\n    return 1\n");
    auto second = Python("def handler(event, context):\n    return 2\n");
    second->name = "g";
    With([&](Slots& slots) -> Task<void> {
        EXPECT_EQ((co_await slots.Invoke(first, Request()))->payload, "1");
        EXPECT_EQ((co_await slots.Invoke(second, Request()))->payload, "2");
        codec::Json::Array described;
        slots.Describe(described);
        EXPECT_EQ(described.size(), 1u);
    });
}

TEST_F(SlotsTest, WhoCanWaitStartsNothingMoreWhereMemoryIsShort) {
    options_.memory_reserve_bytes = uint64_t{1} << 60;
    const fs::path gate = root_ / "gate";
    const auto function = Python(fmt::format(
        "import os, time\ndef handler(event, context):\n    while event and not "
        "os.path.exists('{}'):\n        time.sleep(0.01)\n    return 1\n",
        gate.string()));
    With([&](Slots& slots) -> Task<void> {
        const auto waiting = [&](std::string payload) {
            InvokeRequest request = Request(std::move(payload));
            request.can_wait = true;
            return slots.Invoke(function, std::move(request));
        };
        rt::TaskGroup group;
        // Nothing else runs whose end it could wait for.
        group.Spawn([&]() -> Task<void> { EXPECT_TRUE((co_await waiting("1")).ok()); });
        co_await rt::Yield();
        const auto refused = co_await waiting("0");
        EXPECT_FALSE(refused.ok());
        if (!refused.ok()) {
            EXPECT_EQ(refused.error().code(), "TooManyRequestsException");
        }
        EXPECT_TRUE((co_await slots.Invoke(function, Request("0"))).ok());
        // There is an idle one now.
        EXPECT_TRUE((co_await waiting("0")).ok());
        std::ofstream(gate) << "open";
        co_await group.Join();
    });
    EXPECT_EQ(sandbox_.made(), 2);
}

TEST_F(SlotsTest, AnEnvironmentThatDiesWhileIdleIsReplacedWithoutHarm) {
    const auto function = Python(
        "import os, threading, time\ndef die():\n    time.sleep(0.05)\n    os._exit(1)\n"
        "def handler(event, context):\n    threading.Thread(target=die).start()\n    return "
        "'ok'\n");
    With([&](Slots& slots) -> Task<void> {
        EXPECT_EQ((co_await slots.Invoke(function, Request()))->payload, "\"ok\"");
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (sandbox_.live() > 0 && std::chrono::steady_clock::now() < deadline) {
            co_await rt::Sleep(std::chrono::milliseconds(2));
        }
        EXPECT_EQ(sandbox_.live(), 0);
        EXPECT_EQ((co_await slots.Invoke(function, Request()))->payload, "\"ok\"");
    });
}

TEST_F(SlotsTest, ConcurrencyBeyondTheQuotaIsRefused) {
    concurrency_max_ = 1;
    const auto function =
        Python("import time\ndef handler(event, context):\n    time.sleep(0.5)\n    return 1\n");
    With([&](Slots& slots) -> Task<void> {
        int refused = 0;
        rt::TaskGroup group;
        for (int i = 0; i < 3; ++i) {
            group.Spawn([&]() -> Task<void> {
                auto result = co_await slots.Invoke(function, Request());
                if (!result.ok()) {
                    EXPECT_EQ(result.error().code(), "TooManyRequestsException");
                    EXPECT_EQ(result.error().http_status(), 429);
                    ++refused;
                }
            });
        }
        co_await group.Join();
        EXPECT_EQ(refused, 2);
    });
}

TEST_F(SlotsTest, WithoutBootstrapTheEntrypointIsInvalid) {
    auto function = Script("#!/bin/sh\n", false);
    With([&](Slots& slots) -> Task<void> {
        auto result = co_await slots.Invoke(function, Request());
        EXPECT_NE(result->payload.find("\"Runtime.InvalidEntrypoint\""), std::string::npos);
        EXPECT_NE(
            result->payload.find("fork/exec /var/task/bootstrap: permission denied"),
            std::string::npos);
        fs::remove(fs::path(function->code_id) / "bootstrap");
        auto missing = co_await slots.Invoke(function, Request());
        EXPECT_NE(
            missing->payload.find(
                "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
            std::string::npos);
    });
}

TEST_F(SlotsTest, ASandboxThatFailsIsAServiceException) {
    sandbox_.FailNext(1);
    const auto function = Python("def handler(event, context):\n    return 1\n");
    With([&](Slots& slots) -> Task<void> {
        auto result = co_await slots.Invoke(function, Request());
        EXPECT_FALSE(result.ok());
        EXPECT_EQ(result.error().code(), "ServiceException");
        EXPECT_EQ((co_await slots.Invoke(function, Request()))->payload, "1");
    });
}

TEST_F(SlotsTest, TenThousandLinesArriveInOrder) {
    const auto function = Python(
        "def handler(event, context):\n    for i in range(10000):\n        print('line', i)\n");
    With([&](Slots& slots) -> Task<void> {
        auto result = co_await slots.Invoke(function, Request());
        EXPECT_EQ(result->payload, "null");
        EXPECT_LE(result->log_tail.size(), 4096u);
    });
    int next = 0;
    for (const std::string& line : log_.lines) {
        if (line.starts_with("line ")) {
            EXPECT_EQ(line, fmt::format("line {}", next));
            ++next;
        }
    }
    EXPECT_EQ(next, 10000);
}

}  // namespace
}  // namespace hearth::lambda
