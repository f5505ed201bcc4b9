#include "storage/objects/stored_body.h"

#include "base/check.h"

#include <optional>

namespace hearth::storage {
namespace {

constexpr uint8_t kForm = 1;
constexpr size_t kCustomerKeyCheckBytes = 48;

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

// Form, encryption and tier in one byte, the id, the length as a varint, the check of the
// customer's key if there is one. A later form may append; this one has nothing behind it.
std::string StoredBody::Encode() const {
    CHECK(
        customer_key_check.size() ==
        (encryption == BodyEncryption::kCustomer ? kCustomerKeyCheckBytes : 0));
    std::string bytes;
    bytes.reserve(kStoredBodyEncodedBytesMax);
    bytes.push_back(static_cast<char>(kForm));
    bytes.push_back(
        static_cast<char>(static_cast<uint8_t>(encryption) | static_cast<uint8_t>(tier) << 4));
    for (int shift = 56; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<char>(id >> shift));
    }
    AppendVarint(bytes, length);
    bytes += customer_key_check;
    return bytes;
}

Result<StoredBody> StoredBody::Decode(std::string_view bytes) {
    if (bytes.size() < 11 || static_cast<uint8_t>(bytes[0]) != kForm) {
        return NoBody();
    }
    StoredBody body;
    const auto kinds = static_cast<uint8_t>(bytes[1]);
    if ((kinds & 0x0f) > static_cast<uint8_t>(BodyEncryption::kCustomer) ||
        kinds >> 4 > static_cast<uint8_t>(BodyTier::kDeep)) {
        return NoBody();
    }
    body.encryption = static_cast<BodyEncryption>(kinds & 0x0f);
    body.tier = static_cast<BodyTier>(kinds >> 4);
    for (int i = 0; i < 8; ++i) {
        body.id = body.id << 8 | static_cast<uint8_t>(bytes[2 + i]);
    }
    bytes.remove_prefix(10);
    const auto length = TakeVarint(bytes);
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

Result<std::vector<StoredBody>> DecodeBodies(std::string_view bytes) {
    std::vector<StoredBody> bodies;
    while (!bytes.empty()) {
        const auto size = TakeVarint(bytes);
        if (!size || *size > bytes.size()) {
            return NoBody();
        }
        HEARTH_TRY(StoredBody body, StoredBody::Decode(bytes.substr(0, *size)));
        bodies.push_back(std::move(body));
        bytes.remove_prefix(*size);
    }
    return bodies;
}

}  // namespace hearth::storage
