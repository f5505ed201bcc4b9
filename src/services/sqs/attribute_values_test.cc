#include "services/sqs/attribute_values.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::sqs {
namespace {

using Attributes = std::map<std::string, std::string>;

const QueueAddress kQueue{AccountId("000000000000"), Region("us-east-1"), "q"};
constexpr char kDeadLetters[] = "arn:aws:sqs:us-east-1:000000000000:dead";

// "code: message", or empty.
std::string Refusal(const Attributes& given, bool creating = true) {
    QueueRecord record;
    const Status status = ApplyAttributes(given, creating, record);
    return status.ok() ? std::string() : status.error().code() + ": " + status.error().message();
}

Attributes Shown(const Attributes& given, const std::vector<std::string>& names) {
    QueueRecord record;
    EXPECT_TRUE(ApplyAttributes(given, true, record).ok());
    const QueueCounts counts{.visible = 1, .in_flight = 2, .delayed = 3};
    const auto shown = ShowAttributes(kQueue, record, names, &counts);
    EXPECT_TRUE(shown.ok());
    return *shown;
}

TEST(QueueAttributes, HaveTheDefaultsOfAws) {
    EXPECT_EQ(
        Shown({}, {"All"}),
        (Attributes{
            {"ApproximateNumberOfMessages", "1"},
            {"ApproximateNumberOfMessagesDelayed", "3"},
            {"ApproximateNumberOfMessagesNotVisible", "2"},
            {"CreatedTimestamp", "0"},
            {"DelaySeconds", "0"},
            {"LastModifiedTimestamp", "0"},
            {"MaximumMessageSize", "1048576"},
            {"MessageRetentionPeriod", "345600"},
            {"QueueArn", "arn:aws:sqs:us-east-1:000000000000:q"},
            {"ReceiveMessageWaitTimeSeconds", "0"},
            {"SqsManagedSseEnabled", "true"},
            {"VisibilityTimeout", "30"}}));
}

TEST(QueueAttributes, OfFifoQueues) {
    const Attributes shown = Shown({{"FifoQueue", "true"}}, {"All"});
    EXPECT_EQ(shown.at("FifoQueue"), "true");
    EXPECT_EQ(shown.at("ContentBasedDeduplication"), "false");
    EXPECT_EQ(shown.at("DeduplicationScope"), "queue");
    EXPECT_EQ(shown.at("FifoThroughputLimit"), "perQueue");
    EXPECT_EQ(
        Refusal({{"ContentBasedDeduplication", "true"}}),
        "InvalidAttributeName: Unknown Attribute ContentBasedDeduplication.");
    EXPECT_EQ(
        Refusal({{"DeduplicationScope", "queue"}}),
        "InvalidAttributeName: You can specify the DeduplicationScope only when FifoQueue is set "
        "to true.");
    EXPECT_EQ(
        Refusal({{"FifoQueue", "false"}}), "InvalidAttributeName: Unknown Attribute FifoQueue.");
    EXPECT_NE(Refusal({{"FifoQueue", "true"}, {"FifoThroughputLimit", "perMessageGroupId"}}), "");
    EXPECT_EQ(
        Refusal(
            {{"FifoQueue", "true"},
             {"FifoThroughputLimit", "perMessageGroupId"},
             {"DeduplicationScope", "messageGroup"}}),
        "");
}

TEST(QueueAttributes, HaveRanges) {
    const std::pair<const char*, std::vector<std::string>> bad[] = {
        {"DelaySeconds", {"-1", "901", "", "x", "1.5", " 1"}},
        {"VisibilityTimeout", {"-1", "43201"}},
        {"MessageRetentionPeriod", {"59", "1209601"}},
        {"ReceiveMessageWaitTimeSeconds", {"-1", "21"}},
        {"MaximumMessageSize", {"1023", "1048577"}},
        {"SqsManagedSseEnabled", {"maybe"}},
        {"Policy", {"{}", "no", "[]", R"({"Statement":[]})"}}};
    for (const auto& [name, values] : bad) {
        for (const std::string& value : values) {
            EXPECT_EQ(
                Refusal({{name, value}}),
                std::string("InvalidAttributeValue: Invalid value for the parameter ") + name + ".")
                << value;
        }
    }
    EXPECT_EQ(Refusal({{"Nonsense", "1"}}), "InvalidAttributeName: Unknown Attribute Nonsense.");
    EXPECT_EQ(Refusal({{"QueueArn", "1"}}), "InvalidAttributeName: Unknown Attribute QueueArn.");
}

TEST(QueueAttributes, RedrivePoliciesAreKeptInOneForm) {
    const std::string loose = std::string(R"({ "maxReceiveCount": "3", "deadLetterTargetArn": ")") +
                              kDeadLetters + R"(", "other": 1})";
    EXPECT_EQ(
        Shown({{"RedrivePolicy", loose}}, {"RedrivePolicy"}).at("RedrivePolicy"),
        std::string(R"({"deadLetterTargetArn":")") + kDeadLetters + R"(","maxReceiveCount":3})");
    const std::string bad[] = {
        "no JSON",
        "[]",
        "{}",
        R"({"maxReceiveCount":3})",
        std::string(R"({"deadLetterTargetArn":")") + kDeadLetters + R"("})",
        std::string(R"({"deadLetterTargetArn":")") + kDeadLetters + R"(","maxReceiveCount":0})",
        std::string(R"({"deadLetterTargetArn":")") + kDeadLetters + R"(","maxReceiveCount":1001})",
        R"({"deadLetterTargetArn":"x","maxReceiveCount":1})"};
    for (const std::string& policy : bad) {
        EXPECT_TRUE(Refusal({{"RedrivePolicy", policy}}).starts_with("InvalidParameterValue: "))
            << policy;
    }
    QueueRecord record;
    ASSERT_TRUE(ApplyAttributes({{"RedrivePolicy", loose}}, true, record).ok());
    ASSERT_TRUE(ApplyAttributes({{"RedrivePolicy", ""}}, false, record).ok());
    EXPECT_FALSE(record.settings.redrive);
}

TEST(QueueAttributes, RedriveAllowPoliciesSayWhoMay) {
    const auto allows = [](const std::string& policy) {
        QueueRecord record;
        EXPECT_TRUE(ApplyAttributes({{"RedriveAllowPolicy", policy}}, true, record).ok()) << policy;
        return AllowsRedriveFrom(record, kQueue.Arn());
    };
    EXPECT_TRUE(AllowsRedriveFrom({}, kQueue.Arn()));
    EXPECT_TRUE(allows(R"({"redrivePermission":"allowAll"})"));
    EXPECT_FALSE(allows(R"({"redrivePermission":"denyAll"})"));
    EXPECT_TRUE(allows(
        R"({"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:q"]})"));
    EXPECT_FALSE(allows(
        R"({"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:r"]})"));
    for (const char* bad :
         {"",
          "x",
          "{}",
          R"({"redrivePermission":"some"})",
          R"({"redrivePermission":"byQueue"})",
          R"({"redrivePermission":"allowAll","sourceQueueArns":[]})"}) {
        if (*bad != '\0') {
            EXPECT_TRUE(Refusal({{"RedriveAllowPolicy", bad}}).starts_with("InvalidParameterValue"))
                << bad;
        }
    }
}

TEST(QueueAttributes, KeysOfKmsAreRefused) {
    EXPECT_TRUE(Refusal({{"KmsMasterKeyId", "alias/aws/sqs"}}).starts_with("NotImplemented"));
    EXPECT_EQ(Refusal({{"KmsMasterKeyId", ""}}), "");
}

TEST(QueueAttributes, OnlyWhatIsAskedForIsShown) {
    EXPECT_EQ(Shown({}, {"DelaySeconds"}), (Attributes{{"DelaySeconds", "0"}}));
    EXPECT_EQ(Shown({}, {"Policy", "FifoQueue"}), Attributes());
    EXPECT_FALSE(ShowAttributes(kQueue, {}, {"Nonsense"}, nullptr).ok());
    EXPECT_TRUE(AsksForCounts({"ApproximateNumberOfMessages"}));
    EXPECT_FALSE(AsksForCounts({"QueueArn"}));
}

}  // namespace
}  // namespace hearth::sqs
