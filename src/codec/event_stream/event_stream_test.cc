#include "codec/event_stream/event_stream.h"

#include <gtest/gtest.h>

namespace hearth::codec {
namespace {

using Type = EventHeader::Type;

std::string Bytes(std::initializer_list<int> values) {
    std::string bytes;
    for (const int value : values) {
        bytes.push_back(static_cast<char>(value));
    }
    return bytes;
}

// From the test vectors of AWS's own SDKs: a message without headers and payload, and one with a
// JSON payload and a content type.
TEST(EventStream, WritesTheBytesOfAwsVectors) {
    std::string empty;
    AppendEvent(empty, {}, "");
    EXPECT_EQ(
        empty, Bytes({0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff}));

    std::string one;
    AppendEvent(
        one,
        std::vector<EventHeader>{{.name = "content-type", .text = "application/json"}},
        "{'foo':'bar'}");
    EXPECT_EQ(one.size(), 0x3dU);
    EXPECT_EQ(one.substr(0, 12), Bytes({0, 0, 0, 0x3d, 0, 0, 0, 0x20, 0x07, 0xfd, 0x83, 0x96}));
    EXPECT_EQ(one.substr(one.size() - 4), Bytes({0x8d, 0x9c, 0x08, 0xb1}));
}

TEST(EventStream, ReadsEveryTypeOfHeader) {
    const std::vector<EventHeader> headers = {
        {.name = "true", .type = Type::kTrue},
        {.name = "false", .type = Type::kFalse},
        {.name = "byte", .type = Type::kByte, .number = -5},
        {.name = "short", .type = Type::kShort, .number = -300},
        {.name = "integer", .type = Type::kInteger, .number = 70'000},
        {.name = "long", .type = Type::kLong, .number = -5'000'000'000},
        {.name = "bytes", .type = Type::kBytes, .text = std::string("\0\1", 2)},
        {.name = "string", .type = Type::kString, .text = "text"},
        {.name = "time", .type = Type::kTimestamp, .number = 1'769'853'600'000},
        {.name = "uuid", .type = Type::kUuid, .text = "0123456789abcdef"},
    };
    std::string encoded;
    AppendEvent(encoded, headers, "payload");
    AppendEvent(encoded, {}, "second");
    std::string_view rest = encoded;
    auto first = DecodeEvent(rest);
    ASSERT_TRUE(first.ok() && first->has_value());
    EXPECT_EQ((*first)->headers, headers);
    EXPECT_EQ((*first)->payload, "payload");
    ASSERT_NE((*first)->Find("string"), nullptr);
    EXPECT_EQ((*first)->Find("nothing"), nullptr);
    auto second = DecodeEvent(rest);
    ASSERT_TRUE(second.ok() && second->has_value());
    EXPECT_EQ((*second)->payload, "second");
    EXPECT_TRUE(rest.empty());
}

TEST(EventStream, WaitsForAWholeMessage) {
    std::string encoded;
    AppendEvent(encoded, std::vector<EventHeader>{{.name = "n", .text = "v"}}, "payload");
    for (size_t count = 0; count < encoded.size(); ++count) {
        std::string_view part = std::string_view(encoded).substr(0, count);
        const auto event = DecodeEvent(part);
        ASSERT_TRUE(event.ok()) << count;
        EXPECT_FALSE(event->has_value()) << count;
        EXPECT_EQ(part.size(), count);
    }
}

TEST(EventStream, RefusesWhatCannotBe) {
    std::string encoded;
    AppendEvent(encoded, std::vector<EventHeader>{{.name = "n", .text = "v"}}, "payload");
    for (size_t at = 0; at < encoded.size(); ++at) {
        std::string broken = encoded;
        broken[at] = static_cast<char>(broken[at] ^ 0x10);
        std::string_view rest = broken;
        EXPECT_FALSE(DecodeEvent(rest).ok()) << at;
    }
}

}  // namespace
}  // namespace hearth::codec
