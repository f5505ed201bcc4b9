#include "vmm/virtio/net.h"

#include "testing/fake_clock.h"
#include "vmm/virtio/fake_driver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <thread>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

constexpr std::uint64_t kMergeable = 1 << 15;
constexpr std::size_t kHeader = NetDevice::kHeaderBytes;

// An EtherType for experiments.
constexpr std::uint16_t kProtocol = 0x88b5;

// Takes frames that begin with 'm' and answers each with itself in capitals.
class FakeDetour final : public FrameDetour {
  public:
    bool Take(std::span<const std::byte> frame) override {
        if (frame.empty() || frame[0] != std::byte{'m'}) {
            return false;
        }
        std::vector<std::byte> answer(frame.begin(), frame.end());
        answer[0] = std::byte{'M'};
        answers_.push_back(std::move(answer));
        return true;
    }

    std::vector<std::byte> Next() override {
        if (answers_.empty()) {
            return {};
        }
        std::vector<std::byte> answer = std::move(answers_.front());
        answers_.pop_front();
        return answer;
    }

  private:
    std::deque<std::vector<std::byte>> answers_;
};

class NetTest : public ::testing::Test {
  protected:
    void Make(const NetOptions& options, std::uint64_t wanted = ~std::uint64_t{0}) {
        // Datagrams keep frames apart as a tap does.
        std::array<int, 2> sockets{};
        ASSERT_EQ(
            ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()),
            0);
        host_ = os::Fd(sockets[0]);
        device_ = *NetDevice::CreateWithTap(options, os::Fd(sockets[1]), clock_);
        driver_.emplace(device_);
        driver_->Start(wanted);
    }

    // A frame of the host for the guest, behind an empty header.
    void Send(const std::string& frame) {
        const std::string packet = std::string(kHeader, '\0') + frame;
        ASSERT_EQ(::send(host_.get(), packet.data(), packet.size(), 0), std::ssize(packet));
        driver_->Run();
    }

    // What the host got from the guest, without header; "" when nothing.
    std::string Receive() {
        std::string packet(NetDevice::kFrameBytesMax, '\0');
        const ssize_t bytes = ::recv(host_.get(), packet.data(), packet.size(), 0);
        return bytes < 0 ? "" : packet.substr(kHeader, static_cast<std::size_t>(bytes) - kHeader);
    }

    GuestAddress PutFrame(const std::string& frame) {
        const std::string packet = std::string(kHeader, '\0') + frame;
        return driver_->Put(std::as_bytes(std::span(packet)));
    }

    void Transmit(const std::string& frame) {
        driver_->queues[1].Add(
            {{PutFrame(frame), static_cast<std::uint32_t>(kHeader + frame.size())}});
        driver_->Kick(1);
    }

    GuestAddress OfferBuffer(std::uint32_t bytes) {
        const GuestAddress at = driver_->Allocate(bytes);
        driver_->queues[0].Add({{at, bytes, kDescWrite}});
        return at;
    }

    std::string Text(GuestAddress at, std::size_t bytes) {
        const auto content = driver_->Get(at, bytes);
        return {reinterpret_cast<const char*>(content.data()), content.size()};
    }

    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    os::Fd host_;
    std::shared_ptr<NetDevice> device_;
    std::optional<FakeDriver> driver_;
};

TEST_F(NetTest, TellsAddressAndMtu) {
    Make({.mac = MacAddress{2, 3, 4, 5, 6, 7}, .mtu = 9000});
    EXPECT_EQ(driver_->ReadConfig<std::uint8_t>(0), 2);
    EXPECT_EQ(driver_->ReadConfig<std::uint8_t>(5), 7);
    EXPECT_EQ(driver_->ReadConfig<std::uint16_t>(10), 9000);
    // CSUM, GUEST_CSUM, MTU, MAC, GUEST_TSO4/6/UFO, HOST_TSO4/6/UFO, MRG_RXBUF.
    EXPECT_EQ(driver_->OfferedFeatures() & 0xff'ffff, 0xdd'abU);
    driver_->Write(0x100, 0);
    EXPECT_EQ(driver_->ReadConfig<std::uint8_t>(0), 2);
    EXPECT_EQ(device_->metrics().cfg_fails, 1U);
    EXPECT_FALSE(NetDevice::CreateWithTap({.mtu = 67}, os::Fd()).ok());
}

TEST_F(NetTest, FramesGoBothWays) {
    Make({});
    Transmit("from the guest");
    EXPECT_EQ(Receive(), "from the guest");
    EXPECT_EQ(driver_->queues[1].Take()->bytes, 0U);
    const GuestAddress at = OfferBuffer(2000);
    driver_->Kick(0);
    Send("to the guest");
    EXPECT_EQ(driver_->queues[0].Take()->bytes, kHeader + 12);
    EXPECT_EQ(Text(at + kHeader, 12), "to the guest");
    EXPECT_EQ(*driver_->memory().Load<std::uint16_t>(at + 10), 1);
    EXPECT_EQ(device_->metrics().rx_packets_count, 1U);
    EXPECT_EQ(device_->metrics().tx_packets_count, 1U);
}

TEST_F(NetTest, FramesInPieces) {
    Make({});
    const GuestAddress at = PutFrame("in several pieces");
    driver_->queues[1].Add({{at, 5}, {at + 5, 8}, {at + 13, 16}});
    driver_->Kick(1);
    EXPECT_EQ(Receive(), "in several pieces");
}

TEST_F(NetTest, FramesWaitForBuffers) {
    Make({});
    Send("first");
    Send("second");
    EXPECT_EQ(driver_->queues[0].used_index(), 0);
    const GuestAddress first = OfferBuffer(2000);
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].used_index(), 1);
    const GuestAddress second = OfferBuffer(2000);
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].used_index(), 2);
    EXPECT_EQ(Text(first + kHeader, 5), "first");
    EXPECT_EQ(Text(second + kHeader, 6), "second");
}

TEST_F(NetTest, LargeFramesAreMerged) {
    Make({});
    const std::string frame(5000, 'x');
    const GuestAddress first = OfferBuffer(2048);
    OfferBuffer(2048);
    driver_->Kick(0);
    Send(frame);
    // Two buffers are not enough, and are not given up.
    EXPECT_EQ(driver_->queues[0].used_index(), 0);
    const GuestAddress last = OfferBuffer(2048);
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].used_index(), 3);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 2048U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 2048U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 5012U - 4096U);
    EXPECT_EQ(*driver_->memory().Load<std::uint16_t>(first + 10), 3);
    EXPECT_EQ(Text(last, 916), std::string(916, 'x'));
}

TEST_F(NetTest, WithoutMergingAFrameNeedsOneBuffer) {
    Make({}, ~kMergeable);
    OfferBuffer(1000);
    const GuestAddress at = OfferBuffer(65562);
    driver_->Kick(0);
    const std::string frame(5000, 'y');
    // The small buffer comes back empty, and the frame is lost with it.
    Send(frame);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    Send(frame);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 5012U);
    EXPECT_EQ(Text(at + kHeader, 5000), frame);
    EXPECT_EQ(device_->metrics().rx_fails, 1U);
}

TEST_F(NetTest, HostileFramesAreDropped) {
    Make({});
    // Too short for a header, too long for anything.
    driver_->queues[1].Add({{driver_->Allocate(16), 11}});
    driver_->queues[1].Add({{FakeDriver::kData, 70'000}});
    driver_->queues[1].Add({{driver_->Allocate(64), 64, kDescWrite}});
    driver_->Kick(1);
    EXPECT_EQ(driver_->queues[1].used_index(), 3);
    EXPECT_EQ(Receive(), "");
    EXPECT_EQ(device_->metrics().tx_malformed_frames, 3U);
    // Receive buffers too small for a header, and none that can be written.
    OfferBuffer(4);
    driver_->queues[0].Add({{driver_->Allocate(64), 64}});
    OfferBuffer(2000);
    driver_->Kick(0);
    Send("fits the third");
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 0U);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, kHeader + 14);
    // A bad one in the middle of a large frame.
    OfferBuffer(2000);
    driver_->queues[0].Add({{driver_->Allocate(64), 64}});
    driver_->Kick(0);
    Send(std::string(3000, 'z'));
    EXPECT_FALSE(driver_->NeedsReset());
    EXPECT_FALSE(driver_->queues[0].Take());
    driver_->queues[0].Add({{~std::uint64_t{0}, 64, kDescWrite}});
    driver_->Kick(0);
    Send(std::string(3000, 'z'));
    driver_->queues[1].Add({{~std::uint64_t{0}, 64}});
    driver_->Kick(1);
    EXPECT_TRUE(driver_->NeedsReset());
}

TEST_F(NetTest, ForeignAddressesAreCounted) {
    Make({.mac = MacAddress{'a', 'b', 'c', 'd', 'e', 'f'}});
    Transmit("xxxxxxabcdeftt payload");
    Transmit("xxxxxxabcdeXtt payload");
    EXPECT_EQ(Receive(), "xxxxxxabcdeftt payload");
    EXPECT_EQ(Receive(), "xxxxxxabcdeXtt payload");
    EXPECT_EQ(device_->metrics().tx_spoofed_mac_count, 1U);
}

TEST_F(NetTest, TheDetourComesFirst) {
    Make(
        {.tx_limits = {.ops = TokenBucketOptions{.size = 2, .refill_time_ms = 1000}},
         .detour = std::make_shared<FakeDetour>()});
    const GuestAddress at = OfferBuffer(2000);
    for (int i = 0; i < 5; ++i) {
        // Not limited, for it does not leave.
        Transmit("metadata");
        EXPECT_EQ(driver_->queues[1].used_index(), i + 1);
    }
    EXPECT_EQ(driver_->queues[0].Take()->bytes, kHeader + 8);
    EXPECT_EQ(Text(at + kHeader, 8), "Metadata");
    EXPECT_EQ(Receive(), "");
    Transmit("other");
    EXPECT_EQ(Receive(), "other");
    OfferBuffer(2000);
    driver_->Kick(0);
    EXPECT_TRUE(driver_->queues[0].Take());
}

TEST_F(NetTest, BothWaysAreLimited) {
    Make(
        {.rx_limits = {.bandwidth = TokenBucketOptions{.size = 100, .refill_time_ms = 1000}},
         .tx_limits = {.ops = TokenBucketOptions{.size = 2, .refill_time_ms = 1000}}});
    for (int i = 0; i < 3; ++i) {
        Transmit("frame");
    }
    EXPECT_EQ(driver_->queues[1].used_index(), 2);
    EXPECT_EQ(device_->metrics().tx_rate_limiter_throttled, 1U);
    for (int i = 0; i < 2; ++i) {
        OfferBuffer(2000);
    }
    driver_->Kick(0);
    Send(std::string(60, 'a'));
    Send(std::string(60, 'b'));
    EXPECT_EQ(driver_->queues[0].used_index(), 1);
    clock_->Advance(std::chrono::seconds(1));
    EXPECT_TRUE(driver_->RunUntil([&] {
        return driver_->queues[0].used_index() == 2 && driver_->queues[1].used_index() == 3;
    }));
    device_->UpdateLimits(
        {.bandwidth = BucketUpdate::From(TokenBucketOptions{})},
        {.ops = BucketUpdate::From(TokenBucketOptions{})});
    for (int i = 0; i < 20; ++i) {
        Transmit("frame");
    }
    EXPECT_EQ(driver_->queues[1].used_index(), 23);
}

TEST_F(NetTest, AResetForgetsTheFrameInHand) {
    Make({});
    Send("waits for a buffer");
    driver_->SetStatus(0);
    driver_->Run();
    Send("comes while there is no driver");
    driver_->Start();
    const GuestAddress at = OfferBuffer(2000);
    driver_->Kick(0);
    EXPECT_EQ(Text(at + kHeader, 5), "comes");
}

// A real tap, in a network namespace of its own that lives as long as the thread.
void TalkThroughATap(std::string& skipped) {
    if (::unshare(CLONE_NEWNET) != 0) {
        skipped = "this process may not make a network namespace";
        return;
    }
    auto device = NetDevice::Create({.tap = "hearth-test0"});
    if (!device.ok()) {
        skipped = device.error().message();
        return;
    }
    // A second device cannot have it as well.
    EXPECT_FALSE(NetDevice::Create({.tap = "hearth-test0"}).ok());

    const os::Fd wire(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ifreq request = {};
    std::strcpy(request.ifr_name, "hearth-test0");
    ASSERT_EQ(::ioctl(wire.get(), SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    ASSERT_EQ(::ioctl(wire.get(), SIOCSIFFLAGS, &request), 0);
    ASSERT_EQ(::ioctl(wire.get(), SIOCGIFINDEX, &request), 0);
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kProtocol);
    address.sll_ifindex = request.ifr_ifindex;
    ASSERT_EQ(::bind(wire.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);

    FakeDriver driver(*device);
    driver.Start();
    EXPECT_FALSE(driver.NeedsReset());
    std::string frame(14, '\0');
    frame.replace(0, 12, "\xff\xff\xff\xff\xff\xff\x02\x01\x01\x01\x01\x01", 12);
    frame[12] = static_cast<char>(kProtocol >> 8);
    frame[13] = static_cast<char>(kProtocol & 0xff);
    frame += "through a real tap, either way; padded to what Ethernet wants at the least";

    const std::string packet = std::string(kHeader, '\0') + frame;
    driver.queues[1].Add(
        {{driver.Put(std::as_bytes(std::span(packet))),
          static_cast<std::uint32_t>(packet.size())}});
    driver.Kick(1);
    std::string received(2000, '\0');
    ssize_t bytes = -1;
    EXPECT_TRUE(driver.RunUntil([&] {
        bytes = ::recv(wire.get(), received.data(), received.size(), 0);
        return bytes > 0;
    }));
    EXPECT_EQ(received.substr(0, static_cast<std::size_t>(std::max<ssize_t>(bytes, 0))), frame);

    // The kernel may have something of its own to say on a new interface, so the frame is looked
    // for.
    for (int i = 0; i < 64; ++i) {
        const GuestAddress at = driver.Allocate(2048);
        driver.queues[0].Add({{at, 2048, kDescWrite}});
    }
    driver.Kick(0);
    ASSERT_EQ(::send(wire.get(), frame.data(), frame.size(), 0), std::ssize(frame));
    bool found = false;
    EXPECT_TRUE(driver.RunUntil([&] {
        while (const auto used = driver.queues[0].Take()) {
            const auto content = driver.memory().Slice(
                driver.memory()
                    .Load<FakeDescriptor>(driver.queues[0].descriptors() + used->head * 16)
                    ->address,
                used->bytes);
            const std::string text(reinterpret_cast<const char*>(content->data()), content->size());
            found = found || text.substr(kHeader) == frame;
        }
        return found;
    }));
}

TEST(NetDeviceTest, RealTap) {
    std::string skipped;
    std::thread([&] { TalkThroughATap(skipped); }).join();
    if (!skipped.empty()) {
        GTEST_SKIP() << skipped;
    }
}

TEST(NetDeviceTest, NamesOfTaps) {
    EXPECT_FALSE(NetDevice::Create({.tap = ""}).ok());
    EXPECT_FALSE(NetDevice::Create({.tap = "a-name-of-sixteen"}).ok());
}

TEST_F(NetTest, AFrameLargerThanTheQueueIsLostAndStopsNobody) {
    Make({});
    for (int i = 0; i < NetDevice::kQueueSize; ++i) {
        OfferBuffer(kHeader);
    }
    driver_->Kick(0);
    Send(std::string(NetDevice::kQueueSize * kHeader, 'x'));
    EXPECT_FALSE(driver_->queues[0].Take());
    EXPECT_EQ(device_->metrics().rx_fails, 1U);
    Send("y");
    EXPECT_EQ(driver_->queues[0].Take()->bytes, kHeader);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, 1U);
}

// A vCPU that offers useless buffers as fast as they are given back: the VMM thread goes on.
TEST_F(NetTest, UselessBuffersThatNeverEndKeepNobody) {
    Make({});
    FakeQueue& queue = driver_->queues[0];
    const GuestMemory& memory = driver_->memory();
    const GuestAddress buffer = driver_->Allocate(4);
    for (std::uint16_t i = 0; i < queue.size(); ++i) {
        queue.SetDescriptor(i, {buffer, 4, kDescWrite, 0});
        memory.Store<std::uint16_t>(queue.available() + 4 + i * 2, i);
    }
    queue.SetIndex(128);
    const std::jthread guest([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const auto used = *memory.LoadAcquire<std::uint16_t>(queue.used() + 2);
            memory.StoreRelease<std::uint16_t>(
                queue.available() + 2, static_cast<std::uint16_t>(used + 128));
        }
    });
    for (int i = 0; i < 20; ++i) {
        Send("a frame that goes nowhere");
    }
    EXPECT_GT(device_->metrics().rx_fails, 0U);
}

// Has one frame, and a clock that would ring at once.
class DueDetour final : public FrameDetour {
  public:
    bool Take(std::span<const std::byte>) override { return true; }

    std::vector<std::byte> Next() override {
        return std::exchange(frame_, std::vector<std::byte>());
    }

    std::optional<std::uint64_t> NextDeadline() const override {
        ++asked;
        return 1;
    }

    mutable int asked = 0;

  private:
    std::vector<std::byte> frame_ = std::vector<std::byte>(60);
};

TEST_F(NetTest, AFrameThatWaitsForRoomLeavesTheClockAlone) {
    const auto detour = std::make_shared<DueDetour>();
    Make({.detour = detour});
    Transmit("for the service");
    driver_->Run();
    // Without a buffer nothing can be done about what is due: a clock would ring for ever.
    EXPECT_EQ(detour->asked, 0);
    OfferBuffer(2000);
    driver_->Kick(0);
    EXPECT_EQ(driver_->queues[0].Take()->bytes, kHeader + 60);
    EXPECT_GT(detour->asked, 0);
}

}  // namespace
}  // namespace hearth::vmm::virtio
