#include "codec/crypto/gcm.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>

namespace hearth::codec {
namespace {

unsigned char* Bytes(char* text) {
    return reinterpret_cast<unsigned char*>(text);
}

const unsigned char* Bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

const EVP_CIPHER* Aes256Gcm() {
    static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    CHECK(cipher != nullptr, "OpenSSL has no AES-256-GCM");
    return cipher;
}

EVP_CIPHER_CTX* Cipher(void* context) {
    return static_cast<EVP_CIPHER_CTX*>(context);
}

}  // namespace

Gcm::~Gcm() {
    EVP_CIPHER_CTX_free(Cipher(seal_));
    EVP_CIPHER_CTX_free(Cipher(open_));
    OPENSSL_cleanse(key_.data(), key_.size());
}

void Gcm::Seal(
    std::string_view nonce,
    std::string_view facts,
    std::string_view plain,
    char* sealed,
    char* tag) {
    CHECK(nonce.size() == kGcmNonceBytes);
    if (seal_ == nullptr) {
        seal_ = EVP_CIPHER_CTX_new();
        CHECK(
            seal_ != nullptr &&
            EVP_EncryptInit_ex2(Cipher(seal_), Aes256Gcm(), key_.data(), nullptr, nullptr) == 1);
    }
    int size = 0;
    CHECK(
        EVP_EncryptInit_ex2(Cipher(seal_), nullptr, nullptr, Bytes(nonce.data()), nullptr) == 1 &&
        EVP_EncryptUpdate(
            Cipher(seal_), nullptr, &size, Bytes(facts.data()), static_cast<int>(facts.size())) ==
            1);
    CHECK(
        plain.empty() || EVP_EncryptUpdate(
                             Cipher(seal_),
                             Bytes(sealed),
                             &size,
                             Bytes(plain.data()),
                             static_cast<int>(plain.size())) == 1);
    CHECK(
        EVP_EncryptFinal_ex(Cipher(seal_), Bytes(tag), &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(Cipher(seal_), EVP_CTRL_GCM_GET_TAG, kGcmTagBytes, tag) == 1);
}

bool Gcm::Open(
    std::string_view nonce,
    std::string_view facts,
    std::string_view sealed,
    std::string_view tag,
    char* plain) {
    CHECK(nonce.size() == kGcmNonceBytes && tag.size() == kGcmTagBytes);
    if (open_ == nullptr) {
        open_ = EVP_CIPHER_CTX_new();
        CHECK(
            open_ != nullptr &&
            EVP_DecryptInit_ex2(Cipher(open_), Aes256Gcm(), key_.data(), nullptr, nullptr) == 1);
    }
    char expected[kGcmTagBytes];
    std::memcpy(expected, tag.data(), kGcmTagBytes);
    unsigned char rest[kGcmTagBytes];
    int size = 0;
    return EVP_DecryptInit_ex2(Cipher(open_), nullptr, nullptr, Bytes(nonce.data()), nullptr) ==
               1 &&
           EVP_DecryptUpdate(
               Cipher(open_),
               nullptr,
               &size,
               Bytes(facts.data()),
               static_cast<int>(facts.size())) == 1 &&
           (sealed.empty() || EVP_DecryptUpdate(
                                  Cipher(open_),
                                  Bytes(plain),
                                  &size,
                                  Bytes(sealed.data()),
                                  static_cast<int>(sealed.size())) == 1) &&
           EVP_CIPHER_CTX_ctrl(Cipher(open_), EVP_CTRL_GCM_SET_TAG, kGcmTagBytes, expected) == 1 &&
           EVP_DecryptFinal_ex(Cipher(open_), rest, &size) == 1;
}

}  // namespace hearth::codec
