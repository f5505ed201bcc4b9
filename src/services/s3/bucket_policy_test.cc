#include "services/s3/bucket_policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace hearth::s3 {
namespace {

std::string Policy(
    std::string_view principal,
    std::string_view action,
    std::string_view resource,
    std::string_view rest = "") {
    return fmt::format(
        R"({{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{},"Action":"{}",)"
        R"("Resource":"{}"{}}}]}})",
        principal,
        action,
        resource,
        rest);
}

std::string Fault(std::string_view text) {
    const auto status = CheckBucketPolicy(text, "bucket");
    return status.ok() ? "" : status.error().code() + ": " + status.error().message();
}

TEST(BucketPolicy, IsCheckedBeforeItIsKept) {
    const std::string account = R"({"AWS":"arn:aws:iam::111122223333:root"})";
    EXPECT_EQ(Fault(Policy(account, "s3:GetObject", "arn:aws:s3:::bucket/*")), "");
    EXPECT_EQ(Fault(Policy(R"("*")", "s3:*", "arn:aws:s3:::bucket*")), "");
    const std::string no_json =
        "MalformedPolicy: Policies must be valid JSON and the first byte must be '{'";
    EXPECT_EQ(Fault(""), no_json);
    EXPECT_EQ(Fault("random"), no_json);
    EXPECT_EQ(Fault(" {}"), no_json);
    EXPECT_EQ(Fault("{}"), "MalformedPolicy: Missing required field Statement");
    EXPECT_EQ(
        Fault(R"({"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]})"),
        "MalformedPolicy: Missing required field Principal");
    EXPECT_EQ(
        Fault(Policy(R"({"AWS":"bob"})", "s3:GetObject", "arn:aws:s3:::bucket/*")),
        "MalformedPolicy: Invalid principal in policy");
    EXPECT_EQ(
        Fault(Policy(account, "s3:GetObject", "arn:aws:s3:::other/*")),
        "MalformedPolicy: Policy has invalid resource");
    EXPECT_EQ(
        Fault(Policy(account, "ec2:RunInstances", "arn:aws:s3:::bucket/*")),
        "MalformedPolicy: Policy has invalid action");
    EXPECT_EQ(
        Fault(Policy(account, "s3:GetObject", "arn:aws:s3:::bucket")),
        "MalformedPolicy: Action does not apply to any resource(s) in statement");
    EXPECT_EQ(
        Fault(Policy(account, "s3:ListBucket", "arn:aws:s3:::bucket/key")),
        "MalformedPolicy: Action does not apply to any resource(s) in statement");
    EXPECT_NE(Fault(std::string(20 * 1024 + 1, ' ')), "");
    EXPECT_NE(Fault(std::string(10'000, '[')), "");
}

TEST(BucketPolicy, IsPublicWhenEverybodyIsLetIn) {
    const std::string resource = "arn:aws:s3:::bucket/*";
    EXPECT_TRUE(PolicyIsPublic(Policy(R"("*")", "s3:GetObject", resource)));
    EXPECT_TRUE(PolicyIsPublic(Policy(R"({"AWS":"*"})", "s3:GetObject", resource)));
    EXPECT_FALSE(PolicyIsPublic(Policy(R"({"AWS":"111122223333"})", "s3:GetObject", resource)));
    EXPECT_FALSE(PolicyIsPublic(Policy(
        R"("*")",
        "s3:GetObject",
        resource,
        R"(,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})")));
    EXPECT_TRUE(PolicyIsPublic(Policy(
        R"("*")",
        "s3:GetObject",
        resource,
        R"(,"Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}})")));
    EXPECT_TRUE(PolicyIsPublic(Policy(
        R"("*")",
        "s3:GetObject",
        resource,
        R"(,"Condition":{"StringEquals":{"aws:UserAgent":"x"}})")));
}

}  // namespace
}  // namespace hearth::s3
