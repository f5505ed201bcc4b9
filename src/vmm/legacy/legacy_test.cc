#include "vmm/legacy/boot_timer.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/serial.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace hearth::vmm {
namespace {

std::uint8_t In(BusDevice& device, std::uint64_t offset) {
    std::byte byte{0xff};
    device.Read(offset, std::span(&byte, 1));
    return std::to_integer<std::uint8_t>(byte);
}

void Out(BusDevice& device, std::uint64_t offset, std::uint8_t value) {
    const auto byte = static_cast<std::byte>(value);
    device.Write(offset, std::span(&byte, 1));
}

class SerialTest : public ::testing::Test {
  protected:
    Serial serial_{
        EventFd::Create().value(),
        EventFd::Create().value(),
        [this](std::span<const std::byte> bytes) {
            for (const std::byte byte : bytes) {
                said_ += static_cast<char>(byte);
            }
        }};
    std::string said_;

    void Type(std::string_view text) { serial_.Input(std::as_bytes(std::span(text))); }
};

TEST_F(SerialTest, TransmitsAndIsAlwaysEmpty) {
    EXPECT_EQ(In(serial_, 5), 0x60);
    Out(serial_, 0, 'a');
    EXPECT_EQ(In(serial_, 5), 0x60);
    EXPECT_EQ(said_, "a");
    EXPECT_EQ(serial_.interrupt().Drain(), 0U) << "nobody asked for it";
}

TEST_F(SerialTest, TransmitterInterruptFollowsItsEnablingAndEachByte) {
    Out(serial_, 1, 2);
    EXPECT_EQ(serial_.interrupt().Drain(), 1U);
    EXPECT_EQ(In(serial_, 2), 0xc2);
    EXPECT_EQ(In(serial_, 2), 0xc1) << "reading it acknowledged it";
    Out(serial_, 0, 'a');
    EXPECT_EQ(serial_.interrupt().Drain(), 1U);
    EXPECT_EQ(In(serial_, 2), 0xc2);
}

TEST_F(SerialTest, InputComesWithItsInterruptAndInOrder) {
    Out(serial_, 1, 1);
    Type("xy");
    EXPECT_GE(serial_.interrupt().Drain(), 1U);
    EXPECT_EQ(In(serial_, 2), 0xc4);
    EXPECT_EQ(In(serial_, 5), 0x61);
    EXPECT_EQ(In(serial_, 0), 'x');
    EXPECT_EQ(In(serial_, 0), 'y');
    EXPECT_EQ(In(serial_, 5), 0x60);
    EXPECT_EQ(In(serial_, 0), 0);
    EXPECT_EQ(In(serial_, 2), 0xc1);
}

TEST_F(SerialTest, InputEnabledLaterIsHeardOf) {
    Type("x");
    EXPECT_EQ(serial_.interrupt().Drain(), 0U);
    Out(serial_, 1, 1);
    EXPECT_EQ(serial_.interrupt().Drain(), 1U);
}

TEST_F(SerialTest, FullFifoDropsNothingThatHadRoomAndTellsWhenThereIsSome) {
    EXPECT_EQ(serial_.input_room(), Serial::kInputBytesMax);
    Type(std::string(Serial::kInputBytesMax + 10, 'z'));
    EXPECT_EQ(serial_.input_room(), 0U);
    EXPECT_EQ(serial_.room().Drain(), 0U);
    for (std::size_t index = 0; index < Serial::kInputBytesMax; ++index) {
        EXPECT_EQ(In(serial_, 0), 'z');
    }
    EXPECT_EQ(serial_.room().Drain(), 1U);
    EXPECT_EQ(serial_.input_room(), Serial::kInputBytesMax);
}

TEST_F(SerialTest, DivisorLatchHidesDataAndInterruptEnable) {
    Out(serial_, 3, 0x83);
    Out(serial_, 0, 0x34);
    Out(serial_, 1, 0x12);
    EXPECT_EQ(In(serial_, 0), 0x34);
    EXPECT_EQ(In(serial_, 1), 0x12);
    Out(serial_, 3, 0x03);
    EXPECT_EQ(In(serial_, 1), 0);
    EXPECT_EQ(said_, "");
}

TEST_F(SerialTest, LoopGivesBackWhatIsSentAndTheModemLines) {
    Out(serial_, 4, 0x1a);
    // OUT2 and RTS come back as carrier and clear-to-send: how Linux probes for a UART.
    EXPECT_EQ(In(serial_, 6) & 0xf0, 0x90);
    Out(serial_, 0, 'l');
    EXPECT_EQ(said_, "");
    EXPECT_EQ(In(serial_, 0), 'l');
    for (int count = 0; count < 1000; ++count) {
        Out(serial_, 0, 'l');
    }
    EXPECT_EQ(serial_.input_room(), 0U);
    Out(serial_, 4, 0x08);
    EXPECT_EQ(In(serial_, 6), 0xb0);
}

TEST_F(SerialTest, WideAccessesAndUnknownRegistersDoNothing) {
    std::array<std::byte, 4> data = {};
    data.fill(std::byte{0xff});
    serial_.Read(0, data);
    EXPECT_EQ(data[0], std::byte{0xff});
    serial_.Write(0, data);
    EXPECT_EQ(said_, "");
    Out(serial_, 7, 0x77);
    EXPECT_EQ(In(serial_, 7), 0x77);
}

class I8042Test : public ::testing::Test {
  protected:
    int resets_ = 0;
    I8042 keyboard_{EventFd::Create().value(), [this] { ++resets_; }};

    std::vector<int> ReadAll() {
        std::vector<int> bytes;
        while ((In(keyboard_, 4) & 1) != 0) {
            bytes.push_back(In(keyboard_, 0));
        }
        return bytes;
    }
};

TEST_F(I8042Test, ResetsOnlyByItsCommand) {
    Out(keyboard_, 0, 0xfe);
    Out(keyboard_, 4, 0xfd);
    EXPECT_EQ(resets_, 0);
    Out(keyboard_, 4, 0xfe);
    EXPECT_EQ(resets_, 1);
}

TEST_F(I8042Test, PassesADriversTests) {
    Out(keyboard_, 4, 0xaa);
    EXPECT_EQ(ReadAll(), std::vector<int>{0x55});
    Out(keyboard_, 4, 0xab);
    EXPECT_EQ(ReadAll(), std::vector<int>{0x00});
    Out(keyboard_, 4, 0x20);
    EXPECT_EQ(ReadAll(), std::vector<int>{0x25});
    Out(keyboard_, 4, 0x60);
    Out(keyboard_, 0, 0x41);
    Out(keyboard_, 4, 0x20);
    EXPECT_EQ(ReadAll(), std::vector<int>{0x41});
    Out(keyboard_, 0, 0xf2);
    EXPECT_EQ(ReadAll(), (std::vector<int>{0xfa, 0xab, 0x83}));
    Out(keyboard_, 0, 0xed);
    Out(keyboard_, 0, 0x07);
    EXPECT_EQ(ReadAll(), (std::vector<int>{0xfa, 0xfa}));
}

TEST_F(I8042Test, CtrlAltDelIsPressedAndReleasedWithAnInterruptPerByte) {
    ASSERT_TRUE(keyboard_.TriggerCtrlAltDel());
    EXPECT_EQ(keyboard_.interrupt().Drain(), 1U);
    EXPECT_EQ(In(keyboard_, 0), 0x14);
    EXPECT_EQ(keyboard_.interrupt().Drain(), 1U);
    EXPECT_EQ(
        ReadAll(), (std::vector<int>{0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14}));
}

TEST_F(I8042Test, GuestThatDoesNotReadFillsNothing) {
    int taken = 0;
    for (int count = 0; count < 1000; ++count) {
        taken += keyboard_.TriggerCtrlAltDel() ? 1 : 0;
        Out(keyboard_, 4, 0xaa);
        Out(keyboard_, 0, 0xf2);
    }
    EXPECT_LE(taken, 2);
    EXPECT_LE(ReadAll().size(), 32U);
}

TEST(BootTimer, HearsOnlyTheMagicByte) {
    int booted = 0;
    BootTimer timer([&] { ++booted; });
    Out(timer, 0, 122);
    Out(timer, 1, 123);
    const std::array<std::byte, 4> wide = {std::byte{123}};
    timer.Write(0, wide);
    EXPECT_EQ(booted, 0);
    Out(timer, 0, 123);
    EXPECT_EQ(booted, 1);
}

TEST_F(SerialTest, InputGoesOnAfterALoopFilledTheFifo) {
    Out(serial_, 4, 0x10);
    for (std::size_t i = 0; i < Serial::kInputBytesMax; ++i) {
        Out(serial_, 0, 'x');
    }
    Out(serial_, 4, 0);
    EXPECT_EQ(serial_.input_room(), 0U);
    for (std::size_t i = 0; i < Serial::kInputBytesMax; ++i) {
        In(serial_, 0);
    }
    EXPECT_EQ(serial_.room().Drain(), 1U) << "whoever waits with input hears of it";
}

}  // namespace
}  // namespace hearth::vmm
