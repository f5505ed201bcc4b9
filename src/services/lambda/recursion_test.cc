#include "services/lambda/recursion.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

constexpr char kRoot[] =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";

std::string Arn(std::string_view name) {
    return fmt::format("arn:aws:lambda:us-east-1:123456789012:function:{}", name);
}

TEST(Recursion, AClientOutsideStartsNoLineage) {
    std::string header = kRoot;
    EXPECT_EQ(ExtendLineage(header, Arn("f"), ""), 0);
    EXPECT_EQ(header, kRoot);
}

TEST(Recursion, AClientThatSendsNoHeaderIsNotSeen) {
    std::string header;
    EXPECT_EQ(ExtendLineage(header, Arn("f"), Arn("f")), 0);
    EXPECT_EQ(header, "");
}

TEST(Recursion, EachRunIsCounted) {
    std::string header = kRoot;
    for (int before = 1; before <= 40; ++before) {
        EXPECT_EQ(ExtendLineage(header, Arn("f"), Arn("f")), before);
        EXPECT_TRUE(header.starts_with(std::string(kRoot) + ";Lineage=")) << header;
    }
}

TEST(Recursion, QualifiersDoNotHideALoop) {
    std::string header = kRoot;
    EXPECT_EQ(ExtendLineage(header, Arn("f:7"), Arn("f:$LATEST")), 1);
    EXPECT_EQ(ExtendLineage(header, Arn("f"), Arn("f:7")), 2);
    EXPECT_EQ(ExtendLineage(header, Arn("g:7"), Arn("f:7")), 0);
}

TEST(Recursion, LoopsThroughOthersAreSeen) {
    std::string header = kRoot;
    EXPECT_EQ(ExtendLineage(header, Arn("b"), Arn("a")), 0);
    EXPECT_EQ(ExtendLineage(header, Arn("a"), Arn("b")), 1);
    EXPECT_EQ(ExtendLineage(header, Arn("b"), Arn("a")), 1);
    EXPECT_EQ(ExtendLineage(header, Arn("a"), Arn("b")), 2);
}

TEST(Recursion, BotocoreEscapesTheBars) {
    std::string header = kRoot;
    ExtendLineage(header, Arn("b"), Arn("a"));
    const size_t bar = header.find('|');
    ASSERT_NE(bar, std::string::npos);
    header.replace(bar, 1, "%7C");
    EXPECT_EQ(ExtendLineage(header, Arn("a"), Arn("b")), 1);
    EXPECT_EQ(header.find('%'), std::string::npos);
}

TEST(Recursion, TheMemberMayStandAnywhere) {
    std::string whole = kRoot;
    ExtendLineage(whole, Arn("f"), Arn("f"));
    const std::string member = whole.substr(whole.find("Lineage="));
    for (std::string header : {member, member + ";" + kRoot, "Root=1-x;" + member + ";Sampled=1"}) {
        EXPECT_EQ(ExtendLineage(header, Arn("f"), ""), 2) << header;
        EXPECT_EQ(header.find("Lineage="), header.rfind("Lineage=")) << header;
        EXPECT_EQ(header.find(";;"), std::string::npos) << header;
        EXPECT_NE(header.front(), ';');
    }
}

TEST(Recursion, MalformedLineagesAreLeftAway) {
    for (const char* lineage :
         {"",
          "|||",
          "x",
          "x:1",
          "1",
          "1:",
          ":1",
          "1:-1",
          "1:99999999999",
          "1:1:1",
          "123456789:1",
          "%7C%7C"}) {
        std::string header = fmt::format("{};Lineage={}", kRoot, lineage);
        EXPECT_EQ(ExtendLineage(header, Arn("f"), ""), 0) << lineage;
        EXPECT_TRUE(header.starts_with(std::string(kRoot) + ";Lineage=")) << header;
    }
}

TEST(Recursion, TheHeaderStaysShort) {
    std::string header = kRoot;
    for (int i = 0; i < 1000; ++i) {
        ExtendLineage(header, Arn(fmt::format("f{}", i + 1)), Arn(fmt::format("f{}", i)));
    }
    EXPECT_LT(header.size(), 400u);
    std::string huge = std::string(kRoot) + ";Lineage=";
    for (int i = 0; i < 10'000; ++i) {
        huge += fmt::format("{:08x}:1|", i);
    }
    ExtendLineage(huge, Arn("f"), "");
    EXPECT_LT(huge.size(), 400u);
}

}  // namespace
}  // namespace hearth::lambda
