#include "storage/objects/stored_body.h"

#include "base/check.h"

#include <optional>

namespace hearth::storage {
namespace {

constexpr uint8_t kForm = 1;
constexpr size_t kCustomerKeyCheckBytes = 48;
constexpr uint8_t kPackedBit = 0x08;

void AppendVarint(std::string& bytes, uint64_t number) {
    while (number >= 0x80) {
        bytes.push_back(static_cast<char>(number | 0x80));
        number >>= 7;
    }
    bytes.push_back(static_cast<char>(number));
}

std::optional<uint64_t> TakeVarint(std::string_view& bytes) {
    uint64_t number = 0;
    for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        if (shift == 63 && byte > 1) {
            return std::nullopt;
        }
        number |= uint64_t{byte & 0x7fu} << shift;
        if ((byte & 0x80) == 0) {
            return number;
        }
    }
    return std::nullopt;
}

Error NoBody() {
    return errors::Malformed("these bytes are no stored body");
}

}  // namespace

// Form; encryption, whether packed, and tier in one byte; the id; the length as a varint, that on
// the disk if packed; the check of the customer's key if there is one. A later form may append;
// this one has nothing behind it.
std::string StoredBody::Encode() const {
    CHECK(
        customer_key_check.size() ==
        (encryption == BodyEncryption::kCustomer ? kCustomerKeyCheckBytes : 0));
    std::string bytes;
    bytes.reserve(kStoredBodyEncodedBytesMax);
    bytes.push_back(static_cast<char>(kForm));
    bytes.push_back(static_cast<char>(
        static_cast<uint8_t>(encryption) | (packed_length ? kPackedBit : 0) |
        static_cast<uint8_t>(tier) << 4));
    for (int shift = 56; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<char>(id >> shift));
    }
    AppendVarint(bytes, length);
    if (packed_length) {
        AppendVarint(bytes, *packed_length);
    }
    bytes += customer_key_check;
    return bytes;
}

Result<StoredBody> StoredBody::Decode(std::string_view bytes) {
    if (bytes.size() < 11 || static_cast<uint8_t>(bytes[0]) != kForm) {
        return NoBody();
    }
    StoredBody body;
    const auto kinds = static_cast<uint8_t>(bytes[1]);
    if ((kinds & 0x07) > static_cast<uint8_t>(BodyEncryption::kCustomer) ||
        kinds >> 4 > static_cast<uint8_t>(BodyTier::kDeep)) {
        return NoBody();
    }
    body.encryption = static_cast<BodyEncryption>(kinds & 0x07);
    body.tier = static_cast<BodyTier>(kinds >> 4);
    for (int i = 0; i < 8; ++i) {
        body.id = body.id << 8 | static_cast<uint8_t>(bytes[2 + i]);
    }
    bytes.remove_prefix(10);
    const auto length = TakeVarint(bytes);
    if ((kinds & kPackedBit) != 0) {
        body.packed_length = TakeVarint(bytes);
        if (!body.packed_length) {
            return NoBody();
        }
    }
    if (!length ||
        bytes.size() !=
            (body.encryption == BodyEncryption::kCustomer ? kCustomerKeyCheckBytes : 0)) {
        return NoBody();
    }
    body.length = *length;
    body.customer_key_check = bytes;
    return body;
}

std::string EncodeBodies(const std::vector<StoredBody>& bodies) {
    std::string bytes;
    for (const StoredBody& body : bodies) {
        const std::string one = body.Encode();
        AppendVarint(bytes, one.size());
        bytes += one;
    }
    return bytes;
}

Result<StoredBody> TakeBody(std::string_view& bytes) {
    const auto size = TakeVarint(bytes);
    if (!size || *size > bytes.size()) {
        return NoBody();
    }
    const std::string_view body = bytes.substr(0, *size);
    bytes.remove_prefix(*size);
    return StoredBody::Decode(body);
}

Result<std::vector<StoredBody>> DecodeBodies(std::string_view bytes) {
    std::vector<StoredBody> bodies;
    while (!bytes.empty()) {
        HEARTH_TRY(StoredBody body, TakeBody(bytes));
        bodies.push_back(std::move(body));
    }
    return bodies;
}

}  // namespace hearth::storage
