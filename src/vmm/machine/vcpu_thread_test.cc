#include "vmm/machine/vcpu_thread.h"

#include "vmm/legacy/i8042.h"
#include "vmm/legacy/serial.h"
#include "vmm/machine/tiny_guest.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>

namespace hearth::vmm {
namespace {

using testing::TinyGuest;

// Records what a guest writes to one port or address.
class Recorder final : public BusDevice {
  public:
    void Read(std::uint64_t, std::span<std::byte> data) override {
        for (std::byte& byte : data) {
            byte = std::byte{0x5a};
        }
    }

    void Write(std::uint64_t offset, std::span<const std::byte> data) override {
        const std::lock_guard lock(mutex_);
        writes_.push_back({offset, {data.begin(), data.end()}});
        changed_.notify_all();
    }

    void AwaitWrites(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return writes_.size() >= count; });
    }

    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return writes_.size();
    }

    std::vector<std::pair<std::uint64_t, std::vector<std::byte>>> writes_;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
};

struct Ending {
    std::promise<VcpuThread::End> promise;

    VcpuThread::Hooks Hooks() {
        return {
            .before_guest = nullptr,
            .ended = [this](const VcpuThread::End& end) { promise.set_value(end); },
            .first_run = nullptr};
    }
};

class VcpuThreadTest : public ::testing::Test {
  protected:
    void SetUp() override {
        HEARTH_SKIP_WITHOUT_KVM();
        ASSERT_TRUE(VcpuThread::InstallKickHandler().ok());
    }
};

TEST_F(VcpuThreadTest, GuestSpeaksThroughTheSerialPortAndResets) {
    // mov dx,0x3f8; mov al,'h'; out dx,al; mov al,'i'; out dx,al; mov al,0xfe; out 0x64,al; hlt
    const TinyGuest guest = TinyGuest::Make(
        {0xba, 0xf8, 0x03, 0xb0, 'h', 0xee, 0xb0, 'i', 0xee, 0xb0, 0xfe, 0xe6, 0x64, 0xf4});
    std::string said;
    std::promise<void> reset;
    Bus ports;
    Bus mmio;
    ASSERT_TRUE(ports
                    .Insert(
                        0x3f8,
                        8,
                        std::make_shared<Serial>(
                            EventFd::Create().value(),
                            EventFd::Create().value(),
                            [&](std::span<const std::byte> bytes) {
                                for (const std::byte byte : bytes) {
                                    said += static_cast<char>(byte);
                                }
                            }))
                    .ok());
    ASSERT_TRUE(
        ports
            .Insert(
                0x60,
                5,
                std::make_shared<I8042>(EventFd::Create().value(), [&] { reset.set_value(); }))
            .ok());
    Ending ending;
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, ending.Hooks());
    ASSERT_TRUE(thread.Start().ok());
    thread.RequestRun();
    reset.get_future().wait();
    thread.RequestStop();
    thread.Join();
    EXPECT_EQ(said, "hi");
    EXPECT_EQ(thread.counts().io_out.load(), 3U);
    EXPECT_EQ(thread.counts().unclaimed.load(), 0U);
}

TEST_F(VcpuThreadTest, UnknownPortsAndAddressesReadAsOnesAndAreIgnored) {
    // in al,0x99; mov [0x2000],al; mov ax,0xf000; mov ds,ax; mov al,[0x100] (0xf0100: no memory);
    // mov [0x101],al; xor bx,bx; mov ds,bx; mov [0x2001],al; mov dx,0x1234; out dx,ax; out 0x80,al
    const TinyGuest guest = TinyGuest::Make(
        {0xe4, 0x99, 0xa2, 0x00, 0x20, 0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xa0, 0x00, 0x01, 0xa2, 0x01,
         0x01, 0x31, 0xdb, 0x8e, 0xdb, 0xa2, 0x01, 0x20, 0xba, 0x34, 0x12, 0xef, 0xe6, 0x80, 0xf4});
    const auto last = std::make_shared<Recorder>();
    Bus ports;
    Bus mmio;
    ASSERT_TRUE(ports.Insert(0x80, 1, last).ok());
    Ending ending;
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, ending.Hooks());
    ASSERT_TRUE(thread.Start().ok());
    thread.RequestRun();
    last->AwaitWrites(1);
    thread.RequestStop();
    thread.Join();
    EXPECT_EQ(guest.memory.Load<std::uint16_t>(0x2000), 0xffff);
    EXPECT_EQ(thread.counts().unclaimed.load(), 4U);
}

TEST_F(VcpuThreadTest, MemoryMappedAccessesReachTheBus) {
    // mov ax,0x9000; mov ds,ax; mov ax,[0x10] (0x90010); mov [0x12],ax; out 0x80,al; hlt
    const TinyGuest guest = TinyGuest::Make(
        {0xb8, 0x00, 0x90, 0x8e, 0xd8, 0xa1, 0x10, 0x00, 0xa3, 0x12, 0x00, 0xe6, 0x80, 0xf4});
    const auto device = std::make_shared<Recorder>();
    const auto last = std::make_shared<Recorder>();
    Bus ports;
    Bus mmio;
    ASSERT_TRUE(ports.Insert(0x80, 1, last).ok());
    ASSERT_TRUE(mmio.Insert(0x90000, 0x1000, device).ok());
    Ending ending;
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, ending.Hooks());
    ASSERT_TRUE(thread.Start().ok());
    thread.RequestRun();
    last->AwaitWrites(1);
    thread.RequestStop();
    thread.Join();
    ASSERT_EQ(device->count(), 1U);
    EXPECT_EQ(device->writes_[0].first, 0x12U);
    EXPECT_EQ(
        device->writes_[0].second, (std::vector<std::byte>{std::byte{0x5a}, std::byte{0x5a}}));
    EXPECT_EQ(thread.counts().mmio_read.load(), 1U);
    EXPECT_EQ(thread.counts().mmio_write.load(), 1U);
}

TEST_F(VcpuThreadTest, PausedGuestDoesNothingAndGoesOnWhereItWas) {
    // again: inc ax; out 0x80,ax; jmp again
    const TinyGuest guest = TinyGuest::Make({0x40, 0xe7, 0x80, 0xeb, 0xfb});
    const auto port = std::make_shared<Recorder>();
    Bus ports;
    Bus mmio;
    ASSERT_TRUE(ports.Insert(0x80, 2, port).ok());
    Ending ending;
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, ending.Hooks());
    ASSERT_TRUE(thread.Start().ok());
    for (std::size_t round = 1; round <= 20; ++round) {
        thread.RequestRun();
        port->AwaitWrites(round * 10);
        thread.RequestPause();
        thread.AwaitPaused();
        // The instruction whose access was the last is complete: RIP is behind it, or before the
        // next one, never in the middle.
        const kvm_regs registers = thread.vcpu().GetRegisters().value();
        const std::size_t count = port->count();
        EXPECT_GE(registers.rax & 0xffff, count);
        EXPECT_LE(registers.rax & 0xffff, count + 1);
    }
    thread.RequestStop();
    thread.Join();
    // Each number came once and in order, across all pauses.
    for (std::size_t index = 0; index < port->writes_.size(); ++index) {
        const auto& bytes = port->writes_[index].second;
        ASSERT_EQ(bytes.size(), 2U);
        EXPECT_EQ(
            std::to_integer<std::size_t>(bytes[0]) | std::to_integer<std::size_t>(bytes[1]) << 8,
            (index + 1) & 0xffff);
    }
}

TEST_F(VcpuThreadTest, StopEndsAGuestThatNeverExits) {
    // jmp self
    const TinyGuest guest = TinyGuest::Make({0xeb, 0xfe});
    Bus ports;
    Bus mmio;
    Ending ending;
    std::promise<void> running;
    VcpuThread::Hooks hooks = ending.Hooks();
    hooks.first_run = [&] { running.set_value(); };
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, std::move(hooks));
    ASSERT_TRUE(thread.Start().ok());
    thread.RequestRun();
    running.get_future().wait();
    thread.RequestPause();
    thread.AwaitPaused();
    thread.RequestRun();
    thread.RequestStop();
    thread.Join();
}

TEST_F(VcpuThreadTest, ErrorBeforeTheGuestIsStartsError) {
    const TinyGuest guest = TinyGuest::Make({0xf4});
    Bus ports;
    Bus mmio;
    VcpuThread::Hooks hooks;
    hooks.before_guest = [] { return Status(errors::Internal("no filter")); };
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, std::move(hooks));
    const Status started = thread.Start();
    ASSERT_FALSE(started.ok());
    EXPECT_EQ(started.error().message(), "no filter");
}

TEST_F(VcpuThreadTest, TripleFaultEndsTheGuestCleanly) {
    // cli; lidt [0x2000] (limit 0: no handler for anything); mov eax,cr0; or al,1; mov cr0,eax; ud2
    const TinyGuest guest = TinyGuest::Make(
        {0xfa,
         0x0f,
         0x01,
         0x1e,
         0x00,
         0x20,
         0x0f,
         0x20,
         0xc0,
         0x0c,
         0x01,
         0x0f,
         0x22,
         0xc0,
         0x0f,
         0x0b});
    Bus ports;
    Bus mmio;
    Ending ending;
    VcpuThread thread(guest.MakeVcpu(), ports, mmio, ending.Hooks());
    ASSERT_TRUE(thread.Start().ok());
    thread.RequestRun();
    const VcpuThread::End end = ending.promise.get_future().get();
    EXPECT_TRUE(end.is_guests) << end.reason;
    EXPECT_EQ(end.reason, "triple fault");
}

}  // namespace
}  // namespace hearth::vmm
