#include "codec/json/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace hearth::codec {
namespace {

std::string RoundTrip(std::string_view text) {
    const auto value = ParseJson(text);
    return value.ok() ? WriteJson(*value) : "error: " + value.error().message();
}

TEST(Json, KeepsOrderAndExactNumbers) {
    for (const std::string_view text :
         {R"({"b":1,"a":[true,false,null],"c":{"d":"x"}})",
          R"([])",
          R"({})",
          R"("")",
          R"(0)",
          R"(-1)",
          R"(9223372036854775807)",
          R"(-9223372036854775808)",
          R"(18446744073709551615)",
          R"(0.1)",
          R"(1e+300)",
          R"(1.5)",
          R"("\"\\\n\t\u0001é")"}) {
        EXPECT_EQ(RoundTrip(text), text);
    }
    EXPECT_EQ(RoundTrip(" { \"a\" : 1 } "), R"({"a":1})");
    EXPECT_EQ(RoundTrip(R"("A\ud83d\ude00\/")"), "\"A😀/\"");
}

TEST(Json, DoublesAreTheNearestOnes) {
    // Found by the fuzzer: the parser underneath was one unit in the last place off.
    const std::string threes(70, '3');
    EXPECT_EQ(
        *ParseJson(threes)->AsDouble(),
        3333333333333333333333333333333333333333333333333333333333333333333333.0);
    EXPECT_EQ(RoundTrip(threes), RoundTrip(RoundTrip(threes)));
    EXPECT_EQ(RoundTrip("-0E1"), "-0.0");
    EXPECT_EQ(
        *ParseJson("[0.1,2.2250738585072014e-308]")->AsArray()->at(1).AsDouble(),
        2.2250738585072014e-308);
}

TEST(Json, RefusesWhatIsNotJson) {
    for (const std::string_view text :
         {"",
          "{",
          "[1,]",
          "{\"a\"}",
          "{'a':1}",
          "01",
          "1.",
          "nul",
          "\"\x01\"",
          "\"\xff\"",
          "1 2",
          "{} x",
          "\"\\ud800\"",
          "NaN",
          "[1,2",
          "/*c*/1",
          "1e999",
          "\"a"}) {
        EXPECT_FALSE(ParseJson(text).ok()) << text;
    }
}

TEST(Json, DepthAndCountHaveLimits) {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(ParseJson(nested(100)).ok());
    EXPECT_FALSE(ParseJson(nested(101)).ok());
    EXPECT_FALSE(ParseJson(nested(1'000'000)).ok());
    EXPECT_TRUE(ParseJson("[1,2,3]", {.values_max = 4}).ok());
    EXPECT_FALSE(ParseJson("[1,2,3]", {.values_max = 3}).ok());
}

TEST(Json, LastOfRepeatedNamesCounts) {
    const auto value = ParseJson(R"({"a":1,"a":2})");
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(*value->Find("a")->AsInt(), 2);
    EXPECT_EQ(value->Find("b"), nullptr);
    EXPECT_EQ(Json(1).Find("a"), nullptr);
}

TEST(Json, LongStringsComeInParts) {
    const std::string text =
        "\"" + std::string(100'000, 'x') + "\\n" + std::string(100'000, 'y') + "\"";
    EXPECT_EQ(RoundTrip(text), text);
}

TEST(JsonWriter, WritesWhatJsonDoesNotHave) {
    JsonWriter writer;
    writer.BeginObject();
    writer.Key("inf");
    writer.Double(std::numeric_limits<double>::infinity());
    writer.Key("bytes");
    writer.String(
        "a\xff"
        "b\xed\xa0\x80");
    writer.Key("raw");
    writer.Raw("[1]");
    writer.EndObject();
    EXPECT_EQ(
        writer.Take(),
        "{\"inf\":\"Infinity\",\"bytes\":\"a\uFFFDb\uFFFD\uFFFD\uFFFD\",\"raw\":[1]}");
}

TEST(Json, SetReplaces) {
    Json value;
    value.Set("a", 1).Set("b", "x").Set("a", Json::Array{1, "y"});
    EXPECT_EQ(WriteJson(value), R"({"a":[1,"y"],"b":"x"})");
}

}  // namespace
}  // namespace hearth::codec
