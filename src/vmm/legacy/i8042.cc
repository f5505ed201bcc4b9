#include "vmm/legacy/i8042.h"

namespace hearth::vmm {
namespace {

constexpr std::uint64_t kDataPort = 0;
// Port 0x61, the speaker's: the kernel's own PIT answers it before this does.
constexpr std::uint64_t kCommandPort = 4;

// What a guest may leave unread.
constexpr std::size_t kOutputBytesMax = 32;

constexpr std::uint8_t kStatusOutputFull = 0x01;
constexpr std::uint8_t kStatusSystem = 0x04;
constexpr std::uint8_t kStatusUnlocked = 0x10;

constexpr std::uint8_t kConfigurationInterrupt = 0x01;
constexpr std::uint8_t kConfigurationKeyboardOff = 0x10;

// The controller's commands.
constexpr std::uint8_t kReadConfiguration = 0x20;
constexpr std::uint8_t kWriteConfiguration = 0x60;
constexpr std::uint8_t kTestAuxiliary = 0xa9;
constexpr std::uint8_t kTestController = 0xaa;
constexpr std::uint8_t kTestKeyboard = 0xab;
constexpr std::uint8_t kKeyboardOff = 0xad;
constexpr std::uint8_t kKeyboardOn = 0xae;
constexpr std::uint8_t kReadOutputPort = 0xd0;
constexpr std::uint8_t kWriteOutputPort = 0xd1;
constexpr std::uint8_t kWriteKeyboardBuffer = 0xd2;
constexpr std::uint8_t kWriteAuxiliaryBuffer = 0xd3;
constexpr std::uint8_t kWriteAuxiliary = 0xd4;
constexpr std::uint8_t kReset = 0xfe;

// The keyboard's commands and answers.
constexpr std::uint8_t kAcknowledge = 0xfa;
constexpr std::uint8_t kSetLights = 0xed;
constexpr std::uint8_t kScanCodeSet = 0xf0;
constexpr std::uint8_t kIdentify = 0xf2;
constexpr std::uint8_t kSetRate = 0xf3;
constexpr std::uint8_t kResetKeyboard = 0xff;

}  // namespace

I8042::I8042(EventFd interrupt, std::function<void()> reset)
    : interrupt_(std::move(interrupt)), reset_(std::move(reset)) {}

void I8042::Push(std::initializer_list<std::uint8_t> bytes) {
    if (output_.size() + bytes.size() > kOutputBytesMax) {
        return;
    }
    output_.insert(output_.end(), bytes);
    if ((configuration_ & kConfigurationInterrupt) != 0) {
        interrupt_.Signal();
    }
}

bool I8042::TriggerCtrlAltDel() {
    const std::lock_guard lock(mutex_);
    // Scan codes of set 2: press Ctrl, Alt, Del; release in reverse. Del is of the extended block.
    const std::initializer_list<std::uint8_t> keys = {
        0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14};
    if (output_.size() + keys.size() > kOutputBytesMax) {
        return false;
    }
    Push(keys);
    return true;
}

void I8042::Read(std::uint64_t offset, std::span<std::byte> data) {
    if (data.size() != 1) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (offset == kCommandPort) {
        const unsigned status =
            kStatusSystem | kStatusUnlocked | (output_.empty() ? 0U : kStatusOutputFull);
        data[0] = static_cast<std::byte>(status);
        return;
    }
    if (offset != kDataPort) {
        return;
    }
    data[0] = std::byte{0};
    if (!output_.empty()) {
        data[0] = static_cast<std::byte>(output_.front());
        output_.pop_front();
        // One interrupt per byte.
        if (!output_.empty() && (configuration_ & kConfigurationInterrupt) != 0) {
            interrupt_.Signal();
        }
    }
}

void I8042::Write(std::uint64_t offset, std::span<const std::byte> data) {
    if (data.size() != 1) {
        return;
    }
    const auto value = std::to_integer<std::uint8_t>(data[0]);
    if (offset == kCommandPort && value == kReset) {
        reset_();
        return;
    }
    const std::lock_guard lock(mutex_);
    if (offset == kCommandPort) {
        Command(value);
    } else if (offset == kDataPort) {
        Data(value);
    }
}

void I8042::Command(std::uint8_t command) {
    pending_command_ = 0;
    switch (command) {
        case kReadConfiguration:
            Push({configuration_});
            break;
        case kTestController:
            Push({0x55});
            break;
        case kTestKeyboard:
            Push({0x00});
            break;
        case kTestAuxiliary:
            // There is none: the clock line is stuck.
            Push({0x01});
            break;
        case kKeyboardOff:
            configuration_ |= kConfigurationKeyboardOff;
            break;
        case kKeyboardOn:
            configuration_ &= static_cast<std::uint8_t>(~kConfigurationKeyboardOff);
            break;
        case kReadOutputPort:
            Push({output_port_});
            break;
        case kWriteConfiguration:
        case kWriteOutputPort:
        case kWriteKeyboardBuffer:
        case kWriteAuxiliaryBuffer:
        case kWriteAuxiliary:
            pending_command_ = command;
            break;
        default:
            break;
    }
}

void I8042::Data(std::uint8_t value) {
    switch (std::exchange(pending_command_, 0)) {
        case kWriteConfiguration:
            configuration_ = value;
            return;
        case kWriteOutputPort:
            output_port_ = value;
            return;
        case kWriteKeyboardBuffer:
            Push({value});
            return;
        case kWriteAuxiliaryBuffer:
        case kWriteAuxiliary:
            return;
        default:
            break;
    }
    if (std::exchange(pending_keyboard_command_, 0) != 0) {
        Push({kAcknowledge});
        return;
    }
    switch (value) {
        case kSetLights:
        case kScanCodeSet:
        case kSetRate:
            pending_keyboard_command_ = value;
            Push({kAcknowledge});
            break;
        case kIdentify:
            Push({kAcknowledge, 0xab, 0x83});
            break;
        case kResetKeyboard:
            Push({kAcknowledge, 0xaa});
            break;
        default:
            Push({kAcknowledge});
            break;
    }
}

}  // namespace hearth::vmm
