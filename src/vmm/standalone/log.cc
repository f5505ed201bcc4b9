// The monitor's own hearth::log: what shared code says goes to the monitor's log, in its form. The
// linker takes these instead of those of src/base, whose library (spdlog) the monitor then does not
// carry.

#include "base/log.h"

#include "vmm/observe/logger.h"

namespace hearth::log {
namespace {

vmm::LogLevel ToLogLevel(Level level) {
    switch (level) {
        case Level::kDebug:
            return vmm::LogLevel::kDebug;
        case Level::kInfo:
            return vmm::LogLevel::kInfo;
        case Level::kWarn:
            return vmm::LogLevel::kWarning;
        case Level::kError:
            return vmm::LogLevel::kError;
    }
    return vmm::LogLevel::kError;
}

}  // namespace

void Init(std::string_view, Level) {}

bool Enabled(Level level) {
    return vmm::vmmlog::Enabled(ToLogLevel(level));
}

void Write(Level level, std::string_view text) {
    vmm::vmmlog::Write(ToLogLevel(level), text, std::source_location::current());
}

}  // namespace hearth::log
