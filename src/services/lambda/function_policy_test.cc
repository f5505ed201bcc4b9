#include "services/lambda/function_policy.h"

#include "gen/lambda/types.gen.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

constexpr char kFunction[] = "arn:aws:lambda:us-east-1:123456789012:function:f";
constexpr WallClock::time_point kNow{std::chrono::milliseconds(1'790'000'000'000)};

model::AddPermissionRequest Request(std::string principal) {
    model::AddPermissionRequest request;
    request.statement_id = "sid";
    request.action = "lambda:InvokeFunction";
    request.principal = std::move(principal);
    return request;
}

std::string Document(const model::AddPermissionRequest& request) {
    const auto statement = PermissionStatement(request, kFunction);
    EXPECT_TRUE(statement.ok());
    auto document = AddStatement("", *request.statement_id, *statement);
    EXPECT_TRUE(document.ok());
    return *std::move(document);
}

TEST(FunctionPolicy, TheTextIsAsAwsWritesIt) {
    auto request = Request("s3.amazonaws.com");
    request.source_arn = "arn:aws:s3:::bucket";
    request.source_account = "123456789012";
    EXPECT_EQ(
        Document(request),
        R"({"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"sid","Effect":"Allow",)"
        R"("Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",)"
        R"("Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Condition":{)"
        R"("StringEquals":{"AWS:SourceAccount":"123456789012"},)"
        R"("ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}]})");
}

TEST(FunctionPolicy, PrincipalsThatAreNoneAreRefused) {
    for (const char* principal :
         {"",
          "x",
          "**",
          "12345678901",
          "1234567890123",
          "arn:aws:iam::123456789012:",
          "arn:aws:iam::123456789012:user/",
          "arn:aws:iam::123456789012:group/g",
          "arn:aws:iam::12345678901x:root",
          "arn:aws:sts::123456789012:root",
          "arn:aws:s3:::bucket",
          ".amazonaws.com",
          "s3.amazonaws.com.evil.org",
          "S3.amazonaws.com",
          "\xff.amazonaws.com"}) {
        EXPECT_FALSE(PermissionStatement(Request(principal), kFunction).ok()) << principal;
    }
}

TEST(FunctionPolicy, StatementsComeAndGoInOrder) {
    std::string document;
    for (const char* sid : {"a", "b", "c"}) {
        auto request = Request("*");
        request.statement_id = sid;
        const auto statement = PermissionStatement(request, kFunction);
        auto changed = AddStatement(document, sid, *statement);
        ASSERT_TRUE(changed.ok());
        document = *std::move(changed);
    }
    EXPECT_EQ(AddStatement(document, "b", "{}").error().code(), "ResourceConflictException");
    auto without = RemoveStatement(document, "b");
    ASSERT_TRUE(without.ok());
    EXPECT_LT(without->find(R"("Sid":"a")"), without->find(R"("Sid":"c")"));
    EXPECT_EQ(without->find(R"("Sid":"b")"), std::string::npos);
    EXPECT_EQ(RemoveStatement(*without, "b").error().code(), "ResourceNotFoundException");
    without = RemoveStatement(*RemoveStatement(*without, "a"), "c");
    ASSERT_TRUE(without.ok());
    EXPECT_EQ(*without, "");
}

TEST(FunctionPolicy, ServicesAreHeldToTheirSource) {
    auto request = Request("s3.amazonaws.com");
    request.source_arn = "arn:aws:s3:::bucket*";
    request.source_account = "123456789012";
    const std::string document = Document(request);
    const auto may = [&document](InvokingService service) {
        return ServiceMayInvoke(document, kFunction, service, kNow);
    };
    const InvokingService good{"s3.amazonaws.com", "arn:aws:s3:::bucket-1", "123456789012", ""};
    EXPECT_TRUE(may(good));
    EXPECT_FALSE(may({"sns.amazonaws.com", good.source_arn, good.source_account, ""}));
    EXPECT_FALSE(may({good.name, "arn:aws:s3:::other", good.source_account, ""}));
    // Somebody else's bucket of the same name.
    EXPECT_FALSE(may({good.name, good.source_arn, "444455556666", ""}));
    EXPECT_FALSE(may({good.name, good.source_arn, "", ""}));
    EXPECT_FALSE(may({good.name, "", good.source_account, ""}));
    EXPECT_FALSE(ServiceMayInvoke(document, std::string(kFunction) + ":7", good, kNow));
    EXPECT_FALSE(ServiceMayInvoke("", kFunction, good, kNow));
}

TEST(FunctionPolicy, AnEventSourceTokenMustMatch) {
    auto request = Request("alexa.amazonaws.com");
    request.event_source_token = "amzn1.ask.skill.1";
    const std::string document = Document(request);
    EXPECT_TRUE(ServiceMayInvoke(
        document, kFunction, {"alexa.amazonaws.com", "", "", "amzn1.ask.skill.1"}, kNow));
    EXPECT_FALSE(ServiceMayInvoke(
        document, kFunction, {"alexa.amazonaws.com", "", "", "amzn1.ask.skill.2"}, kNow));
    EXPECT_FALSE(ServiceMayInvoke(document, kFunction, {"alexa.amazonaws.com", "", "", ""}, kNow));
}

TEST(FunctionPolicy, AStatementForUrlsOpensNoDirectCall) {
    auto request = Request("*");
    request.invoked_via_function_url = true;
    const std::string document = Document(request);
    EXPECT_FALSE(PrincipalMayCall(
        document,
        kFunction,
        "lambda:InvokeFunction",
        "arn:aws:iam::444455556666:root",
        "444455556666",
        kNow));
    EXPECT_TRUE(PrincipalMayCall(
        Document(Request("*")),
        kFunction,
        "lambda:InvokeFunction",
        "arn:aws:iam::444455556666:root",
        "444455556666",
        kNow));
}

}  // namespace
}  // namespace hearth::lambda
