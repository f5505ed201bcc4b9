#include "vmm/virtio/block.h"

#include "testing/fake_clock.h"
#include "vmm/virtio/fake_driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hearth::vmm::virtio {
namespace {

constexpr std::size_t kSectors = 16;

struct Header final {
    std::uint32_t type = 0;
    std::uint32_t reserved = 0;
    std::uint64_t sector = 0;
};

// A file in memory that has a path.
class TemporaryDisk final {
  public:
    explicit TemporaryDisk(std::size_t bytes) {
        fd_ = os::Fd(::memfd_create("disk", MFD_CLOEXEC));
        path = "/proc/self/fd/" + std::to_string(fd_.get());
        std::string content(bytes, '\0');
        for (std::size_t i = 0; i < bytes; ++i) {
            content[i] = static_cast<char>(i / 512 + i);
        }
        CHECK(::pwrite(fd_.get(), content.data(), bytes, 0) == static_cast<ssize_t>(bytes));
    }

    std::string Read(std::size_t at, std::size_t bytes) const {
        std::string content(bytes, '\0');
        CHECK(
            ::pread(fd_.get(), content.data(), bytes, static_cast<off_t>(at)) ==
            static_cast<ssize_t>(bytes));
        return content;
    }

    std::string path;

  private:
    os::Fd fd_;
};

std::string Text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class BlockTest : public ::testing::TestWithParam<BlockOptions::Engine> {
  protected:
    void Make(BlockOptions options) {
        options.engine = GetParam();
        if (options.path.empty()) {
            options.path = disk_.path;
        }
        auto device = BlockDevice::Create(options, clock_);
        if (!device.ok() && GetParam() == BlockOptions::Engine::kAsync) {
            GTEST_SKIP() << "no io_uring on this host: " << device.error().message();
        }
        ASSERT_TRUE(device.ok()) << device.error().message();
        device_ = *device;
        driver_.emplace(device_);
        driver_->Start();
        driver_->queues[0].SetUsedEvent(0);
    }

    // The status of one request with one data buffer; -1 when nothing came back.
    int Request(std::uint32_t type, std::uint64_t sector, GuestAddress data, std::uint32_t bytes) {
        const bool is_write = type == 1;
        std::vector<FakeDescriptor> chain = {{driver_->PutValue(Header{type, 0, sector}), 16}};
        if (bytes > 0) {
            chain.push_back({data, bytes, is_write ? std::uint16_t{0} : kDescWrite});
        }
        const GuestAddress status = driver_->PutValue<std::uint8_t>(0xee);
        chain.push_back({status, 1, kDescWrite});
        driver_->queues[0].Add(chain);
        driver_->Kick(0);
        std::optional<FakeUsed> used;
        if (!driver_->RunUntil([&] { return (used = driver_->queues[0].Take()).has_value(); })) {
            return -1;
        }
        used_bytes_ = used->bytes;
        return *driver_->memory().Load<std::uint8_t>(status);
    }

    TemporaryDisk disk_{kSectors * 512 + 100};
    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    std::shared_ptr<BlockDevice> device_;
    std::optional<FakeDriver> driver_;
    std::uint32_t used_bytes_ = 0;
};

TEST_P(BlockTest, ReadsAndWrites) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    EXPECT_EQ(driver_->ReadConfig<std::uint64_t>(0), kSectors);
    const GuestAddress data = driver_->Allocate(1024);
    EXPECT_EQ(Request(0, 3, data, 1024), 0);
    EXPECT_EQ(used_bytes_, 1025U);
    EXPECT_EQ(Text(driver_->Get(data, 1024)), disk_.Read(3 * 512, 1024));
    const std::string text(512, 'x');
    EXPECT_EQ(Request(1, 15, driver_->Put(std::as_bytes(std::span(text))), 512), 0);
    EXPECT_EQ(used_bytes_, 1U);
    EXPECT_EQ(disk_.Read(15 * 512, 512), text);
    EXPECT_EQ(device_->metrics().read_bytes, 1024U);
    EXPECT_EQ(device_->metrics().write_count, 1U);
}

TEST_P(BlockTest, AnyFramingOfARequest) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    // Header cut in two, data in odd pieces, the status at the end of a longer buffer.
    const GuestAddress header = driver_->PutValue(Header{0, 0, 2});
    const GuestAddress data = driver_->Allocate(600);
    driver_->queues[0].Add(
        {{header, 7}, {header + 7, 9}, {data, 100, kDescWrite}, {data + 100, 413, kDescWrite}});
    driver_->Kick(0);
    ASSERT_TRUE(driver_->RunUntil([&] { return driver_->queues[0].used_index() == 1; }));
    EXPECT_EQ(Text(driver_->Get(data, 512)), disk_.Read(1024, 512));
    EXPECT_EQ(*driver_->memory().Load<std::uint8_t>(data + 512), 0);
}

TEST_P(BlockTest, RefusesWhatIsNotOnTheDisk) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    const GuestAddress data = driver_->Allocate(1024);
    EXPECT_EQ(Request(0, kSectors, data, 512), 1);
    EXPECT_EQ(Request(0, kSectors - 1, data, 1024), 1);
    EXPECT_EQ(Request(0, ~std::uint64_t{0}, data, 512), 1);
    EXPECT_EQ(Request(0, ~std::uint64_t{0} / 512, data, 1024), 1);
    EXPECT_EQ(Request(1, std::uint64_t{1} << 55, data, 512), 1);
    EXPECT_EQ(Request(0, 0, data, 511), 1);
    EXPECT_EQ(Request(99, 0, data, 512), 2);
    EXPECT_EQ(Request(11, 0, data, 512), 2);
    EXPECT_EQ(device_->metrics().invalid_reqs_count, 8U);
    EXPECT_FALSE(driver_->NeedsReset());
    // Nothing but a header, and a header that is too short.
    driver_->queues[0].Add({{driver_->PutValue(Header{}), 16}});
    driver_->queues[0].Add({{driver_->PutValue(Header{}), 15}, {data, 1, kDescWrite}});
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    EXPECT_EQ(device_->metrics().execute_fails, 2U);
}

TEST_P(BlockTest, ReadOnlyDisksAreNotWritten) {
    Make({.read_only = true});
    if (IsSkipped()) {
        return;
    }
    EXPECT_NE(driver_->OfferedFeatures() & (1 << 5), 0U);
    const std::string before = disk_.Read(0, 512);
    const std::string text(512, 'x');
    EXPECT_EQ(Request(1, 0, driver_->Put(std::as_bytes(std::span(text))), 512), 1);
    EXPECT_EQ(disk_.Read(0, 512), before);
    EXPECT_EQ(Request(0, 0, driver_->Allocate(512), 512), 0);
}

TEST_P(BlockTest, FlushesWhenAskedTo) {
    Make({.cache = BlockOptions::Cache::kWriteback});
    if (IsSkipped()) {
        return;
    }
    EXPECT_NE(driver_->OfferedFeatures() & (1 << 9), 0U);
    EXPECT_EQ(Request(4, 0, 0, 0), 0);
    EXPECT_EQ(device_->metrics().flush_count, 1U);
}

TEST_P(BlockTest, UnsafeDisksOfferNoFlush) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    EXPECT_EQ(driver_->OfferedFeatures() & (1 << 9), 0U);
    EXPECT_EQ(Request(4, 0, 0, 0), 0);
}

TEST_P(BlockTest, HasASerialNumber) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    const GuestAddress data = driver_->Allocate(32);
    EXPECT_EQ(Request(8, 0, data, 20), 0);
    EXPECT_EQ(used_bytes_, 21U);
    struct stat info = {};
    ASSERT_EQ(::stat(disk_.path.c_str(), &info), 0);
    const std::string id = fmt::format("{}{}{}", info.st_dev, info.st_rdev, info.st_ino);
    EXPECT_EQ(Text(driver_->Get(data, 20)).substr(0, id.size()), id.substr(0, 20));
    EXPECT_EQ(Request(8, 0, data, 19), 1);
}

TEST_P(BlockTest, AnotherFileTakesItsPlace) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    driver_->TakeInterrupts();
    TemporaryDisk other(4 * 512);
    ASSERT_TRUE(device_->UpdatePath(other.path).ok());
    EXPECT_EQ(driver_->ReadConfig<std::uint64_t>(0), 4U);
    EXPECT_EQ(driver_->Read(0x60), 2U);
    EXPECT_EQ(driver_->TakeInterrupts(), 1U);
    EXPECT_EQ(Request(0, 4, driver_->Allocate(512), 512), 1);
    EXPECT_EQ(Request(0, 3, driver_->Allocate(512), 512), 0);
    // One that is not there changes nothing.
    EXPECT_FALSE(device_->UpdatePath("/nonexistent/disk").ok());
    EXPECT_FALSE(device_->UpdatePath("/dev/null").ok());
    EXPECT_EQ(Request(0, 3, driver_->Allocate(512), 512), 0);
    EXPECT_EQ(device_->metrics().update_count, 1U);
    EXPECT_EQ(device_->metrics().update_fails, 2U);
}

TEST_P(BlockTest, WaitsForItsLimits) {
    Make(
        {.limits = {
             .bandwidth = TokenBucketOptions{.size = 1024, .refill_time_ms = 1000},
             .ops = TokenBucketOptions{.size = 3, .refill_time_ms = 1000}}});
    if (IsSkipped()) {
        return;
    }
    const GuestAddress data = driver_->Allocate(512);
    const GuestAddress status = driver_->Allocate(1);
    for (int i = 0; i < 3; ++i) {
        driver_->queues[0].Add(
            {{driver_->PutValue(Header{0, 0, 0}), 16},
             {data, 512, kDescWrite},
             {status, 1, kDescWrite}});
    }
    driver_->Kick(0);
    ASSERT_TRUE(driver_->RunUntil([&] { return driver_->queues[0].used_index() == 2; }));
    EXPECT_EQ(device_->metrics().rate_limiter_throttled_events, 1U);
    // A kick meanwhile changes nothing.
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].used_index(), 2U);
    clock_->Advance(std::chrono::seconds(1));
    ASSERT_TRUE(driver_->RunUntil([&] { return driver_->queues[0].used_index() == 3; }));
    device_->UpdateLimits(
        {.bandwidth = BucketUpdate::From(TokenBucketOptions{}),
         .ops = BucketUpdate::From(TokenBucketOptions{})});
    while (driver_->queues[0].Take()) {
    }
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(Request(0, 0, data, 512), 0);
    }
}

TEST_P(BlockTest, AFullQueueOfRequests) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    const GuestAddress header = driver_->PutValue(Header{0, 0, 1});
    const GuestAddress data = driver_->Allocate(85 * 1024);
    for (std::uint16_t i = 0; i < 85; ++i) {
        driver_->queues[0].Add(
            {{header, 16},
             {data + i * 1024U, 512, kDescWrite},
             {data + i * 1024U + 512, 1, kDescWrite}});
    }
    driver_->Kick(0);
    ASSERT_TRUE(driver_->RunUntil([&] { return driver_->queues[0].used_index() == 85; }));
    const std::string expected = disk_.Read(512, 512);
    for (std::uint16_t i = 0; i < 85; ++i) {
        EXPECT_EQ(Text(driver_->Get(data + i * 1024U, 512)), expected);
    }
}

TEST_P(BlockTest, ResetsInMidFlight) {
    Make({});
    if (IsSkipped()) {
        return;
    }
    for (int round = 0; round < 50; ++round) {
        const GuestAddress header = driver_->PutValue(Header{0, 0, 1});
        const GuestAddress data = driver_->Allocate(1024);
        for (int i = 0; i < 60; ++i) {
            driver_->queues[0].Add(
                {{header, 16}, {data, 512, kDescWrite}, {data + 512, 1, kDescWrite}});
        }
        driver_->Write(MmioTransport::kQueueNotify, 0);
        driver_->loop().RunOnce(0);
        driver_->SetStatus(0);
        const auto before = driver_->Get(data, 1024);
        const std::uint16_t used = driver_->queues[0].used_index();
        driver_->Run();
        EXPECT_EQ(driver_->Get(data, 1024), before);
        EXPECT_EQ(driver_->queues[0].used_index(), used);
        driver_->FreeAll();
        driver_->Start();
    }
    EXPECT_EQ(Request(0, 0, driver_->Allocate(512), 512), 0);
}

TEST_P(BlockTest, ABufferOfferedTwiceBreaksTheDevice) {
    Make({});
    if (IsSkipped() || GetParam() == BlockOptions::Engine::kSync) {
        return;
    }
    const GuestAddress data = driver_->Allocate(1024);
    const std::uint16_t head = driver_->queues[0].Chain(
        {{driver_->PutValue(Header{0, 0, 1}), 16},
         {data, 512, kDescWrite},
         {data + 512, 1, kDescWrite}});
    driver_->queues[0].Offer(head);
    driver_->queues[0].Offer(head);
    driver_->Kick(0);
    EXPECT_TRUE(driver_->NeedsReset());
    driver_->Start();
    EXPECT_EQ(Request(0, 0, driver_->Allocate(512), 512), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Engines,
    BlockTest,
    ::testing::Values(BlockOptions::Engine::kSync, BlockOptions::Engine::kAsync),
    [](const auto& parameter) {
        return parameter.param == BlockOptions::Engine::kSync ? "Sync" : "Async";
    });

TEST(BlockDeviceTest, WhatIsNoDiskIsRefused) {
    EXPECT_FALSE(BlockDevice::Create({.path = "/nonexistent/disk"}).ok());
    EXPECT_FALSE(BlockDevice::Create({.path = "/tmp", .read_only = true}).ok());
    EXPECT_FALSE(BlockDevice::Create({.path = "/dev/null"}).ok());
}

// Reads of 300 MiB each: others have their turn between them.
TEST(Block, ATurnIsCountedInBytesToo) {
    constexpr std::uint32_t kPieceBytes = 3 << 20;
    constexpr std::size_t kPieces = 100;
    const os::Fd file(::memfd_create("disk", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), kPieces * kPieceBytes), 0);
    FakeDriver driver(
        *BlockDevice::Create({.path = "/proc/self/fd/" + std::to_string(file.get())}));
    driver.Start();
    for (int i = 0; i < 2; ++i) {
        std::vector<FakeDescriptor> chain = {{driver.PutValue(Header{}), 16}};
        chain.resize(
            1 + kPieces, {FakeDriver::kMemoryBytes - kPieceBytes, kPieceBytes, kDescWrite});
        chain.push_back({driver.PutValue<std::uint8_t>(0xee), 1, kDescWrite});
        // Behind the headers, or the data would overwrite them.
        chain[1].address = FakeDriver::kData + 4096;
        for (auto& piece : std::span(chain).subspan(1, kPieces)) {
            piece.address = FakeDriver::kMemoryBytes - kPieceBytes;
        }
        driver.queues[0].Add(chain);
    }
    driver.Write(MmioTransport::kQueueNotify, 0);
    driver.loop().RunOnce(0);
    EXPECT_EQ(driver.queues[0].used_index(), 1);
    driver.Run();
    EXPECT_EQ(driver.queues[0].used_index(), 2);
    EXPECT_EQ(driver.queues[0].Take()->bytes, kPieces * kPieceBytes + 1);
}

}  // namespace
}  // namespace hearth::vmm::virtio
