#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// AWS's event stream (application/vnd.amazon.eventstream): messages one after the other, each with
// typed headers and check sums of its own.
//
//   4 total bytes · 4 header bytes · 4 CRC-32 of these 8 · headers · payload · 4 CRC-32 of all
//   before a header: 1 name bytes · name · 1 type · value; numbers are big-endian
//
// Source: smithy.io, "Amazon Event Stream Specification".
namespace hearth::codec {

inline constexpr size_t kEventHeadersBytesMax = 128 * 1024;
inline constexpr size_t kEventPayloadBytesMax = 24 * 1024 * 1024;

struct EventHeader {
    // The numbers are the wire's.
    enum class Type : uint8_t {
        kTrue = 0,
        kFalse = 1,
        kByte = 2,
        kShort = 3,
        kInteger = 4,
        kLong = 5,
        kBytes = 6,
        kString = 7,
        kTimestamp = 8,  // milliseconds since 1970
        kUuid = 9,
    };

    std::string name;
    Type type = Type::kString;
    // Of kBytes and kString; of kUuid 16 bytes.
    std::string text;
    // Of the numbers and kTimestamp.
    int64_t number = 0;

    bool operator==(const EventHeader&) const = default;
};

struct EventMessage {
    std::vector<EventHeader> headers;
    std::string payload;

    const EventHeader* Find(std::string_view name) const;
};

// Appends one message to `out`. Names have 1 to 255 bytes, texts at most 32,767; CHECKs that, as
// both are ours.
void AppendEvent(std::string& out, std::span<const EventHeader> headers, std::string_view payload);

// Takes one message from the front of `bytes`; nullopt when it is not complete yet.
//   errors  kInvalid: a check sum is wrong, or a length cannot be
Result<std::optional<EventMessage>> DecodeEvent(std::string_view& bytes);

}  // namespace hearth::codec
