#include "aws/front/s3_address.h"

#include "aws/front/router.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string Bucket(std::string_view host) {
    return BucketOfS3Host(host).value_or("(none)");
}

TEST(S3Address, FindsTheBucketBeforeTheLastLabelOfS3) {
    EXPECT_EQ(Bucket("photos.s3.localhost"), "photos");
    EXPECT_EQ(Bucket("photos.2026.s3.eu-west-1.localhost"), "photos.2026");
    EXPECT_EQ(Bucket("photos.s3.dualstack.us-east-1.amazonaws.com"), "photos");
    EXPECT_EQ(Bucket("photos.s3-us-west-2.amazonaws.com"), "photos");
    EXPECT_EQ(Bucket("photos.s3-us-gov-east-1.example"), "photos");
    EXPECT_EQ(Bucket("my.s3.bucket.s3.cloud.example"), "my.s3.bucket");
    EXPECT_EQ(Bucket("s3-logs.s3.localhost"), "s3-logs");
    EXPECT_EQ(Bucket("s3.localhost"), "");
    EXPECT_EQ(Bucket("s3.us-east-1.localhost"), "");
    EXPECT_EQ(Bucket("s3-eu-west-1.amazonaws.com"), "");
}

TEST(S3Address, KnowsWhatIsNoHostOfS3) {
    for (const std::string_view host :
         {"localhost",
          "127.0.0.1",
          "[::1]",
          "s3",
          "photos.localhost",
          "s3-logs.localhost",
          "s3-website.localhost",
          "lambda.us-east-1.localhost",
          "",
          ".",
          "..",
          "host.s3"}) {
        EXPECT_EQ(Bucket(host), "(none)") << host;
    }
}

TEST(S3Address, TakesBucketsOfLocalhost) {
    EXPECT_EQ(BucketOfLocalhost("photos.localhost"), "photos");
    EXPECT_EQ(BucketOfLocalhost("a.b.localhost"), "a.b");
    EXPECT_FALSE(BucketOfLocalhost("localhost"));
    EXPECT_FALSE(BucketOfLocalhost(".localhost"));
    EXPECT_FALSE(BucketOfLocalhost("hearth.localhost"));
    EXPECT_FALSE(BucketOfLocalhost("photos.example"));
}

std::string Path(std::string host, std::string_view path) {
    const Headers headers = {{"host", std::move(host)}};
    protocol::RequestParts parts;
    parts.path = path;
    parts.headers = headers;
    return Router::PathOfS3(parts);
}

TEST(S3Address, MakesOnePathOfBothStyles) {
    EXPECT_EQ(Path("photos.s3.localhost:4566", "/"), "/photos");
    EXPECT_EQ(Path("photos.s3.localhost:4566", "/a/b"), "/photos/a/b");
    EXPECT_EQ(Path("photos.s3.localhost:4566", "//a"), "/photos//a");
    EXPECT_EQ(Path("Photos.localhost", "/a%20b"), "/photos/a%20b");
    EXPECT_EQ(Path("s3.localhost", "/photos/a"), "/photos/a");
    EXPECT_EQ(Path("127.0.0.1:4566", "/photos/a"), "/photos/a");
    EXPECT_EQ(Path("127.0.0.1:4566", "/photos/"), "/photos");
    EXPECT_EQ(Path("127.0.0.1:4566", "/photos//"), "/photos//");
    EXPECT_EQ(Path("127.0.0.1:4566", "/"), "/");
}

}  // namespace
}  // namespace hearth::aws
