#include "services/lambda/async_record.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

// 2019-11-14T18:16:05.568Z
constexpr CloudClock::time_point kNow{std::chrono::milliseconds(1'573'755'365'568)};

AsyncEvent SomeEvent() {
    AsyncEvent event;
    event.account = AccountId("123456789012");
    event.region = Region("us-east-1");
    event.name = "my-function";
    event.function_id = "life";
    event.request_id = "e4b46cbf-b738-4880-8880-a18cdf61200e";
    event.payload = R"({"ORDER_IDS": ["9e07af03"]})";
    event.client_context = R"({"custom":{}})";
    event.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793";
    event.recursions = 3;
    event.failures = 2;
    return event;
}

TEST(AsyncRecord, LooksAsInTheDeveloperGuide) {
    const std::string record = InvocationRecord(
        SomeEvent(),
        {.now = kNow,
         .condition = "RetriesExhausted",
         .invoke_count = 3,
         .response = AsyncResponse{
             .executed_version = "$LATEST",
             .function_error = "Unhandled",
             .payload = R"({"errorMessage": "exited"})"}});
    EXPECT_EQ(
        record,
        R"({"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{)"
        R"("requestId":"e4b46cbf-b738-4880-8880-a18cdf61200e",)"
        R"("functionArn":"arn:aws:lambda:us-east-1:123456789012:function:my-function:$LATEST",)"
        R"("condition":"RetriesExhausted","approximateInvokeCount":3},)"
        R"("requestPayload":{"ORDER_IDS": ["9e07af03"]},)"
        R"("responseContext":{"statusCode":200,"executedVersion":"$LATEST",)"
        R"("functionError":"Unhandled"},"responsePayload":{"errorMessage": "exited"}})");
}

TEST(AsyncRecord, WithoutAnAttemptThereIsNoResponse) {
    AsyncEvent event = SomeEvent();
    event.qualifier = "live";
    event.payload.clear();
    EXPECT_EQ(
        InvocationRecord(
            event, {.now = kNow, .condition = "ZeroReservedConcurrency", .response = {}}),
        R"({"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{)"
        R"("requestId":"e4b46cbf-b738-4880-8880-a18cdf61200e",)"
        R"("functionArn":"arn:aws:lambda:us-east-1:123456789012:function:my-function:live",)"
        R"("condition":"ZeroReservedConcurrency","approximateInvokeCount":0},)"
        R"("requestPayload":{}})");
}

TEST(AsyncRecord, AnAnswerThatIsNoJsonBecomesAString) {
    const std::string record = InvocationRecord(
        SomeEvent(),
        {.now = kNow,
         .condition = "Success",
         .invoke_count = 1,
         .response = AsyncResponse{.executed_version = "7", .payload = "a \"b\"\xff"}});
    EXPECT_NE(record.find(R"("responsePayload":"a \"b\")"), std::string::npos) << record;
    EXPECT_EQ(record.find("functionError"), std::string::npos);
}

TEST(AsyncRecord, ObjectKeysAreAwsS) {
    EXPECT_EQ(
        RecordObjectKey("f", kNow, "0f3c"),
        "aws/lambda/async/f/2019/11/14/2019-11-14T18.16.05-0f3c");
}

TEST(AsyncRecord, ErrorMessagesAreCutToAKilobyteBetweenCharacters) {
    EXPECT_EQ(ErrorMessageOf(R"({"errorMessage":"no"})"), "no");
    EXPECT_EQ(ErrorMessageOf(R"({"errorMessage":7})"), "");
    EXPECT_EQ(ErrorMessageOf("not json"), "");
    std::string text(1'023, 'x');
    text += "\xc3\xa9 and more";
    const std::string cut = ErrorMessageOf("{\"errorMessage\":\"" + text + "\"}");
    EXPECT_EQ(cut, std::string(1'023, 'x'));
}

TEST(AsyncEvent, SurvivesStorage) {
    const AsyncEvent event = SomeEvent();
    const auto read = DecodeAsyncEvent(EncodeAsyncEvent(event));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->account, event.account);
    EXPECT_EQ(read->region, event.region);
    EXPECT_EQ(read->name, event.name);
    EXPECT_EQ(read->qualifier, event.qualifier);
    EXPECT_EQ(read->function_id, event.function_id);
    EXPECT_EQ(read->request_id, event.request_id);
    EXPECT_EQ(read->payload, event.payload);
    EXPECT_EQ(read->client_context, event.client_context);
    EXPECT_EQ(read->trace_header, event.trace_header);
    EXPECT_EQ(read->recursions, 3);
    EXPECT_EQ(read->failures, 2);
    EXPECT_FALSE(DecodeAsyncEvent("").ok());
    EXPECT_FALSE(DecodeAsyncEvent(EncodeAsyncEvent(event).substr(0, 40)).ok());
}

TEST(AsyncReport, SurvivesStorage) {
    AsyncReport report;
    report.account = AccountId("123456789012");
    report.region = Region("us-east-1");
    report.function_arn = "arn:f";
    report.role_arn = "arn:r";
    report.target_arn = "arn:t";
    report.body = "{}";
    report.dead_letter = true;
    report.request_id = "id";
    report.error_code = 429;
    report.error_message = "Rate Exceeded.";
    report.trace_header = "Root=1-x";
    report.object_key = "k";
    const auto read = DecodeAsyncReport(EncodeAsyncReport(report));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->target_arn, "arn:t");
    EXPECT_EQ(read->body, "{}");
    EXPECT_TRUE(read->dead_letter);
    EXPECT_EQ(read->error_code, 429);
    EXPECT_EQ(read->error_message, "Rate Exceeded.");
    EXPECT_EQ(read->object_key, "k");
    EXPECT_EQ(read->role_arn, "arn:r");
    EXPECT_EQ(read->function_arn, "arn:f");
}

}  // namespace
}  // namespace hearth::lambda
