#include "http/response_head.h"

#include <array>
#include <charconv>
#include <ctime>

namespace hearth::http {

namespace {

bool IsToken(std::string_view name) {
    if (name.empty()) {
        return false;
    }
    for (const char c : name) {
        const bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric &&
            std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

bool IsOneLine(std::string_view value) {
    for (const char c : value) {
        if (c == '\r' || c == '\n' || c == '\0') {
            return false;
        }
    }
    return true;
}

// Headers that frame the message; the server alone writes them.
bool IsFraming(std::string_view name) {
    switch (name.size()) {
        case 4:
            return EqualsIgnoringCase(name, "date");
        case 10:
            return EqualsIgnoringCase(name, "connection");
        case 14:
            return EqualsIgnoringCase(name, "content-length");
        case 17:
            return EqualsIgnoringCase(name, "transfer-encoding");
        default:
            return false;
    }
}

void AppendNumber(std::string& out, uint64_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

}  // namespace

bool AppendResponseHead(const Response& response, const HeadFraming& framing, std::string& out) {
    const size_t before = out.size();
    out += "HTTP/1.1 ";
    AppendNumber(out, static_cast<uint64_t>(response.status));
    out += ' ';
    out += ReasonPhrase(response.status);
    out += "\r\n";
    for (const auto& [name, value] : response.headers) {
        if (IsFraming(name)) {
            continue;
        }
        if (!IsToken(name) || !IsOneLine(value)) {
            out.resize(before);
            return false;
        }
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
    out += "Date: ";
    out += HttpDate();
    if (framing.content_length.has_value()) {
        out += "\r\nContent-Length: ";
        AppendNumber(out, *framing.content_length);
    } else if (framing.chunked) {
        out += "\r\nTransfer-Encoding: chunked";
    }
    if (framing.close) {
        out += "\r\nConnection: close";
    } else if (framing.say_keep_alive) {
        out += "\r\nConnection: keep-alive";
    }
    out += "\r\n\r\n";
    return true;
}

std::string_view HttpDate() {
    thread_local std::time_t made_at = -1;
    thread_local std::array<char, 32> text;
    thread_local size_t size = 0;
    const std::time_t now = std::time(nullptr);
    if (now != made_at) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        // The C locale: nothing in Hearth sets another.
        size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        made_at = now;
    }
    return {text.data(), size};
}

}  // namespace hearth::http
