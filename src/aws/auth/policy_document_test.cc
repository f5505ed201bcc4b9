#include "aws/auth/policy_document.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

std::string Judge(std::string_view text, PolicyKind kind) {
    const Status status = CheckPolicyDocument(text, kind);
    return status.ok() ? "" : status.error().message();
}

constexpr char kTrustLambda[] =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",)"
    R"("Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]})";

TEST(PolicyDocument, UsualDocumentsAreAccepted) {
    EXPECT_EQ(Judge(kTrustLambda, PolicyKind::kTrust), "");
    EXPECT_EQ(
        Judge(
            R"({"Version":"2012-10-17","Statement":{"Sid":"A1","Effect":"Allow","Action":["s3:Get*","s3:List*"],)"
            R"("Resource":["arn:aws:s3:::bucket/*"],"Condition":{"Bool":{"aws:SecureTransport":true}}}})",
            PolicyKind::kIdentity),
        "");
}

TEST(PolicyDocument, MistakesGetTheMessagesOfAws) {
    const auto identity = [](const std::string& statement) {
        return Judge(
            R"({"Version":"2012-10-17","Statement":[)" + statement + "]}", PolicyKind::kIdentity);
    };
    EXPECT_EQ(Judge("{", PolicyKind::kIdentity), "This policy contains invalid Json");
    EXPECT_EQ(Judge("[]", PolicyKind::kIdentity), "Syntax errors in policy.");
    EXPECT_EQ(
        Judge(R"({"Statement":[]})", PolicyKind::kIdentity),
        "Policy document must be version 2012-10-17 or greater.");
    EXPECT_EQ(identity(R"({"Effect":"allow"})"), "Syntax errors in policy.");
    EXPECT_EQ(
        identity(R"({"Effect":"Allow","Resource":"*"})"), "Policy statement must contain actions.");
    EXPECT_EQ(
        identity(R"({"Effect":"Allow","Action":"s3:*"})"),
        "Policy statement must contain resources.");
    EXPECT_EQ(
        identity(R"({"Effect":"Allow","Action":"PutObject","Resource":"*"})"),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    EXPECT_EQ(
        identity(R"({"Effect":"Allow","Action":"s3:*","Resource":"bucket"})"),
        "Resource bucket must be in ARN format or \"*\".");
    EXPECT_EQ(
        identity(R"({"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"})"),
        "Policy document should not specify a principal.");
    EXPECT_EQ(
        identity(R"({"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"},)"
                 R"({"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"})"),
        "Statement IDs (SID) in a single policy must be unique.");
    EXPECT_EQ(
        Judge(
            R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]})",
            PolicyKind::kTrust),
        "Missing required field Principal");
    EXPECT_EQ(
        Judge(
            R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"x.y"},)"
            R"("Action":"s3:GetObject"}]})",
            PolicyKind::kTrust),
        "AssumeRole policy may only specify STS AssumeRole actions.");
}

TEST(PolicyDocument, TrustNeedsAnAllowAndNoDeny) {
    TrustRequest lambda;
    lambda.service = "lambda.amazonaws.com";
    EXPECT_TRUE(TrustAllows(kTrustLambda, lambda));
    lambda.service = "ec2.amazonaws.com";
    EXPECT_FALSE(TrustAllows(kTrustLambda, lambda));

    TrustRequest user;
    user.account = "111122223333";
    user.principal_arn = "arn:aws:iam::111122223333:user/ann";
    constexpr char kAccount[] =
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},)"
        R"("Action":"sts:*","Condition":{"StringEquals":{"sts:ExternalId":"sesame"}}},)"
        R"({"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"sts:AssumeRole"}]})";
    EXPECT_FALSE(TrustAllows(kAccount, user));
    user.external_id = "sesame";
    EXPECT_TRUE(TrustAllows(kAccount, user));
    user.principal_arn = "arn:aws:iam::111122223333:user/bob";
    EXPECT_FALSE(TrustAllows(kAccount, user));
    user.account = "444455556666";
    user.principal_arn = "arn:aws:iam::444455556666:user/ann";
    EXPECT_FALSE(TrustAllows(kAccount, user));
}

TEST(PolicyDocument, ServicesAreHeldToTheAccountTheyActFor) {
    TrustRequest lambda;
    lambda.service = "lambda.amazonaws.com";
    constexpr char kOwn[] =
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":)"
        R"("lambda.amazonaws.com"},"Action":"sts:AssumeRole",)"
        R"("Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}}]})";
    lambda.account = "111122223333";
    EXPECT_TRUE(TrustAllows(kOwn, lambda));
    lambda.account = "444455556666";
    EXPECT_FALSE(TrustAllows(kOwn, lambda));
}

TEST(PolicyDocument, ConditionsThatCannotBeJudgedNeverOpenADoor) {
    TrustRequest user;
    user.account = "111122223333";
    user.principal_arn = "arn:aws:iam::111122223333:user/ann";
    EXPECT_FALSE(TrustAllows(
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole",)"
        R"("Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]})",
        user));
    EXPECT_FALSE(TrustAllows(
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},)"
        R"({"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole",)"
        R"("Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]})",
        user));
}

}  // namespace
}  // namespace hearth::aws
