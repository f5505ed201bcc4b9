#include "services/lambda/http_answer.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::lambda {
namespace {

using namespace std::string_literals;

std::string HeaderOf(const HttpAnswer& answer, std::string_view name) {
    std::string found;
    for (const auto& [header, value] : answer.headers) {
        if (header == name) {
            found += found.empty() ? value : "|" + value;
        }
    }
    return found;
}

HttpAnswer Read(std::string payload) {
    auto answer = ReadHttpAnswer(payload);
    EXPECT_TRUE(answer.ok()) << payload << ": " << (answer.ok() ? "" : answer.error().message());
    return answer.ok() ? *std::move(answer) : HttpAnswer();
}

TEST(HttpAnswer, WithoutAStatusThePayloadIsTheBody) {
    for (const char* payload :
         {R"({"a": 1})",
          "[1,2]",
          "3",
          "true",
          "null",
          R"({"body":"x"})",
          R"({"statusCode":null})"}) {
        const HttpAnswer answer = Read(payload);
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body, payload);
        EXPECT_EQ(HeaderOf(answer, "Content-Type"), "application/json");
    }
    EXPECT_EQ(Read(R"( "a\"\u00fc\n" )").body, "a\"\xc3\xbc\n");
}

TEST(HttpAnswer, TheLastMemberOfANameCounts) {
    const HttpAnswer answer = Read(
        R"({"statusCode":200,"x":{"statusCode":1},"body":"a\\\"b","statusCode" : 404 , "body":"}"})");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body, "}");
}

TEST(HttpAnswer, BodiesThatAreNoTextAreSentAsJson) {
    EXPECT_EQ(Read(R"({"statusCode":200,"body": {"a":[1,"]"]} })").body, R"({"a":[1,"]"]})");
    EXPECT_EQ(Read(R"({"statusCode":200,"body":false})").body, "false");
    EXPECT_EQ(Read(R"({"statusCode":200,"body":null})").body, "");
    EXPECT_EQ(Read(R"({"statusCode":200,"body":"AP8=","isBase64Encoded":true})").body, "\0\xff"s);
}

TEST(HttpAnswer, ContentTypeIsGivenOnce) {
    EXPECT_EQ(
        HeaderOf(Read(R"({"statusCode":200,"headers":{"content-TYPE":"a/b"}})"), "Content-Type"),
        "");
    EXPECT_EQ(HeaderOf(Read(R"({"statusCode":200})"), "Content-Type"), "application/json");
}

TEST(HttpAnswer, HeadersOfOtherLayersAreRenamedOrLeftOut) {
    const HttpAnswer answer =
        Read(R"({"statusCode":200,"headers":{"DATE":"d","Content-Length":"1","te":"x","X":1.5},)"
             R"("cookies":["a=1","b=2"]})");
    EXPECT_EQ(HeaderOf(answer, "x-amzn-Remapped-DATE"), "d");
    EXPECT_EQ(HeaderOf(answer, "Content-Length"), "");
    EXPECT_EQ(HeaderOf(answer, "te"), "");
    EXPECT_EQ(HeaderOf(answer, "X"), "1.5");
    EXPECT_EQ(HeaderOf(answer, "Set-Cookie"), "a=1|b=2");
}

TEST(HttpAnswer, WhatIsNoAnswerIsRefused) {
    for (const char* payload :
         {"",
          "not json",
          "{",
          R"({"statusCode":"x"})",
          R"({"statusCode":""})",
          R"({"statusCode":199})",
          R"({"statusCode":600})",
          R"({"statusCode":200.5})",
          R"({"statusCode":1e300})",
          R"({"statusCode":{}})",
          R"({"statusCode":200,"headers":7})",
          R"({"statusCode":200,"headers":{"a":"b\r\nc"}})",
          R"({"statusCode":200,"headers":{"a:":"b"}})",
          R"({"statusCode":200,"cookies":{}})",
          R"({"statusCode":200,"isBase64Encoded":true,"body":"?"})"}) {
        EXPECT_FALSE(ReadHttpAnswer(payload).ok()) << payload;
    }
    EXPECT_FALSE(ReadHttpAnswer("{\0\0\0\0\0\0\0\0"s).ok());
    EXPECT_FALSE(ReadHttpAnswer("{}\0body"s).ok());
}

TEST(HttpAnswer, MembersThatMeanNothingAreNotKept) {
    std::string many = "{";
    for (int i = 0; i < 100'000; ++i) {
        many += "\"a\":1,";
    }
    many += R"("statusCode":204})";
    const auto answer = ReadHttpAnswer(many);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->status, 204);

    std::string values = R"({"statusCode":200,"headers":{"a":[0)";
    for (int i = 0; i < 100'000; ++i) {
        values += ",0";
    }
    EXPECT_FALSE(ReadHttpAnswer(values + "]}}").ok());
}

TEST(HttpPrelude, MayComeInPiecesOfAnySize) {
    const std::string bytes = R"({"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]})"s +
                              "\0\0\0\0\0\0\0\0"s + "\0body\0\0"s;
    for (size_t size = 1; size <= bytes.size(); ++size) {
        HttpPreludeReader reader;
        std::string body;
        bool complete = false;
        for (size_t at = 0; at < bytes.size(); at += size) {
            const std::string piece = bytes.substr(at, size);
            if (complete) {
                body += piece;
                continue;
            }
            const auto taken = reader.Take(piece);
            ASSERT_TRUE(taken.ok()) << size;
            complete = *taken;
            if (complete) {
                body = reader.TakeBody();
            }
        }
        EXPECT_TRUE(complete);
        EXPECT_EQ(reader.answer().status, 201);
        EXPECT_EQ(HeaderOf(reader.answer(), "a"), "b");
        EXPECT_EQ(HeaderOf(reader.answer(), "Set-Cookie"), "c=d");
        EXPECT_EQ(HeaderOf(reader.answer(), "Content-Type"), "application/octet-stream");
        EXPECT_EQ(body, "\0body\0\0"s) << size;
    }
}

TEST(HttpPrelude, HasALimit) {
    HttpPreludeReader reader;
    const std::string piece(64 * 1024, ' ');
    size_t taken = 0;
    while (true) {
        const auto result = reader.Take(piece);
        if (!result.ok()) {
            break;
        }
        ASSERT_FALSE(*result);
        taken += piece.size();
        ASSERT_LE(taken, kHttpPreludeBytesMax);
    }
    HttpPreludeReader at_once;
    EXPECT_FALSE(at_once.Take(std::string(2 * kHttpPreludeBytesMax, ' ')).ok());
}

TEST(HttpPrelude, MustBeAnObject) {
    for (const std::string& head : {"[]"s, "\"x\""s, ""s, "{"s, R"({"statusCode":1})"s}) {
        HttpPreludeReader reader;
        EXPECT_FALSE(reader.Take(head + "\0\0\0\0\0\0\0\0"s).ok()) << head;
    }
}

}  // namespace
}  // namespace hearth::lambda
