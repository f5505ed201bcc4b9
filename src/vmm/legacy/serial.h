#pragma once

#include "base/result.h"
#include "vmm/event/bus.h"
#include "vmm/event/event_fd.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>

namespace hearth::vmm {

// A 16550A serial port, as far as consoles use it: no modem lines, no baud rate, a transmitter that
// is always empty. Ports base + 0..7.
//
// Any thread: vCPUs read and write registers, the VMM thread brings input.
class Serial final : public BusDevice {
  public:
    // Bytes of the receiver's FIFO; what comes while it is full waits outside.
    static constexpr std::size_t kInputBytesMax = 64;

    // Takes what the guest writes; may drop it, must not block for long.
    using Output = std::function<void(std::span<const std::byte>)>;

    // `interrupt` is connected to the port's interrupt. `room` is signalled when the FIFO has been
    // full and the guest has taken something.
    Serial(EventFd interrupt, EventFd room, Output output);

    void Read(std::uint64_t offset, std::span<std::byte> data) override;
    void Write(std::uint64_t offset, std::span<const std::byte> data) override;

    // How many bytes Input would take now.
    std::size_t input_room() const;

    // Gives the guest input; at most input_room() bytes are taken, the rest is dropped.
    void Input(std::span<const std::byte> bytes);

    const EventFd& interrupt() const { return interrupt_; }

    const EventFd& room() const { return room_; }

  private:
    std::uint8_t ReadRegister(std::uint64_t offset);
    void WriteRegister(std::uint64_t offset, std::uint8_t value);
    // Raises the interrupt if the guest asked to hear of a cause that is there.
    void Signal();

    EventFd interrupt_;
    EventFd room_;
    Output output_;

    mutable std::mutex mutex_;
    std::deque<std::uint8_t> input_;
    bool was_full_ = false;
    std::uint8_t interrupt_enable_ = 0;
    bool is_transmitter_cause_ = false;
    bool is_receiver_cause_ = false;
    std::uint8_t line_control_ = 0x03;
    std::uint8_t modem_control_ = 0x08;
    std::uint8_t scratch_ = 0;
    // 9600 baud; kept and not used.
    std::uint8_t divisor_low_ = 12;
    std::uint8_t divisor_high_ = 0;
};

}  // namespace hearth::vmm
