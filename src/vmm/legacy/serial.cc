#include "vmm/legacy/serial.h"

#include <array>

namespace hearth::vmm {
namespace {

// Registers by offset (National Semiconductor PC16550D).
constexpr std::uint64_t kData = 0;
constexpr std::uint64_t kInterruptEnable = 1;
constexpr std::uint64_t kInterruptIdentification = 2;
constexpr std::uint64_t kLineControl = 3;
constexpr std::uint64_t kModemControl = 4;
constexpr std::uint64_t kLineStatus = 5;
constexpr std::uint64_t kModemStatus = 6;
constexpr std::uint64_t kScratch = 7;

constexpr std::uint8_t kEnableReceiver = 1;
constexpr std::uint8_t kEnableTransmitter = 2;
constexpr std::uint8_t kInterruptEnableMask = 0x0f;

constexpr std::uint8_t kNoCause = 1;
constexpr std::uint8_t kTransmitterEmpty = 2;
constexpr std::uint8_t kDataReady = 4;
constexpr std::uint8_t kFifosOn = 0xc0;

constexpr std::uint8_t kDivisorLatch = 0x80;

constexpr std::uint8_t kLineDataReady = 0x01;
constexpr std::uint8_t kLineEmpty = 0x60;

constexpr std::uint8_t kModemLoop = 0x10;
constexpr std::uint8_t kModemMask = 0x1f;
// Clear to send, data set ready, carrier.
constexpr std::uint8_t kModemReady = 0xb0;

}  // namespace

Serial::Serial(EventFd interrupt, EventFd room, Output output)
    : interrupt_(std::move(interrupt)), room_(std::move(room)), output_(std::move(output)) {}

void Serial::Read(std::uint64_t offset, std::span<std::byte> data) {
    // A port is a byte wide; wider accesses find nothing more.
    if (data.size() == 1) {
        data[0] = static_cast<std::byte>(ReadRegister(offset));
    }
}

void Serial::Write(std::uint64_t offset, std::span<const std::byte> data) {
    if (data.size() == 1) {
        WriteRegister(offset, std::to_integer<std::uint8_t>(data[0]));
    }
}

std::size_t Serial::input_room() const {
    const std::lock_guard lock(mutex_);
    return kInputBytesMax - input_.size();
}

void Serial::Input(std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    for (const std::byte byte : bytes) {
        if (input_.size() == kInputBytesMax) {
            break;
        }
        input_.push_back(std::to_integer<std::uint8_t>(byte));
    }
    was_full_ = input_.size() == kInputBytesMax;
    is_receiver_cause_ = !input_.empty();
    Signal();
}

void Serial::Signal() {
    const bool receiver = is_receiver_cause_ && (interrupt_enable_ & kEnableReceiver) != 0;
    const bool transmitter = is_transmitter_cause_ && (interrupt_enable_ & kEnableTransmitter) != 0;
    if (receiver || transmitter) {
        interrupt_.Signal();
    }
}

std::uint8_t Serial::ReadRegister(std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    const bool is_divisor = (line_control_ & kDivisorLatch) != 0;
    switch (offset) {
        case kData: {
            if (is_divisor) {
                return divisor_low_;
            }
            if (input_.empty()) {
                return 0;
            }
            const std::uint8_t byte = input_.front();
            input_.pop_front();
            is_receiver_cause_ = !input_.empty();
            if (was_full_ && input_.size() <= kInputBytesMax / 2) {
                was_full_ = false;
                room_.Signal();
            }
            return byte;
        }
        case kInterruptEnable:
            return is_divisor ? divisor_high_ : interrupt_enable_;
        case kInterruptIdentification: {
            if (is_receiver_cause_ && (interrupt_enable_ & kEnableReceiver) != 0) {
                return kDataReady | kFifosOn;
            }
            if (is_transmitter_cause_ && (interrupt_enable_ & kEnableTransmitter) != 0) {
                // Reading it is the acknowledgement.
                is_transmitter_cause_ = false;
                return kTransmitterEmpty | kFifosOn;
            }
            return kNoCause | kFifosOn;
        }
        case kLineControl:
            return line_control_;
        case kModemControl:
            return modem_control_;
        case kLineStatus:
            return static_cast<std::uint8_t>(kLineEmpty | (input_.empty() ? 0 : kLineDataReady));
        case kModemStatus: {
            if ((modem_control_ & kModemLoop) == 0) {
                return kModemReady;
            }
            // Looped back: RTS, DTR, OUT1 and OUT2 come out as CTS, DSR, RI and DCD.
            const unsigned control = modem_control_;
            return static_cast<std::uint8_t>(
                (control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4 | (control & 8) << 4);
        }
        case kScratch:
            return scratch_;
        default:
            return 0xff;
    }
}

void Serial::WriteRegister(std::uint64_t offset, std::uint8_t value) {
    {
        const std::lock_guard lock(mutex_);
        const bool is_divisor = (line_control_ & kDivisorLatch) != 0;
        switch (offset) {
            case kData:
                if (is_divisor) {
                    divisor_low_ = value;
                    return;
                }
                if ((modem_control_ & kModemLoop) != 0) {
                    if (input_.size() < kInputBytesMax) {
                        input_.push_back(value);
                        // What the host has to say waits, and must hear when it no longer has to.
                        was_full_ = input_.size() == kInputBytesMax;
                        is_receiver_cause_ = true;
                        Signal();
                    }
                    return;
                }
                // Sent already: the transmitter is empty again.
                is_transmitter_cause_ = true;
                Signal();
                break;
            case kInterruptEnable:
                if (is_divisor) {
                    divisor_high_ = value;
                    return;
                }
                interrupt_enable_ = value & kInterruptEnableMask;
                // A driver that enables the interrupt waits for the transmitter to be empty; it
                // always is.
                if ((interrupt_enable_ & kEnableTransmitter) != 0) {
                    is_transmitter_cause_ = true;
                }
                Signal();
                return;
            case kLineControl:
                line_control_ = value;
                return;
            case kModemControl:
                modem_control_ = value & kModemMask;
                return;
            case kScratch:
                scratch_ = value;
                return;
            default:
                return;
        }
    }
    // Not under the lock: the output may have to wait for its reader for a moment.
    const auto byte = static_cast<std::byte>(value);
    output_(std::span(&byte, 1));
}

}  // namespace hearth::vmm
