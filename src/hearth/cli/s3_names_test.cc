#include "hearth/cli/s3_names.h"

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

TEST(FileOfKey, NothingLeavesTheDirectory) {
    EXPECT_EQ(FileOfKey("a"), "a");
    EXPECT_EQ(FileOfKey("a/b c/\xc3\xa4.txt"), "a/b c/\xc3\xa4.txt");
    EXPECT_EQ(FileOfKey("..."), "...");
    for (const std::string_view bad :
         {std::string_view(""),
          std::string_view("/a"),
          std::string_view("a/"),
          std::string_view("a//b"),
          std::string_view(".."),
          std::string_view("a/../b"),
          std::string_view("./a"),
          std::string_view("a\0b", 3)}) {
        EXPECT_FALSE(FileOfKey(bad)) << bad;
    }
    EXPECT_FALSE(FileOfKey(std::string(256, 'a')));
}

TEST(ReadListing, KeysAreDecoded) {
    const ListedObjects listed = ReadListing(
        "<ListBucketResult><Prefix/><Contents><Key>a%2Bb/%C3%A4</Key><Size>12</Size></Contents>"
        "<Contents><Key>z</Key><Size>0</Size></Contents>"
        "<NextContinuationToken>t/+=</NextContinuationToken></ListBucketResult>");
    ASSERT_EQ(listed.objects.size(), 2u);
    EXPECT_EQ(listed.objects[0].key, "a+b/\xc3\xa4");
    EXPECT_EQ(listed.objects[0].size, 12u);
    EXPECT_EQ(listed.objects[1].key, "z");
    EXPECT_EQ(listed.token, "t/+=");
    EXPECT_TRUE(ReadListing("").token.empty());
    EXPECT_TRUE(ReadListing("<Contents><Key>a").objects.empty());
}

TEST(ContentTypeOf, ByEnding) {
    EXPECT_EQ(ContentTypeOf("a/index.html"), "text/html");
    EXPECT_EQ(ContentTypeOf("noending"), "binary/octet-stream");
}

}  // namespace
}  // namespace hearth::cli
