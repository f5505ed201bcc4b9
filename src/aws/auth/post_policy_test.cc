#include "aws/auth/post_policy.h"

#include "codec/base64/base64.h"
#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using Fields = PostPolicy::Fields;

constexpr std::string_view kPolicy = R"({"expiration": "2026-12-01T12:00:00.000Z", "conditions": [
    {"bucket": "photos"}, ["starts-with", "$key", "user/"], {"acl": "public-read"},
    ["starts-with", "$Content-Type", "image/"], ["eq", "$success_action_status", 201],
    ["content-length-range", 10, "1024"], ["starts-with", "$x-amz-meta-tag", ""]]})";

Fields Good() {
    return {
        {"key", "user/a.png"},
        {"acl", "public-read"},
        {"content-type", "image/png"},
        {"success_action_status", "201"},
        {"x-amz-meta-tag", "anything"},
        {"x-ignore-me", "1"},
        {"policy", "…"},
        {"bucket", "photos"}};
}

std::string Check(const Fields& fields, std::string_view now = "2026-11-21T00:00:00Z") {
    const auto policy = PostPolicy::Parse(codec::Base64Encode(kPolicy));
    if (!policy.ok()) {
        return policy.error().message();
    }
    const Status status = policy->Check(fields, *codec::ParseIso8601(now));
    return status.ok() ? "" : status.error().message();
}

std::string With(std::string_view name, std::string_view value) {
    Fields fields = Good();
    for (auto& field : fields) {
        if (field.first == name) {
            field.second = value;
            return Check(fields);
        }
    }
    fields.emplace_back(name, value);
    return Check(fields);
}

TEST(PostPolicy, AllowsWhatItNames) {
    EXPECT_EQ(Check(Good()), "");
    EXPECT_EQ(With("content-type", "image/png, image/gif"), "");
    const auto policy = PostPolicy::Parse(codec::Base64Encode(kPolicy));
    ASSERT_TRUE(policy.ok());
    EXPECT_EQ(policy->content_length().min, 10U);
    EXPECT_EQ(policy->content_length().max, 1024U);
}

TEST(PostPolicy, RefusesTheRestAndSaysWhy) {
    const std::string failed = "Invalid according to Policy: Policy Condition failed: ";
    EXPECT_EQ(With("key", "other/a.png"), failed + R"(["starts-with", "$key", "user/"])");
    EXPECT_EQ(With("bucket", "films"), failed + R"(["eq", "$bucket", "photos"])");
    EXPECT_EQ(With("acl", "private"), failed + R"(["eq", "$acl", "public-read"])");
    EXPECT_EQ(
        With("content-type", "image/png, text/html"),
        failed + R"(["starts-with", "$Content-Type", "image/"])");
    EXPECT_EQ(
        With("x-amz-meta-other", "x"),
        "Invalid according to Policy: Extra input fields: x-amz-meta-other");
    EXPECT_EQ(
        Check(Good(), "2026-12-01T12:00:01Z"), "Invalid according to Policy: Policy expired.");
    Fields without = Good();
    without.erase(without.begin());
    EXPECT_EQ(Check(without), failed + R"(["starts-with", "$key", "user/"])");
}

TEST(PostPolicy, ThatCannotBeReadIsRefused) {
    const auto parse = [](std::string_view text) {
        const auto policy = PostPolicy::Parse(codec::Base64Encode(text));
        return policy.ok() ? "" : policy.error().message();
    };
    EXPECT_EQ(parse("{"), "Invalid Policy: Invalid JSON.");
    EXPECT_EQ(parse("[]"), "Invalid Policy: Invalid JSON.");
    EXPECT_EQ(parse(R"({"conditions": []})"), "Invalid Policy: Policy missing expiration.");
    EXPECT_EQ(
        parse(R"({"expiration": "2026-12-01T12:00:00Z"})"),
        "Invalid Policy: Policy missing conditions.");
    for (const std::string_view condition :
         {R"(["eq", "key", "a"])",
          R"(["ends-with", "$key", "a"])",
          R"(["eq", "$key"])",
          R"(["content-length-range", -1, 5])",
          R"({"key": {}})",
          "7"}) {
        const std::string text = R"({"expiration": "2026-12-01T12:00:00Z", "conditions": [)" +
                                 std::string(condition) + "]}";
        EXPECT_TRUE(parse(text).starts_with("Invalid Policy: Invalid Condition: ")) << condition;
    }
    EXPECT_FALSE(PostPolicy::Parse("not base64!").ok());
}

}  // namespace
}  // namespace hearth::aws
