#include "vmm/event/bus.h"
#include "vmm/event/event_fd.h"
#include "vmm/event/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <array>
#include <limits>
#include <thread>

namespace hearth::vmm {
namespace {

// Answers reads with the low byte of the offset.
class Echo final : public BusDevice {
  public:
    void Read(std::uint64_t offset, std::span<std::byte> data) override {
        data[0] = static_cast<std::byte>(offset);
    }

    void Write(std::uint64_t offset, std::span<const std::byte>) override { last_ = offset; }

    std::uint64_t last_ = 0;
};

TEST(Bus, FindsTheDeviceThatOwnsTheWholeAccess) {
    Bus bus;
    const auto device = std::make_shared<Echo>();
    ASSERT_TRUE(bus.Insert(0x100, 8, device).ok());
    ASSERT_TRUE(bus.Insert(0x108, 8, std::make_shared<Echo>()).ok());
    std::array<std::byte, 4> data = {};
    EXPECT_TRUE(bus.Read(0x104, data));
    EXPECT_EQ(data[0], std::byte{4});
    EXPECT_EQ(data[1], std::byte{0xff});
    EXPECT_FALSE(bus.Read(0x105, data));
    EXPECT_EQ(data[0], std::byte{0xff});
    EXPECT_FALSE(bus.Read(0xff, std::span(data).first(1)));
    EXPECT_FALSE(bus.Read(0x110, std::span(data).first(1)));
    EXPECT_FALSE(bus.Read(std::numeric_limits<std::uint64_t>::max(), data));
    EXPECT_TRUE(bus.Write(0x107, std::span(data).first(1)));
    EXPECT_EQ(device->last_, 7U);
}

TEST(Bus, RefusesRangesThatOverlapOrAreNone) {
    Bus bus;
    const auto device = std::make_shared<Echo>();
    ASSERT_TRUE(bus.Insert(0x100, 8, device).ok());
    EXPECT_FALSE(bus.Insert(0x107, 1, device).ok());
    EXPECT_FALSE(bus.Insert(0xf9, 8, device).ok());
    EXPECT_FALSE(bus.Insert(0x100, 8, device).ok());
    EXPECT_FALSE(bus.Insert(0x200, 0, device).ok());
    EXPECT_FALSE(bus.Insert(std::numeric_limits<std::uint64_t>::max(), 2, device).ok());
    EXPECT_TRUE(bus.Insert(0x108, 1, device).ok());
    EXPECT_TRUE(bus.Insert(0xff, 1, device).ok());
}

TEST(EventLoop, CallsWhatIsReadyAndNothingThatWasRemovedMeanwhile) {
    const auto loop = EventLoop::Create().value();
    const EventFd first = EventFd::Create().value();
    const EventFd second = EventFd::Create().value();
    int calls = 0;
    // Whichever comes first removes the other: both were ready in the same round.
    ASSERT_TRUE(loop->Add(
                        first.fd(),
                        EPOLLIN,
                        [&](std::uint32_t) {
                            ++calls;
                            loop->Remove(second.fd());
                            loop->Remove(first.fd());
                        })
                    .ok());
    ASSERT_TRUE(loop->Add(
                        second.fd(),
                        EPOLLIN,
                        [&](std::uint32_t) {
                            ++calls;
                            loop->Remove(first.fd());
                            loop->Remove(second.fd());
                        })
                    .ok());
    first.Signal();
    second.Signal();
    loop->RunOnce(-1);
    loop->RunOnce(0);
    EXPECT_EQ(calls, 1);
}

TEST(EventLoop, RunsWhatOtherThreadsPostInOrderUntilItIsStopped) {
    const auto loop = EventLoop::Create().value();
    std::vector<int> order;
    std::thread other([&] {
        for (int number = 0; number < 1000; ++number) {
            loop->Post([&order, number] { order.push_back(number); });
        }
        loop->Post([&] { loop->Stop(); });
    });
    loop->Run();
    other.join();
    ASSERT_EQ(order.size(), 1000U);
    for (int number = 0; number < 1000; ++number) {
        EXPECT_EQ(order[static_cast<std::size_t>(number)], number);
    }
}

TEST(EventLoop, ModifiedDescriptorIsQuietUntilWantedAgain) {
    const auto loop = EventLoop::Create().value();
    const EventFd event = EventFd::Create().value();
    int calls = 0;
    ASSERT_TRUE(loop->Add(
                        event.fd(),
                        EPOLLIN,
                        [&](std::uint32_t) {
                            ++calls;
                            event.Drain();
                        })
                    .ok());
    ASSERT_TRUE(loop->Modify(event.fd(), 0).ok());
    event.Signal();
    loop->RunOnce(0);
    EXPECT_EQ(calls, 0);
    ASSERT_TRUE(loop->Modify(event.fd(), EPOLLIN).ok());
    loop->RunOnce(-1);
    EXPECT_EQ(calls, 1);
    loop->Remove(event.fd());
    EXPECT_FALSE(loop->Modify(event.fd(), EPOLLIN).ok());
}

TEST(TimerFd, FiresAtOnceWhenThereIsNoDelay) {
    const auto loop = EventLoop::Create().value();
    const TimerFd timer = TimerFd::Create().value();
    std::uint64_t fired = 0;
    ASSERT_TRUE(
        loop->Add(timer.fd(), EPOLLIN, [&](std::uint32_t) { fired += timer.Drain(); }).ok());
    timer.Arm(std::chrono::nanoseconds::zero());
    loop->RunOnce(-1);
    EXPECT_EQ(fired, 1U);
    timer.Arm(std::chrono::hours(1));
    timer.Disarm();
    EXPECT_EQ(timer.Drain(), 0U);
}

TEST(EventFd, CountsUntilItIsDrained) {
    const EventFd event = EventFd::Create().value();
    EXPECT_EQ(event.Drain(), 0U);
    event.Signal();
    event.Signal();
    EXPECT_EQ(event.Drain(), 2U);
    EXPECT_EQ(event.Drain(), 0U);
}

}  // namespace
}  // namespace hearth::vmm
