#pragma once

#include <termios.h>

namespace hearth::vmm {

// Gives the guest's console each key as it is typed, where the program's standard input is a
// terminal; the terminal is as it was when this ends.
class RawTerminal final {
  public:
    explicit RawTerminal(int fd);
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    ~RawTerminal();

  private:
    int fd_;
    bool is_changed_ = false;
    termios before_ = {};
};

}  // namespace hearth::vmm
