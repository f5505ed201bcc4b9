#include "services/s3/access_log_line.h"

#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

namespace hearth::s3 {
namespace {

aws::RequestContext Request(std::string target, std::string host) {
    aws::RequestContext context;
    context.request_id = "ID";
    context.operation = "GetObject";
    context.method = "GET";
    context.target = std::move(target);
    context.now = *codec::ParseIso8601("2026-02-06T00:00:38Z");
    context.caller.arn = "arn:aws:iam::111122223333:user/a";
    context.signed_by = aws::RequestContext::SignedBy::kHeader;
    context.peer_address = "192.0.2.3";
    context.headers = {{"host", std::move(host)}, {"user-agent", "a \"b\"\n"}};
    return context;
}

TEST(AccessLogLine, HasTheFieldsInOrder) {
    aws::AnswerSummary answer;
    answer.status = 404;
    answer.error_code = "NoSuchKey";
    answer.bytes_sent = 297;
    answer.total = std::chrono::milliseconds(38);
    answer.turnaround = std::chrono::milliseconds(7);
    const std::string line = AccessLogLine(
        DescribeAccess(Request("/bucket/a%20b?versionId=v1", "localhost:4566"), "bucket", "owner"),
        answer);
    EXPECT_TRUE(line.starts_with(
        "owner bucket [06/Feb/2026:00:00:38 +0000] 192.0.2.3 arn:aws:iam::111122223333:user/a ID "
        "REST.GET.OBJECT a%20b \"GET /bucket/a%20b?versionId=v1 HTTP/1.1\" 404 NoSuchKey 297 - 38 "
        "7 \"-\" \"a %22b%22%0A\" v1 "))
        << line;
    EXPECT_TRUE(line.ends_with(" SigV4 - AuthHeader localhost:4566 - - -\n")) << line;
}

TEST(AccessLogLine, TheKeyIsFoundByHostToo) {
    EXPECT_EQ(DescribeAccess(Request("/a/b", "bucket.s3.localhost"), "bucket", "").key, "a/b");
    EXPECT_EQ(DescribeAccess(Request("/bucket", "localhost"), "bucket", "").key, "");
    EXPECT_EQ(DescribeAccess(Request("/bucket/?acl", "localhost"), "bucket", "").key, "");
}

TEST(AccessLogLine, OperationsHaveNamesOfTheirOwn) {
    EXPECT_EQ(AccessLogOperation("GetObject", "GET"), "REST.GET.OBJECT");
    EXPECT_EQ(AccessLogOperation("CopyObject", "PUT"), "REST.COPY.OBJECT");
    EXPECT_EQ(AccessLogOperation("ListObjectsV2", "GET"), "REST.GET.BUCKET");
    EXPECT_EQ(AccessLogOperation("DeleteObjects", "POST"), "REST.POST.MULTI_OBJECT_DELETE");
    EXPECT_EQ(AccessLogOperation("GetBucketLocation", "GET"), "REST.GET.LOCATION");
    EXPECT_EQ(AccessLogOperation("PutBucketVersioning", "PUT"), "REST.PUT.VERSIONING");
}

}  // namespace
}  // namespace hearth::s3
