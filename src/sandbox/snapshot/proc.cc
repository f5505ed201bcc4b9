#include "sandbox/snapshot/proc.h"

#include <sys/mman.h>

#include <algorithm>
#include <charconv>

namespace hearth::snapshot {
namespace {

constexpr size_t kEntriesMax = 1 << 17;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;

// Takes the text up to `separator` off `rest`; all of it when there is none.
std::string_view Take(std::string_view& rest, char separator) {
    const size_t at = rest.find(separator);
    const std::string_view taken = rest.substr(0, at);
    rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
    return taken;
}

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n')) {
        text.remove_suffix(1);
    }
    return text;
}

// The next word, after spaces and tabs.
std::string_view Word(std::string_view& rest) {
    rest = rest.substr(std::min(rest.find_first_not_of(" \t"), rest.size()));
    const size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end);
    return word;
}

std::string Unescape(std::string_view name) {
    std::string text;
    while (!name.empty()) {
        if (name.starts_with("\\012")) {
            text += '\n';
            name.remove_prefix(4);
        } else {
            text += name.front();
            name.remove_prefix(1);
        }
    }
    return text;
}

// "7f12-7f34 r-xp 00000000 08:01 123    /usr/lib/x"
std::optional<MapsEntry> ParseHead(std::string_view line) {
    MapsEntry entry;
    const auto start = ParseNumber(Take(line, '-'), 16);
    const auto end = ParseNumber(Word(line), 16);
    const std::string_view rights = Word(line);
    const auto offset = ParseNumber(Word(line), 16);
    Word(line);  // the device, in a form that is ambiguous for some file systems
    const auto inode = ParseNumber(Word(line));
    if (!start || !end || rights.size() != 4 || !offset || !inode) {
        return std::nullopt;
    }
    entry.start = *start;
    entry.end = *end;
    entry.protection = static_cast<uint32_t>(
        (rights[0] == 'r' ? PROT_READ : 0) | (rights[1] == 'w' ? PROT_WRITE : 0) |
        (rights[2] == 'x' ? PROT_EXEC : 0));
    entry.shared = rights[3] == 's';
    entry.offset = *offset;
    entry.inode = *inode;
    line = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    entry.name = Unescape(line);
    return entry;
}

// The lines of an entry begin with a capital letter, its head with a hexadecimal number.
bool IsHead(std::string_view line) {
    return !line.empty() &&
           ((line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f'));
}

Error Unreadable(const std::string& what) {
    return errors::Malformed("/proc: " + what + " does not parse");
}

}  // namespace

bool MapsEntry::Has(std::string_view flag) const {
    return std::ranges::find(flags, flag) != flags.end();
}

std::optional<uint64_t> ParseNumber(std::string_view text, int base) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

Result<std::vector<MapsEntry>> ParseSmaps(std::string_view text) {
    std::vector<MapsEntry> entries;
    while (!text.empty()) {
        const std::string_view line = Take(text, '\n');
        if (IsHead(line)) {
            auto entry = ParseHead(line);
            if (!entry || entries.size() >= kEntriesMax) {
                return Unreadable("smaps");
            }
            entries.push_back(std::move(*entry));
            continue;
        }
        if (entries.empty()) {
            return Unreadable("smaps");
        }
        std::string_view rest = line;
        const std::string_view key = Take(rest, ':');
        if (key == "Rss" || key == "Swap") {
            entries.back().present_kb += ParseNumber(Word(rest)).value_or(0);
        } else if (key == "VmFlags") {
            for (std::string_view word = Word(rest); !word.empty(); word = Word(rest)) {
                entries.back().flags.emplace_back(word);
            }
        }
    }
    return entries;
}

std::optional<std::string> FindField(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        std::string_view line = Take(text, '\n');
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
            return std::string(Trim(line.substr(name.size() + 1)));
        }
    }
    return std::nullopt;
}

std::vector<int32_t> ParseIds(std::string_view text) {
    std::vector<int32_t> ids;
    for (std::string_view word = Word(text); !word.empty(); word = Word(text)) {
        if (const auto number = ParseNumber(word); number && *number <= INT32_MAX) {
            ids.push_back(static_cast<int32_t>(*number));
        }
    }
    return ids;
}

std::vector<std::string> ParseStat(std::string_view text) {
    // The command stands in parentheses and may hold some itself: the last one ends it.
    const size_t end = text.rfind(')');
    std::vector<std::string> fields(3);
    if (end != std::string_view::npos) {
        std::string_view rest = Trim(text.substr(end + 1));
        for (std::string_view word = Word(rest); !word.empty(); word = Word(rest)) {
            fields.emplace_back(word);
        }
    }
    fields.resize(53);
    return fields;
}

Result<std::vector<EpollLine>> ParseEpoll(std::string_view text) {
    std::vector<EpollLine> lines;
    while (!text.empty()) {
        std::string_view line = Take(text, '\n');
        if (!line.starts_with("tfd:")) {
            continue;
        }
        // Pairs of "key:" and number, with or without spaces between them.
        EpollLine entry;
        int found = 0;
        while (!Trim(line).empty()) {
            const std::string_view key = Trim(Take(line, ':'));
            const std::string_view value = Word(line);
            const auto number = ParseNumber(value, key == "tfd" || key == "pos" ? 10 : 16);
            // A position may be negative.
            if (!number && key != "pos") {
                return Unreadable("an epoll member");
            }
            ++found;
            if (key == "tfd") {
                entry.number = static_cast<int32_t>(*number);
            } else if (key == "events") {
                entry.events = static_cast<uint32_t>(*number);
            } else if (key == "data") {
                entry.data = *number;
            } else if (key == "ino") {
                entry.inode = *number;
            } else if (key == "sdev") {
                entry.device = *number;
            } else {
                --found;
            }
        }
        if (found != 5) {
            return Unreadable("an epoll member");
        }
        lines.push_back(entry);
    }
    return lines;
}

Result<TimerLines> ParseTimer(std::string_view text) {
    TimerLines timer;
    const auto clock = FindField(text, "clockid");
    const auto ticks = FindField(text, "ticks");
    const auto value = FindField(text, "it_value");
    const auto interval = FindField(text, "it_interval");
    // "(12, 345)": seconds and nanoseconds.
    const auto nanos = [](const std::optional<std::string>& pair) -> std::optional<uint64_t> {
        if (!pair || pair->size() < 2 || pair->front() != '(' || pair->back() != ')') {
            return std::nullopt;
        }
        std::string_view rest = std::string_view(*pair).substr(1, pair->size() - 2);
        const auto seconds = ParseNumber(Trim(Take(rest, ',')));
        const auto part = ParseNumber(Trim(rest));
        if (!seconds || !part || *seconds > INT64_MAX / kNanosPerSecond ||
            *part >= kNanosPerSecond) {
            return std::nullopt;
        }
        return *seconds * kNanosPerSecond + *part;
    };
    const auto clock_number = ParseNumber(clock.value_or(""));
    const auto ticks_number = ParseNumber(ticks.value_or(""));
    const auto value_ns = nanos(value);
    const auto interval_ns = nanos(interval);
    if (!clock_number || *clock_number > 16 || !ticks_number || !value_ns || !interval_ns) {
        return Unreadable("a timer");
    }
    timer.clock = static_cast<int32_t>(*clock_number);
    timer.ticks = *ticks_number;
    timer.value_ns = *value_ns;
    timer.interval_ns = *interval_ns;
    return timer;
}

}  // namespace hearth::snapshot
