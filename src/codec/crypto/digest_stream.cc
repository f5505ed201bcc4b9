#include "codec/crypto/digest_stream.h"

#include "base/check.h"

#include <openssl/evp.h>

namespace hearth::codec {
namespace {

// Fetched once: EVP_md5() and its like make OpenSSL 3 look their implementations up on every use.
const EVP_MD* Find(DigestKind kind) {
    static const EVP_MD* md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
    static const EVP_MD* sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    static const EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    const EVP_MD* found = kind == DigestKind::kMd5    ? md5
                          : kind == DigestKind::kSha1 ? sha1
                                                      : sha256;
    CHECK(found != nullptr, "OpenSSL lacks a hash");
    return found;
}

EVP_MD_CTX* Raw(void* context) {
    return static_cast<EVP_MD_CTX*>(context);
}

}  // namespace

DigestStream::DigestStream(DigestKind kind) : context_(EVP_MD_CTX_new()) {
    CHECK(context_ != nullptr);
    CHECK(EVP_DigestInit_ex2(Raw(context_), Find(kind), nullptr) == 1);
}

DigestStream::~DigestStream() {
    EVP_MD_CTX_free(Raw(context_));
}

void DigestStream::Update(std::string_view bytes) {
    CHECK(EVP_DigestUpdate(Raw(context_), bytes.data(), bytes.size()) == 1);
}

std::string DigestStream::Finish() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    CHECK(
        EVP_DigestFinal_ex(Raw(context_), reinterpret_cast<unsigned char*>(digest.data()), &size) ==
        1);
    digest.resize(size);
    return digest;
}

std::string HmacSha1(std::string_view key, std::string_view message) {
    constexpr size_t kBlockBytes = 64;
    std::string block(key);
    if (block.size() > kBlockBytes) {
        DigestStream hash(DigestKind::kSha1);
        hash.Update(block);
        block = hash.Finish();
    }
    block.resize(kBlockBytes);
    for (char& byte : block) {
        byte = static_cast<char>(byte ^ 0x36);
    }
    DigestStream inner(DigestKind::kSha1);
    inner.Update(block);
    inner.Update(message);
    for (char& byte : block) {
        byte = static_cast<char>(byte ^ 0x36 ^ 0x5c);
    }
    DigestStream outer(DigestKind::kSha1);
    outer.Update(block);
    outer.Update(inner.Finish());
    return outer.Finish();
}

}  // namespace hearth::codec
