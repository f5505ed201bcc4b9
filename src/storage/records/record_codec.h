#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How services' records are kept in storage: a version byte, then fields of (number, length,
// bytes). A reader passes over numbers it does not know, so an older program reads what a newer one
// wrote; a field that is not there keeps its default. Numbers are never reused.
namespace hearth::storage {

class FieldWriter final {
  public:
    FieldWriter() : bytes_(1, '\x01') {}

    void Text(uint8_t number, std::string_view text);
    void Integer(uint8_t number, int64_t value);
    // A key and a value, for maps: one field each time.
    void Pair(uint8_t number, std::string_view key, std::string_view value);

    std::string Take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

class FieldReader final {
  public:
    struct Field {
        uint8_t number;
        std::string_view bytes;
    };

    // `bytes` must outlive the reader.
    static Result<FieldReader> Open(std::string_view bytes);

    // The next field; empty at the end.
    Result<std::optional<Field>> Next();

    static Result<int64_t> Integer(const Field& field);

    struct KeyAndValue {
        std::string_view key;
        std::string_view value;
    };

    static Result<KeyAndValue> Pair(const Field& field);

  private:
    explicit FieldReader(std::string_view rest) : rest_(rest) {}

    std::string_view rest_;
};

}  // namespace hearth::storage
