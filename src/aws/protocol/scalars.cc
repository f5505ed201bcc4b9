#include "aws/protocol/scalars.h"

#include "codec/base64/base64.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace hearth::aws::protocol {
namespace {

using model::ShapeType;
using model::TimestampFormat;

template <class Number>
Status ParseNumber(std::string_view text, void* out) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        return hearth::errors::Malformed("Invalid number format");
    }
    *static_cast<Number*>(out) = number;
    return {};
}

Result<WallClock::time_point> ParseTime(TimestampFormat format, std::string_view text) {
    switch (format) {
        case TimestampFormat::kRfc822:
            return codec::ParseRfc822(text);
        case TimestampFormat::kUnixSeconds:
            return codec::ParseUnixSeconds(text);
        case TimestampFormat::kIso8601:
        case TimestampFormat::kDefault:
            break;
    }
    return codec::ParseIso8601(text);
}

std::string FormatTime(TimestampFormat format, WallClock::time_point time) {
    switch (format) {
        case TimestampFormat::kRfc822:
            return codec::FormatRfc822(time);
        case TimestampFormat::kUnixSeconds:
            return codec::FormatUnixSeconds(time);
        case TimestampFormat::kIso8601:
        case TimestampFormat::kDefault:
            break;
    }
    return codec::FormatIso8601(time);
}

}  // namespace

Status ParseScalar(
    const model::Shape& shape, TimestampFormat timestamps, std::string_view text, void* out) {
    switch (shape.type) {
        case ShapeType::kString:
            *static_cast<std::string*>(out) = text;
            return {};
        case ShapeType::kInteger:
            return ParseNumber<int32_t>(text, out);
        case ShapeType::kLong:
            return ParseNumber<int64_t>(text, out);
        case ShapeType::kFloat:
        case ShapeType::kDouble:
            return ParseNumber<double>(text, out);
        case ShapeType::kBoolean:
            if (text != "true" && text != "false" && text != "True" && text != "False") {
                return hearth::errors::Malformed("Invalid boolean");
            }
            *static_cast<bool*>(out) = text == "true" || text == "True";
            return {};
        case ShapeType::kTimestamp: {
            HEARTH_TRY(const auto time, ParseTime(timestamps, text));
            *static_cast<WallClock::time_point*>(out) = time;
            return {};
        }
        case ShapeType::kBlob: {
            HEARTH_TRY(*static_cast<std::string*>(out), codec::Base64Decode(text));
            return {};
        }
        case ShapeType::kList:
        case ShapeType::kMap:
        case ShapeType::kStructure:
            break;
    }
    CHECK_REQUEST(false, "{} is no scalar", shape.name);
    return {};
}

std::string FormatScalar(const model::Shape& shape, TimestampFormat timestamps, const void* value) {
    switch (shape.type) {
        case ShapeType::kString:
            return *static_cast<const std::string*>(value);
        case ShapeType::kInteger:
            return fmt::to_string(*static_cast<const int32_t*>(value));
        case ShapeType::kLong:
            return fmt::to_string(*static_cast<const int64_t*>(value));
        case ShapeType::kFloat:
        case ShapeType::kDouble:
            return fmt::to_string(*static_cast<const double*>(value));
        case ShapeType::kBoolean:
            return *static_cast<const bool*>(value) ? "true" : "false";
        case ShapeType::kTimestamp:
            return FormatTime(timestamps, *static_cast<const WallClock::time_point*>(value));
        case ShapeType::kBlob:
            return codec::Base64Encode(*static_cast<const std::string*>(value));
        case ShapeType::kList:
        case ShapeType::kMap:
        case ShapeType::kStructure:
            break;
    }
    CHECK_REQUEST(false, "{} is no scalar", shape.name);
    return {};
}

}  // namespace hearth::aws::protocol
