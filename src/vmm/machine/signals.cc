#include "vmm/machine/signals.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace hearth::vmm {
namespace {

struct Deadly {
    int signal;
    int exit_code;
    std::string_view line;
};

constexpr std::array kDeadly = {
    Deadly{SIGBUS, 149, "hearth-vmm: ended by SIGBUS\n"},
    Deadly{SIGSEGV, 150, "hearth-vmm: ended by SIGSEGV\n"},
    Deadly{SIGXFSZ, 151, "hearth-vmm: ended by SIGXFSZ\n"},
    Deadly{SIGXCPU, 154, "hearth-vmm: ended by SIGXCPU\n"},
    Deadly{SIGHUP, 156, "hearth-vmm: ended by SIGHUP\n"},
    Deadly{SIGILL, 157, "hearth-vmm: ended by SIGILL\n"},
};

// Only what may be called in a signal handler.
void EndBySignal(int signal) {
    for (const Deadly& deadly : kDeadly) {
        if (deadly.signal == signal) {
            [[maybe_unused]] const ssize_t written =
                ::write(STDERR_FILENO, deadly.line.data(), deadly.line.size());
            ::_exit(deadly.exit_code);
        }
    }
    ::_exit(kExitGeneric);
}

}  // namespace

Status InstallSignalHandlers() {
    struct sigaction action = {};
    action.sa_handler = EndBySignal;
    for (const Deadly& deadly : kDeadly) {
        if (::sigaction(deadly.signal, &action, nullptr) != 0) {
            return errors::System("sigaction", errno);
        }
    }
    if (::signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return errors::System("signal", errno);
    }
    return {};
}

}  // namespace hearth::vmm
