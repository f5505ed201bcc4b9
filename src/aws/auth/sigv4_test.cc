#include "aws/auth/sigv4.h"

#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

#include <map>

namespace hearth::aws {
namespace {

using Kind = SignatureProblem::Kind;
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kTime = "20150830T123600Z";

WallClock::time_point Now() {
    return *codec::ParseBasicIso8601(kTime);
}

std::string Header(std::string_view signed_headers, std::string_view signature) {
    return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
           "SignedHeaders=" +
           std::string(signed_headers) + ", Signature=" + std::string(signature);
}

// A request with its signature, as it would come from the wire.
struct Signed {
    std::string method = "GET";
    std::string path = "/";
    std::string query;
    Headers headers;
    std::string body;

    SignedParts Parts() const { return {method, path, query, headers, body}; }
};

std::optional<SignatureProblem> Check(const Signed& request) {
    const auto authorization = ParseAuthorization(request.Parts());
    if (!authorization) {
        return authorization.error();
    }
    if (auto problem = CheckTimeAndScope(*authorization, "service", Now())) {
        return problem;
    }
    return CheckSignature(request.Parts(), *authorization, kSecret);
}

Signed Vanilla() {
    Signed request;
    request.headers = {
        {"host", "example.amazonaws.com"},
        {"x-amz-date", std::string(kTime)},
        {"authorization",
         Header(
             "host;x-amz-date",
             "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")}};
    return request;
}

// get-vanilla of AWS's Signature Version 4 test suite.
TEST(SigV4, AcceptsTheSuitesVanillaRequest) {
    EXPECT_FALSE(Check(Vanilla()).has_value());
}

// get-vanilla-query-order-key-case of the same suite.
TEST(SigV4, SortsTheQuery) {
    Signed request = Vanilla();
    request.query = "Param2=value2&Param1=value1";
    request.headers[2].second = Header(
        "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    EXPECT_FALSE(Check(request).has_value());
}

// The following signatures were made with botocore 1.29.
TEST(SigV4, EncodesAReceivedPathOnceMore) {
    Signed request = Vanilla();
    request.method = "POST";
    request.path =
        "/2015-03-31/functions/"
        "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations";
    request.body = R"({"a":1})";
    request.headers.emplace_back("x-amz-log-type", "Tail");
    request.headers.emplace_back("content-type", "application/json");
    request.headers[2].second = Header(
        "content-type;host;x-amz-date;x-amz-log-type",
        "478d8df8e39846d72bd11c6cfdb6cc46cc00cce75476265a52da67e921f7d983");
    EXPECT_FALSE(Check(request).has_value());
}

TEST(SigV4, NormalisesPathAndHeaderValues) {
    Signed request = Vanilla();
    request.path = "/a//b/./c/../d/";
    request.headers.emplace_back("my-header", "a   b");
    request.headers[2].second = Header(
        "host;my-header;x-amz-date",
        "f29d58f9153064b45756df93366f0ac099a227568aec6c53d7a2bdf9d73be38e");
    EXPECT_FALSE(Check(request).has_value());
}

TEST(SigV4, RefusesEachChangeOfWhatWasSigned) {
    std::vector<Signed> changed(7, Vanilla());
    changed[0].method = "PUT";
    changed[1].path = "/x";
    changed[2].query = "a=b";
    changed[3].body = "x";
    changed[4].headers[0].second = "other.amazonaws.com";
    changed[5].headers[1].second = "20150830T123601Z";
    changed[6].headers[2].second.back() = '0';
    for (const Signed& request : changed) {
        const auto problem = Check(request);
        ASSERT_TRUE(problem.has_value());
        EXPECT_EQ(problem->kind, Kind::kDoesNotMatch);
        EXPECT_TRUE(problem->message.starts_with("The request signature we calculated"));
    }
}

TEST(SigV4, RefusesOldAndFutureRequests) {
    const Signed request = Vanilla();
    const SignedParts parts = request.Parts();
    const auto authorization = ParseAuthorization(parts);
    ASSERT_TRUE(authorization.has_value());
    using std::chrono::seconds;
    EXPECT_FALSE(CheckTimeAndScope(*authorization, "service", Now() + seconds(300)));
    EXPECT_FALSE(CheckTimeAndScope(*authorization, "service", Now() - seconds(300)));
    const auto old = CheckTimeAndScope(*authorization, "service", Now() + seconds(301));
    ASSERT_TRUE(old.has_value());
    EXPECT_EQ(
        old->message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
        "(20150830T124101Z - 5 min.)");
    const auto early = CheckTimeAndScope(*authorization, "service", Now() - seconds(301));
    ASSERT_TRUE(early.has_value());
    EXPECT_EQ(
        early->message,
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z "
        "(20150830T123059Z + 5 min.)");
}

TEST(SigV4, ChecksEachPartOfTheScope) {
    Signed request = Vanilla();
    request.headers[2].second =
        "AWS4-HMAC-SHA256 Credential=K/20150829/us-east-1/other/aws5, SignedHeaders=host, "
        "Signature=0";
    const auto problem = Check(request);
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(
        problem->message,
        "Credential should be scoped to correct service: 'service'. "
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. "
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
        "HTTP: '20150829' != '20150830', from '20150830T123600Z'. ");
}

TEST(SigV4, NamesWhatIsMissing) {
    Signed request = Vanilla();
    request.headers = {{"host", "x"}};
    EXPECT_EQ(Check(request)->kind, Kind::kMissing);
    request.headers.emplace_back("authorization", "Bearer abc");
    const auto bearer = Check(request);
    EXPECT_EQ(bearer->kind, Kind::kIncomplete);
    EXPECT_TRUE(bearer->message.starts_with(
        "Authorization header requires 'Credential' parameter. Authorization header requires "
        "'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "))
        << bearer->message;
    // The header itself may hold a secret.
    EXPECT_EQ(bearer->message.find("abc"), std::string::npos);
}

TEST(SigV4, RefusesWhatCannotBeRead) {
    const std::map<std::string, Kind> headers = {
        {"AWS4-HMAC-SHA512 Credential=a, SignedHeaders=host, Signature=b", Kind::kIncomplete},
        {"AWS4-HMAC-SHA256 Credential", Kind::kIncomplete},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=b", Kind::kIncomplete},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, SignedHeaders=host, Signature=b",
         Kind::kIncomplete},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=x-amz-date, Signature=b",
         Kind::kDoesNotMatch},
        {"AWS4-HMAC-SHA256", Kind::kIncomplete},
        {"AWS4-HMAC-SHA256 ,,,=,=", Kind::kIncomplete}};
    for (const auto& [header, kind] : headers) {
        Signed request = Vanilla();
        request.headers[2].second = header;
        const auto problem = Check(request);
        ASSERT_TRUE(problem.has_value()) << header;
        EXPECT_EQ(problem->kind, kind) << header << ": " << problem->message;
    }
    Signed request = Vanilla();
    request.headers[1].second = "yesterday";
    EXPECT_EQ(
        Check(request)->message,
        "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See "
        "http://en.wikipedia.org/wiki/ISO_8601");
}

TEST(SigV4, VerifiesWhatItSigns) {
    Signed request;
    request.method = "POST";
    request.path = "/a%20b";
    request.query = "x=1&x=0&y";
    request.body = "body";
    request.headers = {{"host", "h"}, {"x-thing", " a  b "}};
    const SigningKey key{"AKIDEXAMPLE", std::string(kSecret), "token"};
    for (auto& header : SignRequest(request.Parts(), key, "us-east-1", "service", Now())) {
        request.headers.push_back(std::move(header));
    }
    const auto problem = Check(request);
    EXPECT_FALSE(problem.has_value()) << problem->message;
    const SignedParts parts = request.Parts();
    EXPECT_EQ(ParseAuthorization(parts)->session_token, "token");
}

TEST(SigV4, PeeksAtTheScope) {
    const std::string header = Header("host", "0");
    const auto scope = PeekScope(header);
    ASSERT_TRUE(scope.has_value());
    EXPECT_EQ(scope->access_key_id, "AKIDEXAMPLE");
    EXPECT_EQ(scope->region, "us-east-1");
    EXPECT_EQ(scope->service, "service");
    EXPECT_FALSE(PeekScope("Basic Credential=a/b/c/d").has_value());
    EXPECT_EQ(PeekScope("AWS4-HMAC-SHA256 Credential=")->service, "");
}

}  // namespace
}  // namespace hearth::aws
