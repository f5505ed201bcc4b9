#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace hearth::codec {

inline constexpr size_t kGcmNonceBytes = 12;
inline constexpr size_t kGcmTagBytes = 16;

// AES-256-GCM under one key for many texts, whose nonces are the caller's to choose and never to
// use twice. The key's schedule is computed once. One thread at a time.
class Gcm final {
  public:
    explicit Gcm(const std::array<uint8_t, 32>& key) : key_(key) {}

    ~Gcm();
    Gcm(const Gcm&) = delete;
    Gcm& operator=(const Gcm&) = delete;

    // `sealed` gets as many bytes as `plain` has, `tag` kGcmTagBytes. `facts` are authenticated
    // with it and not stored.
    void Seal(
        std::string_view nonce,
        std::string_view facts,
        std::string_view plain,
        char* sealed,
        char* tag);
    // False when anything of it was changed; then `plain` is not to be used.
    bool Open(
        std::string_view nonce,
        std::string_view facts,
        std::string_view sealed,
        std::string_view tag,
        char* plain);

  private:
    std::array<uint8_t, 32> key_;
    // EVP_CIPHER_CTX, made when first needed.
    void* seal_ = nullptr;
    void* open_ = nullptr;
};

}  // namespace hearth::codec
