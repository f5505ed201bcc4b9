#include "vmm/guest/init/exec_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hearth::vmm {
namespace {

struct Parsed {
    std::string problem;
    std::vector<std::string> argv;
    std::vector<std::string> environment;
    std::string directory;
    bool with_stdin = false;
    GuestExecRequest::Action action = GuestExecRequest::Action::kExec;
};

// The text lies in memory of exactly its size, so that ASan sees a step beyond.
Parsed Parse(const std::string& text) {
    auto request = std::make_unique<GuestExecRequest>();
    std::vector<char> line(text.begin(), text.end());
    const char* problem = ParseExecRequest(line.data(), line.size(), request.get());
    Parsed parsed;
    parsed.problem = problem == nullptr ? "" : problem;
    parsed.action = request->action;
    parsed.with_stdin = request->with_stdin;
    if (problem == nullptr) {
        parsed.argv.assign(request->argv, request->argv + request->argc);
        parsed.environment.assign(
            request->environment, request->environment + request->environment_size);
        parsed.directory = request->directory;
        EXPECT_EQ(request->argv[request->argc], nullptr);
        EXPECT_EQ(request->environment[request->environment_size], nullptr);
    }
    return parsed;
}

TEST(ExecRequest, ReadsWhatTheHostSends) {
    const Parsed parsed = Parse(
        R"({"argv": ["sh", "-c", "echo \"a\" > b"], "env": {"A": "1", "B":""}, "cwd": "/tmp",)"
        R"( "stdin": true, "later": {"x": [1, null, {"y": "z"}]}})");
    EXPECT_EQ(parsed.problem, "");
    EXPECT_EQ(parsed.argv, (std::vector<std::string>{"sh", "-c", "echo \"a\" > b"}));
    EXPECT_EQ(parsed.environment, (std::vector<std::string>{"A=1", "B="}));
    EXPECT_EQ(parsed.directory, "/tmp");
    EXPECT_TRUE(parsed.with_stdin);
}

TEST(ExecRequest, EscapesBecomeUtf8) {
    const Parsed parsed = Parse(R"({"argv": ["\u00e4\u20ac\ud83d\ude00\n\t\\\/", "ö"]})");
    EXPECT_EQ(parsed.problem, "");
    EXPECT_EQ(parsed.argv, (std::vector<std::string>{"ä€😀\n\t\\/", "ö"}));
}

TEST(ExecRequest, ActionsNeedNoCommand) {
    EXPECT_EQ(Parse(R"({"action": "reboot"})").problem, "");
    EXPECT_EQ(Parse(R"({"action": "reboot"})").action, GuestExecRequest::Action::kReboot);
    EXPECT_EQ(Parse(R"({"action":"ping"})").action, GuestExecRequest::Action::kPing);
    EXPECT_NE(Parse(R"({"action":"dance"})").problem, "");
}

TEST(ExecRequest, WhatIsNoRequestIsRefused) {
    for (const char* text :
         {"",
          "{",
          "[]",
          "{}",
          R"({"argv": []})",
          R"({"argv": [""]})",
          R"({"argv": ["a"])",
          R"({"argv": ["a"]} x)",
          R"({"argv": ["a)",
          R"({"argv": ["a\)",
          R"({"argv": ["a\u00)",
          R"({"argv": ["\u0000"]})",
          R"({"argv": ["\ud800"]})",
          R"({"argv": ["\ud800\u0041"]})",
          R"({"argv": ["\udc00"]})",
          R"({"argv": "a"})",
          R"({"argv": ["a"], "env": ["A=1"]})",
          R"({"argv": ["a"], "env": {"A=": "1"}})",
          R"({"argv": ["a"], "env": {"": "1"}})",
          R"({"argv": ["a"], "env": {"A": 1}})",
          R"({"argv": ["a"], "stdin": 1})",
          R"({"argv": ["a"], "cwd": null})",
          R"({"argv" ["a"]})",
          R"({"argv": ["a"], "x": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]})",
          R"({"argv": ["a"], "x": })"}) {
        EXPECT_NE(Parse(text).problem, "") << text;
    }
}

TEST(ExecRequest, EveryCutIsRefusedAndStaysInside) {
    const std::string whole =
        R"({"argv": ["sh", "\u20ac"], "env": {"A": "\ud83d\ude00"}, "x": {"y": [1]}})";
    ASSERT_EQ(Parse(whole).problem, "");
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
        EXPECT_NE(Parse(whole.substr(0, bytes)).problem, "") << bytes;
    }
}

TEST(ExecRequest, ArgumentsHaveALimit) {
    std::string text = R"({"argv": ["a")";
    for (size_t i = 1; i < kExecArgumentsMax; ++i) {
        text += R"(,"")";
    }
    EXPECT_EQ(Parse(text + "]}").argv.size(), kExecArgumentsMax);
    EXPECT_NE(Parse(text + R"(,"b"]})").problem, "");
}

}  // namespace
}  // namespace hearth::vmm
