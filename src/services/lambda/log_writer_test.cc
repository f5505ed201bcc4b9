#include "services/lambda/log_writer.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

std::string Frame(std::string_view text) {
    std::string frame("\xA5\x5A\x00\x03", 4);
    for (int shift = 24; shift >= 0; shift -= 8) {
        frame.push_back(static_cast<char>(text.size() >> shift & 0xFF));
    }
    frame.append(8, '\0');
    frame.append(text);
    return frame;
}

std::vector<std::string> Split(const std::string& bytes, size_t step) {
    LineSplitter splitter;
    std::vector<LogLine> lines;
    for (size_t at = 0; at < bytes.size(); at += step) {
        splitter.Feed(std::string_view(bytes).substr(at, step), {}, lines);
    }
    splitter.Finish({}, lines);
    std::vector<std::string> texts;
    for (const LogLine& line : lines) {
        texts.push_back(line.text);
    }
    return texts;
}

TEST(LineSplitter, LinesAndFramesAreTheSameHoweverTheBytesArrive) {
    const std::string bytes = "one\ntwo\r\n" + Frame("a\nb") +
                              "thr\xC3\xA5"
                              "ee\nfour" +
                              Frame("c") + "\nlast";
    const std::vector<std::string> expected = {
        "one",
        "two",
        "a\nb",
        "thr\xC3\xA5"
        "ee",
        "four",
        "c",
        "",
        "last"};
    for (size_t step = 1; step <= bytes.size(); ++step) {
        EXPECT_EQ(Split(bytes, step), expected) << "in pieces of " << step;
    }
}

TEST(LineSplitter, WhatIsNoUtf8BecomesReplacementCharacters) {
    EXPECT_EQ(
        Split("a\xFF\xC3\xA9\xE2\x82\n", 100),
        std::vector<std::string>({"a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD"}));
}

TEST(LineSplitter, ALineWithoutEndIsCutBetweenCharacters) {
    std::string bytes;
    while (bytes.size() < 3 * LineSplitter::kLineBytesMax) {
        bytes.append("\xE2\x82\xAC");
    }
    std::string joined;
    const auto lines = Split(bytes, 60'000);
    EXPECT_GE(lines.size(), 3u);
    for (const std::string& line : lines) {
        EXPECT_LE(line.size(), LineSplitter::kLineBytesMax);
        joined += line;
    }
    EXPECT_EQ(joined.size(), bytes.size());
}

TEST(LineSplitter, AFrameWithAnAbsurdLengthIsText) {
    const std::string bytes("\xA5\x5A\x00\x03\xFF\xFF\xFF\xFF________x\ny\n", 19);
    const auto lines = Split(bytes, 1);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines.back(), "y");
}

}  // namespace
}  // namespace hearth::lambda
