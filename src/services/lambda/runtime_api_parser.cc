#include "services/lambda/runtime_api_parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace hearth::lambda {

namespace {

bool EqualsNoCase(std::string_view text, std::string_view lower) {
    return text.size() == lower.size() &&
           std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
           });
}

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// A line that ends inside a value would end lines of the log and headers of answers, too.
bool IsHeaderValue(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
    });
}

bool ParseNumber(std::string_view text, int base, uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

void RuntimeApiParser::Reset() {
    step_ = Step::kHead;
    request_ = RuntimeApiRequest();
    partial_.clear();
    missing_ = 0;
    received_ = 0;
    trailer_bytes_ = 0;
    has_length_ = false;
    chunked_ = false;
    continue_due_ = false;
    streaming_ = false;
}

bool RuntimeApiParser::TakeContinue() {
    return std::exchange(continue_due_, false);
}

RuntimeApiParser::State RuntimeApiParser::Break(int http_status) {
    step_ = Step::kBroken;
    http_status_ = http_status;
    return State::kBroken;
}

void RuntimeApiParser::AppendBody(std::string_view bytes) {
    if (streaming_) {
        request_.body.append(bytes);
        return;
    }
    received_ += bytes.size();
    if (received_ > kRuntimeApiBodyBytesMax) {
        request_.body_too_large = true;
        request_.body = std::string();
        return;
    }
    request_.body.append(bytes);
}

// A line without its end; false: there is none yet, the bytes were kept.
bool RuntimeApiParser::TakeLine(std::string_view& bytes, std::string_view& line) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
        partial_.append(bytes);
        bytes = {};
        return false;
    }
    line_ = std::move(partial_);
    partial_.clear();
    line_.append(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    if (!line_.empty() && line_.back() == '\r') {
        line_.pop_back();
    }
    line = line_;
    return true;
}

constexpr std::string_view kExtensionPrefix = "lambda-extension-";

bool RuntimeApiParser::ParseHeader(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line.front() == ' ' ||
        line.front() == '\t') {
        return false;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = Trim(line.substr(colon + 1));
    if (!IsHeaderValue(value)) {
        return false;
    }
    if (EqualsNoCase(name, "content-length")) {
        uint64_t length = 0;
        if (!ParseNumber(value, 10, length) || (has_length_ && length != missing_)) {
            return false;
        }
        has_length_ = true;
        missing_ = length;
    } else if (EqualsNoCase(name, "transfer-encoding")) {
        if (!EqualsNoCase(value, "chunked") || chunked_) {
            return false;
        }
        chunked_ = true;
    } else if (EqualsNoCase(name, "lambda-runtime-function-error-type")) {
        request_.error_type = value;
    } else if (EqualsNoCase(name, "lambda-runtime-function-error-body")) {
        request_.error_body = value;
    } else if (EqualsNoCase(name, "lambda-runtime-function-response-mode")) {
        request_.response_mode = value;
    } else if (EqualsNoCase(name, "authorization")) {
        request_.authorization = value;
    } else if (EqualsNoCase(name, "content-type")) {
        request_.content_type = value;
    } else if (EqualsNoCase(name.substr(0, kExtensionPrefix.size()), kExtensionPrefix)) {
        const std::string_view rest = name.substr(kExtensionPrefix.size());
        if (EqualsNoCase(rest, "name")) {
            request_.extension_name = value;
        } else if (EqualsNoCase(rest, "identifier")) {
            request_.extension_identifier = value;
        } else if (EqualsNoCase(rest, "accept-feature")) {
            request_.extension_features = value;
        } else if (EqualsNoCase(rest, "function-error-type")) {
            request_.extension_error_type = value;
        }
    } else if (EqualsNoCase(name, "connection")) {
        if (EqualsNoCase(value, "close")) {
            request_.keep_alive = false;
        } else if (EqualsNoCase(value, "keep-alive")) {
            request_.keep_alive = true;
        }
    } else if (EqualsNoCase(name, "expect")) {
        request_.expects_continue = EqualsNoCase(value, "100-continue");
    }
    return true;
}

// `partial_` holds the head with its empty line.
bool RuntimeApiParser::ParseHead() {
    std::string_view head = partial_;
    const auto next_line = [&head] {
        const size_t end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
        return line;
    };
    const std::string_view start = next_line();
    const size_t first = start.find(' ');
    const size_t last = start.rfind(' ');
    if (first == std::string_view::npos || first == 0 || last == first) {
        return false;
    }
    const std::string_view version = start.substr(last + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        return false;
    }
    request_.keep_alive = version == "HTTP/1.1";
    request_.method = start.substr(0, first);
    request_.target = start.substr(first + 1, last - first - 1);
    if (request_.target.empty() || request_.target.find(' ') != std::string::npos) {
        return false;
    }
    for (std::string_view line = next_line(); !line.empty(); line = next_line()) {
        if (!ParseHeader(line)) {
            return false;
        }
    }
    // Two lengths for one body are how requests are smuggled.
    return !(chunked_ && has_length_);
}

RuntimeApiParser::State RuntimeApiParser::Consume(std::string_view& bytes) {
    while (true) {
        switch (step_) {
            case Step::kHead: {
                if (bytes.empty()) {
                    return State::kNeedMore;
                }
                // The end may straddle what came before.
                const size_t before = partial_.size();
                partial_.append(bytes.substr(0, kRuntimeApiHeadBytesMax));
                const size_t end = partial_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
                if (end == std::string::npos) {
                    if (partial_.size() >= kRuntimeApiHeadBytesMax) {
                        return Break(431);
                    }
                    bytes = {};
                    return State::kNeedMore;
                }
                bytes.remove_prefix(end + 4 - before);
                partial_.resize(end + 4);
                if (!ParseHead()) {
                    return Break(400);
                }
                partial_.clear();
                if (missing_ > kRuntimeApiDropBytesMax) {
                    return Break(413);
                }
                if (chunked_) {
                    step_ = Step::kChunkSize;
                } else if (missing_ > 0) {
                    step_ = Step::kBody;
                    if (missing_ <= kRuntimeApiBodyBytesMax && request_.response_mode.empty()) {
                        request_.body.reserve(missing_);
                    }
                } else {
                    step_ = Step::kDone;
                }
                continue_due_ = request_.expects_continue && step_ != Step::kDone;
                if (request_.response_mode == "streaming" && step_ != Step::kDone) {
                    return State::kStreamBegins;
                }
                break;
            }
            case Step::kBody:
            case Step::kChunkData: {
                const size_t count =
                    static_cast<size_t>(std::min<uint64_t>(missing_, bytes.size()));
                AppendBody(bytes.substr(0, count));
                bytes.remove_prefix(count);
                missing_ -= count;
                if (missing_ > 0) {
                    return State::kNeedMore;
                }
                step_ = step_ == Step::kBody ? Step::kDone : Step::kChunkEnd;
                break;
            }
            case Step::kChunkEnd:
            case Step::kChunkSize:
            case Step::kTrailer: {
                std::string_view line;
                if (!TakeLine(bytes, line)) {
                    return partial_.size() > kRuntimeApiHeadBytesMax ? Break(400)
                                                                     : State::kNeedMore;
                }
                if (line.size() > kRuntimeApiHeadBytesMax) {
                    return Break(400);
                }
                if (step_ == Step::kChunkEnd) {
                    if (!line.empty()) {
                        return Break(400);
                    }
                    step_ = Step::kChunkSize;
                } else if (step_ == Step::kChunkSize) {
                    const std::string_view size = Trim(line.substr(0, line.find(';')));
                    if (!ParseNumber(size, 16, missing_) || missing_ > kRuntimeApiDropBytesMax ||
                        (!streaming_ && received_ + missing_ > kRuntimeApiDropBytesMax)) {
                        return Break(400);
                    }
                    step_ = missing_ == 0 ? Step::kTrailer : Step::kChunkData;
                } else if (line.empty()) {
                    step_ = Step::kDone;
                } else {
                    trailer_bytes_ += line.size();
                    // A length in a trailer means nothing; only the error is taken.
                    const bool keeps = request_.keep_alive;
                    if (trailer_bytes_ > kRuntimeApiHeadBytesMax || !ParseHeader(line)) {
                        return Break(400);
                    }
                    request_.keep_alive = keeps;
                }
                break;
            }
            case Step::kDone:
                return State::kDone;
            case Step::kBroken:
                return State::kBroken;
        }
    }
}

}  // namespace hearth::lambda
