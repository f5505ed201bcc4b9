// Every device under a driver that makes its moves at random: what the fuzz targets do for hours,
// here for a moment, with every run of the tests.
#include "testing/fake_clock.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/block.h"
#include "vmm/virtio/device_fuzz.h"
#include "vmm/virtio/entropy.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/vsock.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <string>

namespace hearth::vmm::virtio {
namespace {

constexpr int kRounds = 150;

void PlayAtRandom(const std::function<std::shared_ptr<Device>()>& make) {
    const auto seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    for (int round = 0; round < kRounds; ++round) {
        std::vector<std::uint8_t> bytes(random() % 2000);
        for (std::uint8_t& byte : bytes) {
            byte = static_cast<std::uint8_t>(random());
        }
        FuzzInput input(bytes.data(), bytes.size());
        FakeDriver driver(make(), static_cast<std::uint16_t>(1U << (random() % 9)));
        driver.Start();
        PlayDriver(driver, input);
        // Whatever happened, a reset makes it whole.
        driver.Start();
        ASSERT_FALSE(driver.NeedsReset()) << "seed " << seed;
    }
}

TEST(RandomDriverTest, Block) {
    const os::Fd disk(::memfd_create("disk", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(disk.get(), 64 * 512), 0);
    for (const auto engine : {BlockOptions::Engine::kSync, BlockOptions::Engine::kAsync}) {
        const BlockOptions options = {
            .path = "/proc/self/fd/" + std::to_string(disk.get()), .engine = engine};
        if (!BlockDevice::Create(options).ok()) {
            continue;
        }
        PlayAtRandom([&] { return *BlockDevice::Create(options); });
    }
    EXPECT_EQ(::lseek(disk.get(), 0, SEEK_END), 64 * 512);
}

TEST(RandomDriverTest, Net) {
    std::vector<os::Fd> hosts;
    PlayAtRandom([&] {
        std::array<int, 2> sockets{};
        CHECK(
            ::socketpair(
                AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()) == 0);
        hosts.clear();
        hosts.emplace_back(sockets[0]);
        for (std::size_t i = 0; i < 4; ++i) {
            const std::vector<char> frame(12 + i * 2500);
            static_cast<void>(::send(hosts.back().get(), frame.data(), frame.size(), 0));
        }
        return *NetDevice::CreateWithTap({.tap = "none"}, os::Fd(sockets[1]));
    });
}

TEST(RandomDriverTest, Vsock) {
    char folder[] = "/tmp/hearth-vsock-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    PlayAtRandom([&] {
        return *VsockDevice::Create({.guest_cid = 3, .uds_path = std::string(folder) + "/v"});
    });
    EXPECT_EQ(::rmdir(folder), 0);
}

TEST(RandomDriverTest, Entropy) {
    PlayAtRandom([] { return *EntropyDevice::Create({}); });
}

TEST(RandomDriverTest, Balloon) {
    PlayAtRandom([] {
        return *BalloonDevice::Create(
            {.amount_mib = 1, .stats_polling_interval_s = 100, .free_page_reporting = true});
    });
}

}  // namespace
}  // namespace hearth::vmm::virtio
