#include "aws/auth/s3_signature.h"

#include "codec/timestamp/timestamp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using ::testing::HasSubstr;
using Headers = std::vector<std::pair<std::string, std::string>>;

// The examples are those of the Amazon S3 API Reference, "Authenticating requests".
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kTime = "20130524T000000Z";
constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

WallClock::time_point At(std::string_view text) {
    return *codec::ParseBasicIso8601(text);
}

std::string Header(std::string_view signed_headers, std::string_view signature) {
    return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
           "SignedHeaders=" +
           std::string(signed_headers) + ",Signature=" + std::string(signature);
}

struct Call {
    std::string method = "GET";
    std::string path = "/";
    std::string query;
    Headers headers = {
        {"host", "examplebucket.s3.amazonaws.com"},
        {"x-amz-content-sha256", std::string(kEmptyHash)},
        {"x-amz-date", std::string(kTime)}};

    SignedParts Parts() const { return {method, path, query, headers, {}}; }
};

// The code of the error; empty: it verifies.
std::string Check(const Call& call, std::string_view now = kTime) {
    auto read = S3Signature::Read(call.Parts(), call.path);
    if (!read.ok()) {
        return read.error().code();
    }
    if (!read->has_value()) {
        return "unsigned";
    }
    const auto error = (*read)->Verify(kSecret, At(now));
    return error ? error->code() : "";
}

Call GetObject() {
    Call call;
    call.path = "/test.txt";
    call.headers.emplace_back("range", "bytes=0-9");
    call.headers.emplace_back(
        "authorization",
        Header(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
    return call;
}

Call Presigned() {
    Call call;
    call.path = "/test.txt";
    call.headers = {{"host", "examplebucket.s3.amazonaws.com"}};
    call.query =
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    return call;
}

void Replace(std::string& text, std::string_view from, std::string_view to) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
}

TEST(S3Signature, OfTheReferencesGetVerifies) {
    EXPECT_EQ(Check(GetObject()), "");
}

TEST(S3Signature, OfTheReferencesPutVerifies) {
    Call call;
    call.method = "PUT";
    // Clients may leave characters of paths as they are; what is signed is encoded.
    call.path = "/test$file.text";
    call.headers = {
        {"date", "Fri, 24 May 2013 00:00:00 GMT"},
        {"host", "examplebucket.s3.amazonaws.com"},
        {"x-amz-content-sha256",
         "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
        {"x-amz-date", std::string(kTime)},
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    call.headers.emplace_back(
        "authorization",
        Header(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
    EXPECT_EQ(Check(call), "");
    call.path = "/test%24file.text";
    EXPECT_EQ(Check(call), "");
    call.path = "/test%24file.texts";
    EXPECT_EQ(Check(call), "SignatureDoesNotMatch");
}

TEST(S3Signature, OfTheReferencesQueriesVerify) {
    Call call;
    call.query = "lifecycle";
    call.headers.emplace_back(
        "authorization",
        Header(
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
    EXPECT_EQ(Check(call), "");
    call.query = "max-keys=2&prefix=J";
    call.headers.back().second = Header(
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    EXPECT_EQ(Check(call), "");
    call.query = "prefix=J&max-keys=2";
    EXPECT_EQ(Check(call), "");
    call.query = "max-keys=2&prefix=K";
    EXPECT_EQ(Check(call), "SignatureDoesNotMatch");
}

TEST(S3Signature, MismatchSaysWhatWasSigned) {
    Call call = GetObject();
    call.path = "/other.txt";
    auto read = S3Signature::Read(call.Parts(), call.path);
    ASSERT_TRUE(read.ok());
    const auto error = (*read)->Verify(kSecret, At(kTime));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->http_status(), 403);
    std::string fields;
    for (const auto& [name, value] : error->fields()) {
        fields += name + "=" + value + "\n";
    }
    EXPECT_THAT(fields, HasSubstr("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE\n"));
    EXPECT_THAT(fields, HasSubstr("StringToSign=AWS4-HMAC-SHA256\n20130524T000000Z\n"));
    EXPECT_THAT(fields, HasSubstr("CanonicalRequest=GET\n/other.txt\n\nhost:examplebucket"));
    EXPECT_THAT(fields, HasSubstr("StringToSignBytes=41 57 53 34"));
}

TEST(S3Signature, OfQueriesVerifiesUntilItExpires) {
    EXPECT_EQ(Check(Presigned()), "");
    EXPECT_EQ(Check(Presigned(), "20130525T000000Z"), "");
    EXPECT_EQ(Check(Presigned(), "20130525T000001Z"), "AccessDenied");
    EXPECT_EQ(Check(Presigned(), "20130523T230000Z"), "AccessDenied");
    Call call = Presigned();
    call.query += "&response-content-type=text%2Fplain";
    EXPECT_EQ(Check(call), "SignatureDoesNotMatch");
}

TEST(S3Signature, OfQueriesSaysWhetherItIsForS3) {
    EXPECT_TRUE(S3Signature::IsPresignedForS3(Presigned().query));
    EXPECT_TRUE(S3Signature::IsPresignedForS3("AWSAccessKeyId=A&Expires=1&Signature=x"));
    EXPECT_FALSE(S3Signature::IsPresignedForS3(""));
    EXPECT_FALSE(S3Signature::IsPresignedForS3("AWSAccessKeyId=A"));
    EXPECT_FALSE(S3Signature::IsPresignedForS3("X-Amz-Algorithm=AWS4-HMAC-SHA256"));
    // Others are presigned, too: whom a token of a cluster stands for is asked so.
    std::string query = "Action=GetCallerIdentity&Version=2011-06-15&" + Presigned().query;
    Replace(query, "%2Fs3%2F", "%2Fsts%2F");
    EXPECT_FALSE(S3Signature::IsPresignedForS3(query));
    EXPECT_TRUE(S3Signature::IsPresigned(query));
}

TEST(S3Signature, OfQueriesThatCannotBeReadSaysWhy) {
    const auto with = [](std::string_view from, std::string_view to) {
        Call call = Presigned();
        Replace(call.query, from, to);
        return Check(call);
    };
    const std::string code = "AuthorizationQueryParametersError";
    EXPECT_EQ(with("Expires=86400", "Expires=604801"), code);
    EXPECT_EQ(with("Expires=86400", "Expires=-1"), code);
    EXPECT_EQ(with("Expires=86400", "Expires=1h"), code);
    EXPECT_EQ(with("Expires=86400", "Expires=99999999999999999999"), code);
    EXPECT_EQ(with("X-Amz-Date", "X-Amz-Dade"), code);
    EXPECT_EQ(with("T000000Z", "T00:00:00Z"), code);
    EXPECT_EQ(with("Algorithm=AWS4-HMAC-SHA256", "Algorithm=AWS4-HMAC-SHA1"), code);
    EXPECT_EQ(with("%2Fs3%2F", "%2Fsqs%2F"), code);
    EXPECT_EQ(with("AMPLE%2F20130524", "AMPLE%2F20130525"), code);
    EXPECT_EQ(with("%2Faws4_request", ""), code);
    Call both = Presigned();
    both.headers.emplace_back("authorization", "AWS4-HMAC-SHA256 x");
    EXPECT_EQ(Check(both), "InvalidArgument");
    Call old;
    old.query = "AWSAccessKeyId=A&Signature=B";
    EXPECT_EQ(Check(old), "AccessDenied");
    old.query = "AWSAccessKeyId=A&Signature=B&Expires=tomorrow";
    EXPECT_EQ(Check(old), "AccessDenied");
}

TEST(S3Signature, OfHeadersThatCannotBeReadSaysWhy) {
    const auto with = [](std::string_view from, std::string_view to) {
        Call call = GetObject();
        Replace(call.headers.back().second, from, to);
        return Check(call);
    };
    const std::string code = "AuthorizationHeaderMalformed";
    EXPECT_EQ(with("Signature=", "Signet="), code);
    EXPECT_EQ(with("/s3/", "/sqs/"), code);
    EXPECT_EQ(with("aws4_request", "aws5_request"), code);
    EXPECT_EQ(with("20130524", "20130523"), code);
    EXPECT_EQ(with("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request", "A/B"), code);
    EXPECT_EQ(with("AWS4-HMAC-SHA256 ", "AWS "), "InvalidRequest");
    EXPECT_EQ(with("AWS4-HMAC-SHA256 ", "Bearer "), "InvalidArgument");
    Call call = GetObject();
    call.headers[1].first = "x-other";
    EXPECT_EQ(Check(call), "InvalidRequest");
    call = GetObject();
    call.headers[1].second = "abc";
    EXPECT_EQ(Check(call), "InvalidArgument");
    call = GetObject();
    call.headers[2].second = "yesterday";
    EXPECT_EQ(Check(call), "AccessDenied");
    EXPECT_EQ(Check(Call()), "unsigned");
}

TEST(S3Signature, HoldsForFifteenMinutes) {
    EXPECT_EQ(Check(GetObject(), "20130524T001500Z"), "");
    EXPECT_EQ(Check(GetObject(), "20130524T001501Z"), "RequestTimeTooSkewed");
    EXPECT_EQ(Check(GetObject(), "20130523T234459Z"), "RequestTimeTooSkewed");
}

TEST(S3Signature, CoversTheHostAndEveryAmzHeader) {
    Call call = GetObject();
    call.headers.emplace_back("x-amz-acl", "public-read");
    auto read = S3Signature::Read(call.Parts(), call.path);
    ASSERT_TRUE(read.ok());
    const auto error = (*read)->Verify(kSecret, At(kTime));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), "AccessDenied");
    ASSERT_EQ(error->fields().size(), 1U);
    EXPECT_EQ(error->fields()[0].second, "x-amz-acl");
    call = GetObject();
    Replace(call.headers.back().second, "host;", "");
    EXPECT_EQ(Check(call), "AccessDenied");
}

// A key id with slashes in it is still one.
TEST(S3Signature, ReadsTheScopeFromItsEnd) {
    Call call = GetObject();
    Replace(call.headers.back().second, "AKIAIOSFODNN7EXAMPLE", "a/b");
    auto read = S3Signature::Read(call.Parts(), call.path);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ((*read)->access_key_id(), "a/b");
    EXPECT_EQ((*read)->region(), "us-east-1");
}

// The example of the User Guide's page on version 2, "Query string request authentication
// alternative".
TEST(S3Signature, OfTheSecondVersionVerifiesInQueries) {
    Call call;
    call.path = "/photos/puppy.jpg";
    call.headers = {{"host", "johnsmith.s3.amazonaws.com"}};
    call.query =
        "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&"
        "Expires=1175139620";
    const auto check = [&](std::string_view resource, std::string_view now) {
        auto read = S3Signature::Read(call.Parts(), resource);
        EXPECT_TRUE(read.ok());
        const auto error = (*read)->Verify(kSecret, At(now));
        return error ? error->code() : "";
    };
    EXPECT_EQ(check("/johnsmith/photos/puppy.jpg", "20070329T034000Z"), "");
    EXPECT_EQ(check("/johnsmith/photos/kitten.jpg", "20070329T034000Z"), "SignatureDoesNotMatch");
    EXPECT_EQ(check("/johnsmith/photos/puppy.jpg", "20070329T034100Z"), "AccessDenied");
    call.query += "&versionId=1";
    EXPECT_EQ(check("/johnsmith/photos/puppy.jpg", "20070329T034000Z"), "SignatureDoesNotMatch");
}

TEST(S3PolicySignature, OfTheReferencesFormVerifies) {
    S3PolicySignature::Fields fields;
    fields.algorithm = "AWS4-HMAC-SHA256";
    fields.credential = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";
    fields.date = "20151229T000000Z";
    fields.signature = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
    fields.policy =
        "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAg"
        "ICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAi"
        "dXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25f"
        "cmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxf"
        "dXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQog"
        "ICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRl"
        "LWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAi"
        "Il0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMt"
        "ZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEy"
        "NTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    auto read = S3PolicySignature::Read(fields);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_FALSE(read->Verify(kSecret, At("20151229T000000Z")));
    EXPECT_TRUE(read->Verify("other", At("20151229T000000Z")));
    fields.signature.clear();
    EXPECT_FALSE(S3PolicySignature::Read(fields).ok());
}

}  // namespace
}  // namespace hearth::aws
