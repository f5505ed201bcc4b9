#include "sandbox/snapshot/proc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

namespace hearth::snapshot {
namespace {

TEST(Proc, SmapsGivesAreasWithTheirFlags) {
    const auto entries = ParseSmaps(
        "55d0-55d8 r-xp 00001000 08:01 1234    /usr/bin/a b\\012c\n"
        "Size:                 32 kB\nRss:                  12 kB\nSwap:                  4 kB\n"
        "VmFlags: rd ex mr mw me sd \n"
        "7ff0-8ff0 rw-s 00000000 00:00 0 \n"
        "Rss:                   0 kB\nVmFlags: rd wr sh hg wf\n");
    ASSERT_TRUE(entries.ok());
    ASSERT_EQ(entries->size(), 2U);
    const MapsEntry& first = (*entries)[0];
    EXPECT_EQ(first.start, 0x55d0U);
    EXPECT_EQ(first.end, 0x55d8U);
    EXPECT_EQ(first.protection, static_cast<uint32_t>(PROT_READ | PROT_EXEC));
    EXPECT_EQ(first.offset, 0x1000U);
    EXPECT_EQ(first.inode, 1234U);
    EXPECT_EQ(first.name, "/usr/bin/a b\nc");
    EXPECT_EQ(first.present_kb, 16U);
    EXPECT_TRUE(first.Has("mw"));
    EXPECT_FALSE(first.shared);
    EXPECT_TRUE((*entries)[1].shared);
    EXPECT_TRUE((*entries)[1].Has("wf"));
    EXPECT_EQ((*entries)[1].name, "");
}

TEST(Proc, SmapsThatDoesNotParseIsAnError) {
    for (const char* text :
         {"Rss: 1 kB\n",
          "zz\n",
          "55d0-55d8 r-xp\n",
          "55d0+55d8 r-xp 0 08:01 1\n",
          "55d0-55d8 r-x 0 08:01 1\n",
          "55d0-55d8 r-xp 0 08:01 x\n"}) {
        EXPECT_FALSE(ParseSmaps(text).ok()) << text;
    }
}

TEST(Proc, StatOfACommandThatLooksLikeStat) {
    const auto fields = ParseStat("12 (a) S 1 (b) R 77 8 9\n");
    EXPECT_EQ(fields[3], "R");
    EXPECT_EQ(fields[4], "77");
    EXPECT_EQ(fields[51], "");
    EXPECT_EQ(ParseStat("").size(), 53U);
}

TEST(Proc, EpollMembers) {
    const auto lines = ParseEpoll(
        "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1\n"
        "tfd:        5 events:       19 data:     1122334455667788  pos:0 ino:3c sdev:9\n"
        "tfd:        6 events: 80000001 data:                5  pos:-1 ino:a1 sdev:800002\n");
    ASSERT_TRUE(lines.ok()) << lines.error().message();
    ASSERT_EQ(lines->size(), 2U);
    EXPECT_EQ((*lines)[0].number, 5);
    EXPECT_EQ((*lines)[0].events, 0x19U);
    EXPECT_EQ((*lines)[0].data, 0x1122334455667788U);
    EXPECT_EQ((*lines)[0].inode, 0x3cU);
    EXPECT_EQ((*lines)[1].events, 0x80000001U);
    EXPECT_FALSE(ParseEpoll("tfd: 5 events: zz data: 1 pos:0 ino:3 sdev:9\n").ok());
    EXPECT_FALSE(ParseEpoll("tfd: 5 events: 1\n").ok());
}

TEST(Proc, Timers) {
    const auto timer = ParseTimer(
        "pos:\t0\nclockid: 1\nticks: 3\nsettime flags: 01\nit_value: (0, 49406829)\n"
        "it_interval: (1, 0)\n");
    ASSERT_TRUE(timer.ok());
    EXPECT_EQ(timer->clock, 1);
    EXPECT_EQ(timer->ticks, 3U);
    EXPECT_EQ(timer->value_ns, 49'406'829U);
    EXPECT_EQ(timer->interval_ns, 1'000'000'000U);
    EXPECT_FALSE(ParseTimer("clockid: 1\nticks: 3\nit_value: (x, 1)\nit_interval: (1, 0)\n").ok());
    EXPECT_FALSE(ParseTimer("").ok());
}

TEST(Proc, FieldsAndNumbers) {
    EXPECT_EQ(FindField("Name:\ta b\nNSpid:\t5\t2\n", "NSpid"), "5\t2");
    EXPECT_EQ(FindField("Name:\ta\n", "Nam"), std::nullopt);
    EXPECT_THAT(ParseIds("5\t2"), testing::ElementsAre(5, 2));
    EXPECT_EQ(ParseNumber("ff", 16), 255U);
    EXPECT_EQ(ParseNumber("12 "), std::nullopt);
    EXPECT_EQ(ParseNumber(""), std::nullopt);
}

}  // namespace
}  // namespace hearth::snapshot
