#include "aws/auth/canonical_request.h"

#include "aws/auth/sigv4.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>
#include <vector>

namespace hearth::aws {
namespace {

bool IsUnreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void AppendEncoded(std::string& out, char c) {
    static constexpr char kDigits[] = "0123456789ABCDEF";
    const auto byte = static_cast<uint8_t>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
}

int HexDigit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// One name or value of the query: whatever way it was encoded, in AWS's.
std::string CanonicalQueryPiece(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
            HexDigit(text[i + 2]) >= 0) {
            c = static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (IsUnreserved(c)) {
            out += c;
        } else {
            AppendEncoded(out, c);
        }
    }
    return out;
}

// Runs of spaces count as one.
void AppendHeaderValue(std::string& out, std::string_view value) {
    bool space = false;
    for (const char c : Trim(value)) {
        if (c == ' ' && space) {
            continue;
        }
        space = c == ' ';
        out += c;
    }
}

codec::Sha256Digest DeriveSigningKey(
    std::string_view secret,
    std::string_view date,
    std::string_view region,
    std::string_view service) {
    codec::Sha256Digest key = codec::HmacSha256("AWS4" + std::string(secret), date);
    key = codec::HmacSha256(key, region);
    key = codec::HmacSha256(key, service);
    return codec::HmacSha256(key, kScopeTerminator);
}

}  // namespace

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// Takes the text up to `separator` off the front of `rest`.
std::string_view TakeUntil(std::string_view& rest, char separator) {
    const size_t at = rest.find(separator);
    const std::string_view piece = rest.substr(0, at);
    rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
    return piece;
}

void AppendNormalPath(std::string& out, std::string_view path) {
    std::string normal;
    if (path.find("//") != std::string_view::npos || path.find("/.") != std::string_view::npos) {
        std::vector<std::string_view> segments;
        std::string_view rest = path;
        while (!rest.empty()) {
            const std::string_view segment = TakeUntil(rest, '/');
            if (segment == "..") {
                if (!segments.empty()) {
                    segments.pop_back();
                }
            } else if (!segment.empty() && segment != ".") {
                segments.push_back(segment);
            }
        }
        for (const std::string_view segment : segments) {
            normal += '/';
            normal += segment;
        }
        if (normal.empty() || path.back() == '/') {
            normal += '/';
        }
        path = normal;
    }
    if (path.empty()) {
        out += '/';
    }
    for (const char c : path) {
        if (IsUnreserved(c) || c == '/') {
            out += c;
        } else {
            AppendEncoded(out, c);
        }
    }
}

void AppendPathEncodedOnce(std::string& out, std::string_view path) {
    if (path.empty()) {
        out += '/';
    }
    for (size_t i = 0; i < path.size(); ++i) {
        char c = path[i];
        if (c == '%' && i + 2 < path.size() && HexDigit(path[i + 1]) >= 0 &&
            HexDigit(path[i + 2]) >= 0) {
            c = static_cast<char>(HexDigit(path[i + 1]) << 4 | HexDigit(path[i + 2]));
            i += 2;
        }
        if (IsUnreserved(c) || c == '/') {
            out += c;
        } else {
            AppendEncoded(out, c);
        }
    }
}

void AppendQuery(std::string& out, std::string_view query, std::string_view without) {
    if (query.empty()) {
        return;
    }
    std::vector<std::pair<std::string, std::string>> parameters;
    while (!query.empty()) {
        std::string_view piece = TakeUntil(query, '&');
        if (!piece.empty()) {
            const std::string_view name = TakeUntil(piece, '=');
            if (std::string canonical = CanonicalQueryPiece(name);
                without.empty() || canonical != without) {
                parameters.emplace_back(std::move(canonical), CanonicalQueryPiece(piece));
            }
        }
    }
    std::ranges::sort(parameters);
    bool first = true;
    for (const auto& [name, value] : parameters) {
        if (!first) {
            out += '&';
        }
        first = false;
        out += name;
        out += '=';
        out += value;
    }
}

void AppendHeaders(std::string& out, HeaderSpan headers, std::string_view signed_headers) {
    size_t count = 0;
    while (!signed_headers.empty() && count++ < kSignedHeadersMax) {
        const std::string_view name = TakeUntil(signed_headers, ';');
        out += name;
        out += ':';
        bool first = true;
        for (const auto& [header, value] : headers) {
            if (header == name) {
                if (!first) {
                    out += ',';
                }
                first = false;
                AppendHeaderValue(out, value);
            }
        }
        out += '\n';
    }
}

bool IsSigned(std::string_view signed_headers, std::string_view name) {
    while (!signed_headers.empty()) {
        if (TakeUntil(signed_headers, ';') == name) {
            return true;
        }
    }
    return false;
}

// The signing key changes once a day, its derivation is four HMACs: worth keeping. One table per
// thread, so there is no lock; two keys of one slot take turns.
const codec::Sha256Digest& SigningKeyFor(
    std::string_view secret,
    std::string_view date,
    std::string_view region,
    std::string_view service) {
    struct Entry {
        std::string name;
        codec::Sha256Digest key{};
    };

    static constexpr size_t kEntries = 64;
    static constexpr size_t kNameBytesMax = 1024;
    thread_local std::array<Entry, kEntries> cache;
    thread_local Entry uncached;
    std::string name;
    name.reserve(secret.size() + date.size() + region.size() + service.size() + 3);
    name.append(secret).append("\n").append(date).append("\n");
    name.append(region).append("\n").append(service);
    Entry& entry =
        name.size() > kNameBytesMax ? uncached : cache[std::hash<std::string>()(name) % kEntries];
    if (entry.name != name) {
        entry.key = DeriveSigningKey(secret, date, region, service);
        entry.name = std::move(name);
    }
    return entry.key;
}

}  // namespace hearth::aws
