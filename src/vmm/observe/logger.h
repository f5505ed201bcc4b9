#pragma once

#include "base/result.h"
#include "vmm/config/config.h"

#include <fmt/format.h>

#include <source_location>
#include <string_view>

// The monitor's log, as Firecracker writes it: one line per event,
//   2026-01-31T10:00:00.123456789 [id:thread:LEVEL:file:line] text
// to standard output, a file or a named pipe; the time is UTC. A line that cannot be written at
// once is dropped and counted (metrics: logger.missed_log_count): no reader of a pipe can stop the
// monitor, although its guest can fill the pipe.
namespace hearth::vmm::vmmlog {

void SetInstanceId(std::string_view id);

// The calling thread's name, in the log and in the kernel. Before its system call filter.
void NameThread(std::string_view name);

// Has lines to standard output wait for nobody from now on, where it is a pipe or a terminal. Until
// then, and where it is a socket, they wait. Before any system call filter.
void NeverWaitForStandardOutput();

// What is set changes, the rest stays. Opens log_path for appending, never waiting for a reader.
Status Configure(const LoggerConfig& config);

bool Enabled(LogLevel level);
void Write(LogLevel level, std::string_view text, const std::source_location& where);

// A format that remembers where it was written.
template <class... Args>
struct Format {
    template <class Text>
    consteval Format(const Text& text, std::source_location place = std::source_location::current())
        : format(text), where(place) {}

    fmt::format_string<Args...> format;
    std::source_location where;
};

template <class... Args>
void Log(LogLevel level, Format<std::type_identity_t<Args>...> format, Args&&... args) {
    if (Enabled(level)) {
        Write(level, fmt::format(format.format, std::forward<Args>(args)...), format.where);
    }
}

template <class... Args>
void Error(Format<std::type_identity_t<Args>...> format, Args&&... args) {
    if (Enabled(LogLevel::kError)) {
        Write(
            LogLevel::kError,
            fmt::format(format.format, std::forward<Args>(args)...),
            format.where);
    }
}

template <class... Args>
void Warn(Format<std::type_identity_t<Args>...> format, Args&&... args) {
    if (Enabled(LogLevel::kWarning)) {
        Write(
            LogLevel::kWarning,
            fmt::format(format.format, std::forward<Args>(args)...),
            format.where);
    }
}

template <class... Args>
void Info(Format<std::type_identity_t<Args>...> format, Args&&... args) {
    if (Enabled(LogLevel::kInfo)) {
        Write(
            LogLevel::kInfo, fmt::format(format.format, std::forward<Args>(args)...), format.where);
    }
}

template <class... Args>
void Debug(Format<std::type_identity_t<Args>...> format, Args&&... args) {
    if (Enabled(LogLevel::kDebug)) {
        Write(
            LogLevel::kDebug,
            fmt::format(format.format, std::forward<Args>(args)...),
            format.where);
    }
}

}  // namespace hearth::vmm::vmmlog
