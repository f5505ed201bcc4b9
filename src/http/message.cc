#include "http/message.h"

#include "base/check.h"
#include "http/errors.h"

#include <algorithm>
#include <cstring>

namespace hearth::http {

namespace {

constexpr size_t kReadAllFirstBytes = 64 * 1024;

char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return Lower(x) == Lower(y);
           });
}

std::string LowerCase(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
    return lower;
}

Task<Result<std::string>> BodyReader::ReadAll(uint64_t bytes_max) {
    const auto length = Length();
    if (length.has_value() && *length > bytes_max) {
        co_return errors::BodyTooLarge(bytes_max);
    }
    // Memory grows with what has come, not with what was promised.
    std::string all;
    size_t size = 0;
    while (true) {
        if (size == all.size()) {
            uint64_t next = std::max<uint64_t>(kReadAllFirstBytes, uint64_t{size} * 2);
            // One byte more than allowed shows that there is too much.
            next = std::min(next, length.has_value() ? *length + 1 : bytes_max + 1);
            all.resize_and_overwrite(next, [](char*, size_t count) { return count; });
        }
        const auto read = co_await Read(std::span(all).subspan(size));
        if (!read.ok()) {
            co_return read.error();
        }
        if (*read == 0) {
            all.resize(size);
            co_return all;
        }
        size += *read;
        if (size > bytes_max) {
            co_return errors::BodyTooLarge(bytes_max);
        }
    }
}

Task<Result<size_t>> TextBody::Read(std::span<char> into) {
    const size_t count = std::min(into.size(), text_.size() - read_);
    std::memcpy(into.data(), text_.data() + read_, count);
    read_ += count;
    co_return count;
}

std::optional<std::string_view> Request::Find(std::string_view name) const {
    for (const Field& field : fields) {
        if (EqualsIgnoringCase(field.name, name)) {
            return field.value;
        }
    }
    return std::nullopt;
}

std::string_view ReasonPhrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 206:
            return "Partial Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Payload Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 417:
            return "Expectation Failed";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Unknown";
    }
}

}  // namespace hearth::http
