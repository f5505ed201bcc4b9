#include "aws/front/context.h"
#include "codec/json/json.h"
#include "services/s3/notification_event.h"
#include "services/s3/notification_message.h"
#include "services/s3/notification_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hearth::s3 {
namespace {

NotificationRule Rule(std::string_view event, std::string prefix = {}, std::string suffix = {}) {
    return {
        .id = "id",
        .destination_arn = "arn:aws:sqs:us-east-1:000000000000:q",
        .events = ParseNotificationEvents(event).value(),
        .prefix = std::move(prefix),
        .suffix = std::move(suffix)};
}

TEST(NotificationEvents, AStarIsAllOfItsGroup) {
    const NotificationEvents created = ParseNotificationEvents("s3:ObjectCreated:*").value();
    EXPECT_EQ(
        created,
        SetOf(NotificationEvent::kCreatedPut) | SetOf(NotificationEvent::kCreatedPost) |
            SetOf(NotificationEvent::kCreatedCopy) |
            SetOf(NotificationEvent::kCreatedCompleteMultipartUpload));
    EXPECT_EQ(
        ParseNotificationEvents("s3:IntelligentTiering"),
        SetOf(NotificationEvent::kIntelligentTiering));
}

TEST(NotificationEvents, WhatAwsDoesNotKnowIsNone) {
    for (const char* name :
         {"",
          "s3:",
          "s3:*",
          "s3:ObjectCreated",
          "s3:ObjectCreated:",
          "s3:ObjectCreated:put",
          "s3:LifecycleTransition:*",
          "ObjectCreated:Put",
          "s3:Object:*"}) {
        EXPECT_FALSE(ParseNotificationEvents(name)) << name;
    }
}

TEST(NotificationRules, PrefixAndSuffixBothHold) {
    const NotificationRules rules({Rule("s3:ObjectCreated:*", "in/", ".fq")});
    EXPECT_NE(rules.Find(NotificationEvent::kCreatedPut, "in/a.fq"), nullptr);
    EXPECT_EQ(rules.Find(NotificationEvent::kCreatedPut, "in/a.gz"), nullptr);
    EXPECT_EQ(rules.Find(NotificationEvent::kCreatedPut, "out/a.fq"), nullptr);
    EXPECT_EQ(rules.Find(NotificationEvent::kRemovedDelete, "in/a.fq"), nullptr);
}

TEST(NotificationRules, OverlapsAreRefusedInAwsWords) {
    constexpr char kEvents[] =
        "Configurations overlap. Configurations on the same bucket cannot share a common event "
        "type.";
    constexpr char kSuffixes[] =
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if "
        "the prefixes are overlapping for the same event type.";
    const auto message = [](std::vector<NotificationRule> rules) {
        const Status status = CheckOverlaps(rules);
        return status.ok() ? std::string() : status.error().message();
    };
    EXPECT_EQ(message({Rule("s3:ObjectCreated:*"), Rule("s3:ObjectCreated:Put")}), kEvents);
    EXPECT_EQ(
        message({Rule("s3:ObjectCreated:*", "a"), Rule("s3:ObjectCreated:Put", "ab")}), kSuffixes);
    EXPECT_EQ(
        message({Rule("s3:ObjectCreated:*", "a", ".jpg"), Rule("s3:ObjectCreated:*", "", "jpg")}),
        kSuffixes);
    EXPECT_EQ(
        message({Rule("s3:ObjectCreated:*", "a", ".jpg"), Rule("s3:ObjectCreated:*", "a", ".png")}),
        "");
    EXPECT_EQ(message({Rule("s3:ObjectCreated:*", "a"), Rule("s3:ObjectCreated:*", "b")}), "");
    EXPECT_EQ(message({Rule("s3:ObjectCreated:*"), Rule("s3:ObjectRemoved:*")}), "");
}

TEST(NotificationMessage, KeysAreEncodedAsInForms) {
    EXPECT_EQ(NotificationKey("red flower.jpg"), "red+flower.jpg");
    EXPECT_EQ(NotificationKey("a/b+c%20/\xc3\xa4*"), "a/b%2Bc%2520/%C3%A4*");
}

class Messages : public testing::Test {
  protected:
    Messages() {
        bucket_.name = "reads";
        bucket_.account = AccountId("111122223333");
        bucket_.region = Region("eu-west-1");
        object_.key = "a b.fq";
        object_.size = 7;
        object_.etag = "0123";
        object_.version_id = "v1";
        context_.request_id = "R";
        context_.peer_address = "10.0.0.1";
        context_.caller.type = aws::Caller::Type::kUser;
        context_.caller.user_id = "AIDAEXAMPLE";
    }

    codec::Json Event(NotificationEvent event, bool own = false) {
        NotificationFacts facts{.event = event, .configuration_id = "rule", .at = {}};
        facts.at = WallClock::time_point(std::chrono::milliseconds(1'234));
        facts.cause = own ? nullptr : &context_;
        facts.own_request_id = "OWN";
        facts.sequencer = 0xABCDEF;
        facts.restored_until = WallClock::time_point(std::chrono::seconds(86'400));
        auto json = codec::ParseJson(NotificationMessage(facts, bucket_, object_));
        EXPECT_TRUE(json.ok());
        const auto* records = json->Find("Records")->AsArray();
        EXPECT_EQ(records->size(), 1U);
        return records->front();
    }

    static std::string Text(const codec::Json& json, std::vector<std::string> path) {
        const codec::Json* at = &json;
        for (const std::string& name : path) {
            at = at->Find(name);
            if (at == nullptr) {
                return "(none)";
            }
        }
        return at->AsString() != nullptr ? *at->AsString() : codec::WriteJson(*at);
    }

    BucketRecord bucket_;
    ObjectRecord object_;
    aws::RequestContext context_;
};

TEST_F(Messages, ACreatedObjectIsToldAsInTheUserGuide) {
    const codec::Json event = Event(NotificationEvent::kCreatedPut);
    EXPECT_EQ(Text(event, {"eventVersion"}), "2.1");
    EXPECT_EQ(Text(event, {"eventSource"}), "aws:s3");
    EXPECT_EQ(Text(event, {"awsRegion"}), "eu-west-1");
    EXPECT_EQ(Text(event, {"eventTime"}), "1970-01-01T00:00:01.234Z");
    EXPECT_EQ(Text(event, {"eventName"}), "ObjectCreated:Put");
    EXPECT_EQ(Text(event, {"userIdentity", "principalId"}), "AWS:AIDAEXAMPLE");
    EXPECT_EQ(Text(event, {"requestParameters", "sourceIPAddress"}), "10.0.0.1");
    EXPECT_EQ(Text(event, {"responseElements", "x-amz-request-id"}), "R");
    EXPECT_EQ(Text(event, {"s3", "s3SchemaVersion"}), "1.0");
    EXPECT_EQ(Text(event, {"s3", "configurationId"}), "rule");
    EXPECT_EQ(Text(event, {"s3", "bucket", "arn"}), "arn:aws:s3:::reads");
    EXPECT_EQ(Text(event, {"s3", "object", "key"}), "a+b.fq");
    EXPECT_EQ(Text(event, {"s3", "object", "size"}), "7");
    EXPECT_EQ(Text(event, {"s3", "object", "eTag"}), "0123");
    EXPECT_EQ(Text(event, {"s3", "object", "versionId"}), "(none)");
    EXPECT_EQ(Text(event, {"s3", "object", "sequencer"}), "000000000000ABCDEF");
}

TEST_F(Messages, VersionsAreToldInVersionedBuckets) {
    bucket_.versioning = Versioning::kEnabled;
    EXPECT_EQ(Text(Event(NotificationEvent::kCreatedPut), {"s3", "object", "versionId"}), "v1");
    const codec::Json marker = Event(NotificationEvent::kRemovedDeleteMarkerCreated);
    EXPECT_EQ(Text(marker, {"s3", "object", "versionId"}), "v1");
    EXPECT_EQ(Text(marker, {"s3", "object", "eTag"}), "d41d8cd98f00b204e9800998ecf8427e");
    EXPECT_EQ(Text(marker, {"s3", "object", "size"}), "(none)");
}

TEST_F(Messages, WhatS3DoesItselfIsItsOwn) {
    const codec::Json event = Event(NotificationEvent::kLifecycleExpirationDelete, /*own=*/true);
    EXPECT_EQ(Text(event, {"eventVersion"}), "2.3");
    EXPECT_EQ(Text(event, {"userIdentity", "principalId"}), "s3.amazonaws.com");
    EXPECT_EQ(Text(event, {"requestParameters", "sourceIPAddress"}), "s3.amazonaws.com");
    EXPECT_EQ(Text(event, {"responseElements", "x-amz-request-id"}), "OWN");
    EXPECT_EQ(Text(event, {"s3", "object", "eTag"}), "(none)");
}

TEST_F(Messages, FurtherDataStandsBesideTheObject) {
    object_.storage_class = "GLACIER";
    const codec::Json restored = Event(NotificationEvent::kRestoreCompleted, /*own=*/true);
    EXPECT_EQ(
        Text(restored, {"glacierEventData", "restoreEventData", "lifecycleRestorationExpiryTime"}),
        "1970-01-02T00:00:00.000Z");
    EXPECT_EQ(
        Text(restored, {"glacierEventData", "restoreEventData", "lifecycleRestoreStorageClass"}),
        "GLACIER");
    EXPECT_EQ(
        Text(
            Event(NotificationEvent::kLifecycleTransition, /*own=*/true),
            {"lifecycleEventData", "transitionEventData", "destinationStorageClass"}),
        "GLACIER");
    object_.tier = "DEEP_ARCHIVE";
    EXPECT_EQ(
        Text(
            Event(NotificationEvent::kIntelligentTiering, /*own=*/true),
            {"intelligentTieringEventData", "destinationAccessTier"}),
        "DEEP_ARCHIVE_ACCESS");
}

TEST(NotificationMessage, TheTestEventIsAwss) {
    EXPECT_TRUE(
        NotificationTestMessage("b", {}, "R")
            .starts_with(
                R"({"Service":"Amazon S3","Event":"s3:TestEvent","Time":"1970-01-01T00:00:00.000Z",)"
                R"("Bucket":"b","RequestId":"R","HostId":")"));
}

}  // namespace
}  // namespace hearth::s3
