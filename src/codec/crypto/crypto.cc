#include "codec/crypto/crypto.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

namespace hearth::codec {
namespace {

constexpr size_t kSha256BlockBytes = 64;

// Fetched once: EVP_sha256() makes OpenSSL 3 look its implementation up on every use.
const EVP_MD* Sha256Md() {
    static const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    CHECK(md != nullptr, "OpenSSL has no SHA256");
    return md;
}

class Context final {
  public:
    Context() : context_(EVP_MD_CTX_new()) { CHECK(context_ != nullptr); }

    ~Context() { EVP_MD_CTX_free(context_); }

    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    void Begin() { CHECK(EVP_DigestInit_ex2(context_, Sha256Md(), nullptr) == 1); }

    void Update(const void* bytes, size_t size) {
        CHECK(EVP_DigestUpdate(context_, bytes, size) == 1);
    }

    Sha256Digest Finish() {
        Sha256Digest digest;
        unsigned size = 0;
        CHECK(EVP_DigestFinal_ex(context_, digest.data(), &size) == 1 && size == digest.size());
        return digest;
    }

  private:
    EVP_MD_CTX* context_;
};

// One per thread: making a context costs as much as hashing a small request.
Context& ThreadContext() {
    thread_local Context context;
    return context;
}

std::string EncodeBase64(std::span<const uint8_t> bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int size = EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(text.data()),
        bytes.data(),
        static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(size));
    return text;
}

}  // namespace

Sha256Digest Sha256(std::string_view bytes) {
    Context& context = ThreadContext();
    context.Begin();
    context.Update(bytes.data(), bytes.size());
    return context.Finish();
}

std::string Sha256Hex(std::string_view bytes) {
    return Hex(Sha256(bytes));
}

std::string Sha256Base64(std::string_view bytes) {
    return Base64(Sha256(bytes));
}

Sha256Stream::Sha256Stream() : context_(new Context) {
    static_cast<Context*>(context_)->Begin();
}

Sha256Stream::~Sha256Stream() {
    delete static_cast<Context*>(context_);
}

void Sha256Stream::Update(std::string_view bytes) {
    static_cast<Context*>(context_)->Update(bytes.data(), bytes.size());
}

Sha256Digest Sha256Stream::Finish() {
    return static_cast<Context*>(context_)->Finish();
}

// RFC 2104, from the hash itself: OpenSSL 3's HMAC() fetches and allocates on every call.
Sha256Digest HmacSha256(std::span<const uint8_t> key, std::string_view message) {
    std::array<uint8_t, kSha256BlockBytes> block{};
    if (key.size() > block.size()) {
        const Sha256Digest hashed = Sha256(AsText(key));
        std::ranges::copy(hashed, block.begin());
    } else {
        std::ranges::copy(key, block.begin());
    }
    for (uint8_t& byte : block) {
        byte ^= 0x36;
    }
    Context& context = ThreadContext();
    context.Begin();
    context.Update(block.data(), block.size());
    context.Update(message.data(), message.size());
    const Sha256Digest inner = context.Finish();
    for (uint8_t& byte : block) {
        byte ^= 0x36 ^ 0x5c;
    }
    context.Begin();
    context.Update(block.data(), block.size());
    context.Update(inner.data(), inner.size());
    OPENSSL_cleanse(block.data(), block.size());
    return context.Finish();
}

Sha256Digest HmacSha256(std::string_view key, std::string_view message) {
    return HmacSha256(std::span(reinterpret_cast<const uint8_t*>(key.data()), key.size()), message);
}

std::string Hex(std::span<const uint8_t> bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(bytes.size() * 2, '\0');
    size_t at = 0;
    for (const uint8_t byte : bytes) {
        text[at++] = kDigits[byte >> 4];
        text[at++] = kDigits[byte & 15];
    }
    return text;
}

std::string Base64(std::span<const uint8_t> bytes) {
    return EncodeBase64(bytes);
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string Md5Hex(std::string_view bytes) {
    std::array<uint8_t, 16> digest;
    unsigned size = 0;
    CHECK(
        EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_md5(), nullptr) == 1 &&
        size == digest.size());
    return Hex(digest);
}

}  // namespace hearth::codec
