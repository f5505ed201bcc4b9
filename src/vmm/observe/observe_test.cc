#include "codec/json/json.h"
#include "os/fd.h"
#include "vmm/observe/logger.h"
#include "vmm/observe/metrics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace hearth::vmm {
namespace {

std::string NewFolder() {
    std::string name = testing::TempDir() + "observe.XXXXXX";
    return ::mkdtemp(name.data());
}

std::string ReadAll(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::uint64_t Value(const codec::Json& line, std::string_view group, std::string_view name) {
    return static_cast<std::uint64_t>(*line.Find(group)->Find(name)->AsInt());
}

TEST(Metrics, CountersAreDifferencesAndStoredValuesStay) {
    const auto folder = NewFolder();
    const auto path = folder + "/metrics";
    metrics::Get("net_eth0", "tx_bytes").Add(5);
    metrics::Get("net_eth1", "tx_bytes").Add(7);
    metrics::Get("block_a", "read_agg.min_us").Add(1);
    metrics::Get("block_a", "read_agg.max_us").Add(2);
    metrics::Get("block_a", "write_agg.min_us").Add(3);
    metrics::Get("block_a", "other").Add(4);
    metrics::Get("latencies_us", "pause_vm", true).Store(3);
    EXPECT_TRUE(metrics::Flush().ok());  // nowhere to, and fine
    ASSERT_TRUE(metrics::Configure(path).ok());
    EXPECT_EQ(
        metrics::Configure(path).error().message(),
        "Metrics error: Cannot initialize the metrics system due to bad user input: "
        "Reinitialization of metrics not allowed.");
    ASSERT_TRUE(metrics::Flush().ok());
    metrics::Get("net_eth0", "tx_bytes").Add(1);
    ASSERT_TRUE(metrics::Flush().ok());
    std::istringstream lines(ReadAll(path));
    std::string first;
    std::string second;
    ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, second));
    auto line = codec::ParseJson(first).value();
    EXPECT_TRUE(first.starts_with("{\"utc_timestamp_ms\":"));
    EXPECT_EQ(Value(line, "net_eth0", "tx_bytes"), 5U);
    EXPECT_EQ(Value(line, "net", "tx_bytes"), 12U);
    EXPECT_EQ(Value(line, "latencies_us", "pause_vm"), 3U);
    EXPECT_TRUE(first.contains(
        R"("block_a":{"read_agg":{"min_us":1,"max_us":2},"write_agg":{"min_us":3},"other":4})"));
    // What nobody has counted yet is there too.
    EXPECT_EQ(Value(line, "put_api_requests", "actions_count"), 0U);
    line = codec::ParseJson(second).value();
    EXPECT_EQ(Value(line, "net_eth0", "tx_bytes"), 1U);
    EXPECT_EQ(Value(line, "net", "tx_bytes"), 1U);
    EXPECT_EQ(Value(line, "latencies_us", "pause_vm"), 3U);
    std::filesystem::remove_all(folder);
}

// Before a test names a file: the log goes to standard output until then.
TEST(Logger, AFullPipeAsStandardOutputNeverBlocks) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const os::Fd reader(ends[0]);
    const os::Fd writer(ends[1]);
    const os::Fd before(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    auto& missed = metrics::Get("logger", "missed_log_count");
    const auto missed_before = missed.Load();
    ASSERT_EQ(::dup2(writer.get(), STDOUT_FILENO), STDOUT_FILENO);
    vmmlog::NeverWaitForStandardOutput();
    const std::string text(1'000, 'x');
    for (int i = 0; i < 200; ++i) {
        vmmlog::Info("{}", text);
    }
    const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
    ASSERT_EQ(::dup2(before.get(), STDOUT_FILENO), STDOUT_FILENO);
    vmmlog::NeverWaitForStandardOutput();
    EXPECT_GT(missed.Load(), missed_before + 50);
    EXPECT_EQ(flags & O_NONBLOCK, 0) << "others write to it, too";
}

TEST(Logger, WritesLinesAsConfigured) {
    const auto folder = NewFolder();
    const auto path = folder + "/log";
    vmmlog::SetInstanceId("me");
    vmmlog::NameThread("tester");
    ASSERT_TRUE(vmmlog::Configure(LoggerConfig{
                                      .log_path = path,
                                      .level = LogLevel::kInfo,
                                      .show_level = {},
                                      .show_log_origin = {},
                                      .module = {}})
                    .ok());
    vmmlog::Info("one {}", 1);
    vmmlog::Debug("not shown");
    ASSERT_TRUE(vmmlog::Configure(LoggerConfig{
                                      .log_path = {},
                                      .level = LogLevel::kDebug,
                                      .show_level = true,
                                      .show_log_origin = true,
                                      .module = {}})
                    .ok());
    vmmlog::Debug("two\nlines");
    const auto text = ReadAll(path);
    EXPECT_TRUE(text.contains(" [me:tester] one 1\n")) << text;
    EXPECT_FALSE(text.contains("not shown"));
    EXPECT_TRUE(text.contains("[me:tester:DEBUG:src/vmm/observe/observe_test.cc:")) << text;
    EXPECT_TRUE(text.ends_with("] two lines\n"));
    EXPECT_EQ(
        vmmlog::Configure(LoggerConfig{
                              .log_path = folder + "/none/log",
                              .level = {},
                              .show_level = {},
                              .show_log_origin = {},
                              .module = {}})
            .error()
            .message(),
        "Logger error: Failed to open target file: No such file or directory (os error 2)");
    std::filesystem::remove_all(folder);
}

TEST(Logger, AFullPipeLosesLinesAndNeverBlocks) {
    const auto folder = NewFolder();
    const auto path = folder + "/fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    ASSERT_TRUE(vmmlog::Configure(LoggerConfig{
                                      .log_path = path,
                                      .level = LogLevel::kInfo,
                                      .show_level = {},
                                      .show_log_origin = {},
                                      .module = {}})
                    .ok());
    auto& missed = metrics::Get("logger", "missed_log_count");
    const auto before = missed.Load();
    const std::string text(1'000, 'x');
    for (int i = 0; i < 200; ++i) {
        vmmlog::Info("{}", text);
    }
    EXPECT_GT(missed.Load(), before + 50);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hearth::vmm
