#pragma once

#include "vmm/event/bus.h"
#include "vmm/event/event_fd.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <mutex>

namespace hearth::vmm {

// The keyboard controller: how guests reset the machine (0xfe to its command port), and a keyboard
// with three keys, for Ctrl-Alt-Del. Ports 0x60 to 0x64.
class I8042 final : public BusDevice {
  public:
    // `reset` is called on the vCPU's thread when the guest pulls the CPU's reset line.
    I8042(EventFd interrupt, std::function<void()> reset);

    void Read(std::uint64_t offset, std::span<std::byte> data) override;
    void Write(std::uint64_t offset, std::span<const std::byte> data) override;

    // Presses and releases Ctrl, Alt and Del. Any thread. False when a guest that does not read
    // its keyboard has left no room.
    bool TriggerCtrlAltDel();

    const EventFd& interrupt() const { return interrupt_; }

  private:
    void Command(std::uint8_t command);
    void Data(std::uint8_t value);
    void Push(std::initializer_list<std::uint8_t> bytes);

    EventFd interrupt_;
    std::function<void()> reset_;

    std::mutex mutex_;
    std::deque<std::uint8_t> output_;
    // The command that the next byte at the data port belongs to; 0 is none: the keyboard's.
    std::uint8_t pending_command_ = 0;
    // The keyboard's command that waits for its parameter.
    std::uint8_t pending_keyboard_command_ = 0;
    // Interrupt on, system flag, auxiliary port off, translation off: as a BIOS leaves it.
    std::uint8_t configuration_ = 0x25;
    std::uint8_t output_port_ = 0x03;
};

}  // namespace hearth::vmm
