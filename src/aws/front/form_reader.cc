#include "aws/front/form_reader.h"

#include "aws/auth/s3_errors.h"

#include <algorithm>
#include <cstring>

namespace hearth::aws {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;
// RFC 2046: 70 characters.
constexpr size_t kBoundaryBytesMax = 70;
// What may follow the file.
constexpr uint64_t kRestBytesMax = 1024 * 1024;

Error Malformed() {
    return {
        Error::Kind::kInvalid,
        "MalformedPOSTRequest",
        "The body of your POST request is not well-formed multipart/form-data.",
        400};
}

Error FieldsTooLarge() {
    return {
        Error::Kind::kInvalid,
        "MaxPostPreDataLengthExceededError",
        "Your POST request fields preceding the upload file were too large.",
        400};
}

Error NoFile() {
    return s3_errors::InvalidArgument(
        "POST requires exactly one file upload per request.", "file", "0");
}

std::string_view Trim(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ') || text.ends_with('\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// The value of `name` in "form-data; name=\"file\"; filename=\"a b.txt\""; quoted or not.
std::optional<std::string> Parameter(std::string_view header, std::string_view name) {
    size_t at = header.find(';');
    while (at != std::string_view::npos) {
        header = Trim(header.substr(at + 1));
        const size_t equal_sign = header.find_first_of("=;");
        if (equal_sign == std::string_view::npos) {
            return std::nullopt;
        }
        if (header[equal_sign] == ';') {
            at = equal_sign;
            continue;
        }
        const bool found = http::EqualsIgnoringCase(Trim(header.substr(0, equal_sign)), name);
        header.remove_prefix(equal_sign + 1);
        std::string value;
        if (header.starts_with('"')) {
            size_t end = 1;
            // Browsers write a quote as %22 or \"; a back slash alone is part of the name.
            while (end < header.size() && header[end] != '"') {
                if (header[end] == '\\' && end + 1 < header.size() && header[end + 1] == '"') {
                    ++end;
                }
                value += header[end++];
            }
            header.remove_prefix(std::min(end + 1, header.size()));
        } else {
            value = Trim(header.substr(0, header.find(';')));
        }
        if (found) {
            return value;
        }
        at = header.find(';');
    }
    return std::nullopt;
}

struct PartHead {
    std::string name;
    std::string file_name;
};

// `head`: lines that each end with CR and LF.
std::optional<PartHead> ParsePartHead(std::string_view head) {
    while (!head.empty()) {
        const size_t line_end = head.find("\r\n");
        const std::string_view line = head.substr(0, line_end);
        head.remove_prefix(line_end == std::string_view::npos ? head.size() : line_end + 2);
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos ||
            !http::EqualsIgnoringCase(Trim(line.substr(0, colon)), "content-disposition")) {
            continue;
        }
        const std::string_view value = line.substr(colon + 1);
        auto name = Parameter(value, "name");
        if (!name) {
            return std::nullopt;
        }
        std::string file_name = Parameter(value, "filename").value_or("");
        if (const size_t slash = file_name.find_last_of("/\\"); slash != std::string::npos) {
            file_name.erase(0, slash + 1);
        }
        return PartHead{http::LowerCase(*name), std::move(file_name)};
    }
    return std::nullopt;
}

}  // namespace

FormReader::FormReader(http::BodyReader& body, std::string boundary)
    : body_(&body), delimiter_("\r\n--" + std::move(boundary)), buffer_(kBufferBytes) {
    // The first delimiter may stand at the very beginning.
    buffer_[0] = '\r';
    buffer_[1] = '\n';
    end_ = 2;
}

std::optional<FormReader> FormReader::For(http::BodyReader& body, std::string_view content_type) {
    const std::string_view type = Trim(content_type.substr(0, content_type.find(';')));
    auto boundary = Parameter(content_type, "boundary");
    if (!http::EqualsIgnoringCase(type, "multipart/form-data") || !boundary || boundary->empty() ||
        boundary->size() > kBoundaryBytesMax) {
        return std::nullopt;
    }
    return FormReader(body, *std::move(boundary));
}

Task<Result<bool>> FormReader::Fill() {
    if (at_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
        end_ -= at_;
        at_ = 0;
    }
    CHECK_REQUEST(end_ < buffer_.size());
    const auto read = co_await body_->Read(std::span(buffer_).subspan(end_));
    if (!read.ok()) {
        co_return read.error().http_status() == 408 ? s3_errors::RequestTimeout()
                                                    : s3_errors::IncompleteBody();
    }
    end_ += *read;
    co_return *read > 0;
}

Task<Result<FormReader::Fields>> FormReader::ReadFields() {
    Fields fields;
    size_t bytes = 0;
    // Text before the first delimiter is nobody's; browsers send none.
    while (true) {
        // 1. A delimiter, and what it says: "--" ends the form.
        size_t found = Ahead().find(delimiter_);
        while (found == std::string_view::npos || Ahead().size() < found + delimiter_.size() + 2) {
            if (end_ - at_ > kFieldBytesMax + kPartHeadBytesMax) {
                co_return FieldsTooLarge();
            }
            HEARTH_CO_TRY(const bool more, co_await Fill());
            if (!more) {
                co_return Malformed();
            }
            found = Ahead().find(delimiter_);
        }
        if (found != 0) {
            co_return Malformed();
        }
        at_ += delimiter_.size();
        if (Ahead().starts_with("--")) {
            co_return NoFile();
        }
        if (!Ahead().starts_with("\r\n")) {
            co_return Malformed();
        }
        at_ += 2;
        // 2. The part's head.
        size_t head_bytes = Ahead().find("\r\n\r\n");
        while (head_bytes == std::string_view::npos) {
            if (end_ - at_ > kPartHeadBytesMax + 4) {
                co_return Malformed();
            }
            HEARTH_CO_TRY(const bool more, co_await Fill());
            if (!more) {
                co_return Malformed();
            }
            head_bytes = Ahead().find("\r\n\r\n");
        }
        auto head = ParsePartHead(Ahead().substr(0, head_bytes + 2));
        if (!head || head_bytes > kPartHeadBytesMax) {
            co_return Malformed();
        }
        at_ += head_bytes + 4;
        if (head->name == "file") {
            fields.file_name = std::move(head->file_name);
            co_return fields;
        }
        // 3. The value, which ends at the next delimiter.
        size_t value_bytes = Ahead().find(delimiter_);
        while (value_bytes == std::string_view::npos) {
            if (end_ - at_ > kFieldBytesMax + delimiter_.size()) {
                co_return FieldsTooLarge();
            }
            HEARTH_CO_TRY(const bool more, co_await Fill());
            if (!more) {
                co_return Malformed();
            }
            value_bytes = Ahead().find(delimiter_);
        }
        bytes += head->name.size() + value_bytes;
        if (bytes > kFieldBytesMax || fields.values.size() >= kFieldsMax) {
            co_return FieldsTooLarge();
        }
        fields.values.emplace_back(
            std::move(head->name), std::string(Ahead().substr(0, value_bytes)));
        at_ += value_bytes;
    }
}

Task<Result<size_t>> FormReader::ReadFile(std::span<char> into) {
    while (!file_ended_) {
        const std::string_view ahead = Ahead();
        const size_t found = ahead.find(delimiter_);
        // The last bytes may be the beginning of a delimiter.
        const size_t certain = found != std::string_view::npos
                                   ? found
                                   : ahead.size() - std::min(ahead.size(), delimiter_.size() - 1);
        if (const size_t count = std::min(certain, into.size()); count > 0) {
            std::memcpy(into.data(), ahead.data(), count);
            at_ += count;
            co_return count;
        }
        if (found != std::string_view::npos) {
            file_ended_ = true;
            break;
        }
        HEARTH_CO_TRY(const bool more, co_await Fill());
        if (!more) {
            co_return s3_errors::IncompleteBody();
        }
    }
    // The form's other fields; their number is nobody's business, their bytes are.
    uint64_t rest = 0;
    at_ = end_;
    while (rest <= kRestBytesMax) {
        HEARTH_CO_TRY(const bool more, co_await Fill());
        if (!more) {
            co_return size_t{0};
        }
        rest += end_;
        at_ = end_;
    }
    co_return Malformed();
}

}  // namespace hearth::aws
