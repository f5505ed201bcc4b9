#include "aws/auth/access_key_id.h"

#include "base/check.h"
#include "codec/crypto/crypto.h"

#include <array>

namespace hearth::aws {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr size_t kPrefixSize = 4;
constexpr size_t kTailSize = 16;

int Base32Digit(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

}  // namespace

std::string MakeAccessKeyId(std::string_view prefix, const AccountId& account, Random& random) {
    CHECK(prefix.size() == kPrefixSize);
    uint64_t number = 0;
    for (const char c : account.text()) {
        number = number * 10 + static_cast<uint64_t>(c - '0');
    }
    std::array<uint8_t, 10> bytes;
    random.Fill(bytes);
    // Bits from the top: one that is 0, forty of the account, the rest random.
    const uint64_t head = (number & 0xff'ffff'ffff) << 7 | (bytes[5] & 0x7f);
    for (size_t i = 0; i < 6; ++i) {
        bytes[i] = static_cast<uint8_t>(head >> (8 * (5 - i)));
    }
    std::string id(prefix);
    uint64_t window = 0;
    int bits = 0;
    for (const uint8_t byte : bytes) {
        window = window << 8 | byte;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            id += kBase32[(window >> bits) & 31];
        }
    }
    return id;
}

std::string MakeSecretAccessKey(Random& random) {
    return random.Text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

std::string MakeUniqueId(std::string_view prefix, Random& random) {
    return std::string(prefix) + random.Text(17, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
}

std::string UniqueIdOf(std::string_view prefix, std::string_view text) {
    const codec::Sha256Digest digest = codec::Sha256(text);
    std::string id(prefix);
    for (size_t i = 0; i < 17; ++i) {
        id += kBase32[digest[i] & 31];
    }
    return id;
}

std::optional<AccountId> AccountOfAccessKeyId(std::string_view access_key_id) {
    if (access_key_id.size() != kPrefixSize + kTailSize) {
        return std::nullopt;
    }
    const std::string_view prefix = access_key_id.substr(0, kPrefixSize);
    if (prefix != kLongTermKeyPrefix && prefix != kSessionKeyPrefix) {
        return std::nullopt;
    }
    uint64_t head = 0;  // ten digits: 50 bits
    for (size_t i = 0; i < kTailSize; ++i) {
        const int digit = Base32Digit(access_key_id[kPrefixSize + i]);
        if (digit < 0) {
            return std::nullopt;
        }
        if (i < 10) {
            head = head << 5 | static_cast<uint64_t>(digit);
        }
    }
    const uint64_t number = (head >> 2 & 0x7fff'ffff'ff80) >> 7;
    std::string text = std::to_string(number);
    if (text.size() > 12) {
        return std::nullopt;
    }
    return AccountId(std::string(12 - text.size(), '0') + text);
}

}  // namespace hearth::aws
