#include "aws/front/s3_document_checks.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string CodeOf(const Status& status) {
    return status.ok() ? "" : status.error().code();
}

TEST(S3DocumentChecks, TakesWhatWasPromised) {
    for (const auto& [name, value] : Headers{
             {"content-md5", "XUFAKrxLKna5cZ2REBfFkg=="},
             {"x-amz-checksum-crc32", "NhCmhg=="},
             {"x-amz-checksum-crc32c", "mnG7TA=="},
             {"x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
             {"x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}}) {
        EXPECT_EQ(CodeOf(CheckS3Document({{name, value}}, {}, "hello", true)), "") << name;
        EXPECT_EQ(CodeOf(CheckS3Document({}, {{name, value}}, "hello", true)), "") << name;
        EXPECT_EQ(CodeOf(CheckS3Document({{name, value}}, {}, "other", true)), "BadDigest") << name;
    }
}

TEST(S3DocumentChecks, RefusesWhatIsNoDigest) {
    EXPECT_EQ(CodeOf(CheckS3Document({{"content-md5", "abc"}}, {}, "", false)), "InvalidDigest");
    EXPECT_EQ(
        CodeOf(CheckS3Document({{"x-amz-checksum-crc32", "abc"}}, {}, "", false)),
        "InvalidRequest");
}

TEST(S3DocumentChecks, WantsOneWhereItIsRequired) {
    EXPECT_EQ(CodeOf(CheckS3Document({{"host", "x"}}, {}, "hello", false)), "");
    EXPECT_EQ(CodeOf(CheckS3Document({{"host", "x"}}, {}, "hello", true)), "InvalidRequest");
}

}  // namespace
}  // namespace hearth::aws
