#include "vmm/http/request.h"

#include <gtest/gtest.h>

namespace hearth::vmm {
namespace {

std::string Message(std::string_view bytes, HttpLimits limits = {}) {
    HttpRequestParser parser(limits);
    parser.Append(bytes);
    const auto next = parser.Next();
    return next.ok() ? (*next ? "whole" : "more") : next.error().message();
}

TEST(HttpRequest, IsReadWhole) {
    HttpRequestParser parser({});
    parser.Append(
        "PUT /a/b?x=1 HTTP/1.1\r\nHost: localhost\r\ncontent-length:  4 \r\n\r\nbodyGET / ");
    const auto next = parser.Next();
    ASSERT_TRUE(next.ok());
    ASSERT_TRUE(*next);
    const auto& request = **next;
    EXPECT_EQ(request.method, "PUT");
    EXPECT_EQ(request.path, "/a/b");
    EXPECT_EQ(request.body, "body");
    EXPECT_TRUE(request.has_body && request.keep_alive && request.http_1_1);
    ASSERT_NE(request.Header("HOST"), nullptr);
    EXPECT_EQ(*request.Header("HOST"), "localhost");
    EXPECT_EQ(parser.buffered_bytes(), 6U);
}

TEST(HttpRequest, ComesByteByByte) {
    const std::string text =
        "\r\nPATCH /x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc";
    HttpRequestParser parser({});
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        parser.Append(text.substr(i, 1));
        const auto next = parser.Next();
        ASSERT_TRUE(next.ok());
        EXPECT_FALSE(*next) << i;
    }
    parser.Append("c");
    const auto next = parser.Next();
    ASSERT_TRUE(next.ok() && *next);
    EXPECT_EQ((*next)->body, "abc");
    EXPECT_FALSE((*next)->http_1_1);
    EXPECT_TRUE((*next)->keep_alive);
}

TEST(HttpRequest, WhatIsNotSpokenIsRefused) {
    EXPECT_EQ(Message("POST / HTTP/1.1\r\n\r\n"), "Invalid HTTP Method: Unsupported HTTP method.");
    EXPECT_EQ(Message("GET / HTTP/2.0\r\n\r\n"), "Invalid HTTP Version: Unsupported HTTP version.");
    EXPECT_EQ(Message("GET /\r\n\r\n"), "Invalid request.");
    for (const auto* bad :
         {"GET / HTTP/1.1\r\nA\r\n\r\n",
          "GET / HTTP/1.1\r\n: v\r\n\r\n",
          "GET / HTTP/1.1\r\nA : v\r\n\r\n",
          "GET / HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n",
          "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
          "PUT / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n",
          "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
          "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
          "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "PUT / HTTP/1.1\r\nExpect: tea\r\n\r\n",
          "GET / HTTP/1.1\r\nA: b\nc: d\r\n\r\n"}) {
        EXPECT_TRUE(Message(bad).starts_with("Invalid header.")) << bad << " " << Message(bad);
    }
}

TEST(HttpRequest, LimitsHold) {
    const HttpLimits limits{.head_bytes_max = 64, .headers_max = 2, .body_bytes_max = 10};
    EXPECT_EQ(
        Message("GET /" + std::string(100, 'a'), limits), "Invalid request: its head is too long.");
    EXPECT_EQ(
        Message("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", limits),
        "Invalid header. Reason: too many headers.");
    HttpRequestParser parser(limits);
    parser.Append("PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n");
    const auto next = parser.Next();
    ASSERT_FALSE(next.ok());
    EXPECT_EQ(next.error().http_status(), 413);
    EXPECT_EQ(
        next.error().message(),
        "Request payload with size 11 is larger than the limit of 10 allowed by server.");
}

TEST(HttpRequest, ContinueIsAskedForOnce) {
    HttpRequestParser parser({});
    parser.Append("PUT / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_TRUE(parser.Next().ok());
    EXPECT_TRUE(parser.TakeContinue());
    EXPECT_FALSE(parser.TakeContinue());
}

TEST(HttpRequest, AbsoluteTargetsAreTheirPath) {
    HttpRequestParser parser({});
    parser.Append(
        "GET http://169.254.169.254/latest/ HTTP/1.0\r\n\r\nGET http:// HTTP/1.0\r\n\r\n");
    EXPECT_EQ((**parser.Next()).path, "/latest/");
    EXPECT_EQ((**parser.Next()).path, "");
}

TEST(HttpResponse, HasNoBodyForNoContent) {
    EXPECT_EQ(
        WriteHttpResponse(HttpResponse{}, true, true),
        "HTTP/1.1 204 No Content\r\nServer: hearth-vmm\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(
        WriteHttpResponse(
            HttpResponse{.status = 405, .body = "x", .content_type = "text/plain", .allow = "GET"},
            false,
            false),
        "HTTP/1.0 405 Method Not Allowed\r\nServer: hearth-vmm\r\nConnection: close\r\n"
        "Allow: GET\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx");
}

}  // namespace
}  // namespace hearth::vmm
