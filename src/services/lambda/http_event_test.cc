#include "services/lambda/http_event.h"

#include "codec/json/json.h"

#include <gtest/gtest.h>

#include <chrono>

namespace hearth::lambda {
namespace {

HttpEvent Get(std::string_view path, std::string_view query = {}) {
    HttpEvent event;
    event.url_id = "abc";
    event.domain_name = "abc.lambda-url.us-east-1.localhost";
    event.method = "GET";
    event.path = path;
    event.query = query;
    event.source_ip = "192.0.2.1";
    event.request_id = "id";
    event.time = WallClock::time_point(std::chrono::seconds(1'583'348'638));
    return event;
}

codec::Json Written(const HttpEvent& event) {
    auto json = codec::ParseJson(WriteHttpEvent(event));
    EXPECT_TRUE(json.ok()) << WriteHttpEvent(event);
    return *std::move(json);
}

std::string At(const codec::Json& json, std::initializer_list<std::string_view> path) {
    const codec::Json* at = &json;
    for (const std::string_view name : path) {
        at = at->Find(name);
        if (at == nullptr) {
            return "(none)";
        }
    }
    return at->AsString() != nullptr ? *at->AsString() : codec::WriteJson(*at);
}

TEST(HttpEvent, WithoutAnythingOptional) {
    EXPECT_EQ(
        WriteHttpEvent(Get("/")),
        R"({"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"","headers":{},)"
        R"("requestContext":{"accountId":"anonymous","apiId":"abc",)"
        R"("domainName":"abc.lambda-url.us-east-1.localhost","domainPrefix":"abc",)"
        R"("http":{"method":"GET","path":"/","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"},)"
        R"("requestId":"id","routeKey":"$default","stage":"$default",)"
        R"("time":"04/Mar/2020:19:03:58 +0000","timeEpoch":1583348638000},"isBase64Encoded":false})");
}

TEST(HttpEvent, ValuesOfOneNameAreJoinedInOrder) {
    HttpEvent event = Get("/", "a=1&b=2&&a=3&=x&c&a=%2C");
    event.headers = {{"x", "1"}, {"y", "2"}, {"x", "3"}};
    const codec::Json json = Written(event);
    EXPECT_EQ(At(json, {"headers"}), R"({"x":"1,3","y":"2"})");
    EXPECT_EQ(At(json, {"queryStringParameters"}), R"({"a":"1,3,,","b":"2","":"x","c":""})");
}

TEST(HttpEvent, CookiesAreApart) {
    HttpEvent event = Get("/");
    event.headers = {{"cookie", "a=1; b=2;;  c"}, {"cookie", "d=4"}};
    EXPECT_EQ(At(Written(event), {"cookies"}), R"(["a=1","b=2","c","d=4"])");
    event.headers = {{"cookie", " ; ;"}};
    EXPECT_EQ(At(Written(event), {"cookies"}), "(none)");
}

TEST(HttpEvent, HeadersOfTheConnectionAreLeftOut) {
    HttpEvent event = Get("/");
    event.headers = {
        {"connection", "close"}, {"te", "trailers"}, {"upgrade", "h2c"}, {"accept", "*/*"}};
    EXPECT_EQ(At(Written(event), {"headers"}), R"({"accept":"*/*"})");
}

TEST(HttpEvent, BytesThatAreNoTextStayReadable) {
    HttpEvent event = Get("/\xe9", "\xff=%ff&broken=%4");
    event.headers = {{"x", "caf\xe9"}, {"y", "caf\xc3\xa9"}, {"z", "\xed\xa0\x80"}};
    const codec::Json json = Written(event);
    EXPECT_EQ(At(json, {"rawPath"}), "/\xc3\xa9");
    EXPECT_EQ(At(json, {"headers", "x"}), "caf\xc3\xa9");
    EXPECT_EQ(At(json, {"headers", "y"}), "caf\xc3\xa9");
    // A surrogate in UTF-8 is none.
    EXPECT_EQ(At(json, {"headers", "z"}), "\xc3\xad\xc2\xa0\xc2\x80");
    EXPECT_EQ(At(json, {"queryStringParameters", "broken"}), "%4");
    EXPECT_EQ(At(json, {"queryStringParameters", "\xc3\xbf"}), "\xc3\xbf");
}

TEST(HttpEvent, OnlyTextualBodiesAreText) {
    for (const char* type :
         {"text/plain",
          "Text/Html; charset=utf-8",
          " application/json ;x",
          "application/xml",
          "application/javascript",
          "application/hal+json",
          "image/svg+xml"}) {
        EXPECT_TRUE(IsTextualContentType(type)) << type;
    }
    for (const char* type : {"", "application/octet-stream", "image/png", "application/jsonp"}) {
        EXPECT_FALSE(IsTextualContentType(type)) << type;
    }
    HttpEvent event = Get("/");
    event.headers = {{"content-type", "text/plain"}};
    event.body = "gr\xc3\xbcn";
    EXPECT_EQ(At(Written(event), {"body"}), "gr\xc3\xbcn");
    event.body = "\xff";
    EXPECT_EQ(At(Written(event), {"body"}), "/w==");
    EXPECT_EQ(At(Written(event), {"isBase64Encoded"}), "true");
}

TEST(HttpEvent, NamesWhoSigned) {
    aws::Caller caller;
    caller.account = AccountId("111122223333");
    caller.arn = "arn:aws:iam::111122223333:user/ada";
    caller.user_id = "AIDA";
    caller.access_key_id = "AKIA";
    HttpEvent event = Get("/");
    event.caller = &caller;
    const codec::Json json = Written(event);
    EXPECT_EQ(At(json, {"requestContext", "accountId"}), "111122223333");
    EXPECT_EQ(
        At(json, {"requestContext", "authorizer", "iam"}),
        R"({"accessKey":"AKIA","accountId":"111122223333","callerId":"AIDA","cognitoIdentity":null,)"
        R"("principalOrgId":null,"userArn":"arn:aws:iam::111122223333:user/ada","userId":"AIDA"})");
}

}  // namespace
}  // namespace hearth::lambda
