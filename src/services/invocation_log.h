#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"

#include <string>
#include <vector>

// Where the lines of functions go: what a function prints and what the platform says about it.
// Lambda writes, CloudWatch Logs implements; neither includes the other.
namespace hearth {

// One log stream, such as group "/aws/lambda/resize", stream "2026/01/31/[$LATEST]0f3c...".
struct LogDestination {
    AccountId account;
    Region region;
    std::string group;
    std::string stream;
};

struct LogLine {
    WallClock::time_point at;
    // Without the newline at its end; may hold newlines inside (a stack trace is one event).
    std::string text;
};

class LogSink {
  public:
    virtual ~LogSink() = default;

    // Keeps `lines`, after all lines of earlier calls for the same stream. The caller awaits one
    // call per stream before the next, so a slow sink slows the function that writes and nobody
    // else. Creates group and stream when they are missing. An error means that the lines are lost.
    // May be called on any loop; a batch holds at most 10,000 lines and 1 MiB.
    virtual Task<Status> Append(const LogDestination& destination, std::vector<LogLine> lines) = 0;
};

// Drops everything; for clouds and tests without a logs service.
class NullLogSink final : public LogSink {
  public:
    Task<Status> Append(const LogDestination&, std::vector<LogLine>) override {
        co_return Status();
    }
};

}  // namespace hearth
