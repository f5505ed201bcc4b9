#include "vmm/virtio/entropy.h"

#include "testing/fake_clock.h"
#include "vmm/virtio/fake_driver.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace hearth::vmm::virtio {
namespace {

class EntropyTest : public ::testing::Test {
  protected:
    void Make(const EntropyOptions& options) {
        device_ = *EntropyDevice::Create(options, clock_);
        driver_.emplace(device_);
        driver_->Start();
    }

    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    std::shared_ptr<EntropyDevice> device_;
    std::optional<FakeDriver> driver_;
};

TEST_F(EntropyTest, FillsBuffers) {
    Make({});
    const GuestAddress data = driver_->Allocate(4096);
    driver_->queues[0].Add({{data, 64, kDescWrite}, {data + 100, 1000, kDescWrite}});
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 1064U);
    const auto bytes = driver_->Get(data, 4096);
    const auto is_set = [](std::byte b) { return b != std::byte{0}; };
    EXPECT_GT(std::ranges::count_if(std::span(bytes).first(64), is_set), 32);
    EXPECT_EQ(std::ranges::count_if(std::span(bytes).subspan(64, 36), is_set), 0);
    EXPECT_GT(std::ranges::count_if(std::span(bytes).subspan(100, 1000), is_set), 900);
    EXPECT_EQ(std::ranges::count_if(std::span(bytes).subspan(1100), is_set), 0);
    EXPECT_EQ(device_->metrics().entropy_bytes, 1064U);
}

TEST_F(EntropyTest, HugeAndReadableBuffers) {
    Make({});
    driver_->queues[0].Add({{driver_->Allocate(16), 16}});
    driver_->queues[0].Add({{FakeDriver::kData, 1 << 20, kDescWrite}});
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, EntropyDevice::kRequestBytesMax);
}

TEST_F(EntropyTest, WaitsForItsLimits) {
    Make({.limits = {.bandwidth = TokenBucketOptions{.size = 100, .refill_time_ms = 1000}}});
    for (int i = 0; i < 2; ++i) {
        driver_->queues[0].Add({{FakeDriver::kData, 80, kDescWrite}});
    }
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].used_index(), 1);
    clock_->Advance(std::chrono::seconds(1));
    EXPECT_TRUE(driver_->RunUntil([&] { return driver_->queues[0].used_index() == 2; }));
    EXPECT_EQ(device_->metrics().entropy_rate_limiter_throttled, 1U);
}

TEST_F(EntropyTest, ABrokenRingNeedsAReset) {
    Make({});
    driver_->queues[0].SetIndex(1000);
    driver_->Kick(0);
    EXPECT_TRUE(driver_->NeedsReset());
}

}  // namespace
}  // namespace hearth::vmm::virtio
