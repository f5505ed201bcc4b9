#include "vmm/virtio/mmio_transport.h"

#include "vmm/virtio/fake_driver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace hearth::vmm::virtio {
namespace {

constexpr std::uint64_t kOwnFeature = 1 << 3;

// Answers each request with the bytes it has read, reversed.
class EchoDevice final : public Device {
  public:
    std::uint32_t type() const override { return 42; }

    std::uint64_t features() const override { return kCommonFeatures | kOwnFeature; }

    std::span<const std::uint16_t> queue_sizes() const override { return sizes_; }

    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override {
        CopyConfig(config_, offset, data);
    }

    void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) override {
        if (offset < config_.size() && data.size() <= config_.size() - offset) {
            std::memcpy(config_.data() + offset, data.data(), data.size());
        }
    }

    void Kick(std::uint16_t queue) override {
        ++kicks;
        Chain chain;
        while (true) {
            const auto popped = queues_[queue].Pop(chain);
            if (!popped.ok()) {
                return Break(popped.error());
            }
            if (!*popped) {
                break;
            }
            queues_[queue].Push(chain.head, 0);
        }
        static_cast<void>(queues_[queue].EnableKicks());
        Notify(queue);
    }

    void Quiesce() override { ++quiesced; }

    void Reset() override { ++resets; }

    Status Started() override {
        if (fails_to_start) {
            return errors::Internal("no");
        }
        return {};
    }

    void ChangeConfig() {
        const std::lock_guard lock(mutex());
        config_[0] = std::byte{77};
        interrupt_->Config();
    }

    std::uint64_t accepted() const { return accepted_features_; }

    int kicks = 0;
    int quiesced = 0;
    int resets = 0;
    bool fails_to_start = false;

  private:
    std::array<std::uint16_t, 2> sizes_ = {256, 16};
    std::array<std::byte, 8> config_{};
};

class MmioTransportTest : public ::testing::Test {
  protected:
    std::shared_ptr<EchoDevice> device_ = std::make_shared<EchoDevice>();
    FakeDriver driver_{device_};
};

TEST_F(MmioTransportTest, TellsWhatItIs) {
    EXPECT_EQ(driver_.Read(0x000), 0x74726976U);
    EXPECT_EQ(driver_.Read(0x004), 2U);
    EXPECT_EQ(driver_.Read(0x008), 42U);
    EXPECT_EQ(driver_.Read(0x00c), 0U);
    EXPECT_EQ(driver_.OfferedFeatures(), kCommonFeatures | kOwnFeature);
    driver_.Write(0x14, 2);
    EXPECT_EQ(driver_.Read(0x10), 0U);
    driver_.Write(0x30, 1);
    EXPECT_EQ(driver_.Read(0x34), 16U);
    driver_.Write(0x30, 2);
    EXPECT_EQ(driver_.Read(0x34), 0U);
    EXPECT_EQ(driver_.Read(0x44), 0U);
    EXPECT_EQ(driver_.Read(0xb0), 0xffff'ffffU);
    EXPECT_EQ(driver_.Read(0xbc), 0xffff'ffffU);
}

TEST_F(MmioTransportTest, WholeLife) {
    driver_.Start();
    EXPECT_TRUE(device_->active());
    EXPECT_EQ(device_->accepted(), kCommonFeatures | kOwnFeature);
    driver_.queues[1].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(1);
    EXPECT_TRUE(driver_.queues[1].Take());
    EXPECT_EQ(driver_.Read(0x60), 1U);
    EXPECT_EQ(driver_.TakeInterrupts(), 1U);
    EXPECT_EQ(driver_.Read(0x60), 0U);
    driver_.SetStatus(0);
    EXPECT_FALSE(device_->active());
    EXPECT_EQ(driver_.status(), 0U);
    EXPECT_EQ(device_->resets, 0);
    driver_.Run();
    EXPECT_EQ(device_->resets, 1);
    EXPECT_EQ(device_->quiesced, 1);
    driver_.Start();
    EXPECT_TRUE(device_->active());
}

TEST_F(MmioTransportTest, StatusGoesStepByStep) {
    // A bit too early changes nothing.
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver);
    EXPECT_EQ(driver_.status(), 0U);
    driver_.SetStatus(kStatusDriverOk);
    EXPECT_EQ(driver_.status(), 0U);
    driver_.SetStatus(kStatusAcknowledge);
    driver_.SetStatus(kStatusAcknowledge);
    EXPECT_EQ(driver_.status(), kStatusAcknowledge);
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver);
    // A bit taken back changes nothing.
    driver_.SetStatus(kStatusDriver);
    EXPECT_EQ(driver_.status(), kStatusAcknowledge | kStatusDriver);
    // After FAILED nothing goes but a reset.
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFailed);
    EXPECT_EQ(driver_.status(), kStatusAcknowledge | kStatusDriver | kStatusFailed);
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
    EXPECT_EQ(driver_.status(), kStatusAcknowledge | kStatusDriver | kStatusFailed);
    driver_.SetStatus(0);
    EXPECT_EQ(driver_.status(), 0U);
}

TEST_F(MmioTransportTest, FeaturesMustBeOffered) {
    const auto try_features = [&](std::uint64_t features) {
        driver_.SetStatus(0);
        driver_.SetStatus(kStatusAcknowledge);
        driver_.SetStatus(kStatusAcknowledge | kStatusDriver);
        driver_.AcceptFeatures(features);
        driver_.SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
        return (driver_.status() & kStatusFeaturesOk) != 0;
    };
    EXPECT_FALSE(try_features(0));
    EXPECT_FALSE(try_features(kCommonFeatures | (1 << 9)));
    EXPECT_FALSE(try_features(kOwnFeature));
    EXPECT_TRUE(try_features(kFeatureVersion1));
    // Too late now.
    driver_.AcceptFeatures(kFeatureVersion1 | kOwnFeature);
    for (std::uint16_t i = 0; i < 2; ++i) {
        driver_.SetQueue(i);
    }
    driver_.DriverOk();
    EXPECT_EQ(device_->accepted(), kFeatureVersion1);
}

TEST_F(MmioTransportTest, QueuesAreSetBetweenFeaturesAndReady) {
    driver_.SetStatus(0);
    driver_.SetQueue(0);
    EXPECT_EQ(driver_.Read(0x44), 0U);
    driver_.Negotiate();
    driver_.SetQueue(0);
    EXPECT_EQ(driver_.Read(0x44), 1U);
    // Ready queues do not move; unready ones do.
    driver_.SetAddress(0x80, 0x123);
    driver_.SetQueue(1);
    driver_.Write(0x44, 0);
    driver_.Write(0x44, 7);
    EXPECT_EQ(driver_.Read(0x44), 0U);
    driver_.SetQueue(1);
    driver_.DriverOk();
    EXPECT_FALSE(driver_.NeedsReset());
    EXPECT_TRUE(device_->active());
    // Not after it either.
    driver_.SetAddress(0x80, 0x123);
    driver_.queues[0].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(0);
    EXPECT_TRUE(driver_.queues[0].Take());
}

TEST_F(MmioTransportTest, AStoppedQueueIsLeftAlone) {
    driver_.Start();
    driver_.Write(0x30, 0);
    driver_.Write(0x44, 0);
    EXPECT_EQ(driver_.Read(0x44), 0U);
    driver_.queues[0].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(0);
    EXPECT_FALSE(driver_.queues[0].Take());
    driver_.queues[1].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(1);
    EXPECT_TRUE(driver_.queues[1].Take());
}

TEST_F(MmioTransportTest, BadQueuesNeedAReset) {
    driver_.Negotiate();
    driver_.SetQueue(0);
    driver_.Write(0x30, 1);
    driver_.Write(0x38, 17);
    driver_.Write(0x44, 1);
    driver_.DriverOk();
    EXPECT_TRUE(driver_.NeedsReset());
    EXPECT_FALSE(device_->active());
    EXPECT_EQ(driver_.Read(0x60), 2U);
    EXPECT_EQ(driver_.TakeInterrupts(), 1U);
    driver_.Start();
    EXPECT_FALSE(driver_.NeedsReset());
    EXPECT_TRUE(device_->active());
}

TEST_F(MmioTransportTest, ADeviceThatDoesNotStartNeedsAReset) {
    device_->fails_to_start = true;
    driver_.Start();
    EXPECT_TRUE(driver_.NeedsReset());
    EXPECT_FALSE(device_->active());
}

TEST_F(MmioTransportTest, ABrokenRingNeedsAReset) {
    driver_.Start();
    driver_.queues[0].Add({{~std::uint64_t{0}, 4}});
    driver_.Kick(0);
    EXPECT_TRUE(driver_.NeedsReset());
    EXPECT_EQ(driver_.Read(0x60), 2U);
    // Nothing more happens, whatever is offered and written.
    driver_.queues[1].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(1);
    EXPECT_FALSE(driver_.queues[1].Take());
    const std::uint32_t before = driver_.ReadConfig<std::uint32_t>(0);
    driver_.Write(0x100, before + 1);
    EXPECT_EQ(driver_.ReadConfig<std::uint32_t>(0), before);
    driver_.Start();
    driver_.queues[1].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(1);
    EXPECT_TRUE(driver_.queues[1].Take());
}

TEST_F(MmioTransportTest, AResetOvertakesAnActivation) {
    driver_.Negotiate();
    driver_.SetQueue(0);
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
    driver_.SetStatus(0);
    driver_.Run();
    EXPECT_FALSE(device_->active());
    EXPECT_EQ(driver_.status(), 0U);
}

TEST_F(MmioTransportTest, AKickBeforeTheActivationIsNotLost) {
    driver_.Negotiate();
    driver_.SetQueue(0);
    driver_.SetQueue(1);
    driver_.SetStatus(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
    driver_.queues[0].Add({{driver_.Allocate(4), 4}});
    driver_.Kick(0);
    EXPECT_TRUE(driver_.queues[0].Take());
}

TEST_F(MmioTransportTest, Configuration) {
    EXPECT_EQ(driver_.ReadConfig<std::uint64_t>(0), 0U);
    // Not before there is a driver.
    driver_.Write(0x100, 5);
    EXPECT_EQ(driver_.ReadConfig<std::uint32_t>(0), 0U);
    driver_.Start();
    driver_.Write(0x104, 0x01020304);
    EXPECT_EQ(driver_.ReadConfig<std::uint8_t>(5), 3U);
    // Beyond its end, and over it.
    EXPECT_EQ(driver_.ReadConfig<std::uint64_t>(6), 0x0102U);
    EXPECT_EQ(driver_.ReadConfig<std::uint64_t>(0xe00), 0U);
    driver_.Write(0xffc, 1);
    const std::uint32_t generation = driver_.Read(0xfc);
    device_->ChangeConfig();
    EXPECT_EQ(driver_.Read(0xfc), generation + 1);
    EXPECT_EQ(driver_.Read(0x60), 2U);
    EXPECT_EQ(driver_.ReadConfig<std::uint8_t>(0), 77U);
}

TEST_F(MmioTransportTest, OddAccessesAreIgnored) {
    for (std::uint64_t offset = 0; offset < 0x100; ++offset) {
        std::array<std::byte, 8> bytes{};
        for (const std::size_t size : {1U, 2U, 8U}) {
            driver_.transport().Read(offset, std::span(bytes).first(size));
            driver_.transport().Write(offset, std::span(bytes).first(size));
        }
    }
    EXPECT_EQ(driver_.status(), 0U);
    driver_.Write(MmioTransport::kQueueNotify, 0xffff);
    driver_.Start();
    EXPECT_TRUE(device_->active());
}

TEST_F(MmioTransportTest, ResetsOfAnotherThreadInMidFlight) {
    std::atomic<bool> done = false;
    std::thread vcpu([&] {
        for (int i = 0; i < 300; ++i) {
            driver_.queues[0].Forget();
            driver_.queues[1].Forget();
            driver_.Negotiate();
            driver_.SetQueue(0);
            driver_.SetQueue(1);
            driver_.SetStatus(
                kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
            for (int k = 0; k < 8; ++k) {
                driver_.queues[0].Add({{FakeDriver::kData, 64}});
                driver_.Write(MmioTransport::kQueueNotify, 0);
            }
            driver_.SetStatus(0);
            // From here on the rings are the driver's.
            const std::uint16_t used = driver_.queues[0].used_index();
            for (int k = 0; k < 20; ++k) {
                ASSERT_EQ(driver_.queues[0].used_index(), used);
            }
        }
        done = true;
    });
    while (!done) {
        driver_.loop().RunOnce(1);
    }
    vcpu.join();
    driver_.Start();
    EXPECT_TRUE(device_->active());
}

}  // namespace
}  // namespace hearth::vmm::virtio
