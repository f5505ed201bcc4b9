#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The bytes of the packets between cloud and host: numbers in the machine's order, texts and lists
// with their length before them. Both programs come from one build, so there are no versions; the
// reader still trusts nothing, since the cloud may have been taken over.
namespace hearth::sandbox {

class WireWriter final {
  public:
    template <class Number>
        requires(std::is_arithmetic_v<Number>)
    WireWriter& Add(Number number) {
        bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
        return *this;
    }

    WireWriter& Add(std::string_view text) {
        Add(static_cast<uint32_t>(text.size()));
        bytes_.append(text);
        return *this;
    }

    WireWriter& Add(const std::vector<std::string>& texts) {
        Add(static_cast<uint32_t>(texts.size()));
        for (const std::string& text : texts) {
            Add(std::string_view(text));
        }
        return *this;
    }

    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

// Reads in the order of writing. After the first failure everything reads as empty; ask ok() once,
// at the end, which also demands that nothing is left.
class WireReader final {
  public:
    explicit WireReader(std::string_view bytes) : rest_(bytes) {}

    template <class Number>
        requires(std::is_arithmetic_v<Number>)
    WireReader& Read(Number& number) {
        number = Number{};
        if (rest_.size() < sizeof(number)) {
            failed_ = true;
            rest_ = {};
        } else {
            std::memcpy(&number, rest_.data(), sizeof(number));
            rest_.remove_prefix(sizeof(number));
        }
        return *this;
    }

    WireReader& Read(bool& value) {
        uint8_t number = 0;
        Read(number);
        value = number == 1;
        failed_ |= number > 1;
        return *this;
    }

    WireReader& Read(std::string& text) {
        uint32_t size = 0;
        Read(size);
        if (rest_.size() < size) {
            failed_ = true;
            rest_ = {};
            text.clear();
        } else {
            text.assign(rest_.substr(0, size));
            rest_.remove_prefix(size);
        }
        return *this;
    }

    WireReader& Read(std::vector<std::string>& texts) {
        uint32_t count = 0;
        Read(count);
        texts.clear();
        // Each has a length of four bytes at least, so a forged count ends early.
        for (uint32_t i = 0; i < count && !failed_; ++i) {
            Read(texts.emplace_back());
        }
        return *this;
    }

    bool ok() const { return !failed_ && rest_.empty(); }

    // Something was missing already; for whoever reads lists of structures.
    bool failed() const { return failed_; }

  private:
    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace hearth::sandbox
