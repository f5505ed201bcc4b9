#include "vmm/mmds/metadata_service.h"

#include <gtest/gtest.h>

namespace hearth::vmm {
namespace {

class MetadataServiceTest : public testing::Test {
  protected:
    MetadataServiceTest() {
        EXPECT_TRUE(
            store_
                .Put(codec::ParseJson(R"({"latest":{"meta-data":{"ami-id":"ami-1"}},"n":1})")
                         .value())
                .ok());
    }

    HttpResponse Ask(
        std::string_view method,
        std::string_view path,
        std::vector<std::pair<std::string, std::string>> headers = {}) {
        HttpRequest request;
        request.method = method;
        request.path = path;
        request.headers = std::move(headers);
        return AnswerMetadataRequest(store_, request, now_ns_);
    }

    MmdsDataStore store_{51'200};
    std::uint64_t now_ns_ = 1;
};

TEST_F(MetadataServiceTest, VersionOneAnswersAnyGet) {
    auto response = Ask("GET", "/latest//meta-data/");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "ami-id");
    EXPECT_EQ(response.content_type, "text/plain");
    response = Ask("GET", "/latest", {{"Accept", "application/json"}});
    EXPECT_EQ(response.body, R"({"meta-data":{"ami-id":"ami-1"}})");
    EXPECT_EQ(response.content_type, "application/json");
    response = Ask("GET", "/none");
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body, "Resource not found: /none.");
    EXPECT_EQ(Ask("GET", "/n").status, 501);
    response = Ask("PATCH", "/");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "GET, PUT");
    EXPECT_EQ(Ask("GET", "").status, 400);
    EXPECT_EQ(Ask("GET", "/latest", {{"X-metadata-token", "wrong"}}).status, 200);
}

TEST_F(MetadataServiceTest, VersionTwoWantsAToken) {
    store_.config.version = MmdsVersion::kV2;
    EXPECT_EQ(Ask("GET", "/latest").status, 401);
    auto response = Ask("GET", "/latest", {{"X-metadata-token", "wrong"}});
    EXPECT_EQ(response.status, 401);
    EXPECT_EQ(response.body, "MMDS token not valid.");
    response = Ask("PUT", "/latest/api/token", {{"x-aws-ec2-metadata-token-ttl-seconds", "60"}});
    ASSERT_EQ(response.status, 200);
    const auto token = response.body;
    EXPECT_EQ(Ask("GET", "/latest", {{"X-aws-ec2-metadata-token", token}}).status, 200);
    now_ns_ += 60'000'000'000;
    EXPECT_EQ(Ask("GET", "/latest", {{"X-metadata-token", token}}).status, 401);
}

TEST_F(MetadataServiceTest, TokensAreAskedForProperly) {
    const std::pair<std::string, std::string> ttl = {"X-metadata-token-ttl-seconds", "60"};
    EXPECT_EQ(Ask("PUT", "/latest/api/token").status, 400);
    EXPECT_EQ(Ask("PUT", "/latest", {ttl}).status, 404);
    EXPECT_EQ(Ask("PUT", "/latest/api/token", {ttl, {"X-Forwarded-For", "1.1.1.1"}}).status, 400);
    const auto response = Ask("PUT", "/latest/api/token", {{"X-metadata-token-ttl-seconds", "a"}});
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(
        response.body,
        "Invalid header. Reason: Invalid value. Key:X-metadata-token-ttl-seconds; Value:a");
    EXPECT_EQ(
        Ask("PUT", "/latest/api/token", {{"X-metadata-token-ttl-seconds", "21601"}}).status, 400);
}

TEST_F(MetadataServiceTest, ImdsCompatibleAnswersAreNeverJson) {
    store_.config.imds_compat = true;
    const auto response = Ask("GET", "/latest", {{"Accept", "application/json"}});
    EXPECT_EQ(response.body, "meta-data/");
    EXPECT_EQ(response.content_type, "text/plain");
}

}  // namespace
}  // namespace hearth::vmm
