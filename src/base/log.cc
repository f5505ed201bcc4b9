#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace hearth::log {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
    switch (level) {
        case Level::kDebug:
            return spdlog::level::debug;
        case Level::kInfo:
            return spdlog::level::info;
        case Level::kWarn:
            return spdlog::level::warn;
        case Level::kError:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

// The process's only logger; replaced once by Init, before threads start.
std::shared_ptr<spdlog::logger>& Logger() {
    static std::shared_ptr<spdlog::logger> logger = [] {
        auto made = std::make_shared<spdlog::logger>(
            "hearth", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_level(spdlog::level::info);
        return made;
    }();
    return logger;
}

}  // namespace

void Init(std::string_view program, Level level) {
    auto made = std::make_shared<spdlog::logger>(
        std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v", spdlog::pattern_time_type::utc);
    made->set_level(ToSpdlog(level));
    made->flush_on(spdlog::level::debug);
    Logger() = std::move(made);
}

bool Enabled(Level level) {
    return Logger()->should_log(ToSpdlog(level));
}

void Write(Level level, std::string_view text) {
    Logger()->log(ToSpdlog(level), "{}", text);
}

}  // namespace hearth::log
