#include "aws/protocol/xml_reader.h"

#include "aws/protocol/utf8.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::aws::protocol {
namespace {

// The events of a document as a text: "<a 'text' </a .".
std::string Events(std::string_view document) {
    XmlReader reader(document);
    std::string events;
    for (;;) {
        const auto event = reader.Next();
        if (!event.ok()) {
            return "broken: " + event.error().message();
        }
        switch (*event) {
            case XmlReader::Event::kStart:
                events += fmt::format("<{} ", reader.name());
                break;
            case XmlReader::Event::kEnd:
                events += fmt::format("</{} ", reader.name());
                break;
            case XmlReader::Event::kText:
                events += fmt::format("'{}' ", reader.text());
                break;
            case XmlReader::Event::kFinished:
                return events + ".";
        }
    }
}

TEST(XmlReader, ElementsTextAndWhatStandsAside) {
    EXPECT_EQ(
        Events("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- hi -->"
               "<a xmlns='urn:x'><p:b>1</p:b ><c/><!-- no --><?pi x?></a>\n<!-- end -->"),
        "<a <b '1' </b <c </c </a .");
}

TEST(XmlReader, ReferencesCdataAndLineEnds) {
    EXPECT_EQ(
        Events("<a>&lt;&#65;&#x1F600;&amp;&quot;&apos;&gt;</a>"),
        "<a '<A\xf0\x9f\x98\x80&\"'>' </a .");
    EXPECT_EQ(Events("<a>1\r\n2\r3&#13;</a>"), "<a '1\n2\n3\r' </a .");
    EXPECT_EQ(Events("<a><![CDATA[<&amp;]]></a>"), "<a '<&amp;' </a .");
    // Keys of objects may have control characters.
    EXPECT_EQ(Events("<a>&#x1;</a>"), "<a '\x01' </a .");
}

TEST(XmlReader, AttributesByLocalName) {
    XmlReader reader(
        "<g xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type=\"Gr&amp;p\"/>");
    ASSERT_EQ(*reader.Next(), XmlReader::Event::kStart);
    ASSERT_NE(reader.Attribute("type"), nullptr);
    EXPECT_EQ(*reader.Attribute("type"), "Gr&p");
    // Declarations of namespaces are no attributes.
    EXPECT_EQ(reader.Attribute("xsi"), nullptr);
    EXPECT_EQ(*reader.Next(), XmlReader::Event::kEnd);
}

TEST(XmlReader, NothingCanBeDeclaredOrExpanded) {
    EXPECT_EQ(Events("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"), "broken: no name at byte 1");
    EXPECT_TRUE(Events("<a>&x;</a>").starts_with("broken: an unknown entity"));
    EXPECT_TRUE(Events("<a><!ENTITY x \"y\"></a>").starts_with("broken: no name"));
}

TEST(XmlReader, BrokenDocumentsAreRefused) {
    for (const std::string_view document :
         {"",
          "   ",
          "text",
          "<",
          "<a",
          "<a>",
          "<a></b>",
          "<a/><b/>",
          "<a/>text",
          "<a b></a>",
          "<a b=c></a>",
          "<a b='1' b='2'></a>",
          "<a b='<'></a>",
          "<a b='1'c='2'></a>",
          "<a>&</a>",
          "<a>&#0;</a>",
          "<a>&#xD800;</a>",
          "<a>&#x110000;</a>",
          "<a>&#99999999999;</a>",
          "<a>&#;</a>",
          "<a>\x01</a>",
          "<a>\xff</a>",
          "<a><!-- </a>",
          "<a><![CDATA[ </a>",
          "<![CDATA[x]]>",
          "<1a/>",
          "<?xml version='1.0' encoding='UTF-16'?><a/>",
          "</a>"}) {
        EXPECT_TRUE(Events(document).starts_with("broken")) << document;
    }
}

TEST(XmlReader, DepthNamesAndAttributesHaveLimits) {
    std::string deep;
    for (size_t i = 0; i <= XmlReader::kDepthMax; ++i) {
        deep += "<a>";
    }
    EXPECT_TRUE(Events(deep).starts_with("broken: too deep"));
    EXPECT_TRUE(Events("<" + std::string(XmlReader::kNameBytesMax + 1, 'a') + "/>")
                    .starts_with("broken: a name too long"));
    std::string many = "<a";
    for (size_t i = 0; i <= XmlReader::kAttributesMax; ++i) {
        many += fmt::format(" a{}=''", i);
    }
    EXPECT_TRUE(Events(many + "/>").starts_with("broken: too many attributes"));
}

TEST(Utf8, WellFormedAndNot) {
    EXPECT_TRUE(IsUtf8(""));
    EXPECT_TRUE(IsUtf8("plain text, longer than eight bytes"));
    EXPECT_TRUE(IsUtf8("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"));
    for (const std::string_view text :
         {"\x80",
          "\xc0\x80",
          "\xc1\xbf",
          "\xc3",
          "\xe0\x80\x80",
          "\xed\xa0\x80",
          "\xf0\x80\x80\x80",
          "\xf4\x90\x80\x80",
          "\xf5\x80\x80\x80",
          "\xff",
          "eight byt\xff"}) {
        EXPECT_FALSE(IsUtf8(text));
    }
}

}  // namespace
}  // namespace hearth::aws::protocol
