#include "codec/uri/uri.h"

#include <cstdint>
#include <optional>

namespace hearth::codec {
namespace {

constexpr bool IsUnreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

constexpr int HexValue(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

void AppendEncoded(std::string& out, std::string_view text, bool keep_slash) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    for (const char c : text) {
        if (IsUnreserved(c) || (keep_slash && c == '/')) {
            out.push_back(c);
        } else {
            const auto byte = static_cast<uint8_t>(c);
            out.push_back('%');
            out.push_back(kHex[byte >> 4]);
            out.push_back(kHex[byte & 15]);
        }
    }
}

Result<std::string> Decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '%') {
            const int high = text.size() - i > 2 ? HexValue(text[i + 1]) : -1;
            const int low = text.size() - i > 2 ? HexValue(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return errors::Malformed("a '%' that is not followed by two hex digits");
            }
            out.push_back(static_cast<char>(high << 4 | low));
            i += 2;
        } else {
            out.push_back(plus_is_space && c == '+' ? ' ' : c);
        }
    }
    return out;
}

}  // namespace

std::string PercentEncode(std::string_view text, bool keep_slash) {
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    AppendEncoded(out, text, keep_slash);
    return out;
}

Result<std::string> PercentDecode(std::string_view text) {
    return Decode(text, false);
}

Result<QueryParameters> ParseQuery(std::string_view query) {
    QueryParameters parameters;
    while (!query.empty()) {
        const size_t end = query.find('&');
        const std::string_view piece = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (piece.empty()) {
            continue;
        }
        if (parameters.size() == kQueryParametersMax) {
            return errors::Malformed("too many parameters");
        }
        const size_t equals = piece.find('=');
        HEARTH_TRY(std::string name, Decode(piece.substr(0, equals), true));
        std::string value;
        if (equals != std::string_view::npos) {
            HEARTH_TRY(value, Decode(piece.substr(equals + 1), true));
        }
        parameters.emplace_back(std::move(name), std::move(value));
    }
    return parameters;
}

std::string WriteQuery(const QueryParameters& parameters) {
    std::string out;
    for (const auto& [name, value] : parameters) {
        if (!out.empty()) {
            out.push_back('&');
        }
        AppendEncoded(out, name, false);
        out.push_back('=');
        AppendEncoded(out, value, false);
    }
    return out;
}

}  // namespace hearth::codec
