#include "services/lambda/runtime_api_parser.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

using State = RuntimeApiParser::State;

State Feed(RuntimeApiParser& parser, std::string_view text, size_t step = 1) {
    State state = State::kNeedMore;
    while (!text.empty() && state == State::kNeedMore) {
        std::string_view piece = text.substr(0, step);
        text.remove_prefix(piece.size());
        state = parser.Consume(piece);
    }
    return state;
}

TEST(RuntimeApiParser, ReadsARequestInAnyPieces) {
    const std::string text =
        "POST /2018-06-01/runtime/invocation/x/error HTTP/1.1\r\nHost: h\r\n"
        "lambda-runtime-function-ERROR-type: My.Error\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t step = 1; step <= text.size(); ++step) {
        RuntimeApiParser parser;
        ASSERT_EQ(Feed(parser, text, step), State::kDone);
        EXPECT_EQ(parser.request().method, "POST");
        EXPECT_EQ(parser.request().target, "/2018-06-01/runtime/invocation/x/error");
        EXPECT_EQ(parser.request().error_type, "My.Error");
        EXPECT_EQ(parser.request().body, "hello");
        EXPECT_TRUE(parser.request().keep_alive);
    }
}

TEST(RuntimeApiParser, ReadsChunksAndTheErrorTypeOfATrailer) {
    RuntimeApiParser parser;
    ASSERT_EQ(
        Feed(
            parser,
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=1\r\nabcd\r\n2\r\nef\r\n0\r\n"
            "Lambda-Runtime-Function-Error-Type: T\r\n\r\n"),
        State::kDone);
    EXPECT_EQ(parser.request().body, "abcdef");
    EXPECT_EQ(parser.request().error_type, "T");
}

constexpr std::string_view kStreamed =
    "POST /x HTTP/1.1\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
    "Lambda-Runtime-Function-Error-Type: T\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n";

TEST(RuntimeApiParser, GivesAStreamedBodyAsItComes) {
    for (size_t step = 1; step <= kStreamed.size(); ++step) {
        RuntimeApiParser parser;
        std::string flowed;
        size_t begun = 0;
        State state = State::kNeedMore;
        for (std::string_view rest = kStreamed; !rest.empty();) {
            std::string_view piece = rest.substr(0, step);
            rest.remove_prefix(piece.size());
            do {
                state = parser.Consume(piece);
                if (state == State::kStreamBegins) {
                    ++begun;
                    EXPECT_EQ(parser.request().target, "/x");
                    EXPECT_EQ(parser.body(), "");
                    parser.Stream();
                }
                flowed += parser.body();
                parser.DropBody();
            } while (!piece.empty() && state != State::kDone);
        }
        ASSERT_EQ(state, State::kDone) << step;
        EXPECT_EQ(begun, 1U);
        EXPECT_EQ(flowed, "abcde");
        EXPECT_EQ(parser.request().body, "");
        EXPECT_EQ(parser.request().error_type, "T");
        EXPECT_EQ(parser.request().error_body, "e30=");
    }
}

TEST(RuntimeApiParser, GivesAStreamedBodyAsAWholeToWhoDoesNotStream) {
    RuntimeApiParser parser;
    std::string_view rest = kStreamed;
    ASSERT_EQ(parser.Consume(rest), State::kStreamBegins);
    ASSERT_EQ(parser.Consume(rest), State::kDone);
    EXPECT_EQ(parser.request().body, "abcde");
}

TEST(RuntimeApiParser, AStreamHasNoLimitOfItsOwn) {
    RuntimeApiParser parser;
    const std::string chunk = "100000\r\n" + std::string(1 << 20, 'x') + "\r\n";
    std::string_view head = kStreamed.substr(0, kStreamed.find("3\r\n"));
    ASSERT_EQ(parser.Consume(head), State::kStreamBegins);
    parser.Stream();
    uint64_t bytes = 0;
    while (bytes <= kRuntimeApiDropBytesMax) {
        std::string_view rest = chunk;
        ASSERT_EQ(parser.Consume(rest), State::kNeedMore);
        bytes += parser.body().size();
        parser.DropBody();
    }
    std::string_view end = "0\r\n\r\n";
    EXPECT_EQ(parser.Consume(end), State::kDone);
}

TEST(RuntimeApiParser, ABodyBeyondTheLimitIsReadAndDropped) {
    RuntimeApiParser parser;
    const std::string body(kRuntimeApiBodyBytesMax + 1, 'x');
    ASSERT_EQ(
        Feed(
            parser,
            "POST / HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
            65536),
        State::kDone);
    EXPECT_TRUE(parser.request().body_too_large);
    EXPECT_TRUE(parser.request().body.empty());
}

TEST(RuntimeApiParser, RefusesLinesThatEndInsideAValue) {
    for (const std::string_view end : {"\n", "\r", "\x1b", "\x7f"}) {
        const std::string value = "a" + std::string(end) + "b";
        RuntimeApiParser head;
        EXPECT_EQ(
            Feed(head, "POST / HTTP/1.1\r\nContent-Type: " + value + "\r\n\r\n"), State::kBroken);
        RuntimeApiParser trailer;
        EXPECT_EQ(
            Feed(
                trailer,
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
                "Lambda-Runtime-Function-Error-Type: " +
                    (end == "\n" ? std::string("\x01") : value) + "\r\n\r\n"),
            State::kBroken);
    }
}

TEST(RuntimeApiParser, RefusesWhatIsNotHttpOrAmbiguous) {
    for (const char* text :
         {"\r\n\r\n",
          "GET /\r\n\r\n",
          "GET / HTTP/2.0\r\n\r\n",
          "GET / HTTP/1.1\r\nno colon\r\n\r\n",
          "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
          "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
          "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"}) {
        RuntimeApiParser parser;
        EXPECT_EQ(Feed(parser, text), State::kBroken) << text;
    }
    RuntimeApiParser parser;
    EXPECT_EQ(
        Feed(parser, "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x'), 1000), State::kBroken);
    EXPECT_EQ(parser.http_status(), 431);
}

}  // namespace
}  // namespace hearth::lambda
