#include "services/lambda/exit_status.h"

namespace hearth::lambda {

namespace {

std::string SignalName(int signal) {
    switch (signal) {
        case 1:
            return "hangup";
        case 2:
            return "interrupt";
        case 3:
            return "quit";
        case 4:
            return "illegal instruction";
        case 5:
            return "trace/breakpoint trap";
        case 6:
            return "aborted";
        case 7:
            return "bus error";
        case 8:
            return "floating point exception";
        case 9:
            return "killed";
        case 11:
            return "segmentation fault";
        case 13:
            return "broken pipe";
        case 14:
            return "alarm clock";
        case 15:
            return "terminated";
        default:
            return fmt::format("signal {}", signal);
    }
}

}  // namespace

std::string ExitStatusText(const sandbox::ExitReport& report) {
    if (report.out_of_memory) {
        return "signal: killed";
    }
    if (report.signal.has_value()) {
        return "signal: " + SignalName(*report.signal);
    }
    return fmt::format("exit status {}", report.exit_code.value_or(0));
}

}  // namespace hearth::lambda
