#include "services/logs/filter_pattern.h"

#include <gtest/gtest.h>

namespace hearth::logs {
namespace {

bool Matches(std::string_view pattern, std::string_view message) {
    const auto parsed = FilterPattern::Parse(pattern);
    EXPECT_TRUE(parsed.ok()) << pattern << ": " << (parsed.ok() ? "" : parsed.error().message());
    return parsed.ok() && parsed->Matches(message);
}

// The examples of the user guide.
TEST(FilterPattern, Terms) {
    EXPECT_TRUE(Matches("", "anything"));
    EXPECT_TRUE(Matches("  ", ""));
    EXPECT_TRUE(Matches("ERROR", "[ERROR 400] BAD REQUEST"));
    EXPECT_FALSE(Matches("ERROR", "[error 400]"));
    EXPECT_TRUE(Matches("ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS"));
    EXPECT_FALSE(Matches("ERROR ARGUMENTS", "[ERROR 401] UNAUTHORIZED REQUEST"));
    EXPECT_TRUE(Matches("?ERROR ?ARGUMENTS", "[ERROR 401] UNAUTHORIZED REQUEST"));
    EXPECT_FALSE(Matches("?ERROR ?ARGUMENTS", "nothing here"));
    EXPECT_TRUE(Matches("ARGUMENTS ?ERROR", "MISSING ARGUMENTS"));
    EXPECT_TRUE(Matches("\"INTERNAL SERVER ERROR\"", "[ERROR 500] INTERNAL SERVER ERROR"));
    EXPECT_FALSE(Matches("\"INTERNAL SERVER ERROR\"", "INTERNAL  SERVER ERROR"));
    EXPECT_TRUE(Matches("ERROR -ARGUMENTS", "[ERROR 400] BAD REQUEST"));
    EXPECT_FALSE(Matches("ERROR -ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS"));
    EXPECT_FALSE(Matches("-\"bad thing\"", "a bad thing"));
    EXPECT_TRUE(Matches(R"("say \"hi\"")", R"(they say "hi" now)"));
    EXPECT_TRUE(Matches("%4[0-9]{2}%", "code 419."));
    EXPECT_FALSE(Matches("%4[0-9]{2}%", "code 519."));
    EXPECT_TRUE(Matches(R"(%100\%%)", "100% done"));
}

TEST(FilterPattern, Json) {
    constexpr std::string_view kEvent = R"({
        "eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": null, "cluster.name": "c", "actions": [1.5, 3], "ok": true, "bad": false,
        "requestCount": 1e3})";
    for (const std::string_view yes :
         {R"({ $.eventType = "UpdateTrail" })",
          R"({$.eventType=UpdateTrail})",
          R"({ $.eventType = "Update*" })",
          R"({ $.eventType = *Trail })",
          R"({ $.sourceIPAddress != 123.123.* })",
          R"({ $.arrayKey[0] = "value" })",
          R"({ $.arrayKey[*] = "another value" })",
          R"({ $.objectList[1].id = 2 })",
          R"({ $.objectList[*].id >= 2 })",
          R"({ $.SomeObject IS NULL })",
          R"({ $.SomeOtherObject NOT EXISTS })",
          R"({ $.SomeObject EXISTS })",
          R"({ $.ok IS TRUE })",
          R"({ $.bad IS FALSE })",
          R"({ $.["cluster.name"] = "c" })",
          R"({ $['cluster.name'] = "c" })",
          R"({ $.requestCount = 1000 })",
          R"({ $.requestCount > 9.9e2 && $.requestCount <= 1000 })",
          R"({ $.actions[0] < 2 })",
          R"({ ($.eventType = "x" || $.ok IS TRUE) && ($.bad IS FALSE) })",
          R"({ $.eventType = "x" && $.bad IS FALSE || $.ok IS TRUE })",
          R"({ $.eventType = %^Up% })",
          R"({ $.sourceIPAddress = %1{3}\.1{3}% })"}) {
        EXPECT_TRUE(Matches(yes, kEvent)) << yes;
    }
    for (const std::string_view no :
         {R"({ $.eventType = "Trail" })",
          R"({ $.missing = "x" })",
          R"({ $.missing != "x" })",
          R"({ $.arrayKey[2] = "value" })",
          R"({ $.eventType IS NULL })",
          R"({ $.eventType NOT EXISTS })",
          R"({ $.ok IS FALSE })",
          R"({ $.eventType > 5 })",
          R"({ $.requestCount != 1000 })"}) {
        EXPECT_FALSE(Matches(no, kEvent)) << no;
    }
    EXPECT_FALSE(Matches("{ $.a = 1 }", "a = 1"));
    EXPECT_FALSE(Matches("{ $.a = 1 }", R"({"a": 1)"));
    EXPECT_FALSE(Matches("{ $.a NOT EXISTS }", "plain text"));
}

TEST(FilterPattern, Fields) {
    constexpr std::string_view kEvent =
        R"(127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534)";
    for (const std::string_view yes :
         {"[ip, server, username, timestamp, request, status_code, bytes]",
          "[ip, server, username, timestamp, request = *html*, status_code = 4*, bytes > 1000]",
          "[..., status_code=404, bytes]",
          "[ip, ..., bytes = 1534]",
          "[ip=127.0.0.1, ...]",
          "[ip, server, username, timestamp, request, status_code = 404 || status_code = 410, "
          "bytes]",
          "[..., bytes >= 1000 && bytes < 2000]",
          "[..., status_code = %4[0-9]{2}%, bytes]",
          "[ip, user != \"Dev\", ...]",
          "[,,,,,,]"}) {
        EXPECT_TRUE(Matches(yes, kEvent)) << yes;
    }
    for (const std::string_view no :
         {"[ip, server]",
          "[..., status_code=500, bytes]",
          "[ip, server, username, timestamp, request, status_code, bytes, more]",
          "[ip=10.*, ...]",
          "[..., bytes < 1000]"}) {
        EXPECT_FALSE(Matches(no, kEvent)) << no;
    }
}

TEST(FilterPattern, BrokenPatternsAreRefused) {
    for (const std::string_view bad :
         {"\"open",
          "%open",
          "%(%",
          "-",
          "?",
          "{",
          "{}",
          "{ $.a }",
          "{ $.a = }",
          "{ a = 1 }",
          "{ $.a = 1",
          "{ $.a = 1 } x",
          "{ $.a > word }",
          "{ ($.a = 1 }",
          "{ $.a IS MAYBE }",
          "{ $.a NOT }",
          "{ $.[x] = 1 }",
          "{ $.a[9999999] = 1 }",
          "{ $. = 1 }",
          "[a",
          "[a] x",
          "[..., ...]",
          "[a = 1 || b = 2]",
          "[a = ]",
          "[a = 1 &&]"}) {
        EXPECT_FALSE(FilterPattern::Parse(bad).ok()) << bad;
    }
    const std::string deep(900, '(');
    EXPECT_FALSE(FilterPattern::Parse("{" + deep).ok());
}

TEST(FilterPattern, FieldsComeByName) {
    using Fields = FilterPattern::Fields;
    const auto extract = [](std::string_view pattern, std::string_view event) {
        return FilterPattern::Parse(pattern)->Extract(event);
    };
    EXPECT_EQ(
        extract("[ip, , status=5*]", "10.0.0.1 [now then] 503"),
        (Fields{{"ip", "10.0.0.1"}, {"$2", "now then"}, {"status", "503"}}));
    EXPECT_EQ(
        extract("[first, ..., last]", "a b c d"),
        (Fields{{"first", "a"}, {"$2", "b"}, {"$3", "c"}, {"last", "d"}}));
    EXPECT_EQ(extract("[first, ...]", "a"), (Fields{{"first", "a"}}));
    EXPECT_EQ(extract("ERROR", "ERROR"), Fields());
    EXPECT_EQ(extract("", "ERROR"), Fields());
}

// A pattern is the caller's, an event is a function's: neither may cost more than its length.
TEST(FilterPattern, HostileTextsStayCheap) {
    std::string stars;
    for (int i = 0; i < 300; ++i) {
        stars += "a*";
    }
    EXPECT_FALSE(
        Matches("{ $.x = " + stars + "b }", R"({"x": ")" + std::string(200'000, 'a') + "\"}"));
    EXPECT_FALSE(Matches("%(a+)+$%", std::string(100'000, 'a') + "!"));
    EXPECT_FALSE(Matches("{ $.x = 1 }", std::string(100'000, '[')));
}

}  // namespace
}  // namespace hearth::logs
