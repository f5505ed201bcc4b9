#include "vmm/boot/aml.h"

#include "base/check.h"

#include <cstring>

namespace hearth::vmm::boot::aml {
namespace {

constexpr std::uint8_t kZeroOp = 0x00;
constexpr std::uint8_t kOneOp = 0x01;
constexpr std::uint8_t kNameOp = 0x08;
constexpr std::uint8_t kBytePrefix = 0x0a;
constexpr std::uint8_t kWordPrefix = 0x0b;
constexpr std::uint8_t kDwordPrefix = 0x0c;
constexpr std::uint8_t kStringPrefix = 0x0d;
constexpr std::uint8_t kScopeOp = 0x10;
constexpr std::uint8_t kBufferOp = 0x11;
constexpr std::uint8_t kExtendedPrefix = 0x5b;
constexpr std::uint8_t kDeviceOp = 0x82;

void Put(Bytes& to, std::uint64_t value, std::size_t bytes) {
    for (std::size_t index = 0; index < bytes; ++index) {
        to.push_back(static_cast<std::byte>(value >> (8 * index) & 0xff));
    }
}

void Put(Bytes& to, const Bytes& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void PutText(Bytes& to, std::string_view text) {
    for (const char c : text) {
        to.push_back(static_cast<std::byte>(c));
    }
}

// The length counts itself. One byte reaches to 63; of two and more, the first has four bits.
void PutLength(Bytes& to, std::size_t body_bytes) {
    if (body_bytes + 1 < 0x40) {
        Put(to, body_bytes + 1, 1);
        return;
    }
    std::size_t bytes = 2;
    while (body_bytes + bytes >= std::size_t{1} << (4 + 8 * (bytes - 1))) {
        ++bytes;
    }
    CHECK(bytes <= 4, "an ACPI package of {} bytes", body_bytes);
    const std::size_t length = body_bytes + bytes;
    Put(to, (bytes - 1) << 6 | (length & 0xf), 1);
    Put(to, length >> 4, bytes - 1);
}

Bytes Package(std::initializer_list<std::uint8_t> op, const Bytes& body) {
    Bytes result;
    for (const std::uint8_t byte : op) {
        Put(result, byte, 1);
    }
    PutLength(result, body.size());
    Put(result, body);
    return result;
}

Bytes NamedBody(std::string_view name, std::span<const Bytes> terms) {
    Bytes body;
    PutText(body, name);
    for (const Bytes& term : terms) {
        Put(body, term);
    }
    return body;
}

}  // namespace

Bytes Scope(std::string_view name, std::initializer_list<Bytes> terms) {
    return Scope(name, std::span(terms.begin(), terms.size()));
}

Bytes Scope(std::string_view name, std::span<const Bytes> terms) {
    return Package({kScopeOp}, NamedBody(name, terms));
}

Bytes Device(std::string_view name, std::initializer_list<Bytes> terms) {
    return Package(
        {kExtendedPrefix, kDeviceOp}, NamedBody(name, std::span(terms.begin(), terms.size())));
}

Bytes Name(std::string_view name, const Bytes& value) {
    Bytes result;
    Put(result, kNameOp, 1);
    PutText(result, name);
    Put(result, value);
    return result;
}

Bytes Integer(std::uint32_t value) {
    Bytes result;
    if (value <= 1) {
        Put(result, value == 0 ? kZeroOp : kOneOp, 1);
    } else if (value <= 0xff) {
        Put(result, kBytePrefix, 1);
        Put(result, value, 1);
    } else if (value <= 0xffff) {
        Put(result, kWordPrefix, 1);
        Put(result, value, 2);
    } else {
        Put(result, kDwordPrefix, 1);
        Put(result, value, 4);
    }
    return result;
}

Bytes String(std::string_view text) {
    Bytes result;
    Put(result, kStringPrefix, 1);
    PutText(result, text);
    Put(result, 0, 1);
    return result;
}

Bytes EisaId(std::string_view id) {
    CHECK(id.size() == 7);
    const auto letter = [&](std::size_t index) -> std::uint32_t {
        return static_cast<std::uint32_t>(id[index] - '@') & 0x1f;
    };
    const auto digit = [&](std::size_t index) -> std::uint32_t {
        const char c = id[index];
        return static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10) & 0xf;
    };
    const std::uint32_t big_endian = letter(0) << 26 | letter(1) << 21 | letter(2) << 16 |
                                     digit(3) << 12 | digit(4) << 8 | digit(5) << 4 | digit(6);
    Bytes result;
    Put(result, kDwordPrefix, 1);
    Put(result, __builtin_bswap32(big_endian), 4);
    return result;
}

Bytes ResourceTemplate(std::initializer_list<Bytes> resources) {
    Bytes list;
    for (const Bytes& resource : resources) {
        Put(list, resource);
    }
    // The end tag; a checksum of zero means that there is none.
    Put(list, 0x0079, 2);
    Bytes body = Integer(static_cast<std::uint32_t>(list.size()));
    Put(body, list);
    return Package({kBufferOp}, body);
}

Bytes IoPorts(std::uint16_t base, std::uint8_t count) {
    Bytes result;
    Put(result, 0x47, 1);
    Put(result, 1, 1);  // 16 address bits are decoded
    Put(result, base, 2);
    Put(result, base, 2);
    Put(result, 1, 1);  // alignment
    Put(result, count, 1);
    return result;
}

Bytes EdgeInterrupt(std::uint32_t gsi) {
    Bytes result;
    Put(result, 0x89, 1);
    Put(result, 6, 2);
    Put(result, 0x03, 1);  // consumer, edge, active high, exclusive
    Put(result, 1, 1);
    Put(result, gsi, 4);
    return result;
}

Bytes Memory32(std::uint32_t start, std::uint32_t bytes) {
    Bytes result;
    Put(result, 0x86, 1);
    Put(result, 9, 2);
    Put(result, 1, 1);  // writable
    Put(result, start, 4);
    Put(result, bytes, 4);
    return result;
}

}  // namespace hearth::vmm::boot::aml
