#include "services/s3/tags.h"

#include "codec/uri/uri.h"
#include "services/s3/control_errors.h"
#include "services/s3/errors.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::s3 {
namespace {

size_t Characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

// Letters, numbers and spaces of any script, and + - = . _ : / @. Beyond ASCII everything passes:
// Hearth has no tables of Unicode's classes.
bool CharactersAllowed(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<uint8_t>(c) >= 0x80 || (c >= '0' && c <= '9') ||
               (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view(" +-=._:/@").find(c) != std::string_view::npos;
    });
}

}  // namespace

Result<Tags> CheckTags(std::vector<std::pair<std::string, std::string>> tags, Tagged tagged) {
    const bool of_object = tagged == Tagged::kObject;
    if (of_object && tags.size() > kObjectTagsMax) {
        return Error(
            Error::Kind::kInvalid, "BadRequest", "Object tags cannot be greater than 10", 400);
    }
    if (!of_object && tags.size() > kBucketTagsMax) {
        return Error(
            Error::Kind::kInvalid,
            "InvalidTag",
            fmt::format("Bucket tag count cannot be greater than {}", kBucketTagsMax),
            400);
    }
    Tags checked;
    for (auto& [key, value] : tags) {
        if (checked.contains(key)) {
            return errors::InvalidTagOf("Cannot provide multiple Tags with the same key", key);
        }
        if (key.starts_with("aws:")) {
            return errors::InvalidTagOf(
                of_object ? "Your TagKey cannot be prefixed with aws:"
                          : "System tags cannot be added/updated by requester",
                key);
        }
        if (key.empty() || Characters(key) > kTagKeyMax || !CharactersAllowed(key)) {
            return errors::InvalidTagOf("The TagKey you have provided is invalid", key);
        }
        if (Characters(value) > kTagValueMax || !CharactersAllowed(value)) {
            return errors::InvalidTagOf("The TagValue you have provided is invalid", key, value);
        }
        checked.emplace(std::move(key), std::move(value));
    }
    return checked;
}

Result<Tags> ParseTaggingHeader(std::string_view header) {
    const auto malformed = [&] {
        return errors::InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            "x-amz-tagging",
            header);
    };
    auto parsed = codec::ParseQuery(header);
    if (!parsed.ok()) {
        return malformed();
    }
    std::vector<std::pair<std::string, std::string>> tags;
    for (auto& [key, value] : *parsed) {
        const bool twice = std::any_of(
            tags.begin(), tags.end(), [&key](const auto& tag) { return tag.first == key; });
        if (twice || !CharactersAllowed(key) || !CharactersAllowed(value)) {
            return malformed();
        }
        tags.emplace_back(std::move(key), std::move(value));
    }
    return CheckTags(std::move(tags), Tagged::kObject);
}

}  // namespace hearth::s3
