#include "storage/records/record_codec.h"

#include <array>

namespace hearth::storage {
namespace {

void PutLength(std::string& out, uint32_t length) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((length >> shift) & 0xff));
    }
}

uint32_t ReadLength(std::string_view bytes) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) {
        length = length << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return length;
}

}  // namespace

void FieldWriter::Text(uint8_t number, std::string_view text) {
    bytes_.push_back(static_cast<char>(number));
    PutLength(bytes_, static_cast<uint32_t>(text.size()));
    bytes_.append(text);
}

void FieldWriter::Integer(uint8_t number, int64_t value) {
    std::array<char, 8> text;
    for (size_t i = 0; i < 8; ++i) {
        text[i] = static_cast<char>((value >> (56 - 8 * i)) & 0xff);
    }
    Text(number, {text.data(), text.size()});
}

void FieldWriter::Pair(uint8_t number, std::string_view key, std::string_view value) {
    std::string pair;
    pair.reserve(4 + key.size() + value.size());
    PutLength(pair, static_cast<uint32_t>(key.size()));
    pair.append(key);
    pair.append(value);
    Text(number, pair);
}

Result<FieldReader> FieldReader::Open(std::string_view bytes) {
    if (bytes.empty() || bytes[0] != '\x01') {
        return errors::Internal("a record of an unknown format");
    }
    return FieldReader(bytes.substr(1));
}

Result<std::optional<FieldReader::Field>> FieldReader::Next() {
    if (rest_.empty()) {
        return std::optional<Field>();
    }
    if (rest_.size() < 5) {
        return errors::Internal("a record is cut short");
    }
    const auto number = static_cast<uint8_t>(rest_[0]);
    const size_t length = ReadLength(rest_.substr(1, 4));
    if (rest_.size() - 5 < length) {
        return errors::Internal("a record is cut short");
    }
    const Field field{number, rest_.substr(5, length)};
    rest_.remove_prefix(5 + length);
    return std::optional<Field>(field);
}

Result<int64_t> FieldReader::Integer(const Field& field) {
    if (field.bytes.size() != 8) {
        return errors::Internal("an integer of a record has the wrong size");
    }
    uint64_t value = 0;
    for (const char c : field.bytes) {
        value = value << 8 | static_cast<uint8_t>(c);
    }
    return static_cast<int64_t>(value);
}

Result<FieldReader::KeyAndValue> FieldReader::Pair(const Field& field) {
    if (field.bytes.size() < 4) {
        return errors::Internal("a pair of a record is cut short");
    }
    const size_t key_size = ReadLength(field.bytes);
    if (field.bytes.size() - 4 < key_size) {
        return errors::Internal("a pair of a record is cut short");
    }
    return KeyAndValue{field.bytes.substr(4, key_size), field.bytes.substr(4 + key_size)};
}

}  // namespace hearth::storage
