#include "codec/crypto/master_key.h"

#include "base/check.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/private_file.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>

namespace hearth::codec {
namespace {

constexpr uint8_t kSealVersion = 1;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kHeadBytes = 1 + kNonceBytes;

const EVP_CIPHER* Aes256Gcm() {
    static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    CHECK(cipher != nullptr, "OpenSSL has no AES-256-GCM");
    return cipher;
}

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

EVP_CIPHER_CTX* ThreadContext() {
    thread_local const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
    CHECK(context != nullptr);
    return context.get();
}

// Drawn in blocks: OpenSSL's generator costs as much for one nonce as for many. Each byte is given
// out once; this process never forks without an exec.
void DrawNonce(unsigned char* nonce) {
    struct Drawn {
        std::array<unsigned char, 64 * kNonceBytes> bytes;
        size_t left = 0;
    };

    thread_local Drawn drawn;
    if (drawn.left == 0) {
        CHECK(
            RAND_bytes(drawn.bytes.data(), static_cast<int>(drawn.bytes.size())) == 1,
            "no random bytes for a nonce");
        drawn.left = drawn.bytes.size();
    }
    drawn.left -= kNonceBytes;
    std::memcpy(nonce, drawn.bytes.data() + drawn.left, kNonceBytes);
}

unsigned char* Bytes(char* text) {
    return reinterpret_cast<unsigned char*>(text);
}

const unsigned char* Bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

Error NotOurs() {
    return errors::Malformed("sealed text was changed or belongs elsewhere");
}

int HexDigit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::array<uint8_t, 32>> ParseKey(std::string_view text) {
    std::array<uint8_t, 32> key;
    if (text.size() == key.size()) {
        std::memcpy(key.data(), text.data(), key.size());
        return key;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
        text.remove_suffix(1);
    }
    if (text.size() != key.size() * 2) {
        return std::nullopt;
    }
    for (size_t i = 0; i < key.size(); ++i) {
        const int high = HexDigit(text[2 * i]);
        const int low = HexDigit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        key[i] = static_cast<uint8_t>(high << 4 | low);
    }
    return key;
}

}  // namespace

std::string SealingKey::Seal(std::string_view plain, std::string_view context) const {
    std::string sealed(kHeadBytes + plain.size() + kTagBytes, '\0');
    sealed[0] = static_cast<char>(kSealVersion);
    DrawNonce(Bytes(sealed.data() + 1));
    EVP_CIPHER_CTX* cipher = ThreadContext();
    int size = 0;
    CHECK(
        EVP_EncryptInit_ex2(cipher, Aes256Gcm(), key_.data(), Bytes(sealed.data() + 1), nullptr) ==
        1);
    CHECK(
        EVP_EncryptUpdate(
            cipher, nullptr, &size, Bytes(context.data()), static_cast<int>(context.size())) == 1);
    CHECK(
        EVP_EncryptUpdate(
            cipher,
            Bytes(sealed.data() + kHeadBytes),
            &size,
            Bytes(plain.data()),
            static_cast<int>(plain.size())) == 1);
    CHECK(EVP_EncryptFinal_ex(cipher, Bytes(sealed.data() + kHeadBytes + size), &size) == 1);
    CHECK(
        EVP_CIPHER_CTX_ctrl(
            cipher, EVP_CTRL_GCM_GET_TAG, kTagBytes, sealed.data() + kHeadBytes + plain.size()) ==
        1);
    return sealed;
}

Result<std::string> SealingKey::Open(std::string_view sealed, std::string_view context) const {
    if (sealed.size() < kHeadBytes + kTagBytes || sealed[0] != static_cast<char>(kSealVersion)) {
        return NotOurs();
    }
    const std::string_view nonce = sealed.substr(1, kNonceBytes);
    std::string_view body = sealed.substr(kHeadBytes);
    std::string tag(body.substr(body.size() - kTagBytes));
    body.remove_suffix(kTagBytes);
    std::string plain(body.size(), '\0');
    EVP_CIPHER_CTX* cipher = ThreadContext();
    int size = 0;
    CHECK(EVP_DecryptInit_ex2(cipher, Aes256Gcm(), key_.data(), Bytes(nonce.data()), nullptr) == 1);
    const bool read =
        EVP_DecryptUpdate(
            cipher, nullptr, &size, Bytes(context.data()), static_cast<int>(context.size())) == 1 &&
        EVP_DecryptUpdate(
            cipher,
            Bytes(plain.data()),
            &size,
            Bytes(body.data()),
            static_cast<int>(body.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1;
    // Final checks the tag; it writes nothing in this mode.
    if (!read || EVP_DecryptFinal_ex(cipher, Bytes(plain.data()) + size, &size) != 1) {
        return NotOurs();
    }
    return plain;
}

SealingKey MasterKey::Derive(std::string_view purpose) const {
    // HKDF (RFC 5869) with an empty salt and one block of output.
    const Sha256Digest extracted = HmacSha256("hearth master key", AsText(key_));
    const Sha256Digest expanded = HmacSha256(extracted, std::string(purpose) + '\x01');
    return SealingKey(expanded);
}

Result<MasterKey> MasterKey::FromFd(int fd) {
    HEARTH_TRY(const std::string text, ReadSmallFile(fd));
    return FromText(text);
}

Result<MasterKey> MasterKey::FromText(std::string_view text) {
    const auto key = ParseKey(text);
    if (!key) {
        return errors::Malformed("the master key is not 64 hexadecimal digits or 32 bytes");
    }
    return MasterKey(*key);
}

Result<MasterKey> MasterKey::LoadOrMake(const std::string& path) {
    const auto make = [] {
        std::array<uint8_t, 32> key;
        CHECK(RAND_bytes(key.data(), static_cast<int>(key.size())) == 1, "no random bytes");
        return Hex(key) + "\n";
    };
    HEARTH_TRY(const std::string text, ReadOrMakePrivateFile(path, make));
    auto key = FromText(text);
    if (!key.ok()) {
        return std::move(key).error().WithContext(path);
    }
    return key;
}

}  // namespace hearth::codec
