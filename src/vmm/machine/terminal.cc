#include "vmm/machine/terminal.h"

#include <unistd.h>

namespace hearth::vmm {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
    if (::isatty(fd) == 0 || ::tcgetattr(fd, &before_) != 0) {
        return;
    }
    termios raw = before_;
    // Lines, echo and Ctrl-C are the guest's; what goes out is not touched.
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    is_changed_ = ::tcsetattr(fd, TCSANOW, &raw) == 0;
}

RawTerminal::~RawTerminal() {
    if (is_changed_) {
        ::tcsetattr(fd_, TCSANOW, &before_);
    }
}

}  // namespace hearth::vmm
