#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The texts of /proc/<pid>/ that a dump reads, parsed. Names in them are the process's own choice;
// the kernel escapes line breaks, so lines can be believed to be the kernel's.
namespace hearth::snapshot {

// One entry of /proc/<pid>/smaps.
struct MapsEntry {
    uint64_t start = 0;
    uint64_t end = 0;
    uint32_t protection = 0;  // PROT_*
    bool shared = false;
    uint64_t offset = 0;
    uint64_t inode = 0;
    // As the kernel prints it, with \012 for line breaks undone: a path, "[heap]", or empty.
    std::string name;
    // Memory that is there: resident and swapped.
    uint64_t present_kb = 0;
    // The two-letter words of VmFlags.
    std::vector<std::string> flags;

    bool Has(std::string_view flag) const;
};

Result<std::vector<MapsEntry>> ParseSmaps(std::string_view text);

// "Name:\tvalue" lines of status and fdinfo: the value of the first one, without spaces around it.
std::optional<std::string> FindField(std::string_view text, std::string_view name);

// A number in the base, which must be all of `text`.
std::optional<uint64_t> ParseNumber(std::string_view text, int base = 10);

// The numbers of "CPU 12 NAMES" lists such as NSpid's: the last is the innermost.
std::vector<int32_t> ParseIds(std::string_view text);

// /proc/<pid>/stat's fields after the command, which may hold anything: index 3 is the state, as
// in proc(5). Empty strings where there are none.
std::vector<std::string> ParseStat(std::string_view text);

// A member of an epoll in fdinfo: "tfd: 5 events: 19 data: 5 pos:0 ino:3c sdev:9".
struct EpollLine {
    int32_t number = 0;
    uint32_t events = 0;
    uint64_t data = 0;
    uint64_t inode = 0;
    uint64_t device = 0;
};

Result<std::vector<EpollLine>> ParseEpoll(std::string_view text);

struct TimerLines {
    int32_t clock = 0;
    uint64_t ticks = 0;
    uint64_t value_ns = 0;
    uint64_t interval_ns = 0;
};

Result<TimerLines> ParseTimer(std::string_view text);

}  // namespace hearth::snapshot
