#include "vmm/config/command_line.h"

#include <gtest/gtest.h>

#include <vector>

namespace hearth::vmm {
namespace {

Result<CommandLine> Parse(std::vector<const char*> arguments) {
    return ParseCommandLine(arguments, "1.2.3");
}

std::string Message(std::vector<const char*> arguments) {
    const auto line = Parse(std::move(arguments));
    return line.ok() ? "" : line.error().message();
}

TEST(CommandLine, HasFirecrackersDefaults) {
    const auto line = Parse({});
    ASSERT_TRUE(line.ok());
    EXPECT_EQ(line->api_sock, "/run/firecracker.socket");
    EXPECT_EQ(line->id, "anonymous-instance");
    EXPECT_EQ(line->http_api_max_payload_size, 51'200U);
    EXPECT_FALSE(line->no_seccomp);
}

TEST(CommandLine, TakesEverything) {
    const auto line = Parse(
        {"--api-sock",
         "s",
         "--id",
         "a-1",
         "--config-file",
         "c",
         "--no-api",
         "--metadata",
         "m",
         "--boot-timer",
         "--log-path",
         "l",
         "--level",
         "debug",
         "--show-level",
         "--show-log-origin",
         "--metrics-path",
         "p",
         "--mmds-size-limit",
         "10",
         "--http-api-max-payload-size",
         "20",
         "--no-seccomp",
         "--start-time-us",
         "1",
         "--start-time-cpu-us",
         "2",
         "--parent-cpu-time-us",
         "3"});
    ASSERT_TRUE(line.ok()) << line.error().message();
    EXPECT_EQ(line->api_sock, "s");
    EXPECT_EQ(line->mmds_size_limit, 10U);
    EXPECT_EQ(line->logger.level, LogLevel::kDebug);
    EXPECT_EQ(line->logger.show_level, true);
    EXPECT_EQ(line->start_time_cpu_us, 2U);
    EXPECT_TRUE(line->no_api && line->boot_timer && line->no_seccomp);
}

TEST(CommandLine, SaysWhatIsWrong) {
    EXPECT_EQ(
        Message({"--foo"}),
        "Arguments parsing error: Found argument 'foo' which wasn't expected, or isn't valid in "
        "this context.");
    EXPECT_EQ(
        Message({"--id"}),
        "Arguments parsing error: The argument 'id' requires a value, but none was supplied.");
    EXPECT_EQ(
        Message({"--id", "a", "--id", "b"}),
        "Arguments parsing error: The argument 'id' was provided more than once.");
    EXPECT_EQ(
        Message({"--no-api"}),
        "Arguments parsing error: Argument 'config-file' required, but not found.");
    EXPECT_EQ(Message({"--id", "a_b"}), "Invalid instance ID: Invalid char (_) at position 1");
    EXPECT_TRUE(Message({"--mmds-size-limit", "-1"}).contains("mmds-size-limit"));
    EXPECT_TRUE(Message({"--level", "loud"}).starts_with("Invalid value for logger level"));
}

TEST(CommandLine, NamesWhatIsNotSupported) {
    EXPECT_EQ(Message({"--enable-pci"}), "--enable-pci is not supported by hearth-vmm.");
    EXPECT_EQ(
        Message({"--seccomp-filter", "f"}), "--seccomp-filter is not supported by hearth-vmm.");
    EXPECT_EQ(
        Message({"--describe-snapshot", "f"}),
        "--describe-snapshot is not supported by hearth-vmm.");
}

TEST(CommandLine, PrintsAndEnds) {
    EXPECT_EQ(Parse({"--version"})->print, "hearth-vmm 1.2.3\n");
    EXPECT_TRUE(Parse({"--help"})->print->contains("--api-sock"));
}

}  // namespace
}  // namespace hearth::vmm
