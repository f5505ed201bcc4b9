#include "vmm/observe/logger.h"

#include "os/fd.h"
#include "vmm/config/faults.h"
#include "vmm/observe/metrics.h"
#include "vmm/observe/reopen.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>

namespace hearth::vmm::vmmlog {
namespace {

// A pipe takes this much in one piece or not at all.
constexpr std::size_t kLineBytesMax = 4096;

struct State {
    std::mutex mutex;
    std::string instance_id;
    os::Fd file;             // none: standard output
    os::Fd standard_output;  // the same pipe or terminal without waiting; none: by its number
    bool show_level = false;
    bool show_origin = false;
};

// One log per process, as there is one standard output. Never destroyed: threads may still log
// while the process ends.
State& TheState() {
    static State* const state = new State;
    return *state;
}

std::atomic<LogLevel> the_level = LogLevel::kInfo;
thread_local char thread_name[16] = "main";

std::string_view LevelName(LogLevel level) {
    switch (level) {
        case LogLevel::kOff:
            return "OFF";
        case LogLevel::kError:
            return "ERROR";
        case LogLevel::kWarning:
            return "WARN";
        case LogLevel::kInfo:
            return "INFO";
        case LogLevel::kDebug:
            return "DEBUG";
        case LogLevel::kTrace:
            return "TRACE";
    }
    return "?";
}

// UTC, and not by gmtime_r: even that reads the file of the local time zone when it is called
// first, which a thread behind its system call filter may not.
std::string Timestamp() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::chrono::sys_seconds time{std::chrono::seconds(now.tv_sec)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        clock.hours().count(),
        clock.minutes().count(),
        clock.seconds().count(),
        now.tv_nsec);
}

// From "src/" on: the build's directory is nobody's business.
std::string_view ShortPath(std::string_view path) {
    const auto at = path.rfind("src/");
    return at == std::string_view::npos ? path : path.substr(at);
}

}  // namespace

void SetInstanceId(std::string_view id) {
    auto& state = TheState();
    const std::lock_guard lock(state.mutex);
    state.instance_id = id;
}

void NameThread(std::string_view name) {
    const std::size_t bytes = std::min(name.size(), sizeof(thread_name) - 1);
    std::memcpy(thread_name, name.data(), bytes);
    thread_name[bytes] = '\0';
    ::pthread_setname_np(::pthread_self(), thread_name);
}

void NeverWaitForStandardOutput() {
    os::Fd reopened = ReopenWithoutWaiting(STDOUT_FILENO);
    auto& state = TheState();
    const std::lock_guard lock(state.mutex);
    state.standard_output = std::move(reopened);
}

Status Configure(const LoggerConfig& config) {
    os::Fd file;
    if (config.log_path) {
        // Read and write: a named pipe opens without a reader, and stays open without one.
        file = os::Fd(::open(
            config.log_path->c_str(), O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0644));
        if (!file.valid()) {
            const int error = errno;
            return faults::Bad(fmt::format(
                "Logger error: Failed to open target file: {} (os error {})",
                std::strerror(error),
                error));
        }
    }
    if (config.level) {
        the_level.store(*config.level, std::memory_order_relaxed);
    }
    auto& state = TheState();
    const std::lock_guard lock(state.mutex);
    if (file.valid()) {
        state.file = std::move(file);
    }
    state.show_level = config.show_level.value_or(state.show_level);
    state.show_origin = config.show_log_origin.value_or(state.show_origin);
    return {};
}

bool Enabled(LogLevel level) {
    return level <= the_level.load(std::memory_order_relaxed);
}

void Write(LogLevel level, std::string_view text, const std::source_location& where) {
    static Counter& missed = metrics::Get("logger", "missed_log_count");
    auto& state = TheState();
    const std::lock_guard lock(state.mutex);
    std::string line = fmt::format("{} [{}:{}", Timestamp(), state.instance_id, thread_name);
    if (state.show_level) {
        line += fmt::format(":{}", LevelName(level));
    }
    if (state.show_origin) {
        line += fmt::format(":{}:{}", ShortPath(where.file_name()), where.line());
    }
    line += "] ";
    for (const char c : text) {
        // One event is one line, whatever a client put into a path.
        line += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    }
    line.resize(std::min(line.size(), kLineBytesMax - 1));
    line += '\n';
    const int fd = state.file.valid()              ? state.file.get()
                   : state.standard_output.valid() ? state.standard_output.get()
                                                   : STDOUT_FILENO;
    ssize_t written = 0;
    do {
        written = ::write(fd, line.data(), line.size());
    } while (written < 0 && errno == EINTR);
    if (written != static_cast<ssize_t>(line.size())) {
        missed.Add();
    }
}

}  // namespace hearth::vmm::vmmlog
