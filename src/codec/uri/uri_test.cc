#include "codec/uri/uri.h"

#include <gtest/gtest.h>

namespace hearth::codec {
namespace {

TEST(PercentEncode, KeepsOnlyUnreservedCharacters) {
    EXPECT_EQ(PercentEncode("aZ09-_.~"), "aZ09-_.~");
    EXPECT_EQ(PercentEncode("a b+c/d%é"), "a%20b%2Bc%2Fd%25%C3%A9");
    EXPECT_EQ(PercentEncode("/a/b c", true), "/a/b%20c");
}

TEST(PercentDecode, RefusesBrokenEscapes) {
    EXPECT_EQ(*PercentDecode("a%20b+c%c3%A9"), "a b+cé");
    for (const std::string_view text : {"%", "%2", "a%2", "%2g", "%g2", "%%20"}) {
        EXPECT_FALSE(PercentDecode(text).ok()) << text;
    }
}

TEST(ParseQuery, KeepsOrderRepetitionAndEmptyValues) {
    const auto parameters = ParseQuery("b=1&a=x+y%26&&b=2&c&=d&e==");
    ASSERT_TRUE(parameters.ok());
    const QueryParameters expected = {
        {"b", "1"}, {"a", "x y&"}, {"b", "2"}, {"c", ""}, {"", "d"}, {"e", "="}};
    EXPECT_EQ(*parameters, expected);
    EXPECT_FALSE(ParseQuery("a=%zz").ok());
    EXPECT_TRUE(ParseQuery("")->empty());
}

TEST(ParseQuery, HasALimit) {
    std::string query;
    for (size_t i = 0; i < kQueryParametersMax; ++i) {
        query += "a&";
    }
    EXPECT_TRUE(ParseQuery(query).ok());
    query += "a";
    EXPECT_FALSE(ParseQuery(query).ok());
}

TEST(WriteQuery, IsTheInverse) {
    const QueryParameters parameters = {{"Action", "Get"}, {"a b", "c&d=é+"}, {"", ""}};
    EXPECT_EQ(WriteQuery(parameters), "Action=Get&a%20b=c%26d%3D%C3%A9%2B&=");
    EXPECT_EQ(*ParseQuery(WriteQuery(parameters)), parameters);
}

}  // namespace
}  // namespace hearth::codec
