#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// Session tokens of the metadata service: a token says when it ends, and that we said so.
//
// Nothing is kept per token, so no guest can use up memory by asking: a token is a random number,
// the end of its life and a keyed hash (SipHash-2-4, 128 bits) over both and the microVM's name,
// base64. The key lives and dies with the process. What a token keeps out is a program that can be
// tricked into a GET but not into a PUT; the guest's owner may have as many as it likes.
namespace hearth::vmm {

class TokenAuthority final {
  public:
    static constexpr std::uint32_t kTtlSecondsMin = 1;
    static constexpr std::uint32_t kTtlSecondsMax = 21'600;

    // `scope` is part of every hash: another microVM's token is not ours.
    void SetScope(std::string scope) { scope_ = std::move(scope); }

    //   errors  a time to live out of bounds; no randomness to be had.
    Result<std::string> Generate(std::uint32_t ttl_s, std::uint64_t now_ns);

    bool IsValid(std::string_view token, std::uint64_t now_ns) const;

  private:
    std::string scope_;
    std::array<std::uint8_t, 16> key_{};
    bool has_key_ = false;
};

// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein), for tests against its vectors.
std::array<std::uint8_t, 16> SipHash128(
    const std::array<std::uint8_t, 16>& key, std::string_view bytes);

}  // namespace hearth::vmm
