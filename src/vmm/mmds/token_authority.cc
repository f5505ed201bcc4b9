#include "vmm/mmds/token_authority.h"

#include "codec/base64/base64.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace hearth::vmm {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kExpiryBytes = 8;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kTokenBytes = kNonceBytes + kExpiryBytes + kTagBytes;
constexpr std::size_t kTokenTextBytesMax = 70;

std::uint64_t LoadLe64(const char* bytes) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) {
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

void AppendLe64(std::string& out, std::uint64_t value) {
    for (int i = 0; i < 8; ++i) {
        out += static_cast<char>(value >> (8 * i));
    }
}

Status FillRandom(void* into, std::size_t bytes) {
    if (::getrandom(into, bytes, 0) != static_cast<ssize_t>(bytes)) {
        return errors::System("getrandom", errno);
    }
    return {};
}

}  // namespace

std::array<std::uint8_t, 16> SipHash128(
    const std::array<std::uint8_t, 16>& key, std::string_view bytes) {
    const auto* key_bytes = reinterpret_cast<const char*>(key.data());
    const std::uint64_t k0 = LoadLe64(key_bytes);
    const std::uint64_t k1 = LoadLe64(key_bytes + 8);
    std::uint64_t v0 = k0 ^ 0x736f6d6570736575ULL;
    std::uint64_t v1 = k1 ^ 0x646f72616e646f6dULL ^ 0xee;
    std::uint64_t v2 = k0 ^ 0x6c7967656e657261ULL;
    std::uint64_t v3 = k1 ^ 0x7465646279746573ULL;
    const auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    };
    const std::size_t whole = bytes.size() / 8 * 8;
    for (std::size_t i = 0; i < whole; i += 8) {
        const std::uint64_t word = LoadLe64(bytes.data() + i);
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    char last[8] = {};
    std::memcpy(last, bytes.data() + whole, bytes.size() - whole);
    last[7] = static_cast<char>(bytes.size());
    const std::uint64_t word = LoadLe64(last);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
    v2 ^= 0xee;
    rounds(4);
    const std::uint64_t low = v0 ^ v1 ^ v2 ^ v3;
    v1 ^= 0xdd;
    rounds(4);
    const std::uint64_t high = v0 ^ v1 ^ v2 ^ v3;
    std::array<std::uint8_t, 16> hash{};
    for (std::size_t i = 0; i < 8; ++i) {
        hash[i] = static_cast<std::uint8_t>(low >> (8 * i));
        hash[8 + i] = static_cast<std::uint8_t>(high >> (8 * i));
    }
    return hash;
}

Result<std::string> TokenAuthority::Generate(std::uint32_t ttl_s, std::uint64_t now_ns) {
    if (ttl_s < kTtlSecondsMin || ttl_s > kTtlSecondsMax) {
        return errors::Malformed(fmt::format(
            "Invalid time to live value provided for token: {}. Please provide a value "
            "between {} and {}.",
            ttl_s,
            kTtlSecondsMin,
            kTtlSecondsMax));
    }
    if (!has_key_) {
        HEARTH_RETURN_IF_ERROR(FillRandom(key_.data(), key_.size()));
        has_key_ = true;
    }
    std::string token(kNonceBytes, '\0');
    HEARTH_RETURN_IF_ERROR(FillRandom(token.data(), token.size()));
    AppendLe64(token, now_ns + std::uint64_t{ttl_s} * 1'000'000'000);
    const auto tag = SipHash128(key_, token + scope_);
    token.append(reinterpret_cast<const char*>(tag.data()), tag.size());
    return codec::Base64Encode(token);
}

bool TokenAuthority::IsValid(std::string_view text, std::uint64_t now_ns) const {
    if (!has_key_ || text.size() > kTokenTextBytesMax) {
        return false;
    }
    const auto token = codec::Base64Decode(text);
    if (!token.ok() || token->size() != kTokenBytes) {
        return false;
    }
    const auto said = token->substr(0, kNonceBytes + kExpiryBytes);
    const auto tag = SipHash128(key_, said + scope_);
    unsigned difference = 0;  // no early way out: the time must not tell how much was right
    for (std::size_t i = 0; i < kTagBytes; ++i) {
        difference |= tag[i] ^ static_cast<unsigned char>((*token)[said.size() + i]);
    }
    return difference == 0 && LoadLe64(said.data() + kNonceBytes) > now_ns;
}

}  // namespace hearth::vmm
