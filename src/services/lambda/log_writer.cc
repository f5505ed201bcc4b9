#include "services/lambda/log_writer.h"

#include "base/log.h"
#include "rt/loops.h"
#include "rt/timer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace hearth::lambda {

namespace {

constexpr size_t kReadBytes = 64 * 1024;
// What a read counts for beyond its bytes: a flood of tiny writes costs calls, not bytes.
constexpr size_t kReadCostBytes = 128;
constexpr std::string_view kFrameMagic("\xA5\x5A\x00\x03", 4);
constexpr size_t kFrameHeadBytes = 16;
constexpr size_t kBatchLinesMax = 10'000;
constexpr size_t kBatchBytesMax = 1024 * 1024;
constexpr std::chrono::seconds kStopFlushMax{5};

uint64_t BigEndian(std::string_view bytes) {
    uint64_t value = 0;
    for (const char c : bytes) {
        value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
}

// Bytes of the UTF-8 sequence at the front of `text`; 0 when there is none.
size_t SequenceBytes(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    size_t count = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        count = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        count = 3;
        low = first == 0xE0 ? 0xA0 : 0x80;
        high = first == 0xED ? 0x9F : 0xBF;
    } else if (first >= 0xF0 && first <= 0xF4) {
        count = 4;
        low = first == 0xF0 ? 0x90 : 0x80;
        high = first == 0xF4 ? 0x8F : 0xBF;
    }
    if (count == 0 || text.size() < count || byte(1) < low || byte(1) > high) {
        return 0;
    }
    for (size_t i = 2; i < count; ++i) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    return count;
}

// Log events are text: each byte that is no UTF-8 becomes U+FFFD.
std::string AsText(std::string_view bytes) {
    size_t valid = 0;
    while (valid < bytes.size()) {
        const size_t count = SequenceBytes(bytes.substr(valid));
        if (count == 0) {
            break;
        }
        valid += count;
    }
    std::string text(bytes.substr(0, valid));
    while (valid < bytes.size()) {
        const size_t count = SequenceBytes(bytes.substr(valid));
        if (count == 0) {
            text.append("\xEF\xBF\xBD");
            ++valid;
        } else {
            text.append(bytes.substr(valid, count));
            valid += count;
        }
    }
    return text;
}

void AddLine(std::string_view text, WallClock::time_point at, std::vector<LogLine>& lines) {
    if (!text.empty() && text.back() == '\r') {
        text.remove_suffix(1);
    }
    do {
        std::string_view piece = text.substr(0, LineSplitter::kLineBytesMax);
        if (piece.size() < text.size()) {
            // Not in the middle of a character.
            size_t end = piece.size();
            while (end > piece.size() - 3 &&
                   (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
                --end;
            }
            piece = piece.substr(0, end);
        }
        text.remove_prefix(piece.size());
        lines.push_back(LogLine{.at = at, .text = AsText(piece)});
    } while (!text.empty());
}

// Where a frame begins, or may begin at the end of `bytes`, within the first `limit` bytes.
size_t FindFrame(std::string_view bytes, size_t limit) {
    const std::string_view head = bytes.substr(0, limit);
    size_t at = head.find(kFrameMagic[0]);
    while (at != std::string_view::npos) {
        const std::string_view rest = bytes.substr(at, kFrameMagic.size());
        if (rest == kFrameMagic.substr(0, rest.size())) {
            return at;
        }
        at = head.find(kFrameMagic[0], at + 1);
    }
    return std::string_view::npos;
}

}  // namespace

void LineSplitter::Feed(
    std::string_view bytes, WallClock::time_point now, std::vector<LogLine>& lines) {
    std::string joined;
    if (!partial_.empty()) {
        joined = std::move(partial_);
        partial_.clear();
        joined.append(bytes);
        bytes = joined;
    }
    while (!bytes.empty()) {
        const size_t newline = bytes.find('\n');
        const std::string_view head =
            newline == std::string_view::npos ? bytes : bytes.substr(0, newline);
        const size_t frame = FindFrame(bytes, head.size());
        if (frame != std::string_view::npos) {
            const std::string_view rest = bytes.substr(frame);
            if (rest.size() < kFrameHeadBytes) {
                // Perhaps a frame, or text that looks like one: the rest will tell.
                break;
            }
            const uint64_t length = BigEndian(rest.substr(4, 4));
            if (length <= kLineBytesMax) {
                if (rest.size() - kFrameHeadBytes < length) {
                    break;
                }
                if (frame > 0) {
                    AddLine(bytes.substr(0, frame), now, lines);
                }
                AddLine(rest.substr(kFrameHeadBytes, length), now, lines);
                bytes = rest.substr(kFrameHeadBytes + length);
                continue;
            }
        }
        if (newline == std::string_view::npos) {
            break;
        }
        AddLine(head, now, lines);
        bytes.remove_prefix(newline + 1);
    }
    if (bytes.size() > kLineBytesMax + kFrameHeadBytes) {
        AddLine(bytes, now, lines);
        bytes = {};
    }
    partial_.assign(bytes);
}

void LineSplitter::Finish(WallClock::time_point now, std::vector<LogLine>& lines) {
    if (!partial_.empty()) {
        AddLine(partial_, now, lines);
        partial_.clear();
    }
}

struct LogWriter::Pipe {
    Pipe(os::Fd pipe_fd, rt::FdWatch pipe_watch, Source pipe_source)
        : fd(std::move(pipe_fd)), watch(std::move(pipe_watch)), source(pipe_source) {}

    os::Fd fd;
    rt::FdWatch watch;
    Source source;
    LineSplitter splitter;
    bool ended = false;
    size_t last_read_bytes = 0;
};

LogWriter::LogWriter(LogSink& sink, LogDestination destination, const WallClock& clock)
    : sink_(sink), destination_(std::move(destination)), clock_(clock) {}

LogWriter::~LogWriter() = default;

void LogWriter::Capture(os::Fd pipe, Source source) {
    if (!pipe.valid()) {
        return;
    }
    const int flags = ::fcntl(pipe.get(), F_GETFL);
    ::fcntl(pipe.get(), F_SETFL, flags | O_NONBLOCK);
    auto watch = rt::FdWatch::Make(pipe.get());
    if (!watch.ok()) {
        log::Warn("lambda: {}", watch.error().message());
        return;
    }
    pipes_.push_back(std::make_unique<Pipe>(std::move(pipe), *std::move(watch), source));
    tasks_.Spawn(Read(*pipes_.back()));
}

bool LogWriter::ReadOnce(Pipe& pipe, bool& ended) {
    thread_local std::array<char, kReadBytes> buffer;
    const ssize_t count = ::read(pipe.fd.get(), buffer.data(), buffer.size());
    ended = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
    if (count <= 0) {
        return false;
    }
    pipe.last_read_bytes = static_cast<size_t>(count);
    std::vector<LogLine> lines;
    pipe.splitter.Feed(
        std::string_view(buffer.data(), static_cast<size_t>(count)), clock_.Now(), lines);
    Keep(std::move(lines), pipe.source);
    return true;
}

Task<void> LogWriter::Read(Pipe& pipe) {
    auto second_ends = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    size_t bytes_left = kBytesPerSecondMax;
    while (!pipe.ended) {
        bool ended = false;
        const bool had_bytes = ReadOnce(pipe, ended);
        if (ended) {
            pipe.ended = true;
            break;
        }
        if (had_bytes) {
            co_await WaitForRoom();
            const size_t cost = pipe.last_read_bytes + kReadCostBytes;
            bytes_left -= std::min(cost, bytes_left);
            if (bytes_left == 0) {
                const auto now = std::chrono::steady_clock::now();
                if (now < second_ends) {
                    co_await rt::Sleep(second_ends - now);
                }
                second_ends = std::chrono::steady_clock::now() + std::chrono::seconds(1);
                bytes_left = kBytesPerSecondMax;
            }
        }
        if (const auto readable = co_await pipe.watch.Readable(); !readable.ok()) {
            break;
        }
    }
    FinishLine(pipe);
}

Task<void> LogWriter::WaitForRoom() {
    while (pending_bytes_ > kBufferBytesMax) {
        co_await sent_.Wait();
    }
}

void LogWriter::Drain() {
    for (const auto& pipe : pipes_) {
        bool ended = pipe->ended;
        // A function that goes on writing must not keep us here: a default pipe holds 64 KiB.
        for (int i = 0; i < 4 && !ended && ReadOnce(*pipe, ended); ++i) {
        }
    }
}

void LogWriter::DrainAll() {
    Drain();
    for (const auto& pipe : pipes_) {
        if (pipe->source == Source::kFunction) {
            FinishLine(*pipe);
        }
    }
}

void LogWriter::FinishLine(Pipe& pipe) {
    std::vector<LogLine> lines;
    pipe.splitter.Finish(clock_.Now(), lines);
    Keep(std::move(lines), pipe.source);
}

void LogWriter::Write(std::string text) {
    std::vector<LogLine> lines;
    lines.push_back(LogLine{.at = clock_.Now(), .text = std::move(text)});
    Keep(std::move(lines), Source::kPlatform);
}

void LogWriter::Keep(std::vector<LogLine> lines, Source source) {
    if (lines.empty()) {
        return;
    }
    for (LogLine& line : lines) {
        if (observer_) {
            observer_(source, line);
        }
        if (tail_wanted_) {
            tail_.append(line.text);
            tail_.push_back('\n');
            if (tail_.size() > 4 * kTailBytes) {
                tail_.erase(0, tail_.size() - kTailBytes);
            }
        }
        pending_bytes_ += line.text.size() + sizeof(LogLine);
        pending_.push_back(std::move(line));
    }
    if (!std::exchange(sending_, true)) {
        sent_.Reset();
        tasks_.Spawn(Send());
    }
}

Task<void> LogWriter::Send() {
    // A call on its way goes first; what it writes meanwhile goes along.
    co_await rt::Yield();
    while (!pending_.empty()) {
        std::vector<LogLine> batch = std::exchange(pending_, {});
        pending_bytes_ = 0;
        sent_.WakeAll();
        size_t start = 0;
        while (start < batch.size()) {
            std::vector<LogLine> part;
            size_t part_bytes = 0;
            while (start < batch.size() && part.size() < kBatchLinesMax &&
                   (part.empty() || part_bytes + batch[start].text.size() <= kBatchBytesMax)) {
                part_bytes += batch[start].text.size();
                part.push_back(std::move(batch[start]));
                ++start;
            }
            const size_t part_lines = part.size();
            const auto kept = co_await sink_.Append(destination_, std::move(part));
            if (!kept.ok()) {
                if (lost_lines_ == 0) {
                    log::Warn(
                        "lambda: lines of {} are lost: {}",
                        destination_.group,
                        kept.error().message());
                }
                lost_lines_ += part_lines;
            }
        }
    }
    sending_ = false;
    sent_.Set();
}

void LogWriter::StartTail(bool wanted) {
    tail_wanted_ = wanted;
    tail_.clear();
}

std::string LogWriter::TakeTail() {
    tail_wanted_ = false;
    if (tail_.size() > kTailBytes) {
        tail_.erase(0, tail_.size() - kTailBytes);
    }
    return std::exchange(tail_, {});
}

Task<void> LogWriter::Flush() {
    while (sending_) {
        co_await sent_.Wait();
    }
}

Task<void> LogWriter::Stop() {
    Drain();
    for (const auto& pipe : pipes_) {
        FinishLine(*pipe);
    }
    const auto deadline = std::chrono::steady_clock::now() + kStopFlushMax;
    while (sending_ && std::chrono::steady_clock::now() < deadline) {
        co_await sent_.WaitUntil(deadline);
    }
    for (const auto& pipe : pipes_) {
        pipe->ended = true;
        pipe->watch.Cancel();
    }
    tasks_.Cancel();
    co_await tasks_.Join();
}

}  // namespace hearth::lambda
