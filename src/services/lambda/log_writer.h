#pragma once

#include "base/clock.h"
#include "os/fd.h"
#include "rt/event.h"
#include "rt/fd_watch.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/invocation_log.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Bytes of a pipe into lines. A line ends with a newline, or is a frame: 0xA55A0003, length and
// time in microseconds (big-endian, 4 and 8 bytes), text; frames may hold newlines and start
// anywhere.
class LineSplitter final {
  public:
    // Longer lines are cut; CloudWatch Logs takes events up to 256 KiB with 26 bytes for itself.
    static constexpr size_t kLineBytesMax = 256 * 1024 - 26;

    // Appends the complete lines of `bytes` to `lines`.
    void Feed(std::string_view bytes, WallClock::time_point now, std::vector<LogLine>& lines);
    // What is left without a newline, if anything.
    void Finish(WallClock::time_point now, std::vector<LogLine>& lines);

  private:
    std::string partial_;
};

// The log of one execution environment: lines of its pipes and of the platform, in order, into one
// stream of a LogSink. Keeps the last 4 KB of an invocation for LogType=Tail.
//
// What is not yet with the sink is bounded: beyond kBufferBytesMax the pipes are not read, so a
// function that floods its output waits for its own log and for nobody else's. On one loop.
class LogWriter final {
  public:
    static constexpr size_t kBufferBytesMax = 1024 * 1024;
    static constexpr size_t kTailBytes = 4096;
    // A flood may use this much of the machine's time for splitting and storing, no more.
    static constexpr size_t kBytesPerSecondMax = 32 * 1024 * 1024;

    LogWriter(LogSink& sink, LogDestination destination, const WallClock& clock);
    ~LogWriter();

    // Whose line it is.
    enum class Source { kFunction, kExtension, kPlatform };

    // Reads `pipe` until its end.
    void Capture(os::Fd pipe, Source source = Source::kFunction);

    // Sees each line as it is written. One at most; it outlives this or is taken away with nullptr.
    using Observer = std::function<void(Source, const LogLine&)>;

    void Observe(Observer observer) { observer_ = std::move(observer); }

    // A line of the platform, after all lines of functions seen so far.
    void Write(std::string text);

    // A new call waits here while its environment's log is full: quick calls must not outrun the
    // sink.
    Task<void> WaitForRoom();

    // Takes what is in the pipes now without waiting: all that the function wrote before an answer
    // that has just been read. At most a pipe's capacity.
    void Drain();
    // As Drain, and a function's last line without its newline becomes a line. An extension's lines
    // know nothing of calls.
    void DrainAll();

    // Forgets the tail; an invocation begins.
    void StartTail(bool wanted);
    std::string TakeTail();

    // Waits until the sink has all that was written.
    Task<void> Flush();
    // DrainAll, Flush at most for a moment, and the end of all reading. Call before the object
    // goes.
    Task<void> Stop();

    const LogDestination& destination() const { return destination_; }

    // Lines that the sink refused.
    uint64_t lost_lines() const { return lost_lines_; }

  private:
    struct Pipe;

    Task<void> Read(Pipe& pipe);
    // False: the pipe has ended, or nothing was there.
    bool ReadOnce(Pipe& pipe, bool& ended);
    void FinishLine(Pipe& pipe);
    void Keep(std::vector<LogLine> lines, Source source);
    Task<void> Send();

    LogSink& sink_;
    LogDestination destination_;
    const WallClock& clock_;
    std::vector<std::unique_ptr<Pipe>> pipes_;
    std::vector<LogLine> pending_;
    size_t pending_bytes_ = 0;
    bool sending_ = false;
    rt::Event sent_;
    Observer observer_;
    bool tail_wanted_ = false;
    std::string tail_;
    uint64_t lost_lines_ = 0;
    rt::TaskGroup tasks_;
};

}  // namespace hearth::lambda
