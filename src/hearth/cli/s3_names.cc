#include "hearth/cli/s3_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace hearth::cli {
namespace {

constexpr size_t kFileNameBytesMax = 255;

constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kTypes = {{
    {".css", "text/css"},
    {".csv", "text/csv"},
    {".gif", "image/gif"},
    {".gz", "application/gzip"},
    {".htm", "text/html"},
    {".html", "text/html"},
    {".ico", "image/vnd.microsoft.icon"},
    {".jpeg", "image/jpeg"},
    {".jpg", "image/jpeg"},
    {".js", "text/javascript"},
    {".json", "application/json"},
    {".md", "text/markdown"},
    {".mjs", "text/javascript"},
    {".mp4", "video/mp4"},
    {".pdf", "application/pdf"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain"},
    {".wasm", "application/wasm"},
    {".webp", "image/webp"},
    {".xml", "text/xml"},
    {".zip", "application/zip"},
}};

std::string Decoded(std::string_view text) {
    std::string decoded;
    for (size_t i = 0; i < text.size(); ++i) {
        uint8_t byte = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
                text.data() + i + 3) {
            decoded.push_back(static_cast<char>(byte));
            i += 2;
        } else {
            decoded.push_back(text[i]);
        }
    }
    return decoded;
}

}  // namespace

std::optional<std::string> FileOfKey(std::string_view key) {
    std::string_view rest = key;
    for (;;) {
        const size_t slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        if (segment.empty() || segment == "." || segment == ".." ||
            segment.size() > kFileNameBytesMax || segment.find('\0') != std::string_view::npos) {
            return std::nullopt;
        }
        if (slash == std::string_view::npos) {
            return std::string(key);
        }
        rest.remove_prefix(slash + 1);
    }
}

std::string_view ContentTypeOf(std::string_view file_name) {
    const size_t dot = file_name.rfind('.');
    if (dot != std::string_view::npos) {
        const std::string_view ending = file_name.substr(dot);
        const auto found =
            std::ranges::find(kTypes, ending, [](const auto& one) { return one.first; });
        if (found != kTypes.end()) {
            return found->second;
        }
    }
    return "binary/octet-stream";
}

std::optional<std::string_view> Element(std::string_view xml, std::string_view name, size_t& at) {
    const std::string open = "<" + std::string(name) + ">";
    const std::string close = "</" + std::string(name) + ">";
    const size_t begin = xml.find(open, at);
    if (begin == std::string_view::npos) {
        return std::nullopt;
    }
    const size_t end = xml.find(close, begin);
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    at = end + close.size();
    return xml.substr(begin + open.size(), end - begin - open.size());
}

ListedObjects ReadListing(std::string_view xml) {
    ListedObjects listed;
    size_t at = 0;
    while (const auto contents = Element(xml, "Contents", at)) {
        size_t inside = 0;
        const auto key = Element(*contents, "Key", inside);
        inside = 0;
        const auto size = Element(*contents, "Size", inside);
        if (!key || !size) {
            continue;
        }
        ListedObjects::Object object;
        object.key = Decoded(*key);
        std::from_chars(size->data(), size->data() + size->size(), object.size);
        listed.objects.push_back(std::move(object));
    }
    at = 0;
    if (const auto token = Element(xml, "NextContinuationToken", at)) {
        listed.token = *token;
    }
    return listed;
}

}  // namespace hearth::cli
