#include "codec/base64/base64.h"

#include <array>
#include <cstdint>

namespace hearth::codec {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr uint8_t kNotInAlphabet = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
    std::array<uint8_t, 256> values{};
    values.fill(kNotInAlphabet);
    for (size_t i = 0; i < kAlphabet.size(); ++i) {
        values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
    }
    return values;
}();

}  // namespace

std::string Base64Encode(std::string_view bytes) {
    std::string text;
    text.resize((bytes.size() + 2) / 3 * 4);
    char* out = text.data();
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
    size_t left = bytes.size();
    for (; left >= 3; left -= 3, in += 3) {
        const uint32_t group = uint32_t{in[0]} << 16 | uint32_t{in[1]} << 8 | in[2];
        *out++ = kAlphabet[group >> 18];
        *out++ = kAlphabet[group >> 12 & 63];
        *out++ = kAlphabet[group >> 6 & 63];
        *out++ = kAlphabet[group & 63];
    }
    if (left > 0) {
        const uint32_t group = uint32_t{in[0]} << 16 | (left == 2 ? uint32_t{in[1]} << 8 : 0);
        *out++ = kAlphabet[group >> 18];
        *out++ = kAlphabet[group >> 12 & 63];
        *out++ = left == 2 ? kAlphabet[group >> 6 & 63] : '=';
        *out++ = '=';
    }
    return text;
}

Result<std::string> Base64Decode(std::string_view text) {
    if (text.size() % 4 != 0) {
        return errors::Malformed("base64 text whose length is not a multiple of four");
    }
    size_t padding = 0;
    if (text.ends_with("==")) {
        padding = 2;
    } else if (text.ends_with('=')) {
        padding = 1;
    }
    const size_t symbols = text.size() - padding;
    std::string bytes;
    bytes.resize(text.size() / 4 * 3 - padding);
    size_t written = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < symbols; ++i) {
        const uint8_t value = kValues[static_cast<uint8_t>(text[i])];
        if (value == kNotInAlphabet) {
            return errors::Malformed("a character that is not of the base64 alphabet");
        }
        group = group << 6 | value;
        if (i % 4 == 3) {
            bytes[written++] = static_cast<char>(group >> 16);
            bytes[written++] = static_cast<char>(group >> 8);
            bytes[written++] = static_cast<char>(group);
            group = 0;
        }
    }
    if (padding == 2) {
        if ((group & 15) != 0) {
            return errors::Malformed("base64 text with bits behind its end");
        }
        bytes[written++] = static_cast<char>(group >> 4);
    } else if (padding == 1) {
        if ((group & 3) != 0) {
            return errors::Malformed("base64 text with bits behind its end");
        }
        bytes[written++] = static_cast<char>(group >> 10);
        bytes[written++] = static_cast<char>(group >> 2);
    }
    return bytes;
}

}  // namespace hearth::codec
