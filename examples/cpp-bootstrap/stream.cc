// A function whose answer flows: {"megabytes": 200} gives that many megabytes, {"ticks": 5} as many
// lines with the time (of CLOCK_MONOTONIC, in ns) at which each was written, one every 10 ms.
#include "hearth_streaming.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

// The number behind "name": in a small JSON object; 0 when there is none.
long NumberIn(const std::string& event, const char* name) {
    const size_t at = event.find('"' + std::string(name) + '"');
    const size_t colon = at == std::string::npos ? at : event.find(':', at);
    return colon == std::string::npos ? 0 : std::strtol(event.c_str() + colon + 1, nullptr, 10);
}

void Answer(const std::string& event, hearth_runtime::ResponseStream& stream) {
    const long megabytes = NumberIn(event, "megabytes");
    if (megabytes < 0 || megabytes > 200) {
        throw hearth_runtime::Failure("TooMuch", "a streamed answer has at most 200 MB");
    }
    stream.SetContentType(megabytes > 0 ? "application/octet-stream" : "text/plain");
    const std::string piece(1 << 20, 'x');
    for (long i = 0; i < megabytes; ++i) {
        stream.Write(piece);
    }
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const itimerspec every{.it_interval = {0, 10'000'000}, .it_value = {0, 10'000'000}};
    timerfd_settime(timer, 0, &every, nullptr);
    uint64_t rang = 0;
    for (long i = 0; i < NumberIn(event, "ticks") && read(timer, &rang, sizeof rang) > 0; ++i) {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        stream.Write(std::to_string(now.tv_sec * 1'000'000'000L + now.tv_nsec) + "\n");
    }
    close(timer);
    if (NumberIn(event, "fail") != 0) {
        throw hearth_runtime::Failure("Wanted", "asked for");
    }
}

}  // namespace

int main() {
    return hearth_runtime::RunStreaming(Answer);
}
