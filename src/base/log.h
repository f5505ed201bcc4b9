#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

// The program's own log: one line per event on stderr, "2026-01-31T10:00:00.123Z WARN lambda:
// text". Log once, where an error is answered; never secrets, never a request's body.
namespace hearth::log {

enum class Level { kDebug, kInfo, kWarn, kError };

// `program` names the process in each line (keeper, cloud, host). Call once at start.
void Init(std::string_view program, Level level);

bool Enabled(Level level);
void Write(Level level, std::string_view text);

template <class... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
    if (Enabled(Level::kDebug)) {
        Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
    if (Enabled(Level::kInfo)) {
        Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void Warn(fmt::format_string<Args...> format, Args&&... args) {
    if (Enabled(Level::kWarn)) {
        Write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
    Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hearth::log
