#include "services/s3/cors_rules.h"

#include <gtest/gtest.h>

namespace hearth::s3 {
namespace {

std::string Header(const std::optional<CorsRules::Headers>& headers, std::string_view name) {
    if (!headers) {
        return "no rule";
    }
    for (const auto& [key, value] : *headers) {
        if (key == name) {
            return value;
        }
    }
    return "";
}

CorsRule Rule(std::vector<std::string> origins, std::vector<std::string> methods) {
    CorsRule rule;
    rule.origins = std::move(origins);
    rule.methods = std::move(methods);
    return rule;
}

TEST(CorsRules, TheFirstRuleThatAllowsAllThreeAnswers) {
    CorsRule first = Rule({"https://a.example"}, {"PUT"});
    first.max_age_s = 10;
    CorsRule second = Rule({"*"}, {"GET", "PUT"});
    second.max_age_s = 20;
    const CorsRules rules({first, second});
    EXPECT_EQ(Header(rules.Answer("https://a.example", "PUT", ""), "Access-Control-Max-Age"), "10");
    EXPECT_EQ(Header(rules.Answer("https://b.example", "PUT", ""), "Access-Control-Max-Age"), "20");
    EXPECT_FALSE(rules.Answer("https://b.example", "DELETE", ""));
}

TEST(CorsRules, OneStarStandsForAnything) {
    EXPECT_TRUE(MatchesOneStar("http://*.example.com", "http://a.b.example.com"));
    EXPECT_FALSE(MatchesOneStar("http://*.example.com", "http://example.com"));
    EXPECT_TRUE(MatchesOneStar("x-amz-*", "x-amz-"));
    EXPECT_FALSE(MatchesOneStar("ab*ba", "aba"));
    EXPECT_FALSE(MatchesOneStar("a", "A"));
}

TEST(CorsRules, NamedOriginsMayBringTheirCredentials) {
    const CorsRules named({Rule({"http://*.example"}, {"GET"})});
    const auto answer = named.Answer("http://a.example", "GET", "");
    EXPECT_EQ(Header(answer, "Access-Control-Allow-Origin"), "http://a.example");
    EXPECT_EQ(Header(answer, "Access-Control-Allow-Credentials"), "true");
    const CorsRules anybody({Rule({"*"}, {"GET"})});
    EXPECT_EQ(
        Header(anybody.Answer("http://a.example", "GET", ""), "Access-Control-Allow-Origin"), "*");
    EXPECT_EQ(
        Header(anybody.Answer("http://a.example", "GET", ""), "Access-Control-Allow-Credentials"),
        "");
}

TEST(CorsRules, EveryAskedHeaderMustBeAllowed) {
    CorsRule rule = Rule({"*"}, {"PUT"});
    rule.allowed_headers = {"content-type", "x-amz-*"};
    const CorsRules rules({rule});
    const auto answer = rules.Answer("o", "PUT", "Content-Type, X-Amz-Date");
    EXPECT_EQ(Header(answer, "Access-Control-Allow-Headers"), "content-type, x-amz-date");
    EXPECT_FALSE(rules.Answer("o", "PUT", "content-type, authorization"));
    EXPECT_FALSE(CorsRules({Rule({"*"}, {"PUT"})}).Answer("o", "PUT", "content-type"));
    EXPECT_TRUE(rules.Answer("o", "PUT", " , "));
}

}  // namespace
}  // namespace hearth::s3
