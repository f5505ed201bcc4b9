#include "hearth/cloud/options.h"

#include <gtest/gtest.h>

namespace hearth::cloud {
namespace {

Result<CloudOptions> Parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "hearth-cloud");
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
        argv.push_back(argument.data());
    }
    return ParseCloudOptions(static_cast<int>(argv.size()), argv.data());
}

TEST(CloudOptions, ReadsWhatTheKeeperGives) {
    const auto options = Parse(
        {"--listen-fd",
         "3",
         "--listen-fd",
         "4",
         "--auth",
         "enforce",
         "--durability",
         "relaxed",
         "--encrypt-at-rest",
         "off",
         "--scrub-days",
         "30",
         "--tier-archive-fd",
         "9",
         "--tier-deep-fd",
         "10",
         "--tier-lost",
         "deep",
         "--runtime",
         "a=/bin/a",
         "--threads",
         "4",
         "--runtimes",
         "exact",
         "--egress",
         "off",
         "--cpu",
         "exact",
         "--log-level",
         "debug",
         "--host-fd",
         "9",
         "--test-clock",
         "--lenient",
         "--endpoint",
         "https://h:1",
         "--account-concurrency",
         "50",
         "--snapstart-runtimes",
         "aws",
         "--snapshots",
         "all"});
    ASSERT_TRUE(options.ok()) << options.error().message();
    EXPECT_EQ(options->listen_fds, (std::vector<int>{3, 4}));
    EXPECT_TRUE(options->enforce);
    EXPECT_FALSE(options->sync);
    EXPECT_EQ(options->scrub_days, 30);
    EXPECT_FALSE(options->encrypt_at_rest);
    EXPECT_FALSE(options->egress);
    EXPECT_EQ(options->tiers.at("archive"), std::vector<std::string>{"/proc/self/fd/9"});
    EXPECT_EQ(options->tiers.at("deep"), (std::vector<std::string>{"/proc/self/fd/10", ""}));
    EXPECT_TRUE(options->cpu_exact);
    EXPECT_TRUE(options->runtimes_exact);
    EXPECT_TRUE(options->test_clock);
    EXPECT_TRUE(options->lenient);
    EXPECT_EQ(options->threads, 4);
    EXPECT_EQ(options->account_concurrency, 50);
    EXPECT_TRUE(options->snapstart_as_aws);
    EXPECT_TRUE(options->snapshot_latest);
    EXPECT_EQ(options->host_fd, 9);
    EXPECT_EQ(options->runtimes.at("a"), "/bin/a");
    EXPECT_EQ(options->endpoint, "https://h:1");
    EXPECT_FALSE(options->library.empty());
}

TEST(CloudOptions, RefusesWhatItDoesNotUnderstand) {
    const std::vector<std::vector<std::string>> wrong = {
        {},
        {"--listen-fd"},
        {"--listen-fd", "x"},
        {"--listen-fd", "-1"},
        {"--listen-fd", "3", "--auth", "maybe"},
        {"--listen-fd", "3", "--threads", "1000"},
        {"--listen-fd", "3", "--tls", "files"},
        {"--listen-fd", "3", "--tls", "sometimes"},
        {"--listen-fd", "3", "--runtime", "python"},
        {"--listen-fd", "3", "--nonsense", "1"},
        {"--listen-fd", "3", "--log-level", "loud"}};
    for (const auto& arguments : wrong) {
        EXPECT_FALSE(Parse(arguments).ok()) << ::testing::PrintToString(arguments);
    }
}

}  // namespace
}  // namespace hearth::cloud
