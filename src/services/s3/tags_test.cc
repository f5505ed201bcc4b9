#include "services/s3/tags.h"

#include "services/s3/acl.h"

#include <gtest/gtest.h>

namespace hearth::s3 {
namespace {

std::string Fault(const Result<Tags>& tags) {
    return tags.ok() ? "" : tags.error().message();
}

TEST(Tags, AreChecked) {
    EXPECT_EQ(Fault(CheckTags({{"a", ""}, {"b", "x y+=._:/@-"}}, Tagged::kObject)), "");
    EXPECT_EQ(
        Fault(CheckTags({{"a", ""}, {"a", ""}}, Tagged::kObject)),
        "Cannot provide multiple Tags with the same key");
    EXPECT_EQ(
        Fault(CheckTags({{"a,b", ""}}, Tagged::kObject)),
        "The TagKey you have provided is invalid");
    EXPECT_EQ(
        Fault(CheckTags({{"a", "b,c"}}, Tagged::kBucket)),
        "The TagValue you have provided is invalid");
    EXPECT_EQ(
        Fault(CheckTags({{"aws:x", ""}}, Tagged::kObject)),
        "Your TagKey cannot be prefixed with aws:");
    EXPECT_EQ(
        Fault(CheckTags({{"aws:x", ""}}, Tagged::kBucket)),
        "System tags cannot be added/updated by requester");
    // Characters are counted, not bytes.
    std::string umlauts;
    for (int i = 0; i < 128; ++i) {
        umlauts += "\xc3\xa4";
    }
    EXPECT_EQ(Fault(CheckTags({{umlauts, ""}}, Tagged::kObject)), "");
    EXPECT_NE(Fault(CheckTags({{umlauts + "a", ""}}, Tagged::kObject)), "");
    std::vector<std::pair<std::string, std::string>> eleven;
    for (int i = 0; i < 11; ++i) {
        eleven.emplace_back("k" + std::to_string(i), "");
    }
    EXPECT_EQ(Fault(CheckTags(eleven, Tagged::kObject)), "Object tags cannot be greater than 10");
    EXPECT_EQ(Fault(CheckTags(eleven, Tagged::kBucket)), "");
}

TEST(Tags, OfAHeaderAreAQuery) {
    const auto tags = ParseTaggingHeader("a=1&b=x%20y&c");
    ASSERT_TRUE(tags.ok());
    EXPECT_EQ(*tags, (Tags{{"a", "1"}, {"b", "x y"}, {"c", ""}}));
    EXPECT_EQ(ParseTaggingHeader("a=1&a=2").error().code(), "InvalidArgument");
    EXPECT_EQ(ParseTaggingHeader("a=1,b=2").error().code(), "InvalidArgument");
    EXPECT_EQ(ParseTaggingHeader("a=%zz").error().code(), "InvalidArgument");
}

TEST(Acl, HeadersBecomeGrants) {
    const std::string owner(64, 'a');
    const std::string other(64, 'b');
    AclHeaders headers;
    headers.read = "id=\"" + other + "\", uri=\"" + std::string(kAllUsers) + "\"";
    const auto acl = AclFromHeaders(headers, AclOf::kObject, owner, owner);
    ASSERT_TRUE(acl.ok() && *acl);
    EXPECT_EQ(
        (*acl)->grants,
        (std::vector<AclGrant>{{false, other, "READ"}, {true, std::string(kAllUsers), "READ"}}));
    EXPECT_TRUE((*acl)->is_public());
    EXPECT_EQ(Acl::Decode((*acl)->Encode())->grants, (*acl)->grants);

    headers.canned = "private";
    EXPECT_EQ(
        AclFromHeaders(headers, AclOf::kObject, owner, owner).error().code(), "InvalidRequest");
    for (const char* broken : {"id=x", "uri=http://x", "name=x", "x"}) {
        AclHeaders bad;
        bad.write_acp = broken;
        EXPECT_EQ(
            AclFromHeaders(bad, AclOf::kObject, owner, owner).error().code(), "InvalidArgument")
            << broken;
    }
}

TEST(Acl, OfAnObjectOnlyWhereTheBucketAllowsThem) {
    const std::string owner(64, 'a');
    BucketSettings settings;
    AclHeaders headers;
    headers.canned = "bucket-owner-full-control";
    EXPECT_EQ(*AclOfNewObject(headers, settings, owner, owner, "", ""), "");
    headers.canned = "private";
    EXPECT_EQ(
        AclOfNewObject(headers, settings, owner, owner, "", "").error().code(),
        "AccessControlListNotSupported");
    settings.ownership = ObjectOwnership::kObjectWriter;
    EXPECT_EQ(*AclOfNewObject(headers, settings, owner, owner, "", ""), "");
    headers.canned = "public-read";
    EXPECT_EQ(
        AclOfNewObject(headers, settings, owner, owner, "", "").error().code(), "AccessDenied");
    settings.public_access_block.reset();
    EXPECT_NE(*AclOfNewObject(headers, settings, owner, owner, "", ""), "");
}

}  // namespace
}  // namespace hearth::s3
