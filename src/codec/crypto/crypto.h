#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// Hashes and message authentication over OpenSSL, which stays hidden behind this folder.
// All functions are safe from any thread; contexts are reused per thread.
namespace hearth::codec {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);
std::string Sha256Base64(std::string_view bytes);

// Over data that comes in pieces.
class Sha256Stream final {
  public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(const Sha256Stream&) = delete;
    Sha256Stream& operator=(const Sha256Stream&) = delete;
    void Update(std::string_view bytes);
    // Once.
    Sha256Digest Finish();

  private:
    void* context_;
};

Sha256Digest HmacSha256(std::span<const uint8_t> key, std::string_view message);
Sha256Digest HmacSha256(std::string_view key, std::string_view message);

// Lower case.
std::string Hex(std::span<const uint8_t> bytes);
std::string Base64(std::span<const uint8_t> bytes);

inline std::string_view AsText(std::span<const uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Takes the same time wherever the texts differ; different sizes are unequal at once.
bool EqualInConstantTime(std::string_view a, std::string_view b);

std::string Md5Hex(std::string_view bytes);

}  // namespace hearth::codec
