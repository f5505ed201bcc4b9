#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>

namespace hearth::codec {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z.
constexpr int64_t kUnixMsMin = -62'135'596'800'000;
constexpr int64_t kUnixMsMax = 253'402'300'799'999;

struct Fields {
    int year;
    unsigned month;
    unsigned day;
    unsigned weekday;
    int hour;
    int minute;
    int second;
    int millisecond;
};

Fields Split(WallClock::time_point time) {
    const std::chrono::sys_time<std::chrono::milliseconds> system(time.time_since_epoch());
    const auto day = std::chrono::floor<std::chrono::days>(system);
    const std::chrono::year_month_day date(day);
    const auto of_day = static_cast<int>((system - day).count());
    return {
        .year = static_cast<int>(date.year()),
        .month = static_cast<unsigned>(date.month()),
        .day = static_cast<unsigned>(date.day()),
        .weekday = std::chrono::weekday(day).c_encoding(),
        .hour = of_day / 3'600'000,
        .minute = of_day / 60'000 % 60,
        .second = of_day / 1'000 % 60,
        .millisecond = of_day % 1'000};
}

Error NotATime(std::string_view text) {
    return errors::Malformed(fmt::format("not a timestamp: {}", text.substr(0, 64)));
}

// Reads text from left to right; once something did not fit, `ok` stays false.
class Scanner final {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    int Digits(size_t count) {
        if (rest_.size() < count) {
            ok_ = false;
            return 0;
        }
        int value = 0;
        for (size_t i = 0; i < count; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') {
                ok_ = false;
                return 0;
            }
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return value;
    }

    bool Accept(char c) {
        if (rest_.empty() || rest_.front() != c) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    void Expect(char c) { ok_ = Accept(c) && ok_; }

    std::string_view Take(size_t count) {
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(taken.size());
        return taken;
    }

    // Milliseconds of a fraction; further digits are dropped.
    int Fraction() {
        int value = 0;
        int digits = 0;
        while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
            if (digits < 3) {
                value = value * 10 + (rest_.front() - '0');
            }
            ++digits;
            rest_.remove_prefix(1);
        }
        ok_ = ok_ && digits > 0;
        for (; digits < 3; ++digits) {
            value *= 10;
        }
        return value;
    }

    bool ok() const { return ok_; }

    bool at_end() const { return rest_.empty(); }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

Result<WallClock::time_point> Join(
    const Fields& fields, int offset_minutes, std::string_view text) {
    const std::chrono::year_month_day date(
        std::chrono::year(fields.year),
        std::chrono::month(fields.month),
        std::chrono::day(fields.day));
    // A leap second counts as the first of the next minute.
    if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) {
        return NotATime(text);
    }
    const auto days = std::chrono::sys_days(date).time_since_epoch();
    const int64_t ms = std::chrono::milliseconds(days).count() + fields.hour * int64_t{3'600'000} +
                       (fields.minute - offset_minutes) * int64_t{60'000} +
                       fields.second * int64_t{1'000} + fields.millisecond;
    if (ms < kUnixMsMin || ms > kUnixMsMax) {
        return NotATime(text);
    }
    return WallClock::time_point(std::chrono::milliseconds(ms));
}

Result<WallClock::time_point> FromUnixMs(double ms, std::string_view text) {
    if (!(ms >= static_cast<double>(kUnixMsMin) && ms <= static_cast<double>(kUnixMsMax))) {
        return NotATime(text);
    }
    return WallClock::time_point(std::chrono::milliseconds(std::llround(ms)));
}

// Times are written in every answer, and a thousand times in one listing: fmt::format takes several
// times as long for them.
class Text final {
  public:
    Text() { text_.reserve(32); }

    Text& Add(std::string_view text) {
        text_ += text;
        return *this;
    }

    Text& Digits(unsigned value, size_t width) {
        const size_t before = text_.size();
        text_.resize(before + width);
        for (size_t at = before + width; at > before; --at) {
            text_[at - 1] = static_cast<char>('0' + value % 10);
            value /= 10;
        }
        return *this;
    }

    Text& Year(int year) {
        return year >= 0 && year <= 9999 ? Digits(static_cast<unsigned>(year), 4)
                                         : Add(fmt::format("{:04}", year));
    }

    std::string Take() { return std::move(text_); }

  private:
    std::string text_;
};

}  // namespace

std::string FormatIso8601(WallClock::time_point time, bool milliseconds) {
    const Fields f = Split(time);
    Text text;
    text.Year(f.year).Add("-").Digits(f.month, 2).Add("-").Digits(f.day, 2).Add("T");
    text.Digits(f.hour, 2).Add(":").Digits(f.minute, 2).Add(":").Digits(f.second, 2);
    if (milliseconds) {
        text.Add(".").Digits(f.millisecond, 3);
    }
    return text.Add("Z").Take();
}

std::string FormatIso8601WithOffset(WallClock::time_point time) {
    std::string text = FormatIso8601(time, true);
    text.pop_back();
    return text + "+0000";
}

std::string FormatBasicIso8601(WallClock::time_point time) {
    const Fields f = Split(time);
    Text text;
    text.Year(f.year).Digits(f.month, 2).Digits(f.day, 2).Add("T");
    text.Digits(f.hour, 2).Digits(f.minute, 2).Digits(f.second, 2);
    return text.Add("Z").Take();
}

std::string FormatRfc822(WallClock::time_point time) {
    const Fields f = Split(time);
    Text text;
    text.Add(kDays[f.weekday]).Add(", ").Digits(f.day, 2).Add(" ").Add(kMonths[f.month - 1]);
    text.Add(" ").Year(f.year).Add(" ").Digits(f.hour, 2).Add(":").Digits(f.minute, 2);
    return text.Add(":").Digits(f.second, 2).Add(" GMT").Take();
}

std::string FormatUnixSeconds(WallClock::time_point time) {
    const int64_t ms = UnixMs(time);
    const int64_t magnitude = ms < 0 ? -ms : ms;
    std::string text = fmt::format("{}{}", ms < 0 ? "-" : "", magnitude / 1000);
    if (magnitude % 1000 != 0) {
        text += fmt::format(".{:03}", magnitude % 1000);
        while (text.back() == '0') {
            text.pop_back();
        }
    }
    return text;
}

Result<WallClock::time_point> ParseIso8601(std::string_view text) {
    Scanner scanner(text);
    Fields fields{};
    fields.year = scanner.Digits(4);
    scanner.Expect('-');
    fields.month = static_cast<unsigned>(scanner.Digits(2));
    scanner.Expect('-');
    fields.day = static_cast<unsigned>(scanner.Digits(2));
    if (scanner.at_end() && scanner.ok()) {
        return Join(fields, 0, text);
    }
    if (!scanner.Accept('T') && !scanner.Accept('t')) {
        scanner.Expect(' ');
    }
    fields.hour = scanner.Digits(2);
    scanner.Expect(':');
    fields.minute = scanner.Digits(2);
    if (scanner.Accept(':')) {
        fields.second = scanner.Digits(2);
        if (scanner.Accept('.')) {
            fields.millisecond = scanner.Fraction();
        }
    }
    int offset_minutes = 0;
    if (!scanner.Accept('Z') && !scanner.Accept('z')) {
        const bool west = scanner.Accept('-');
        if (!west) {
            scanner.Expect('+');
        }
        offset_minutes = scanner.Digits(2) * 60;
        scanner.Accept(':');
        offset_minutes += scanner.Digits(2);
        offset_minutes = west ? -offset_minutes : offset_minutes;
    }
    if (!scanner.ok() || !scanner.at_end() || std::abs(offset_minutes) > 24 * 60) {
        return NotATime(text);
    }
    return Join(fields, offset_minutes, text);
}

Result<WallClock::time_point> ParseBasicIso8601(std::string_view text) {
    Scanner scanner(text);
    Fields fields{};
    fields.year = scanner.Digits(4);
    fields.month = static_cast<unsigned>(scanner.Digits(2));
    fields.day = static_cast<unsigned>(scanner.Digits(2));
    scanner.Expect('T');
    fields.hour = scanner.Digits(2);
    fields.minute = scanner.Digits(2);
    fields.second = scanner.Digits(2);
    scanner.Expect('Z');
    if (!scanner.ok() || !scanner.at_end()) {
        return NotATime(text);
    }
    return Join(fields, 0, text);
}

Result<WallClock::time_point> ParseRfc822(std::string_view text) {
    Scanner scanner(text);
    // The day's name is not compared with the date: clients get it wrong and AWS does not mind.
    scanner.Take(3);
    scanner.Expect(',');
    scanner.Expect(' ');
    Fields fields{};
    fields.day = static_cast<unsigned>(scanner.Digits(2));
    scanner.Expect(' ');
    const std::string_view month = scanner.Take(3);
    for (unsigned i = 0; i < kMonths.size(); ++i) {
        if (kMonths[i] == month) {
            fields.month = i + 1;
        }
    }
    scanner.Expect(' ');
    fields.year = scanner.Digits(4);
    scanner.Expect(' ');
    fields.hour = scanner.Digits(2);
    scanner.Expect(':');
    fields.minute = scanner.Digits(2);
    scanner.Expect(':');
    fields.second = scanner.Digits(2);
    if (scanner.Accept('.')) {
        fields.millisecond = scanner.Fraction();
    }
    scanner.Expect(' ');
    const std::string_view zone = scanner.Take(3);
    if (!scanner.ok() || !scanner.at_end() || (zone != "GMT" && zone != "UTC")) {
        return NotATime(text);
    }
    return Join(fields, 0, text);
}

Result<WallClock::time_point> ParseUnixSeconds(std::string_view text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size()) {
        return NotATime(text);
    }
    return FromUnixMs(seconds * 1000, text);
}

Result<WallClock::time_point> FromUnixSeconds(double seconds) {
    return FromUnixMs(seconds * 1000, "a number of seconds out of range");
}

}  // namespace hearth::codec
