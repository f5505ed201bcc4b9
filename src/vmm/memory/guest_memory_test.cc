#include "vmm/memory/guest_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace hearth::vmm {
namespace {

constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();

GuestMemory Make(std::vector<GuestMemory::Region> regions) {
    return GuestMemory::Create(regions).value();
}

TEST(GuestMemory, LayoutSplitsAroundTheMmioGap) {
    const auto small = GuestMemory::Layout(128 << 20);
    ASSERT_EQ(small.size(), 1U);
    const auto full = GuestMemory::Layout(kMmioGapStart);
    ASSERT_EQ(full.size(), 1U);
    const auto large = GuestMemory::Layout(kMmioGapStart + 4096);
    ASSERT_EQ(large.size(), 2U);
    EXPECT_EQ(large[0].bytes, kMmioGapStart);
    EXPECT_EQ(large[1].start, kMmioGapEnd);
    EXPECT_EQ(large[1].bytes, 4096U);
}

TEST(GuestMemory, RefusesRegionsThatOverlapWrapOrAreNotPages) {
    const std::array<std::vector<GuestMemory::Region>, 5> bad = {{
        {{0, 0}},
        {{0, 100}},
        {{1, 4096}},
        {{0, 8192}, {4096, 4096}},
        {{kTop - 4095, 8192}},
    }};
    for (const auto& regions : bad) {
        EXPECT_FALSE(GuestMemory::Create(regions).ok());
    }
}

TEST(GuestMemory, SliceStaysInsideOneRegionWhateverIsAsked) {
    const GuestMemory memory = Make({{0, 0x4000}, {0x4000, 0x2000}, {0x10000, 0x1000}});
    EXPECT_TRUE(memory.Slice(0, 0x4000));
    EXPECT_TRUE(memory.Slice(0x3fff, 1));
    EXPECT_TRUE(memory.Slice(0x3fff, 0));
    EXPECT_TRUE(memory.Slice(0x10fff, 1));
    // Regions that touch are not one.
    EXPECT_FALSE(memory.Slice(0x3fff, 2));
    EXPECT_FALSE(memory.Slice(0, 0x4001));
    EXPECT_FALSE(memory.Slice(0x6000, 0));
    EXPECT_FALSE(memory.Slice(0x11000, 1));
    EXPECT_FALSE(memory.Slice(kTop, 1));
    EXPECT_FALSE(memory.Slice(kTop, kTop));
    EXPECT_FALSE(memory.Slice(0x1000, kTop));
    EXPECT_FALSE(memory.Slice(0x1000, kTop - 0xfff));
}

TEST(GuestMemory, ReadsAndWritesWholeOrNotAtAll) {
    const GuestMemory memory = Make({{0, 0x1000}});
    EXPECT_EQ(memory.Load<std::uint32_t>(0), 0U);
    EXPECT_TRUE(memory.Store(0xffc, std::uint32_t{0x12345678}));
    EXPECT_EQ(memory.Load<std::uint32_t>(0xffc), 0x12345678U);
    EXPECT_FALSE(memory.Store(0xffd, std::uint32_t{0}));
    EXPECT_FALSE(memory.Load<std::uint32_t>(0xffd));
    EXPECT_EQ(memory.Load<std::uint32_t>(0xffc), 0x12345678U);
}

TEST(GuestMemory, OrderedAccessesWantAlignment) {
    const GuestMemory memory = Make({{0, 0x1000}});
    EXPECT_TRUE(memory.StoreRelease(2, std::uint16_t{7}));
    EXPECT_EQ(memory.LoadAcquire<std::uint16_t>(2), 7);
    EXPECT_FALSE(memory.StoreRelease(3, std::uint16_t{7}));
    EXPECT_FALSE(memory.LoadAcquire<std::uint32_t>(2));
    EXPECT_FALSE(memory.LoadAcquire<std::uint16_t>(0x1000));
}

TEST(GuestMemory, HintsChangeNoByteAndTakeAnyRange) {
    const GuestMemory memory = Make({{0, 0x30000}});
    EXPECT_TRUE(memory.Store(0x1000, std::uint64_t{1}));
    memory.Populate(0xfff, 0x10000);
    memory.Populate(0x1ffff, 0x10001);
    memory.Populate(0x2ffff, 0x10000);
    memory.Populate(kTop, kTop);
    memory.PreferLargePages(0, 0x3000);
    memory.PreferLargePages(kTop, 1);
    EXPECT_EQ(memory.Load<std::uint64_t>(0x1000), 1U);
}

TEST(GuestMemory, DiscardedPagesAreZero) {
    const GuestMemory memory = Make({{0, 0x3000}});
    EXPECT_TRUE(memory.Store(0x1000, std::uint64_t{1}));
    EXPECT_TRUE(memory.Store(0x2000, std::uint64_t{2}));
    EXPECT_TRUE(memory.Discard(0x1000, 0x1000));
    EXPECT_EQ(memory.Load<std::uint64_t>(0x1000), 0U);
    EXPECT_EQ(memory.Load<std::uint64_t>(0x2000), 2U);
    EXPECT_FALSE(memory.Discard(0x1001, 0x1000));
    EXPECT_FALSE(memory.Discard(0x1000, 0x800));
    EXPECT_FALSE(memory.Discard(0x2000, 0x2000));
}

}  // namespace
}  // namespace hearth::vmm
