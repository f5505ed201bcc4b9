#include "services/lambda/function_name.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::lambda {
namespace {

const AccountId kAccount("123456789012");
const Region kRegion("us-east-1");

Result<FunctionReference> Parse(std::string_view text, std::string_view qualifier = {}) {
    return ParseFunctionName(text, qualifier, kAccount, kRegion);
}

TEST(FunctionName, IsUnderstoodInAllItsForms) {
    for (const std::string form :
         {"resize",
          "function:resize",
          "123456789012:function:resize",
          "us-east-1:123456789012:function:resize",
          "arn:aws:lambda:us-east-1:123456789012:function:resize"}) {
        const auto plain = Parse(form);
        ASSERT_TRUE(plain.ok()) << form << ": " << plain.error().message();
        EXPECT_EQ(plain->name, "resize") << form;
        EXPECT_EQ(plain->qualifier, "") << form;
        EXPECT_EQ(plain->account, kAccount) << form;
        for (const std::string qualifier : {"$LATEST", "7", "live"}) {
            const auto qualified = Parse(form + ":" + qualifier);
            ASSERT_TRUE(qualified.ok()) << form;
            EXPECT_EQ(qualified->name, "resize") << form;
            EXPECT_EQ(qualified->qualifier, qualifier) << form;
        }
    }
}

TEST(FunctionName, AFunctionMayBeCalledFunction) {
    const auto parsed = Parse("function");
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->name, "function");
}

TEST(FunctionName, QualifiersMustAgree) {
    EXPECT_TRUE(Parse("resize:7", "7").ok());
    EXPECT_EQ(Parse("resize", "live")->qualifier, "live");
    const auto differing = Parse("resize:7", "8");
    ASSERT_FALSE(differing.ok());
    EXPECT_EQ(
        differing.error().message(),
        "The derived qualifier from the function name does not match the specified qualifier.");
}

TEST(FunctionName, OtherRegionsAreOutOfReach) {
    const auto foreign = Parse("arn:aws:lambda:eu-west-1:123456789012:function:resize");
    ASSERT_FALSE(foreign.ok());
    EXPECT_EQ(foreign.error().code(), "ResourceNotFoundException");
    EXPECT_EQ(
        foreign.error().message(),
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')");
}

TEST(FunctionName, OtherAccountsAreNamed) {
    EXPECT_EQ(Parse("999999999999:function:resize")->account, AccountId("999999999999"));
}

TEST(FunctionName, NonsenseIsRefused) {
    for (const std::string text :
         {"",
          ":",
          "a b",
          "resize:",
          ":live",
          "resize:live:more",
          "arn:aws:lambda:us-east-1:123456789012:layer:resize",
          "arn:aws:lambda:us-east-1:12:function:resize",
          "arn:aws:lambda:us-east-1:123456789012:function:",
          "12:function:resize",
          "resize/../x"}) {
        const auto parsed = Parse(text);
        ASSERT_FALSE(parsed.ok()) << text;
        EXPECT_EQ(parsed.error().code(), "ValidationException") << text;
    }
}

TEST(FunctionName, VersionNumbers) {
    EXPECT_TRUE(IsVersionNumber("1"));
    EXPECT_TRUE(IsVersionNumber("999999999999999999"));
    EXPECT_FALSE(IsVersionNumber("0"));
    EXPECT_FALSE(IsVersionNumber("01"));
    EXPECT_FALSE(IsVersionNumber("$LATEST"));
    EXPECT_FALSE(IsVersionNumber("v1"));
    EXPECT_FALSE(IsVersionNumber(""));
    EXPECT_FALSE(IsVersionNumber("99999999999999999999999"));
}

}  // namespace
}  // namespace hearth::lambda
