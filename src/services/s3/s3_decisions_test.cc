#include "services/s3/byte_range.h"
#include "services/s3/conditionals.h"
#include "services/s3/names.h"
#include "services/s3/version_id.h"

#include <gtest/gtest.h>

#include <string>

// What S3 decides without looking anything up: names, places, conditions, ranges, version ids.
namespace hearth::s3 {
namespace {

template <class T>
std::string CodeOf(const Result<T>& result) {
    return result.ok() ? "" : result.error().code();
}

TEST(BucketNames, AreAsAwsHasThem) {
    for (const char* name : {"abc", "a-b.c", "0-9", "my.bucket-1", "aaa"}) {
        EXPECT_EQ(CodeOf(CheckBucketName(name)), "") << name;
    }
    EXPECT_EQ(CodeOf(CheckBucketName(std::string(63, 'a'))), "");
    for (const char* name :
         {"",
          "ab",
          "Abc",
          "a_b",
          "-ab",
          "ab-",
          ".ab",
          "a..b",
          "1.2.3.4",
          "xn--abc",
          "sthree-abc",
          "abc-s3alias",
          "abc--ol-s3",
          "abc--x-s3",
          "a/b",
          "a b"}) {
        EXPECT_EQ(CodeOf(CheckBucketName(name)), "InvalidBucketName") << name;
    }
    EXPECT_EQ(CodeOf(CheckBucketName(std::string(64, 'a'))), "InvalidBucketName");
}

TEST(Keys, AreUtf8OfAtMost1024Bytes) {
    EXPECT_EQ(CodeOf(CheckKey("a//../\n\x01%2F")), "");
    EXPECT_EQ(CodeOf(CheckKey(std::string(1024, 'k'))), "");
    EXPECT_EQ(CodeOf(CheckKey(std::string(1025, 'k'))), "KeyTooLongError");
    EXPECT_EQ(CodeOf(CheckKey("\xff")), "InvalidURI");
    EXPECT_EQ(CodeOf(CheckKey("")), "InvalidURI");
}

TEST(BucketRegions, FollowTheEndpoint) {
    const Region home("us-east-1");
    const Region west("eu-west-1");
    EXPECT_EQ(RegionOfNewBucket(std::nullopt, home)->text(), "us-east-1");
    EXPECT_EQ(RegionOfNewBucket("", home)->text(), "us-east-1");
    EXPECT_EQ(RegionOfNewBucket("eu-west-1", home)->text(), "eu-west-1");
    EXPECT_EQ(RegionOfNewBucket("EU", west)->text(), "eu-west-1");
    EXPECT_EQ(RegionOfNewBucket("eu-west-1", west)->text(), "eu-west-1");
    EXPECT_EQ(CodeOf(RegionOfNewBucket(std::nullopt, west)), "IllegalLocationConstraintException");
    EXPECT_EQ(CodeOf(RegionOfNewBucket("eu-west-2", west)), "IllegalLocationConstraintException");
    EXPECT_EQ(CodeOf(RegionOfNewBucket("us-east-1", home)), "InvalidLocationConstraint");
    EXPECT_EQ(CodeOf(RegionOfNewBucket("nowhere", home)), "InvalidLocationConstraint");
}

TEST(CopySources, AreBucketAndKeyAndPerhapsAVersion) {
    // Go writes a space as a plus, and S3 reads it so.
    const auto plain = ParseCopySource("/bucket/a%20b+e/c%2Bd");
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain->bucket, "bucket");
    EXPECT_EQ(plain->key, "a b e/c+d");
    EXPECT_FALSE(plain->version_id);
    const auto version = ParseCopySource("bucket/k%3FversionId=1?versionId=abc");
    ASSERT_TRUE(version.ok());
    EXPECT_EQ(version->key, "k?versionId=1");
    EXPECT_EQ(version->version_id, "abc");
    for (const char* text : {"", "/", "bucket", "/bucket/", "bucket/%zz"}) {
        EXPECT_EQ(CodeOf(ParseCopySource(text)), "InvalidArgument") << text;
    }
}

TEST(Etags, MatchInListsAndWithoutQuotes) {
    EXPECT_TRUE(EtagMatches("\"a\"", "a"));
    EXPECT_TRUE(EtagMatches("a", "a"));
    EXPECT_TRUE(EtagMatches("\"b\", \"a\"", "a"));
    EXPECT_TRUE(EtagMatches("*", "a"));
    EXPECT_TRUE(EtagMatches("W/\"a\"", "a"));
    EXPECT_FALSE(EtagMatches("\"b\"", "a"));
    EXPECT_FALSE(EtagMatches("", "a"));
}

TEST(ReadConditions, FollowTheOrderOfTheRfc) {
    ObjectRecord object;
    object.etag = "a";
    object.modified = WallClock::time_point(std::chrono::milliseconds(1'000'500));
    const auto at = [](int64_t seconds) {
        return WallClock::time_point(std::chrono::seconds(seconds));
    };
    const auto decide = [&object](const ReadConditions& conditions) -> std::string {
        const auto decision = DecideRead(conditions, object);
        if (!decision.ok()) {
            return "412";
        }
        return *decision == ReadDecision::kGo ? "200" : "304";
    };
    EXPECT_EQ(decide({}), "200");
    EXPECT_EQ(decide({.if_match = "\"a\""}), "200");
    EXPECT_EQ(decide({.if_match = "\"b\""}), "412");
    EXPECT_EQ(decide({.if_match = "\"a\"", .if_unmodified_since = at(1)}), "200");
    EXPECT_EQ(decide({.if_unmodified_since = at(1)}), "412");
    // Half a second later than the header can say is the same second.
    EXPECT_EQ(decide({.if_unmodified_since = at(1000)}), "200");
    EXPECT_EQ(decide({.if_none_match = "\"a\""}), "304");
    EXPECT_EQ(decide({.if_none_match = "\"b\""}), "200");
    EXPECT_EQ(decide({.if_none_match = "\"b\"", .if_modified_since = at(2000)}), "200");
    EXPECT_EQ(decide({.if_modified_since = at(1000)}), "304");
    EXPECT_EQ(decide({.if_modified_since = at(999)}), "200");
    EXPECT_EQ(decide({.if_match = "\"a\"", .if_none_match = "\"a\""}), "304");
}

TEST(WriteConditions, AreAboutTheCurrentVersion) {
    ObjectRecord object;
    object.etag = "a";
    const auto decide = [](const WriteConditions& conditions, const ObjectRecord* current) {
        return CodeOf(DecideWrite(conditions, "k", current));
    };
    EXPECT_EQ(decide({.if_none_match = "*"}, nullptr), "");
    EXPECT_EQ(decide({.if_none_match = "*"}, &object), "PreconditionFailed");
    EXPECT_EQ(decide({.if_match = "\"a\""}, &object), "");
    EXPECT_EQ(decide({.if_match = "\"b\""}, &object), "PreconditionFailed");
    EXPECT_EQ(decide({.if_match = "\"a\""}, nullptr), "NoSuchKey");
    EXPECT_EQ(CodeOf(CheckWriteConditions({.if_none_match = "\"a\""})), "NotImplemented");
}

TEST(ByteRanges, AreOneOrNone) {
    const auto parse = [](std::string_view text, uint64_t size) -> std::string {
        const auto range = ParseRange(text, size);
        if (!range.ok()) {
            return range.error().code();
        }
        return *range ? ContentRange(**range, size) : "all";
    };
    EXPECT_EQ(parse("bytes=0-0", 10), "bytes 0-0/10");
    EXPECT_EQ(parse("bytes=2-", 10), "bytes 2-9/10");
    EXPECT_EQ(parse("bytes=2-99", 10), "bytes 2-9/10");
    EXPECT_EQ(parse("bytes=-3", 10), "bytes 7-9/10");
    EXPECT_EQ(parse("bytes=-99", 10), "bytes 0-9/10");
    EXPECT_EQ(parse("bytes=0-99999999999999999999999", 10), "bytes 0-9/10");
    EXPECT_EQ(parse("bytes=10-", 10), "InvalidRange");
    EXPECT_EQ(parse("bytes=-0", 10), "InvalidRange");
    EXPECT_EQ(parse("bytes=0-", 0), "InvalidRange");
    EXPECT_EQ(parse("bytes=-1", 0), "InvalidRange");
    for (const char* text :
         {"", "bytes=", "bytes=-", "bytes=a-1", "bytes=3-2", "bytes=1-2,4-5", "byte=1-2"}) {
        EXPECT_EQ(parse(text, 10), "all") << text;
    }
}

TEST(CopySourceRanges, NeedBothEndsWithin) {
    EXPECT_EQ(ParseCopySourceRange("bytes=2-4", 10)->length, 3U);
    for (const char* text :
         {"bytes=2-", "bytes=-2", "bytes=4-2", "bytes=2-10", "2-4", "bytes=a-b"}) {
        EXPECT_EQ(CodeOf(ParseCopySourceRange(text, 10)), "InvalidArgument") << text;
    }
}

TEST(VersionIds, NameTheirSequence) {
    std::string unique = "0123456789abcdef";
    for (const int64_t sequence :
         {int64_t{0}, int64_t{1}, INT64_MAX, int64_t{1'763'000'000'000'000}}) {
        const std::string id = MakeVersionId(sequence, unique);
        EXPECT_EQ(id.size(), 32U);
        EXPECT_EQ(SequenceOfVersionId(id), sequence);
        EXPECT_EQ(
            id.find_first_not_of(
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"),
            std::string::npos);
    }
    EXPECT_FALSE(SequenceOfVersionId("null"));
    EXPECT_FALSE(SequenceOfVersionId(std::string(31, 'a')));
    EXPECT_FALSE(SequenceOfVersionId(std::string(31, 'a') + "-"));
}

}  // namespace
}  // namespace hearth::s3
