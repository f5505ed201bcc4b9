#include "codec/event_stream/event_stream.h"

#include "base/check.h"
#include "codec/crc32/crc32.h"

#include <utility>

namespace hearth::codec {

namespace {

constexpr size_t kPreludeBytes = 12;
constexpr size_t kCrcBytes = 4;
constexpr size_t kTextBytesMax = 32'767;
constexpr size_t kUuidBytes = 16;

using Type = EventHeader::Type;

void PutNumber(std::string& out, uint64_t number, size_t bytes) {
    for (size_t i = bytes; i > 0; --i) {
        out.push_back(static_cast<char>(number >> (8 * (i - 1))));
    }
}

uint64_t GetNumber(std::string_view bytes) {
    uint64_t number = 0;
    for (const char c : bytes) {
        number = number << 8U | static_cast<unsigned char>(c);
    }
    return number;
}

// Bytes of a value whose length the type tells; nullopt for texts.
std::optional<size_t> FixedBytes(Type type) {
    switch (type) {
        case Type::kTrue:
        case Type::kFalse:
            return 0;
        case Type::kByte:
            return 1;
        case Type::kShort:
            return 2;
        case Type::kInteger:
            return 4;
        case Type::kLong:
        case Type::kTimestamp:
            return 8;
        case Type::kUuid:
            return kUuidBytes;
        case Type::kBytes:
        case Type::kString:
            return std::nullopt;
    }
    return std::nullopt;
}

void PutHeader(std::string& out, const EventHeader& header) {
    CHECK(!header.name.empty() && header.name.size() <= 255, "an event header's name");
    out.push_back(static_cast<char>(header.name.size()));
    out.append(header.name);
    out.push_back(static_cast<char>(header.type));
    const auto fixed = FixedBytes(header.type);
    if (!fixed.has_value()) {
        CHECK(header.text.size() <= kTextBytesMax, "an event header's text");
        PutNumber(out, header.text.size(), 2);
        out.append(header.text);
    } else if (header.type == Type::kUuid) {
        CHECK(header.text.size() == kUuidBytes, "an event header's UUID");
        out.append(header.text);
    } else {
        PutNumber(out, static_cast<uint64_t>(header.number), *fixed);
    }
}

// The number of `bytes` bytes with its sign.
int64_t Signed(uint64_t number, size_t bytes) {
    const size_t shift = 8 * (sizeof(number) - bytes);
    return shift >= 64 ? 0 : static_cast<int64_t>(number << shift) >> shift;
}

bool TakeHeader(std::string_view& bytes, EventHeader& header) {
    const auto take = [&bytes](size_t count, std::string_view& taken) {
        if (bytes.size() < count) {
            return false;
        }
        taken = bytes.substr(0, count);
        bytes.remove_prefix(count);
        return true;
    };
    std::string_view piece;
    if (!take(1, piece) || !take(GetNumber(piece), piece) || piece.empty()) {
        return false;
    }
    header.name = piece;
    if (!take(1, piece) || GetNumber(piece) > static_cast<uint64_t>(Type::kUuid)) {
        return false;
    }
    header.type = static_cast<Type>(piece[0]);
    const auto fixed = FixedBytes(header.type);
    if (!fixed.has_value()) {
        if (!take(2, piece)) {
            return false;
        }
        const size_t count = GetNumber(piece);
        if (count > kTextBytesMax || !take(count, piece)) {
            return false;
        }
        header.text = piece;
        return true;
    }
    if (!take(*fixed, piece)) {
        return false;
    }
    if (header.type == Type::kUuid) {
        header.text = piece;
    } else {
        header.number = Signed(GetNumber(piece), *fixed);
    }
    return true;
}

}  // namespace

const EventHeader* EventMessage::Find(std::string_view name) const {
    for (const EventHeader& header : headers) {
        if (header.name == name) {
            return &header;
        }
    }
    return nullptr;
}

void AppendEvent(std::string& out, std::span<const EventHeader> headers, std::string_view payload) {
    CHECK(payload.size() <= kEventPayloadBytesMax, "an event's payload");
    std::string encoded;
    for (const EventHeader& header : headers) {
        PutHeader(encoded, header);
    }
    const size_t start = out.size();
    const size_t total = kPreludeBytes + encoded.size() + payload.size() + kCrcBytes;
    out.reserve(start + total);
    PutNumber(out, total, 4);
    PutNumber(out, encoded.size(), 4);
    PutNumber(out, Crc32(std::string_view(out).substr(start)), 4);
    out.append(encoded);
    out.append(payload);
    PutNumber(out, Crc32(std::string_view(out).substr(start)), 4);
}

Result<std::optional<EventMessage>> DecodeEvent(std::string_view& bytes) {
    if (bytes.size() < kPreludeBytes) {
        return std::optional<EventMessage>();
    }
    const uint64_t total = GetNumber(bytes.substr(0, 4));
    const uint64_t header_bytes = GetNumber(bytes.substr(4, 4));
    if (GetNumber(bytes.substr(8, 4)) != Crc32(bytes.substr(0, 8))) {
        return errors::Malformed("an event's prelude has a wrong check sum");
    }
    if (header_bytes > kEventHeadersBytesMax || total < kPreludeBytes + header_bytes + kCrcBytes ||
        total > kPreludeBytes + header_bytes + kCrcBytes + kEventPayloadBytesMax) {
        return errors::Malformed("an event's lengths cannot be");
    }
    if (bytes.size() < total) {
        return std::optional<EventMessage>();
    }
    const std::string_view message = bytes.substr(0, total);
    const std::string_view checked = message.substr(0, total - kCrcBytes);
    if (GetNumber(message.substr(total - kCrcBytes)) != Crc32(checked)) {
        return errors::Malformed("an event has a wrong check sum");
    }
    EventMessage event;
    std::string_view headers = checked.substr(kPreludeBytes, header_bytes);
    while (!headers.empty()) {
        if (!TakeHeader(headers, event.headers.emplace_back())) {
            return errors::Malformed("an event's headers cannot be read");
        }
    }
    event.payload = checked.substr(kPreludeBytes + header_bytes);
    bytes.remove_prefix(total);
    return std::optional(std::move(event));
}

}  // namespace hearth::codec
