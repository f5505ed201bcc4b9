#include "vmm/virtio/queue.h"

#include "vmm/virtio/device.h"
#include "vmm/virtio/fake_driver.h"

#include <gtest/gtest.h>

namespace hearth::vmm::virtio {
namespace {

constexpr std::uint16_t kSize = 8;

class QueueTest : public ::testing::Test {
  protected:
    QueueTest() : memory_(MakeMemory()), rings_(memory_, 0x1000, kSize) {}

    static GuestMemory MakeMemory() {
        // Two regions with a gap, as around the MMIO window.
        const std::array<GuestMemory::Region, 2> regions = {
            GuestMemory::Region{0, 0x40000}, GuestMemory::Region{0x80000, 0x10000}};
        return *GuestMemory::Create(regions);
    }

    QueueConfig Config() const {
        return {
            .max_size = 256,
            .size = kSize,
            .ready = true,
            .descriptors = rings_.descriptors(),
            .available = rings_.available(),
            .used = rings_.used()};
    }

    Queue Make(std::uint64_t features = kCommonFeatures) {
        auto queue = Queue::Create(memory_, Config(), features);
        EXPECT_TRUE(queue.ok());
        return *std::move(queue);
    }

    // Whether the chain is refused.
    bool IsRefused(const std::vector<FakeDescriptor>& chain, std::uint64_t features) {
        Queue queue = Make(features);
        queue.Restore({.next_available = index_, .next_used = 0});
        rings_.Add(chain);
        ++index_;
        Chain into;
        return !queue.Pop(into).ok();
    }

    bool IsRefused(const std::vector<FakeDescriptor>& chain) {
        return IsRefused(chain, kCommonFeatures);
    }

    GuestMemory memory_;
    FakeQueue rings_;
    std::uint16_t index_ = 0;
};

TEST_F(QueueTest, GivesChainsInOrderAndTakesThemBack) {
    Queue queue = Make();
    memory_.Store<std::uint64_t>(0x20000, 0x1122334455667788);
    const std::uint16_t first =
        rings_.Add({{0x20000, 8}, {0x20100, 4, kDescWrite}, {0x80000, 16, kDescWrite}});
    const std::uint16_t second = rings_.Add({{0x20200, 1}});
    Chain chain;
    ASSERT_TRUE(*queue.Pop(chain));
    EXPECT_EQ(chain.head, first);
    EXPECT_EQ(chain.readable_bytes, 8U);
    EXPECT_EQ(chain.writable_bytes, 20U);
    std::uint32_t half = 0;
    EXPECT_TRUE(chain.Read(4, std::as_writable_bytes(std::span(&half, 1))));
    EXPECT_EQ(half, 0x11223344U);
    EXPECT_FALSE(chain.Read(5, std::as_writable_bytes(std::span(&half, 1))));
    // Across the seam of two buffers in two regions.
    const std::uint32_t value = 0xa1b2c3d4;
    EXPECT_TRUE(chain.Write(2, std::as_bytes(std::span(&value, 1))));
    EXPECT_EQ(*memory_.Load<std::uint16_t>(0x20102), 0xc3d4);
    EXPECT_EQ(*memory_.Load<std::uint16_t>(0x80000), 0xa1b2);
    EXPECT_FALSE(chain.Write(17, std::as_bytes(std::span(&value, 1))));
    ASSERT_TRUE(*queue.Pop(chain));
    EXPECT_EQ(chain.head, second);
    EXPECT_FALSE(*queue.Pop(chain));
    queue.UndoPop();
    ASSERT_TRUE(*queue.Pop(chain));
    EXPECT_EQ(chain.head, second);
    queue.Push(second, 0);
    queue.Push(first, 20);
    EXPECT_EQ(rings_.Take()->head, second);
    const auto used = rings_.Take();
    EXPECT_EQ(used->head, first);
    EXPECT_EQ(used->bytes, 20U);
}

TEST_F(QueueTest, IndicesWrap) {
    Queue queue = Make();
    Chain chain;
    for (unsigned i = 0; i < 70'000; ++i) {
        rings_.Add({{0x20000, 4}});
        ASSERT_TRUE(*queue.Pop(chain));
        queue.Push(chain.head, 1);
        ASSERT_EQ(rings_.Take()->head, chain.head);
    }
}

TEST_F(QueueTest, IndirectTables) {
    Queue queue = Make();
    // Longer than the ring, behind a plain descriptor.
    constexpr std::uint16_t kEntries = 20;
    for (std::uint16_t i = 0; i < kEntries; ++i) {
        const FakeDescriptor entry = {
            0x21000U + i * 16U,
            16,
            static_cast<std::uint16_t>(
                (i + 1 < kEntries ? kDescNext : 0) | (i >= 10 ? kDescWrite : 0)),
            static_cast<std::uint16_t>(i + 1)};
        memory_.Store(0x22004 + i * 16, entry);
    }
    rings_.Add({{0x20000, 4}, {0x22004, kEntries * 16, kDescIndirect}});
    Chain chain;
    ASSERT_TRUE(*queue.Pop(chain));
    EXPECT_EQ(chain.readable.size(), 11U);
    EXPECT_EQ(chain.writable.size(), 10U);
    EXPECT_EQ(chain.readable_bytes, 164U);
}

TEST_F(QueueTest, RefusesChainsNoDriverMakes) {
    const std::vector<std::vector<FakeDescriptor>> bad = {
        {{0x20000, 0}},                                // no bytes
        {{0x40000, 4}},                                // the gap
        {{0x3fffe, 4}},                                // into the gap
        {{0x8fffe, 4}},                                // beyond the end
        {{0xffff'ffff'ffff'fffc, 8}},                  // wraps
        {{~std::uint64_t{0}, 0xffff'ffff}},            // wraps
        {{0x20000, 0xffff'ffff}},                      // huge
        {{0x20000, 4, kDescWrite}, {0x20100, 4}},      // readable behind writable
        {{0x20000, 15, kDescIndirect}},                // not whole entries
        {{0x20000, 0, kDescIndirect}},                 // an empty table
        {{0x20000, 16 * 1025, kDescIndirect}},         // a huge table
        {{0x3fff8, 16, kDescIndirect}},                // a table into the gap
        {{0x20000, 16, kDescIndirect}, {0x20000, 4}},  // with a successor
    };
    for (std::size_t i = 0; i < bad.size(); ++i) {
        EXPECT_TRUE(IsRefused(bad[i])) << "chain " << i;
    }
    // A table in a table, and a loop in one.
    memory_.Store(0x23000, FakeDescriptor{0x23000, 16, kDescIndirect, 0});
    EXPECT_TRUE(IsRefused({{0x23000, 16, kDescIndirect}}));
    memory_.Store(0x23000, FakeDescriptor{0x20000, 16, kDescNext, 0});
    EXPECT_TRUE(IsRefused({{0x23000, 16, kDescIndirect}}));
    memory_.Store(0x23000, FakeDescriptor{0x20000, 16, kDescNext, 1});
    EXPECT_TRUE(IsRefused({{0x23000, 16, kDescIndirect}}));
    // Not negotiated.
    memory_.Store(0x23000, FakeDescriptor{0x20000, 16, 0, 0});
    EXPECT_FALSE(IsRefused({{0x23000, 16, kDescIndirect}}));
    EXPECT_TRUE(IsRefused({{0x23000, 16, kDescIndirect}}, kFeatureVersion1));
}

TEST_F(QueueTest, RefusesLoopsAndIndicesOutOfRange) {
    Chain chain;
    {
        Queue queue = Make();
        rings_.SetDescriptor(0, {0x20000, 4, kDescNext, 1});
        rings_.SetDescriptor(1, {0x20000, 4, kDescNext, 0});
        rings_.Offer(0);
        EXPECT_FALSE(queue.Pop(chain).ok());
    }
    rings_.Forget();
    {
        Queue queue = Make();
        rings_.SetDescriptor(0, {0x20000, 4, kDescNext, kSize});
        rings_.Offer(0);
        EXPECT_FALSE(queue.Pop(chain).ok());
    }
    rings_.Forget();
    {
        Queue queue = Make();
        rings_.Offer(kSize);
        EXPECT_FALSE(queue.Pop(chain).ok());
    }
    rings_.Forget();
    {
        Queue queue = Make();
        rings_.SetIndex(kSize);
        EXPECT_TRUE(queue.HasAvailable().ok());
        rings_.SetIndex(kSize + 1);
        EXPECT_FALSE(queue.HasAvailable().ok());
        EXPECT_FALSE(queue.EnableKicks().ok());
        EXPECT_FALSE(queue.Pop(chain).ok());
        rings_.SetIndex(0xffff);
        EXPECT_FALSE(queue.Pop(chain).ok());
    }
}

TEST_F(QueueTest, RefusesBadRings) {
    const auto is_refused = [&](auto&& change) {
        QueueConfig config = Config();
        change(config);
        return !Queue::Create(memory_, config, kCommonFeatures).ok();
    };
    EXPECT_FALSE(is_refused([](QueueConfig&) {}));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.size = 0; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.size = 7; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.size = 512; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.descriptors += 8; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.available += 1; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.used += 2; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.descriptors = 0x40000; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.available = 0x3fff0; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.used = 0xffff'ffff'ffff'fff0; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.used = c.available; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.used = c.descriptors + 16; }));
    EXPECT_TRUE(is_refused([](QueueConfig& c) { c.available = c.descriptors + 64; }));
}

TEST_F(QueueTest, NotifiesByFlagWithoutEventIndex) {
    Queue queue = Make(kFeatureVersion1);
    EXPECT_FALSE(queue.ShouldNotify());
    queue.Push(0, 0);
    EXPECT_TRUE(queue.ShouldNotify());
    EXPECT_FALSE(queue.ShouldNotify());
    rings_.SetNoInterrupt(true);
    queue.Push(0, 0);
    EXPECT_FALSE(queue.ShouldNotify());
}

TEST_F(QueueTest, NotifiesWhenTheEventIndexIsPassed) {
    Queue queue = Make();
    rings_.SetUsedEvent(2);
    queue.Push(0, 0);
    queue.Push(0, 0);
    EXPECT_FALSE(queue.ShouldNotify());
    queue.Push(0, 0);
    EXPECT_TRUE(queue.ShouldNotify());
    queue.Push(0, 0);
    EXPECT_FALSE(queue.ShouldNotify());
    // Several at once, of which one is it; and around the end of the numbers.
    queue.Restore({.next_available = 0, .next_used = 0xfffe});
    rings_.SetUsedEvent(0xffff);
    queue.Push(0, 0);
    EXPECT_FALSE(queue.ShouldNotify());
    queue.Push(0, 0);
    queue.Push(0, 0);
    EXPECT_TRUE(queue.ShouldNotify());
}

TEST_F(QueueTest, AsksForKicksAtTheNextRequest) {
    Queue queue = Make();
    Chain chain;
    rings_.Add({{0x20000, 4}});
    EXPECT_TRUE(*queue.EnableKicks());
    ASSERT_TRUE(*queue.Pop(chain));
    EXPECT_FALSE(*queue.EnableKicks());
    EXPECT_EQ(rings_.avail_event(), 1);
}

TEST_F(QueueTest, ClosedQueuesAreSilent) {
    Queue queue = Make();
    rings_.Add({{0x20000, 4}});
    queue.Close();
    Chain chain;
    EXPECT_FALSE(*queue.Pop(chain));
    queue.Push(0, 1);
    EXPECT_EQ(rings_.used_index(), 0);
    EXPECT_FALSE(queue.ShouldNotify());
    EXPECT_FALSE(*queue.EnableKicks());
}

}  // namespace
}  // namespace hearth::vmm::virtio
