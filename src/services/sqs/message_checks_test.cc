#include "services/sqs/message_checks.h"

#include "gen/sqs/types.gen.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace hearth::sqs {
namespace {

model::MessageAttributeValue Value(std::string type, std::string text) {
    model::MessageAttributeValue value;
    value.data_type = std::move(type);
    value.string_value = std::move(text);
    return value;
}

model::MessageAttributeValue Bytes(std::string type, std::string bytes) {
    model::MessageAttributeValue value;
    value.data_type = std::move(type);
    value.binary_value = std::move(bytes);
    return value;
}

// The message of the error, or empty.
std::string Refusal(std::string name, model::MessageAttributeValue value) {
    std::map<std::string, model::MessageAttributeValue> given;
    given.emplace(std::move(name), std::move(value));
    const auto taken = TakeAttributes(std::move(given));
    return taken.ok() ? std::string() : taken.error().code() + ": " + taken.error().message();
}

TEST(MessageText, CharactersThatAreNotAllowedAreReplaced) {
    EXPECT_EQ(AsMessageText("a\tb \xC3\xA9 \xF0\x9F\x98\x80"), "a\tb \xC3\xA9 \xF0\x9F\x98\x80");
    const std::string replaced =
        AsMessageText(std::string("a\x1B[31m\0", 7) + "\xEF\xBF\xBE z\xF0\x9F");
    EXPECT_EQ(replaced, "a\xEF\xBF\xBD[31m\xEF\xBF\xBD\xEF\xBF\xBD z\xEF\xBF\xBD");
    EXPECT_TRUE(IsMessageText(replaced));
}

TEST(MessageText, HasTheCharactersOfXml) {
    EXPECT_TRUE(IsMessageText("tab\tline\n\r plain \x7F ä 漢 😀"));
    EXPECT_TRUE(IsMessageText("\xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBD \xF4\x8F\xBF\xBF"));
    const std::string bad[] = {
        std::string(1, '\0'),
        "\x1F",
        "\x0B",
        "a\x80",
        "\xC0\xAF",
        "\xE0\x80\x80",
        "\xED\xA0\x80",
        "\xEF\xBF\xBE",
        "\xEF\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xC3",
        "\xE6\xBC",
        "\xF0\x9F\x98"};
    for (const std::string& text : bad) {
        EXPECT_FALSE(IsMessageText(text)) << testing::PrintToString(text);
    }
}

TEST(MessageBody, IsThereAndAllowed) {
    EXPECT_EQ(CheckBody(std::nullopt).error().code(), "MissingParameter");
    EXPECT_EQ(CheckBody(std::string()).error().code(), "MissingParameter");
    EXPECT_EQ(CheckBody(std::string("\x01")).error().code(), "InvalidMessageContents");
    EXPECT_TRUE(CheckBody(std::string("x")).ok());
}

// The first sum is one that SQS answered; the second was computed from the documented form by other
// means.
TEST(AttributesMd5, IsOfNamesTypesAndValuesInOrder) {
    EXPECT_EQ(AttributesMd5({}), "");
    AttributeValues attributes;
    attributes["timestamp"] = {"Number", "1493147359900"};
    EXPECT_EQ(AttributesMd5(attributes), "235c5c510d26fb653d073faed50ae77c");
    attributes.clear();
    attributes["b"] = {"Binary", std::string("\0\1", 2)};
    attributes["a"] = {"String.x", "ä"};
    EXPECT_EQ(AttributesMd5(attributes), "0c504cc99e600f148c6c466b6f759ff7");
}

TEST(MessageAttributes, NamesAreChecked) {
    EXPECT_EQ(Refusal("A-z_0.9", Value("String", "x")), "");
    for (const char* name : {"", ".a", "a.", "a..b", "AWS.x", "aws.x", "Amazon.x", "a b", "ä"}) {
        EXPECT_NE(Refusal(name, Value("String", "x")), "") << name;
    }
    EXPECT_EQ(Refusal(std::string(256, 'a'), Value("String", "x")), "");
    EXPECT_NE(Refusal(std::string(257, 'a'), Value("String", "x")), "");
}

TEST(MessageAttributes, TypesAndValuesAreChecked) {
    EXPECT_EQ(Refusal("n", Value("String.custom", "x")), "");
    EXPECT_EQ(Refusal("n", Bytes("Binary.png", "\xFF")), "");
    EXPECT_EQ(
        Refusal("n", Value("Text", "x")),
        "InvalidParameterValue: The message (user) attribute 'n' has an invalid message attribute "
        "type, the set of supported type prefixes is Binary, Number, and String.");
    EXPECT_EQ(
        Refusal("n", Value("String", "")),
        "InvalidParameterValue: Message (user) attribute 'n' must contain a non-empty value of "
        "type "
        "'String'.");
    EXPECT_NE(Refusal("n", Value("Binary", "x")), "");
    EXPECT_NE(Refusal("n", Bytes("String", "x")), "");
    EXPECT_NE(Refusal("n", Value("", "x")), "");
    EXPECT_NE(Refusal("n", Value("String", "\x01")), "");
    auto list = Value("String", "x");
    list.string_list_values = {"a"};
    EXPECT_TRUE(Refusal("n", list).starts_with("UnsupportedOperation"));
}

TEST(MessageAttributes, NumbersAreNumbers) {
    for (const char* number :
         {"0",
          "-1",
          "+2.5",
          "1e5",
          "1E-5",
          ".5",
          "5.",
          "1e126",
          "12345678901234567890123456789012345678"}) {
        EXPECT_EQ(Refusal("n", Value("Number", number)), "") << number;
    }
    for (const char* number :
         {"one",
          "",
          "1e",
          "--1",
          "1.2.3",
          "0x10",
          "1 ",
          "1e999",
          "1e-999",
          "123456789012345678901234567890123456789"}) {
        EXPECT_NE(Refusal("n", Value("Number", number)), "") << number;
    }
}

TEST(MessageAttributes, AreTenAtMost) {
    std::map<std::string, model::MessageAttributeValue> given;
    for (int i = 0; i < 10; ++i) {
        given.emplace("n" + std::to_string(i), Value("String", "x"));
    }
    EXPECT_TRUE(TakeAttributes(given).ok());
    given.emplace("n10", Value("String", "x"));
    EXPECT_EQ(
        TakeAttributes(given).error().message(),
        "Number of message attributes [11] exceeds the allowed maximum [10].");
}

TEST(SystemAttributes, OnlyTheTraceHeaderMayBeGiven) {
    model::MessageSystemAttributeValue value;
    value.data_type = "String";
    value.string_value = "Root=1-5759e988-bd862e3fe1be46a994272793";
    const auto taken = TakeSystemAttributes({{"AWSTraceHeader", value}});
    ASSERT_TRUE(taken.ok());
    EXPECT_EQ(taken->trace_header, *value.string_value);
    EXPECT_EQ(taken->md5.size(), 32U);
    EXPECT_EQ(TakeSystemAttributes({{"SenderId", value}}).error().code(), "InvalidParameterValue");
}

TEST(Tokens, ArePrintableAndShort) {
    EXPECT_TRUE(CheckToken("MessageGroupId", "a!~").ok());
    EXPECT_TRUE(CheckToken("MessageGroupId", std::string(128, 'g')).ok());
    EXPECT_FALSE(CheckToken("MessageGroupId", std::string(129, 'g')).ok());
    EXPECT_FALSE(CheckToken("MessageGroupId", "").ok());
    EXPECT_EQ(
        CheckToken("MessageGroupId", "a b").error().message(),
        "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only "
        "include alphanumeric and punctuation characters. 1 to 128 in length.");
}

}  // namespace
}  // namespace hearth::sqs
