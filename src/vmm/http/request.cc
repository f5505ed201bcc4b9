#include "vmm/http/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hearth::vmm {
namespace {

Error Bad(std::string message, int status = 400) {
    return Error(Error::Kind::kInvalid, "", std::move(message), status);
}

char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool SameName(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, Lower, Lower);
}

// RFC 9110, 5.6.2.
bool IsTokenCharacter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

std::string_view Trim(std::string_view text) {
    const auto from = text.find_first_not_of(" \t");
    if (from == std::string_view::npos) {
        return {};
    }
    return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

std::string_view Reason(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 413:
            return "Payload Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        default:
            return "Unknown";
    }
}

// "/a?b" and "http://host/a" are "/a"; nothing when there is no path.
std::string PathOf(std::string_view target) {
    constexpr std::string_view kScheme = "http://";
    if (target.starts_with(kScheme)) {
        target.remove_prefix(kScheme.size());
        const auto slash = target.find('/');
        target = slash == std::string_view::npos ? std::string_view() : target.substr(slash);
    }
    if (!target.starts_with('/')) {
        return {};
    }
    return std::string(target.substr(0, target.find_first_of("?#")));
}

}  // namespace

const std::string* HttpRequest::Header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
        if (SameName(key, name)) {
            return &value;
        }
    }
    return nullptr;
}

Status HttpRequestParser::ParseHead(std::string_view head) {
    HttpRequest request;
    const auto line_end = head.find("\r\n");
    std::string_view line = head.substr(0, line_end);
    const auto first_space = line.find(' ');
    const auto last_space = line.rfind(' ');
    if (first_space == std::string_view::npos || first_space == last_space) {
        return Bad("Invalid request.");
    }
    request.method = line.substr(0, first_space);
    if (request.method != "GET" && request.method != "PUT" && request.method != "PATCH") {
        return Bad("Invalid HTTP Method: Unsupported HTTP method.");
    }
    const auto version = line.substr(last_space + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        return Bad("Invalid HTTP Version: Unsupported HTTP version.");
    }
    request.http_1_1 = version == "HTTP/1.1";
    request.keep_alive = request.http_1_1;
    const auto target = line.substr(first_space + 1, last_space - first_space - 1);
    if (target.empty() ||
        std::ranges::any_of(target, [](char c) { return c <= ' ' || c >= '\x7f'; })) {
        return Bad("Invalid URI: Empty URI not allowed.");
    }
    request.path = PathOf(target);

    std::optional<std::size_t> length;
    std::string_view rest =
        line_end == std::string_view::npos ? std::string_view() : head.substr(line_end + 2);
    while (!rest.empty()) {
        const auto end = rest.find("\r\n");
        line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
        const auto colon = line.find(':');
        const auto name = line.substr(0, colon);
        if (colon == std::string_view::npos || name.empty() ||
            !std::ranges::all_of(name, IsTokenCharacter)) {
            return Bad(
                fmt::format("Invalid header. Reason: Invalid format. Key: {}", name.substr(0, 64)));
        }
        const auto value = Trim(line.substr(colon + 1));
        if (std::ranges::any_of(value, [](char c) {
                return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
            })) {
            return Bad(fmt::format("Invalid header. Reason: Invalid value. Key:{}", name));
        }
        if (request.headers.size() == limits_.headers_max) {
            return Bad("Invalid header. Reason: too many headers.");
        }
        if (SameName(name, "content-length")) {
            std::size_t bytes = 0;
            const auto [stop, error] =
                std::from_chars(value.data(), value.data() + value.size(), bytes);
            // Two lengths are how requests are smuggled.
            if (error != std::errc() || stop != value.data() + value.size() || length) {
                return Bad(fmt::format(
                    "Invalid header. Reason: Invalid value. Key:Content-Length; Value:{}", value));
            }
            length = bytes;
        } else if (SameName(name, "transfer-encoding") && !SameName(value, "identity")) {
            return Bad(
                "Invalid header. Reason: Unsupported value. Key:Transfer-Encoding; Value:" +
                std::string(value));
        } else if (SameName(name, "connection")) {
            request.keep_alive =
                SameName(value, "keep-alive") || (request.keep_alive && !SameName(value, "close"));
        } else if (SameName(name, "expect")) {
            if (!SameName(value, "100-continue")) {
                return Bad(
                    "Invalid header. Reason: Unsupported value. Key:Expect; Value:" +
                    std::string(value));
            }
            request.expects_continue = true;
        }
        request.headers.emplace_back(name, value);
    }
    body_bytes_ = length.value_or(0);
    if (body_bytes_ > limits_.body_bytes_max) {
        return Bad(
            fmt::format(
                "Request payload with size {} is larger than the limit of {} allowed by server.",
                body_bytes_,
                limits_.body_bytes_max),
            413);
    }
    request.has_body = body_bytes_ > 0;
    head_ = std::move(request);
    return {};
}

Result<std::optional<HttpRequest>> HttpRequestParser::Next() {
    if (!head_) {
        // Empty lines before a request are to be overlooked (RFC 9112, 2.2).
        while (buffer_.starts_with("\r\n")) {
            buffer_.erase(0, 2);
            searched_ = 0;
        }
        const auto end = buffer_.find("\r\n\r\n", searched_);
        if (std::min(end, buffer_.size()) > limits_.head_bytes_max) {
            return Bad("Invalid request: its head is too long.");
        }
        if (end == std::string::npos) {
            searched_ = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
            return std::optional<HttpRequest>();
        }
        HEARTH_RETURN_IF_ERROR(ParseHead(std::string_view(buffer_).substr(0, end)));
        buffer_.erase(0, end + 4);
        searched_ = 0;
    }
    if (buffer_.size() < body_bytes_) {
        return std::optional<HttpRequest>();
    }
    auto request = std::move(*head_);
    head_.reset();
    request.body = buffer_.substr(0, body_bytes_);
    buffer_.erase(0, body_bytes_);
    return std::optional(std::move(request));
}

bool HttpRequestParser::TakeContinue() {
    return head_ && std::exchange(head_->expects_continue, false);
}

std::string WriteHttpResponse(const HttpResponse& response, bool http_1_1, bool keep_alive) {
    std::string out = fmt::format(
        "HTTP/1.{} {} {}\r\nServer: hearth-vmm\r\nConnection: {}\r\n",
        http_1_1 ? 1 : 0,
        response.status,
        Reason(response.status),
        keep_alive ? "keep-alive" : "close");
    if (!response.allow.empty()) {
        out += fmt::format("Allow: {}\r\n", response.allow);
    }
    if (response.deprecated) {
        out += "Deprecation: true\r\n";
    }
    if (response.status != 204) {
        out += fmt::format(
            "Content-Type: {}\r\nContent-Length: {}\r\n",
            response.content_type,
            response.body.size());
    }
    out += "\r\n";
    if (response.status != 204) {
        out += response.body;
    }
    return out;
}

}  // namespace hearth::vmm
