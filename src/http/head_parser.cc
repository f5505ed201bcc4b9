#include "http/head_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace hearth::http {

namespace beast = boost::beast;

namespace {

std::string_view View(beast::string_view text) {
    return {text.data(), text.size()};
}

// Beast's parser, asked for the head alone. It checks the grammar; the meaning is checked below.
class BeastHead final : public beast::http::basic_parser<true> {
  public:
    BeastHead(std::string_view bytes, size_t header_count_max, Head& head)
        : bytes_(bytes), header_count_max_(header_count_max), head_(head) {}

    bool too_many_fields() const { return too_many_fields_; }

    bool folded() const { return folded_; }

  private:
    using ErrorCode = beast::error_code;

    void on_request_impl(
        beast::http::verb,
        beast::string_view method,
        beast::string_view target,
        int version,
        ErrorCode&) override {
        head_.method = View(method);
        head_.target = View(target);
        head_.minor_version = version - 10;
    }

    void on_response_impl(int, beast::string_view, int, ErrorCode&) override {}

    void on_field_impl(
        beast::http::field,
        beast::string_view name,
        beast::string_view value,
        ErrorCode& error) override {
        if (head_.fields.size() >= header_count_max_) {
            too_many_fields_ = true;
            error = beast::http::error::header_limit;
            return;
        }
        // Beast unfolds a folded value into a buffer of its own.
        if (!value.empty() &&
            (value.data() < bytes_.data() || value.data() >= bytes_.data() + bytes_.size())) {
            folded_ = true;
            error = beast::http::error::bad_value;
            return;
        }
        head_.fields.push_back({View(name), View(value)});
    }

    void on_header_impl(ErrorCode&) override {}

    void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}

    std::size_t on_body_impl(beast::string_view text, ErrorCode&) override { return text.size(); }

    void on_chunk_header_impl(std::uint64_t, beast::string_view, ErrorCode&) override {}

    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view text, ErrorCode&) override {
        return text.size();
    }

    void on_finish_impl(ErrorCode&) override {}

    std::string_view bytes_;
    size_t header_count_max_;
    Head& head_;
    bool too_many_fields_ = false;
    bool folded_ = false;
};

// Calls `each` with the elements of a comma-separated list.
template <class F>
void ForEachToken(std::string_view list, F each) {
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        std::string_view token = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        while (!token.empty() && (token.front() == ' ' || token.front() == '\t')) {
            token.remove_prefix(1);
        }
        while (!token.empty() && (token.back() == ' ' || token.back() == '\t')) {
            token.remove_suffix(1);
        }
        each(token);
    }
}

// Leaves path and query. A client that takes Hearth for a proxy writes the whole URL; of the forms
// without a path only "OPTIONS *" means something to a server.
bool ReduceTarget(Head& head) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (head.target.size() > scheme.size() &&
            EqualsIgnoringCase(head.target.substr(0, scheme.size()), scheme)) {
            const size_t path = head.target.find_first_of("/?#", scheme.size());
            if (path == std::string_view::npos) {
                head.target = "/";
                return true;
            }
            head.target.remove_prefix(path);
        }
    }
    return head.target.starts_with('/') || (head.target == "*" && head.method == "OPTIONS");
}

std::optional<HeadError> ReadMeaning(Head& head) {
    if (!ReduceTarget(head)) {
        return HeadError{400, "bad request target"};
    }
    int hosts = 0;
    bool has_length = false;
    bool chunked = false;
    bool close = false;
    bool keep_alive = false;
    uint64_t length = 0;
    for (const Field& field : head.fields) {
        switch (field.name.size()) {
            case 4:
                hosts += EqualsIgnoringCase(field.name, "host") ? 1 : 0;
                break;
            case 6:
                if (EqualsIgnoringCase(field.name, "expect")) {
                    if (!EqualsIgnoringCase(field.value, "100-continue")) {
                        return HeadError{417, "unknown expectation"};
                    }
                    head.expects_continue = head.minor_version == 1;
                }
                break;
            case 10:
                if (EqualsIgnoringCase(field.name, "connection")) {
                    ForEachToken(field.value, [&](std::string_view token) {
                        close = close || EqualsIgnoringCase(token, "close");
                        keep_alive = keep_alive || EqualsIgnoringCase(token, "keep-alive");
                    });
                }
                break;
            case 14:
                if (EqualsIgnoringCase(field.name, "content-length")) {
                    const char* const end = field.value.data() + field.value.size();
                    const auto [stop, error] = std::from_chars(field.value.data(), end, length);
                    if (has_length || field.value.empty() || error != std::errc() || stop != end) {
                        return HeadError{400, "bad content-length"};
                    }
                    has_length = true;
                }
                break;
            case 17:
                if (EqualsIgnoringCase(field.name, "transfer-encoding")) {
                    if (chunked || head.minor_version == 0) {
                        return HeadError{400, "bad transfer-encoding"};
                    }
                    if (!EqualsIgnoringCase(field.value, "chunked")) {
                        return HeadError{501, "unknown transfer-encoding"};
                    }
                    chunked = true;
                }
                break;
            default:
                break;
        }
    }
    if (hosts > 1 || (hosts == 0 && head.minor_version == 1)) {
        return HeadError{400, hosts > 1 ? "more than one host" : "no host"};
    }
    if (chunked && has_length) {
        return HeadError{400, "both content-length and transfer-encoding"};
    }
    head.content_length = chunked ? std::nullopt : std::optional<uint64_t>(length);
    head.keep_alive = head.minor_version == 1 ? !close : keep_alive && !close;
    return std::nullopt;
}

}  // namespace

HeadScanner::Outcome HeadScanner::Scan(std::string_view buffer) {
    while (scanned_ < buffer.size()) {
        const void* const found =
            std::memchr(buffer.data() + scanned_, '\n', buffer.size() - scanned_);
        if (found == nullptr) {
            scanned_ = buffer.size();
            return Outcome::kIncomplete;
        }
        const size_t line_feed =
            static_cast<size_t>(static_cast<const char*>(found) - buffer.data());
        // A line feed without its return would end a line for some parsers and not for others.
        if (line_feed == line_start_ || buffer[line_feed - 1] != '\r') {
            return Outcome::kMalformed;
        }
        scanned_ = line_feed + 1;
        if (line_feed == line_start_ + 1) {
            return Outcome::kComplete;
        }
        line_start_ = scanned_;
    }
    return Outcome::kIncomplete;
}

std::optional<HeadError> ParseHead(std::string_view bytes, size_t header_count_max, Head& head) {
    head.fields.clear();
    head.content_length = 0;
    head.keep_alive = true;
    head.expects_continue = false;

    BeastHead parser(bytes, header_count_max, head);
    parser.header_limit(static_cast<std::uint32_t>(bytes.size() + 1));
    parser.body_limit(boost::none);
    parser.skip(true);
    beast::error_code error;
    const size_t used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (error) {
        if (parser.too_many_fields()) {
            return HeadError{431, "too many header fields"};
        }
        if (parser.folded()) {
            return HeadError{400, "folded header line"};
        }
        // Only what names another version of HTTP is not plainly malformed.
        const std::string_view line = bytes.substr(0, bytes.find('\r'));
        if (error == beast::http::error::bad_version && line.size() > 9 &&
            line.substr(line.size() - 9, 6) == " HTTP/") {
            return HeadError{505, "unsupported HTTP version"};
        }
        return HeadError{400, "malformed request"};
    }
    if (!parser.is_header_done() || used != bytes.size()) {
        return HeadError{400, "malformed request"};
    }
    return ReadMeaning(head);
}

}  // namespace hearth::http
