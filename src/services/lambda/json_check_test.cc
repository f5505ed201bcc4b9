#include "services/lambda/json_check.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::lambda {
namespace {

TEST(JsonCheck, TakesEveryValue) {
    for (const std::string text :
         {"{}",
          "[]",
          " \n{ \"a\" : [ 1 , -0.5e+10 , true , false , null , \"x\\n\\u00e9\" ] , \"b\" : {} }\t",
          "1",
          "-1",
          "0",
          "0.5",
          "1E3",
          "\"text\"",
          "null",
          "[[[[]]]]",
          "{\"\":\"\"}",
          "\"gr\xc3\xbc\xc3\x9f\""}) {
        const JsonCheck check = CheckJson(text);
        EXPECT_TRUE(check.ok) << text << ": " << check.problem;
    }
}

TEST(JsonCheck, RefusesEverythingElse) {
    for (const std::string text :
         {"",     " ",   "{",  "}",   "[1,]",       "{\"a\"}",   "{\"a\":}", "{a:1}",
          "'a'",  "01",  "-",  "1.",  "1e",         "nul",       "truee",    "NaN",
          "{}{}", "1 2", "[1", "\"a", "\"\\x\"",    "\"\\u12\"", "\"\n\"",   "[1 2]",
          "{,}",  "[,]", "+1", ".5",  "{\"a\":1,}", "]"}) {
        EXPECT_FALSE(CheckJson(text).ok) << text;
    }
}

TEST(JsonCheck, TextIsUtf8) {
    for (const std::string text :
         {"\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"}) {
        EXPECT_TRUE(CheckJson("\"" + text + "\"").ok);
    }
    for (const std::string text :
         {"\xff",
          "\x80",
          "\xc3",
          "\xc3(",
          "\xc0\x80",
          "\xe0\x80\x80",
          "\xed\xa0\x80",
          "\xf4\x90\x80\x80",
          "\xf0\x9f\x98"}) {
        EXPECT_FALSE(CheckJson("\"" + text + "\"").ok);
    }
    EXPECT_EQ(
        CheckJson("\"\xff\"").problem, "Invalid UTF-8 start byte 0xff\n at [line: 1, column: 2]");
}

TEST(JsonCheck, SpeaksLikeAws) {
    EXPECT_EQ(
        CheckJson("hello").problem,
        "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token "
        "'null', 'true' or 'false')\n at [line: 1, column: 6]");
}

TEST(JsonCheck, DepthCostsNoStack) {
    const std::string deep(100'000, '[');
    const JsonCheck check = CheckJson(deep);
    EXPECT_FALSE(check.ok);
    EXPECT_NE(check.problem.find("nesting depth"), std::string::npos);
    EXPECT_TRUE(CheckJson(std::string(1'000, '[') + std::string(1'000, ']')).ok);
}

}  // namespace
}  // namespace hearth::lambda
