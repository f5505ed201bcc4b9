#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hearth::storage {

// zstd, as bytes flow. One thread at a time.
class BodyPacker final {
  public:
    BodyPacker();
    ~BodyPacker();
    BodyPacker(BodyPacker&&) = delete;
    BodyPacker& operator=(BodyPacker&&) = delete;

    // Appends to `packed` what `bytes` give so far; with `is_last` all of it.
    void Pack(std::string_view bytes, bool is_last, std::string& packed);

    uint64_t bytes_taken() const { return bytes_taken_; }

  private:
    void* context_;
    uint64_t bytes_taken_ = 0;
};

class BodyUnpacker final {
  public:
    BodyUnpacker();
    ~BodyUnpacker();
    BodyUnpacker(BodyUnpacker&&) = delete;
    BodyUnpacker& operator=(BodyUnpacker&&) = delete;

    // Takes from the front of `packed` and returns how many bytes it put into `into`; nullopt when
    // that is no zstd.
    std::optional<size_t> Unpack(std::string_view& packed, std::span<char> into);

  private:
    void* context_;
};

}  // namespace hearth::storage
