#include "vmm/virtio/balloon.h"

#include "vmm/virtio/fake_driver.h"

#include <gtest/gtest.h>

namespace hearth::vmm::virtio {
namespace {

constexpr std::uint16_t kInflate = 0;
constexpr std::uint16_t kDeflate = 1;

class BalloonTest : public ::testing::Test {
  protected:
    void Make(const BalloonOptions& options) {
        device_ = *BalloonDevice::Create(options);
        driver_.emplace(device_);
        driver_->Start();
    }

    void Fill(std::uint32_t frame) {
        const std::vector<std::byte> ones(4096, std::byte{1});
        driver_->memory().Write(frame * 4096U, ones);
    }

    bool IsEmpty(std::uint32_t frame) {
        return *driver_->memory().Load<std::uint8_t>(frame * 4096U + 17) == 0;
    }

    std::shared_ptr<BalloonDevice> device_;
    std::optional<FakeDriver> driver_;
};

TEST_F(BalloonTest, InflatesAndDeflates) {
    Make({.amount_mib = 2});
    EXPECT_EQ(driver_->ReadConfig<std::uint32_t>(0), 512U);
    for (const std::uint32_t frame : {800U, 801U, 802U, 900U}) {
        Fill(frame);
    }
    const std::array<std::uint32_t, 4> frames = {900, 801, 800, 801};
    driver_->queues[kInflate].Add({{driver_->PutValue(frames), 16}});
    driver_->Kick(kInflate);
    EXPECT_TRUE(driver_->queues[kInflate].Take());
    EXPECT_TRUE(IsEmpty(800));
    EXPECT_TRUE(IsEmpty(801));
    EXPECT_FALSE(IsEmpty(802));
    EXPECT_TRUE(IsEmpty(900));
    driver_->Write(0x104, 3);
    EXPECT_EQ(driver_->ReadConfig<std::uint32_t>(4), 3U);
    driver_->queues[kDeflate].Add({{driver_->PutValue(frames), 16}});
    driver_->Kick(kDeflate);
    EXPECT_TRUE(driver_->queues[kDeflate].Take());
    EXPECT_EQ(driver_->OfferedFeatures() & 0xff, 0U);
}

TEST_F(BalloonTest, PagesThatAreNone) {
    Make({});
    Fill(800);
    const std::array<std::uint32_t, 4> frames = {0xffff'ffff, 0xffff'fffe, 1024, 800};
    const GuestAddress at = driver_->PutValue(frames);
    driver_->queues[kInflate].Add({{at, 16}});
    driver_->queues[kInflate].Add({{at, 15}});                      // half a number
    driver_->queues[kInflate].Add({{FakeDriver::kData, 1 << 20}});  // far too many
    driver_->queues[kInflate].Add({{driver_->Allocate(64), 64, kDescWrite}});
    driver_->Kick(kInflate);
    EXPECT_EQ(driver_->queues[kInflate].used_index(), 4);
    EXPECT_TRUE(IsEmpty(800));
    EXPECT_FALSE(driver_->NeedsReset());
    // Only the driver's field can be written.
    driver_->Write(0x100, 77);
    driver_->Write(0x108, 77);
    EXPECT_EQ(driver_->ReadConfig<std::uint32_t>(0), 0U);
    EXPECT_EQ(driver_->ReadConfig<std::uint32_t>(8), 0U);
}

TEST_F(BalloonTest, TargetsChange) {
    Make({.amount_mib = 1, .deflate_on_oom = true});
    EXPECT_NE(driver_->OfferedFeatures() & (1 << 2), 0U);
    driver_->TakeInterrupts();
    ASSERT_TRUE(device_->UpdateAmount(3).ok());
    EXPECT_EQ(driver_->ReadConfig<std::uint32_t>(0), 768U);
    EXPECT_EQ(driver_->TakeInterrupts(), 1U);
    EXPECT_FALSE(device_->UpdateAmount(0xffff'ffff).ok());
    EXPECT_EQ(device_->options().amount_mib, 3U);
    driver_->SetStatus(0);
    EXPECT_FALSE(device_->UpdateAmount(1).ok());
    EXPECT_FALSE(device_->UpdateStatisticsInterval(1).ok());
    EXPECT_FALSE(device_->statistics());
}

TEST_F(BalloonTest, Statistics) {
    Make({.amount_mib = 1, .stats_polling_interval_s = 1});
    constexpr std::uint16_t kStatistics = 2;
    ASSERT_EQ(driver_->queues.size(), 3U);

    struct [[gnu::packed]] Entry final {
        std::uint16_t tag;
        std::uint64_t value;
    };

    const std::array<Entry, 4> entries = {{{4, 1000}, {5, 2000}, {10, 7}, {999, 1}}};
    const GuestAddress at = driver_->PutValue(entries);
    driver_->queues[kStatistics].Add({{at, sizeof(entries)}});
    driver_->Kick(kStatistics);
    // Kept until the next ones are wanted.
    EXPECT_FALSE(driver_->queues[kStatistics].Take());
    auto statistics = device_->statistics();
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->free_memory, 1000U);
    EXPECT_EQ(statistics->total_memory, 2000U);
    EXPECT_EQ(statistics->oom_kill, 7U);
    EXPECT_FALSE(statistics->swap_in);
    EXPECT_EQ(statistics->target_pages, 256U);
    EXPECT_EQ(statistics->target_mib, 1U);
    EXPECT_TRUE(driver_->RunUntil([&] { return driver_->queues[kStatistics].used_index() == 1; }));
    // Two buffers: the first comes back.
    driver_->queues[kStatistics].Add({{at, sizeof(entries)}});
    driver_->queues[kStatistics].Add({{at, sizeof(entries)}});
    driver_->Kick(kStatistics);
    EXPECT_EQ(driver_->queues[kStatistics].used_index(), 2);
    EXPECT_TRUE(device_->UpdateStatisticsInterval(5).ok());
    EXPECT_FALSE(device_->UpdateStatisticsInterval(0).ok());
    driver_->SetStatus(0);
    driver_->Run();
    EXPECT_FALSE(device_->statistics()->free_memory);
}

TEST_F(BalloonTest, FreePagesAreReported) {
    Make({.stats_polling_interval_s = 1, .free_page_reporting = true});
    constexpr std::uint16_t kReporting = 3;
    for (const std::uint32_t frame : {800U, 801U, 802U}) {
        Fill(frame);
    }
    driver_->queues[kReporting].Add(
        {{800 * 4096, 8192, kDescWrite}, {802 * 4096 + 16, 4096, kDescWrite}});
    driver_->Kick(kReporting);
    EXPECT_TRUE(driver_->queues[kReporting].Take());
    EXPECT_TRUE(IsEmpty(800));
    EXPECT_TRUE(IsEmpty(801));
    EXPECT_FALSE(IsEmpty(802));
    EXPECT_EQ(device_->metrics().free_page_report_freed, 8192U);
    EXPECT_EQ(device_->metrics().free_page_report_fails, 1U);
}

TEST_F(BalloonTest, QueuesOfFeaturesNotTakenDoNotCount) {
    device_ = *BalloonDevice::Create({.stats_polling_interval_s = 1, .free_page_reporting = true});
    driver_.emplace(device_);
    driver_->Start(~(std::uint64_t{1} << 1));
    constexpr std::uint16_t kReporting = 2;
    Fill(800);
    driver_->queues[kReporting].Add({{800 * 4096, 4096, kDescWrite}});
    driver_->Kick(kReporting);
    EXPECT_TRUE(IsEmpty(800));
}

TEST_F(BalloonTest, MorePagesAtOnceThanAnybodyNames) {
    Make({});
    Fill(800);
    const std::vector<std::uint32_t> frames(1025, 800);
    driver_->queues[kInflate].Add({{driver_->Put(std::as_bytes(std::span(frames))), 1025 * 4}});
    driver_->queues[kInflate].Add({{driver_->Put(std::as_bytes(std::span(frames))), 4}});
    EXPECT_FALSE(IsEmpty(800));
    driver_->Kick(kInflate);
    EXPECT_TRUE(driver_->queues[kInflate].Take());
    EXPECT_TRUE(driver_->queues[kInflate].Take());
    EXPECT_TRUE(IsEmpty(800)) << "the second request was as it should be";
}

}  // namespace
}  // namespace hearth::vmm::virtio
