#include "services/s3/byte_range.h"

#include "services/s3/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hearth::s3 {
namespace {

constexpr std::string_view kUnit = "bytes=";

// Digits and nothing else; numbers beyond 64 bits are as good as the largest.
std::optional<uint64_t> Number(std::string_view text) {
    if (text.empty() ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return std::nullopt;
    }
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? number : UINT64_MAX;
}

}  // namespace

Result<std::optional<ByteRange>> ParseRange(std::string_view header, uint64_t size) {
    const std::optional<ByteRange> everything;
    if (!header.starts_with(kUnit)) {
        return everything;
    }
    const std::string_view text = header.substr(kUnit.size());
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        return everything;
    }
    const std::string_view first_text = text.substr(0, dash);
    const std::string_view last_text = text.substr(dash + 1);
    if (first_text.empty()) {
        const std::optional<uint64_t> suffix = Number(last_text);
        if (!suffix) {
            return everything;
        }
        if (*suffix == 0 || size == 0) {
            return errors::InvalidRange(header, size);
        }
        const uint64_t length = std::min(*suffix, size);
        return std::optional<ByteRange>({.offset = size - length, .length = length});
    }
    const std::optional<uint64_t> first = Number(first_text);
    std::optional<uint64_t> last = Number(last_text);
    if (!first || (!last_text.empty() && !last) || (last && *last < *first)) {
        return everything;
    }
    if (*first >= size) {
        return errors::InvalidRange(header, size);
    }
    const uint64_t end = last && *last < size ? *last + 1 : size;
    return std::optional<ByteRange>({.offset = *first, .length = end - *first});
}

Result<ByteRange> ParseCopySourceRange(std::string_view header, uint64_t size) {
    const auto malformed = [&header] {
        return errors::InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header);
    };
    if (!header.starts_with(kUnit)) {
        return malformed();
    }
    const std::string_view text = header.substr(kUnit.size());
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        return malformed();
    }
    const std::optional<uint64_t> first = Number(text.substr(0, dash));
    const std::optional<uint64_t> last = Number(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
        return malformed();
    }
    if (*last >= size) {
        return errors::InvalidArgument(
            fmt::format("Range specified is not valid for source object of size: {}", size),
            "x-amz-copy-source-range",
            header);
    }
    return ByteRange{.offset = *first, .length = *last - *first + 1};
}

std::string ContentRange(const ByteRange& range, uint64_t size) {
    return fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, size);
}

}  // namespace hearth::s3
