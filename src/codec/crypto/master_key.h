#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::codec {

// AES-256-GCM under one key. A sealed text is version byte, 12 bytes of random nonce, ciphertext,
// 16 bytes of tag. `context` is authenticated with it but not stored: name what the text belongs to
// (such as "lambda/env/" + function ARN), so that a sealed text cannot be moved elsewhere. Safe
// from any thread.
class SealingKey final {
  public:
    explicit SealingKey(const std::array<uint8_t, 32>& key) : key_(key) {}

    std::string Seal(std::string_view plain, std::string_view context) const;
    // Error kInvalid when it was changed, sealed with another key or for another context.
    Result<std::string> Open(std::string_view sealed, std::string_view context) const;

  private:
    std::array<uint8_t, 32> key_;
};

// The key of the data directory, from which every other key is derived; it never seals by itself.
class MasterKey final {
  public:
    explicit MasterKey(const std::array<uint8_t, 32>& key) : key_(key) {}

    // A key for one purpose: HKDF-SHA256 with `purpose` ("lambda-environment", "sts-session").
    // Keep the result: the derivation is not free.
    SealingKey Derive(std::string_view purpose) const;

    // Reads `path` (64 hexadecimal digits), or makes it: mode 0600, durable before this returns, so
    // no secret is ever sealed under a key that a power cut can take away.
    static Result<MasterKey> LoadOrMake(const std::string& path);
    // From an open file: 64 hexadecimal digits, or exactly 32 bytes.
    static Result<MasterKey> FromFd(int fd);
    static Result<MasterKey> FromText(std::string_view text);

  private:
    std::array<uint8_t, 32> key_;
};

}  // namespace hearth::codec
