#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hearth::codec {

enum class DigestKind { kMd5, kSha1, kSha256 };

// A hash over data that comes in pieces. One thread at a time; any thread.
class DigestStream final {
  public:
    explicit DigestStream(DigestKind kind);
    ~DigestStream();
    DigestStream(const DigestStream&) = delete;
    DigestStream& operator=(const DigestStream&) = delete;

    void Update(std::string_view bytes);
    // The digest's bytes (16, 20 or 32). Once.
    std::string Finish();

  private:
    void* context_;
};

// RFC 2104 with SHA-1, for what was signed before there was anything better: 20 bytes.
std::string HmacSha1(std::string_view key, std::string_view message);

}  // namespace hearth::codec
