#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <string>
#include <string_view>

// The three ways AWS writes a point in time, to the millisecond, from year 1 to 9999, in UTC.
namespace hearth::codec {

// "2026-01-31T10:00:00Z"; with milliseconds "2026-01-31T10:00:00.120Z".
std::string FormatIso8601(WallClock::time_point time, bool milliseconds = false);

// Takes 'Z' or an offset "+01:00" (also "+0100"), and any number of fraction digits.
Result<WallClock::time_point> ParseIso8601(std::string_view text);

// "Sat, 31 Jan 2026 10:00:00 GMT", as in HTTP dates.
std::string FormatRfc822(WallClock::time_point time);
Result<WallClock::time_point> ParseRfc822(std::string_view text);

// Seconds since 1970 with at most three decimals: "1769853600" or "1769853600.12".
std::string FormatUnixSeconds(WallClock::time_point time);
Result<WallClock::time_point> ParseUnixSeconds(std::string_view text);
Result<WallClock::time_point> FromUnixSeconds(double seconds);

// "20260131T100000Z", the form of signatures.
std::string FormatBasicIso8601(WallClock::time_point time);
Result<WallClock::time_point> ParseBasicIso8601(std::string_view text);

// Lambda's LastModified: "2026-01-31T10:00:00.120+0000".
std::string FormatIso8601WithOffset(WallClock::time_point time);

}  // namespace hearth::codec
