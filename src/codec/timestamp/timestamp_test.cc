#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

namespace hearth::codec {
namespace {

WallClock::time_point At(int64_t unix_ms) {
    return WallClock::time_point(std::chrono::milliseconds(unix_ms));
}

TEST(Timestamp, WritesEachForm) {
    const auto time = At(1'769'853'600'120);
    EXPECT_EQ(FormatIso8601(time), "2026-01-31T10:00:00Z");
    EXPECT_EQ(FormatIso8601(time, true), "2026-01-31T10:00:00.120Z");
    EXPECT_EQ(FormatIso8601WithOffset(time), "2026-01-31T10:00:00.120+0000");
    EXPECT_EQ(FormatBasicIso8601(time), "20260131T100000Z");
    EXPECT_EQ(FormatRfc822(time), "Sat, 31 Jan 2026 10:00:00 GMT");
    EXPECT_EQ(FormatUnixSeconds(time), "1769853600.12");
    EXPECT_EQ(FormatUnixSeconds(At(1'769'853'600'000)), "1769853600");
    EXPECT_EQ(FormatUnixSeconds(At(-1'500)), "-1.5");
    EXPECT_EQ(FormatIso8601(At(-1), true), "1969-12-31T23:59:59.999Z");
}

TEST(Timestamp, ReadsEachForm) {
    const auto time = At(1'769'853'600'120);
    EXPECT_EQ(*ParseIso8601("2026-01-31T10:00:00.120Z"), time);
    EXPECT_EQ(*ParseIso8601("2026-01-31T10:00:00.1209999Z"), time);
    EXPECT_EQ(*ParseIso8601("2026-01-31T11:30:00.12+01:30"), time);
    EXPECT_EQ(*ParseIso8601("2026-01-31T09:00:00.12-0100"), time);
    EXPECT_EQ(*ParseIso8601("2026-01-31"), At(1'769'817'600'000));
    EXPECT_EQ(*ParseBasicIso8601("20260131T100000Z"), At(1'769'853'600'000));
    EXPECT_EQ(*ParseRfc822("Sat, 31 Jan 2026 10:00:00 GMT"), At(1'769'853'600'000));
    EXPECT_EQ(*ParseUnixSeconds("1769853600.12"), time);
    EXPECT_EQ(*FromUnixSeconds(1769853600.12), time);
    EXPECT_EQ(*ParseIso8601("2024-02-29T00:00:00Z"), At(1'709'164'800'000));
}

TEST(Timestamp, RefusesWhatIsNoTime) {
    for (const std::string_view text :
         {"",
          "2026",
          "2026-13-01T00:00:00Z",
          "2026-02-29T00:00:00Z",
          "2026-01-31T24:00:00Z",
          "2026-01-31T10:00:00",
          "2026-01-31T10:00:00ZZ",
          "2026-01-31T10:00:00.Z",
          "2026-01-31T10:00:00+",
          "2026-01-31T10:00:00+99:99",
          "x026-01-31T10:00:00Z"}) {
        EXPECT_FALSE(ParseIso8601(text).ok()) << text;
    }
    for (const std::string_view text :
         {"", "20260131T1000Z", "20260131T100000", "20260132T100000Z"}) {
        EXPECT_FALSE(ParseBasicIso8601(text).ok()) << text;
    }
    for (const std::string_view text :
         {"", "Sat, 31 Foo 2026 10:00:00 GMT", "Sat, 31 Jan 2026 10:00:00 CET", "Sat"}) {
        EXPECT_FALSE(ParseRfc822(text).ok()) << text;
    }
    for (const std::string_view text : {"", "x", "1e30", "nan", "inf", "1 ", "0x10"}) {
        EXPECT_FALSE(ParseUnixSeconds(text).ok()) << text;
    }
}

}  // namespace
}  // namespace hearth::codec
